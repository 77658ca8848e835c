//! Somebody in whose sight everything happens: he has every device's store at every moment, and so can open every cell.
//!
//! He sees to it that no key is used twice, and tells what was in the cells, so that tests can hand it to thieves.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Secret, SessionId, Tag, Time};
use mainframe_mls::Rows;
use zeroize::Zeroizing;

use crate::crypto::{TagChain, TagLink};
use crate::session::fragment::{Assembly, Fragment, FrameKind};
use crate::session::proof::PROOF_LENGTH;
use crate::store::{MemoryStore, Table, Tx};
use crate::wire::Cell;

/// Links of a chain that are known ahead: more than the widest window.
const AHEAD: u64 = 300;

/// An epoch of a session: the beginnings of rows' keys.
pub(super) type EpochKey = [u8; 32];

/// A frame that crossed the network, without its outer layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct InnerFrame {
    pub(super) epoch: EpochKey,
    pub(super) leaf: u32,
    pub(super) kind: FrameKind,
    pub(super) bytes: Vec<u8>,
}

struct Chain {
    epoch: EpochKey,
    leaf: u32,
    first: TagChain,
    ahead: TagChain,
}

/// Sees everything.
#[derive(Default)]
pub(super) struct Insider {
    chains: Vec<Chain>,
    known: BTreeSet<Vec<u8>>,
    links: BTreeMap<Tag, (usize, TagLink)>,
    unopened: Vec<(Time, Cell)>,
    pieces: Assembly<(EpochKey, u32)>,
    /// What each key was used for.
    bodies: BTreeMap<(Tag, [u8; 32]), blake3::Hash>,
    pub(super) cells: Vec<Cell>,
    pub(super) frames: Vec<InnerFrame>,
    /// MLS's rows of every epoch as some devices had them when they came to it.
    pub(super) beginnings: BTreeMap<EpochKey, Vec<Rows>>,
    epochs: BTreeSet<(EpochKey, usize)>,
}

impl Insider {
    /// A device has committed something to its store.
    pub(super) fn look(&mut self, store: &MemoryStore) {
        let before = self.chains.len();
        for (key, row) in all_rows(store, Table::Chains) {
            // Every window and chain begins at its chain's first link.
            let (Some(secret), Some([0, 0, 0, 0, 0, 0, 0, 0])) = (row.first_chunk(), row.get(64..72)) else {
                continue;
            };
            let (Ok(epoch), Ok(leaf)) = (EpochKey::try_from(&key[..32]), <[u8; 4]>::try_from(&key[32..])) else {
                continue;
            };
            if self.known.insert(key) {
                let ahead = TagChain::at(&Secret::new(*secret), 0);
                self.chains.push(Chain { epoch, leaf: u32::from_be_bytes(leaf), first: ahead.clone(), ahead });
                self.extend(self.chains.len() - 1, AHEAD);
            }
        }
        if self.chains.len() > before {
            self.note_beginnings(store);
            std::mem::take(&mut self.unopened).into_iter().for_each(|(at, cell)| self.open(at, cell));
        }
    }

    /// A cell is sent.
    ///
    /// # Panics
    /// If its key was used for another body before.
    pub(super) fn sent(&mut self, now: Time, cell: &Cell) {
        let header = cell.header();
        let hash = blake3::hash(cell.body());
        let before = self.bodies.insert((header.tag, header.ephemeral), hash);
        assert!(before.is_none_or(|before| before == hash), "one key for two bodies");
        self.cells.push(cell.clone());
        self.open(now, cell.clone());
    }

    /// The links of a leaf's chain in an epoch, from this number on.
    pub(super) fn links(&self, epoch: &EpochKey, leaf: u32, from: u64, count: usize) -> Vec<TagLink> {
        let of = |chain: &&Chain| (chain.epoch, chain.leaf) == (*epoch, leaf);
        let Some(chain) = self.chains.iter().find(of) else { return Vec::new() };
        let mut chain = chain.first.clone();
        (0..from).for_each(|_| drop(chain.advance()));
        (0..count).map(|_| chain.advance()).collect()
    }

    fn extend(&mut self, number: usize, until: u64) {
        while self.chains[number].ahead.next() < until {
            let link = self.chains[number].ahead.advance();
            self.links.insert(link.tag, (number, link));
        }
    }

    fn open(&mut self, at: Time, cell: Cell) {
        let header = cell.header();
        let Some((number, link)) = self.links.get(&header.tag).cloned() else {
            return self.unopened.push((at, cell));
        };
        self.extend(number, link.number + AHEAD);
        let plaintext = link.open(&header.associated_anywhere(), &header.ephemeral, cell.body());
        let plaintext = plaintext.as_deref().and_then(<[u8]>::split_last_chunk::<PROOF_LENGTH>);
        let Some(fragment) = plaintext.and_then(|(fragment, _)| Fragment::read(fragment)) else { return };
        let (epoch, leaf) = (self.chains[number].epoch, self.chains[number].leaf);
        if let Some((kind, bytes)) = self.pieces.add(at, (epoch, leaf), fragment) {
            let frame = InnerFrame { epoch, leaf, kind, bytes };
            // A frame has cells for each place where somebody listens.
            if !self.frames.iter().rev().take(16).any(|other| *other == frame) {
                self.frames.push(frame);
            }
        }
    }

    /// Of which sessions an epoch begins in this store, and with what.
    fn note_beginnings(&mut self, store: &MemoryStore) {
        for (session, head) in all_rows(store, Table::Sessions) {
            // A session's row: version 1, person 32, present epoch 16.
            let (Ok(session), Some(epoch)) = (<[u8; 16]>::try_from(&session[..]), head.get(33..49)) else { continue };
            let key: EpochKey = [&session[..], epoch].concat().try_into().expect("twice 16 bytes");
            let rows = mls_rows(store, SessionId(session), 0);
            let kept = self.beginnings.entry(key).or_default();
            if kept.len() < 2 && self.epochs.insert((key, kept.len())) {
                kept.push(rows);
            }
        }
    }
}

/// MLS's rows of a session: those of the present epoch, or those of its parent that may win yet.
pub(super) fn mls_rows(store: &MemoryStore, session: SessionId, which: u8) -> Rows {
    let start = [&session.0[..], &[which]].concat();
    let mut rows = Rows::new();
    for (key, value) in all_rows(store, Table::Secrets).into_iter().filter(|(key, _)| key.starts_with(&start)) {
        rows.insert(key[start.len()..].to_vec(), Zeroizing::new(value));
    }
    rows
}

/// Every row of a table.
pub(super) fn all_rows(store: &MemoryStore, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.scan(table, None, usize::MAX)
}
