//! Which network, and as what a node takes part in it.

use std::fmt;

/// Names a network; nodes of different networks refuse each other at `Hello`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NetworkId(pub u32);

impl NetworkId {
    /// The public network.
    pub const MAIN: NetworkId = NetworkId(1);
    /// Local networks for development: trace events exist only here.
    pub const DEV: NetworkId = NetworkId(0xD0D0);
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As what a node takes part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Routes, spreads and stands in other nodes' tables. Anonymity sets count relays only.
    Relay,
    /// Is served by relays of its choice; never a delegate, never counted.
    Guest,
}
