//! Kadcast (Rohrer and Tschorsch, eprint 2019/876 and 2021/996; dusk-network/kadcast 0.8).
//!
//! A node that got a message with height *h* gives it to β random peers of each of its buckets below *h*, with the
//! bucket's own height; further copies are ignored, so the first one fixes a node's height. Here a height is told as the
//! length of the prefix the peer answers for, and the message begins with the height of its region. In Kadcast's
//! buckets down to the deepest there is no neighbourhood in which everyone gets a copy from one node.
//!
//! Its erasure code against lost datagrams (15 % more bytes) is left out, and so are its bytes.

use mainframe_base::{LinkKey, Luminosity};
use mainframe_core::neighbours::Neighbour;

use super::guise::{Rule, Share};
use crate::dice::Dice;

/// The rule, with its number of delegates β.
pub(super) struct Kadcast {
    delegates: usize,
    dice: Dice,
}

impl Kadcast {
    pub(super) fn new(delegates: usize, dice: Dice) -> Kadcast {
        Kadcast { delegates, dice }
    }
}

impl Rule for Kadcast {
    fn copies(&mut self, share: &Share<'_>) -> Vec<(LinkKey, Luminosity)> {
        let below = share.neighbours.within(share.responsibility.bits());
        let mut copies = Vec::new();
        for bucket in below.chunk_by(|one, other| one.proximity == other.proximity) {
            let height = Luminosity::at_most(bucket[0].proximity + 1);
            let mut bucket: Vec<&Neighbour> = bucket.iter().collect();
            self.dice.shuffle(&mut bucket);
            copies.extend(bucket.into_iter().take(self.delegates).map(|peer| (peer.key, height)));
        }
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::traffic::random_cell;
    use mainframe_base::{Address, Prefix, Time};
    use mainframe_core::neighbours::Neighbours;

    #[test]
    fn every_bucket_below_the_height_gets_its_delegates_and_its_own_height() {
        let me = Address([0; 32]);
        let relay = |bin: u16, last: u8| {
            let mut address = me.with_bit_flipped(bin);
            address.0[31] = last;
            (LinkKey([bin as u8 * 16 + last; 32]), address)
        };
        let relays = (0..4).flat_map(|bin| (0..5).map(move |last| (bin, last)));
        let neighbours = Neighbours::new(me, 3, relays.map(|(bin, last)| relay(bin, last)));
        let cell = random_cell(Prefix::EVERYONE, Moment(0), &mut Dice::new(1, "test"));
        let share = Share {
            now: Time(0),
            cell: &cell,
            from: None,
            responsibility: Luminosity::at_most(2),
            neighbours: &neighbours,
        };
        let copies = Kadcast::new(3, Dice::new(2, "test")).copies(&share);
        let heights: Vec<(u8, u16)> = copies.iter().map(|(peer, height)| (peer.0[0] / 16, height.bits())).collect();
        assert_eq!(heights, [(2, 3), (2, 3), (2, 3), (3, 4), (3, 4), (3, 4)]);
        let peers: std::collections::BTreeSet<_> = copies.iter().map(|(peer, _)| peer).collect();
        assert_eq!(peers.len(), 6, "nobody is a delegate twice");
    }
}
