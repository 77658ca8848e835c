//! Our own part in the decision: votes, promises, and the ballots that are ours.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::Time;

use super::choice::{forced, suffices};
use super::commit::{self, Commit, CommitId};
use super::roster::Leaf;
use super::statement::{Certificate, Promise, Proposal, QuotedPromise, Signature, Statement, Vote};
use super::tally::Heard;
use super::{CERTIFICATES_MAX, GIVE_UP_AFTER_MS, Ordering, OrderingFact, OrderingScene};

/// How long after a day without a decision somebody who was heard is taken to be there, in milliseconds: twice the longest
/// silence between two tries to be heard.
const THERE_MS: u64 = 2 * 3_600_000;

/// A ballot of ours.
#[derive(Clone, Debug)]
pub(super) struct Drive {
    pub(super) ballot: u32,
    pub(super) promises: BTreeMap<Leaf, QuotedPromise>,
    /// What we proposed, once enough had promised.
    pub(super) proposal: Option<Proposal>,
}

impl Ordering {
    /// Votes, proposes or takes over where that is due.
    pub(super) fn decide(&mut self, scene: &mut OrderingScene<'_>) {
        self.vote_openly(scene);
        self.vote_for_proposal(scene);
        self.take_turn(scene);
        self.propose(scene);
        self.give_up(scene);
    }

    /// Whether there is still something to vote on.
    pub(super) fn is_undecided(&self) -> bool {
        self.durable.certificates.is_empty()
    }

    /// The leaves that are to go, by all removals we know of.
    pub(super) fn banished(&self) -> BTreeSet<Leaf> {
        let committed = self.durable.commits.values().flat_map(|commit| &commit.removals);
        commit::banished(self.durable.removals.iter().chain(committed).copied(), &self.durable.roster)
    }

    /// Whether nobody should follow or believe a leaf.
    pub(super) fn is_distrusted(&self, leaf: Leaf) -> bool {
        self.durable.liars.contains(&leaf) || self.banished().contains(&leaf)
    }

    /// The commit we would vote for, had we a free choice.
    pub(super) fn best(&self) -> Option<&Commit> {
        let durable = &self.durable;
        commit::best(durable.commits.values(), &self.banished(), &durable.liars, &durable.roster)
    }

    /// When our vote at the open ballot is due; none if we have none, or know nothing to vote for.
    pub(super) fn open_vote_at(&self) -> Option<Time> {
        let is_free = self.is_undecided() && self.durable.promised == 0 && self.durable.accepted.is_none();
        let opened = self.durable.opened.filter(|_| is_free && self.best().is_some())?;
        Some(opened + self.pace.vote_delay_ms())
    }

    pub(super) fn give_up_at(&self) -> Option<Time> {
        let is_due = self.is_undecided() && !self.durable.gave_up;
        self.durable.opened.filter(|_| is_due).map(|opened| opened + GIVE_UP_AFTER_MS)
    }

    /// Notes a vote, and what it proves.
    pub(super) fn record(&mut self, leaf: Leaf, vote: Vote, signature: Signature, scene: &mut OrderingScene<'_>) {
        if self.tally.record(leaf, vote, signature) == Heard::Contradiction {
            self.expose(leaf, scene);
        }
        if let Some(certificate) = self.tally.certificate(vote, &self.durable.roster, &self.durable.liars)
            && self.certify(certificate)
        {
            self.telling.show_later(scene.now, self.show_after_ms());
        }
    }

    /// Notes that a commit counts; false if that was known.
    pub(super) fn certify(&mut self, certificate: Certificate) -> bool {
        let certificates = &mut self.durable.certificates;
        let commit = certificate.vote.commit;
        if certificates.contains_key(&commit) || certificates.len() >= CERTIFICATES_MAX {
            return false;
        }
        certificates.insert(commit, certificate);
        self.telling.turn_page();
        (self.is_changed, self.drive, self.proposal, self.ballot_ends) = (true, None, None, None);
        true
    }

    /// Goes over to a ballot that somebody else opened.
    pub(super) fn enter(&mut self, ballot: u32, now: Time) {
        if ballot > self.ballot {
            self.ballot = ballot;
            self.ballot_ends = Some(now + self.pace.ballot_ms(ballot));
        }
    }

    pub(super) fn promise(&mut self, ballot: u32, scene: &mut OrderingScene<'_>) -> Signature {
        self.durable.promised = ballot;
        self.is_changed = true;
        let statement = Statement::Promise(Promise { ballot, accepted: self.durable.accepted });
        if self.durable.roster.owner(ballot) == self.durable.me {
            return scene.notary.sign(&statement.encode());
        }
        self.say(statement, scene.notary)
    }

    fn vote_openly(&mut self, scene: &mut OrderingScene<'_>) {
        if self.open_vote_at().is_none_or(|at| at > scene.now) {
            return;
        }
        if let Some(commit) = self.best().map(|commit| commit.id) {
            self.vote(Vote { ballot: 0, commit }, scene);
        }
    }

