//! How much may somebody ask for? So much at once, and so much a second on average.

use mainframe_base::Time;

/// A token bucket; thousandths of a token, so that it needs no fractions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    level_milli: u64,
    burst: u64,
    per_second: u64,
    at: Time,
}

impl Bucket {
    /// A bucket of `burst` tokens, all there, that fills by `per_second`.
    pub(crate) fn full(now: Time, burst: u64, per_second: u64) -> Bucket {
        Bucket { level_milli: burst * 1_000, burst, per_second, at: now }
    }

    /// Takes so many tokens if all of them are there, else none.
    pub(crate) fn take(&mut self, now: Time, tokens: u64) -> bool {
        let gained = now.since_ms(self.at).saturating_mul(self.per_second);
        self.fill(gained);
        self.at = self.at.max(now);
        let Some(rest) = self.level_milli.checked_sub(tokens.saturating_mul(1_000)) else { return false };
        self.level_milli = rest;
        true
    }

    /// Puts a token back that was taken.
    pub(crate) fn give_back(&mut self) {
        self.fill(1_000);
    }

    fn fill(&mut self, milli: u64) {
        self.level_milli = self.level_milli.saturating_add(milli).min(self.burst * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::full(Time(0), 3, 2);
        assert_eq!((0..5).filter(|_| bucket.take(Time(0), 1)).count(), 3);
        assert!(!bucket.take(Time(499), 1));
        assert!(bucket.take(Time(999), 1));
        assert_eq!((0..9).filter(|_| bucket.take(Time(3_600_000), 1)).count(), 3);
    }

    #[test]
    fn what_is_not_all_there_is_not_taken_in_part_and_what_is_given_back_does_not_overflow() {
        let mut bucket = Bucket::full(Time(0), 3, 0);
        assert!(!bucket.take(Time(0), 4));
        assert!(bucket.take(Time(0), 3));
        (0..9).for_each(|_| bucket.give_back());
        assert_eq!((0..9).filter(|_| bucket.take(Time(0), 1)).count(), 3);
    }
}
