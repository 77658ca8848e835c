//! Cells of the last minutes, kept for those who missed them and for keys that have yet to come.
//!
//! A relay keeps the cells of its regions to serve pulls; an endpoint keeps the cells it could not open, because the
//! key may arrive after the cell (docs/protocol/packet.md §6). Both bounds are hard.

use std::collections::VecDeque;

use mainframe_base::{PacketId, Time};

use super::table::PacketTable;
use crate::wire::Cell;

/// A cell is kept this long: the life of a live cell.
pub const RING_AGE_MS_MAX: u64 = 10 * 60 * 1_000;
/// Cells together take at most this many bytes: 16,384 T cells, 27 a second for ten minutes.
pub const RING_BYTES_MAX: usize = 32 << 20;

/// Places of removed cells borne with before the ring closes up; as many as cells once there are more (guess).
const GAPS_MAX: usize = 64;

/// A bounded memory of cells, oldest out first.
#[derive(Clone, Debug)]
pub struct Ring {
    /// In the order they came; a removed cell leaves a gap.
    cells: VecDeque<Option<(Time, Cell)>>,
    /// The number of the first of them; those behind it count on.
    first: u64,
    numbers: PacketTable<u64>,
    bytes: usize,
}

impl Ring {
    /// Keeps nothing yet; `secret` is any number that senders of packets cannot know.
    pub fn new(secret: u64) -> Ring {
        Ring { cells: VecDeque::new(), first: 0, numbers: PacketTable::new(secret), bytes: 0 }
    }

    /// Keeps a cell; nothing happens if it is kept already.
    pub fn put(&mut self, now: Time, cell: Cell) {
        self.forget_older_than(now);
        if self.numbers.get(&cell.id()).is_some() {
            return;
        }
        self.numbers.insert(cell.id(), self.first + self.cells.len() as u64);
        self.bytes += cell.bytes().len();
        self.cells.push_back(Some((now, cell)));
        while self.bytes > RING_BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// The cell of a packet.
    pub fn get(&self, id: &PacketId) -> Option<&Cell> {
        let index = self.numbers.get(id)? - self.first;
        self.cells.get(index as usize)?.as_ref().map(|(_, cell)| cell)
    }

    /// When each packet came, and its cell; newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (Time, &Cell)> {
        self.cells.iter().rev().flatten().map(|(at, cell)| (*at, cell))
    }

    /// Removes a cell.
    pub fn remove(&mut self, id: &PacketId) {
        let Some(number) = self.numbers.remove(id) else { return };
        if let Some((_, cell)) = self.cells[(number - self.first) as usize].take() {
            self.bytes -= cell.bytes().len();
        }
        if self.cells.len() > 2 * self.numbers.len() + GAPS_MAX {
            self.close_up();
        }
    }

    /// Forgets cells past their age.
    pub fn forget_older_than(&mut self, now: Time) {
        let old =
            |place: &Option<(Time, Cell)>| place.as_ref().is_none_or(|(at, _)| now.since_ms(*at) > RING_AGE_MS_MAX);
        while self.cells.front().is_some_and(old) {
            self.forget_oldest();
        }
    }

    /// Number of cells kept.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the cells kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_oldest(&mut self) {
        let Some(place) = self.cells.pop_front() else { return };
        self.first += 1;
        if let Some((_, cell)) = place {
            self.numbers.remove(&cell.id());
            self.bytes -= cell.bytes().len();
        }
    }

    fn close_up(&mut self) {
        self.cells.retain(Option::is_some);
        for (number, (_, cell)) in (self.first..).zip(self.cells.iter().flatten()) {
            self.numbers.insert(cell.id(), number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CellHeader, ExpiryBucket, HoldClass, SizeClass};
    use mainframe_base::{Prefix, Tag};
    use proptest::prelude::*;

    fn cell(number: u8) -> Cell {
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination: Prefix::EVERYONE,
            expiry: ExpiryBucket(0),
            tag: Tag([number; 16]),
            ephemeral: [0; 32],
        };
        Cell::build(header, [0; 80], &vec![0; SizeClass::T.body_length()])
    }

    #[test]
    fn cells_past_the_bound_or_their_age_are_forgotten_oldest_first() {
        let mut ring = Ring::new(7);
        let [old, young] = [1, 2].map(cell);
        ring.put(Time(0), old.clone());
        ring.put(Time(1), young.clone());
        ring.forget_older_than(Time(RING_AGE_MS_MAX + 1));
        assert_eq!((ring.get(&old.id()), ring.get(&young.id())), (None, Some(&young)));
        ring.bytes += RING_BYTES_MAX - 2_048;
        ring.put(Time(2), old.clone());
        assert_eq!((ring.get(&old.id()), ring.get(&young.id())), (Some(&old), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn it_agrees_with_a_list(steps in prop::collection::vec((0u8..60, any::<bool>()), 0..400)) {
            let cells: Vec<Cell> = (0..60).map(cell).collect();
            let mut ring = Ring::new(7);
            let mut model: Vec<(Time, u8)> = Vec::new();
            for (now, (number, put)) in (0..).map(Time).zip(steps) {
                if put {
                    ring.put(now, cells[usize::from(number)].clone());
                    if model.iter().all(|(_, kept)| *kept != number) {
                        model.insert(0, (now, number));
                    }
                } else {
                    ring.remove(&cells[usize::from(number)].id());
                    model.retain(|(_, kept)| *kept != number);
                }
                let kept = ring.newest_first().map(|(at, cell)| (at, cell.header().tag.0[0]));
                prop_assert!(kept.eq(model.iter().copied()));
                prop_assert_eq!(ring.bytes(), model.len() * 2_048);
                prop_assert!(ring.cells.len() <= 2 * model.len() + GAPS_MAX);
            }
            for cell in &cells {
                let expected = model.iter().any(|(_, number)| *number == cell.header().tag.0[0]).then_some(cell);
                prop_assert_eq!(ring.get(&cell.id()), expected);
            }
        }
    }
}
