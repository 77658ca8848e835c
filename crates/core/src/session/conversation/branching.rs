//! Which commit leads on, and going back when another one does.
//!
//! A commit that was voted for is applied at once; until it is final the parent epoch is kept as a snapshot. If another one
//! wins, the group is set back and merges that; nothing is ever encrypted in the parent again (review P34, P35).

use std::collections::BTreeMap;

use mainframe_base::{DeviceKey, IdentityKey, SessionId, Signature as DeviceSignature, Time};
use mainframe_mls::{CommitFacts, DeviceSecret, EpochId, Group};

use super::{Branch, Conversation, ConversationFact, Scene, export, facts_of, members_of, ordering_of};
use crate::crypto::Verifier;
use crate::session::credential::Credential;
use crate::session::epoch::{Epoch, EpochFacts};
use crate::session::fragment::FrameKind;
use crate::session::ledger::Member;
use crate::session::ordering::{
    Commit, CommitId, Leaf, Notary, Ordering, OrderingFact, OrderingOut, OrderingScene, Removal, Signature, Signed,
    Wish,
};
use crate::session::terms::{Changes, Kind, Terms};

/// From this many requests on anyone answers for a commit, not its author alone.
const ASKED_ANYONE: u32 = 2;
/// How long a commit is not shown again after it was, in milliseconds: less than the pause before somebody asks again.
const NEED_REST_MS: u64 = 4_000;

/// Commits on an epoch, up to which one more may be believed (guess: one of each device, twice).
const ON_TRUST_MAX: usize = 8;

/// Signs and checks what is said about one epoch.
struct EpochNotary<'a> {
    session: SessionId,
    epoch: EpochId,
    device: &'a DeviceSecret,
    verifier: &'a Verifier,
    keys: BTreeMap<u32, DeviceKey>,
}

impl EpochNotary<'_> {
    /// What is signed: the session and the epoch go in, so that no statement says anything elsewhere.
    fn about(&self, statement: &[u8]) -> Vec<u8> {
        [&self.session.0[..], &self.epoch.0, statement].concat()
    }
}

impl Notary for EpochNotary<'_> {
    fn sign(&self, statement: &[u8]) -> Signature {
        Signature(self.device.sign(&self.about(statement)).0)
    }

    fn is_signed_by(&self, leaf: Leaf, statement: &[u8], signature: &Signature) -> bool {
        let signature = DeviceSignature(signature.0);
        self.keys.get(&leaf.0).is_some_and(|key| self.verifier.statement(key, &self.about(statement), &signature))
    }
}