    fn vote_for_proposal(&mut self, scene: &mut OrderingScene<'_>) {
        let Some(proposal) = self.proposal.take() else { return };
        if self.is_acceptable(&proposal) {
            self.vote(proposal.vote, scene);
        } else if proposal.vote.ballot >= self.durable.promised {
            self.proposal = Some(proposal);
        }
    }

    /// Whether we may and will vote for a proposal whose promises allow it.
    ///
    /// Not for a commit by somebody who is to go, unless somebody who stays voted for it before: refusing is always safe, and
    /// who is to go could otherwise force his own commit upon us by claiming an earlier vote.
    fn is_acceptable(&self, proposal: &Proposal) -> bool {
        let Some(commit) = self.durable.commits.get(&proposal.vote.commit) else { return false };
        let is_first_vote = self.durable.accepted.is_none_or(|vote| vote.ballot < proposal.vote.ballot);
        let is_kept_promise = proposal.vote.ballot >= self.durable.promised;
        let banished = self.banished();
        let is_vouched_for = proposal.promises.iter().any(|quote| {
            !banished.contains(&quote.leaf) && quote.accepted.is_some_and(|vote| vote.commit == commit.id)
        });
        self.is_undecided()
            && is_first_vote
            && is_kept_promise
            && (is_vouched_for || !banished.contains(&commit.author))
    }

    fn vote(&mut self, vote: Vote, scene: &mut OrderingScene<'_>) {
        self.durable.accepted = Some(vote);
        self.durable.promised = self.durable.promised.max(vote.ballot);
        self.is_changed = true;
        let signature = self.say(Statement::Vote(vote), scene.notary);
        self.record(self.durable.me, vote, signature, scene);
    }

    /// Goes over to the next ballot when the time of this one is up, and opens it if it is ours.
    fn take_turn(&mut self, scene: &mut OrderingScene<'_>) {
        if !self.is_undecided() || self.durable.opened.is_none() || self.is_alone(scene.now) {
            self.ballot_ends = None;
            return;
        }
        let ends = *self.ballot_ends.get_or_insert(scene.now + self.pace.ballot_ms(self.ballot));
        let is_hopeless = self.ballot == 0 && self.tally.is_split(&self.durable.roster);
        if scene.now < ends && !is_hopeless {
            return;
        }
        self.drive = None;
        self.enter(self.ballot.saturating_add(1), scene.now);
        let ballot = self.ballot;
        if self.durable.roster.owner(ballot) == self.durable.me && ballot > self.durable.promised {
            self.open(ballot, scene);
        }
    }

    fn open(&mut self, ballot: u32, scene: &mut OrderingScene<'_>) {
        let signature = self.promise(ballot, scene);
        let own = QuotedPromise { leaf: self.durable.me, accepted: self.durable.accepted, signature };
        self.drive = Some(Drive { ballot, promises: [(own.leaf, own)].into(), proposal: None });
        self.say(Statement::Prepare(ballot), scene.notary);
    }

    /// Proposes at our own ballot once enough have promised: what may be certified already, else what we like best.
    fn propose(&mut self, scene: &mut OrderingScene<'_>) {
        let Some(drive) = self.drive.as_ref().filter(|drive| drive.proposal.is_none()) else { return };
        let (ballot, promises) = (drive.ballot, drive.promises.values().cloned().collect::<Vec<_>>());
        if ballot < self.durable.promised || !suffices(&promises, &self.durable.roster) {
            return;
        }
        let Some(commit) = self.chosen(&promises) else { return };
        let proposal = Proposal { vote: Vote { ballot, commit }, promises };
        if let Some(drive) = &mut self.drive {
            drive.proposal = Some(proposal.clone());
        }
        self.say(Statement::Propose(proposal.clone()), scene.notary);
        self.vote(proposal.vote, scene);
    }

    fn chosen(&self, promises: &[QuotedPromise]) -> Option<CommitId> {
        match forced(promises, &self.durable.roster) {
            Some(commit) => self.durable.commits.contains_key(&commit).then_some(commit),
            None => self.best().map(|commit| commit.id),
        }
    }

    /// Whether a day passed without a decision, and too few are there for one: ballots would only count up, beyond what those
    /// who come back follow.
    fn is_alone(&self, now: Time) -> bool {
        let there = self.there.iter().filter(|(_, at)| now.since_ms(**at) <= THERE_MS).map(|(leaf, _)| *leaf);
        self.durable.gave_up && !self.may_decide(there.chain([self.durable.me]))
    }

    /// Somebody is there. If that is enough for a decision at last, all we have to say is said again.
    pub(super) fn note_there(&mut self, leaf: Leaf, now: Time) {
        let was_alone = self.is_alone(now);
        self.there.insert(leaf, now);
        if was_alone && !self.is_alone(now) {
            self.telling.turn_page();
        }
    }

    fn give_up(&mut self, scene: &mut OrderingScene<'_>) {
        if self.give_up_at().is_none_or(|at| at > scene.now) {
            return;
        }
        (self.durable.gave_up, self.is_changed) = (true, true);
        (self.drive, self.proposal, self.ballot_ends) = (None, None, None);
        scene.out.facts.push(OrderingFact::GaveUp);
    }
}
