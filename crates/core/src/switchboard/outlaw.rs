//! A member of a session whose program keeps to no rules, and what is made by hand for that.

use mainframe_base::{DeviceId, SessionId, Tag};
use mainframe_mls::{Change, DeviceSecret, EpochId, Group};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::insider::{EpochKey, all_rows, mls_rows};
use super::rehearsal::Rehearsal;
use crate::crypto::{Sealed, device_id};
use crate::session::fragment::{FrameKind, split, split_into};
use crate::session::ledger::Frame;
use crate::session::ordering::{Leaf, Signature, Signed, Statement};
use crate::session::proof::Place;
use crate::store::Table;
use crate::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, SizeClass};

/// A member who has what his device had when he was made, and writes on its chain from a number on.
pub(super) struct Outlaw {
    pub(super) group: Group,
    pub(super) rng: ChaCha20Rng,
    pub(super) leaf: u32,
    session: SessionId,
    epoch: EpochKey,
    device: DeviceSecret,
    number: u64,
}

impl Outlaw {
    /// The member on this device. Whoever uses links that the device has used already is not heard.
    pub(super) fn of(rehearsal: &Rehearsal, device: usize, session: SessionId, number: u64) -> Outlaw {
        let secret = DeviceSecret::new(rehearsal.device_seed(device));
        let group = mls(rehearsal, device, session);
        let (leaf, epoch) = (group.own_leaf().0, epoch_of(rehearsal, session, device));
        Outlaw { group, rng: ChaCha20Rng::from_seed([66; 32]), leaf, session, epoch, device: secret, number }
    }

    pub(super) fn id(&self) -> DeviceId {
        device_id(&self.device.key())
    }

    /// A commit by which he renews his keys; he follows it no more than others do.
    pub(super) fn commit(&mut self) -> Vec<u8> {
        let draft = self.group.commit(&mut self.rng, &Change { refresh: true, ..Change::default() }).unwrap();
        self.group.clear_pending();
        draft.commit
    }

    /// What he says about which commit counts.
    pub(super) fn statement(&self, statement: Statement) -> Signed {
        let about = [&self.epoch[..], &statement.encode()].concat();
        Signed { from: Leaf(self.leaf), statement, signature: Signature(self.device.sign(&about).0) }
    }

    pub(super) fn seal(&mut self, frame: &Frame) -> Vec<u8> {
        self.group.seal(&mut self.rng, &frame.encode()).unwrap()
    }

    /// The cells of a frame, on the links of his chain that come next.
    pub(super) fn cells(&mut self, rehearsal: &Rehearsal, kind: FrameKind, bytes: &[u8]) -> Vec<Cell> {
        let Some((class, fragments)) = split(kind, bytes, self.rng.next_u32()) else { return Vec::new() };
        fragments.into_iter().map(|fragment| self.cell(rehearsal, class, fragment)).collect()
    }

    /// A cell with this in it, on his next link.
    pub(super) fn cell(&mut self, rehearsal: &Rehearsal, class: SizeClass, fragment: Vec<u8>) -> Cell {
        let number = self.number;
        self.number += 1;
        self.cell_on(rehearsal, self.leaf, number, class, fragment)
    }

    /// A cell on a link of any chain that he knows: on all of them. He signs it.
    pub(super) fn cell_on(
        &mut self,
        rehearsal: &Rehearsal,
        leaf: u32,
        number: u64,
        class: SizeClass,
        fragment: Vec<u8>,
    ) -> Cell {
        let epoch = EpochId(self.epoch[16..].try_into().expect("16 bytes"));
        let plaintext = Place { session: self.session, epoch, number }.sign(&self.device, fragment);
        let link = rehearsal.insider.links(&self.epoch, leaf, number, 1).remove(0);
        let header = header(rehearsal, class);
        build(header, link.seal(&mut self.rng, &header.associated_anywhere(), &plaintext))
    }

    /// A frame that is whole in one cell, on such a link.
    pub(super) fn frame_on(&mut self, rehearsal: &Rehearsal, leaf: u32, number: u64, kind: FrameKind) -> Cell {
        let fragment = split_into(SizeClass::T, kind, b"nothing", number as u32).remove(0);
        self.cell_on(rehearsal, leaf, number, SizeClass::T, fragment)
    }

    /// Sends a sealed frame to one device.
    pub(super) fn post(&mut self, rehearsal: &mut Rehearsal, to: usize, bytes: &[u8]) {
        for cell in self.cells(rehearsal, FrameKind::Message, bytes) {
            rehearsal.feed(to, cell);
        }
        rehearsal.pass(40);
    }

    pub(super) fn say(&mut self, rehearsal: &mut Rehearsal, to: usize, frame: &Frame) {
        let bytes = self.seal(frame);
        self.post(rehearsal, to, &bytes);
    }
}

/// MLS's state of a session on a device.
pub(super) fn mls(rehearsal: &Rehearsal, device: usize, session: SessionId) -> Group {
    let secret = DeviceSecret::new(rehearsal.device_seed(device));
    Group::load(mls_rows(&rehearsal.copy_of_store(device), session, 0), &secret).unwrap()
}

/// A session's present epoch, as a device knows it.
pub(super) fn epoch_of(rehearsal: &Rehearsal, session: SessionId, device: usize) -> EpochKey {
    let heads = all_rows(&rehearsal.copy_of_store(device), Table::Sessions);
    let head = heads.iter().find(|(key, _)| *key == session.0).expect("it is in it");
    [&session.0[..], &head.1[33..49]].concat().try_into().expect("twice 16 bytes")
}

/// The header of a cell made by hand, yet without what a seal puts into it.
pub(super) fn header(rehearsal: &Rehearsal, size_class: SizeClass) -> CellHeader {
    CellHeader {
        size_class,
        hold_class: HoldClass::Day,
        acknowledge: false,
        destination: "01".parse().unwrap(),
        expiry: ExpiryBucket::after(rehearsal.now, 400_000),
        tag: Tag([0; 16]),
        ephemeral: [0; 32],
    }
}

/// A cell made by hand.
pub(super) fn build(header: CellHeader, sealed: Sealed) -> Cell {
    Cell::build(CellHeader { tag: sealed.tag, ephemeral: sealed.ephemeral, ..header }, [7; 80], &sealed.body)
}
