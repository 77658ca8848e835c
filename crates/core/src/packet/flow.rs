//! What is under way to one peer: its window of cells without receipt, how fast it takes them, what we owe it.

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::{Fault, Time};

use super::handover::HandoverId;
use crate::neighbours::Neighbour;
use crate::wire::{DigestEntry, Receipt};

/// Bytes of cells a peer may have without a receipt, at most: 2,048 T cells, 14 MB/s at 300 ms round trip. On a loaded
/// machine a round trip is as long as its threads wait for a processor: with 1 MiB the forward benchmark was bound by
/// the window, not by the processor.
pub const WINDOW_BYTES_MAX: usize = 4 << 20;
/// The window of a peer whose pace is not known: 128 T cells (guess). It grows by what is taken over, so doubles in a
/// round trip, and halves with each silence or refusal (RFC 5681 §3.1).
const WINDOW_BYTES_INITIAL: usize = 256 << 10;
/// A window never shrinks below one B cell and some T cells.
const WINDOW_BYTES_MIN: usize = 32 << 10;

/// Before a receipt time is known: above the slowest pair of the simulator's latency matrix, 325 ms and jitter.
pub(super) const TIMEOUT_MS_INITIAL: u64 = 600;
/// Below this a receipt is not late (protocol research §3.3: 150 ms).
const TIMEOUT_MS_MIN: u64 = 150;
/// Above this nobody should wait (guess).
const TIMEOUT_MS_MAX: u64 = 3_000;

/// After this many missing receipts in a row a peer is passed over …
const FAILURES_MAX: u8 = 2;
/// … for a minute (protocol research §3.3, skip list).
const SHUNNED_MS: u64 = 60_000;

/// Digest, pull and sketch entries a peer may send: so many at once (guess: a minute of a busy region) …
const CONTROL_TOKENS_MAX: u64 = 8_192;
/// … and so many a second on average (guess).
const CONTROL_TOKENS_PER_S: u64 = 1_024;

/// A cell on its way to the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) handover: HandoverId,
    pub(super) at: Time,
    pub(super) length: usize,
}

/// The state of one peer.
#[derive(Debug)]
pub(super) struct Flow {
    outstanding: BTreeMap<u32, Sent>,
    outstanding_bytes: usize,
    window_bytes: usize,
    window_halved: Time,
    next_nonce: u32,
    accounting_sequence: u32,
    /// Smoothed time until a receipt and its deviation, in milliseconds times eight (RFC 6298 §2).
    smoothed: Option<(u64, u64)>,
    failures: u8,
    shunned_until: Time,
    control_tokens: u64,
    control_filled: Time,
    /// Where it stands, if it is a relay; a relay need not stand in our table for us to stand in its.
    pub(super) relay: Option<Neighbour>,
    /// Hand-overs that wait for room in the window.
    pub(super) waiting: VecDeque<HandoverId>,
    /// Receipts to be sent at the end of the step.
    pub(super) receipts: Vec<Receipt>,
    /// Digests to be sent at the end of the step.
    pub(super) digests: Vec<DigestEntry>,
}

impl Flow {
    /// A peer nothing is known of.
    pub(super) fn new(now: Time, relay: Option<Neighbour>) -> Flow {
        Flow {
            outstanding: BTreeMap::new(),
            outstanding_bytes: 0,
            window_bytes: WINDOW_BYTES_INITIAL,
            window_halved: Time(0),
            next_nonce: 0,
            accounting_sequence: 0,
            smoothed: None,
            failures: 0,
            shunned_until: Time(0),
            control_tokens: CONTROL_TOKENS_MAX,
            control_filled: now,
            relay,
            waiting: VecDeque::new(),
            receipts: Vec::new(),
            digests: Vec::new(),
        }
    }

