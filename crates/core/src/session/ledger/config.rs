//! Pace and bounds of a ledger.

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The longest body of a message that people say, in bytes: a page of text a hundred times, and a small picture (guess).
pub const BODY_MAX: usize = 96 * 1_024;
/// The longest body of a message for devices, in bytes: a Welcome with the tree of the largest group (1,535 bytes a leaf, and
/// the names of 128 devices) and where to begin.
pub const DEVICE_BODY_MAX: usize = 256 * 1_024;
/// Own messages that not everybody has yet (guess: a quarter of an hour at 18 messages a second to somebody asleep).
pub const OPEN_MAX: usize = 16_384;
/// Messages of one author that wait for their causes: two seconds at 1,000 a second, far above a question and its answer.
pub(super) const WAITING_PER_AUTHOR_MAX: usize = 2_048;
/// Bytes of one author's messages that wait (guess: no liar should cost more disk than a picture).
pub(super) const WAITING_BYTES_PER_AUTHOR_MAX: usize = 8 << 20;
/// Bytes of all messages of a session that wait (guess: eight liars).
pub(super) const WAITING_BYTES_MAX: usize = 64 << 20;
/// Own messages sent again in one go; the next go follows after `RESEND_PACE_MS`, so that new ones come in between.
pub(super) const RESENDS_MAX: usize = 64;
/// Time between two goes, in milliseconds: 3,200 messages a second at most (guess).
pub(super) const RESEND_PACE_MS: u64 = 20;
/// Own messages lined up to be sent again. What finds no room is found missing once more later.
pub(super) const AGAIN_MAX: usize = 4_096;
/// Messages of others that we may pass on, lined up or lately passed on.
pub(super) const REPAIRS_MAX: usize = 256;
/// Heads remembered: messages nobody answered yet. Those said earliest are forgotten first; only the latest two are ever cited.
pub(super) const HEADS_MAX: usize = 16;
/// Authors remembered, members or not (guess: eight times the most leaves a session has).
pub(super) const AUTHORS_MAX: usize = 1_024;
/// Ranges of given-up numbers remembered for one author; older ones stay lost if they come after all.
pub(super) const GAPS_MAX: usize = 64;
/// How far one message may push our Lamport time. Causes come before effects, so an honest message is hardly ever more than
/// a few ahead; a liar needs 2^48 messages to reach the end of the numbers.
pub(super) const LAMPORT_JUMP_MAX: u64 = 1 << 16;

/// Pace of a ledger. Delays drawn at random are given as the least and the most, in milliseconds.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// How long what came is not acknowledged, for each other person in the session.
    pub ack_delay_ms: (u64, u64),
    /// The most persons among whom acknowledgements travel by themselves. Above, they ride on messages, or go out after a
    /// long silence: fifty people who all acknowledge at once say more than the message did.
    pub talkative_persons_max: usize,
    /// That silence, for each other person in the session and each eight of them: everybody's acknowledgements reach
    /// everybody, so that in a time that grows with the square they never cost more, however large the group is.
    pub silence_ms: (u64, u64),
    /// How long a cause may be late before it is asked for: cells overtake each other.
    pub nack_delay_ms: (u64, u64),
    /// How long we let others, and above all its author, answer for a message before we pass it on ourselves.
    pub repair_delay_ms: (u64, u64),
    /// How long a message may stay unacknowledged before anything was measured, in milliseconds.
    pub timeout_initial_ms: u64,
    /// The least such time, on top of the longest time an acknowledgement is held back.
    pub timeout_min_ms: u64,
    /// The most, however often it was sent.
    pub timeout_max_ms: u64,
    /// After how long without a sign a device is taken to be asleep: then one message at a time looks whether it woke up.
    pub asleep_after_ms: u64,
    /// After how long an own message that not everybody has is given up; and a cause that a member owes us.
    pub give_up_ms: u64,
    /// After how long a cause is given up whose author is no member: what he still sends is not heard, and whoever passes on
    /// what he said had time to.
    pub give_up_departed_ms: u64,
    /// After how long a newcomer gives up a cause that may have been said before he came: its author would have told him
    /// if he were awake.
    pub give_up_hearsay_ms: u64,
    /// Whether others are told what was read here.
    pub tells_reads: bool,
}

/// Every figure is a guess until a network was measured, but for the first (review P30).
impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig {
            ack_delay_ms: (300, 1_000),
            talkative_persons_max: 8,
            silence_ms: (1_000, 3_000),
            nack_delay_ms: (1_000, 2_000),
            repair_delay_ms: (4_000, 30_000),
            timeout_initial_ms: 10_000,
            timeout_min_ms: 2_000,
            timeout_max_ms: HOUR_MS,
            asleep_after_ms: HOUR_MS / 6,
            give_up_ms: 30 * DAY_MS,
            give_up_departed_ms: HOUR_MS,
            give_up_hearsay_ms: 120_000,
            tells_reads: true,
        }
    }
}

impl LedgerConfig {
    /// How long acknowledgements are held back in a session with so many other persons.
    pub(super) fn ack_delay_ms(&self, others: usize) -> (u64, u64) {
        let persons = others.max(1) as u64;
        let scaled = |(least, most): (u64, u64), by: u64| (least.saturating_mul(by), most.saturating_mul(by));
        if others < self.talkative_persons_max {
            return scaled(self.ack_delay_ms, persons);
        }
        scaled(self.silence_ms, persons * persons / self.talkative_persons_max as u64)
    }
}
