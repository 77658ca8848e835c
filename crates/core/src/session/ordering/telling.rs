//! What we say again until everybody knows, and what we ask for.

use std::collections::BTreeSet;

use mainframe_base::Time;

use super::commit::CommitId;
use super::statement::{Certificate, Promise, Signed, Statement};
use super::{GIVE_UP_AFTER_MS, Ordering, OrderingScene};

/// How long those who may know nothing of an undecided epoch are told of it, in milliseconds: thirty days, as long as
/// messages are kept for them.
const UNDECIDED_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// What waits to be said.
#[derive(Clone, Default, Debug)]
pub(super) struct Telling {
    queue: Vec<Signed>,
    again: Option<Again>,
    /// When we show a certificate, unless somebody else does, or everybody has been heard and nobody is behind.
    show_at: Option<Time>,
    is_somebody_behind: bool,
    needed: BTreeSet<CommitId>,
    /// When we last said that we know.
    answered: Option<Time>,
}

/// When we repeat ourselves next, and after how long a silence.
#[derive(Clone, Copy, Debug)]
struct Again {
    at: Time,
    span_ms: u64,
}

impl Telling {
    pub(super) fn say(&mut self, signed: Signed) {
        self.queue.push(signed);
    }

    pub(super) fn take(&mut self) -> Vec<Signed> {
        std::mem::take(&mut self.queue)
    }

    pub(super) fn show_later(&mut self, now: Time, after_ms: u64) {
        self.show_at.get_or_insert(now + after_ms);
    }

    pub(super) fn show_to_somebody_behind(&mut self, now: Time, after_ms: u64) {
        self.is_somebody_behind = true;
        self.show_later(now, after_ms);
    }

    /// Somebody else just showed what we would show.
    pub(super) fn leave_it_to_others(&mut self, now: Time) {
        (self.show_at, self.is_somebody_behind) = (None, false);
        if let Some(again) = &mut self.again {
            again.at = now + again.span_ms;
        }
    }

    /// Begins anew: there is something else to say.
    pub(super) fn turn_page(&mut self) {
        self.again = None;
    }

    /// Whether we have not answered within this span; we do so now.
    pub(super) fn may_answer(&mut self, now: Time, span_ms: u64) -> bool {
        let may = self.answered.is_none_or(|at| now.since_ms(at) >= span_ms);
        if may {
            self.answered = Some(now);
        }
        may
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        self.show_at.into_iter().chain(self.again.map(|again| again.at)).min()
    }

    /// Those of the missing commits that were not wished for since we last repeated ourselves.
    pub(super) fn newly_needed(&mut self, missing: BTreeSet<CommitId>) -> Vec<CommitId> {
        let new = missing.difference(&self.needed).copied().collect();
        self.needed = missing;
        new
    }
}

impl Ordering {
    /// Says again what is due to be said again.
    pub(super) fn tell(&mut self, scene: &mut OrderingScene<'_>) {
        self.show(scene);
        if !self.is_restless(scene.now) {
            self.telling.again = None;
            return;
        }
        // What counts, one tells for all.
        let patience_ms = if self.durable.certificates.is_empty() { 0 } else { self.show_after_ms() };
        let first_ms = self.pace.first_resay_ms();
        let again =
            self.telling.again.get_or_insert(Again { at: scene.now + first_ms + patience_ms, span_ms: first_ms });
        if again.at > scene.now {
            return;
        }
        again.span_ms = self.pace.next_resay_ms(again.span_ms);
        again.at = scene.now + again.span_ms + patience_ms;
        self.telling.needed.clear();
        self.say_all(self.still_unsettled(), scene);
    }

    /// Our own vote may be known to others only, since a restart.
    pub(super) fn say_all(&mut self, statements: Vec<Statement>, scene: &mut OrderingScene<'_>) {
        for statement in statements {
            let vote = if let Statement::Vote(vote) = &statement { Some(*vote) } else { None };
            let signature = self.say(statement, scene.notary);
            if let Some(vote) = vote {
                self.record(self.durable.me, vote, signature, scene);
            }
        }
    }

    /// The commits others speak of, or that count, and that we have not seen.
    pub(super) fn named(&self) -> BTreeSet<CommitId> {
        let mut named: BTreeSet<_> = self.durable.certificates.keys().copied().collect();
        if self.is_undecided() {
            named.extend(self.tally.commits());
            named.extend(self.proposal.iter().map(|proposal| proposal.vote.commit));
            let promises = self.drive.iter().flat_map(|drive| drive.promises.values());
            named.extend(promises.filter_map(|quote| quote.accepted).map(|vote| vote.commit));
        }
        named.retain(|id| !self.durable.commits.contains_key(id));
        named
    }

    pub(super) fn show_after_ms(&self) -> u64 {
        self.pace.show_after_ms(self.durable.roster.rank(self.durable.me))
    }

    fn show(&mut self, scene: &mut OrderingScene<'_>) {
        if self.telling.show_at.is_none_or(|at| at > scene.now) {
            return;
        }
        self.telling.show_at = None;
        if std::mem::take(&mut self.telling.is_somebody_behind) || !self.is_known_to_all() {
            self.say_all(self.certificates(), scene);
        }
    }

    /// What counts, with all votes for it that we heard.
    fn certificates(&self) -> Vec<Statement> {
        let durable = &self.durable;
        let fullest = |known: &Certificate| {
            let heard = self.tally.certificate(known.vote, &durable.roster, &durable.liars);
            heard.filter(|heard| heard.votes.len() > known.votes.len()).unwrap_or_else(|| known.clone())
        };
        let show = |certificate| Statement::Certificate { certificate, unheard: durable.unheard() };
        durable.certificates.values().map(fullest).map(show).collect()
    }

    /// Whether something is left to find out, or to make known to members who may not even know that there is.
    fn is_restless(&self, now: Time) -> bool {
        let durable = &self.durable;
        let patience_ms = if self.is_undecided() { UNDECIDED_MS_MAX } else { GIVE_UP_AFTER_MS };
        let is_late = durable.opened.is_some_and(|opened| now >= opened + patience_ms);
        // Who promised is taken to know that there is something to find out.
        let has_begun = durable.opened.is_some() || durable.promised > 0 || !self.named().is_empty();
        let is_forked = durable.certificates.len() > 1;
        let is_unknown = self.final_commit().is_none();
        let is_to_be_told = !durable.roster.is_of_one_person() && (is_forked || !self.is_known_to_all());
        has_begun && !is_late && (is_unknown || is_to_be_told)
    }

    fn is_known_to_all(&self) -> bool {
        self.durable.unheard().is_empty()
    }

    /// Our latest words, as far as they may still be needed.
    pub(super) fn still_unsettled(&self) -> Vec<Statement> {
        let durable = &self.durable;
        if !durable.certificates.is_empty() {
            return self.certificates();
        }
        let own = self.drive.iter().map(|drive| match &drive.proposal {
            Some(proposal) => Statement::Propose(proposal.clone()),
            None => Statement::Prepare(drive.ballot),
        });
        let latest_vote = durable.accepted.map_or(0, |vote| vote.ballot);
        let is_to_another = durable.promised > latest_vote && durable.roster.owner(durable.promised) != durable.me;
        let promise = Promise { ballot: durable.promised, accepted: durable.accepted };
        let promise = is_to_another.then_some(Statement::Promise(promise));
        let words: Vec<_> = own.chain(durable.accepted.map(Statement::Vote)).chain(promise).collect();
        if words.is_empty() { vec![Statement::Ask] } else { words }
    }
}
