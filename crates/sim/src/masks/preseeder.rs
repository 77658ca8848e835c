//! Who makes others believe that they have been served.

use bytes::Bytes;
use mainframe_base::{LinkKey, Luminosity};

use super::liar::{Hand, Lie, Remembered, read_cell};

/// Gives everyone it knows in a packet's region a copy that grants nothing, and answers for no part itself (review P13):
/// whoever has a copy waits for none and pulls none, so that the digests which should fill its hole are answered by
/// "I have it", and nobody spreads the subtree that the liar had taken over.
#[derive(Default, Debug)]
pub struct Preseeder {
    seeded: Remembered,
}

impl Lie for Preseeder {
    fn hears(&mut self, hand: &mut Hand<'_>, from: LinkKey, frame: &Bytes) -> bool {
        let Some(frame) = read_cell(frame) else { return true };
        if !frame.cell.destination().matches(hand.relay.neighbours().me()) {
            return true;
        }
        hand.take_over(from, frame.custody_nonce);
        if self.seeded.add(frame.cell.id()) {
            for peer in hand.region_peers(&frame.cell) {
                hand.share(peer.key, &frame.cell, Luminosity::FULL);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;
    use mainframe_core::wire::Frame;

    #[test]
    fn a_preseeder_gives_the_region_copies_that_grant_nothing_and_nobody_a_share() {
        let mut rig = Rig::of(Preseeder::default());
        let near = rig.near_cell();
        let said = rig.hears(0, rig.cell_frame(near.clone(), None));
        let copies: Vec<_> = said
            .iter()
            .filter_map(|(_, said)| if let Frame::Cell(frame) = said { Some(frame.responsibility) } else { None })
            .collect();
        assert_eq!(copies, vec![Some(Luminosity::FULL); rig.peers_in(&near)]);
        assert!(rig.hears(1, rig.cell_frame(near, None)).iter().all(|(_, said)| matches!(said, Frame::Custody(_))));
        let later = rig.wait(30_000);
        assert!(later.iter().all(|(_, said)| !matches!(said, Frame::Cell(_) | Frame::Digest(_))), "{later:?}");
    }
}
