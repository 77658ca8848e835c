//! Who could take a packet over next? Pure: sees the prefix and our neighbours, never the contents.
//!
//! It does not know whether we could open the packet, so receiver and bystander choose alike (whitepaper 暗路由).

use std::cmp::Reverse;

use mainframe_base::{LinkKey, Luminosity, Prefix};
use rand_core::Rng;

use crate::neighbours::{Neighbour, Neighbours};

/// What a hand-over is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aim {
    /// Closer to the region; `standby` marks the second, waiting copy.
    Route {
        /// Whether this is the copy that waits at the region.
        standby: bool,
    },
    /// Somebody who answers for the sibling subtree of this prefix length.
    Delegate(Luminosity),
    /// This relay and no other: its own copy.
    Copy {
        /// The relay.
        to: LinkKey,
        /// What the copy says we answer for.
        responsibility: Luminosity,
        /// Whether it asked for it.
        pulled: bool,
    },
}

/// Among whom the next hop of a packet is chosen.
pub(super) struct Options<'a> {
    pub(super) aim: Aim,
    pub(super) prefix: &'a Prefix,
    pub(super) neighbours: &'a Neighbours,
}

impl Options<'_> {
    /// The relay of the least standing that may take the packet over; among equals the closest to the region; among
    /// these any. Who has no standing is passed over.
    pub(super) fn best<Standing: Ord + Copy>(
        &self,
        rng: &mut impl Rng,
        standing: impl Fn(&LinkKey) -> Option<Standing>,
    ) -> Option<(LinkKey, Standing)> {
        let mut rank = |proximity: u16, relay: &Neighbour| {
            let standing = standing(&relay.key)?;
            Some(((standing, Reverse(proximity), rng.next_u32()), relay.key))
        };
        let best = match self.aim {
            Aim::Copy { to, .. } => return Some((to, standing(&to)?)),
            Aim::Delegate(responsibility) => {
                let bin = self.neighbours.bin(responsibility.bits().saturating_sub(1)).iter();
                bin.filter_map(|relay| rank(0, relay)).min_by_key(|(rank, _)| *rank)
            }
            Aim::Route { .. } => {
                let closer = self.neighbours.closer_to(self.prefix);
                let ranked = closer.filter_map(|relay| rank(self.prefix.proximity(&relay.address), relay));
                ranked.min_by_key(|(rank, _)| *rank)
            }
        };
        best.map(|((standing, ..), key)| (key, standing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Address;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;
    use std::collections::BTreeSet;

    fn address(first: u8) -> Address {
        let mut bytes = [0; 32];
        bytes[0] = first;
        Address(bytes)
    }

    fn neighbours(me: u8, others: &[u8]) -> Neighbours {
        Neighbours::new(address(me), 3, others.iter().map(|first| (LinkKey([*first; 32]), address(*first))))
    }

    /// Our address, a destination and its bits, our neighbours, and the expected order of the hops towards it.
    type Row<'a> = (u8, u8, u16, &'a [u8], &'a [u8]);

    #[test]
    fn the_next_hop_is_the_neighbour_closest_to_the_region() {
        let rows: [Row<'_>; 4] = [
            (
                0b0000_0000,
                0b1110_0000,
                3,
                &[0b1000_0000, 0b1110_0000, 0b1100_0000],
                &[0b1110_0000, 0b1100_0000, 0b1000_0000],
            ),
            (0b1100_0000, 0b1110_0000, 3, &[0b0000_0000, 0b1110_0001], &[0b1110_0001]),
            (0b1110_0000, 0b1110_0000, 3, &[0b0000_0000, 0b1110_0001], &[]),
            (0b0000_0000, 0b1110_0000, 0, &[0b1000_0000], &[]),
        ];
        for (me, to, bits, others, expected) in rows {
            let prefix = Prefix::of(&address(to), Luminosity::at_most(bits));
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let (aim, neighbours) = (Aim::Route { standby: false }, neighbours(me, others));
            let options = Options { aim, prefix: &prefix, neighbours: &neighbours };
            let mut hops = Vec::new();
            while let Some((hop, ())) = options.best(&mut rng, |relay| (!hops.contains(relay)).then_some(())) {
                hops.push(hop);
            }
            assert_eq!(hops, expected.iter().map(|first| LinkKey([*first; 32])).collect::<Vec<_>>());
        }
    }

    #[test]
    fn standing_counts_before_closeness_and_equals_are_chosen_by_lot() {
        let (prefix, neighbours) = (Prefix::of(&address(0xFF), Luminosity::FULL), neighbours(0, &[0x80, 0x81, 0xF0]));
        let options = Options { aim: Aim::Route { standby: false }, prefix: &prefix, neighbours: &neighbours };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let chosen: BTreeSet<u8> = (0..50)
            .filter_map(|_| options.best(&mut rng, |relay| Some(relay.0[0] == 0xF0)))
            .map(|(relay, _)| relay.0[0])
            .collect();
        assert_eq!(chosen, BTreeSet::from([0x80, 0x81]));
    }
}
