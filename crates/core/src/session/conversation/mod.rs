//! One session on one device: a group that agrees on keys, the epochs it went through, and what is said in it.
//!
//! What comes goes `inbound` → the ledger (messages) or `branching` (commits and words about them); what is said goes
//! ledger → `outbound`. Rules and reasons: docs/protocol/session.md.
//!
//! - `beginning`: founding one, or entering one by a Welcome
//! - `inbound`: from a cell to what it means
//! - `outbound`: from a frame to cells
//! - `branching`: which commit leads on, and going back when another one does
//! - `presence`: whether the others are there, and whether they went on without us
//! - `wanting`: what we would like to change, and committing it when it is our turn
//! - `rows`: how it is kept
//! - `views`: how it is looked at

mod beginning;
mod branching;
mod inbound;
mod outbound;
mod presence;
mod rows;
mod views;
mod wanting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainframe_base::{DeviceId, DeviceKey, IdentityKey, SessionId, Tag, Time};
use mainframe_mls::{DeviceSecret, EpochId, Group, Rows};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::SessionConfig;
use super::credential::Credential;
use super::epoch::{Epoch, EpochFacts, Seat};
use super::fragment::Assembly;
use super::ledger::{BODY_MAX, Entry, Gap, Ledger, Member, Message, MessageId, MessageState, Start};
use super::ordering::{CommitId, Leaf, Ordering, Pace, Removal, Roster};
use super::terms::{Changes, Kind, Terms};
use crate::crypto::{DeviceCertificate, Verifier};
use crate::store::Tx;
use crate::wire::Parcel;
pub(super) use beginning::Beginning;
pub(super) use outbound::CONTROL_KIND;
pub use views::{DeviceView, MemberView, SessionView};
use wanting::{Draft, Wants};
pub(super) use wanting::{Offered, Want};

/// Messages kept as they were encrypted, to be passed on to members who lack them: those of the last minute of a busy
/// group (guess).
const ORIGINALS_MAX: usize = 256;
/// Bytes of one of them: all that people say, as it is sealed.
const ORIGINAL_KEPT_MAX: usize = BODY_MAX + 2_048;
/// Epochs that are over and whose tags are still awaited, at most: twice as many as MLS keeps keys to, so that a member who
/// commits all the time does not fill the memory.
const ENDED_MAX: usize = 64;
/// Frames of an epoch whose parent is not decided here yet (guess: more than one round of a large group's votes).
const EARLY_MAX: usize = 64;

/// Where an awaited tag belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) session: SessionId,
    pub(super) epoch: EpochId,
    pub(super) leaf: u32,
    pub(super) number: u64,
}

/// Parcels that carry one frame of ours.
#[derive(Debug)]
pub(super) struct Post {
    /// In which session.
    pub(super) session: SessionId,
    /// Which of our messages it is, if it is one.
    pub(super) number: Option<u64>,
    /// The parcels, each to every place.
    pub(super) parcels: Vec<Parcel>,
}

/// A Welcome for somebody who was added, to be sent now that the commit counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Invited {
    pub(super) person: IdentityKey,
    pub(super) welcome: Vec<u8>,
    pub(super) tree: Option<Vec<u8>>,
    pub(super) start: Start,
    /// It was in before, and had been left behind.
    pub(super) is_back: bool,
}

/// What happened in a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ConversationFact {
    /// Somebody said something to the others.
    Said { sequence: u64, message: Message, late: bool },
    /// A device said something to our device that no person reads.
    Controlled { from: Seat, message: Message },
    /// What was said before is given up.
    GaveUp(Gap),
    /// An own message got further.
    State { number: u64, state: MessageState },
    /// Everybody has read what we said up to this number.
    ReadThrough(u64),
    /// Another device of ours has read up to this message.
    ReadElsewhere(MessageId),
    /// Who is in changed, or what was agreed on.
    Changed { by: IdentityKey, added: Vec<IdentityKey>, removed: Vec<IdentityKey>, terms: Option<Terms> },
    /// Send this.
    Invite(Invited),
    /// We are not in it any more.
    Left { by: IdentityKey },
    /// Our branch is a dead end: we have to be added again.
    Stranded,
    /// So many of the others were not heard for so long that they may have gone on without us.
    OutOfTouch,
    /// This is an old copy of a device that went on since: it reads only, and has to be added again.
    Outdated,
    /// A device provably lied about which commit counts.
    Equivocated(DeviceId),
    /// What we wanted cannot be, for this reason.
    Unwanted(String),
}

