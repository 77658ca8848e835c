//! What we hold: which cells, on which shelves, and how much of the quota they take.
//!
//! Only their names and what they are asked for by; the bytes lie in the node's store. A cell once accepted is let go when
//! its shelf ends and never before, whether its receiver has it or not: forgetting earlier would tell who that is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use mainframe_base::{Address, Luminosity, PacketId, Proximity, Refusal, Time};

use super::shelf::Shelf;
use crate::wire::{Ask, Cell, DIGESTS_MAX, DigestEntry, Hearing, Held, HoldClass, Hour, SizeClass};

/// Cells looked at for one page of an answer (guess: one millisecond).
const LOOKED_AT_MAX: usize = 8_192;

/// A cell on a shelf, without its bytes: what is asked for it by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldCell {
    /// Its name.
    pub id: PacketId,
    /// Where it stands.
    pub shelf: Shelf,
    /// How many bits of its region are told; the bits are ours.
    pub luminosity: Luminosity,
    /// The first bytes of its tag.
    pub tag: [u8; 2],
    /// Its size.
    pub size_class: SizeClass,
}

impl HeldCell {
    /// What is remembered of a cell on this shelf.
    pub fn of(shelf: Shelf, cell: &Cell) -> HeldCell {
        let header = cell.header();
        let [first, second, ..] = header.tag.0;
        let luminosity = header.destination.luminosity();
        HeldCell { id: cell.id(), shelf, luminosity, tag: [first, second], size_class: header.size_class }
    }

    fn bytes(&self) -> u64 {
        self.size_class.cell_length() as u64
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    cell: HeldCell,
    /// Whether the store said that it is safe.
    kept: bool,
}

/// How much stands on a shelf.
#[derive(Clone, Copy, Default, Debug)]
struct Standing {
    cells: usize,
    bytes: u64,
}

/// The index of the store.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    bytes_max: u64,
    cells: BTreeMap<PacketId, Entry>,
    by_hour: BTreeSet<(Hour, PacketId)>,
    shelves: BTreeMap<Shelf, Standing>,
    bytes: u64,
}

impl Catalogue {
    /// Of what the store held when the node started; cells of regions that are not ours any more are left out.
    pub(super) fn new(bytes_max: u64, found: Vec<HeldCell>) -> Catalogue {
        let (cells, by_hour, shelves) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut catalogue = Catalogue { bytes_max, cells, by_hour, shelves, bytes: 0 };
        for cell in found {
            catalogue.insert(cell, true);
        }
        catalogue
    }

    /// Accepts a cell, to be written by the store. Says false for one that is here already.
    ///
    /// # Errors
    /// `Busy` when this hour has had its share of the quota. The one place where paid holding will ask for its price.
    pub(super) fn admit(&mut self, cell: HeldCell) -> Result<bool, Refusal> {
        if self.cells.contains_key(&cell.id) {
            return Ok(false);
        }
        let standing = self.shelves.get(&cell.shelf).map_or(0, |standing| standing.bytes);
        if standing + cell.bytes() > shelf_bytes_max(self.bytes_max, cell.shelf.class) {
            return Err(Refusal::Busy);
        }
        self.insert(cell, false);
        Ok(true)
    }

    fn insert(&mut self, cell: HeldCell, kept: bool) {
        if self.cells.insert(cell.id, Entry { cell, kept }).is_none() {
            self.by_hour.insert((cell.shelf.hour, cell.id));
            let standing = self.shelves.entry(cell.shelf).or_default();
            standing.cells += 1;
            standing.bytes += cell.bytes();
            self.bytes += cell.bytes();
        }
    }

    /// The store has written it: from now on it is told of and served.
    pub(super) fn set_kept(&mut self, id: &PacketId) {
        if let Some(entry) = self.cells.get_mut(id) {
            entry.kept = true;
        }
    }

    /// The store could not write it: as if it had not been accepted.
    pub(super) fn give_up(&mut self, id: &PacketId) {
        let Some(entry) = self.cells.get(id).filter(|entry| !entry.kept).copied() else { return };
        self.remove(&entry.cell);
    }

    fn remove(&mut self, cell: &HeldCell) {
        self.cells.remove(&cell.id);
        self.by_hour.remove(&(cell.shelf.hour, cell.id));
        self.bytes -= cell.bytes();
        if let Some(standing) = self.shelves.get_mut(&cell.shelf) {
            standing.cells -= 1;
            standing.bytes -= cell.bytes();
            if standing.cells == 0 {
                self.shelves.remove(&cell.shelf);
            }
        }
    }

