//! What others say, and what we make of it.

use mainframe_base::Fault;

use super::choice::{forced, suffices};
use super::roster::Leaf;
use super::statement::{Certificate, Promise, Proposal, QuotedPromise, Signed, Statement, Vote};
use super::{Ordering, OrderingScene};

/// How far ahead of ours a ballot may be that we follow, so that a liar cannot use up all numbers at once: more than pass in a
/// day. After that none passes without enough members to decide.
const LEAP_MAX: u32 = 1_024;

impl Ordering {
    pub(super) fn hear(&mut self, signed: &Signed, scene: &mut OrderingScene<'_>) -> Result<(), Fault> {
        if !self.durable.roster.contains(signed.from) {
            return Err(Fault::Impossible);
        }
        if signed.from == self.durable.me {
            return Ok(());
        }
        if !self.has_checked(signed) && !signed.verifies(scene.notary) {
            return Err(Fault::BadSignature);
        }
        self.note_heard_from(signed.from);
        self.note_there(signed.from, scene.now);
        let is_behind = self.is_behind(signed);
        match &signed.statement {
            Statement::Ask | Statement::Known(_) => {}
            Statement::Vote(vote) => self.hear_vote(signed, *vote, scene),
            Statement::Prepare(ballot) => self.hear_prepare(signed.from, *ballot, scene)?,
            Statement::Promise(promise) => self.hear_promise(signed, *promise),
            Statement::Propose(proposal) => self.hear_proposal(signed.from, proposal, scene)?,
            Statement::Certificate { certificate, unheard } => {
                self.hear_certificate(certificate, scene)?;
                self.answer_roll_call(certificate, unheard, scene);
            }
        }
        if is_behind {
            self.telling.show_to_somebody_behind(scene.now, self.show_after_ms());
        }
        Ok(())
    }

    /// That everybody knows what counts is kept, or it would all be told again after every restart; who was heard until
    /// then is kept whenever something else is.
    fn note_heard_from(&mut self, leaf: Leaf) {
        let is_decided = !self.durable.certificates.is_empty();
        if self.durable.heard.insert(leaf) && is_decided && self.durable.unheard().is_empty() {
            self.is_changed = true;
        }
    }

    /// Whether this is a vote that was heard before: votes are said again until everybody knows.
    fn has_checked(&self, signed: &Signed) -> bool {
        let Statement::Vote(vote) = signed.statement else { return false };
        self.tally.has_checked(signed.from, vote, &signed.signature)
    }

    /// Whether who says this does not know yet what we know to count. A first vote for it proves nothing: it may have been
    /// on its way.
    fn is_behind(&self, signed: &Signed) -> bool {
        let certificates = &self.durable.certificates;
        match &signed.statement {
            _ if certificates.is_empty() => false,
            Statement::Certificate { certificate, .. } => !certificates.contains_key(&certificate.vote.commit),
            Statement::Known(_) => false,
            Statement::Vote(vote) => {
                !certificates.contains_key(&vote.commit) || self.tally.contains(signed.from, *vote)
            }
            Statement::Ask | Statement::Prepare(_) | Statement::Promise(_) | Statement::Propose(_) => true,
        }
    }

    fn hear_vote(&mut self, signed: &Signed, vote: Vote, scene: &mut OrderingScene<'_>) {
        if vote.ballot <= self.ballot.saturating_add(LEAP_MAX) {
            self.record(signed.from, vote, signed.signature, scene);
        }
    }

    fn hear_prepare(&mut self, from: Leaf, ballot: u32, scene: &mut OrderingScene<'_>) -> Result<(), Fault> {
        self.check_owner(from, ballot)?;
        let is_voted = self.durable.accepted.is_some_and(|vote| vote.ballot >= ballot);
        if self.is_followed(from, ballot) && ballot >= self.durable.promised && !is_voted {
            self.enter(ballot, scene.now);
            self.promise(ballot, scene);
        }
        Ok(())
    }

    fn hear_promise(&mut self, signed: &Signed, promise: Promise) {
        if self.is_distrusted(signed.from) {
            return;
        }
        if let Some(drive) = self.drive.as_mut().filter(|drive| drive.ballot == promise.ballot) {
            let (leaf, accepted, signature) = (signed.from, promise.accepted, signed.signature);
            drive.promises.entry(leaf).or_insert(QuotedPromise { leaf, accepted, signature });
        }
    }

    fn hear_proposal(&mut self, from: Leaf, proposal: &Proposal, scene: &mut OrderingScene<'_>) -> Result<(), Fault> {
        let Vote { ballot, commit } = proposal.vote;
        self.check_owner(from, ballot)?;
        if !suffices(&proposal.promises, &self.durable.roster) || !proposal.verifies(scene.notary) {
            return Err(Fault::BadSignature);
        }
        if forced(&proposal.promises, &self.durable.roster).is_some_and(|forced| forced != commit) {
            self.expose(from, scene);
            return Err(Fault::Impossible);
        }
        let known = self.proposal.as_ref().map(|known| known.vote).or(self.durable.accepted);
        if known.is_some_and(|known| known.ballot == ballot && known.commit != commit) {
            self.expose(from, scene);
            return Err(Fault::Impossible);
        }
        let is_latest = self.proposal.as_ref().is_none_or(|known| known.vote.ballot < ballot);
        if self.is_followed(from, ballot) && ballot >= self.durable.promised && is_latest {
            self.enter(ballot, scene.now);
            self.proposal = Some(proposal.clone());
        }
        Ok(())
    }

    fn hear_certificate(&mut self, certificate: &Certificate, scene: &mut OrderingScene<'_>) -> Result<(), Fault> {
        let vote = certificate.vote;
        if self.durable.certificates.contains_key(&vote.commit) {
            if self.durable.certificates.len() == 1 {
                self.telling.leave_it_to_others(scene.now);
            }
            return Ok(());
        }
        let weight = self.durable.roster.weigh(certificate.leaves());
        if weight < self.durable.roster.quorum(vote.ballot) || !certificate.verifies(scene.notary, &self.tally) {
            return Err(Fault::BadSignature);
        }
        self.certify(certificate.clone());
        for (leaf, signature) in &certificate.votes {
            self.record(*leaf, vote, *signature, scene);
        }
        Ok(())
    }

    /// Whoever shows a certificate shows it again until it has heard from all: who is missing says that he knows, and
    /// nobody else needs to. Somebody who wakes hears it many times at once, and answers once.
    fn answer_roll_call(&mut self, certificate: &Certificate, unheard: &[Leaf], scene: &mut OrderingScene<'_>) {
        if unheard.contains(&self.durable.me) && self.telling.may_answer(scene.now, self.pace.first_resay_ms()) {
            self.say(Statement::Known(certificate.vote.commit), scene.notary);
        }
    }

    /// Whether we go along with a ballot somebody opened: not with a liar's, nor with one of a leaf that is to go.
    fn is_followed(&self, owner: Leaf, ballot: u32) -> bool {
        let is_near = ballot <= self.ballot.saturating_add(LEAP_MAX);
        self.is_undecided() && is_near && !self.is_distrusted(owner)
    }

    fn check_owner(&self, from: Leaf, ballot: u32) -> Result<(), Fault> {
        if self.durable.roster.owner(ballot) == from { Ok(()) } else { Err(Fault::Impossible) }
    }
}
