//! What the store promises: what it took is there again, and nothing else is.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use mainframe_base::PacketId;
use mainframe_core::switchboard::{HeldCell, Shelf};
use mainframe_core::wire::{CELL_LENGTH_T, Cell, SizeClass};
use proptest::prelude::*;

use super::HeldStore;
use super::samples::{cell, shelf, small};
use super::shelf::file_name;

fn open(directory: &Path) -> (HeldStore, Vec<HeldCell>) {
    HeldStore::open(directory).unwrap()
}

fn path(directory: &Path, shelf: Shelf) -> std::path::PathBuf {
    directory.join(file_name(shelf, SizeClass::T))
}

/// A store with cells 0 to 4 on shelf 1, closed again.
fn five(directory: &Path) -> Vec<Cell> {
    let cells: Vec<Cell> = (0..5).map(small).collect();
    let batch: Vec<_> = cells.iter().map(|cell| (shelf(1), cell.clone())).collect();
    open(directory).0.keep(Instant::now(), &batch).unwrap();
    cells
}

#[test]
fn a_torn_tail_is_cut_off_and_costs_no_other_cell() {
    let directory = tempfile::tempdir().unwrap();
    let cells = five(directory.path());
    let file = path(directory.path(), shelf(1));
    OpenOptions::new().append(true).open(&file).unwrap().write_all(&small(9).bytes()[..2_047]).unwrap();
    let (mut store, found) = open(directory.path());
    assert_eq!((found.len(), store.damaged()), (5, 0));
    assert_eq!(fs::metadata(&file).unwrap().len(), 5 * CELL_LENGTH_T as u64);
    store.keep(Instant::now(), &[(shelf(1), small(6))]).unwrap();
    let (mut store, found) = open(directory.path());
    assert_eq!(found.len(), 6);
    assert_eq!(store.read(shelf(1), small(6).id()), Some(small(6)));
    assert_eq!(store.read(shelf(1), cells[4].id()).as_ref(), Some(&cells[4]));
}

#[test]
fn a_damaged_cell_is_left_out_and_counted_and_the_others_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let cells = five(directory.path());
    let (mut running, _) = open(directory.path());
    let file = OpenOptions::new().write(true).open(path(directory.path(), shelf(1))).unwrap();
    file.write_all_at(&[0xFF], 2 * CELL_LENGTH_T as u64 + 1_000).unwrap();
    let (mut reopened, found) = open(directory.path());
    assert_eq!((found.len(), reopened.damaged()), (4, 1));
    let there = |store: &mut HeldStore| cells.iter().filter(|cell| store.read(shelf(1), cell.id()).is_some()).count();
    assert_eq!(there(&mut reopened), 4);
    assert_eq!((there(&mut running), running.damaged()), (4, 1), "found out when it is read");
}

#[test]
fn files_of_others_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    five(directory.path());
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    fs::create_dir(directory.path().join("1-1-t.cells")).unwrap();
    let (store, found) = open(directory.path());
    assert_eq!((found.len(), store.damaged()), (5, 0));
    assert!(directory.path().join("notes.txt").exists() && directory.path().join("1-1-t.cells").exists());
}

#[test]
fn a_batch_that_fails_is_taken_back_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let cells = five(directory.path());
    let (mut store, _) = open(directory.path());
    fs::create_dir(path(directory.path(), shelf(3))).unwrap();
    let batch = [(shelf(1), small(6)), (shelf(2), small(7)), (shelf(3), small(8))];
    let error = store.keep(Instant::now(), &batch).unwrap_err();
    assert!(error.to_string().contains("cannot keep cells in"), "{error}");
    assert!(!batch.iter().any(|(shelf, cell)| store.holds(*shelf, cell.id())));
    assert_eq!(fs::metadata(path(directory.path(), shelf(1))).unwrap().len(), 5 * CELL_LENGTH_T as u64);
    assert!(!path(directory.path(), shelf(2)).exists());
    assert!(cells.iter().all(|cell| store.read(shelf(1), cell.id()).is_some()));
}

#[test]
fn what_a_failed_batch_left_behind_is_written_over() {
    let directory = tempfile::tempdir().unwrap();
    five(directory.path());
    let (mut store, _) = open(directory.path());
    // As if a batch of three had been written, and could not be taken back.
    let mut file = OpenOptions::new().append(true).open(path(directory.path(), shelf(1))).unwrap();
    (20..23).for_each(|number| file.write_all(small(number).bytes()).unwrap());
    store.keep(Instant::now(), &[(shelf(1), small(6))]).unwrap();
    let (_, found) = open(directory.path());
    assert_eq!(found.len(), 6);
    assert_eq!(found.last().map(|found| found.id), Some(small(6).id()));
}

