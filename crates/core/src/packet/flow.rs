//! What is under way to one peer: its window of cells without receipt, how fast it takes them, what we owe it.

use std::collections::VecDeque;

use mainframe_base::{Fault, Time};

use super::handover::HandoverId;
use super::trust::Trust;
use crate::bucket::Bucket;
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
/// … for a minute (protocol research §3.3, skip list), and twice as long each time it happens again before it takes
/// anything over …
const SHUNNED_MS: u64 = 60_000;
/// … up to 16 minutes (guess).
const SHUNNINGS_MAX: u8 = 4;

/// Digest, pull and sketch entries a peer may send: so many at once (guess: a minute of a busy region) …
const CONTROL_TOKENS_MAX: u64 = 8_192;
/// … and so many a second on average (guess).
const CONTROL_TOKENS_PER_S: u64 = 1_024;

/// Digests of a peer that wait to be proved true, at most (guess: as many as it may say at once in one frame, twice);
/// beyond them what it announces is not heard. Each one that comes true gives its place back …
const PROMISES_MAX: u64 = 1_024;
/// … and those that never do are forgiven at this rate a second (guess: a false one costs us a pull of 36 bytes).
const PROMISES_PER_S: u64 = 1;

/// Cells a peer may pull: so many at once (guess: what a relay lacks that slept through ten seconds of a busy region) …
const PULLS_MAX: u64 = 1_024;
/// … and so many a second on average (guess): a pull of 36 bytes costs us a whole cell.
const PULLS_PER_S: u64 = 64;

/// A cell on its way to the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) handover: HandoverId,
    pub(super) at: Time,
    pub(super) length: usize,
}

