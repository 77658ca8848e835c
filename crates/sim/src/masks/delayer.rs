//! Who does everything, and does it late.

use std::collections::VecDeque;

use mainframe_base::{LinkKey, Time};
use mainframe_core::wire::{Frame, OutFrame};

use super::liar::{Hand, Lie};
use crate::frames::{Kind, kind, read_control};

/// How long it holds back, in milliseconds: longer than the 600 ms a relay waits for a receipt of a peer it does not
/// know, shorter than the 3 s that it waits for the slowest (packet.md §4), so that what was given up on still comes.
pub const HELD_MS: u64 = 2_000;

/// Holds every cell, digest and receipt back (protocol research §4, byzantine roles): who sent it a cell sends that
/// cell elsewhere, and then both copies are spread.
#[derive(Default, Debug)]
pub struct Delayer {
    held: VecDeque<(Time, LinkKey, OutFrame)>,
}

impl Lie for Delayer {
    fn says(&mut self, hand: &mut Hand<'_>, to: LinkKey, frame: &OutFrame) -> bool {
        let held = match kind(&frame.head) {
            Kind::Cell | Kind::Digest => true,
            Kind::Other => matches!(read_control(&frame.head), Some(Frame::Custody(_))),
            Kind::Pull | Kind::Recent | Kind::Hold => false,
        };
        if held {
            self.held.push_back((hand.now + HELD_MS, to, frame.clone()));
        }
        !held
    }

    fn wakes(&mut self, hand: &mut Hand<'_>) {
        while let Some((_, to, frame)) = self.held.pop_front_if(|(due, _, _)| *due <= hand.now) {
            hand.let_out(to, frame);
        }
    }

    fn next_wake(&self) -> Option<Time> {
        self.held.front().map(|(due, _, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;

    #[test]
    fn a_delayers_receipts_and_copies_come_two_seconds_late() {
        let mut rig = Rig::of(Delayer::default());
        let near = rig.near_cell();
        assert!(rig.hears(0, rig.cell_frame(near, None)).is_empty());
        let early = rig.wait(HELD_MS - 1);
        assert!(early.is_empty(), "{early:?}");
        let late = rig.wait(1);
        assert!(late.iter().any(|(_, said)| matches!(said, Frame::Custody(_))), "{late:?}");
        assert!(late.iter().any(|(_, said)| matches!(said, Frame::Cell(_))), "{late:?}");
    }
}
