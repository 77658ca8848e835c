//! Which luminosity for which wish? (protocol research §3.5; deterministic integers.)

use mainframe_base::Luminosity;

use super::table::{Quote, quote, region_relays};
use crate::wire::SizeClass;

/// What the sender knows and wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Situation {
    /// Relays of the network, as estimated.
    pub relays: u64,
    /// How many in a thousand are expected to misbehave and hide nobody.
    pub droppers_per_mille: u64,
    /// Honest relays among which the receiver wants to hide.
    pub candidates_wanted: u64,
    /// The receiver tells no more bits than these.
    pub luminosity_max: Luminosity,
    /// Transmissions the sender is willing to cause.
    pub transmissions_max: u64,
    /// Size of the cell.
    pub size_class: SizeClass,
}

/// What to do, and what it gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advice {
    /// The brightest luminosity that grants the wish; or the darkest the budget allows.
    pub luminosity: Luminosity,
    /// Relays expected in the region.
    pub region_relays: u64,
    /// Honest relays in the region at least, in 99 of 100 regions.
    pub candidates_p01: u64,
    /// What it costs.
    pub quote: Quote,
    /// Whether the wish is granted within the budget.
    pub granted: bool,
}

/// Finds the cheapest luminosity that hides the receiver well enough.
///
/// Darker is dearer, so the brightest that grants the wish is the answer; where the network is too small or the budget
/// too tight, the advice is what comes closest, and says so.
pub fn advise(situation: &Situation) -> Advice {
    let brightest = situation.luminosity_max.bits().min(63);
    let options = (0..=brightest).rev().map(|bits| advice(situation, Luminosity::at_most(bits)));
    let affordable = options.take_while(|advice| is_affordable(situation, advice));
    let mut best = None;
    for advice in affordable {
        best = Some(advice);
        if advice.granted {
            break;
        }
    }
    best.unwrap_or_else(|| Advice { granted: false, ..advice(situation, Luminosity::at_most(brightest)) })
}

fn is_affordable(situation: &Situation, advice: &Advice) -> bool {
    advice.quote.milli_transmissions <= situation.transmissions_max.saturating_mul(1_000)
}

fn advice(situation: &Situation, luminosity: Luminosity) -> Advice {
    let region_relays = region_relays(situation.relays, luminosity);
    let candidates_p01 = honest_p01(situation, luminosity);
    Advice {
        luminosity,
        region_relays,
        candidates_p01,
        quote: quote(situation.relays, luminosity, situation.size_class),
        granted: candidates_p01 >= situation.candidates_wanted,
    }
}

/// The first percentile of a Poisson count around the receiver, who is always there: mean − 2.33 √mean.
fn honest_p01(situation: &Situation, luminosity: Luminosity) -> u64 {
    let honest = u128::from(situation.relays.saturating_sub(1))
        * u128::from(1_000u64.saturating_sub(situation.droppers_per_mille));
    let milli_mean = honest >> luminosity.bits().min(127);
    if luminosity == Luminosity::DARKEST {
        return u64::try_from(milli_mean / 1_000).unwrap_or(u64::MAX).saturating_add(1);
    }
    // In thousandths: the deviation of m thousandths is √(1,000 m) thousandths.
    let milli_deviation = (milli_mean * 1_000).isqrt();
    let milli_p01 = milli_mean.saturating_sub(milli_deviation * 233 / 100);
    u64::try_from(milli_p01 / 1_000).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(relays: u64, candidates_wanted: u64, transmissions_max: u64) -> Situation {
        Situation {
            relays,
            droppers_per_mille: 100,
            candidates_wanted,
            luminosity_max: Luminosity::FULL,
            transmissions_max,
            size_class: SizeClass::T,
        }
    }

    #[test]
    fn the_brightest_luminosity_that_grants_the_wish_is_advised() {
        let advice = advise(&situation(10_000, 32, 10_000));
        assert!(advice.granted);
        assert_eq!(advice.luminosity.bits(), 7);
        let brighter = super::advice(&situation(10_000, 32, 10_000), Luminosity::at_most(8));
        assert!(!brighter.granted);
    }

    #[test]
    fn a_network_too_small_is_said_to_be() {
        let advice = advise(&situation(20, 64, 10_000));
        assert!(!advice.granted);
        assert_eq!(advice.luminosity, Luminosity::DARKEST);
        assert_eq!(advice.candidates_p01, 18);
    }

    #[test]
    fn a_budget_too_tight_gives_the_darkest_it_allows() {
        let advice = advise(&situation(10_000, 500, 100));
        assert!(!advice.granted);
        assert!(advice.quote.milli_transmissions <= 100_000);
        assert!(advise(&situation(10_000, 500, 0)).quote.milli_transmissions > 0, "nothing is free");
    }

    #[test]
    fn a_receiver_who_tells_few_bits_is_not_addressed_with_more() {
        let advice = advise(&Situation { luminosity_max: Luminosity::at_most(2), ..situation(1 << 20, 4, u64::MAX) });
        assert_eq!(advice.luminosity.bits(), 2);
        assert!(advice.granted);
    }
}
