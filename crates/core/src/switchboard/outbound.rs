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

    /// Whether the expected cost, of all regions together, lies within the budget; unknown sizes are not held against the
    /// sender. What the regions of a list have in common of their ways is not taken off.
    fn within_budget(&self, dispatch: &Dispatch) -> Result<(), Refusal> {
        let Some(estimate) = self.overlay.estimate() else { return Ok(()) };
        let size_class = dispatch.cell.envelope().size_class;
        let costs = dispatch
            .cell
            .targets()
            .iter()
            .map(|target| cost::quote(estimate.nodes, target.luminosity(), size_class).milli_transmissions);
        let expected = costs.fold(0, u64::saturating_add);
        match cost::budget_transmissions(dispatch.budget) {
            Some(allowed) if expected > allowed.saturating_mul(1_000) => Err(Refusal::OverBudget),
            _ => Ok(()),
        }
    }
}
