//! Answering those who were away: which cells there are, and the cells themselves.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Fault, LinkKey, PacketId, Time};

use super::{Hold, HoldScene, HoldWish, StoreOrder, is_for_those_away};
use crate::bucket::Bucket;
use crate::wire::{Ask, Cell, Frame, PullEntry, Subscribe};

/// Questions a peer may have answered at once, and a second: three days are 74 hours, each of them a few pages (guess).
const ASKS_MAX: u64 = 512;
const ASKS_PER_S: u64 = 16;
/// Held cells a peer may pull at once, and a second: 8 MiB, then a quarter of a megabyte a second (guess). Whoever slept
/// for an hour in which his region got a cell a second has everything at once.
const PULLS_MAX: u64 = 4_096;
const PULLS_PER_S: u64 = 128;
/// Cells being read from the store at a time; more are not served, and are asked for again (guess).
pub(super) const READS_MAX: usize = 4_096;

#[derive(Clone, Copy, Debug)]
struct Allowance {
    asks: Bucket,
    pulls: Bucket,
}

/// What peers may still ask for, and what is being read for them.
#[derive(Clone, Default, Debug)]
pub(super) struct Serving {
    allowances: BTreeMap<LinkKey, Allowance>,
    reads: BTreeMap<PacketId, BTreeSet<LinkKey>>,
}

impl Serving {
    fn allowance(&mut self, now: Time, peer: LinkKey) -> &mut Allowance {
        self.allowances.entry(peer).or_insert_with(|| Allowance {
            asks: Bucket::full(now, ASKS_MAX, ASKS_PER_S),
            pulls: Bucket::full(now, PULLS_MAX, PULLS_PER_S),
        })
    }

    /// Who asks for more than the store is reading already is not served.
    fn begin_read(&mut self, id: PacketId, peer: LinkKey) -> Option<bool> {
        if !self.reads.contains_key(&id) && self.reads.len() >= READS_MAX {
            return None;
        }
        let readers = self.reads.entry(id).or_default();
        let is_first = readers.is_empty();
        readers.insert(peer);
        Some(is_first)
    }

    pub(super) fn remove(&mut self, peer: &LinkKey) {
        self.allowances.remove(peer);
        self.reads.values_mut().for_each(|readers| _ = readers.remove(peer));
    }

    /// Cells being read.
    pub(super) fn reads(&self) -> usize {
        self.reads.len()
    }
}

impl Hold {
    /// A question for what we hold. Anyone may ask about anything that overlaps what we hold.
    pub fn asked(&mut self, scene: &mut HoldScene<'_>, from: LinkKey, ask: &Ask) {
        if !self.serving.allowance(scene.now, from).asks.take(scene.now, 1) {
            self.counters.asks_refused += 1;
            return;
        }
        self.counters.asks_answered += 1;
        let hearing = self.subscribers.hearing(&from, &ask.region);
        let page = self.catalogue.page(scene.neighbours.me(), ask, hearing);
        scene.send(from, Frame::Held(page));
    }

    /// A wish to hear of new cells.
    ///
    /// # Errors
    /// `Flood` for more regions than one peer may listen to.
    pub fn subscribed(&mut self, from: LinkKey, wish: Subscribe) -> Result<(), Fault> {
        self.subscribers.subscribe(from, wish)
    }

    /// Pulls of cells that are not for the asker as a relay of their region: `recent` has those of the last minutes.
    pub fn pulled(
        &mut self,
        scene: &mut HoldScene<'_>,
        from: LinkKey,
        pulls: &[PullEntry],
        recent: impl Fn(&PacketId) -> Option<Cell>,
    ) {
        for pull in pulls {
            let lately = recent(&pull.id).filter(|cell| is_for_those_away(cell) || self.subscribers.hears(&from, cell));
            let shelf = self.catalogue.kept(&pull.id).map(|held| held.shelf);
            if lately.is_none() && shelf.is_none() {
                continue;
            }
            if !self.serving.allowance(scene.now, from).pulls.take(scene.now, 1) {
                self.counters.held_pulls_refused += 1;
                continue;
            }
            match (lately, shelf) {
                (Some(cell), _) => self.serve(scene, from, cell),
                (None, Some(shelf)) => match self.serving.begin_read(pull.id, from) {
                    Some(true) => scene.out.wishes.push(HoldWish::Store(StoreOrder::Read(shelf, pull.id))),
                    Some(false) => {}
                    None => self.counters.held_pulls_refused += 1,
                },
                (None, None) => {}
            }
        }
    }

    /// The store has read a cell for those who wait for it.
    pub(super) fn read(&mut self, scene: &mut HoldScene<'_>, id: PacketId, cell: Option<Cell>) {
        let readers = self.serving.reads.remove(&id).unwrap_or_default();
        for peer in readers {
            cell.iter().for_each(|cell| self.serve(scene, peer, cell.clone()));
        }
    }

    fn serve(&mut self, scene: &mut HoldScene<'_>, peer: LinkKey, cell: Cell) {
        self.counters.held_pulls_served += 1;
        scene.out.wishes.push(HoldWish::Serve(peer, cell));
    }
}
