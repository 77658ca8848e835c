//! Cells of the last minutes, kept for those who missed them and for keys that have yet to come.
//!
//! A relay keeps the cells of its regions to serve pulls; an endpoint keeps the cells it could not open, because the
//! key may arrive after the cell (docs/protocol/packet.md §6). Both bounds are hard.

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::{PacketId, Time};

use crate::wire::Cell;

/// A cell is kept this long: the life of a live cell.
pub const RING_AGE_MS_MAX: u64 = 10 * 60 * 1_000;
/// Cells together take at most this many bytes: 16,384 T cells, 27 a second for ten minutes.
pub const RING_BYTES_MAX: usize = 32 << 20;

/// A bounded memory of cells, oldest out first.
#[derive(Debug, Default)]
pub struct Ring {
    cells: BTreeMap<PacketId, Cell>,
    order: VecDeque<(Time, PacketId)>,
    bytes: usize,
}

impl Ring {
    /// Keeps a cell; nothing happens if it is kept already.
    pub fn put(&mut self, now: Time, cell: Cell) {
        self.forget_older_than(now);
        let (id, length) = (cell.id(), cell.bytes().len());
        if self.cells.insert(id, cell).is_none() {
            self.order.push_back((now, id));
            self.bytes += length;
        }
        while self.bytes > RING_BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// The cell of a packet.
    pub fn get(&self, id: &PacketId) -> Option<&Cell> {
        self.cells.get(id)
    }

    /// When each packet came, and its cell; newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (Time, &Cell)> {
        self.order.iter().rev().filter_map(|(at, id)| Some((*at, self.cells.get(id)?)))
    }

    /// Removes a cell.
    pub fn remove(&mut self, id: &PacketId) {
        if let Some(cell) = self.cells.remove(id) {
            self.bytes -= cell.bytes().len();
            self.order.retain(|(_, other)| other != id);
        }
    }

    /// Forgets cells past their age.
    pub fn forget_older_than(&mut self, now: Time) {
        while self.order.front().is_some_and(|(at, _)| now.since_ms(*at) > RING_AGE_MS_MAX) {
            self.forget_oldest();
        }
    }

    /// Bytes of the cells kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_oldest(&mut self) {
        if let Some(cell) = self.order.pop_front().and_then(|(_, id)| self.cells.remove(&id)) {
            self.bytes -= cell.bytes().len();
        }
    }
}
