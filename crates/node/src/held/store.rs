//! All shelves, and in memory where each cell is.
//!
//! What was accepted stays readable whatever happens to later batches: a batch is on disk as a whole, or taken back as
//! a whole.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use mainframe_base::PacketId;
use mainframe_core::switchboard::{HeldCell, Shelf};
use mainframe_core::wire::{Cell, SizeClass};

use super::shelf::{file_name, of_file_name};
use super::slot_file::{Slot, SlotFile};
use crate::error::{ErrorKind, NodeError};
use crate::files;

/// How long a disk that refused is left alone: a full one is asked once a second, not with every packet (guess).
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Files synced at once, a thread each. One after the other each costs a commit of the file system's journal, at once
/// they share it: six files 24 ms, or 4 to 8 (ext4, docs/decisions/0009). Three classes, two sizes and two hours make 12.
const SYNCED_AT_ONCE: usize = 16;

/// Held cells in slot files.
#[derive(Debug)]
pub struct HeldStore {
    directory: PathBuf,
    shelves: BTreeMap<Shelf, Contents>,
    damaged: u64,
    refused: Option<(Instant, NodeError)>,
}

#[derive(Default, Debug)]
struct Contents {
    files: BTreeMap<SizeClass, SlotFile>,
    places: HashMap<PacketId, (SizeClass, u32)>,
}

/// New cells by the file they go to, each once.
type Batch<'a> = BTreeMap<(Shelf, SizeClass), BTreeMap<PacketId, &'a Cell>>;

impl HeldStore {
    /// Opens the store in `directory`, making it if there is none, and tells what is in it. Reads every cell: a
    /// quarter of a second for 100,000 (docs/decisions/0009). Files that are not ours are left alone.
    ///
    /// # Errors
    /// If the directory cannot be made, or it or a file of ours cannot be opened. A cell that cannot be read is no error.
    pub fn open(directory: &Path) -> Result<(HeldStore, Vec<HeldCell>), NodeError> {
        let cannot_open = |error: io::Error| {
            let what = format!("cannot open the store of held cells {}", directory.display());
            NodeError::new(ErrorKind::Store, what, error, "Check the disk and who may read and write there.")
        };
        make(directory)?;
        let mut store =
            HeldStore { directory: directory.to_owned(), shelves: BTreeMap::new(), damaged: 0, refused: None };
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(cannot_open)? {
            let entry = entry.map_err(cannot_open)?;
            let ours = entry.file_name().to_str().and_then(of_file_name);
            if let Some((shelf, size)) = ours.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
                store.open_file(entry.path(), shelf, size, &mut found).map_err(cannot_open)?;
            }
        }
        Ok((store, found))
    }

    /// How many cells could not be read, when the store was opened and since.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Whether it has a cell.
    pub fn holds(&self, shelf: Shelf, id: PacketId) -> bool {
        self.shelves.get(&shelf).is_some_and(|contents| contents.places.contains_key(&id))
    }

    /// Keeps cells: when this returns, all of them are safely on disk, or none of those that were not there before.
    /// After an error the disk is left alone for a second, and batches in that time get the same error.
    ///
    /// # Errors
    /// If they could not be written or synced: what, why, and what to do about it.
    pub fn keep(&mut self, now: Instant, cells: &[(Shelf, Cell)]) -> Result<(), NodeError> {
        let batch = self.new_ones(cells);
        if batch.is_empty() {
            return Ok(());
        }
        if let Some((at, error)) = &self.refused
            && now.duration_since(*at) < RETRY_AFTER
        {
            return Err(error.clone());
        }
        match self.write(&batch) {
            Ok(()) => {
                self.accept(&batch);
                self.refused = None;
                Ok(())
            }
            Err(error) => {
                self.undo(&batch);
                let error = not_kept(&self.directory, &error);
                self.refused = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    /// A held cell; none if it was never kept, or is damaged.
    pub fn read(&mut self, shelf: Shelf, id: PacketId) -> Option<Cell> {
        let contents = self.shelves.get(&shelf)?;
        let (size, slot) = contents.places.get(&id)?;
        match contents.files.get(size)?.read(*slot) {
            Ok(cell) if cell.id() == id => return Some(cell),
            Ok(_) => tracing::warn!(?shelf, "a slot of held cells has another cell than the one written there"),
            Err(error) => tracing::warn!(?shelf, %error, "a held cell cannot be read"),
        }
        self.damaged += 1;
        None
    }

    /// Lets go of a shelf and everything on it.
    pub fn drop_shelf(&mut self, shelf: Shelf) {
        let contents = self.shelves.remove(&shelf).unwrap_or_default();
        for file in contents.files.into_values() {
            if let Err(error) = fs::remove_file(file.path()) {
                // It is found again at the next start, and dropped then.
                tracing::warn!(file = %file.path().display(), %error, "held cells that ended were not removed");
            }
        }
    }

    fn open_file(&mut self, path: PathBuf, shelf: Shelf, size: SizeClass, found: &mut Vec<HeldCell>) -> io::Result<()> {
        let Contents { files, places } = self.shelves.entry(shelf).or_default();
        let file = SlotFile::open(path, size, |slot| match slot {
            Slot::Cell(slot, cell) if !places.contains_key(&cell.id()) => {
                places.insert(cell.id(), (size, slot));
                found.push(HeldCell::of(shelf, &cell));
            }
            // A batch that could not be taken back and was then written again.
            Slot::Cell(..) => {}
            Slot::Damaged => self.damaged += 1,
        })?;
        files.insert(size, file);
        Ok(())
    }

    fn new_ones<'a>(&self, cells: &'a [(Shelf, Cell)]) -> Batch<'a> {
        let mut batch = Batch::new();
        for (shelf, cell) in cells.iter().filter(|(shelf, cell)| !self.holds(*shelf, cell.id())) {
            batch.entry((*shelf, cell.header().size_class)).or_default().insert(cell.id(), cell);
        }
        batch
    }

    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let mut written = Vec::with_capacity(batch.len());
        let mut is_new = false;
        for ((shelf, size), cells) in batch {
            let file = self.file(*shelf, *size);
            is_new |= file.slots() == 0;
            written.push(file.write(cells.values().copied())?);
        }
        sync(&written)?;
        if is_new { File::open(&self.directory)?.sync_all() } else { Ok(()) }
    }

    fn accept(&mut self, batch: &Batch<'_>) {
        for ((shelf, size), cells) in batch {
            let file = self.file(*shelf, *size);
            let first = file.slots();
            file.accept(cells.len());
            let places = &mut self.shelves.entry(*shelf).or_default().places;
            places.extend(cells.keys().zip(first..).map(|(id, slot)| (*id, (*size, slot))));
        }
    }

    fn undo(&mut self, batch: &Batch<'_>) {
        for (shelf, size) in batch.keys() {
            self.file(*shelf, *size).undo();
        }
    }

    fn file(&mut self, shelf: Shelf, size: SizeClass) -> &mut SlotFile {
        let directory = &self.directory;
        let files = &mut self.shelves.entry(shelf).or_default().files;
        files.entry(size).or_insert_with(|| SlotFile::new(directory.join(file_name(shelf, size)), size))
    }
}

