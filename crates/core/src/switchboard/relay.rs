//! The relay half: routes, spreads and keeps the overlay for the network.

use mainframe_base::{NetworkId, Role, Time};

use super::{RelayEffect, RelayInput};
use crate::neighbours::Neighbours;
use crate::store::Tx;

/// How a relay takes part.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Which network.
    pub network: NetworkId,
    /// As what.
    pub role: Role,
    /// Whether steps of packets are published; allowed only under [`NetworkId::DEV`].
    pub trace: bool,
}

/// The relay half of a node.
#[derive(Debug)]
pub struct Relay {
    neighbours: Neighbours,
}

impl Relay {
    /// Takes one input, changes state, and appends what it causes to `out`. Never blocks and never fails.
    pub fn handle(&mut self, _now: Time, _input: RelayInput, _tx: &mut dyn Tx, _out: &mut Vec<RelayEffect>) {}

    /// When `Wake` is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        None
    }

    /// Whom we are connected to.
    pub fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }
}