impl Conversation {
    /// Calls the decision on an epoch, and does what follows.
    pub(super) fn with_ordering(
        &mut self,
        scene: &mut Scene<'_>,
        epoch: EpochId,
        call: impl FnOnce(&mut Ordering, &mut OrderingScene<'_>),
    ) {
        let (Some(keys), Some(ordering)) = (self.epochs.get(&epoch), self.orderings.get_mut(&epoch)) else { return };
        let keys = keys.facts.seats.iter().map(|seat| (seat.leaf, seat.device)).collect();
        let notary = EpochNotary { session: self.id, epoch, device: &self.device, verifier: scene.verifier, keys };
        let mut out = OrderingOut::default();
        call(ordering, &mut OrderingScene { now: scene.now, notary: &notary, out: &mut out });
        self.obey_ordering(scene, epoch, out);
    }

    fn obey_ordering(&mut self, scene: &mut Scene<'_>, epoch: EpochId, out: OrderingOut) {
        for wish in out.wishes {
            match wish {
                Wish::Keep => self.keep_decision(scene.tx, &epoch),
                Wish::Apply(commit) => self.apply(scene, epoch, commit),
                Wish::Need(commit) => self.post(scene, epoch, FrameKind::Need, &commit.0, None),
                Wish::Say(signed) => self.post(scene, epoch, FrameKind::Statement, &signed.encode(), None),
            }
        }
        for fact in out.facts {
            match fact {
                OrderingFact::Final(commit) => self.finish(scene, epoch, commit),
                OrderingFact::GaveUp => self.burn_way_back(scene),
                OrderingFact::Forked { winner, .. } => self.forked(scene, epoch, winner),
                OrderingFact::Equivocated(leaf) => {
                    let seat = self.epoch(&epoch).and_then(|epoch| epoch.facts.seat(leaf.0));
                    let liar = seat.map(|seat| ConversationFact::Equivocated(seat.id()));
                    scene.out.facts.extend(liar);
                }
            }
        }
        self.is_dirty = true;
    }

    pub(super) fn wake_orderings(&mut self, scene: &mut Scene<'_>) {
        let due = |ordering: &Ordering| ordering.next_wake().is_some_and(|due| due <= scene.now);
        let epochs: Vec<EpochId> =
            self.orderings.iter().filter(|(_, ordering)| due(ordering)).map(|(epoch, _)| *epoch).collect();
        for epoch in epochs {
            self.with_ordering(scene, epoch, Ordering::wake);
        }
    }

    /// Somebody commits on an epoch.
    pub(super) fn commit_came(&mut self, scene: &mut Scene<'_>, epoch: EpochId, leaf: u32, bytes: &[u8]) {
        let id = commit_id(bytes);
        if epoch != self.deciding() {
            if epoch == self.current {
                self.keep_early(epoch, leaf, FrameKind::Commit, bytes);
            } else {
                self.commit_on_ended(scene, epoch, Commit { id, author: Leaf(leaf), removals: Vec::new() });
            }
            return;
        }
        if self.candidates.contains_key(&id) {
            return;
        }
        let judged = if self.is_stuck {
            self.take_on_trust(id, leaf)
        } else {
            self.inspect(bytes).and_then(|facts| self.judge(id, &facts))
        };
        if let Some(commit) = judged {
            self.take_candidate(scene, epoch, commit, bytes);
        }
    }

    /// Devices of one person need nobody's vote. If two ended one epoch while they were apart, both find out, and which of
    /// the two counts.
    fn commit_on_ended(&mut self, scene: &mut Scene<'_>, epoch: EpochId, commit: Commit) {
        let is_ours_alone = |epoch: &Epoch| epoch.facts.seats.iter().all(|seat| seat.person == self.me.person);
        if self.epoch(&epoch).is_some_and(is_ours_alone) {
            self.with_ordering(scene, epoch, |ordering, scene| ordering.commit_seen(commit, scene));
        }
    }

    /// Without the parent's keys nothing about a commit on it can be checked; of one that is certified nothing needs to be. But
    /// the two of a pair, who both burnt them, would never come to a decision: there the other one is believed, who can
    /// deceive nobody else.
    fn take_on_trust(&self, id: CommitId, leaf: u32) -> Option<Commit> {
        let deciding = self.deciding();
        let by_other = self.epoch(&deciding)?.facts.seat(leaf)?.person != self.me.person;
        let is_believed = self.terms.kind == Kind::Pair && by_other && self.candidates.len() < ON_TRUST_MAX;
        let is_certified = || self.orderings.get(&deciding).is_some_and(|ordering| ordering.is_certified(&id));
        (is_believed || is_certified()).then(|| Commit { id, author: Leaf(leaf), removals: Vec::new() })
    }

    /// Keeps a commit that was found valid, and has it decided on; unless there are too many of its author.
    pub(super) fn take_candidate(&mut self, scene: &mut Scene<'_>, epoch: EpochId, commit: Commit, bytes: &[u8]) {
        self.keep_candidate(scene.tx, &epoch, &commit.id, bytes);
        let id = commit.id;
        self.candidates.insert(id, bytes.to_vec());
        self.with_ordering(scene, epoch, |ordering, scene| ordering.commit_seen(commit, scene));
        if self.orderings.get(&epoch).is_some_and(|ordering| !ordering.knows(&id)) {
            self.forget_candidate(scene.tx, &epoch, &id);
        }
    }

    fn inspect(&mut self, bytes: &[u8]) -> Option<CommitFacts> {
        match &self.branch {
            None => self.group.inspect(bytes).ok(),
            Some(branch) => Group::load(branch.snapshot.clone(), &self.device).ok()?.inspect(bytes).ok(),
        }
    }

    /// Whether its author may do that; else it is nobody's business.
    pub(super) fn judge(&self, id: CommitId, facts: &CommitFacts) -> Option<Commit> {
        let epoch = &self.epochs.get(&self.deciding())?.facts;
        let author = epoch.seat(facts.author.0)?.person;
        let changes = self.changes_of(epoch, facts)?;
        if let Err(forbidden) = self.terms_of_deciding().allow(author, &epoch.persons(), &changes) {
            tracing::debug!(%forbidden, "a commit breaks the session's terms");
            return None;
        }
        let by = Leaf(facts.author.0);
        let removals = changes.removed.keys().map(|leaf| Removal { by, of: Leaf(*leaf) }).collect();
        Some(Commit { id, author: by, removals })
    }

    /// What a commit changes. A device that comes back to its own seat changes nothing: who is in stays the same.
    fn changes_of(&self, epoch: &EpochFacts, facts: &CommitFacts) -> Option<Changes> {
        let removed = facts.removed.iter().map(|leaf| epoch.seat(leaf.0)).collect::<Option<Vec<_>>>()?;
        let of_removed = removed.iter().map(|seat| (seat.leaf, seat.person)).collect();
        let mut changes = Changes { removed: of_removed, ..Changes::default() };
        for newcomer in &facts.added {
            let credential = Credential::verified(&newcomer.credential)?;
            if credential.certificate.device != newcomer.key {
                return None;
            }
            match removed.iter().find(|seat| credential.comes_back_to(seat, &self.id)) {
                Some(seat) => drop(changes.removed.remove(&seat.leaf)),
                None => changes.added.push(credential.person()),
            }
        }
        let author = epoch.seat(facts.author.0)?;
        if let Some(credential) = &facts.credential {
            let renewed = Credential::verified(credential)?.certificate;
            if (renewed.identity, renewed.device) != (author.person, author.device) {
                return None;
            }
        }
        changes.terms = facts.context.as_ref().map(|context| Terms::decode(context)).transpose().ok()?;
        Some(changes)
    }

    /// The terms of the epoch that is being decided on.
    fn terms_of_deciding(&self) -> Terms {
        let of_parent = self.branch.as_ref().and_then(|branch| {
            let parent = Group::load(branch.snapshot.clone(), &self.device).ok()?;
            Terms::decode(parent.context()).ok()
        });
        of_parent.unwrap_or_else(|| self.terms.clone())
    }

    /// Somebody says something about which commit on an epoch counts.
    pub(super) fn statement_came(&mut self, scene: &mut Scene<'_>, epoch: EpochId, leaf: u32, bytes: &[u8]) {
        if epoch == self.current && epoch != self.deciding() {
            return self.keep_early(epoch, leaf, FrameKind::Statement, bytes);
        }
        let Ok(signed) = Signed::decode(bytes) else { return };
        self.with_ordering(scene, epoch, |ordering, scene| {
            if let Err(fault) = ordering.heard(&signed, scene) {
                tracing::debug!(leaf, %fault, "a statement about a commit that does not hold");
            }
        });
    }

    /// Somebody lacks a commit: its author answers, and anyone if that does not help.
    pub(super) fn need_came(&mut self, scene: &mut Scene<'_>, epoch: EpochId, bytes: &[u8]) {
        let Ok(id) = bytes.try_into().map(CommitId) else { return };
        let Some(commit) = self.candidate(scene.tx, &epoch, &id) else { return };
        let is_ours = self.orderings.get(&epoch).is_some_and(|ordering| ordering.is_ours(&id));
        let asked = self.asked.entry(id).or_default();
        asked.times = asked.times.saturating_add(1);
        let is_answered = asked.answered.is_some_and(|at| scene.now.since_ms(at) < NEED_REST_MS);
        if !is_answered && (is_ours || asked.times >= ASKED_ANYONE) {
            asked.answered = Some(scene.now);
            self.post(scene, epoch, FrameKind::Commit, &commit, None);
        }
    }

    /// A member still speaks in an epoch that we left a while ago: he is shown what ended it, or may have, and what was said
    /// about that.
    pub(super) fn remind(&mut self, scene: &mut Scene<'_>, epoch: EpochId) {
        let Some(ended_by) = self.orderings.get(&epoch).and_then(Ordering::favourite) else { return };
        let Some(commit) = self.candidate(scene.tx, &epoch, &ended_by) else { return };
        let last = self.reminded.get(&epoch).copied().unwrap_or(self.present().began);
        if scene.now.since_ms(last) > scene.config.remind_ms {
            self.reminded.insert(epoch, scene.now);
            self.post(scene, epoch, FrameKind::Commit, &commit, None);
            self.with_ordering(scene, epoch, Ordering::repeat);
        }
    }

    /// Goes to the epoch this commit leads to, back over the parent if we are in another one.
    fn apply(&mut self, scene: &mut Scene<'_>, parent: EpochId, id: CommitId) {
        if parent != self.deciding() {
            return;
        }
        let Some(bytes) = self.candidates.get(&id).cloned() else { return };
        if self.is_stuck {
            // There is no way back. Whether we are where the others will be is certain when that commit is final.
            return;
        }
        self.stand_on_parent(scene, parent, id);
        let facts = match self.group.merge(&bytes) {
            Ok(facts) => facts,
            Err(error) => return tracing::error!(?error, "a commit that was found valid cannot be merged"),
        };
        let deed = self.deed_of(&parent, &facts);
        if let Some(branch) = &mut self.branch {
            branch.deed = deed;
        }
        self.is_removed = !self.group.is_member();
        if self.is_removed {
            return;
        }
        self.enter(scene, facts.author.0);
        self.note_start(&id);
    }

    /// Keeps a way back to the parent, or goes it, before a commit is merged.
    fn stand_on_parent(&mut self, scene: &mut Scene<'_>, parent: EpochId, commit: CommitId) {
        let Some(branch) = &mut self.branch else {
            let snapshot = self.group.snapshot();
            self.keep_snapshot(scene.tx, &snapshot);
            self.branch = Some(Branch { parent, commit, snapshot, deed: None });
            return;
        };
        branch.commit = commit;
        self.group.restore(branch.snapshot.clone()).expect("a snapshot of this very group");
        if self.current != parent {
            let abandoned = std::mem::replace(&mut self.current, parent);
            self.forget_epoch(scene, &abandoned);
        }
        let said: Vec<u64> = std::mem::take(&mut self.said_on_branch).into_iter().collect();
        self.ledger.resend(scene.now, &said);
    }

    /// Takes up the epoch the group is in.
    fn enter(&mut self, scene: &mut Scene<'_>, committer: u32) {
        let entered = facts_of(&self.group, &self.present().seats, committer, scene.now)
            .and_then(|facts| Some((Terms::decode(self.group.context()).ok()?, facts)));
        let Some((terms, facts)) = entered else {
            return tracing::error!("a commit that was judged leads to an epoch that is none");
        };
        let epoch = Epoch::begin(facts, |leaf| export(&self.group, leaf));
        let members = self.members_until_final(&epoch.facts);
        (self.current, self.terms) = (epoch.facts.id, terms);
        self.add_epoch(scene, epoch);
        self.with_ledger(scene, |ledger, scene| ledger.set_members(scene, &members));
    }

    /// Who is owed what is said while the commit that led to an epoch may still lose: whoever it removes, too, for otherwise
    /// nothing would be owed to him any more if he stays.
    fn members_until_final(&self, facts: &EpochFacts) -> Vec<Member> {
        let mut members = members_of(facts);
        let parent = self.branch.as_ref().and_then(|branch| self.epoch(&branch.parent));
        let leaving = parent.map(|parent| members_of(&parent.facts)).unwrap_or_default();
        members.extend(leaving.into_iter().filter(|one| facts.seats.iter().all(|seat| seat.id() != one.device)));
        members
    }

    /// The commit counts: there is no way back, and the next one may come.
    fn finish(&mut self, scene: &mut Scene<'_>, parent: EpochId, id: CommitId) {
        if parent != self.deciding() {
            return;
        }
        if self.is_stranded() {
            return scene.out.facts.push(ConversationFact::Stranded);
        }
        let Some(branch) = self.branch.take() else { return };
        self.is_stuck = false;
        self.drop_snapshot(scene.tx, &branch.snapshot);
        let (by, changes) = self.describe(branch, &id);
        self.said_on_branch.clear();
        if self.is_removed && self.is_put_in_again(&parent, &changes) {
            return scene.out.facts.push(ConversationFact::Stranded);
        }
        if self.is_removed {
            self.leave(scene);
            scene.out.facts.push(ConversationFact::Left { by });
            return;
        }
        self.keep_only_candidate(scene.tx, &parent, &id);
        let facts = self.present().clone();
        self.with_ledger(scene, |ledger, scene| ledger.set_members(scene, &members_of(&facts)));
        match ordering_of(&facts, scene.config) {
            Some(ordering) => drop(self.orderings.insert(facts.id, ordering)),
            None => tracing::error!("an epoch in which nothing can be decided"),
        }
        self.keep_decision(scene.tx, &facts.id);
        let Changes { added, removed, terms } = changes;
        let removed = removed.into_values().collect();
        scene.out.facts.push(ConversationFact::Changed { by, added, removed, terms });
        self.settle_draft(scene, &id);
        self.replay_early(scene);
    }

    /// Whether we were put out only to be put in again, because we asked to come back once: if nobody says how, we ask again.
    fn is_put_in_again(&self, parent: &EpochId, changes: &Changes) -> bool {
        self.epoch(parent).is_some_and(|epoch| !changes.removed.contains_key(&epoch.facts.own_leaf))
    }

    /// What a commit did, in the words of people. After a restart it is found out anew.
    fn describe(&self, branch: Branch, id: &CommitId) -> (IdentityKey, Changes) {
        let Branch { parent, snapshot, deed, .. } = branch;
        let inspect_again = || {
            let bytes = self.candidates.get(id)?;
            let facts = Group::load(snapshot, &self.device).ok()?.inspect(bytes).ok()?;
            self.deed_of(&parent, &facts)
        };
        deed.or_else(inspect_again).unwrap_or((self.me.person, Changes::default()))
    }

    /// Who made a commit on an epoch, and what it changes.
    fn deed_of(&self, parent: &EpochId, facts: &CommitFacts) -> Option<(IdentityKey, Changes)> {
        let parent = &self.epochs.get(parent)?.facts;
        Some((parent.seat(facts.author.0)?.person, self.changes_of(parent, facts)?))
    }

    /// A day without a decision: forward secrecy is worth more than the way back (review P34).
    fn burn_way_back(&mut self, scene: &mut Scene<'_>) {
        if let Some(branch) = &mut self.branch {
            let snapshot = std::mem::take(&mut branch.snapshot);
            self.is_stuck = true;
            self.said_on_branch.clear();
            self.drop_snapshot(scene.tx, &snapshot);
        }
    }

    /// Two commits were certified, because members lied, or because one person's devices could not hear each other: whoever is
    /// not on the winning branch has to be added again, and is shown what counts.
    fn forked(&mut self, scene: &mut Scene<'_>, epoch: EpochId, winner: CommitId) {
        let branch = self.branch.as_ref().filter(|branch| branch.parent == epoch);
        if branch.is_some() && !self.is_stuck {
            return self.apply(scene, epoch, winner);
        }
        // Of what was decided on, the commit that we followed is kept.
        let is_ours = |branch: &Branch| branch.commit == winner;
        if !branch.map_or_else(|| self.candidate(scene.tx, &epoch, &winner).is_some(), is_ours) {
            return scene.out.facts.push(ConversationFact::Stranded);
        }
        self.remind(scene, epoch);
    }

    /// When the epoch that is being decided on began.
    pub(super) fn decided_since(&self) -> Time {
        self.epochs[&self.deciding()].facts.began
    }
}

/// A commit's name.
pub(super) fn commit_id(bytes: &[u8]) -> CommitId {
    CommitId(*blake3::hash(bytes).as_bytes())
}
