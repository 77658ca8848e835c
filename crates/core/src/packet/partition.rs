//! How a region is divided: who answers for which part of it (docs/protocol/packet.md §5).
//!
//! Pure. A node that answers for its own prefix of `responsibility` bits hands each sibling subtree between there and
//! its depth to one delegate, and gives every relay of what remains, its neighbourhood, a copy of its own. When all
//! tables are complete every relay of the region gets the packet exactly once.

use mainframe_base::{Luminosity, Proximity};

use crate::neighbours::{Neighbour, Neighbours};

/// One sibling subtree: any one of these relays can answer for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Subtree<'a> {
    /// Length of the prefix the delegate answers for.
    pub(super) responsibility: Luminosity,
    /// The relays we know in it; may be empty.
    pub(super) candidates: &'a [Neighbour],
}

/// The sibling subtrees of our prefixes of `responsibility` up to `answered` bits, but none deeper than our depth.
pub(super) fn subtrees(
    neighbours: &Neighbours,
    responsibility: Luminosity,
    answered: Proximity,
) -> impl Iterator<Item = Subtree<'_>> {
    let end = neighbours.depth().min(answered);
    (responsibility.bits()..end)
        .map(|bin| Subtree { responsibility: Luminosity::at_most(bin + 1), candidates: neighbours.bin(bin) })
}

/// The part of our prefix of `responsibility` bits in which everyone gets a copy from us.
pub(super) fn neighbourhood(neighbours: &Neighbours, responsibility: Luminosity) -> &[Neighbour] {
    neighbours.within(neighbours.depth().max(responsibility.bits()))
}

/// What a copy from a relay of the region asks of us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// To answer for our prefix of this many bits.
    Answer(Luminosity),
    /// To keep our own copy; the sender answers for more than our subtree by itself.
    Keep,
}

/// Nobody in the region can make us answer for more than our own side of where our paths part: a responsibility
/// shorter than `proximity + 1` is the mark of a neighbourhood copy and grants nothing.
pub(super) fn asked(proximity_of_sender: Proximity, responsibility: Luminosity) -> Asked {
    if responsibility.bits() > proximity_of_sender && responsibility != Luminosity::FULL {
        Asked::Answer(responsibility)
    } else {
        Asked::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{Address, LinkKey, Prefix};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A network in which every node knows everyone in its neighbourhood and `per_bin` relays of each shallower bin.
    fn tables(addresses: &[Address], per_bin: usize, neighbourhood_min: usize) -> BTreeMap<Address, Neighbours> {
        let table = |me: &Address| {
            let shared =
                |bits: u16| addresses.iter().filter(|other| me.proximity(other) >= bits && *other != me).count();
            let depth = (0..256).take_while(|bits| shared(*bits) >= neighbourhood_min).last().unwrap_or(0);
            let mut bins: BTreeMap<u16, usize> = BTreeMap::new();
            let known = addresses.iter().filter(|other| *other != me).filter(|other| {
                let bin = me.proximity(other);
                let count = bins.entry(bin).or_default();
                *count += 1;
                bin >= depth || *count <= per_bin
            });
            Neighbours::new(*me, depth, known.map(|address| (LinkKey(address.0), *address)))
        };
        addresses.iter().map(|address| (*address, table(address))).collect()
    }

    /// Walks the partition from one entry and counts the copies each node gets.
    fn spread(
        tables: &BTreeMap<Address, Neighbours>,
        entry: Address,
        region: Prefix,
        pick: usize,
    ) -> BTreeMap<Address, u32> {
        let mut copies = BTreeMap::from([(entry, 0)]);
        let mut work = vec![(entry, region.luminosity())];
        while let Some((node, responsibility)) = work.pop() {
            let neighbours = &tables[&node];
            for subtree in subtrees(neighbours, responsibility, 256) {
                if let Some(delegate) = subtree.candidates.get(pick % subtree.candidates.len().max(1)) {
                    *copies.entry(delegate.address).or_default() += 1;
                    assert_eq!(
                        asked(delegate.proximity, subtree.responsibility),
                        Asked::Answer(subtree.responsibility)
                    );
                    work.push((delegate.address, subtree.responsibility));
                }
            }
            for neighbour in self::neighbourhood(neighbours, responsibility) {
                *copies.entry(neighbour.address).or_default() += 1;
            }
        }
        copies
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_partition_covers_a_prefix_exactly_once(
            addresses in prop::collection::btree_set(any::<[u8; 32]>().prop_map(Address), 30..250),
            luminosity in 0u16..5, pick: usize, at: prop::sample::Index,
        ) {
            let addresses: Vec<Address> = addresses.into_iter().collect();
            let entry = addresses[at.index(addresses.len())];
            let region = Prefix::of(&entry, Luminosity::at_most(luminosity));
            let copies = spread(&tables(&addresses, 3, 8), entry, region, pick);
            for address in &addresses {
                let expected = match region.matches(address) {
                    true if *address == entry => Some(0),
                    true => Some(1),
                    false => None,
                };
                prop_assert_eq!(copies.get(address).copied(), expected);
            }
        }
    }

    #[test]
    fn a_neighbourhood_copy_grants_no_responsibility_and_a_delegation_does() {
        let bits = Luminosity::at_most;
        assert_eq!(asked(4, bits(5)), Asked::Answer(bits(5)));
        assert_eq!(asked(4, bits(9)), Asked::Answer(bits(9)));
        assert_eq!(asked(4, bits(4)), Asked::Keep);
        assert_eq!(asked(4, bits(0)), Asked::Keep);
        assert_eq!(asked(4, Luminosity::FULL), Asked::Keep);
    }
}
