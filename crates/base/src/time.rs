//! One clock: milliseconds since the Unix epoch, handed in from outside.

use std::ops::Add;

/// A moment, in milliseconds since the Unix epoch (in the simulator: since the start of its virtual time).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    /// Milliseconds from `earlier` to this moment; zero if `earlier` is later.
    pub fn since_ms(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The moment so many milliseconds later; saturates at the end of time.
impl Add<u64> for Time {
    type Output = Time;

    fn add(self, span_ms: u64) -> Time {
        Time(self.0.saturating_add(span_ms))
    }
}
