//! Whose clock is hours off.

use mainframe_base::Time;
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{Relay, RelayEffect, RelayInput};

use crate::actor::Guise;

/// How far, in milliseconds: beyond any tolerance, and less than the 4.5 h in which the expiry byte comes round again
/// (packet.md §1).
const OFF_MS: u64 = 3 * 3_600 * 1_000;

/// A relay whose clock is hours ahead, or hours behind: to it all cells expired or come from the future, what it sends
/// looks the same to others, and its records are older or newer than all (review P9).
#[derive(Clone, Copy, Debug)]
pub struct ClockLiar {
    ahead: bool,
}

impl ClockLiar {
    /// One of two is ahead, the next behind.
    pub fn new(node: u32) -> ClockLiar {
        ClockLiar { ahead: node.is_multiple_of(2) }
    }

    fn shown(&self, now: Time) -> Time {
        if self.ahead { now + OFF_MS } else { Time(now.0.saturating_sub(OFF_MS)) }
    }
}

impl Guise for ClockLiar {
    fn handle(&mut self, now: Time, input: RelayInput, relay: &mut Relay, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        relay.handle(self.shown(now), input, tx, out);
    }

    fn true_time(&self, shown: Time) -> Time {
        if self.ahead { Time(shown.0.saturating_sub(OFF_MS)) } else { shown + OFF_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;
    use mainframe_core::wire::Frame;

    #[test]
    fn whose_clock_is_hours_off_takes_no_cell_over() {
        for node in [0, 1] {
            let mut rig = Rig::begun_at(Time(2 * OFF_MS));
            rig.wear_guise(Box::new(ClockLiar::new(node)));
            let near = rig.near_cell();
            let said = rig.hears(0, rig.cell_frame(near, None));
            assert!(said.iter().all(|(_, said)| !matches!(said, Frame::Custody(_) | Frame::Cell(_))), "{said:?}");
        }
    }

    #[test]
    fn the_world_wakes_it_when_its_own_clock_says_so() {
        for node in [0, 1] {
            let liar = ClockLiar::new(node);
            let now = Time(5 * OFF_MS);
            assert_eq!(liar.true_time(liar.shown(now)), now);
        }
    }
}
