//! Getting the cells that others told of and we have not: many at a time, from whoever told, in no hurry.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainframe_base::{LinkKey, Luminosity, PacketId, Time};

use super::{Hold, HoldScene, Shelf, is_for_those_away};
use crate::wire::{Cell, DigestEntry, Frame, Hour, PullEntry};

/// Cells fetched at a time from one relay (guess: 128 KiB under way, as much as a link's first window takes).
const UNDER_WAY_MAX: usize = 64;
/// Cells that are wanted; while there are half as many, no further question is asked (guess: 32 MiB to come).
pub(super) const WANTED_MAX: usize = 16_384;
/// Relays remembered that told of the same cell: as many as are asked about a region.
const SOURCES_MAX: usize = 4;
/// How long a pull may take, in milliseconds (guess: a full first window over a slow line).
const PULL_MS: u64 = 10_000;
/// Pulls of one cell; then it is left to the next look at what the relays hold (guess).
const TRIES_MAX: u8 = 6;
/// Names of cells that came and are not held here, so that they are not fetched again: 16 B each, five of the next an hour
/// for three days (guess).
pub(super) const HAD_MAX: usize = 131_072;

#[derive(Clone, Debug)]
struct Fetch {
    hour: Hour,
    sources: VecDeque<LinkKey>,
    asked: Option<(LinkKey, Time)>,
    tries: u8,
}

/// Cells that are missing.
#[derive(Clone, Default, Debug)]
pub(super) struct Fetches {
    wanted: BTreeMap<PacketId, Fetch>,
    /// To be pulled from each relay, in the order it told of them.
    waiting: BTreeMap<LinkKey, VecDeque<PacketId>>,
    under_way: BTreeMap<LinkKey, usize>,
    due: BTreeSet<(Time, PacketId)>,
    had: BTreeMap<Hour, BTreeSet<PacketId>>,
    had_count: usize,
}

impl Fetches {
    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    pub(super) fn had(&self) -> usize {
        self.had_count
    }

    pub(super) fn is_busy(&self) -> bool {
        self.wanted.len() > WANTED_MAX / 2
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether this cell was pulled from this relay.
    pub(super) fn is_asked(&self, from: &LinkKey, id: &PacketId) -> bool {
        self.wanted.get(id).and_then(|fetch| fetch.asked).is_some_and(|(asked, _)| asked == *from)
    }

    /// A relay holds a cell of that hour.
    fn want(&mut self, from: LinkKey, hour: Hour, id: PacketId) {
        if self.had.get(&hour).is_some_and(|ids| ids.contains(&id)) {
            return;
        }
        if let Some(fetch) = self.wanted.get_mut(&id) {
            if fetch.sources.len() < SOURCES_MAX && !fetch.sources.contains(&from) {
                fetch.sources.push_back(from);
            }
        } else if self.wanted.len() < WANTED_MAX {
            self.wanted.insert(id, Fetch { hour, sources: [from].into(), asked: None, tries: 0 });
            self.waiting.entry(from).or_default().push_back(id);
        }
    }

    /// The next cells to pull from a relay, as far as there is room under way.
    fn take(&mut self, now: Time, from: LinkKey) -> Vec<PullEntry> {
        let mut pulls = Vec::new();
        let under_way = self.under_way.entry(from).or_default();
        let Some(waiting) = self.waiting.get_mut(&from) else { return pulls };
        while *under_way < UNDER_WAY_MAX {
            let Some(id) = waiting.pop_front() else { break };
            let Some(fetch) = self.wanted.get_mut(&id).filter(|fetch| fetch.asked.is_none()) else { continue };
            let due = now + PULL_MS;
            fetch.asked = Some((from, due));
            fetch.tries += 1;
            self.due.insert((due, id));
            *under_way += 1;
            pulls.push(PullEntry { id, responsibility: Luminosity::FULL });
        }
        pulls
    }

    /// A cell has come, from wherever: returns whom it was pulled from and the hour it was told under, if it was missing.
    fn came(&mut self, id: &PacketId) -> Option<(Option<LinkKey>, Hour)> {
        let fetch = self.wanted.remove(id)?;
        let asked = fetch.asked.map(|asked| self.stop_waiting(id, asked));
        Some((asked, fetch.hour))
    }

    fn stop_waiting(&mut self, id: &PacketId, (peer, due): (LinkKey, Time)) -> LinkKey {
        self.due.remove(&(due, *id));
        if let Some(under_way) = self.under_way.get_mut(&peer) {
            *under_way = under_way.saturating_sub(1);
        }
        peer
    }

    /// Pulls that took too long: the next source is asked, or the same again. Returns whom to pull from now, and how many
    /// cells were given up.
    fn overdue(&mut self, now: Time) -> (BTreeSet<LinkKey>, u64) {
        let (mut ready, mut given_up) = (BTreeSet::new(), 0);
        while let Some((due, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, id));
            let Some(asked) = self.wanted.get_mut(&id).and_then(|fetch| fetch.asked.take()) else { continue };
            let silent = self.stop_waiting(&id, asked);
            ready.insert(silent);
            given_up += u64::from(!self.queue_again(id, silent, &mut ready));
        }
        (ready, given_up)
    }

