//! Which of several commits on one epoch counts, decided without a server.
//!
//! One [`Ordering`] per parent epoch of one group: a consensus among the epoch's members that lives through loss, delay,
//! restarts and partitions, and ends with a certificate everybody can check. It knows leaves, persons, ballots and the names
//! of commits; what a commit contains and how statements travel it does not know. Rules and reasons:
//! docs/protocol/session.md.
//!
//! Ballot 0 is open: every author proposes by committing, and every leaf votes once, some time after it saw the first. If
//! that certifies nothing, ballots 1, 2, … follow, each owned by one leaf, as in Paxos: promises, a proposal that respects
//! what may be certified already, votes. Members may be silent or slow without harm. Members who lie can delay the
//! decision, and whoever keeps two halves of the network apart and votes in both can have two commits certified: then every
//! member finds out, and all pick the same winner.
//!
//! - `roster`: who votes, with what weight, in which turn
//! - `commit`: what is known of a commit, and which is better
//! - `statement`: what members say, as bytes
//! - `tally`, `choice`: what follows from votes, and from promises
//! - `ballots`: our own votes, promises and proposals
//! - `hearing`, `telling`: what others say, and what we say again
//! - `pace`, `durable`: how long to wait, and what survives a restart

mod ballots;
mod choice;
mod commit;
mod durable;
mod hearing;
mod pace;
mod roster;
#[cfg(test)]
mod rules;
mod statement;
mod tally;
mod telling;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Fault, Time};

use crate::codec::Reader;
use ballots::Drive;
pub use commit::{Commit, CommitId, Removal};
use durable::{COMMITS_MAX, Durable};
pub use pace::Pace;
pub use roster::{LEAVES_MAX, LEAVES_PER_PERSON_MAX, Leaf, Roster, Seat};
pub use statement::{Certificate, Notary, Promise, Proposal, QuotedPromise, Signature, Signed, Statement, Vote};
use tally::Tally;
use telling::Telling;

/// How long after the first commit it is still possible to change one's mind, in milliseconds: the parent epoch's keys, which
/// that needs, are not kept longer than a day (review P34).
pub const GIVE_UP_AFTER_MS: u64 = 24 * 3_600_000;

/// Most removals remembered on one epoch (guess: everyone of the largest group).
const REMOVALS_MAX: usize = LEAVES_MAX;

/// Most certificates for different commits kept: each beyond the first needs somebody who lies to a split network.
const CERTIFICATES_MAX: usize = 4;

/// What should happen, to be carried out in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Store [`Ordering::encode`] before anything that follows is done: what is said must not be forgotten.
    Keep,
    /// Have this commit applied, and no other: if another is, go back to the parent epoch first.
    Apply(CommitId),
    /// Get this commit's bytes from somebody: it is spoken of, and we have not seen it. Wished again from time to time.
    Need(CommitId),
    /// Send this to all leaves of the parent epoch.
    Say(Signed),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OrderingFact {
    /// The commit counts: the way back to the parent epoch can be burnt.
    Final(CommitId),
    /// A day passed without a decision. The way back is to be burnt nevertheless. It is decided when enough are there; who
    /// turns out to be on another branch then is to be added again.
    GaveUp,
    /// More than one commit was certified. Everybody finds the same winner; who applied another is to be added again.
    Forked {
        /// Which counts.
        winner: CommitId,
        /// Which do not.
        losers: Vec<CommitId>,
    },
    /// The leaf provably voted, proposed or committed twice where only once is allowed.
    Equivocated(Leaf),
}

/// What a call leaves behind: the wishes first, then the facts.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct OrderingOut {
    /// What should happen, in order.
    pub wishes: Vec<Wish>,
    /// What happened, in order.
    pub facts: Vec<OrderingFact>,
}

/// When a call is made, who signs and checks, and what it leaves behind.
#[expect(missing_debug_implementations, reason = "holds somebody who can sign")]
pub struct OrderingScene<'a> {
    /// The present.
    pub now: Time,
    /// Signs and checks statements on this epoch.
    pub notary: &'a dyn Notary,
    /// Facts and wishes, appended to.
    pub out: &'a mut OrderingOut,
}

