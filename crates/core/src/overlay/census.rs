//! Counting the relays of one region, piece by piece (docs/protocol/overlay.md §10).
//!
//! A region is cut into pieces; whoever finds the relays closest to an address inside a piece has counted the longest
//! prefix around it that they fill, and leaves the rest of the piece open, as smaller pieces.

use mainframe_base::{Address, Luminosity, Prefix};

/// Look-ups of one census. Each counts about a dozen relays, so that regions of up to about 150 are counted whole; of
/// a larger one the size is known to 8 % anyhow, once the network's is.
const LOOKUPS_MAX: u8 = 16;
/// Pieces smaller than this are not told apart: nothing stands there.
const BITS_MAX: u16 = 254;

/// The count under way.
#[derive(Clone, Debug)]
pub(super) struct Census {
    region: Prefix,
    /// Pieces nobody looked at yet; together with what is counted, and what is being looked at, they are the region.
    open: Vec<Prefix>,
    counted: u64,
    lookups_left: u8,
}

impl Census {
    pub(super) fn of(region: Prefix) -> Census {
        Census { region, open: vec![region], counted: 0, lookups_left: LOOKUPS_MAX }
    }

    pub(super) fn region(&self) -> Prefix {
        self.region
    }

    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// Counts what is known without asking: all relays of `covered`.
    pub(super) fn count_known<'a>(&mut self, covered: Prefix, relays: impl Iterator<Item = &'a Address>) {
        let Some(at) = self.open.iter().position(|piece| overlap(piece, &covered)) else { return };
        let piece = self.open.swap_remove(at);
        self.count(piece, covered, relays);
    }

    /// The largest open piece, for one more look-up; it is no longer open.
    pub(super) fn next_piece(&mut self) -> Option<Prefix> {
        if self.lookups_left == 0 {
            return None;
        }
        let largest = self.open.iter().enumerate().min_by_key(|(_, piece)| piece.luminosity());
        let at = largest.map(|(at, _)| at)?;
        self.lookups_left -= 1;
        Some(self.open.swap_remove(at))
    }

    /// A look-up inside `piece` found all `relays` of `covered`, a prefix that overlaps the piece.
    pub(super) fn count<'a>(&mut self, piece: Prefix, covered: Prefix, relays: impl Iterator<Item = &'a Address>) {
        self.counted += relays.filter(|relay| piece.matches(relay) && covered.matches(relay)).count() as u64;
        let inside = covered.first_address();
        for bit in piece.luminosity().bits()..covered.luminosity().bits().min(BITS_MAX) {
            self.open.push(Prefix::of(&inside.with_bit_flipped(bit), Luminosity::at_most(bit + 1)));
        }
    }

    /// A look-up inside `piece` found nothing to rely on.
    pub(super) fn give_back(&mut self, piece: Prefix) {
        self.open.push(piece);
    }

    /// Relays expected in what was left open, in thousandths, if the network of `nodes` is as dense there as anywhere.
    pub(super) fn milli_expected(&self, nodes: u64) -> u64 {
        let whole = u128::from(nodes) * 1_000;
        let parts = self.open.iter().map(|piece| whole >> piece.luminosity().bits().min(127));
        u64::try_from(parts.sum::<u128>()).unwrap_or(u64::MAX)
    }
}

fn overlap(one: &Prefix, other: &Prefix) -> bool {
    one.matches(&other.first_address()) || other.matches(&one.first_address())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn address(first: u8) -> Address {
        let mut address = Address([0; 32]);
        address.0[0] = first;
        address
    }

    #[test]
    fn a_look_up_inside_a_piece_leaves_the_rest_of_it_open() {
        let mut census = Census::of(prefix("10"));
        let piece = census.next_piece().unwrap();
        census.count(piece, prefix("10110"), [address(0b1011_0111), address(0b1000_0000)].iter());
        assert_eq!(census.counted(), 1, "the other may not be the only one of its piece");
        let mut open: Vec<String> = census.open.iter().map(Prefix::to_string).collect();
        open.sort();
        assert_eq!(open, ["100", "1010", "10111"]);
        assert_eq!(census.milli_expected(64), (8 + 4 + 2) * 1_000);
        assert_eq!(census.next_piece(), Some(prefix("100")), "the largest first");
    }

    #[test]
    fn what_covers_the_region_counts_no_one_outside() {
        let mut census = Census::of(prefix("101"));
        census.count_known(prefix("10"), [address(0b1010_0000), address(0b1000_0000)].iter());
        assert_eq!((census.counted(), census.milli_expected(1 << 20)), (1, 0));
        assert_eq!(census.next_piece(), None);
    }

    #[test]
    fn a_census_ends_even_where_it_never_comes_to_an_end() {
        let mut census = Census::of(Prefix::EVERYONE);
        let looked = std::iter::from_fn(|| census.next_piece().inspect(|piece| census.give_back(*piece))).count();
        assert_eq!(looked, usize::from(LOOKUPS_MAX));
        assert_eq!(census.milli_expected(5), 5_000);
    }

    proptest! {
        #[test]
        fn counted_and_open_pieces_are_the_region_again(bits in 0u16..20, deeper in 0u16..20, inside: [u8; 32]) {
            let region = Prefix::of(&Address(inside), Luminosity::at_most(bits));
            let covered = Prefix::of(&Address(inside), Luminosity::at_most(bits + deeper));
            let mut census = Census::of(region);
            let piece = census.next_piece().unwrap();
            census.count(piece, covered, std::iter::empty());
            let share = |prefix: &Prefix| 1u64 << (63 - prefix.luminosity().bits());
            prop_assert_eq!(census.open.iter().map(share).sum::<u64>() + share(&covered), share(&region));
        }
    }
}
