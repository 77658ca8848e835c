//! `bench hold`: held cells in slot files, beside the same cells in a table of SQLite.

use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use mainframe_base::{Address, Luminosity, PacketId, Prefix, Tag};
use mainframe_core::switchboard::Shelf;
use mainframe_core::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, Hour, SizeClass};
use mainframe_node::held::HeldStore;
use rustix::fs::{Advice, fadvise};
use serde::Serialize;

use super::figures::median;
use super::hold_table::HeldTable;
use crate::cli::BenchHold;
use crate::output::{self, Output};

/// Cells of a shelf that is dropped.
const SHELF_CELLS: u32 = 10_000;
/// Cells of a batch when a store is filled.
const FILL_BATCH: u32 = 256;
/// How cells are kept: cells of a batch, and shelves they are spread over. Live cells expire within ten minutes, so
/// those of a busy relay go to three classes in at most two hours.
const KEPT: [(u32, u32); 5] = [(1, 1), (16, 1), (256, 1), (16, 6), (256, 6)];

#[derive(Serialize, Debug)]
struct Report {
    pairs: u32,
    seconds_per_run: f64,
    /// Cells in the store when it is opened and read.
    cells: u32,
    figures: Vec<Figure>,
}

/// One question, answered by both stores in turn.
#[derive(Serialize, Debug)]
struct Figure {
    what: String,
    /// What the figures count.
    unit: &'static str,
    /// Medians.
    slot_files: f64,
    sqlite: f64,
    /// The median of the first by the second, pair by pair.
    ratio: f64,
    /// Both, pair by pair.
    pairs: Vec<(f64, f64)>,
}

/// What is measured of a store.
pub(super) trait Held: Sized {
    /// Opens it, making it if there is none; how many cells are in it, each one's shelf, name and header seen.
    fn open(directory: &Path) -> anyhow::Result<(Self, usize)>;
    /// Returns when they are safely on disk.
    fn keep(&mut self, cells: &[(Shelf, Cell)]) -> anyhow::Result<()>;
    /// A cell that proved itself.
    fn read(&mut self, shelf: Shelf, id: PacketId) -> Option<Cell>;
    fn drop_shelf(&mut self, shelf: Shelf) -> anyhow::Result<()>;
}

impl Held for HeldStore {
    fn open(directory: &Path) -> anyhow::Result<(Self, usize)> {
        let (store, found) = HeldStore::open(directory)?;
        Ok((store, found.len()))
    }

    fn keep(&mut self, cells: &[(Shelf, Cell)]) -> anyhow::Result<()> {
        Ok(HeldStore::keep(self, Instant::now(), cells)?)
    }

    fn read(&mut self, shelf: Shelf, id: PacketId) -> Option<Cell> {
        HeldStore::read(self, shelf, id)
    }

    fn drop_shelf(&mut self, shelf: Shelf) -> anyhow::Result<()> {
        HeldStore::drop_shelf(self, shelf);
        Ok(())
    }
}

/// Runs the benchmark.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn run(wanted: &BenchHold, output: &Output) -> anyhow::Result<()> {
    let place = wanted.place.clone().unwrap_or_else(std::env::temp_dir);
    let place = Place::make(place.join(format!("mainframe-hold-{}", std::process::id())))?;
    let (slot_files, sqlite) = (place.0.join("slot-files"), place.0.join("sqlite"));
    let mut figures = Vec::new();
    for (batch, shelves) in KEPT {
        let what = format!("kept, batches of {batch} over {shelves} shelves");
        let ask = |store: &Path, kind: Kind| kept(store, kind, batch, shelves, wanted.seconds);
        figures.push(Figure::ask(what, "cells/s", wanted.pairs, output, |kind| ask(&place.0.join("kept"), kind))?);
    }
    output.note(format!("  filling both with {} cells", wanted.cells));
    fill::<HeldStore>(&slot_files, 0, wanted.cells)?;
    fill::<HeldTable>(&sqlite, 0, wanted.cells)?;
    let at = |kind| if matches!(kind, Kind::SlotFiles) { &slot_files } else { &sqlite };
    let mut ask = |what: &str, unit, ask: &dyn Fn(&Path, Kind) -> anyhow::Result<f64>| {
        figures.push(Figure::ask(what.to_owned(), unit, wanted.pairs, output, |kind| ask(at(kind), kind))?);
        anyhow::Ok(())
    };
    ask("disk", "bytes/cell", &|store, _| Ok(disk_bytes(store)? as f64 / f64::from(wanted.cells)))?;
    ask("read at random", "cells/s", &|store, kind| read(store, kind, wanted.cells, wanted.seconds))?;
    ask("start", "ms", &|store, kind| start(store, kind, wanted.cells))?;
    ask("start, nothing cached", "ms", &|store, kind| {
        forget(store)?;
        start(store, kind, wanted.cells)
    })?;
    ask("drop a shelf of 10,000", "ms", &|store, kind| drop_shelf(store, kind, wanted.cells))?;
    let report = Report { pairs: wanted.pairs, seconds_per_run: wanted.seconds, cells: wanted.cells, figures };
    output.result(&report, || text(&report))
}

