//! Held cells, and what may befall the process and the disk that keep them.
//!
//! The processes are this test binary again: the tests that are ignored, each told its directory by a variable.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mainframe_base::{Address, Luminosity, PacketId, Prefix, Tag};
use mainframe_core::switchboard::{Shelf, StoreOrder, StoreReport};
use mainframe_core::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, Hour, SizeClass};
use mainframe_node::held::{HeldStore, HoldThread};

/// Where a process of these tests keeps its cells.
const PLACE: &str = "MAINFRAME_TEST_HELD";
/// Room on the small disk: some 25 batches of 10 cells.
const ROOM_KIB: u32 = 512;

fn cell(number: u64) -> Cell {
    let size_class = if number.is_multiple_of(7) { SizeClass::B } else { SizeClass::T };
    let header = CellHeader {
        size_class,
        hold_class: HoldClass::Day,
        acknowledge: false,
        destination: Prefix::of(&Address([0xA5; 32]), Luminosity::from_byte(12)),
        expiry: ExpiryBucket(7),
        tag: Tag([3; 16]),
        ephemeral: [4; 32],
    };
    let mut body = vec![0; size_class.body_length()];
    body[..8].copy_from_slice(&number.to_be_bytes());
    Cell::build(header, [5; 80], &body)
}

fn shelf(hour: u32) -> Shelf {
    Shelf { hour: Hour(hour), class: HoldClass::ThreeDays }
}

fn place() -> std::path::PathBuf {
    std::env::var_os(PLACE).expect("another test starts this one, with a directory").into()
}

/// One of the ignored tests as a command, run by `sh` after `preparation`.
fn process(test: &str, directory: &Path, preparation: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{preparation} exec \"$@\""), "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("held::{test}"), "--ignored"]).env(PLACE, directory);
    command
}

#[test]
#[ignore = "a process that another test kills"]
fn keeps_cells_until_it_is_killed() {
    let told = |report| {
        let StoreReport::Kept(ids) = report else { panic!("{report:?}") };
        let lines: String = ids.iter().map(|id| format!("kept {id}\n")).collect();
        std::io::stderr().write_all(lines.as_bytes()).unwrap();
    };
    let (hold, found) = HoldThread::start(&place(), told).unwrap();
    for number in found.len() as u64.. {
        while hold.order(StoreOrder::Keep(shelf((number % 3) as u32), cell(number))).is_err() {
            std::thread::yield_now();
        }
    }
}

/// Ids that a process said were kept: so many at least, until it was killed in the middle of its work.
fn killed_after(count: usize, mut child: Child) -> Vec<PacketId> {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut kept = Vec::new();
    while let Some(Ok(line)) = lines.next() {
        kept.extend(line.strip_prefix("kept ").and_then(|id| id.parse::<PacketId>().ok()));
        if kept.len() == count {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    assert!(kept.len() >= count, "only {} were kept", kept.len());
    kept
}

#[test]
fn everything_reported_kept_is_there_after_a_process_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = BTreeSet::new();
    for count in [1, 50, 300, 1_000] {
        let mut command = process("keeps_cells_until_it_is_killed", directory.path(), "");
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        kept.extend(killed_after(count, child));
        let (mut store, found) = HeldStore::open(directory.path()).unwrap();
        let there: BTreeSet<PacketId> = found.iter().map(|found| found.id).collect();
        assert!(kept.is_subset(&there), "{} of {} are there", kept.intersection(&there).count(), kept.len());
        assert!(found.iter().all(|found| store.read(found.shelf, found.id).is_some()));
        assert_eq!(store.damaged(), 0);
    }
}

/// Keeps batches of ten on a shelf until they are refused; how many were accepted, and why no more.
fn fill(store: &mut HeldStore, shelf: Shelf) -> (u64, String) {
    for first in (0u64..).step_by(10) {
        let batch: Vec<_> = (first..first + 10).map(|number| (shelf, cell(number))).collect();
        if let Err(error) = store.keep(Instant::now(), &batch) {
            return (first, error.to_string());
        }
        assert!(first < 100_000, "this disk is not small");
    }
    unreachable!("numbers do not end");
}

#[test]
#[ignore = "a process that another test gives a small disk"]
fn fills_a_small_disk() {
    let (mut store, _) = HeldStore::open(&place()).unwrap();
    store.keep(Instant::now(), &[(shelf(1), cell(1)), (shelf(1), cell(7))]).unwrap();
    let (accepted, why) = fill(&mut store, shelf(2));
    assert!(why.contains("cannot keep cells in") && why.contains("tried again by itself"), "{why}");
    assert!(why.contains("Make room on the disk") || why.contains("Raise the limit"), "{why}");
    let (mut store, found) = HeldStore::open(&place()).unwrap();
    assert_eq!((found.len() as u64, store.damaged()), (accepted + 2, 0), "those accepted, and no others");
    assert!(accepted > 0 && found.iter().all(|found| store.read(found.shelf, found.id).is_some()));

    assert_eq!(fill(&mut store, shelf(2)).0, accepted, "held already, and then it is full again");
    store.drop_shelf(shelf(2));
    let later = Instant::now() + Duration::from_secs(1);
    store.keep(later, &[(shelf(2), cell(100_001))]).unwrap();
    assert_eq!(store.read(shelf(1), cell(7).id()), Some(cell(7)));
    assert_eq!(store.read(shelf(2), cell(100_001).id()), Some(cell(100_001)));
}

fn assert_succeeds(mut command: Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_full_disk_refuses_new_cells_loses_none_and_takes_some_again_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={ROOM_KIB}k held \"${PLACE}\"");
    // A name space of its own: the small disk goes with the process.
    let unshared = |preparation: &str| {
        let inside = process("fills_a_small_disk", directory.path(), preparation);
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]).arg(inside.get_program()).args(inside.get_args());
        command.env(PLACE, directory.path());
        command
    };
    let may_mount = unshared(&format!("{mount} && exit 0;")).output().is_ok_and(|output| output.status.success());
    if may_mount {
        assert_succeeds(unshared(&format!("{mount} &&")));
    } else {
        eprintln!("not tested: this machine allows no small disk of one's own");
    }
}

#[test]
fn a_limit_on_files_refuses_new_cells_like_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = ROOM_KIB * 1_024 / 512;
    assert_succeeds(process("fills_a_small_disk", directory.path(), &format!("trap '' XFSZ; ulimit -f {blocks};")));
}
