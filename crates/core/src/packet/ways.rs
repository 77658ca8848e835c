//! Over whom does each region of a list go? Pure, as `route`: sees prefixes and our neighbours, never the contents.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mainframe_base::{LinkKey, Prefix};
use rand_core::Rng;

use crate::neighbours::Neighbours;

/// One next hop and what goes over it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Way<Standing> {
    /// Whom, and how he stands; none for regions that nobody may be asked for.
    pub(super) hop: Option<(LinkKey, Standing)>,
    /// The regions, in the list's order.
    pub(super) targets: Vec<Prefix>,
}

/// Divides the regions among next hops, each of which is as good for its regions as [`super::route::Options::best`] would have
/// chosen: the least standing, then the closest. Where several are equally good, the one that is so for most regions is taken,
/// so that as few copies as possible leave; among equals any.
pub(super) fn ways<Standing: Ord + Copy>(
    targets: &[Prefix],
    neighbours: &Neighbours,
    rng: &mut impl Rng,
    standing: impl Fn(&LinkKey) -> Option<Standing>,
) -> Vec<Way<Standing>> {
    let mut left: Vec<(Prefix, Vec<(LinkKey, Standing)>)> =
        targets.iter().map(|target| (*target, equally_good(target, neighbours, &standing))).collect();
    let mut lots = BTreeMap::new();
    for (hop, _) in left.iter().flat_map(|(_, hops)| hops) {
        lots.entry(*hop).or_insert_with(|| rng.next_u32());
    }
    let mut ways = Vec::new();
    while !left.is_empty() {
        let hop = good_for_most(&left, &lots);
        let goes = |(_, hops): &(Prefix, Vec<(LinkKey, Standing)>)| match hop {
            Some(hop) => hops.contains(&hop),
            None => true,
        };
        let (going, staying) = left.into_iter().partition(goes);
        left = staying;
        ways.push(Way { hop, targets: going.into_iter().map(|(target, _)| target).collect() });
    }
    ways
}

/// The relays none of which is better than another for this region.
fn equally_good<Standing: Ord + Copy>(
    target: &Prefix,
    neighbours: &Neighbours,
    standing: impl Fn(&LinkKey) -> Option<Standing>,
) -> Vec<(LinkKey, Standing)> {
    let ranked: Vec<_> = neighbours
        .closer_to(target)
        .filter_map(|relay| Some(((standing(&relay.key)?, Reverse(target.proximity(&relay.address))), relay.key)))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    ranked.into_iter().filter(|(rank, _)| Some(*rank) == best).map(|((standing, _), key)| (key, standing)).collect()
}

fn good_for_most<Standing: Ord + Copy>(
    left: &[(Prefix, Vec<(LinkKey, Standing)>)],
    lots: &BTreeMap<LinkKey, u32>,
) -> Option<(LinkKey, Standing)> {
    let mut counts: BTreeMap<(LinkKey, Standing), usize> = BTreeMap::new();
    for hop in left.iter().flat_map(|(_, hops)| hops) {
        *counts.entry(*hop).or_default() += 1;
    }
    counts.into_iter().max_by_key(|((key, _), count)| (*count, lots[key])).map(|(hop, _)| hop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{Address, Luminosity};
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    fn address(first: u8) -> Address {
        let mut bytes = [0; 32];
        bytes[0] = first;
        Address(bytes)
    }

    fn region(first: u8, bits: u16) -> Prefix {
        Prefix::of(&address(first), Luminosity::at_most(bits))
    }

    fn neighbours(others: &[u8]) -> Neighbours {
        Neighbours::new(address(0), 3, others.iter().map(|first| (LinkKey([*first; 32]), address(*first))))
    }

    fn hops<Standing: Ord + Copy>(
        targets: &[Prefix],
        others: &[u8],
        standing: impl Fn(&LinkKey) -> Option<Standing>,
    ) -> BTreeMap<Option<u8>, Vec<Prefix>> {
        let ways = ways(targets, &neighbours(others), &mut ChaCha8Rng::seed_from_u64(1), standing);
        ways.into_iter().map(|way| (way.hop.map(|(key, _)| key.0[0]), way.targets)).collect()
    }

    #[test]
    fn regions_with_one_best_hop_go_together_and_others_apart() {
        let targets = [region(0x40, 2), region(0x90, 4), region(0xA0, 4), region(0xC0, 2)];
        let [one, two, three, four] = targets;
        let found = hops(&targets, &[0x50, 0x88, 0xE0], |_| Some(()));
        assert_eq!(
            found,
            BTreeMap::from([(Some(0x50), vec![one]), (Some(0x88), vec![two, three]), (Some(0xE0), vec![four])])
        );
    }

    #[test]
    fn of_equally_good_hops_the_one_that_serves_most_regions_is_taken() {
        let targets = [region(0x84, 6), region(0x88, 6), region(0x8C, 6)];
        for seed in 0..50 {
            let others = neighbours(&[0x80, 0x81, 0xF0]);
            let ways = ways(&targets, &others, &mut ChaCha8Rng::seed_from_u64(seed), |_| Some(()));
            assert_eq!(ways.len(), 1, "0x80 and 0x81 are equals for all three");
        }
    }

    #[test]
    fn standing_counts_before_closeness_and_where_nobody_may_be_asked_there_is_no_hop() {
        let targets = [region(0x40, 2), region(0x88, 6)];
        let found = hops(&targets, &[0x50, 0x88, 0xF0], |relay| (relay.0[0] != 0x50).then_some(relay.0[0] == 0x88));
        assert_eq!(found, BTreeMap::from([(None, vec![targets[0]]), (Some(0xF0), vec![targets[1]])]));
    }

    proptest! {
        #[test]
        fn every_region_goes_once_and_comes_closer(
            me: u8, others in prop::collection::btree_set(any::<u8>(), 1..40), numbers in prop::collection::btree_set(0u8..64, 1..40),
            seed: u64,
        ) {
            let targets: Vec<Prefix> = numbers.iter().map(|number| region(number << 2, 6)).collect();
            let table = others.iter().filter(|other| **other != me).map(|first| (LinkKey([*first; 32]), address(*first)));
            let neighbours = Neighbours::new(address(me), 3, table);
            let outside: Vec<Prefix> = targets.into_iter().filter(|target| !neighbours.is_inside(target)).collect();
            let ways = ways(&outside, &neighbours, &mut ChaCha8Rng::seed_from_u64(seed), |_| Some(()));
            let mut gone: Vec<Prefix> = ways.iter().flat_map(|way| way.targets.clone()).collect();
            gone.sort();
            prop_assert_eq!(gone, outside);
            for way in &ways {
                for target in &way.targets {
                    let ours = target.proximity(neighbours.me());
                    match way.hop {
                        Some((key, ())) => prop_assert!(target.proximity(&address(key.0[0])) > ours),
                        None => prop_assert_eq!(neighbours.closer_to(target).count(), 0),
                    }
                }
            }
        }
    }
}
