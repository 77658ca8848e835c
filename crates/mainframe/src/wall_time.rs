//! The machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch: the same clock in all processes of a machine.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    now_us() / 1_000
}