/// Makes the directory, and makes sure that it is there after a power cut.
fn make(directory: &Path) -> Result<(), NodeError> {
    files::make_private_directory(directory)?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| {
        let what = format!("cannot make the directory {} last", directory.display());
        NodeError::new(ErrorKind::Store, what, error, "Check the disk and who may read and write there.")
    })
}

/// Makes the contents of all files last.
fn sync(files: &[File]) -> io::Result<()> {
    if let [only] = files {
        return only.sync_data();
    }
    for some in files.chunks(SYNCED_AT_ONCE) {
        thread::scope(|scope| {
            let syncing: Vec<_> = some.iter().map(|file| begin_sync(scope, file)).collect();
            syncing.into_iter().try_for_each(|file| file?.join().expect("syncing a file does not panic"))
        })?;
    }
    Ok(())
}

/// Starts to sync a file beside others. A machine that has no thread to spare fails the batch, not the process.
fn begin_sync<'scope>(
    scope: &'scope Scope<'scope, '_>,
    file: &'scope File,
) -> io::Result<ScopedJoinHandle<'scope, io::Result<()>>> {
    thread::Builder::new().name("hold-sync".into()).spawn_scoped(scope, || file.sync_data())
}

fn not_kept(directory: &Path, error: &io::Error) -> NodeError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "there are some forty kinds, and there will be more")]
    let next = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room on the disk",
        io::ErrorKind::FileTooLarge => "Raise the limit on the size of files",
        io::ErrorKind::ReadOnlyFilesystem => "Mount it so that it can be written",
        io::ErrorKind::PermissionDenied => "Change who may write there",
        _ => "Check the disk",
    };
    let what = format!("cannot keep cells in {}", directory.display());
    let next = format!("{next}; it is tried again by itself, and what was accepted before stays.");
    NodeError::new(ErrorKind::StoreFailed, what, error, next)
}
