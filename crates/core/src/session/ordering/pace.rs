//! How long to wait for what, all of it from one measured delay.

/// The longest a ballot may last, in first ballots (guess: with a first ballot of 8 s, 4 minutes: 300 owners have their
/// turn before everybody gives up).
const BALLOT_GROWTH_MAX: u64 = 32;

/// The longest silence between two tries to be heard, in milliseconds (guess: 24 of the kind in the time until all give up).
const RESAY_MAX_MS: u64 = 3_600_000;

/// The group's pace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    delay_ms: u64,
}

impl Pace {
    /// From the delay between two members that half of their messages keep, in milliseconds; at least 1.
    pub fn from_delay(delay_ms: u64) -> Pace {
        Pace { delay_ms: delay_ms.max(1) }
    }

    /// One turn of the rota: eight delays (measured 2026: two commits on one epoch in 0 to 0.6 % of cases; with four
    /// delays, 3 to 5 %).
    pub(super) fn turn_ms(self) -> u64 {
        self.delay_ms.saturating_mul(8)
    }

    /// From the first commit seen until the vote: time for a better one that is on its way, or that its author makes on
    /// seeing the first.
    pub(super) fn vote_delay_ms(self) -> u64 {
        self.turn_ms() / 2
    }

    /// How long a ballot may last until the next one's owner takes over. Later ones last longer, should the delay have
    /// been taken too short.
    pub(super) fn ballot_ms(self, ballot: u32) -> u64 {
        let opening_ms = if ballot == 0 { self.vote_delay_ms() } else { 0 };
        opening_ms.saturating_add(self.turn_ms().saturating_mul(u64::from(ballot).clamp(1, BALLOT_GROWTH_MAX)))
    }

    /// From a statement until it is said again for the first time.
    pub(super) fn first_resay_ms(self) -> u64 {
        self.turn_ms().saturating_mul(2).min(RESAY_MAX_MS)
    }

    /// The silence after one of so many milliseconds.
    pub(super) fn next_resay_ms(self, span_ms: u64) -> u64 {
        span_ms.saturating_mul(2).min(RESAY_MAX_MS)
    }

    /// How long the leaf of a rank leaves it to others to show a certificate: two delays a rank, so that usually one does.
    pub(super) fn show_after_ms(self, rank: usize) -> u64 {
        self.delay_ms.saturating_mul(2).saturating_mul(rank as u64 + 1)
    }
}