    /// Whether it was accepted.
    pub(super) fn has(&self, id: &PacketId) -> bool {
        self.cells.contains_key(id)
    }

    /// A cell that can be read.
    pub(super) fn kept(&self, id: &PacketId) -> Option<&HeldCell> {
        self.cells.get(id).filter(|entry| entry.kept).map(|entry| &entry.cell)
    }

    /// One page of the answer to a question.
    pub(super) fn page(&self, me: &Address, ask: &Ask, hearing: Hearing) -> Held {
        let shared = me.proximity(&ask.region.first_address());
        let start = Bound::Excluded((ask.hour, ask.after));
        let end = Bound::Excluded((ask.hour.later(1), PacketId([0; 16])));
        let start = if ask.after == PacketId([0; 16]) { Bound::Included((ask.hour, ask.after)) } else { start };
        let (mut digests, mut next) = (Vec::new(), None);
        for (looked_at, (_, id)) in self.by_hour.range((start, end)).enumerate() {
            if digests.len() == DIGESTS_MAX || looked_at == LOOKED_AT_MAX {
                break;
            }
            next = Some(*id);
            digests.extend(self.kept(id).filter(|cell| answers(cell, ask, shared)).map(digest_of));
        }
        let more = |id: &PacketId| self.by_hour.range((Bound::Excluded((ask.hour, *id)), end)).next().is_some();
        Held { request: ask.request, hearing, next: next.filter(more), digests }
    }

    /// Takes the shelves that have ended out of the index.
    pub(super) fn prune(&mut self, now: Time) -> Vec<Shelf> {
        let ended: Vec<Shelf> = self.shelves.keys().copied().filter(|shelf| shelf.ends() <= now).collect();
        ended.iter().for_each(|shelf| self.forget(shelf));
        ended
    }

    /// Takes out what is too much because the quota was lowered since the store was filled: the oldest shelves first, of
    /// the same hour the cheapest, which are those held for the shortest time.
    pub(super) fn shrink(&mut self) -> Vec<Shelf> {
        let mut gone = Vec::new();
        while self.bytes > self.bytes_max {
            let Some(shelf) = self.shelves.keys().next().copied() else { break };
            self.forget(&shelf);
            gone.push(shelf);
        }
        gone
    }

    fn forget(&mut self, shelf: &Shelf) {
        let hour = (shelf.hour, PacketId([0; 16]))..(shelf.hour.later(1), PacketId([0; 16]));
        let of_hour = self.by_hour.range(hour).filter_map(|(_, id)| self.cells.get(id));
        let gone: Vec<HeldCell> = of_hour.map(|entry| entry.cell).filter(|cell| cell.shelf == *shelf).collect();
        gone.iter().for_each(|cell| self.remove(cell));
    }

    /// When [`Catalogue::prune`] has work next.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.shelves.keys().map(Shelf::ends).min()
    }

    /// Cells accepted.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Cells of an hour: of the last two, the one that has more, because the last one has not ended.
    pub(super) fn per_hour(&self) -> usize {
        let mut hours: BTreeMap<Hour, usize> = BTreeMap::new();
        for (shelf, standing) in &self.shelves {
            *hours.entry(shelf.hour).or_default() += standing.cells;
        }
        hours.into_values().rev().take(2).max().unwrap_or(0)
    }

    /// Bytes of the cells accepted, and how many they may be.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.bytes, self.bytes_max)
    }
}

/// How much one hour's cells of a class may take: a third of the quota for each class, divided by the hours of which
/// cells stand there at a time. So what was accepted never has to make room, one class cannot crowd out another, and
/// an hour's flood cannot take the room of the next.
pub(super) fn shelf_bytes_max(bytes_max: u64, class: HoldClass) -> u64 {
    bytes_max / 3 / u64::from(class.hours() + 2)
}

fn answers(cell: &HeldCell, ask: &Ask, shared: Proximity) -> bool {
    shared >= cell.luminosity.bits().min(ask.region.luminosity().bits()) && ask.bucket.has(cell.tag)
}

