//! What a thief gets who copies a device, and that no key is used twice.
//!
//! The thief has the device's store at one moment, and all there was and will be to hear. Where the test is about MLS he even
//! gets every frame without its outer layer. So that a test that finds nothing is not one that looks for nothing, each
//! first lets a thief succeed who came at another moment.

use std::collections::BTreeSet;

use mainframe_base::{SessionId, Tag};
use mainframe_mls::{DeviceSecret, EpochId, Group, Rows};
use rand_core::Rng;

use super::insider::{InnerFrame, all_rows, mls_rows};
use super::rehearsal::Rehearsal;
use super::session_tests::group;
use crate::crypto::TagChain;
use crate::session::Order;
use crate::session::fragment::FrameKind;
use crate::store::{MemoryStore, Table};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// A copy of a device's store, and the device's own key.
struct Loot {
    store: MemoryStore,
    device: DeviceSecret,
}

impl Loot {
    fn of(rehearsal: &Rehearsal, device: usize) -> Loot {
        let secret = DeviceSecret::new(rehearsal.device_seed(device));
        Loot { store: rehearsal.copy_of_store(device), device: secret }
    }

    /// All of these frames that can be read with what was stolen, and with all that follows from it by others' commits.
    fn reads(&self, session: SessionId, frames: &[InnerFrame]) -> Vec<Vec<u8>> {
        let mut groups: Vec<Rows> = [0, 1].map(|which| mls_rows(&self.store, session, which)).into();
        let (mut seen, mut read): (Vec<EpochId>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        while let Some(rows) = groups.pop() {
            let Ok(group) = Group::load(rows.clone(), &self.device) else { continue };
            let is_snapshot = seen.contains(&group.epoch_id());
            seen.push(group.epoch_id());
            for frame in frames.iter().filter(|frame| frame.epoch.starts_with(&session.0)) {
                let mut group = Group::load(rows.clone(), &self.device).expect("as before");
                match frame.kind {
                    FrameKind::Message => read.extend(group.open(&frame.bytes).map(|opened| opened.plaintext)),
                    FrameKind::Commit if !is_snapshot && group.merge(&frame.bytes).is_ok() && group.is_member() => {
                        groups.push(group.snapshot());
                    }
                    FrameKind::Plain
                    | FrameKind::Letter
                    | FrameKind::Commit
                    | FrameKind::Statement
                    | FrameKind::Need
                    | FrameKind::Here => {}
                }
            }
        }
        read
    }

    /// Whether this text is among what can be read.
    fn finds(&self, session: SessionId, frames: &[InnerFrame], text: &str) -> bool {
        let contains = |plaintext: &Vec<u8>| plaintext.windows(text.len()).any(|part| part == text.as_bytes());
        self.reads(session, frames).iter().any(contains)
    }

    /// How many of all cells have tags that follow from the stolen chains.
    fn recognises(&self, rehearsal: &Rehearsal) -> usize {
        let mut tags = BTreeSet::new();
        for (_, row) in all_rows(&self.store, Table::Chains) {
            let secrets =
                mainframe_base::Secret::new(*row.first_chunk().expect("a row begins with its chain's secrets"));
            let next = u64::from_be_bytes(row[64..72].try_into().expect("then comes the number of the next link"));
            let mut chain = TagChain::at(&secrets, next);
            tags.extend((0..2_000).map(|_| chain.advance().tag));
        }
        rehearsal.insider.cells.iter().filter(|cell| tags.contains(&cell.header().tag)).count()
    }
}

/// Guards the writing of MLS's changed rows in `conversation/rows.rs::flush`: a key that was used is deleted there.
#[test]
fn who_steals_a_device_reads_nothing_that_it_had_heard_before() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let early = Loot::of(&rehearsal, 1);
    let texts: Vec<String> = (0..5).map(|number| format!("old secret {number}")).collect();
    for text in &texts {
        rehearsal.say(0, session, text);
        rehearsal.pass(2_000);
    }
    assert_eq!(rehearsal.texts(1, session), texts);
    let late = Loot::of(&rehearsal, 1);
    let frames = &rehearsal.insider.frames;
    for text in &texts {
        assert!(early.finds(session, frames, text), "who came before it was said reads it");
        assert!(!late.finds(session, frames, text), "{text}");
    }
}

