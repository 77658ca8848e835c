//! The endpoint half: holds people's keys and opens what is sealed to them.

use mainframe_base::Time;

use super::{EndpointEffect, EndpointInput};
use crate::store::Tx;

/// Bounds and pace of the endpoint half.
#[derive(Clone, Debug, Default)]
pub struct EndpointConfig {}

/// The endpoint half of a node.
#[derive(Debug)]
pub struct Endpoint {}

impl Endpoint {
    /// Takes one input, changes state, and appends what it causes to `out`. Never blocks and never fails.
    pub fn handle(&mut self, _now: Time, _input: EndpointInput, _tx: &mut dyn Tx, _out: &mut Vec<EndpointEffect>) {}

    /// When `Wake` is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        None
    }
}
