//! What we keep about one connection.

use std::sync::Arc;

use mainframe_base::{Address, LinkKey, Locator, Role, Time};

use super::ports::PeerSummary;
use super::timers::never;
use crate::bucket::Bucket;
use crate::crypto::{Binding, NodeRecord};
use crate::wire::{GetPeers, Neighbourhood};

/// Frames a peer may send at once. Ours ask at most [`PACE_BURST`] questions at once, so an honest peer keeps four
/// times below, whatever delays bunch its frames.
const ALLOWANCE_BURST: u64 = 128;
/// Frames a peer may send each second over a long time.
const ALLOWANCE_PER_SECOND: u64 = 8;
/// Questions we ask one peer at once (guess: a newcomer asks a peer about each empty suffix of its bins).
const PACE_BURST: u64 = 32;
/// Questions we ask one peer each second over a long time.
const PACE_PER_SECOND: u64 = 2;

/// How long a peer may take to say a valid `Hello`, in milliseconds (guess: QUIC's own handshake gives up after 10 s).
pub(super) const HELLO_MS: u64 = 10_000;
/// After what time `Hello` is said again, in milliseconds (guess: several round trips).
pub(super) const HELLO_AGAIN_MS: u64 = 2_000;
/// How long a visit lasts after it was last of use, in milliseconds (guess).
const VISIT_MS: u64 = 4_000;

/// A relay that hangs up sooner than this after we dialled it has no room for us. Milliseconds (guess: longer than
/// the grace of a full bin).
pub(super) const DECLINED_WITHIN_MS: u64 = 15_000;

/// Why a question was asked: what its answer is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Who is near us?
    Survey,
    /// Who is in this suffix of this bin?
    Slot,
    /// Who is near a place we look up? The number is the look-up's.
    Lookup(u32),
}

/// A question waiting for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) asked: GetPeers,
    pub(super) purpose: Purpose,
    pub(super) due: Time,
    pub(super) repeats: u8,
}

/// What a valid `Hello` told us.
#[derive(Clone, Debug)]
pub(super) struct Greeted {
    pub(super) record: Arc<NodeRecord>,
    pub(super) binding: Binding,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) key: LinkKey,
    pub(super) outbound: bool,
    pub(super) remote: Locator,
    pub(super) since: Time,
    /// Whose record we dialled it by.
    pub(super) expected: Option<Address>,
    /// When we sent our `Hello` last.
    pub(super) hello_sent_at: Time,
    /// Answers we gave to a repeated `Hello`.
    pub(super) hellos_repeated: u8,
    /// Frames that came before its `Hello`.
    pub(super) early: u8,
    pub(super) greeted: Option<Greeted>,
    /// Only a visit, for one look-up or as a feeler: in no bin.
    pub(super) visit: bool,
    /// When a visit was last of use.
    pub(super) used_at: Time,
    /// What it believes its neighbourhood to be.
    pub(super) belief: Option<Neighbourhood>,
    /// What we told it about ours.
    pub(super) told: Option<Neighbourhood>,
    /// The survey in which it was last asked.
    pub(super) surveyed: u32,
    pub(super) question: Option<Question>,
    /// Questions asked and not yet answered; an answer beyond them is unasked.
    pub(super) owed: u8,
    /// When we asked it last because its belief and ours differ.
    pub(super) asked_back_at: Option<Time>,
    /// Records it told us that nobody answered at, less those that proved good and one each round of beliefs.
    pub(super) false_hints: u8,
    pub(super) allowance: Bucket,
    pub(super) pace: Bucket,
}

impl Peer {
    pub(super) fn new(now: Time, key: LinkKey, outbound: bool, remote: Locator) -> Peer {
        Peer {
            key,
            outbound,
            remote,
            since: now,
            expected: None,
            hello_sent_at: now,
            hellos_repeated: 0,
            early: 0,
            greeted: None,
            visit: false,
            used_at: now,
            belief: None,
            told: None,
            surveyed: 0,
            question: None,
            owed: 0,
            asked_back_at: None,
            false_hints: 0,
            allowance: Bucket::full(now, ALLOWANCE_BURST, ALLOWANCE_PER_SECOND),
            pace: Bucket::full(now, PACE_BURST, PACE_PER_SECOND),
        }
    }

    /// When something is to be repeated, given up or ended next.
    pub(super) fn patience_ends(&self) -> Time {
        let question = self.question.map(|question| question.due);
        let hello = self.greeted.is_none().then(|| (self.hello_sent_at + HELLO_AGAIN_MS).min(self.since + HELLO_MS));
        let visit = (self.visit && self.greeted.is_some()).then(|| self.used_at + VISIT_MS);
        [hello, question.or(visit)].into_iter().flatten().min().unwrap_or(never())
    }

    /// A visit that is of no use any more.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.visit && self.greeted.is_some() && self.question.is_none() && self.used_at + VISIT_MS <= now
    }

    /// When it is clear that it has room for us, if we dialled it.
    pub(super) fn settles_at(&self) -> Time {
        self.since + DECLINED_WITHIN_MS
    }

    /// Whether it has room for us.
    pub(super) fn has_settled(&self, now: Time) -> bool {
        self.settles_at() <= now
    }

    /// Its position, once it said `Hello`.
    pub(super) fn address(&self) -> Option<Address> {
        self.greeted.as_ref().map(|greeted| greeted.record.overlay)
    }

    pub(super) fn role(&self) -> Option<Role> {
        self.greeted.as_ref().map(|greeted| greeted.record.role)
    }

    pub(super) fn is_relay(&self) -> bool {
        self.role() == Some(Role::Relay)
    }

    pub(super) fn is_guest(&self) -> bool {
        self.role() == Some(Role::Guest)
    }

    pub(super) fn summary(&self, me: &Address) -> Option<PeerSummary> {
        let greeted = self.greeted.as_ref()?;
        Some(PeerSummary {
            key: self.key,
            address: greeted.record.overlay,
            role: greeted.record.role,
            proximity: me.proximity(&greeted.record.overlay),
            outbound: self.outbound,
            since: self.since,
        })
    }
}