/// Guards `Window::extend` (`self.base.advance()`) and the row that `Epoch::came` writes: a link that came is forgotten.
#[test]
fn who_steals_a_device_does_not_know_again_what_it_had_heard_or_sent_before() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.insider.cells.clear();
    let early = Loot::of(&rehearsal, 1);
    for number in 0..5 {
        rehearsal.say(number % 2, session, "something");
        rehearsal.pass(2_000);
    }
    rehearsal.pass(MINUTE_MS);
    let all = rehearsal.insider.cells.len();
    assert_eq!(early.recognises(&rehearsal), all, "who came before knows all of them");
    assert_eq!(Loot::of(&rehearsal, 1).recognises(&rehearsal), 0, "of {all}");
}

/// Guards `drop_snapshot` in `conversation/branching.rs::finish`. Until then the parent's secrets are there twice, and what is
/// heard late of the parent epoch stays readable: the time that the promise leaves open, and shows as `unconfirmed_since`.
#[test]
fn once_a_commit_counts_nothing_of_the_epoch_before_can_be_read_any_more() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.deaf.extend([1, 2]);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(30_000);
    rehearsal.say(1, session, "said in the parent");
    rehearsal.pass(5_000);
    assert!(rehearsal.texts(0, session).contains(&"said in the parent".to_owned()));
    let open = rehearsal.sessions(0).into_iter().find(|view| view.id == session).unwrap();
    assert!(open.unconfirmed_since.is_some(), "nobody has confirmed it");
    let between = Loot::of(&rehearsal, 0);
    rehearsal.reconnect();
    rehearsal.pass(5 * MINUTE_MS);
    let open = rehearsal.sessions(0).into_iter().find(|view| view.id == session).unwrap();
    assert!(open.unconfirmed_since.is_none());
    let after = Loot::of(&rehearsal, 0);
    let frames = &rehearsal.insider.frames;
    assert!(between.finds(session, frames, "said in the parent"));
    assert!(!after.finds(session, frames, "said in the parent"));
}

/// Guards `Want::Refresh` in `conversation/wanting.rs` (its `refresh: true`): the commit brings new keys of our own.
#[test]
fn who_stole_a_device_reads_nothing_that_is_said_after_its_keys_were_renewed() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let loot = Loot::of(&rehearsal, 1);
    rehearsal.say(0, session, "before anything");
    rehearsal.pass(5_000);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    rehearsal.say(2, session, "after the other's keys");
    rehearsal.pass(5_000);
    rehearsal.order(1, Order::Renew(session)).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    rehearsal.say(0, session, "after its own keys");
    rehearsal.say(2, session, "and later still");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session).len(), 4);
    let frames = &rehearsal.insider.frames;
    assert!(loot.finds(session, frames, "before anything"));
    assert!(loot.finds(session, frames, "after the other's keys"), "another's renewal does not help");
    assert!(!loot.finds(session, frames, "after its own keys"));
    assert!(!loot.finds(session, frames, "and later still"));
}

/// Guards the deletion of a key package in `first_contact.rs::enter`: with it, whoever has the identity could enter by the
/// recorded Welcome, and read from the beginning.
#[test]
fn a_key_package_is_forgotten_with_its_use() {
    let mut rehearsal = Rehearsal::of(3);
    group(&mut rehearsal, 3);
    for device in 0..3 {
        assert_eq!(all_rows(&rehearsal.copy_of_store(device), Table::KeyPackages).len(), 0, "device {device}");
    }
}

/// Guards `prune` in `conversation/mod.rs`, of our own keys to an epoch and of MLS's, and that `next_wake` knows when it and a
/// renewal are due.
#[test]
fn while_people_talk_keys_are_renewed_and_old_epochs_forgotten() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let first = epochs_of(&rehearsal, 1, session);
    rehearsal.deaf.insert(1);
    rehearsal.say(0, session, "heard by a thief alone");
    rehearsal.pass(1_000);
    rehearsal.forget_held();
    let (early, frames) = (Loot::of(&rehearsal, 1), rehearsal.insider.frames.clone());
    rehearsal.reconnect();
    for day in 0..6 {
        rehearsal.pass(24 * HOUR_MS);
        rehearsal.say(day % 2, session, "still here");
    }
    rehearsal.pass(HOUR_MS);
    let now = epochs_of(&rehearsal, 1, session);
    assert!(first.iter().all(|epoch| !now.contains(epoch)), "the first epochs are gone");
    assert!(early.finds(session, &frames, "heard by a thief alone"));
    assert!(!Loot::of(&rehearsal, 1).finds(session, &frames, "heard by a thief alone"));
    assert!(rehearsal.sessions(1)[0].epoch >= 5, "both renew every day: {}", rehearsal.sessions(1)[0].epoch);
}

