//! Who makes others do their work again.

use std::collections::VecDeque;

use bytes::Bytes;
use mainframe_base::{LinkKey, Luminosity, Time};
use mainframe_core::wire::Cell;

use super::liar::{Hand, Lie, Remembered, read_cell};

/// How long it lets the tree work before it asks for all of it again, in milliseconds: the slowest tree seen (guess).
const AFTER_MS: u64 = 2_000;

/// Serves honestly, and then asks everyone it knows in the region to answer for as much as it may ask of them: their
/// whole side of where its address and theirs part. Something shorter would grant nothing (packet.md §5). If it worked
/// each of them would spread the packet over that side once more (review P14).
#[derive(Default, Debug)]
pub struct Widener {
    widened: Remembered,
    waiting: VecDeque<(Time, Cell)>,
}

impl Lie for Widener {
    fn hears(&mut self, hand: &mut Hand<'_>, _from: LinkKey, frame: &Bytes) -> bool {
        if let Some(frame) = read_cell(frame)
            && frame.cell.destination().matches(hand.relay.neighbours().me())
            && self.widened.add(frame.cell.id())
        {
            self.waiting.push_back((hand.now + AFTER_MS, frame.cell));
        }
        true
    }

    fn wakes(&mut self, hand: &mut Hand<'_>) {
        while let Some((_, cell)) = self.waiting.pop_front_if(|(due, _)| *due <= hand.now) {
            for peer in hand.region_peers(&cell) {
                hand.share(peer.key, &cell, Luminosity::at_most(peer.proximity + 1));
            }
        }
    }

    fn next_wake(&self) -> Option<Time> {
        self.waiting.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;
    use mainframe_core::wire::Frame;

    #[test]
    fn a_widener_asks_everyone_in_the_region_for_all_it_may_ask() {
        let mut rig = Rig::of(Widener::default());
        let near = rig.near_cell();
        rig.hears(0, rig.cell_frame(near.clone(), None));
        rig.wait(AFTER_MS - 1);
        let mut asked = 0;
        for (to, said) in rig.wait(1) {
            if let Frame::Cell(frame) = said
                && frame.custody_nonce == u32::MAX
            {
                let bits = rig.proximity(&to) + 1;
                assert_eq!(frame.responsibility, Some(Luminosity::at_most(bits)));
                asked += 1;
            }
        }
        assert_eq!(asked, rig.peers_in(&near));
    }
}
