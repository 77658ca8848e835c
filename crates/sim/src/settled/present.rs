//! Who is there, in the order of addresses: counting and drawing among those who share some bits.

use std::ops::Range;

/// The first 128 bits of an address: no two relays of a network agree in them.
pub(super) type Head = u128;

/// A set of nodes that grows, over a list of all that will ever be in it.
pub(super) struct Present {
    /// Every node that will be there, by address.
    sorted: Vec<(Head, u32)>,
    /// Where each node stands in that list.
    places: Vec<usize>,
    /// Sums over ranges whose lengths are powers of two (Fenwick 1994), of the places that are taken.
    sums: Vec<u32>,
}

impl Present {
    /// Nobody is there yet of these.
    pub(super) fn new(heads: &[Head], members: &[u32]) -> Present {
        let mut sorted: Vec<(Head, u32)> = members.iter().map(|node| (heads[*node as usize], *node)).collect();
        sorted.sort_unstable();
        let mut places = vec![0; heads.len()];
        sorted.iter().enumerate().for_each(|(place, (_, node))| places[*node as usize] = place);
        Present { sums: vec![0; sorted.len() + 1], sorted, places }
    }

    pub(super) fn add(&mut self, node: u32) {
        let mut at = self.places[node as usize] + 1;
        while at < self.sums.len() {
            self.sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    /// The places of all who share `bits` bits with an address.
    pub(super) fn sharing(&self, head: Head, bits: u32) -> Range<usize> {
        let rest = if bits >= 128 { 0 } else { Head::MAX >> bits };
        let start = self.sorted.partition_point(|(other, _)| *other < head & !rest);
        let end = self.sorted.partition_point(|(other, _)| *other <= head | rest);
        start..end
    }

    /// How many of these places are taken.
    pub(super) fn count(&self, places: &Range<usize>) -> usize {
        (self.before(places.end) - self.before(places.start)) as usize
    }

    /// Who is the `rank`-th, from zero, in these places; there are more than that.
    pub(super) fn at(&self, places: &Range<usize>, rank: usize) -> u32 {
        let mut left = self.before(places.start) + rank as u32;
        let mut place = 0;
        let mut step = self.sums.len().next_power_of_two() / 2;
        while step > 0 {
            if place + step < self.sums.len() && self.sums[place + step] <= left {
                place += step;
                left -= self.sums[place];
            }
            step /= 2;
        }
        self.sorted[place].1
    }

    /// Everyone in these places who is there.
    pub(super) fn all(&self, places: &Range<usize>) -> Vec<u32> {
        (0..self.count(places)).map(|rank| self.at(places, rank)).collect()
    }

    fn before(&self, place: usize) -> u32 {
        let (mut at, mut sum) = (place, 0);
        while at > 0 {
            sum += self.sums[at];
            at -= at & at.wrapping_neg();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_and_drawing_see_only_who_is_there() {
        let heads: Vec<Head> = [0x80, 0x40, 0xC0, 0x10, 0xE0].map(|first: Head| first << 120).to_vec();
        let mut present = Present::new(&heads, &[0, 1, 2, 3, 4]);
        [0, 2, 3].into_iter().for_each(|node| present.add(node));
        let upper = present.sharing(heads[4], 1);
        assert_eq!(present.count(&upper), 2);
        assert_eq!(present.all(&upper), [0, 2]);
        assert_eq!(present.all(&present.sharing(0, 0)), [3, 0, 2]);
        assert_eq!(present.all(&present.sharing(heads[4], 3)), [] as [u32; 0]);
    }
}
