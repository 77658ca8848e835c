//! A slot file: whole cells of one size, one after the other, and nothing else.
//!
//! Nothing on disk says where a cell is or whether it is whole: a cell proves itself, because its reserve binds every
//! byte of it (docs/protocol/packet.md §1). So there is no index that could disagree with the cells, and a file that
//! was cut off or damaged loses the cells that were hit and no others.
//!
//! No file stays open between orders: there may be 200 of them, and a node needs its descriptors for links.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mainframe_core::wire::{Cell, SizeClass};

/// One file, and how many of its slots are ours: what lies behind them is of no account.
#[derive(Debug)]
pub(super) struct SlotFile {
    path: PathBuf,
    size: SizeClass,
    slots: u32,
}

/// What a scan saw.
pub(super) enum Slot {
    /// A whole cell, and where.
    Cell(u32, Cell),
    /// Bytes that are no cell.
    Damaged,
}

impl SlotFile {
    /// A file that does not exist yet; the first cells make it.
    pub(super) fn new(path: PathBuf, size: SizeClass) -> SlotFile {
        SlotFile { path, size, slots: 0 }
    }

    /// Cuts off a torn tail and tells what is in every slot.
    pub(super) fn open(path: PathBuf, size: SizeClass, mut tell: impl FnMut(Slot)) -> io::Result<SlotFile> {
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let slots = u32::try_from(length / size.cell_length() as u64).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let opened = SlotFile { path, size, slots };
        if length != opened.end() {
            // If it cannot be cut now, the next append does it: what lies behind the slots is of no account.
            let _ = OpenOptions::new().write(true).open(&opened.path).and_then(|file| file.set_len(opened.end()));
        }
        for slot in 0..slots {
            tell(opened.slot(&file, slot).map_or(Slot::Damaged, |cell| Slot::Cell(slot, cell)));
        }
        Ok(opened)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many slots are taken.
    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// Writes cells behind the last slot, in one write. They are neither safe, before the file that is returned is
    /// synced, nor counted, before [`SlotFile::accept`].
    pub(super) fn write<'a>(&self, cells: impl Iterator<Item = &'a Cell>) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        if file.metadata()?.len() != self.end() {
            file.set_len(self.end())?;
        }
        let bytes = cells.fold(Vec::new(), |mut bytes, cell| {
            bytes.extend_from_slice(cell.bytes());
            bytes
        });
        file.write_all_at(&bytes, self.end())?;
        Ok(file)
    }

    /// Counts so many slots more.
    pub(super) fn accept(&mut self, cells: usize) {
        let cells = u32::try_from(cells).expect("a batch is small");
        self.slots = self.slots.checked_add(cells).expect("2^32 cells are 8 TiB, of one hour");
    }

    /// Takes back what was written but not accepted. If that fails too, the next append does it.
    pub(super) fn undo(&self) {
        let _ = match self.slots {
            0 => fs::remove_file(&self.path),
            _ => OpenOptions::new().write(true).open(&self.path).and_then(|file| file.set_len(self.end())),
        };
    }

    /// The cell in a slot.
    pub(super) fn read(&self, slot: u32) -> io::Result<Cell> {
        self.slot(&File::open(&self.path)?, slot)
    }

    /// Where the next cell goes, in bytes.
    fn end(&self) -> u64 {
        self.offset(self.slots)
    }

    fn offset(&self, slot: u32) -> u64 {
        u64::from(slot) * self.size.cell_length() as u64
    }

    fn slot(&self, file: &File, slot: u32) -> io::Result<Cell> {
        let mut bytes = vec![0; self.size.cell_length()];
        file.read_exact_at(&mut bytes, self.offset(slot))?;
        Cell::parse(bytes.into()).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}
