//! What the commands of one node do. Each file is one branch of the tree.

pub(crate) mod config;
pub(crate) mod listen;
pub(crate) mod net;
pub(crate) mod person;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod topic;
pub(crate) mod up;