/// The decision on one parent epoch, as one of its leaves sees it.
#[derive(Clone, Debug)]
pub struct Ordering {
    durable: Durable,
    pace: Pace,
    tally: Tally,
    /// The ballot that is under way here, and when the next one's owner takes over.
    ballot: u32,
    ballot_ends: Option<Time>,
    /// Our own ballot, if we have one.
    drive: Option<Drive>,
    /// The latest proposal heard that we did not vote for (yet).
    proposal: Option<Proposal>,
    telling: Telling,
    /// When each of the others was heard last.
    there: BTreeMap<Leaf, Time>,
    /// Whether something durable changed in this call.
    is_changed: bool,
    /// What was last wished to be applied, and which certified commits were last told of.
    applied: Option<CommitId>,
    certified: BTreeSet<CommitId>,
}

impl Ordering {
    /// Nothing seen yet on this epoch.
    ///
    /// # Panics
    /// If `me` has no seat: only members of the epoch decide on it.
    pub fn new(me: Leaf, roster: Roster, pace: Pace) -> Ordering {
        assert!(roster.contains(me), "only members of the epoch decide on it");
        Ordering::resume(Durable::new(me, roster), pace)
    }

    /// What has to be stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.durable.put(&mut out);
        out
    }

    /// Goes on from what [`Ordering::encode`] gave. Whether [`Ordering::favourite`] was applied before the restart, the
    /// caller knows.
    ///
    /// # Errors
    /// The bytes are not what `encode` gives.
    pub fn decode(bytes: &[u8], pace: Pace) -> Result<Ordering, Fault> {
        let mut reader = Reader::new(bytes);
        let durable = Durable::read(&mut reader)?;
        reader.finish()?;
        Ok(Ordering::resume(durable, pace))
    }

    /// The commit that counts, once that is certain and it has been seen. Until then nothing may be committed on top.
    pub fn final_commit(&self) -> Option<CommitId> {
        self.durable.winner()
    }

    /// The commit that should be applied at present.
    pub fn favourite(&self) -> Option<CommitId> {
        self.durable.favourite()
    }

    /// From when on we may commit on this epoch, if there has been something to commit since `wanted`; none if somebody
    /// else's commit should be waited for.
    ///
    /// Everyone waits for its turn. Whoever commits before its own turn does not take away the turns before it: their owners
    /// commit at once, also if they come to want something only now, and win, as long as the vote is open.
    pub fn may_commit_at(&self, wanted: Time) -> Option<Time> {
        let (durable, roster) = (&self.durable, &self.durable.roster);
        if !self.is_undecided() || durable.gave_up || durable.commits.values().any(|commit| commit.author == durable.me)
        {
            return None;
        }
        let turn_of = |leaf| wanted + self.pace.turn_ms().saturating_mul(roster.rank(leaf) as u64);
        let Some(first) = self.best() else { return Some(turn_of(durable.me)) };
        let seen = durable.opened.unwrap_or(wanted);
        let is_early = seen < turn_of(first.author);
        let is_open = durable.accepted.is_none() && durable.promised == 0;
        (is_open && is_early && roster.rank(durable.me) < roster.rank(first.author)).then_some(seen.max(wanted))
    }

    /// Whether enough voted for this commit, be it known or not.
    pub fn is_certified(&self, commit: &CommitId) -> bool {
        self.durable.certificates.contains_key(commit)
    }

    /// Whether these leaves could decide without any other.
    pub fn may_decide(&self, leaves: impl Iterator<Item = Leaf>) -> bool {
        self.durable.roster.weigh(leaves) >= self.durable.roster.quorum(1)
    }

    /// Whether this commit was taken in.
    pub fn knows(&self, commit: &CommitId) -> bool {
        self.durable.commits.contains_key(commit)
    }

    /// Whether we made this commit.
    pub fn is_ours(&self, commit: &CommitId) -> bool {
        self.durable.commits.get(commit).is_some_and(|commit| commit.author == self.durable.me)
    }

    /// A commit on this epoch, found valid by the group's rules: somebody else's, or our own before it is sent.
    pub fn commit_seen(&mut self, commit: Commit, scene: &mut OrderingScene<'_>) {
        self.take_in(commit, scene);
        self.progress(scene);
    }

    /// Somebody who may do so proposes to remove a leaf.
    pub fn removal_proposed(&mut self, removal: Removal, scene: &mut OrderingScene<'_>) {
        if self.durable.removals.len() < REMOVALS_MAX && self.durable.removals.insert(removal) {
            self.is_changed = true;
        }
        self.progress(scene);
    }

    /// A statement from another leaf.
    ///
    /// # Errors
    /// What its leaf did wrong; nothing of it is kept then.
    pub fn heard(&mut self, signed: &Signed, scene: &mut OrderingScene<'_>) -> Result<(), Fault> {
        let heard = self.hear(signed, scene);
        self.progress(scene);
        heard
    }

    /// The moment of [`Ordering::next_wake`] has come, or the node was started again.
    pub fn wake(&mut self, scene: &mut OrderingScene<'_>) {
        self.progress(scene);
    }

    /// Somebody knows nothing of what was said on this epoch: says again what counts, or what may.
    pub fn repeat(&mut self, scene: &mut OrderingScene<'_>) {
        self.say_all(self.still_unsettled(), scene);
        self.progress(scene);
    }

    /// When to be woken next, if nothing else happens.
    pub fn next_wake(&self) -> Option<Time> {
        let times = [self.open_vote_at(), self.ballot_ends, self.give_up_at(), self.telling.next_wake()];
        times.into_iter().flatten().min()
    }

    fn resume(durable: Durable, pace: Pace) -> Ordering {
        Ordering {
            pace,
            tally: Tally::default(),
            ballot: durable.promised,
            ballot_ends: None,
            drive: None,
            proposal: None,
            telling: Telling::default(),
            there: BTreeMap::new(),
            is_changed: false,
            applied: durable.favourite(),
            certified: durable.certified().map(|commit| commit.id).collect(),
            durable,
        }
    }

    fn take_in(&mut self, commit: Commit, scene: &mut OrderingScene<'_>) {
        let durable = &mut self.durable;
        if durable.commits.contains_key(&commit.id) || !durable.roster.contains(commit.author) {
            return;
        }
        let (id, author) = (commit.id, commit.author);
        let earlier = durable.commits.values().filter(|known| known.author == author).count();
        let is_named = self.named().contains(&id);
        let durable = &mut self.durable;
        // A second one proves the lie; more would only fill the memory, unless others decide on them.
        let is_certified = durable.certificates.contains_key(&id);
        let is_too_much = durable.commits.len() >= COMMITS_MAX || earlier > 1 && !is_named;
        if is_too_much && !is_certified || commit.removals.len() > LEAVES_MAX {
            return;
        }
        durable.commits.insert(id, commit);
        durable.opened.get_or_insert(scene.now);
        self.is_changed = true;
        if earlier > 0 {
            self.expose(author, scene);
        }
        if self.durable.roster.is_of_one_person() {
            self.certify(Certificate { vote: Vote { ballot: 0, commit: id }, votes: Vec::new() });
        }
    }

    /// Does whatever is due, and says what changed.
    fn progress(&mut self, scene: &mut OrderingScene<'_>) {
        self.decide(scene);
        self.tell(scene);
        self.settle(scene);
    }

    fn settle(&mut self, scene: &mut OrderingScene<'_>) {
        if std::mem::take(&mut self.is_changed) {
            scene.out.wishes.push(Wish::Keep);
        }
        let favourite = self.durable.favourite();
        if favourite != self.applied {
            self.applied = favourite;
            scene.out.wishes.extend(favourite.map(Wish::Apply));
        }
        let needed = self.telling.newly_needed(self.named());
        scene.out.wishes.extend(needed.into_iter().map(Wish::Need));
        scene.out.wishes.extend(self.telling.take().into_iter().map(Wish::Say));
        self.report_certified(scene.out);
    }

    fn report_certified(&mut self, out: &mut OrderingOut) {
        let certified: BTreeSet<_> = self.durable.certified().map(|commit| commit.id).collect();
        if certified == self.certified {
            return;
        }
        let Some(winner) = self.durable.winner() else { return };
        if self.certified.is_empty() {
            out.facts.push(OrderingFact::Final(winner));
        }
        if certified.len() > 1 {
            let losers = certified.iter().copied().filter(|id| *id != winner).collect();
            out.facts.push(OrderingFact::Forked { winner, losers });
        }
        self.certified = certified;
    }

    /// Notes that a leaf is a proven liar.
    fn expose(&mut self, leaf: Leaf, scene: &mut OrderingScene<'_>) {
        if self.durable.liars.insert(leaf) {
            self.is_changed = true;
            scene.out.facts.push(OrderingFact::Equivocated(leaf));
        }
    }

    fn say(&mut self, statement: Statement, notary: &dyn Notary) -> Signature {
        let signed = Signed::by(self.durable.me, statement, notary);
        let signature = signed.signature;
        self.telling.say(signed);
        signature
    }
}
