//! From what the ledger wishes to cells.

use mainframe_base::{Prefix, Refusal};
use mainframe_mls::{EpochId, Unsealed};

use super::{Conversation, ConversationFact, Post, Scene};
use crate::crypto::SharedTopic;
use crate::session::epoch::EpochFacts;
use crate::session::fragment::FrameKind;
use crate::session::ledger::{DEVICE_KIND, Fact, Frame, Ledger, LedgerOut, LedgerScene, OPEN_MAX, Wish};
use crate::session::posting::{Manner, parcels};
use crate::wire::HoldClass;

/// From this kind on a message is for devices and no person reads it.
pub(in crate::session) const CONTROL_KIND: u8 = DEVICE_KIND;

/// Own messages remembered that were said on a branch: twice as many as may be underway. The first ones were heard by then.
const SAID_ON_BRANCH_MAX: usize = 2 * OPEN_MAX;

impl Conversation {
    /// Calls the ledger, and does what it wishes.
    pub(super) fn with_ledger(&mut self, scene: &mut Scene<'_>, call: impl FnOnce(&mut Ledger, &mut LedgerScene<'_>)) {
        let mut out = LedgerOut::default();
        call(&mut self.ledger, &mut LedgerScene { now: scene.now, tx: scene.tx, out: &mut out });
        self.obey_ledger(scene, out);
    }

    pub(super) fn obey_ledger(&mut self, scene: &mut Scene<'_>, out: LedgerOut) {
        for wish in out.wishes {
            match wish {
                Wish::Send(frame) => self.send(scene, &frame, None),
                Wish::Say { frame, number, again } => {
                    if again && self.terms.hold != HoldClass::Live {
                        self.with_ledger(scene, |ledger, scene| ledger.held(scene, number));
                    }
                    self.send(scene, &frame, Some(number));
                }
                Wish::Repair(id) => {
                    let original = self.originals.iter().find(|(of, _)| *of == id).map(|(_, bytes)| bytes.clone());
                    if let Some(original) = original {
                        self.send(scene, &Frame::Relay(id, original), None);
                    }
                }
            }
        }
        for fact in out.facts {
            self.tell(scene, fact);
        }
    }

    fn tell(&mut self, scene: &mut Scene<'_>, fact: Fact) {
        let fact = match fact {
            Fact::Came { message, .. } if message.kind >= CONTROL_KIND => {
                let Some(from) = self.seat_of(&message.id.author) else { return };
                ConversationFact::Controlled { from, message }
            }
            Fact::Came { sequence, message, late } => ConversationFact::Said { sequence, message, late },
            Fact::GaveUp(gap) => ConversationFact::GaveUp(gap),
            Fact::State { number, state } => ConversationFact::State { number, state },
            Fact::ReadThrough(number) => ConversationFact::ReadThrough(number),
            Fact::ReadElsewhere(id) => ConversationFact::ReadElsewhere(id),
            Fact::Outdated if std::mem::replace(&mut self.is_outdated, true) => return,
            Fact::Outdated => ConversationFact::Outdated,
            Fact::Relayed(id, original) => return self.relayed(scene, id, &original),
            Fact::Noticed(..) => return,
        };
        scene.out.facts.push(fact);
    }

    /// Encrypts a frame for everyone in the present epoch and posts it.
    fn send(&mut self, scene: &mut Scene<'_>, frame: &Frame, number: Option<u64>) {
        if self.is_removed || self.is_outdated {
            return;
        }
        match self.group.seal(scene.rng, &frame.encode()) {
            Ok(bytes) => {
                self.note_said(number);
                self.post(scene, self.current, FrameKind::Message, &bytes, number);
            }
            Err(Unsealed::SetBack | Unsealed::Left) => {
                if let Some(number) = number {
                    self.ledger.not_sent(number, Refusal::Busy);
                }
            }
        }
        self.is_dirty = true;
    }

    /// What is said on a branch is said again if we go back; whoever burnt the way back does not.
    fn note_said(&mut self, number: Option<u64>) {
        if self.branch.is_some() && !self.is_stuck {
            self.said_on_branch.extend(number);
        }
        if self.said_on_branch.len() > SAID_ON_BRANCH_MAX {
            self.said_on_branch.pop_first();
        }
    }

    /// Posts a frame on the tags of an epoch.
    pub(super) fn post(
        &mut self,
        scene: &mut Scene<'_>,
        epoch: EpochId,
        kind: FrameKind,
        bytes: &[u8],
        number: Option<u64>,
    ) {
        let (session, device) = (self.id, &self.device);
        let Some(keys) = self.epochs.get_mut(&epoch).filter(|_| !self.is_outdated) else { return };
        let places = places_of(&self.terms, &keys.facts);
        if places.is_empty() {
            return;
        }
        let topic = self.terms.shared_topic.then(|| SharedTopic::of(session));
        let manner = Manner { places: &places, hold: self.terms.hold, topic: topic.as_ref(), session, epoch, device };
        let (now, tx) = (scene.now, &mut *scene.tx);
        let take = |count| keys.take(now, tx, &session, count);
        match parcels(scene.now, scene.rng, manner, kind, bytes, take) {
            Some(parcels) => scene.out.posts.push(Post { session, number, parcels }),
            None => tracing::error!(length = bytes.len(), "a frame of ours is too long to be sent"),
        }
    }
}

/// Where somebody other than this device listens.
fn places_of(terms: &crate::session::terms::Terms, facts: &EpochFacts) -> Vec<Prefix> {
    let others = |owner| facts.seats.iter().any(|seat| seat.leaf != facts.own_leaf && seat.person == owner);
    let somebody = facts.seats.len() > 1;
    let mut places: Vec<Prefix> = Vec::new();
    for place in &terms.places {
        let listened = place.owner.map_or(somebody, others);
        if listened && !places.contains(&place.region) {
            places.push(place.region);
        }
    }
    places
}