/// Which store.
#[derive(Clone, Copy, Debug)]
enum Kind {
    SlotFiles,
    Sqlite,
}

impl Figure {
    fn ask(
        what: String,
        unit: &'static str,
        pairs: u32,
        output: &Output,
        measure: impl Fn(Kind) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Figure> {
        let mut measured = Vec::new();
        for number in 1..=pairs {
            // The one that goes first changes, so that a machine that warms up or tires favours neither.
            let pair = if number % 2 == 1 {
                let slot_files = measure(Kind::SlotFiles)?;
                (slot_files, measure(Kind::Sqlite)?)
            } else {
                let sqlite = measure(Kind::Sqlite)?;
                (measure(Kind::SlotFiles)?, sqlite)
            };
            output.note(format!("  {what} {number}/{pairs}: {:.1} {unit}, SQLite {:.1}", pair.0, pair.1));
            measured.push(pair);
        }
        let of = |figure: fn(&(f64, f64)) -> f64| {
            median(&measured.iter().map(figure).collect::<Vec<_>>()).context("no pairs, no figures")
        };
        let (slot_files, sqlite, ratio) = (of(|pair| pair.0)?, of(|pair| pair.1)?, of(|pair| pair.0 / pair.1)?);
        Ok(Figure { what, unit, slot_files, sqlite, ratio, pairs: measured })
    }
}

/// A directory that goes with the benchmark.
struct Place(PathBuf);

impl Place {
    fn make(path: PathBuf) -> anyhow::Result<Place> {
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Place(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of a measurement is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A cell like no other number's.
fn cell(number: u32) -> Cell {
    let header = CellHeader {
        size_class: SizeClass::T,
        hold_class: HoldClass::Day,
        acknowledge: false,
        destination: Prefix::of(&Address([0xA5; 32]), Luminosity::from_byte(12)),
        expiry: ExpiryBucket(7),
        tag: Tag([3; 16]),
        ephemeral: [4; 32],
    };
    let mut body = vec![0; header.size_class.body_length()];
    body[..4].copy_from_slice(&number.to_be_bytes());
    Cell::build(header, [5; 80], &body)
}

fn shelf(hour: u32) -> Shelf {
    Shelf { hour: Hour(hour), class: HoldClass::Day }
}

fn kept(store: &Path, kind: Kind, batch: u32, shelves: u32, seconds: f64) -> anyhow::Result<f64> {
    let store = Place::make(store.to_owned())?;
    match kind {
        Kind::SlotFiles => kept_by::<HeldStore>(&store.0, batch, shelves, seconds),
        Kind::Sqlite => kept_by::<HeldTable>(&store.0, batch, shelves, seconds),
    }
}

/// Cells a second, each of them new; making them is not measured.
fn kept_by<H: Held>(store: &Path, batch: u32, shelves: u32, seconds: f64) -> anyhow::Result<f64> {
    let (mut store, _) = H::open(store)?;
    let (mut took, mut next) = (Duration::ZERO, 0);
    while took.as_secs_f64() < seconds {
        let cells: Vec<_> = (next..next + batch).map(|number| (shelf(number % shelves), cell(number))).collect();
        let began = Instant::now();
        store.keep(&cells)?;
        took += began.elapsed();
        next += batch;
    }
    Ok(f64::from(next) / took.as_secs_f64())
}

/// Adds cells of these numbers, each ten thousand on a shelf of their own.
fn fill<H: Held>(store: &Path, from: u32, to: u32) -> anyhow::Result<()> {
    let (mut store, _) = H::open(store)?;
    for first in (from..to).step_by(FILL_BATCH as usize) {
        let numbers = first..to.min(first + FILL_BATCH);
        store.keep(&numbers.map(|number| (shelf(number / SHELF_CELLS), cell(number))).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn read(store: &Path, kind: Kind, cells: u32, seconds: f64) -> anyhow::Result<f64> {
    match kind {
        Kind::SlotFiles => read_by::<HeldStore>(store, cells, seconds),
        Kind::Sqlite => read_by::<HeldTable>(store, cells, seconds),
    }
}

/// Cells a second, in an order like chance's.
fn read_by<H: Held>(store: &Path, cells: u32, seconds: f64) -> anyhow::Result<f64> {
    let (mut store, _) = H::open(store)?;
    let (mut took, mut count) = (Duration::ZERO, 0u64);
    while took.as_secs_f64() < seconds {
        // Knuth's multiplicative hash: every number once before any comes again, far from the one before.
        let numbers = (count..count + 256).map(|index| (index * 2_654_435_761 % u64::from(cells)) as u32);
        let wanted: Vec<_> = numbers.map(|number| (shelf(number / SHELF_CELLS), cell(number).id())).collect();
        let began = Instant::now();
        for (shelf, id) in &wanted {
            black_box(store.read(*shelf, *id).context("a cell that was kept cannot be read")?);
        }
        took += began.elapsed();
        count += 256;
    }
    Ok(count as f64 / took.as_secs_f64())
}

fn start(store: &Path, kind: Kind, cells: u32) -> anyhow::Result<f64> {
    let began = Instant::now();
    let found = match kind {
        Kind::SlotFiles => black_box(<HeldStore as Held>::open(store)?).1,
        Kind::Sqlite => black_box(HeldTable::open(store)?).1,
    };
    let took = began.elapsed();
    anyhow::ensure!(found == cells as usize, "{found} cells were found, {cells} kept");
    Ok(took.as_secs_f64() * 1_000.0)
}

fn drop_shelf(store: &Path, kind: Kind, cells: u32) -> anyhow::Result<f64> {
    match kind {
        Kind::SlotFiles => drop_shelf_by::<HeldStore>(store, cells),
        Kind::Sqlite => drop_shelf_by::<HeldTable>(store, cells),
    }
}

/// Milliseconds to drop a shelf that was filled for it; the store is left as it was.
fn drop_shelf_by<H: Held>(store: &Path, cells: u32) -> anyhow::Result<f64> {
    let first = cells.next_multiple_of(SHELF_CELLS);
    fill::<H>(store, first, first + SHELF_CELLS)?;
    let (mut store, _) = H::open(store)?;
    let began = Instant::now();
    store.drop_shelf(shelf(first / SHELF_CELLS))?;
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}

fn files(store: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::read_dir(store)?.map(|entry| Ok(entry?.path())).collect()
}

/// What the files take on the disk.
fn disk_bytes(store: &Path) -> anyhow::Result<u64> {
    // st_blocks counts 512 bytes whatever the file system's blocks are (POSIX).
    files(store)?.iter().map(|file| Ok(std::fs::metadata(file)?.blocks() * 512)).sum()
}

/// Makes the operating system forget what it has cached of the files.
fn forget(store: &Path) -> anyhow::Result<()> {
    for file in files(store)? {
        let file = std::fs::File::open(file)?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let head = ["", "slot files", "SQLite", "ratio"].map(str::to_owned).to_vec();
    let row = |of: &Figure| {
        let number = |value: f64| format!("{value:.0} {}", of.unit);
        vec![of.what.clone(), number(of.slot_files), number(of.sqlite), format!("{:.2}", of.ratio)]
    };
    output::table(&std::iter::once(head).chain(report.figures.iter().map(row)).collect::<Vec<_>>())
}