    /// Whether a cell of this length may be sent now.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.outstanding_bytes + length <= self.window_bytes
    }

    /// Whether the peer let too many cells go without receipt.
    pub(super) fn is_shunned(&self, now: Time) -> bool {
        now < self.shunned_until
    }

    /// Notes a cell as sent; returns its nonce and its place in the account of the link.
    pub(super) fn sent(&mut self, sent: Sent) -> (u32, u32) {
        let nonce = self.next_nonce;
        self.next_nonce = nonce.wrapping_add(1);
        self.accounting_sequence = self.accounting_sequence.wrapping_add(1);
        self.outstanding_bytes += sent.length;
        self.outstanding.insert(nonce, sent);
        (nonce, self.accounting_sequence)
    }

    /// How long to wait for a receipt.
    pub(super) fn timeout_ms(&self) -> u64 {
        let measured = self.smoothed.map_or(TIMEOUT_MS_INITIAL, |(mean, deviation)| (mean + 4 * deviation) / 8);
        measured.clamp(TIMEOUT_MS_MIN, TIMEOUT_MS_MAX)
    }

    /// Typical time until a receipt.
    pub(super) fn custody_ms(&self) -> Option<u64> {
        self.smoothed.map(|(mean, _)| mean / 8)
    }

    /// Ends the wait for a receipt, whatever its reason.
    pub(super) fn settle(&mut self, nonce: u32) -> Option<Sent> {
        let sent = self.outstanding.remove(&nonce)?;
        self.outstanding_bytes -= sent.length;
        Some(sent)
    }

    /// All that was under way, for a peer that is gone.
    pub(super) fn under_way(&self) -> impl Iterator<Item = HandoverId> {
        self.outstanding.values().map(|sent| sent.handover).chain(self.waiting.iter().copied())
    }

    /// The peer took a cell over: learn its pace, widen its window.
    pub(super) fn took_over(&mut self, now: Time, sent: Sent) {
        let sample = now.since_ms(sent.at) * 8;
        self.smoothed = Some(match self.smoothed {
            None => (sample, sample / 2),
            Some((mean, deviation)) => ((7 * mean + sample) / 8, (3 * deviation + sample.abs_diff(mean)) / 4),
        });
        self.failures = 0;
        self.shunned_until = Time(0);
        self.window_bytes = (self.window_bytes + sent.length).min(WINDOW_BYTES_MAX);
    }

    /// The peer is busy or slow: halve its window, at most once a round trip.
    pub(super) fn slow_down(&mut self, now: Time) {
        if now.since_ms(self.window_halved) >= self.timeout_ms() / 2 {
            self.window_bytes = (self.window_bytes / 2).max(WINDOW_BYTES_MIN);
            self.window_halved = now;
        }
    }

    /// A receipt did not come.
    pub(super) fn silent(&mut self, now: Time) {
        self.slow_down(now);
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.shunned_until = now + SHUNNED_MS;
        }
    }

    /// Lets the peer send so many control entries, or says it is too many.
    pub(super) fn spend_control(&mut self, now: Time, entries: usize) -> Result<(), Fault> {
        let gained = now.since_ms(self.control_filled) * CONTROL_TOKENS_PER_S / 1_000;
        if gained > 0 {
            self.control_tokens = (self.control_tokens + gained).min(CONTROL_TOKENS_MAX);
            self.control_filled = now;
        }
        self.control_tokens = self.control_tokens.checked_sub(entries as u64).ok_or(Fault::Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: u64) -> Sent {
        Sent { handover: HandoverId { index: 1, generation: 0 }, at: Time(at), length: 2_048 }
    }

    #[test]
    fn a_window_bounds_what_is_under_way_and_a_receipt_frees_and_widens_it() {
        let mut flow = Flow::new(Time(0), None);
        let nonces: Vec<u32> = (0..WINDOW_BYTES_INITIAL / 2_048).map(|_| flow.sent(sent(0)).0).collect();
        assert!(!flow.has_room(2_048));
        assert!(flow.settle(nonces[0]).is_some());
        assert!(flow.settle(nonces[0]).is_none(), "a receipt counts once");
        assert!(flow.has_room(2_048));
        for _ in 0..10_000 {
            flow.took_over(Time(100), sent(0));
        }
        assert_eq!(flow.window_bytes, WINDOW_BYTES_MAX);
    }

    #[test]
    fn a_peer_is_shunned_after_two_silences_until_it_takes_something_over() {
        let mut flow = Flow::new(Time(0), None);
        flow.silent(Time(1_000));
        assert!(!flow.is_shunned(Time(1_000)));
        flow.silent(Time(1_000));
        assert!(flow.is_shunned(Time(60_999)) && !flow.is_shunned(Time(61_000)));
        flow.took_over(Time(2_000), sent(1_900));
        assert!(!flow.is_shunned(Time(2_000)));
    }

    #[test]
    fn the_timeout_follows_the_measured_pace_within_its_bounds() {
        let mut flow = Flow::new(Time(0), None);
        assert_eq!(flow.timeout_ms(), TIMEOUT_MS_INITIAL);
        for _ in 0..50 {
            flow.took_over(Time(1_200), sent(1_000));
        }
        assert!((200..300).contains(&flow.timeout_ms()), "{}", flow.timeout_ms());
        for _ in 0..50 {
            flow.took_over(Time(1_001), sent(1_000));
        }
        assert_eq!(flow.timeout_ms(), TIMEOUT_MS_MIN);
    }

    #[test]
    fn busy_halves_the_window_once_a_round_trip() {
        let mut flow = Flow::new(Time(0), None);
        for _ in 0..9 {
            flow.slow_down(Time(5_000));
        }
        assert_eq!(flow.window_bytes, WINDOW_BYTES_INITIAL / 2);
    }

    #[test]
    fn control_entries_beyond_the_rate_are_a_flood() {
        let mut flow = Flow::new(Time(0), None);
        assert_eq!(flow.spend_control(Time(0), CONTROL_TOKENS_MAX as usize), Ok(()));
        assert_eq!(flow.spend_control(Time(0), 1), Err(Fault::Flood));
        assert_eq!(flow.spend_control(Time(1_000), CONTROL_TOKENS_PER_S as usize), Ok(()));
    }
}