fn epochs_of(rehearsal: &Rehearsal, device: usize, session: SessionId) -> Vec<Vec<u8>> {
    let rows = all_rows(&rehearsal.copy_of_store(device), Table::Epochs);
    rows.into_iter().map(|(key, _)| key).filter(|key| key.starts_with(&session.0)).collect()
}

/// The outer layer's keys are watched all along by the insider.
#[test]
fn no_key_is_used_twice_whoever_crashes_goes_back_or_says_it_again() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    let mut dice = <rand_chacha::ChaCha8Rng as rand_core::SeedableRng>::seed_from_u64(5);
    rehearsal.loss_percent = 10;
    for round in 0..60 {
        let device = dice.next_u32() as usize % 4;
        match dice.next_u32() % 6 {
            0 => rehearsal.crash(device),
            1 => drop(rehearsal.failing.insert(device)),
            2 => drop(rehearsal.try_order(device, Order::Renew(session))),
            _ => drop(rehearsal.try_say(device, session, &format!("{round}"))),
        }
        rehearsal.pass(u64::from(dice.next_u32() % 8_000));
    }
    rehearsal.pass(30 * MINUTE_MS);
    let (messages, reused) = reuses(&rehearsal, session);
    let standing = |device| {
        let views = rehearsal.sessions(device);
        views.iter().find(|view| view.id == session).map(|view| view.epoch)
    };
    let epochs: Vec<u64> = (0..4).filter_map(standing).collect();
    assert!(messages > 60 && epochs.iter().all(|epoch| *epoch > 3), "{messages} messages, epochs {epochs:?}");
    assert_eq!(reused, 0, "of {messages} messages");
    let cells = &rehearsal.insider.cells;
    let tags: BTreeSet<Tag> = cells.iter().map(|cell| cell.header().tag).collect();
    assert_eq!(tags.len(), cells.len(), "no link of a chain is used twice either");
}

/// Messages that were sealed, and those of them that cannot be opened after the others of their author, although they can be
/// opened alone: MLS's key for them was used before.
fn reuses(rehearsal: &Rehearsal, session: SessionId) -> (usize, usize) {
    let secrets: Vec<DeviceSecret> =
        (0..rehearsal.devices.len()).map(|device| DeviceSecret::new(rehearsal.device_seed(device))).collect();
    let load = |rows: &Rows| secrets.iter().find_map(|secret| Group::load(rows.clone(), secret).ok());
    let (mut messages, mut reused) = (0, 0);
    for (epoch, beginnings) in rehearsal.insider.beginnings.iter().filter(|(key, _)| key.starts_with(&session.0)) {
        let frames = rehearsal.insider.frames.iter().filter(|it| it.epoch == *epoch && it.kind == FrameKind::Message);
        let frames: Vec<&InnerFrame> = frames.collect();
        for (number, rows) in beginnings.iter().enumerate() {
            let Some(mut group) = load(rows) else { continue };
            let other = beginnings.first().and_then(load).map(|group| group.own_leaf().0);
            for frame in &frames {
                // Nobody opens his own: those of the first observer's leaf are for the second.
                if frame.leaf == group.own_leaf().0 || number == 1 && Some(frame.leaf) != other {
                    continue;
                }
                messages += 1;
                let alone = load(rows).expect("as before").open(&frame.bytes).is_ok();
                reused += usize::from(group.open(&frame.bytes).is_err() && alone);
            }
        }
    }
    (messages, reused)
}

/// What holds of an old backup that is brought back to life: its cells are sealed under keys of their own, because 32 random
/// bytes go into each (the insider watches). Until others let it know that it is an old copy it seals messages under MLS keys that
/// were used, which MLS's own random bytes keep apart (RFC 9420 §6.3.1); from then on it says nothing more (review P38).
#[test]
fn a_restored_backup_seals_nothing_under_an_outer_key_that_was_used() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let backup = rehearsal.copy_of_store(1);
    for number in 0..3 {
        rehearsal.say(1, session, &format!("before the disk broke {number}"));
        rehearsal.pass(3_000);
    }
    let before = rehearsal.insider.cells.len();
    rehearsal.restore(1, backup);
    for number in 0..3 {
        rehearsal.say(1, session, &format!("after the backup {number}"));
        rehearsal.pass(3_000);
    }
    let tags = |cells: &[crate::wire::Cell]| cells.iter().map(|cell| cell.header().tag).collect::<BTreeSet<_>>();
    let (old, new) = rehearsal.insider.cells.split_at(before);
    assert!(tags(old).intersection(&tags(new)).count() > 0, "it does go back to links that were used");
}