#[test]
fn a_cell_that_lies_there_twice_is_found_once() {
    let directory = tempfile::tempdir().unwrap();
    five(directory.path());
    let mut file = OpenOptions::new().append(true).open(path(directory.path(), shelf(1))).unwrap();
    file.write_all(small(0).bytes()).unwrap();
    let (store, found) = open(directory.path());
    assert_eq!((found.len(), store.damaged()), (5, 0));
}

#[test]
fn a_disk_that_refused_is_asked_again_after_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let held = directory.path().join("held");
    let (mut store, _) = open(&held);
    fs::remove_dir(&held).unwrap();
    let (began, batch) = (Instant::now(), [(shelf(1), small(1))]);
    let error = store.keep(began, &batch).unwrap_err();
    fs::create_dir(&held).unwrap();
    assert_eq!(store.keep(began + Duration::from_millis(999), &batch), Err(error), "not asked yet");
    assert_eq!(store.keep(began + Duration::from_secs(1), &batch), Ok(()));
    assert_eq!(store.read(shelf(1), small(1).id()), Some(small(1)));
}

#[test]
fn a_shelf_that_is_dropped_takes_its_files_with_it_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    five(directory.path());
    let (mut store, _) = open(directory.path());
    store.keep(Instant::now(), &[(shelf(1), cell(SizeClass::B, 1)), (shelf(2), small(0))]).unwrap();
    store.drop_shelf(shelf(1));
    assert_eq!(store.read(shelf(1), small(0).id()), None);
    assert_eq!(store.read(shelf(2), small(0).id()), Some(small(0)), "the same cell on another shelf");
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [file_name(shelf(2), SizeClass::T).as_str()]);
}

#[derive(Clone, Debug)]
enum Step {
    Keep(Vec<(u32, u8)>),
    Drop(u32),
    Reopen,
    Tear(u32, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0u32..3, 0u8..24), 1..12).prop_map(Step::Keep),
        1 => (0u32..3).prop_map(Step::Drop),
        1 => Just(Step::Reopen),
        1 => (0u32..3, 1..CELL_LENGTH_T).prop_map(|(shelf, bytes)| Step::Tear(shelf, bytes)),
    ]
}

/// One in six is large.
fn numbered(number: u8) -> Cell {
    let size = if number.is_multiple_of(6) { SizeClass::B } else { SizeClass::T };
    cell(size, u32::from(number))
}

/// Gives a shelf's file a torn tail, if there is one, in place of the one it may have.
fn tear(directory: &Path, torn: Shelf, bytes: usize) {
    if let Ok(file) = OpenOptions::new().write(true).open(path(directory, torn)) {
        let length = file.metadata().unwrap().len();
        let end = length - length % CELL_LENGTH_T as u64;
        file.set_len(end).unwrap();
        file.write_all_at(&small(99).bytes()[..bytes], end).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_store_holds_what_a_map_would(steps in prop::collection::vec(any_step(), 1..20)) {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        let mut model: BTreeMap<(Shelf, PacketId), Cell> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Keep(cells) => {
                    let batch: Vec<_> = cells.iter().map(|(hour, number)| (shelf(*hour), numbered(*number))).collect();
                    store.keep(Instant::now(), &batch).unwrap();
                    model.extend(batch.into_iter().map(|(shelf, cell)| ((shelf, cell.id()), cell)));
                }
                Step::Drop(hour) => {
                    store.drop_shelf(shelf(hour));
                    model.retain(|(on, _), _| *on != shelf(hour));
                }
                Step::Reopen => store = open(directory.path()).0,
                Step::Tear(hour, bytes) => tear(directory.path(), shelf(hour), bytes),
            }
            for hour in 0..3 {
                for number in 0..24 {
                    let key = (shelf(hour), numbered(number).id());
                    prop_assert_eq!(store.read(key.0, key.1), model.get(&key).cloned());
                }
            }
        }
        let (store, found) = open(directory.path());
        let found: BTreeMap<_, _> = found.into_iter().map(|found| ((found.shelf, found.id), found)).collect();
        let expected: BTreeMap<_, _> = model.into_iter().map(|(key, cell)| (key, HeldCell::of(key.0, &cell))).collect();
        prop_assert_eq!(store.damaged(), 0);
        prop_assert_eq!(found, expected);
    }
}
