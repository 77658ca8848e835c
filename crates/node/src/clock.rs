//! The node's clock: wall time that never runs backwards and never stands still.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mainframe_base::Time;

/// Milliseconds since the Unix epoch. If the machine's clock is set back, time goes on at half its pace until the
/// machine's has caught up: no half of the core sees an earlier moment after a later one, and nothing due is forgotten.
#[derive(Debug)]
pub(crate) struct Clock {
    latest: Mutex<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    time_ms: u64,
    at: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { latest: Mutex::new(Moment { time_ms: wall_ms(), at: Instant::now() }) }
    }

    pub(crate) fn now(&self) -> Time {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        let next = next_ms(latest.time_ms, at.duration_since(latest.at).as_millis() as u64, wall_ms());
        if next > latest.time_ms {
            *latest = Moment { time_ms: next, at };
        }
        Time(latest.time_ms)
    }
}

fn next_ms(latest_ms: u64, elapsed_ms: u64, wall_ms: u64) -> u64 {
    wall_ms.max(latest_ms.saturating_add(elapsed_ms / 2))
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_slows_time_down_until_it_has_caught_up() {
        assert_eq!(next_ms(1_000, 10, 1_010), 1_010);
        assert_eq!(next_ms(1_000, 10, 500), 1_005);
        assert_eq!(next_ms(1_000, 0, 500), 1_000);
        assert_eq!(next_ms(1_000, 10, 9_000), 9_000);
    }
}
