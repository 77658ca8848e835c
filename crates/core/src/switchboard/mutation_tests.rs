//! What a device makes of cells that others bent, replayed, or sealed to say what no rule allows: nothing, and it does not
//! panic. `MAINFRAME_FUZZ_ROUNDS` makes it longer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainframe_base::{SessionId, Tag};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::insider::all_rows;
use super::outlaw::{Outlaw, build, epoch_of, header};
use super::rehearsal::Rehearsal;
use super::session_tests::group;
use crate::crypto::{Identity, LetterKind, Recipient, open_letter, recognise_person, seal_letter, seal_to_person};
use crate::session::contact::Fact;
use crate::session::fragment::{Assembly, Fragment, FrameKind, split};
use crate::session::{Order, SessionEvent};
use crate::store::Table;
use crate::wire::{Cell, ExpiryBucket};

const ROUNDS: usize = 20_000;
const MINUTE_MS: u64 = 60_000;
const VICTIM: usize = 1;

fn rounds() -> usize {
    std::env::var("MAINFRAME_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// Where frames and letters that once crossed a network, or once broke something, are kept: hexadecimal text, one a file,
/// named after the kind.
fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/fuzz/session")
}

const KINDS: [(&str, FrameKind); 5] = [
    ("message", FrameKind::Message),
    ("commit", FrameKind::Commit),
    ("statement", FrameKind::Statement),
    ("need", FrameKind::Need),
    ("letter", FrameKind::Letter),
];

/// All that is kept, in the order of the files' names.
fn corpus() -> Vec<(FrameKind, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(corpus_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let kind = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        KINDS.iter().find(|(begin, _)| name.starts_with(begin)).unwrap_or_else(|| panic!("{name} names no kind")).1
    };
    paths.iter().map(|path| (kind(path), hex::decode(fs::read_to_string(path).unwrap().trim()).unwrap())).collect()
}

fn mutate(rng: &mut ChaCha20Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=rng.next_u32() % 3 {
        let at = rng.next_u32() as usize % bytes.len().max(1);
        match rng.next_u32() % 5 {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << (rng.next_u32() % 8),
            2 if !bytes.is_empty() => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes.truncate(at),
            _ => bytes.insert(at.min(bytes.len()), rng.next_u32() as u8),
        }
    }
}

/// A cell that is one in form, with something else in it.
fn bent(rng: &mut ChaCha20Rng, cell: &Cell, awaited: &[Tag]) -> Cell {
    let (mut header, mut body) = (*cell.header(), cell.body().to_vec());
    match rng.next_u32() % 4 {
        0 => header.ephemeral[rng.next_u32() as usize % 32] ^= 1 << (rng.next_u32() % 8),
        1 => header.tag = awaited[rng.next_u32() as usize % awaited.len()],
        2 => header.expiry = ExpiryBucket(header.expiry.0.wrapping_add(1)),
        _ => {}
    }
    let at = rng.next_u32() as usize % body.len();
    body[at] ^= 1 << (rng.next_u32() % 8);
    Cell::build(header, [7; 80], &body)
}

/// A group of three at rest, in which something was said and changed, once while one of them heard nothing.
fn scene() -> (Rehearsal, SessionId) {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 3);
    for device in 0..3 {
        rehearsal.say(device, session, &format!("said by {device}"));
        rehearsal.pass(2_000);
    }
    rehearsal.order(0, Order::Rename(session, "brook".into())).unwrap();
    rehearsal.order(2, Order::Renew(session)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.cut_off.insert(2);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.pass(10 * MINUTE_MS);
    rehearsal.devices.iter_mut().for_each(|device| device.events.clear());
    (rehearsal, session)
}

/// What the victim was told but that a letter was ignored, or somebody proven to lie.
fn told(rehearsal: &Rehearsal) -> Vec<SessionEvent> {
    let is_news = |event: &&SessionEvent| !matches!(event, SessionEvent::Contact(Fact::Ignored { .. }));
    rehearsal.devices[VICTIM].events.iter().filter(is_news).cloned().collect()
}

#[test]
fn bent_and_replayed_cells_are_never_accepted() {
    let (mut rehearsal, session) = scene();
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let cells = rehearsal.insider.cells.clone();
    let epoch = epoch_of(&rehearsal, session, VICTIM);
    let awaited: Vec<Tag> =
        (0..3).flat_map(|leaf| rehearsal.insider.links(&epoch, leaf, 0, 60)).map(|link| link.tag).collect();
    let rows = |rehearsal: &Rehearsal| all_rows(&rehearsal.copy_of_store(VICTIM), Table::SessionMessages);
    let before = rows(&rehearsal);
    for round in 0..rounds() {
        let cell = &cells[rng.next_u32() as usize % cells.len()];
        let cell = if round % 4 == 0 { cell.clone() } else { bent(&mut rng, cell, &awaited) };
        rehearsal.feed(VICTIM, cell);
        if round % 64 == 0 {
            rehearsal.pass(20);
        }
    }
    rehearsal.pass(MINUTE_MS);
    assert_eq!(told(&rehearsal), []);
    assert!(rows(&rehearsal) == before, "nothing new is kept");
    rehearsal.say(0, session, "still here");
    rehearsal.pass(5_000);
    assert_eq!(rehearsal.texts(VICTIM, session).last().map(String::as_str), Some("still here"));
}

/// A member sends bent frames, as his device would send whole ones.
#[test]
fn bent_frames_of_a_member_are_never_accepted() {
    let (mut rehearsal, session) = scene();
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let frames = rehearsal.insider.frames.clone();
    let frames = frames.into_iter().filter(|frame| frame.epoch.starts_with(&session.0));
    let kept = corpus().into_iter().filter(|(kind, _)| *kind != FrameKind::Letter);
    let frames: Vec<(FrameKind, Vec<u8>)> = frames.map(|frame| (frame.kind, frame.bytes)).chain(kept).collect();
    let view = rehearsal.sessions(VICTIM).into_iter().find(|view| view.id == session).unwrap();
    let mut member = Outlaw::of(&rehearsal, 2, session, 40);
    for round in 0..rounds() / 10 {
        let (kind, mut bytes) = frames[rng.next_u32() as usize % frames.len()].clone();
        if round % 8 > 0 {
            mutate(&mut rng, &mut bytes);
        }
        let Some((size_class, fragments)) = split(kind, &bytes, rng.next_u32()) else { continue };
        for mut fragment in fragments {
            if round % 16 == 1 {
                let at = rng.next_u32() as usize % 12;
                fragment[at] ^= 1 << (rng.next_u32() % 8);
            }
            let cell = member.cell(&rehearsal, size_class, fragment);
            rehearsal.feed(VICTIM, cell);
        }
        if round % 8 == 0 {
            rehearsal.pass(20);
        }
    }
    rehearsal.pass(MINUTE_MS);
    assert_eq!(told(&rehearsal), []);
    let after = rehearsal.sessions(VICTIM).into_iter().find(|view| view.id == session).unwrap();
    assert_eq!((after.epoch, after.members, after.terms), (view.epoch, view.members, view.terms));
    rehearsal.say(0, session, "still here");
    rehearsal.pass(5_000);
    assert_eq!(rehearsal.texts(VICTIM, session).last().map(String::as_str), Some("still here"));
}

#[test]
fn bent_letters_and_letters_of_nonsense_begin_no_session() {
    let (mut rehearsal, _) = scene();
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let victim = Identity::generate(&mut ChaCha20Rng::from_seed([VICTIM as u8; 32]));
    let mut letters = letters_to(&rehearsal, &victim);
    assert!(!letters.is_empty());
    letters.extend(corpus().into_iter().filter(|(kind, _)| *kind == FrameKind::Letter).map(|(_, letter)| letter));
    let bodies: Vec<(LetterKind, Vec<u8>)> = letters
        .iter()
        .filter_map(|letter| open_letter(&victim, |_| None, letter).ok())
        .map(|opened| (opened.kind, opened.body))
        .collect();
    let stranger = Identity::generate(&mut rng);
    let to = Recipient::of_card(&rehearsal.card(VICTIM), None);
    let sessions = rehearsal.sessions(VICTIM).len();
    for round in 0..rounds() / 20 {
        let letter = if round % 2 == 0 {
            let mut letter = letters[rng.next_u32() as usize % letters.len()].clone();
            mutate(&mut rng, &mut letter);
            letter
        } else {
            let (_, body) = &bodies[rng.next_u32() as usize % bodies.len()];
            let mut body = body.clone();
            mutate(&mut rng, &mut body);
            let kind = LetterKind::ALL[rng.next_u32() as usize % LetterKind::ALL.len()];
            seal_letter(&mut rng, &stranger, &to, kind, rehearsal.now, &body).unwrap()
        };
        let Some((size_class, plaintexts)) = split(FrameKind::Letter, &letter, rng.next_u32()) else { continue };
        for plaintext in plaintexts {
            let header = header(&rehearsal, size_class);
            let sealed = seal_to_person(&mut rng, &victim.scan_key(), &header.associated(), &plaintext).unwrap();
            rehearsal.feed(VICTIM, build(header, sealed));
        }
        if round % 8 == 0 {
            rehearsal.pass(20);
        }
    }
    rehearsal.pass(MINUTE_MS);
    assert_eq!(told(&rehearsal), []);
    assert_eq!(rehearsal.sessions(VICTIM).len(), sessions);
}

/// Writes frames of every kind, one statement of each, and letters to the victim, where [`corpus`] reads them.
#[test]
#[expect(clippy::disallowed_methods, reason = "what a test writes down is no state of the core")]
#[ignore = "writes into the repository: run it to keep what a changed protocol says"]
fn the_corpus_is_written() {
    let (rehearsal, _) = scene();
    let victim = Identity::generate(&mut ChaCha20Rng::from_seed([VICTIM as u8; 32]));
    let frames = rehearsal.insider.frames.iter().map(|frame| (frame.kind, frame.bytes.clone()));
    let letters = letters_to(&rehearsal, &victim).into_iter().map(|letter| (FrameKind::Letter, letter));
    let all: Vec<(FrameKind, Vec<u8>)> = frames.chain(letters).collect();
    for (name, kind) in KINDS {
        let mut written: BTreeMap<Option<u8>, usize> = BTreeMap::new();
        let of_kind = all.iter().filter(|(of, _)| *of == kind);
        let chosen = of_kind.filter(|(_, bytes)| {
            // What a statement says stands behind its leaf and signature.
            let says = (kind == FrameKind::Statement).then(|| bytes[68]);
            let count = written.entry(says).or_default();
            *count += 1;
            *count <= if says.is_some() { 1 } else { 3 }
        });
        for (number, (_, bytes)) in chosen.enumerate() {
            fs::write(corpus_folder().join(format!("{name}-{number}.hex")), hex::encode(bytes) + "\n").unwrap();
        }
    }
}

/// The whole letters that came to somebody.
fn letters_to(rehearsal: &Rehearsal, person: &Identity) -> Vec<Vec<u8>> {
    let mut pieces = Assembly::new();
    let plaintext = |cell: &Cell| {
        let header = cell.header();
        let key = recognise_person(person.scan(), &header.ephemeral, &header.tag)?;
        key.open(&header.associated(), &header.tag, cell.body())
    };
    let fragments = rehearsal.insider.cells.iter().filter_map(plaintext).filter_map(|bytes| Fragment::read(&bytes));
    fragments.filter_map(|fragment| pieces.add(rehearsal.now, 0, fragment)).map(|(_, letter)| letter).collect()
}
