//! Among how many honest relays does a receiver hide? (protocol research §3.5; deterministic integers.)
//!
//! Two things are uncertain: how many relays there are, and how many of them happen to stand in the region. Where
//! relays were counted one by one neither is; then only who of them is honest is left to chance.

use mainframe_base::Luminosity;

use super::table::milli_region;

/// One value in a hundred of a normal distribution is lower than its mean by so many thousandths of its deviation.
const MILLI_DEVIATIONS_P01: i128 = 2_326;
/// (2.326² − 1) / 6: what skewness adds to the first percentile (Cornish and Fisher, "Moments and cumulants in the
/// specification of distributions", 1937, first term).
const MILLI_SKEW_P01: i128 = 735;
/// What it takes from the median: 1/6, by the same formula.
const MILLI_SKEW_MEDIAN: i128 = -167;

/// Larger sets are not reckoned with: no look-up tells so many relays apart, and the third moment still fits.
pub(super) const RELAYS_MAX: u64 = 1 << 32;

/// What is known of a region around a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sight {
    /// Relays counted in it, the receiver's included.
    pub counted: u64,
    /// Relays expected where nobody counted, in thousandths.
    pub milli_expected: u64,
    /// Relays over which the expectation averages: its relative deviation is 1/√records.
    pub records: u32,
}

/// Honest relays of a region, the receiver's included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HonestSet {
    /// At least so many, in 99 of 100 cases.
    pub p01: u64,
    /// At least so many, in half of them.
    pub median: u64,
}

impl Sight {
    /// Nobody counted: the region of so many bits in a network of about `relays`.
    pub fn by_size(relays: u64, records: u32, luminosity: Luminosity) -> Sight {
        let milli_expected = milli_region(relays, luminosity) - 1_000;
        Sight { counted: 1, milli_expected, records }
    }

    /// Relays of the region, honest or not, in thousandths.
    pub fn milli_relays(&self) -> u64 {
        self.counted.max(1).saturating_mul(1_000).saturating_add(self.milli_expected)
    }

    /// How many of them are honest, if so many in a thousand are not. The receiver is.
    ///
    /// Those counted are honest or not independently of each other; those expected are Poisson distributed around a mean
    /// that itself is known to one part in √records (together, a negative binomial distribution).
    pub fn honest(&self, droppers_per_mille: u64) -> HonestSet {
        let dishonest = i128::from(droppers_per_mille.min(1_000));
        let honest = 1_000 - dishonest;
        let others = i128::from(self.counted.saturating_sub(1).min(RELAYS_MAX));
        // Mean, variance and third moment of each part, in thousandths of relays.
        let known = others * honest;
        let known_variance = known * dishonest / 1_000;
        let known_third = known_variance * (dishonest - honest) / 1_000;
        let unseen = i128::from(self.milli_expected.min(RELAYS_MAX * 1_000)) * honest / 1_000;
        let excess = unseen / i128::from(self.records.max(1));
        let unseen_variance = unseen + unseen * excess / 1_000;
        let unseen_third = unseen_variance * (1_000 + 2 * excess) / 1_000;
        let spread = Spread {
            mean: known + unseen,
            variance: known_variance + unseen_variance,
            third: known_third + unseen_third,
        };
        HonestSet {
            p01: 1 + whole(spread.quantile(MILLI_DEVIATIONS_P01, MILLI_SKEW_P01)),
            median: 1 + whole(spread.quantile(0, MILLI_SKEW_MEDIAN) + 500),
        }
    }
}

/// The first three moments of a count, in thousandths.
struct Spread {
    mean: i128,
    variance: i128,
    third: i128,
}

impl Spread {
    fn quantile(&self, milli_deviations: i128, milli_skew: i128) -> i128 {
        let deviation = (self.variance * 1_000).isqrt();
        let skew = self.third * 1_000 / self.variance.max(1);
        self.mean - deviation * milli_deviations / 1_000 + skew * milli_skew / 1_000
    }
}

fn whole(milli: i128) -> u64 {
    u64::try_from(milli.max(0) / 1_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_size(others: u64, records: u32, droppers_per_mille: u64) -> HonestSet {
        Sight { counted: 1, milli_expected: others * 1_000, records }.honest(droppers_per_mille)
    }

    #[test]
    fn the_promise_is_the_first_percentile_of_a_poisson_count() {
        let promised = [5, 10, 20, 40, 78, 100].map(|mean| by_size(mean, u32::MAX, 0).p01 - 1);
        for (promised, exact) in promised.into_iter().zip(EXACT_P01) {
            assert!(promised <= exact && promised + 1 >= exact, "{promised} for {exact}");
        }
        assert_eq!(by_size(40, u32::MAX, 0).median, 41);
    }

    /// The largest k with P(X < k) ≤ 1 %, from the distribution function.
    const EXACT_P01: [u64; 6] = [1, 3, 10, 26, 58, 77];

    #[test]
    fn a_size_known_badly_promises_less() {
        let promise = |records| by_size(100, records, 0).p01;
        assert!(promise(u32::MAX) > promise(320) && promise(320) > promise(20));
    }

    #[test]
    fn relays_counted_one_by_one_are_certain_but_for_their_honesty() {
        let counted = Sight { counted: 12, milli_expected: 0, records: 320 };
        assert_eq!(counted.honest(0), HonestSet { p01: 12, median: 12 });
        let honest = counted.honest(100);
        // Binomial(11, 0.9): P(X < 7) = 0.3 %, P(X < 8) = 1.9 %.
        assert_eq!((honest.p01, honest.median), (1 + 7, 1 + 10));
    }

    proptest! {
        #[test]
        fn the_promise_is_never_more_than_the_median(counted: u64, milli_expected: u64, records: u32, droppers in 0u64..2_000) {
            let sight = Sight { counted, milli_expected, records };
            let honest = sight.honest(droppers);
            prop_assert!(honest.p01 >= 1 && honest.p01 <= honest.median);
        }

        #[test]
        fn more_droppers_promise_no_more(counted in 1u64..1_000, milli_expected in 0u64..1_000_000, droppers in 0u64..900) {
            let sight = Sight { counted, milli_expected, records: 320 };
            prop_assert!(sight.honest(droppers + 100).p01 <= sight.honest(droppers).p01);
        }
    }
}
