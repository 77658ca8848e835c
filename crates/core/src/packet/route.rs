//! Who could take a packet over next? Pure: sees the prefix and our neighbours, never the contents.
//!
//! It does not know whether we could open the packet, so receiver and bystander choose alike (whitepaper 暗路由).

use std::cmp::Reverse;

use mainframe_base::{LinkKey, Luminosity, Prefix};
use rand_core::Rng;

use crate::neighbours::Neighbours;

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

/// The relays that may take the packet over, best first: closest to the region, equals in random order.
pub(super) fn candidates(aim: Aim, prefix: &Prefix, neighbours: &Neighbours, rng: &mut impl Rng) -> Vec<LinkKey> {
    match aim {
        Aim::Copy { to, .. } => vec![to],
        Aim::Delegate(responsibility) => {
            let bin = neighbours.bin(responsibility.bits().saturating_sub(1));
            in_order(bin.iter().map(|relay| (0, rng.next_u32(), relay.key)))
        }
        Aim::Route { .. } => {
            let closer = neighbours.closer_to(prefix);
            in_order(closer.map(|relay| (prefix.proximity(&relay.address), rng.next_u32(), relay.key)))
        }
    }
}

fn in_order(ranked: impl Iterator<Item = (u16, u32, LinkKey)>) -> Vec<LinkKey> {
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_unstable_by_key(|(proximity, lot, _)| (Reverse(*proximity), *lot));
    ranked.into_iter().map(|(_, _, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Address;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

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
            let hops = candidates(Aim::Route { standby: false }, &prefix, &neighbours(me, others), &mut rng);
            assert_eq!(hops, expected.iter().map(|first| LinkKey([*first; 32])).collect::<Vec<_>>());
        }
    }
}
