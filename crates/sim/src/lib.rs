//! A whole network in one thread, from one seed.

pub mod actor;
pub mod advise;
pub mod baselines;
pub mod check;
pub mod compare;
pub mod dice;
pub mod eavesdrop;
pub mod figures;
pub mod frames;
pub mod masks;
pub mod moment;
pub mod net;
pub mod node;
pub mod packets;
pub mod plot;
pub mod population;
pub mod progress;
pub mod queue;
pub mod scenario;
pub mod trace;
pub mod traffic;
pub mod truth;
pub mod watch;
pub mod world;
