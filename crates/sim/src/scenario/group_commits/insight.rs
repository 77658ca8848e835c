//! What nobody in the world can see: which frames cross it, and who went back to a parent epoch.
//!
//! Every store is open to the simulator, so that it can open every cell of a group: it follows each leaf's chain of tags
//! from the beginning of each epoch.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Secret, SessionId, Tag, Time};
use mainframe_core::crypto::{TagChain, TagLink};
use mainframe_core::session::fragment::{Fragment, FrameKind};
use mainframe_core::session::proof::PROOF_LENGTH;
use mainframe_core::store::{MemoryStore, Table, Tx};
use mainframe_core::wire::Cell;

/// A session and one of its epochs, as they begin the keys of rows.
type Epoch = [u8; 32];

/// Links of one leaf's chain that are known ahead.
const AHEAD: u64 = 64;

struct Chain {
    /// The epoch's number.
    epoch: u64,
    chain: TagChain,
    until: u64,
}

/// Frames of the watched session that were sent, by kind, and goings back.
#[derive(Default)]
pub(super) struct Insight {
    session: Option<SessionId>,
    chains: Vec<Chain>,
    known: BTreeSet<Vec<u8>>,
    links: BTreeMap<Tag, (usize, TagLink)>,
    epochs: BTreeMap<usize, BTreeSet<Epoch>>,
    /// When the first commit on an epoch of this number was sent.
    pub(super) first_commit: BTreeMap<u64, Time>,
    pub(super) statements: u64,
    pub(super) cells: u64,
    pub(super) rollbacks: u64,
}

impl Insight {
    /// Watches one session from now on.
    pub(super) fn watch(&mut self, session: SessionId) {
        self.session = Some(session);
    }

    /// Looks at what a device keeps after it has done something.
    pub(super) fn look(&mut self, who: usize, store: &MemoryStore) {
        let Some(session) = self.session else { return };
        let now = || store.keys(Table::Epochs, &session.0);
        let before = self.epochs.get(&who);
        if before.is_some_and(|before| now().eq(before.iter().map(|epoch| &epoch[..]))) {
            return;
        }
        let before = before.cloned().unwrap_or_default();
        let epochs: BTreeSet<Epoch> = now().filter_map(|key| key.try_into().ok()).collect();
        // Nothing is old enough to be forgotten: who drops an epoch and is still a member has gone back.
        self.rollbacks += if epochs.is_empty() { 0 } else { before.difference(&epochs).count() as u64 };
        for epoch in epochs.difference(&before) {
            self.follow(store, epoch);
        }
        self.epochs.insert(who, epochs);
    }

    /// Another leaf's window in a new epoch begins where the leaf's chain does.
    fn follow(&mut self, store: &MemoryStore, epoch: &Epoch) {
        let Some(row) = store.get(Table::Epochs, epoch) else { return };
        let Some(of_epoch) = row.get(16..24).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes) else {
            return;
        };
        for (key, row) in store.scan(Table::Chains, Some(epoch), 256) {
            if !key.starts_with(epoch) || self.known.contains(&key) {
                continue;
            }
            let (Some(secret), Some(number)) = (row.first_chunk::<64>(), row.get(64..72)) else { continue };
            if number.iter().any(|byte| *byte != 0) {
                continue;
            }
            self.known.insert(key);
            self.chains.push(Chain { epoch: of_epoch, chain: TagChain::at(&Secret::new(*secret), 0), until: 0 });
            self.extend(self.chains.len() - 1, AHEAD);
        }
    }

    fn extend(&mut self, number: usize, until: u64) {
        let chain = &mut self.chains[number];
        while chain.until < until {
            let link = chain.chain.advance();
            self.links.insert(link.tag, (number, link));
            chain.until += 1;
        }
    }

    /// A cell is sent.
    pub(super) fn sent(&mut self, now: Time, cell: &Cell) {
        let header = cell.header();
        let Some((number, link)) = self.links.get(&header.tag).cloned() else { return };
        self.extend(number, link.number + AHEAD);
        self.cells += 1;
        let plaintext = link.open(&header.associated_anywhere(), &header.ephemeral, cell.body());
        let plaintext = plaintext.as_deref().and_then(<[u8]>::split_last_chunk::<PROOF_LENGTH>);
        let Some(fragment) = plaintext.and_then(|(fragment, _)| Fragment::read(fragment)) else { return };
        match fragment.kind() {
            FrameKind::Statement => self.statements += 1,
            FrameKind::Commit => {
                self.first_commit.entry(self.chains[number].epoch).or_insert(now);
            }
            FrameKind::Plain | FrameKind::Letter | FrameKind::Message | FrameKind::Need | FrameKind::Here => {}
        }
    }
}
