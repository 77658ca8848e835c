//! The closed form of a packet's cost.

use mainframe_base::Luminosity;

use super::scale::{milli_log2, read_off};
use crate::wire::{BudgetClass, FRAME_HEADER_LENGTH, SizeClass};

/// Hops to one node, in thousandths: 200 + 203 × bits that tell all relays apart. A line through 2.23, 2.90 and 3.58
/// hops among 1,000, 10,000 and 100,000 (protocol research §3.2, eight balanced relays a bin).
const MILLI_HOPS_BASE: u64 = 200;
const MILLI_HOPS_PER_BIT: u64 = 203;

/// Transmissions of both entries of a dark packet until they stand in its region, in thousandths for each bit. The
/// second entry takes a first hop that is not the best, and one frame in a hundred is sent again. Fitted to
/// `sim run dark-routing --packets 300 --seed 7` with 500, 1,000 and 2,000 nodes at 2 to 8 bits: 1.0 to 4.5.
const MILLI_ENTRIES_PER_BIT: u64 = 540;

/// Copies sent for each further relay of the region, in thousandths, by how many in a thousand relays drop silently:
/// lost copies and lost receipts are sent again; what a dropper should have passed on is pulled, and its own copy is
/// sent in vain until patience ends. The same runs, honest: 1.028 to 1.035 at 1 to 5 bits, 1.067 at none; with droppers,
/// 500 nodes at 3 bits: 1.17, 1.275, 1.34, 1.35; with a tenth, 1,000 at 3 and 2,000 at 4 bits: 1.26 and 1.33.
const MILLI_REPAIR: [(u64, u64); 5] = [(0, 1_030), (50, 1_170), (100, 1_290), (200, 1_340), (300, 1_350)];

/// Budget class 0 allows so many transmissions; each class above doubles it, the last has no limit.
const BUDGET_TRANSMISSIONS_MIN: u64 = 4;

/// What one packet is expected to cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Relays expected in the region, the receiver's included; at least 1.
    pub region_relays: u64,
    /// Cells expected on all links together, in thousandths.
    pub milli_transmissions: u64,
    /// Bytes expected on all links together, frame headers included.
    pub bytes: u64,
}

/// The network a packet travels through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its relays.
    pub relays: u64,
    /// How many in a thousand of them drop packets silently.
    pub droppers_per_mille: u64,
}

/// Relays expected around a receiver who tells so many bits, in thousandths, himself included.
pub fn milli_region(relays: u64, luminosity: Luminosity) -> u64 {
    let others = u128::from(relays.saturating_sub(1)) * 1_000;
    let near = others >> luminosity.bits().min(127);
    u64::try_from(near).unwrap_or(u64::MAX).saturating_add(1_000)
}

/// The expected cost of one packet in a network of so many honest relays.
pub fn quote(relays: u64, luminosity: Luminosity, size_class: SizeClass) -> Quote {
    let network = Network { relays, droppers_per_mille: 0 };
    quote_region(&network, luminosity, milli_region(relays, luminosity), size_class)
}

/// The expected cost of one packet to a region of which the size is known, in thousandths of relays.
pub fn quote_region(network: &Network, luminosity: Luminosity, milli_region: u64, size_class: SizeClass) -> Quote {
    let repair = read_off(&MILLI_REPAIR, network.droppers_per_mille);
    let spread = u128::from(milli_region.saturating_sub(1_000)) * u128::from(repair) / 1_000;
    let spread = u64::try_from(spread).unwrap_or(u64::MAX);
    let milli_transmissions = milli_entries(network.relays, luminosity).saturating_add(spread);
    let frame = (FRAME_HEADER_LENGTH + size_class.cell_length()) as u64;
    Quote {
        region_relays: (milli_region / 1_000).max(1),
        milli_transmissions,
        bytes: milli_transmissions.saturating_mul(frame) / 1_000,
    }
}

/// How many transmissions a budget class allows; none is no limit.
pub fn budget_transmissions(class: BudgetClass) -> Option<u64> {
    (class < BudgetClass::MAX).then(|| BUDGET_TRANSMISSIONS_MIN << class.number())
}

/// The smallest budget class that allows twice what is expected, for repair where many relays misbehave.
pub fn budget_for(quote: &Quote) -> BudgetClass {
    let needed = quote.milli_transmissions.saturating_mul(2).div_ceil(1_000);
    (0..=BudgetClass::MAX.number())
        .filter_map(BudgetClass::new)
        .find(|class| budget_transmissions(*class).is_none_or(|allowed| allowed >= needed))
        .unwrap_or(BudgetClass::MAX)
}

/// Hops of the first copy to the region, in thousandths.
pub(super) fn milli_hops(relays: u64, luminosity: Luminosity) -> u64 {
    match milli_bits(relays, luminosity) {
        0 => 0,
        bits => MILLI_HOPS_BASE + MILLI_HOPS_PER_BIT * bits / 1_000,
    }
}

/// Transmissions until the packet stands in its region: a full address is entered once, a dark region at two points.
fn milli_entries(relays: u64, luminosity: Luminosity) -> u64 {
    if luminosity == Luminosity::FULL {
        return milli_hops(relays, luminosity);
    }
    MILLI_ENTRIES_PER_BIT * milli_bits(relays, luminosity) / 1_000
}

/// Bits to be resolved, in thousandths: no more than tell all relays apart.
fn milli_bits(relays: u64, luminosity: Luminosity) -> u64 {
    (u64::from(luminosity.bits()) * 1_000).min(milli_log2(relays))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn milli(relays: u64, bits: u16) -> u64 {
        quote(relays, Luminosity::at_most(bits), SizeClass::T).milli_transmissions
    }

    #[test]
    fn a_full_address_costs_its_hops_and_a_broadcast_costs_everyone() {
        assert!((2_200..=2_240).contains(&milli(1_000, 256)), "{}", milli(1_000, 256));
        assert_eq!(milli(1_000, 0), 999 * 1_030);
        assert_eq!(milli(1, 256), 0);
    }

    #[test]
    fn one_bit_more_halves_the_region() {
        assert_eq!(milli_region(2_001, Luminosity::at_most(3)), 251_000);
        assert_eq!(milli_region(2_001, Luminosity::at_most(4)), 126_000);
        assert_eq!(milli_region(2_001, Luminosity::at_most(200)), 1_000);
        assert_eq!(milli_region(0, Luminosity::DARKEST), 1_000);
    }

    #[test]
    fn droppers_make_a_packet_dearer() {
        let at = |droppers_per_mille| {
            let network = Network { relays: 1_000, droppers_per_mille };
            quote_region(&network, Luminosity::at_most(3), 126_000, SizeClass::T).milli_transmissions
        };
        assert!(at(0) < at(50) && at(50) < at(75) && at(75) < at(100) && at(300) <= at(900));
    }

    proptest! {
        #[test]
        fn the_budget_covers_the_quote_twice_and_nothing_overflows(relays: u64, bits: u8) {
            let quote = quote(relays, Luminosity::from_byte(bits), SizeClass::B);
            if let Some(allowed) = budget_transmissions(budget_for(&quote)) {
                prop_assert!(allowed * 1_000 >= quote.milli_transmissions * 2);
            }
        }

        #[test]
        fn brighter_never_costs_much_more(relays in 2u64..1_000_000, bits in 0u16..254) {
            prop_assert!(milli(relays, bits + 1) <= milli(relays, bits) + MILLI_ENTRIES_PER_BIT);
        }
    }
}
