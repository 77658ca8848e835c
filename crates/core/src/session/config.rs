//! Pace of sessions.

use super::ledger::LedgerConfig;

/// Pace of sessions.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Pace of messages.
    pub ledger: LedgerConfig,
    /// The delay between two members that half of their messages keep, in milliseconds: the pace of decisions (guess: two
    /// ticks and the spreading of a cell).
    pub delay_ms: u64,
    /// How long an epoch's keys are kept after its end, in milliseconds: what is held for 72 hours, and eight for clocks
    /// and tries (review P27).
    pub epoch_kept_ms: u64,
    /// How old our own keys become before they are renewed, in milliseconds (protocol research §3.7: a day).
    pub renew_ms: u64,
    /// How often somebody who lags behind is shown what ended an epoch, in milliseconds (guess).
    pub remind_ms: u64,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            ledger: LedgerConfig::default(),
            delay_ms: 500,
            epoch_kept_ms: 80 * 3_600_000,
            renew_ms: 24 * 3_600_000,
            remind_ms: 30_000,
        }
    }
}
