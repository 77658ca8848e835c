//! What the commands of one node do. Each file is one branch of the tree; `acquaintance` is how people and sessions are
//! named in several of them.

pub(crate) mod account;
mod acquaintance;
pub(crate) mod config;
pub(crate) mod contact;
pub(crate) mod device;
pub(crate) mod down;
pub(crate) mod group;
pub(crate) mod id;
pub(crate) mod listen;
pub(crate) mod net;
pub(crate) mod person;
pub(crate) mod send;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod topic;
pub(crate) mod up;
