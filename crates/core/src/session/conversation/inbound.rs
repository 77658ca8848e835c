//! From a cell to what it means.

use mainframe_base::DeviceId;
use mainframe_mls::{EpochId, Unopened};

use super::{Conversation, EARLY_MAX, Early, ORIGINAL_KEPT_MAX, ORIGINALS_MAX, Scene, Slot};
use crate::session::epoch::Seat;
use crate::session::fragment::{Fragment, FrameKind};
use crate::session::ledger::{Frame, MessageId};
use crate::session::proof::Place;
use crate::wire::Cell;

impl Conversation {
    /// A cell with an awaited tag came. Whether it was whole and its device's: what somebody spoiled on the way, or sealed in
    /// another's name, leaves the tag awaited.
    pub(in crate::session) fn cell_came(&mut self, scene: &mut Scene<'_>, slot: &Slot, cell: &Cell) -> bool {
        let Some(epoch) = self.epochs.get_mut(&slot.epoch) else { return false };
        let Some(link) = epoch.link(slot.leaf, slot.number) else { return false };
        let header = cell.header();
        let Some(plaintext) = link.open(&header.associated_anywhere(), &header.ephemeral, cell.body()) else {
            return false;
        };
        let Some(seat) = epoch.facts.seat(slot.leaf) else { return false };
        let place = Place { session: self.id, epoch: slot.epoch, number: slot.number };
        let Some(fragment) = place.check(scene.verifier, &seat.device, &plaintext) else { return false };
        let moved = epoch.came(scene.now, scene.tx, &self.id, slot.leaf, slot.number);
        let awaited = |(tag, number)| (tag, Slot { number, ..*slot });
        scene.out.awaited.extend(moved.added.into_iter().map(awaited));
        scene.out.forgotten.extend(moved.removed);
        self.is_dirty = true;
        if let Some(fragment) = Fragment::read(fragment) {
            let whole = self.assembly.add(scene.now, (slot.epoch, slot.leaf), fragment);
            if let Some((kind, bytes)) = whole {
                self.frame_came(scene, slot.epoch, slot.leaf, kind, &bytes);
            }
        }
        true
    }

    pub(super) fn frame_came(
        &mut self,
        scene: &mut Scene<'_>,
        epoch: EpochId,
        leaf: u32,
        kind: FrameKind,
        bytes: &[u8],
    ) {
        match kind {
            FrameKind::Message => self.message_came(scene, epoch, leaf, bytes),
            FrameKind::Commit => self.commit_came(scene, epoch, leaf, bytes),
            FrameKind::Statement => self.statement_came(scene, epoch, leaf, bytes),
            FrameKind::Need => self.need_came(scene, epoch, bytes),
            FrameKind::Here => self.remind(scene, epoch),
            FrameKind::Plain | FrameKind::Letter => {}
        }
    }

    fn message_came(&mut self, scene: &mut Scene<'_>, epoch: EpochId, leaf: u32, bytes: &[u8]) {
        let Some(seat) = self.epoch(&epoch).and_then(|epoch| epoch.facts.seat(leaf)).cloned() else { return };
        // What a device that was removed since still says on old tags is not heard (review P37). Nor is it opened: who passes
        // it on may still vouch that it was said in time, and it opens once only. He may have slept while he was told.
        if !self.present().seats.iter().any(|other| other.device == seat.device) {
            return self.remind(scene, epoch);
        }
        let opened = self.group.open(bytes);
        if matches!(opened, Err(Unopened::Again)) {
            self.ledger.heard_again(scene.now, seat.id());
        }
        let Some(opened) = opened.ok().filter(|opened| opened.author.0 == leaf) else { return };
        self.heard(scene, &seat, &opened.plaintext, Some(bytes));
        if epoch != self.current {
            self.remind(scene, epoch);
        }
    }

    /// A frame of a device, decrypted.
    fn heard(&mut self, scene: &mut Scene<'_>, seat: &Seat, plaintext: &[u8], original: Option<&[u8]>) {
        self.heard = Some(scene.now);
        let from = seat.id();
        let Ok(frame) = Frame::decode(from, plaintext) else { return };
        // A long one is for one device, and comes again if it is lost.
        let original = original.filter(|original| original.len() <= ORIGINAL_KEPT_MAX);
        if let (Frame::Message(message, ..), Some(original)) = (&frame, original) {
            self.originals.push_back((message.id, original.to_vec()));
            if self.originals.len() > ORIGINALS_MAX {
                self.originals.pop_front();
            }
        }
        self.with_ledger(scene, |ledger, scene| {
            if let Err(fault) = ledger.receive(scene, from, frame) {
                tracing::debug!(?from, %fault, "a device of a session does not keep to its rules");
            }
        });
    }

    /// Somebody passed on a message that we lack: it is its author's, or nobody's. What else an author said was for its
    /// moment, and is not heard from others.
    pub(super) fn relayed(&mut self, scene: &mut Scene<'_>, id: MessageId, original: &[u8]) {
        let Ok(opened) = self.group.open(original) else { return };
        if !matches!(Frame::decode(id.author, &opened.plaintext), Ok(Frame::Message(..))) {
            return tracing::debug!(?id, "something is passed on that is no message");
        }
        let seats = self.epochs.values().filter(|epoch| epoch.facts.number == opened.epoch);
        let seat = seats.filter_map(|epoch| epoch.facts.seat(opened.author.0)).find(|seat| seat.id() == id.author);
        if let Some(seat) = seat.cloned() {
            self.heard(scene, &seat, &opened.plaintext, Some(original));
        }
    }

    /// The seat of a device in the present epoch, or in the latest in which it had one.
    pub(super) fn seat_of(&self, device: &DeviceId) -> Option<Seat> {
        let mut epochs: Vec<_> = self.epochs.values().map(|epoch| &epoch.facts).collect();
        epochs.sort_by_key(|facts| (facts.id == self.current, facts.number));
        epochs.into_iter().rev().find_map(|facts| facts.seats.iter().find(|seat| seat.id() == *device)).cloned()
    }

    /// Keeps what can be judged only when the epoch before is decided on.
    pub(super) fn keep_early(&mut self, epoch: EpochId, leaf: u32, kind: FrameKind, bytes: &[u8]) {
        if self.early.len() < EARLY_MAX {
            self.early.push(Early { epoch, leaf, kind, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn replay_early(&mut self, scene: &mut Scene<'_>) {
        for Early { epoch, leaf, kind, bytes } in std::mem::take(&mut self.early) {
            self.frame_came(scene, epoch, leaf, kind, &bytes);
        }
    }
}