/// What a call leaves behind.
#[derive(Default)]
pub(super) struct Out {
    pub(super) awaited: Vec<(Tag, Slot)>,
    pub(super) forgotten: Vec<Tag>,
    pub(super) posts: Vec<Post>,
    pub(super) facts: Vec<ConversationFact>,
}

/// When a call is made, with what, and what it leaves behind.
pub(super) struct Scene<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut ChaCha20Rng,
    pub(super) tx: &'a mut dyn Tx,
    pub(super) out: &'a mut Out,
    pub(super) config: &'a SessionConfig,
    pub(super) verifier: &'a Verifier,
}

impl Scene<'_> {
    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }
}

/// The epoch we could go back to, while the commit that ended it may still lose.
struct Branch {
    parent: EpochId,
    /// By which commit we came here.
    commit: CommitId,
    /// The way back; nothing once it was burnt.
    snapshot: Rows,
    /// Who led us here and by what changes, if that happened since the last start.
    deed: Option<(IdentityKey, Changes)>,
}

/// How often a commit was asked for, and when we showed it last.
#[derive(Default)]
struct Asked {
    times: u32,
    answered: Option<Time>,
}

/// What came too early to be judged.
struct Early {
    epoch: EpochId,
    leaf: u32,
    kind: super::fragment::FrameKind,
    bytes: Vec<u8>,
}

/// One session.
pub(super) struct Conversation {
    id: SessionId,
    me: Member,
    device: DeviceSecret,
    group: Group,
    terms: Terms,
    current: EpochId,
    epochs: BTreeMap<EpochId, Epoch>,
    branch: Option<Branch>,
    /// The decision on every kept epoch that has an end, and on the one that may have.
    orderings: BTreeMap<EpochId, Ordering>,
    /// Commits on the epoch that is being decided on.
    candidates: BTreeMap<CommitId, Vec<u8>>,
    /// How often a commit was asked for, as long as it is kept.
    asked: BTreeMap<CommitId, Asked>,
    /// When a member who lags behind was last shown what ended an epoch.
    reminded: BTreeMap<EpochId, Time>,
    early: Vec<Early>,
    /// When our own keys were renewed last.
    renewed: Time,
    /// When another device was heard last, since the start.
    heard: Option<Time>,
    /// When it is looked next whether enough others were heard.
    look_around_at: Time,
    wants: Wants,
    draft: Option<Draft>,
    ledger: Ledger,
    /// Own messages sent in an epoch that may lose, to be sent again if it does.
    said_on_branch: BTreeSet<u64>,
    /// The commit applied here removes us.
    is_removed: bool,
    /// The way back to the parent is burnt although nothing is decided.
    is_stuck: bool,
    /// This is an old copy of the device: what it would say others have heard otherwise (review P38).
    is_outdated: bool,
    originals: VecDeque<(MessageId, Vec<u8>)>,
    assembly: Assembly<(EpochId, u32)>,
    is_dirty: bool,
}

impl Conversation {
    /// Its name.
    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// Which of our persons is in it.
    pub(super) fn person(&self) -> IdentityKey {
        self.me.person
    }

    /// In a session of two, the other one.
    pub(super) fn other_person(&self) -> Option<IdentityKey> {
        let others = self.terms.admins.iter().filter(|person| **person != self.me.person);
        (self.terms.kind == Kind::Pair).then(|| others.copied().next()).flatten()
    }

    /// Whether somebody has a device in it.
    pub(super) fn has(&self, person: &IdentityKey) -> bool {
        self.present().seats.iter().any(|seat| seat.person == *person)
    }

