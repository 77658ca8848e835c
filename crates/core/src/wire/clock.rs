//! Coarse expiry: a byte counting buckets of 64 s, so that a cell carries no sender's clock.

use mainframe_base::{Fault, Time};
use rand_core::Rng;

/// Length of one expiry bucket (protocol research §3.6: coarse buckets instead of the sender's clock).
pub const BUCKET_MS: u64 = 64_000;

/// A packet lives for eight minutes and up to one bucket more, at random: at most ten minutes, and without a sender's
/// clock in it (docs/protocol/packet.md §1).
const LIFE_MS: u64 = 8 * 60 * 1_000;

/// A live cell expires at most this many buckets ahead: 10 min, rounded up (review of the design, "cells").
pub const LIVE_BUCKETS_MAX: u8 = 10;

/// Clocks may differ by this many buckets either way (same source).
pub const TOLERANCE_BUCKETS: u8 = 2;

/// The bucket, modulo 256, in which a cell expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpiryBucket(pub u8);

impl ExpiryBucket {
    /// The bucket of the moment `ttl_ms` after `now`.
    pub fn after(now: Time, ttl_ms: u64) -> ExpiryBucket {
        ExpiryBucket(((now + ttl_ms).0 / BUCKET_MS) as u8)
    }

    /// The bucket in which a cell sent now expires.
    pub fn of_new_cell(now: Time, rng: &mut impl Rng) -> ExpiryBucket {
        ExpiryBucket::after(now, LIFE_MS + rng.next_u64() % BUCKET_MS)
    }

    /// Accepts what expires neither more than the tolerance ago nor more than life plus tolerance ahead.
    pub fn check(self, now: Time) -> Result<(), Fault> {
        let now = (now.0 / BUCKET_MS) as u8;
        let ahead = self.0.wrapping_sub(now).wrapping_add(TOLERANCE_BUCKETS);
        if ahead <= LIVE_BUCKETS_MAX + 2 * TOLERANCE_BUCKETS { Ok(()) } else { Err(Fault::Expired) }
    }
}

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// An hour of Unix time: by the hour in which their lives end held cells are kept, asked for and let go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hour(pub u32);

impl Hour {
    /// The hour of a moment.
    pub fn of(time: Time) -> Hour {
        Hour((time.0 / HOUR_MS) as u32)
    }

    /// Its first moment.
    pub fn start(self) -> Time {
        Time(u64::from(self.0) * HOUR_MS)
    }

    /// So many hours later.
    pub fn later(self, hours: u32) -> Hour {
        Hour(self.0.saturating_add(hours))
    }
}

impl ExpiryBucket {
    /// The moment at which the bucket ends, taken as the one nearest to `now`: the same for everyone whose clock is
    /// less than two hours off.
    pub fn ends(self, now: Time) -> Time {
        let present = now.0 / BUCKET_MS;
        let ahead = i64::from(self.0.wrapping_sub(present as u8) as i8);
        Time((present.saturating_add_signed(ahead) + 1) * BUCKET_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_cell_is_accepted_from_its_making_until_two_buckets_past_its_expiry() {
        let made = Time(250 * BUCKET_MS);
        let expiry = ExpiryBucket::after(made, u64::from(LIVE_BUCKETS_MAX) * BUCKET_MS);
        assert_eq!(expiry.check(made), Ok(()));
        assert_eq!(expiry.check(made + 12 * BUCKET_MS), Ok(()));
        assert_eq!(expiry.check(made + 13 * BUCKET_MS), Err(Fault::Expired));
    }

    #[test]
    fn a_bucket_ends_at_the_same_moment_for_clocks_that_differ() {
        for at in [300 * BUCKET_MS, 511 * BUCKET_MS + 5, 70_000_000] {
            let expiry = ExpiryBucket::after(Time(at), 540_000);
            let end = ((at + 540_000) / BUCKET_MS + 1) * BUCKET_MS;
            for clock in [at - 100 * BUCKET_MS, at, at + 100 * BUCKET_MS] {
                assert_eq!(expiry.ends(Time(clock)), Time(end));
            }
        }
    }

    #[test]
    fn an_expiry_beyond_any_live_cell_is_refused() {
        let now = Time(7 * BUCKET_MS);
        assert_eq!(ExpiryBucket(7 + 12).check(now), Ok(()));
        assert_eq!(ExpiryBucket(7 + 13).check(now), Err(Fault::Expired));
        assert_eq!(ExpiryBucket(7 - 2).check(now), Ok(()));
        assert_eq!(ExpiryBucket(7 - 3).check(now), Err(Fault::Expired));
    }
}
