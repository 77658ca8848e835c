//! When something is due. Few moments, looked at after every input: so plain fields and no heap.

use mainframe_base::Time;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::OverlayConfig;
use crate::jitter::jittered;

/// How long changes are gathered before the table is tended, in milliseconds (guess: below a link's round trip).
const TEND_MS: u64 = 50;
/// How long changes of the neighbourhood are gathered before they are told, in milliseconds (guess).
const CHANGE_MS: u64 = 1_000;
/// Waits between searches for relays that are missing, in milliseconds (guess).
const SEARCH_WAITS_MS: [u64; 5] = [2_000, 10_000, 60_000, 300_000, 600_000];
const NEVER: Time = Time(u64::MAX);

#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// Look for what is missing.
    pub(super) tend: Time,
    /// Look for what is too much; happens while tending.
    pub(super) prune: Time,
    /// Tell changes of the neighbourhood.
    pub(super) change: Time,
    /// Tell the neighbourhood, changed or not.
    pub(super) round: Time,
    /// Dial someone to see whether he is there.
    pub(super) feeler: Time,
    /// Estimate the network's size.
    pub(super) estimate: Time,
    /// The first peer, question or dial to lose patience with.
    pub(super) patience: Time,
}

impl Timers {
    pub(super) fn new(now: Time, config: &OverlayConfig, random: u64) -> Timers {
        let first_estimate = match config.estimate_interval_ms {
            0 => NEVER,
            // Soon after the start the table is young; a minute lets it settle.
            interval_ms => now + 60_000 + random % interval_ms.min(600_000),
        };
        Timers {
            tend: now,
            prune: NEVER,
            change: NEVER,
            round: now + jittered(config.belief_interval_ms, random),
            feeler: now + jittered(config.feeler_interval_ms, random >> 16),
            estimate: first_estimate,
            patience: NEVER,
        }
    }

    pub(super) fn next(&self) -> Time {
        [self.tend, self.change, self.round, self.feeler, self.estimate, self.patience]
            .into_iter()
            .min()
            .unwrap_or(NEVER)
    }

    /// Something may be missing now.
    pub(super) fn tend_soon(&mut self, now: Time) {
        self.tend = self.tend.min(now + TEND_MS);
    }

    pub(super) fn tend_by(&mut self, at: Time) {
        self.tend = self.tend.min(at);
    }

    /// The neighbourhood changed.
    pub(super) fn change(&mut self, now: Time, rng: &mut ChaCha8Rng) {
        if self.change == NEVER {
            self.change = now + jittered(CHANGE_MS, rng.next_u64());
        }
    }

    pub(super) fn patience_by(&mut self, at: Time) {
        self.patience = self.patience.min(at);
    }
}

/// How long to wait after a search that brought nobody, in milliseconds: the longer, the more of them there were.
pub(super) fn search_wait_ms(tries: usize) -> u64 {
    SEARCH_WAITS_MS[tries.min(SEARCH_WAITS_MS.len() - 1)]
}

/// A moment that never comes.
pub(super) fn never() -> Time {
    NEVER
}
