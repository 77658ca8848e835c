//! Virtual time in microseconds, finer than the core's milliseconds, so that frames sent in one millisecond keep apart.

use std::fmt;
use std::ops::Add;

use mainframe_base::Time;

/// A moment of virtual time, in microseconds since the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment so many seconds after the start.
    pub const fn seconds(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    /// The first moment of a millisecond of the core's clock.
    pub const fn of(time: Time) -> Moment {
        Moment(time.0.saturating_mul(1_000))
    }

    /// What the core's clock shows.
    pub const fn time(self) -> Time {
        Time(self.0 / 1_000)
    }

    /// Microseconds since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The moment so many microseconds later.
impl Add<u64> for Moment {
    type Output = Moment;

    fn add(self, span_us: u64) -> Moment {
        Moment(self.0.saturating_add(span_us))
    }
}

/// Seconds, with three decimals.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}
