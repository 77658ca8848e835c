//! What we would like to change in a session, and committing it when it is our turn.

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::{DeviceKey, IdentityKey, Time};
use mainframe_mls::{Change, KeyPackageId, Leaf};

use super::branching::commit_id;
use super::{Conversation, ConversationFact, Invited, Scene};
use crate::session::SessionConfig;
use crate::session::credential::Credential;
use crate::session::epoch::Seat;
use crate::session::fragment::FrameKind;
use crate::session::ledger::Start;
use crate::session::ordering::CommitId;
use crate::session::terms::Amendment;

/// How long after another device was heard it is taken to be in touch, in milliseconds (guess: longer than a person pauses).
const IN_TOUCH_MS: u64 = 3_600_000;
/// Changes that wait for their turn (guess: an admin who adds everyone of a large group one by one).
const WANTS_MAX: usize = 128;

/// A key package of a device that is to come in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::session) struct Offered {
    pub(in crate::session) person: IdentityKey,
    pub(in crate::session) id: KeyPackageId,
    pub(in crate::session) bytes: Vec<u8>,
}

impl Offered {
    /// What the device says of itself.
    pub(in crate::session) fn credential(&self) -> Option<Credential> {
        mainframe_mls::offered(&self.bytes).ok().and_then(|(_, newcomer)| Credential::read(&newcomer.credential))
    }

    /// The key of the device.
    pub(in crate::session) fn device(&self) -> Option<DeviceKey> {
        mainframe_mls::offered(&self.bytes).ok().map(|(_, newcomer)| newcomer.key)
    }
}

/// A change to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::session) enum Want {
    /// These devices come in, all at once.
    Add(Vec<Offered>),
    /// All devices of a person go.
    RemovePerson(IdentityKey),
    /// A device goes.
    RemoveDevice(DeviceKey),
    /// Something else is agreed on.
    Agree(Amendment),
    /// Our own keys are renewed.
    Refresh,
    /// A device that was left behind comes in anew, in its own place.
    Readmit(Offered),
}

/// What we would like to change, in order, and since when.
#[derive(Default, Debug)]
pub(super) struct Wants {
    pub(super) queue: VecDeque<(Time, Want)>,
}

/// A commit of ours whose fate is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Draft {
    pub(super) commit: CommitId,
    pub(super) invitations: Vec<(IdentityKey, Vec<u8>)>,
    pub(super) tree: Option<Vec<u8>>,
    /// Where everyone was when it was applied: what they say from then on is for those whom it lets in, too.
    pub(super) start: Option<Start>,
}

impl Conversation {
    /// Would like to change something; it is committed when that is possible. False if too much waits already.
    pub(in crate::session) fn want(&mut self, scene: &mut Scene<'_>, want: Want) -> bool {
        if self.wants.queue.len() >= WANTS_MAX {
            return false;
        }
        if !self.wants.queue.iter().any(|(_, other)| *other == want) {
            self.wants.queue.push_back((scene.now, want));
            self.is_dirty = true;
        }
        self.pursue(scene);
        self.flush(scene);
        true
    }

    /// Wants our own keys renewed if they are old: what a thief copied opens nothing that is said afterwards.
    pub(super) fn renew(&mut self, scene: &mut Scene<'_>) {
        if self.renewal_due(scene.config).is_some_and(|due| due <= scene.now) {
            self.renewed = scene.now;
            self.wants.queue.push_back((scene.now, Want::Refresh));
            self.is_dirty = true;
        }
    }

    /// When our own keys are to be renewed, unless that is wanted already or nobody else is there. It waits until others are
    /// heard: two who renew while they cannot hear each other end on two branches.
    pub(super) fn renewal_due(&self, config: &SessionConfig) -> Option<Time> {
        let is_wanted = self.wants.queue.iter().any(|(_, want)| *want == Want::Refresh);
        let has_others = self.present().seats.len() > 1;
        let due = (has_others && !is_wanted).then_some(self.renewed + config.renew_ms)?;
        self.heard.is_some_and(|heard| due.since_ms(heard) < IN_TOUCH_MS || heard >= due).then_some(due)
    }

    /// When our turn to commit comes, if we want to.
    pub(super) fn next_commit(&self) -> Option<Time> {
        let (since, _) = self.wants.queue.front()?;
        if self.branch.is_some() || self.is_removed || self.is_outdated || self.draft.is_some() {
            return None;
        }
        self.orderings.get(&self.current)?.may_commit_at((*since).max(self.decided_since()))
    }

    /// Commits the first of what we want, if it is our turn.
    pub(super) fn pursue(&mut self, scene: &mut Scene<'_>) {
        while self.next_commit().is_some_and(|at| at <= scene.now) {
            let Some((since, want)) = self.wants.queue.pop_front() else { return };
            self.is_dirty = true;
            let Some(change) = self.change_for(&want) else { continue };
            match self.group.commit(scene.rng, &change) {
                Ok(draft) => {
                    self.wants.queue.push_front((since, want.clone()));
                    self.commit(scene, &want, draft);
                }
                Err(error) => self.give_up_want(scene, (since, want), error.to_string()),
            }
        }
    }