    /// Whether another commit than the one that led us here counts, and there is no way back.
    pub(super) fn is_stranded(&self) -> bool {
        let Some(branch) = self.branch.as_ref().filter(|_| self.is_stuck) else { return false };
        let counts = self.orderings.get(&branch.parent).and_then(Ordering::final_commit);
        counts.is_some_and(|commit| commit != branch.commit)
    }

    /// Whether this is an old copy of the device, which only reads.
    pub(super) fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    /// Whether anyone but our own person is in it.
    pub(super) fn is_with_others(&self) -> bool {
        self.present().seats.iter().any(|seat| seat.person != self.me.person)
    }

    /// Everyone in it.
    pub(super) fn persons(&self) -> BTreeSet<IdentityKey> {
        self.present().seats.iter().map(|seat| seat.person).collect()
    }

    /// The devices of somebody.
    pub(super) fn devices_of(&self, person: &IdentityKey) -> Vec<DeviceKey> {
        self.present().seats.iter().filter(|seat| seat.person == *person).map(|seat| seat.device).collect()
    }

    /// The certificates of somebody's devices.
    pub(super) fn certificates_of(&self, person: &IdentityKey) -> Vec<DeviceCertificate> {
        let credentials =
            self.group.members().into_iter().filter_map(|member| Credential::verified(&member.credential));
        credentials.map(|it| it.certificate).filter(|certificate| certificate.identity == *person).collect()
    }

    /// Whose a device is, or was.
    pub(super) fn person_of(&self, device: &DeviceId) -> Option<IdentityKey> {
        self.seat_of(device).map(|seat| seat.person)
    }

    /// An admin is about to remove a device.
    pub(super) fn removal_proposed(&mut self, scene: &mut Scene<'_>, by: u32, device: DeviceKey) {
        let epoch = self.deciding();
        let of = self.epochs[&epoch].facts.seats.iter().find(|seat| seat.device == device).map(|seat| seat.leaf);
        let Some(of) = of else { return };
        let removal = Removal { by: Leaf(by), of: Leaf(of) };
        self.with_ordering(scene, epoch, |ordering, scene| ordering.removal_proposed(removal, scene));
        self.flush(scene);
    }

    /// Whether we were removed and have not heard of it, if an admin let us in again at an epoch of this number.
    pub(super) fn is_left_behind(&self, epoch: u64, let_in_by: &IdentityKey) -> bool {
        let may_let_in = *let_in_by == self.me.person || self.terms.admins.contains(let_in_by);
        may_let_in && epoch > self.present().number
    }

    /// Whether somebody may let us back where we asked to come back to: another device of our person, an admin, or a member
    /// if most of those whom we knew are there. He may still have made up that they are, but not that they are heard: then we
    /// ask again.
    pub(super) fn may_come_back(&self, to: &Beginning, let_in_by: &IdentityKey) -> bool {
        let seats = &self.present().seats;
        let still_in = seats.iter().filter(|seat| to.has(&seat.device)).count();
        let is_plausible = || self.has(let_in_by) && 2 * still_in > seats.len() && to.epoch() > self.present().number;
        *let_in_by == self.me.person || self.is_left_behind(to.epoch(), let_in_by) || is_plausible()
    }

    /// Nothing is owed to us or by us any more.
    pub(super) fn leave(&mut self, scene: &mut Scene<'_>) {
        self.with_ledger(scene, |ledger, scene| ledger.set_members(scene, &[]));
    }

    /// What was agreed on.
    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Every awaited tag.
    pub(super) fn tags(&self) -> impl Iterator<Item = (Tag, Slot)> {
        let session = self.id;
        self.epochs.iter().flat_map(move |(epoch, keys)| {
            let slot = move |leaf, number| Slot { session, epoch: *epoch, leaf, number };
            keys.tags().map(move |(tag, leaf, number)| (tag, slot(leaf, number)))
        })
    }

    /// Says something to the others.
    ///
    /// # Errors
    /// `TooLong`, or `Busy` while too much is on its way.
    pub(super) fn say(
        &mut self,
        scene: &mut Scene<'_>,
        stream: u16,
        kind: u8,
        body: Vec<u8>,
    ) -> Result<super::ledger::Submitted, mainframe_base::Refusal> {
        let mut submitted = Err(mainframe_base::Refusal::Busy);
        self.with_ledger(scene, |ledger, scene| submitted = ledger.submit(scene, stream, kind, body));
        self.flush(scene);
        submitted
    }

