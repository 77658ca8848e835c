//! Swarm's postal service (ethersphere/swarm at cf4cefbd, pss/pss.go, `forward` and `handlePssMsg`).
//!
//! Every node that meets a message for the first time forwards it, a possible receiver too, since it cannot open it:
//!
//! - The partial address is filled up with zeros. The *threshold* is the least of: the proximity of that address to
//!   us, our neighbourhood depth, the number of bits given.
//! - If the threshold is below both the depth and the number of bits, we are outside: one peer gets the message, the
//!   closest to the address, and of those equally close the one used least.
//! - Otherwise we are inside: every connected peer whose proximity to the address is at least the threshold gets it,
//!   the one it came from too. If there is no such peer, the next closest bin gets it.
//! - A digest of the message is remembered for 30 s; who remembers it ignores the message. Ours lives as long as the
//!   guise: in a run no copy is under way that long.
//!
//! Swarm gives addresses in whole bytes; we let it give any number of bits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mainframe_base::{ADDRESS_BITS, LinkKey, Luminosity, Proximity};
use mainframe_core::neighbours::Neighbour;

use super::guise::{Rule, Share};

/// The rule, and how often each peer was used.
#[derive(Default)]
pub(super) struct Pss {
    uses: BTreeMap<LinkKey, u64>,
}

impl Rule for Pss {
    fn copies(&mut self, share: &Share<'_>) -> Vec<(LinkKey, Luminosity)> {
        let to = share.cell.destination().first_address();
        let threshold = Threshold::of(share);
        let mut peers: Vec<(Proximity, &Neighbour)> =
            share.neighbours.all().iter().map(|peer| (to.proximity(&peer.address), peer)).collect();
        peers.sort_by_key(|(proximity, peer)| (Reverse(*proximity), self.uses_of(&peer.key), peer.address));
        let mut chosen = Vec::new();
        for bin in peers.chunk_by(|one, other| one.0 == other.0) {
            let proximity = bin[0].0;
            if proximity < threshold.bits && !chosen.is_empty() {
                break;
            }
            let suffices = threshold.once || proximity == ADDRESS_BITS;
            let most = if suffices { 1 } else { bin.len() };
            chosen.extend(bin.iter().take(most).map(|(_, peer)| peer.key));
            if suffices {
                break;
            }
        }
        for peer in &chosen {
            *self.uses.entry(*peer).or_default() += 1;
        }
        let bits = share.cell.destination().luminosity();
        chosen.into_iter().map(|peer| (peer, bits)).collect()
    }
}

impl Pss {
    fn uses_of(&self, peer: &LinkKey) -> u64 {
        self.uses.get(peer).copied().unwrap_or(0)
    }
}

struct Threshold {
    bits: Proximity,
    once: bool,
}

impl Threshold {
    fn of(share: &Share<'_>) -> Threshold {
        let destination = share.cell.destination();
        let (given, depth) = (destination.luminosity().bits(), share.neighbours.depth());
        let bits = destination.first_address().proximity(share.neighbours.me()).min(depth).min(given);
        let once = bits < given && bits < depth;
        Threshold { bits: bits + Proximity::from(once), once }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::traffic::random_cell;
    use mainframe_base::{Address, Prefix, Time};
    use mainframe_core::neighbours::Neighbours;

    fn address(first: u8) -> Address {
        let mut bytes = [0; 32];
        bytes[0] = first;
        Address(bytes)
    }

    /// First bytes of the addresses that get a copy from `me` of a packet to the region 1110.
    fn copies(rule: &mut Pss, me: u8, depth: Proximity, others: &[u8]) -> Vec<u8> {
        let region = Prefix::of(&address(0b1110_0000), Luminosity::at_most(4));
        let cell = random_cell(region, Moment(0), &mut crate::dice::Dice::new(1, "test"));
        let relays = others.iter().map(|first| (LinkKey([*first; 32]), address(*first)));
        let neighbours = Neighbours::new(address(me), depth, relays);
        let share = Share {
            now: Time(0),
            cell: &cell,
            from: Some(LinkKey([0b1110_0111; 32])),
            responsibility: Luminosity::at_most(4),
            neighbours: &neighbours,
        };
        rule.copies(&share).into_iter().map(|(peer, _)| peer.0[0]).collect()
    }

    #[test]
    fn outside_the_region_one_peer_gets_the_message_the_closest_and_least_used() {
        let others = [0b1100_0000, 0b1110_1000, 0b1110_1001, 0b1000_0000];
        let mut rule = Pss::default();
        let chosen: Vec<Vec<u8>> = (0..3).map(|_| copies(&mut rule, 0b0000_0000, 5, &others)).collect();
        assert_eq!(chosen, [[0b1110_1000], [0b1110_1001], [0b1110_1000]]);
    }

    #[test]
    fn inside_the_region_every_matching_peer_gets_it_the_sender_too() {
        let others = [0b1110_0111, 0b1110_1000, 0b1111_0000, 0b0000_0000];
        let chosen = copies(&mut Pss::default(), 0b1110_0000, 5, &others);
        assert_eq!(chosen, [0b1110_0111, 0b1110_1000]);
    }

    #[test]
    fn a_neighbourhood_wider_than_the_region_is_flooded_as_a_whole() {
        let others = [0b1110_1000, 0b1111_1000, 0b1101_0000, 0b0000_0000];
        for me in [0b1110_0000, 0b1111_0000] {
            assert_eq!(copies(&mut Pss::default(), me, 3, &others), [0b1110_1000, 0b1111_1000]);
        }
    }

    #[test]
    fn where_nobody_matches_the_next_closest_bin_gets_it() {
        let others = [0b1100_0000, 0b1101_0000, 0b0000_0000];
        assert_eq!(copies(&mut Pss::default(), 0b1110_0000, 5, &others), [0b1100_0000, 0b1101_0000]);
    }
}
