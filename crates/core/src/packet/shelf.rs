//! Where the bytes of kept cells lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainframe_base::PacketId;

use crate::wire::Cell;

/// How a relay keeps a cell that came in.
#[derive(Clone, Debug, Default)]
pub enum Keeping {
    /// Copied out of the buffer it came in: a link reads up to 64 KiB at once, and one kept cell would hold all of it.
    #[default]
    Copied,
    /// Once for all relays that share the shelf: in the simulator thousands keep the same cell.
    Shared(Shelf),
}

impl Keeping {
    /// The cell as it is to be kept.
    pub(super) fn keep(&self, cell: &Cell) -> Cell {
        match self {
            Keeping::Copied => cell.copied(),
            Keeping::Shared(shelf) => shelf.keep(cell),
        }
    }
}

/// Cells by their names, shared by clones.
///
/// The lock does no harm to a core that otherwise has none: a packet's id is a hash of its cell, so it cannot be seen
/// from outside whose copy one has.
#[derive(Clone)]
pub struct Shelf {
    cells: Arc<Mutex<Cells>>,
}

/// When the young half is full it becomes the old one, and the old one is forgotten; whoever still keeps a cell of
/// it keeps it.
struct Cells {
    half: usize,
    young: BTreeMap<PacketId, Cell>,
    old: BTreeMap<PacketId, Cell>,
}

impl Shelf {
    /// An empty shelf that knows up to `capacity` cells.
    pub fn new(capacity: usize) -> Shelf {
        let half = capacity.div_ceil(2).max(1);
        Shelf { cells: Arc::new(Mutex::new(Cells { half, young: BTreeMap::new(), old: BTreeMap::new() })) }
    }

    fn keep(&self, cell: &Cell) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let id = cell.id();
        if let Some(known) = cells.young.get(&id) {
            return known.clone();
        }
        if cells.young.len() >= cells.half {
            cells.old = std::mem::take(&mut cells.young);
        }
        let kept = cells.old.remove(&id).unwrap_or_else(|| cell.copied());
        cells.young.insert(id, kept.clone());
        kept
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CellHeader, ExpiryBucket, HoldClass, SizeClass};
    use mainframe_base::{Prefix, Tag};

    fn cell(first: u8) -> Cell {
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination: Prefix::EVERYONE,
            expiry: ExpiryBucket(1),
            tag: Tag([first; 16]),
            ephemeral: [0; 32],
        };
        Cell::build(header, [0; 80], &vec![0; SizeClass::T.body_length()])
    }

    #[test]
    fn relays_that_share_a_shelf_keep_one_copy_of_a_cell() {
        let shelf = Keeping::Shared(Shelf::new(4));
        let place = |keeping: &Keeping, cell: &Cell| keeping.keep(cell).bytes().as_ptr();
        let (one, other) = (cell(1), cell(2));
        assert_eq!(place(&shelf, &one), place(&shelf.clone(), &one.copied()));
        assert_ne!(place(&shelf, &one), place(&shelf, &other));
        let copied = Keeping::Copied.keep(&one);
        assert!(copied == one && copied.bytes().as_ptr() != one.bytes().as_ptr());
    }

    #[test]
    fn a_shelf_forgets_what_was_not_asked_for_lately() {
        let shelf = Shelf::new(4);
        for first in 0..=255 {
            shelf.keep(&cell(first));
            shelf.keep(&cell(0));
            let cells = shelf.cells.lock().unwrap();
            assert!(cells.young.len() + cells.old.len() <= 4);
            assert!(cells.young.contains_key(&cell(0).id()));
        }
    }
}