    /// A message was read here, and with it all its author said before.
    pub(super) fn read(&mut self, scene: &mut Scene<'_>, id: MessageId) {
        self.with_ledger(scene, |ledger, scene| ledger.read(scene, id));
        self.flush(scene);
    }

    /// Takes a message back; whether that was in time.
    pub(super) fn cancel(&mut self, scene: &mut Scene<'_>, number: u64) -> bool {
        let mut in_time = false;
        self.with_ledger(scene, |ledger, scene| in_time = ledger.cancel(scene, number));
        self.flush(scene);
        in_time
    }

    /// What people said after a place in the order of this device, at most so many messages by authors who are heard. What
    /// devices said to each other stands in the same order and is passed over.
    pub(super) fn messages(
        &self,
        tx: &dyn Tx,
        mut after: u64,
        limit: usize,
        mut is_heard: impl FnMut(&DeviceId) -> bool,
    ) -> Vec<Entry> {
        let mut spoken = Vec::new();
        while spoken.len() < limit {
            let page = self.ledger.messages(tx, after, limit - spoken.len());
            let Some(last) = page.last() else { break };
            after = last.sequence;
            let said = page.into_iter().filter(|entry| entry.message.kind < CONTROL_KIND);
            spoken.extend(said.filter(|entry| is_heard(&entry.message.id.author)));
        }
        spoken
    }

    /// All cells of an own message left.
    pub(super) fn sent(&mut self, scene: &mut Scene<'_>, number: u64) {
        self.with_ledger(scene, |ledger, scene| ledger.sent(scene, number));
    }

    /// An own message could not leave.
    pub(super) fn not_sent(&mut self, number: u64, reason: mainframe_base::Refusal) {
        self.ledger.not_sent(number, reason);
    }

    /// The moment of `next_wake` has come.
    pub(super) fn wake(&mut self, scene: &mut Scene<'_>) {
        if self.ledger.next_wake().is_some_and(|due| due <= scene.now) {
            self.with_ledger(scene, Ledger::wake);
        }
        self.wake_orderings(scene);
        self.renew(scene);
        self.pursue(scene);
        self.look_around(scene);
        self.say_here(scene);
        self.prune(scene);
        self.flush(scene);
    }

    /// The node was started again: what had to be said about commits is said again, for it may not have left.
    pub(super) fn resume(&mut self, scene: &mut Scene<'_>) {
        let mut decided: Vec<(u64, EpochId)> =
            self.epochs.values().map(|epoch| (epoch.facts.number, epoch.facts.id)).collect();
        decided.sort_unstable();
        for (_, epoch) in decided.into_iter().rev().take(3) {
            self.with_ordering(scene, epoch, Ordering::wake);
        }
        self.flush(scene);
    }

    /// When to be woken next, if nothing else happens.
    pub(super) fn next_wake(&self, config: &SessionConfig) -> Option<Time> {
        let orderings = self.orderings.values().filter_map(Ordering::next_wake);
        let upkeep = self.renewal_due(config).into_iter().chain(self.pruning_due(config)).chain(self.presence_due());
        orderings.chain(self.ledger.next_wake()).chain(self.next_commit()).chain(upkeep).min()
    }

    /// The epoch on which is being decided: the parent of an uncertain one, else the present one.
    fn deciding(&self) -> EpochId {
        self.branch.as_ref().map_or(self.current, |branch| branch.parent)
    }

    fn epoch(&self, id: &EpochId) -> Option<&Epoch> {
        self.epochs.get(id)
    }

    fn present(&self) -> &EpochFacts {
        &self.epochs[&self.current].facts
    }

    fn add_epoch(&mut self, scene: &mut Scene<'_>, epoch: Epoch) {
        epoch.save(scene.tx, &self.id);
        let (session, id) = (self.id, epoch.facts.id);
        let slots = epoch.tags().map(|(tag, leaf, number)| (tag, Slot { session, epoch: id, leaf, number }));
        scene.out.awaited.extend(slots);
        self.epochs.insert(id, epoch);
        self.is_dirty = true;
    }

