//! The closed form of a packet's cost.

use mainframe_base::Luminosity;

use crate::wire::{BudgetClass, FRAME_HEADER_LENGTH, SizeClass};

/// Hops to a region of so many bits, in thousandths: 200 + 203 × bits. A line through 2.23, 2.90 and 3.58 hops to one
/// node of 1,000, 10,000 and 100,000 (protocol research §3.2, eight balanced relays a bin).
const MILLI_HOPS_BASE: u64 = 200;
const MILLI_HOPS_PER_BIT: u64 = 203;

/// A dark packet enters its region at two points.
const ENTRIES: u64 = 2;

/// Copies sent for each relay of a region when all are honest and one frame in a hundred is lost: lost copies and lost
/// receipts are sent again.
const REPAIR_PER_MILLE: u64 = 1_020;

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

/// Relays expected to share a prefix of `luminosity` bits in a network of `relays`, rounded up; at least 1.
pub fn region_relays(relays: u64, luminosity: Luminosity) -> u64 {
    match luminosity.bits() {
        bits @ 0..=63 => relays.div_ceil(1 << bits).max(1),
        _ => 1,
    }
}

/// The expected cost of one packet in a network of `relays`.
pub fn quote(relays: u64, luminosity: Luminosity, size_class: SizeClass) -> Quote {
    let region_relays = region_relays(relays, luminosity);
    let entries = if luminosity == Luminosity::FULL { 1 } else { ENTRIES };
    let spread = (region_relays - 1).saturating_mul(REPAIR_PER_MILLE);
    let milli_transmissions = (entries * milli_hops(relays, luminosity)).saturating_add(spread);
    let frame = (FRAME_HEADER_LENGTH + size_class.cell_length()) as u64;
    Quote { region_relays, milli_transmissions, bytes: milli_transmissions.saturating_mul(frame) / 1_000 }
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

/// Hops to the region: no more bits need to be resolved than tell all relays apart.
fn milli_hops(relays: u64, luminosity: Luminosity) -> u64 {
    let telling_apart = u64::from(u64::BITS - relays.saturating_sub(1).leading_zeros());
    match u64::from(luminosity.bits()).min(telling_apart) {
        0 => 0,
        bits => MILLI_HOPS_BASE + MILLI_HOPS_PER_BIT * bits,
    }
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
        assert_eq!(milli(1_000, 256), 2_230);
        assert_eq!(milli(1_000, 0), 999 * 1_020);
        assert_eq!(milli(1, 256), 0);
    }

    #[test]
    fn one_bit_more_halves_the_region() {
        assert_eq!(region_relays(2_000, Luminosity::at_most(3)), 250);
        assert_eq!(region_relays(2_000, Luminosity::at_most(4)), 125);
        assert_eq!(region_relays(2_000, Luminosity::at_most(200)), 1);
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
            prop_assert!(milli(relays, bits + 1) <= milli(relays, bits) + ENTRIES * (MILLI_HOPS_PER_BIT + MILLI_HOPS_BASE));
        }
    }
}