    /// Queues a cell at its next source; says false if it is given up.
    fn queue_again(&mut self, id: PacketId, silent: LinkKey, ready: &mut BTreeSet<LinkKey>) -> bool {
        let Some(fetch) = self.wanted.get_mut(&id) else { return true };
        if let Some(at) = fetch.sources.iter().position(|source| *source == silent) {
            fetch.sources.remove(at);
            fetch.sources.push_back(silent);
        }
        match fetch.sources.front().copied().filter(|_| fetch.tries < TRIES_MAX) {
            Some(next) => {
                self.waiting.entry(next).or_default().push_back(id);
                ready.insert(next);
                true
            }
            None => {
                self.wanted.remove(&id);
                false
            }
        }
    }

    /// A peer is gone: what it was to send is asked of others, or told of again.
    pub(super) fn lose(&mut self, peer: &LinkKey) {
        self.waiting.remove(peer);
        self.under_way.remove(peer);
        let (waiting, due) = (&mut self.waiting, &mut self.due);
        self.wanted.retain(|id, fetch| {
            let Some(at) = fetch.sources.iter().position(|source| source == peer) else { return true };
            fetch.sources.remove(at);
            if let Some((_, asked_until)) = fetch.asked.take_if(|(asked, _)| asked == peer) {
                due.remove(&(asked_until, *id));
            }
            let Some(next) = fetch.sources.front() else { return false };
            if fetch.asked.is_none() {
                waiting.entry(*next).or_default().push_back(*id);
            }
            true
        });
    }

    /// A cell that is not held here has been here.
    pub(super) fn note(&mut self, hour: Hour, id: PacketId) {
        self.had_count += usize::from(self.had.entry(hour).or_default().insert(id));
        while self.had_count > HAD_MAX {
            let Some((_, oldest)) = self.had.pop_first() else { return };
            self.had_count -= oldest.len();
        }
    }
}

impl Hold {
    /// Whether we asked this relay for the cell, or listen there to its region: then it is not a copy that spreads.
    pub fn expects(&self, scene: &HoldScene<'_>, from: &LinkKey, cell: &Cell) -> bool {
        self.fetches.is_asked(from, &cell.id()) || self.listens(scene, from, cell)
    }

    /// A relay told of cells of an hour.
    pub(super) fn told(&mut self, scene: &mut HoldScene<'_>, from: LinkKey, hour: Hour, digests: &[DigestEntry]) {
        for digest in digests.iter().filter(|digest| !self.catalogue.has(&digest.id)) {
            self.fetches.want(from, hour, digest.id);
        }
        self.pull(scene, from);
    }

    /// A cell has come: if it was missing it is not any more. Says under which hour it was told of.
    pub(super) fn fetched(&mut self, scene: &mut HoldScene<'_>, cell: &Cell) -> Option<Hour> {
        let came = self.fetches.came(&cell.id());
        if let Some((asked, _)) = came {
            self.counters.cells_fetched += 1;
            asked.into_iter().for_each(|peer| self.pull(scene, peer));
        }
        came.map(|(_, hour)| hour)
    }

    /// Remembers a cell that came and is not held here, so that it is not fetched again.
    pub(super) fn note_had(&mut self, now: Time, told_under: Option<Hour>, cell: &Cell) {
        if is_for_those_away(cell)
            && !self.catalogue.has(&cell.id())
            && let Some(hour) = told_under.or(Shelf::of_live(now, cell).map(|shelf| shelf.hour))
        {
            self.fetches.note(hour, cell.id());
        }
    }

    pub(super) fn fetch_again(&mut self, scene: &mut HoldScene<'_>) {
        let (ready, given_up) = self.fetches.overdue(scene.now);
        self.counters.fetches_given_up += given_up;
        ready.into_iter().for_each(|peer| self.pull(scene, peer));
    }

    pub(super) fn pull(&mut self, scene: &mut HoldScene<'_>, from: LinkKey) {
        let pulls = self.fetches.take(scene.now, from);
        if !pulls.is_empty() {
            scene.send(from, Frame::Pull(pulls));
        }
    }
}