    fn forget_epoch(&mut self, scene: &mut Scene<'_>, id: &EpochId) {
        let Some(epoch) = self.epochs.remove(id) else { return };
        scene.out.forgotten.extend(epoch.tags().map(|(tag, ..)| tag));
        epoch.delete(scene.tx, &self.id);
        self.forget_decision(scene.tx, id);
        self.is_dirty = true;
    }

    /// Epochs end when nothing that was sent in them can still be held anywhere (review P27), or when there are too many.
    fn prune(&mut self, scene: &mut Scene<'_>) {
        let (now, kept_ms) = (scene.now, scene.config.epoch_kept_ms);
        let ended = self.ended();
        let surplus = ended.len().saturating_sub(ENDED_MAX);
        let is_over =
            |(place, (_, ended)): &(usize, (EpochId, Time))| *place < surplus || now.since_ms(*ended) >= kept_ms;
        for (_, (id, _)) in ended.into_iter().enumerate().filter(is_over) {
            self.forget_epoch(scene, &id);
            let oldest = self.epochs.values().map(|epoch| epoch.facts.number).min().unwrap_or(0);
            self.group.forget_epochs_before(oldest);
        }
    }

    fn pruning_due(&self, config: &SessionConfig) -> Option<Time> {
        let ended = self.ended();
        if ended.len() > ENDED_MAX {
            return Some(self.present().began);
        }
        ended.into_iter().map(|(_, ended)| ended + config.epoch_kept_ms).min()
    }

    /// The epochs that are over, and when the one after each began.
    fn ended(&self) -> Vec<(EpochId, Time)> {
        let kept = [self.current, self.deciding()];
        let mut by_number: Vec<&EpochFacts> = self.epochs.values().map(|epoch| &epoch.facts).collect();
        by_number.sort_by_key(|facts| facts.number);
        let followed = by_number.windows(2).map(|pair| (pair[0].id, pair[1].began));
        followed.filter(|(id, _)| !kept.contains(id)).collect()
    }
}

/// The facts of the epoch a group is in; `None` if a member's credential is no certificate of its device. Who is among the
/// `known` was vouched for before.
fn facts_of(group: &Group, known: &[Seat], committer: u32, now: Time) -> Option<EpochFacts> {
    let seat = |member: mainframe_mls::Member| {
        let credential = Credential::read(&member.credential)?;
        let (person, asked_minutes) = (credential.person(), credential.asked_minutes(&group.id()));
        let seat = Seat { leaf: member.leaf.0, device: member.key, person, asked_minutes };
        let is_vouched_for = || known.contains(&seat) || credential.certificate.verify().is_ok();
        (credential.certificate.device == member.key && is_vouched_for()).then_some(seat)
    };
    let seats = group.members().into_iter().map(seat).collect::<Option<Vec<Seat>>>()?;
    let (id, number, own_leaf) = (group.epoch_id(), group.epoch(), group.own_leaf().0);
    Some(EpochFacts { id, number, began: now, committer, own_leaf, seats })
}

fn export(group: &Group, leaf: u32) -> mainframe_base::Secret<32> {
    group.export("mainframe tags", &leaf.to_be_bytes()).expect("we are in the epoch that begins")
}

/// The decision on an epoch, yet to be taken. Persons are numbered in the order of their first leaves.
fn ordering_of(facts: &EpochFacts, config: &SessionConfig) -> Option<Ordering> {
    use super::ordering::Seat;
    let mut numbers = BTreeMap::new();
    let seats = facts.seats.iter().map(|seat| {
        let next = numbers.len() as u32;
        Seat { leaf: Leaf(seat.leaf), person: *numbers.entry(seat.person).or_insert(next) }
    });
    let roster = Roster::new(seats.collect(), Leaf(facts.committer)).ok()?;
    Some(Ordering::new(Leaf(facts.own_leaf), roster, Pace::from_delay(config.delay_ms)))
}

fn members_of(facts: &EpochFacts) -> Vec<Member> {
    facts.seats.iter().map(|seat| Member { device: seat.id(), person: seat.person }).collect()
}
