//! Which luminosity for which wish? (protocol research §3.5; deterministic integers.)

use mainframe_base::Luminosity;

use super::latency::{Latency, latency};
use super::set::{HonestSet, RELAYS_MAX, Sight};
use super::table::{Network, Quote, quote_region};
use crate::wire::SizeClass;

/// A region of fewer expected relays than 2^−63 of any network is not told apart from one brighter still.
const BITS_MAX: u16 = 63;

/// What the sender knows and wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Situation {
    /// Relays of the network, as estimated, and how many of them are expected to misbehave and hide nobody.
    pub network: Network,
    /// Relays over which the estimate averages: its relative deviation is 1/√records.
    pub records: u32,
    /// Honest relays among which the receiver wants to hide.
    pub candidates_wanted: u64,
    /// The receiver tells no more bits than these.
    pub luminosity_max: Luminosity,
    /// Transmissions the sender is willing to cause.
    pub transmissions_max: u64,
    /// How late 1 of 100 relays may get the packet, in milliseconds.
    pub latency_ms_max: u64,
    /// Size of the cell.
    pub size_class: SizeClass,
}

/// What to do, and what it gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advice {
    /// The brightest luminosity that grants the wish; or the darkest within budget and time.
    pub luminosity: Luminosity,
    /// Honest relays in the region.
    pub candidates: HonestSet,
    /// What it costs.
    pub quote: Quote,
    /// How long it takes.
    pub latency: Latency,
    /// What stands against the wish; nothing if it is granted.
    pub obstacle: Option<Obstacle>,
}

/// What stands against a wish, and what would remove it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// Even everybody is not enough: the network would need so many relays.
    TooFewRelays(u64),
    /// The wish costs so many transmissions.
    TooDear(u64),
    /// The wish takes so many milliseconds.
    TooSlow(u64),
}

/// Finds the cheapest luminosity that hides the receiver well enough.
///
/// Darker is dearer and slower, so the brightest that grants the wish is the answer; where the network is too small, the
/// budget too tight or the time too short, the advice is what comes closest, and says what is in the way.
pub fn advise(situation: &Situation) -> Advice {
    let options = || options(situation);
    let granting = options().find(|option| option.candidates.p01 >= situation.candidates_wanted);
    let obstacle = match granting {
        Some(option) if !affordable(situation, &option) => {
            Some(Obstacle::TooDear(option.quote.milli_transmissions.div_ceil(1_000)))
        }
        Some(option) if !timely(situation, &option) => Some(Obstacle::TooSlow(option.latency.p99_ms)),
        Some(option) => return option,
        None => Some(Obstacle::TooFewRelays(relays_needed(situation))),
    };
    let possible = options().take_while(|option| affordable(situation, option) && timely(situation, option)).last();
    let closest = possible.or_else(|| options().next());
    Advice { obstacle, ..closest.unwrap_or_else(|| outlook_by_size(situation, Luminosity::DARKEST)) }
}

/// What a luminosity gives of which the region was looked at.
pub fn outlook(network: &Network, luminosity: Luminosity, sight: &Sight, size_class: SizeClass) -> Advice {
    let milli_region = sight.milli_relays();
    Advice {
        luminosity,
        candidates: sight.honest(network.droppers_per_mille),
        quote: quote_region(network, luminosity, milli_region, size_class),
        latency: latency(network, luminosity, milli_region),
        obstacle: None,
    }
}

/// Every luminosity the receiver allows, the brightest first.
fn options(situation: &Situation) -> impl Iterator<Item = Advice> {
    let brightest = situation.luminosity_max.bits().min(BITS_MAX);
    (0..=brightest).rev().map(|bits| outlook_by_size(situation, Luminosity::at_most(bits)))
}

fn outlook_by_size(situation: &Situation, luminosity: Luminosity) -> Advice {
    let sight = Sight::by_size(situation.network.relays, situation.records, luminosity);
    outlook(&situation.network, luminosity, &sight, situation.size_class)
}

fn affordable(situation: &Situation, option: &Advice) -> bool {
    option.quote.milli_transmissions <= situation.transmissions_max.saturating_mul(1_000)
}

fn timely(situation: &Situation, option: &Advice) -> bool {
    option.latency.p99_ms <= situation.latency_ms_max
}

/// The smallest network, estimated as well as this one, in which everybody is enough.
fn relays_needed(situation: &Situation) -> u64 {
    let enough = |relays| {
        let sight = Sight::by_size(relays, situation.records, Luminosity::DARKEST);
        sight.honest(situation.network.droppers_per_mille).p01 >= situation.candidates_wanted
    };
    let (mut below, mut above) = (situation.network.relays, RELAYS_MAX);
    while below + 1 < above {
        let middle = below + (above - below) / 2;
        *if enough(middle) { &mut above } else { &mut below } = middle;
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(relays: u64, candidates_wanted: u64, transmissions_max: u64) -> Situation {
        Situation {
            network: Network { relays, droppers_per_mille: 100 },
            records: 320,
            candidates_wanted,
            luminosity_max: Luminosity::FULL,
            transmissions_max,
            latency_ms_max: u64::MAX,
            size_class: SizeClass::T,
        }
    }

    #[test]
    fn the_brightest_luminosity_that_grants_the_wish_is_advised() {
        let advice = advise(&situation(10_000, 32, 10_000));
        assert_eq!((advice.obstacle, advice.luminosity.bits()), (None, 7));
        let brighter = outlook_by_size(&situation(10_000, 32, 10_000), Luminosity::at_most(8));
        assert!(brighter.candidates.p01 < 32);
    }

    #[test]
    fn a_network_too_small_is_said_to_be_and_how_large_it_should_be() {
        let wish = situation(20, 64, 10_000);
        let advice = advise(&wish);
        assert_eq!(advice.luminosity, Luminosity::DARKEST);
        let Some(Obstacle::TooFewRelays(needed)) = advice.obstacle else { panic!("{advice:?}") };
        let with = |relays| Situation { network: Network { relays, ..wish.network }, ..wish };
        assert_eq!(advise(&with(needed)).obstacle, None);
        assert!(advise(&with(needed - 1)).obstacle.is_some());
    }

    #[test]
    fn a_budget_too_tight_gives_the_darkest_it_allows_and_says_what_is_needed() {
        let advice = advise(&situation(10_000, 500, 100));
        assert!(advice.quote.milli_transmissions <= 100_000);
        let Some(Obstacle::TooDear(needed)) = advice.obstacle else { panic!("{advice:?}") };
        assert_eq!(advise(&situation(10_000, 500, needed)).obstacle, None);
        assert!(advise(&situation(10_000, 500, 0)).quote.milli_transmissions > 0, "nothing is free");
    }

    #[test]
    fn too_little_time_is_said_to_be_and_how_much_is_needed() {
        let wish = Situation { latency_ms_max: 2_200, ..situation(10_000, 500, 10_000) };
        let advice = advise(&wish);
        let Some(Obstacle::TooSlow(needed)) = advice.obstacle else { panic!("{advice:?}") };
        assert!(needed > 2_200 && advice.latency.p99_ms <= 2_200, "{advice:?}");
        assert_eq!(advise(&Situation { latency_ms_max: needed, ..wish }).obstacle, None);
    }

    #[test]
    fn a_receiver_who_tells_few_bits_is_not_addressed_with_more() {
        let advice = advise(&Situation { luminosity_max: Luminosity::at_most(2), ..situation(1 << 20, 4, u64::MAX) });
        assert_eq!((advice.luminosity.bits(), advice.obstacle), (2, None));
    }
}