fn digest_of(cell: &HeldCell) -> DigestEntry {
    DigestEntry { id: cell.id, responsibility: Luminosity::FULL, size_class: cell.size_class }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::rig::held_cell;
    use crate::wire::TagBucket;
    use mainframe_base::{Prefix, Tag};
    use proptest::prelude::*;

    const ME: Address = Address([0; 32]);

    fn ask(region: Prefix, hour: Hour, bucket: TagBucket) -> Ask {
        Ask { request: 1, region, hour, bucket, after: PacketId([0; 16]) }
    }

    fn all_pages(catalogue: &Catalogue, mut question: Ask) -> Vec<PacketId> {
        let mut ids = Vec::new();
        loop {
            let page = catalogue.page(&ME, &question, Hearing::Not);
            ids.extend(page.digests.iter().map(|digest| digest.id));
            match page.next {
                Some(next) => question.after = next,
                None => return ids,
            }
        }
    }

    #[test]
    fn one_class_or_hour_in_flood_leaves_the_others_their_room() {
        let mut catalogue = Catalogue::new(3 << 20, Vec::new());
        let mut accepted = BTreeMap::new();
        for number in 0..4_000 {
            for (hour, class) in [(1, HoldClass::ThreeDays), (1, HoldClass::Hour), (2, HoldClass::ThreeDays)] {
                let shelf = Shelf { hour: Hour(hour), class };
                let cell = held_cell(number * 3 + hour * 100_000 + class.hours(), shelf, 0);
                *accepted.entry(shelf).or_insert(0) += usize::from(catalogue.admit(cell) == Ok(true));
            }
        }
        assert_eq!(accepted.into_values().collect::<Vec<_>>(), [170, 6, 6]);
    }

    #[test]
    fn a_lowered_quota_costs_the_oldest_and_the_cheapest_first() {
        let shelves = [(5, HoldClass::Day), (5, HoldClass::Hour), (4, HoldClass::ThreeDays), (6, HoldClass::Hour)];
        let found = shelves.iter().enumerate().flat_map(|(index, (hour, class))| {
            (0..10).map(move |number| {
                held_cell(number + 100 * index as u32, Shelf { hour: Hour(*hour), class: *class }, 0)
            })
        });
        let mut catalogue = Catalogue::new(45_000, found.collect());
        let gone: Vec<(u32, HoldClass)> = catalogue.shrink().iter().map(|shelf| (shelf.hour.0, shelf.class)).collect();
        assert_eq!(gone, [(4, HoldClass::ThreeDays), (5, HoldClass::Hour)]);
        assert_eq!(catalogue.len(), 20);
    }

    #[test]
    fn what_the_store_has_not_written_is_not_told_of() {
        let mut catalogue = Catalogue::new(1 << 30, Vec::new());
        let shelf = Shelf { hour: Hour(1), class: HoldClass::Day };
        let cells = [1, 2].map(|number| held_cell(number, shelf, 0));
        for cell in cells {
            assert_eq!(catalogue.admit(cell), Ok(true));
        }
        let question = ask(Prefix::EVERYONE, Hour(1), TagBucket::ALL);
        assert_eq!(all_pages(&catalogue, question), []);
        catalogue.set_kept(&cells[0].id);
        catalogue.give_up(&cells[1].id);
        assert_eq!(all_pages(&catalogue, question), [cells[0].id]);
        assert_eq!((catalogue.len(), catalogue.bytes().0), (1, 2_048));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pages_tell_exactly_what_overlaps_once(
            cells in prop::collection::vec((1u32..3, 0u16..6, any::<[u8; 2]>()), 0..1_500),
            region in (any::<[u8; 32]>(), 0u16..6), bits in 0u8..3, tag: [u8; 16],
        ) {
            let mut catalogue = Catalogue::new(u64::MAX, Vec::new());
            let region = Prefix::of(&Address(region.0), Luminosity::at_most(region.1));
            let bucket = TagBucket::of(&Tag(tag), bits);
            let mut expected = Vec::new();
            for (number, (hour, luminosity, tag)) in cells.into_iter().enumerate() {
                let shelf = Shelf { hour: Hour(hour), class: HoldClass::Day };
                let cell = HeldCell { tag, ..held_cell(number as u32, shelf, luminosity) };
                catalogue.admit(cell).unwrap();
                catalogue.set_kept(&cell.id);
                let destination = Prefix::of(&ME, cell.luminosity);
                if hour == 1 && destination.overlaps(&region) && bucket.has(tag) {
                    expected.push(cell.id);
                }
            }
            expected.sort_unstable();
            prop_assert_eq!(all_pages(&catalogue, ask(region, Hour(1), bucket)), expected);
            let shelves = catalogue.shelves.len();
            prop_assert_eq!(catalogue.prune(Hour(27).start()).len(), shelves);
            prop_assert_eq!((catalogue.len(), catalogue.bytes().0), (0, 0));
        }
    }
}
