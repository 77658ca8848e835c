//! A cell leaves: from our own endpoint half into the custody of the packet room.

use mainframe_base::{Refusal, Time};

use super::relay::Said;
use super::{CommandId, Relay, RelayEffect, RelayReply};
use crate::cost;
use crate::packet::{Dispatch, Scene};

impl Relay {
    /// Checks what the packet may cost, takes it into custody, and answers.
    pub(super) fn send_cell(
        &mut self,
        now: Time,
        command: CommandId,
        dispatch: Dispatch,
        said: &mut Said,
        out: &mut Vec<RelayEffect>,
    ) {
        let mut scene = Scene { now, neighbours: self.overlay.neighbours(), out: &mut said.packets };
        let result = self.within_budget(&dispatch).and_then(|()| self.packets.originate(&mut scene, dispatch));
        out.push(RelayEffect::Reply(command, result.map_or_else(RelayReply::Refused, RelayReply::Accepted)));
    }

    /// Whether the expected cost lies within the budget; unknown sizes are not held against the sender.
    fn within_budget(&self, dispatch: &Dispatch) -> Result<(), Refusal> {
        let Some(estimate) = self.overlay.estimate() else { return Ok(()) };
        let header = dispatch.cell.header();
        let quote = cost::quote(estimate.nodes, header.destination.luminosity(), header.size_class);
        match cost::budget_transmissions(dispatch.budget) {
            Some(allowed) if quote.milli_transmissions > allowed.saturating_mul(1_000) => Err(Refusal::OverBudget),
            _ => Ok(()),
        }
    }
}