/// The state of one peer.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// What was sent under each nonce from `first_nonce` on, without what is settled. A cell is settled at its time-out
    /// at the latest, so there are no more than a few seconds' cells between the first and the last.
    outstanding: VecDeque<Option<Sent>>,
    first_nonce: u32,
    outstanding_bytes: usize,
    window_bytes: usize,
    window_halved: Time,
    accounting_sequence: u32,
    /// Smoothed time until a receipt and its deviation, in milliseconds times eight (RFC 6298 §2).
    smoothed: Option<(u64, u64)>,
    failures: u8,
    shunnings: u8,
    shunned_until: Time,
    control: Bucket,
    promises: Bucket,
    pulls: Bucket,
    /// Whether it keeps what it takes over.
    pub(super) trust: Trust,
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
    pub(super) fn new(now: Time, relay: Option<Neighbour>, trust: Trust) -> Flow {
        Flow {
            outstanding: VecDeque::new(),
            first_nonce: 0,
            outstanding_bytes: 0,
            window_bytes: WINDOW_BYTES_INITIAL,
            window_halved: Time(0),
            accounting_sequence: 0,
            smoothed: None,
            failures: 0,
            shunnings: 0,
            shunned_until: Time(0),
            control: Bucket::full(now, CONTROL_TOKENS_MAX, CONTROL_TOKENS_PER_S),
            promises: Bucket::full(now, PROMISES_MAX, PROMISES_PER_S),
            pulls: Bucket::full(now, PULLS_MAX, PULLS_PER_S),
            trust,
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

    /// Bytes of cells without receipt.
    pub(super) fn under_way_bytes(&self) -> usize {
        self.outstanding_bytes
    }

    /// Whether the peer let too many cells go without receipt.
    pub(super) fn is_shunned(&self, now: Time) -> bool {
        now < self.shunned_until
    }

    /// Notes a cell as sent; returns its nonce and its place in the account of the link.
    pub(super) fn sent(&mut self, sent: Sent) -> (u32, u32) {
        let nonce = self.first_nonce.wrapping_add(self.outstanding.len() as u32);
        self.accounting_sequence = self.accounting_sequence.wrapping_add(1);
        self.outstanding_bytes += sent.length;
        self.outstanding.push_back(Some(sent));
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
        let sent = self.outstanding.get_mut(nonce.wrapping_sub(self.first_nonce) as usize)?.take()?;
        self.outstanding_bytes -= sent.length;
        while self.outstanding.front().is_some_and(Option::is_none) {
            self.outstanding.pop_front();
            self.first_nonce = self.first_nonce.wrapping_add(1);
        }
        Some(sent)
    }

    /// All that was under way, for a peer that is gone.
    pub(super) fn under_way(&self) -> impl Iterator<Item = HandoverId> {
        self.outstanding.iter().flatten().map(|sent| sent.handover).chain(self.waiting.iter().copied())
    }

    /// The peer took a cell over: learn its pace, widen its window.
    pub(super) fn took_over(&mut self, now: Time, sent: Sent) {
        let sample = now.since_ms(sent.at) * 8;
        self.smoothed = Some(match self.smoothed {
            None => (sample, sample / 2),
            Some((mean, deviation)) => ((7 * mean + sample) / 8, (3 * deviation + sample.abs_diff(mean)) / 4),
        });
        self.failures = 0;
        self.shunnings = 0;
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
            self.failures = 0;
            self.shunned_until = now + (SHUNNED_MS << self.shunnings);
            self.shunnings = (self.shunnings + 1).min(SHUNNINGS_MAX);
        }
    }

    /// Lets the peer send so many control entries, or says it is too many.
    pub(super) fn spend_control(&mut self, now: Time, entries: usize) -> Result<(), Fault> {
        if self.control.take(now, entries as u64) { Ok(()) } else { Err(Fault::Flood) }
    }

    /// Whether one more packet it announces may be waited for.
    pub(super) fn take_promise(&mut self, now: Time) -> bool {
        self.promises.take(now, 1)
    }

    /// A packet it announced has come.
    pub(super) fn promise_kept(&mut self) {
        self.promises.give_back();
    }

    /// Whether it may be sent one more cell that it pulls.
    pub(super) fn spend_pull(&mut self, now: Time) -> bool {
        self.pulls.take(now, 1)
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
        let mut flow = Flow::new(Time(0), None, Trust::default());
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
    fn receipts_in_any_order_and_past_the_last_nonce_settle_what_they_name() {
        let mut flow = Flow::new(Time(0), None, Trust::default());
        flow.first_nonce = u32::MAX - 1;
        let nonces: Vec<u32> = (0..4).map(|at| flow.sent(sent(at)).0).collect();
        assert_eq!(nonces, [u32::MAX - 1, u32::MAX, 0, 1]);
        for at in [1, 0, 3, 2] {
            assert_eq!(flow.settle(nonces[at]).map(|sent| sent.at), Some(Time(at as u64)));
            assert!(flow.settle(nonces[at]).is_none());
        }
        assert!(flow.settle(2).is_none() && flow.outstanding.is_empty());
        assert_eq!(flow.outstanding_bytes, 0);
    }

    #[test]
    fn a_peer_is_shunned_after_two_silences_until_it_takes_something_over() {
        let mut flow = Flow::new(Time(0), None, Trust::default());
        flow.silent(Time(1_000));
        assert!(!flow.is_shunned(Time(1_000)));
        flow.silent(Time(1_000));
        assert!(flow.is_shunned(Time(60_999)) && !flow.is_shunned(Time(61_000)));
        flow.took_over(Time(2_000), sent(1_900));
        assert!(!flow.is_shunned(Time(2_000)));
    }

    #[test]
    fn the_timeout_follows_the_measured_pace_within_its_bounds() {
        let mut flow = Flow::new(Time(0), None, Trust::default());
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
        let mut flow = Flow::new(Time(0), None, Trust::default());
        for _ in 0..9 {
            flow.slow_down(Time(5_000));
        }
        assert_eq!(flow.window_bytes, WINDOW_BYTES_INITIAL / 2);
    }

    #[test]
    fn control_entries_beyond_the_rate_are_a_flood() {
        let mut flow = Flow::new(Time(0), None, Trust::default());
        assert_eq!(flow.spend_control(Time(0), CONTROL_TOKENS_MAX as usize), Ok(()));
        assert_eq!(flow.spend_control(Time(0), 1), Err(Fault::Flood));
        assert_eq!(flow.spend_control(Time(1_000), CONTROL_TOKENS_PER_S as usize), Ok(()));
    }

    #[test]
    fn who_announces_what_does_not_exist_is_not_heard_for_long() {
        let mut flow = Flow::new(Time(0), None, Trust::default());
        let heard = (0..10_000).filter(|_| flow.take_promise(Time(0))).count();
        assert_eq!(heard as u64, PROMISES_MAX);
        assert!(flow.take_promise(Time(1_000)), "but is forgiven in time");
        let mut honest = Flow::new(Time(0), None, Trust::default());
        for _ in 0..10_000 {
            assert!(honest.take_promise(Time(0)));
            honest.promise_kept();
        }
    }

    #[test]
    fn a_peer_pulls_so_many_cells_at_once_and_then_at_its_rate() {
        let mut flow = Flow::new(Time(0), None, Trust::default());
        let served = |flow: &mut Flow, at| (0..10_000).filter(|_| flow.spend_pull(Time(at))).count() as u64;
        assert_eq!((served(&mut flow, 0), served(&mut flow, 2_000)), (PULLS_MAX, 2 * PULLS_PER_S));
    }
}