    /// What cannot be committed is not wanted any more. Of several persons who were to come in at once each is tried alone:
    /// whoever is the reason keeps nobody else out.
    fn give_up_want(&mut self, scene: &mut Scene<'_>, (since, want): (Time, Want), why: String) {
        let mut apart: BTreeMap<IdentityKey, Vec<Offered>> = BTreeMap::new();
        if let Want::Add(offered) = want {
            offered.into_iter().for_each(|one| apart.entry(one.person).or_default().push(one));
        }
        if apart.len() < 2 {
            return scene.out.facts.push(ConversationFact::Unwanted(why));
        }
        for offered in apart.into_values().rev() {
            self.wants.queue.push_front((since, Want::Add(offered)));
        }
    }

    /// What to commit for a want; nothing if there is nothing left to do.
    fn change_for(&self, want: &Want) -> Option<Change> {
        let seats = &self.present().seats;
        let leaves_of = |wanted: &dyn Fn(&Seat) -> bool| -> Vec<Leaf> {
            let others = seats.iter().filter(|seat| seat.leaf != self.present().own_leaf);
            others.filter(|seat| wanted(seat)).map(|seat| Leaf(seat.leaf)).collect()
        };
        let change = match want {
            Want::Add(offered) => {
                // Somebody else may have let them in meanwhile.
                let is_in = |one: &Offered| seats.iter().any(|seat| Some(seat.device) == one.device());
                let add = offered.iter().filter(|one| !is_in(one)).map(|one| one.bytes.clone());
                Change { add: add.collect(), ..Change::default() }
            }
            Want::RemovePerson(person) => {
                let remove = leaves_of(&|seat| seat.person == *person);
                // Should he be let in again, he comes without rights.
                let terms = Amendment::Admin(*person, false).to(&self.terms);
                let is_change = terms != self.terms && !terms.admins.is_empty() && !remove.is_empty();
                Change { remove, context: is_change.then(|| terms.encode()), ..Change::default() }
            }
            Want::RemoveDevice(device) => {
                Change { remove: leaves_of(&|seat| seat.device == *device), ..Change::default() }
            }
            Want::Agree(amendment) => {
                let terms = amendment.to(&self.terms);
                let is_change = terms != self.terms && !terms.admins.is_empty();
                Change { context: is_change.then(|| terms.encode()), ..Change::default() }
            }
            Want::Refresh => Change { refresh: true, ..Change::default() },
            Want::Readmit(offered) => {
                // Somebody else may have let it back meanwhile.
                let credential = offered.credential()?;
                let remove = leaves_of(&|seat| credential.comes_back_to(seat, &self.id));
                let add = remove.iter().map(|_| offered.bytes.clone()).collect();
                Change { remove, add, ..Change::default() }
            }
        };
        (change != Change::default()).then_some(change)
    }

    fn commit(&mut self, scene: &mut Scene<'_>, want: &Want, draft: mainframe_mls::Draft) {
        let id = commit_id(&draft.commit);
        let person_of = |to: KeyPackageId| match want {
            Want::Add(offered) => offered.iter().find(|one| one.id == to).map(|one| one.person),
            Want::Readmit(offered) => (offered.id == to).then_some(offered.person),
            Want::RemovePerson(_) | Want::RemoveDevice(_) | Want::Agree(_) | Want::Refresh => None,
        };
        let invitations = draft.invitations.into_iter();
        let invitations = invitations.filter_map(|one| Some((person_of(one.to)?, one.welcome))).collect();
        self.draft = Some(Draft { commit: id, invitations, tree: draft.tree, start: None });
        let facts = self.group.inspect(&draft.commit);
        let Some(commit) = facts.ok().and_then(|facts| self.judge(id, &facts)) else {
            // What the terms forbid the others would not follow either.
            self.group.clear_pending();
            self.draft = None;
            if let Some(want) = self.wants.queue.pop_front() {
                self.give_up_want(scene, want, "the session's terms do not allow it".to_owned());
            }
            return;
        };
        let epoch = self.current;
        self.post(scene, epoch, FrameKind::Commit, &draft.commit, None);
        self.take_candidate(scene, epoch, commit, &draft.commit);
    }

    /// A commit was applied: if it is ours, those whom it lets in begin here, however long it takes until they may be told.
    pub(super) fn note_start(&mut self, applied: &CommitId) {
        if let Some(draft) = self.draft.as_mut().filter(|draft| draft.commit == *applied) {
            draft.start.get_or_insert_with(|| self.ledger.start());
        }
    }

    /// A commit is final: if it is ours, those whom it lets in are told; if not, ours has to be made anew.
    pub(super) fn settle_draft(&mut self, scene: &mut Scene<'_>, winner: &CommitId) {
        let Some(draft) = self.draft.take() else { return };
        if draft.commit != *winner {
            return;
        }
        let is_back = matches!(self.wants.queue.pop_front(), Some((_, Want::Readmit(_))));
        self.renewed = scene.now;
        let applied = draft.start.unwrap_or_default();
        let start = self.ledger.start().no_later_than(&applied);
        for (person, welcome) in draft.invitations {
            let (tree, start) = (draft.tree.clone(), start.clone());
            scene.out.facts.push(ConversationFact::Invite(Invited { person, welcome, tree, start, is_back }));
        }
        // The next one is made at the next wake-up, not in the middle of this one.
    }
}
