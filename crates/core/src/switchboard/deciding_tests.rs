//! Decisions on commits among people who are away for days, and among liars.

use std::collections::BTreeSet;

use mainframe_base::SessionId;
use mainframe_mls::{Change, DeviceSecret};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::insider::all_rows;
use super::outlaw::Outlaw;
use super::rehearsal::Rehearsal;
use super::session_tests::group;
use crate::session::fragment::FrameKind;
use crate::session::{Order, SessionEvent};
use crate::store::Table;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

fn epoch(rehearsal: &mut Rehearsal, device: usize, session: SessionId) -> u64 {
    rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap().epoch
}

fn is_open(rehearsal: &mut Rehearsal, device: usize, session: SessionId) -> bool {
    let views = rehearsal.sessions(device);
    views.iter().find(|view| view.id == session).unwrap().unconfirmed_since.is_some()
}

/// Of two people one changes something, the other is away for so long, and hears nothing of it before he starts again.
fn away_after_a_commit(away_ms: u64, then_ms: u64) {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.cut_off.insert(1);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(away_ms);
    rehearsal.reconnect();
    rehearsal.crash(1);
    rehearsal.pass(HOUR_MS);
    rehearsal.say(1, session, "good morning");
    rehearsal.pass(HOUR_MS);
    rehearsal.say(0, session, "at last");
    rehearsal.pass(then_ms);
    assert_eq!(rehearsal.texts(1, session), ["good morning", "at last"]);
}

#[test]
fn of_two_who_are_apart_for_a_day_after_a_commit_each_hears_the_other_again() {
    away_after_a_commit(25 * HOUR_MS, 3 * 24 * HOUR_MS);
}

#[test]
fn of_two_who_are_apart_for_less_than_a_day_each_hears_the_other_again() {
    away_after_a_commit(20 * HOUR_MS, 24 * HOUR_MS);
}

/// He voted, and went away for a day before he heard that it counts; what was held for him is gone. Then the others go on.
#[test]
fn who_voted_and_slept_for_a_day_is_not_left_behind() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    while !is_open(&mut rehearsal, 2, session) {
        rehearsal.pass(20);
    }
    rehearsal.cut_off.insert(2);
    rehearsal.pass(26 * HOUR_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.crash(2);
    rehearsal.pass(HOUR_MS);
    rehearsal.say(2, session, "good morning");
    rehearsal.pass(HOUR_MS);
    rehearsal.order(1, Order::Renew(session)).unwrap();
    rehearsal.pass(HOUR_MS);
    rehearsal.say(2, session, "do you hear me");
    rehearsal.pass(HOUR_MS);
    rehearsal.say(0, session, "do you hear us");
    rehearsal.pass(24 * HOUR_MS);
    assert_eq!(epoch(&mut rehearsal, 2, session), epoch(&mut rehearsal, 0, session));
    assert!(rehearsal.texts(2, session).contains(&"do you hear us".to_owned()));
}

/// He commits while he is cut off, and the others commit something else.
#[test]
fn who_is_on_a_dead_branch_for_a_day_is_told_so() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.cut_off.insert(2);
    rehearsal.order(2, Order::Renew(session)).unwrap();
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(25 * HOUR_MS);
    rehearsal.devices[2].events.clear();
    rehearsal.reconnect();
    rehearsal.pass(HOUR_MS);
    rehearsal.say(2, session, "do you hear me");
    rehearsal.say(0, session, "do you hear us");
    rehearsal.pass(24 * HOUR_MS);
    let is_with_them = rehearsal.texts(2, session).contains(&"do you hear us".to_owned());
    assert!(is_with_them || rehearsal.devices[2].events.contains(&SessionEvent::Stranded(session)));
}

/// An admin says who is to go, and is off the net before he commits it; whoever is to go has renewed his keys.
#[test]
fn an_admin_who_is_away_for_a_day_before_he_removes_somebody_can_do_so_afterwards() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    let gone = rehearsal.devices[3].key;
    rehearsal.order(3, Order::Renew(session)).unwrap();
    rehearsal.order(0, Order::RemoveMember(session, gone)).unwrap();
    rehearsal.pass(1_000);
    rehearsal.cut_off.insert(0);
    rehearsal.pass(25 * HOUR_MS);
    rehearsal.reconnect();
    rehearsal.pass(24 * HOUR_MS);
    rehearsal.order(1, Order::Renew(session)).unwrap();
    rehearsal.pass(24 * HOUR_MS);
    let views: Vec<_> = (0..3)
        .map(|device| {
            let view = rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap();
            (view.epoch, view.members.len())
        })
        .collect();
    assert!(views.iter().all(|(_, members)| *members == 3), "{views:?}");
}

/// A member commits again and again.
#[test]
fn epochs_that_a_member_makes_are_bounded() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    for _ in 0..80 {
        rehearsal.order(0, Order::Renew(session)).unwrap();
        rehearsal.pass(20_000);
    }
    let kept = all_rows(&rehearsal.copy_of_store(1), Table::Epochs).len();
    assert!(kept <= 65, "{kept}: the present one, and 64 before it");
}

/// A member commits three times. One of the others gets the third last, all others first.
#[test]
fn whoever_hears_a_liars_third_commit_last_follows_the_others() {
    let mut rehearsal = Rehearsal::of(5);
    let session = group(&mut rehearsal, 5);
    let mut liar = Outlaw::of(&rehearsal, 4, session, 30);
    rehearsal.cut_off.insert(4);
    let commits: Vec<Vec<u8>> = (0..3).map(|_| liar.commit()).collect();
    let (victim, third) = (1, 2);
    for number in [0, 1, 2] {
        for cell in liar.cells(&rehearsal, FrameKind::Commit, &commits[number]) {
            for device in 0..4 {
                if device == victim || number == third {
                    rehearsal.feed(device, cell.clone());
                }
            }
        }
    }
    rehearsal.pass(2 * HOUR_MS);
    rehearsal.say(0, session, "do you hear us");
    rehearsal.pass(HOUR_MS);
    rehearsal.crash(victim);
    rehearsal.pass(2 * 24 * HOUR_MS);
    let texts: BTreeSet<String> = rehearsal.texts(victim, session).into_iter().collect();
    assert!(texts.contains("do you hear us"));
}

/// A member commits a hundred times on one epoch.
#[test]
fn commits_that_a_liar_makes_are_not_all_kept() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let mut liar = Outlaw::of(&rehearsal, 2, session, 30);
    rehearsal.cut_off.extend([0, 2]);
    for _ in 0..60 {
        let commit = liar.commit();
        for cell in liar.cells(&rehearsal, FrameKind::Commit, &commit) {
            rehearsal.feed(1, cell);
        }
    }
    let rows = all_rows(&rehearsal.copy_of_store(1), Table::Commits);
    assert!(rows.len() < 10);
}

/// A member who is no admin lets sixteen more devices of his own in.
#[test]
fn a_person_with_many_devices_can_still_be_removed() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let mut liar = Outlaw::of(&rehearsal, 2, session, 30);
    rehearsal.cut_off.insert(2);
    let identity = crate::crypto::Identity::generate(&mut ChaCha20Rng::from_seed([2; 32]));
    let add = (0..16u8)
        .map(|number| {
            let device = DeviceSecret::generate(&mut liar.rng);
            let name = crate::crypto::Name::new(&format!("phone {number}")).unwrap();
            let hours = crate::crypto::hours_of(rehearsal.now);
            let certificate = crate::crypto::DeviceCertificate::sign(&identity, device.key(), hours, name);
            let mut credential = Vec::new();
            certificate.encode(&mut credential);
            mainframe_mls::KeyPackage::generate(&mut liar.rng, &device, &credential).bytes
        })
        .collect();
    let draft = liar.group.commit(&mut liar.rng, &Change { add, ..Change::default() }).unwrap();
    for cell in liar.cells(&rehearsal, FrameKind::Commit, &draft.commit) {
        rehearsal.feed(0, cell.clone());
        rehearsal.feed(1, cell);
    }
    rehearsal.pass(HOUR_MS);
    let view = |rehearsal: &mut Rehearsal, device| {
        let view = rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap();
        (view.epoch, view.members.len(), view.unconfirmed_since)
    };
    let gone = rehearsal.devices[2].key;
    rehearsal.order(0, Order::RemoveMember(session, gone)).unwrap();
    rehearsal.pass(24 * HOUR_MS);
    assert_eq!(view(&mut rehearsal, 1).1, 2, "he was removed");
}

/// A member opens a ballot of his own every hundred seconds, for a day, and proposes nothing.
#[test]
fn who_opens_ballots_for_a_day_stops_the_others_no_longer_than_that() {
    use crate::session::ordering::Statement;
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    let mut liar = Outlaw::of(&rehearsal, 3, session, 30);
    rehearsal.cut_off.insert(3);
    let before = epoch(&mut rehearsal, 0, session);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    for round in 0..880u32 {
        // Leaf 0 committed last, so the fourth leaf owns the ballots 3, 7, 11, …
        let statement = Statement::Prepare(803 + 4 * round);
        let signed = liar.statement(statement);
        for cell in liar.cells(&rehearsal, FrameKind::Statement, &signed.encode()) {
            (0..3).for_each(|device| rehearsal.feed(device, cell.clone()));
        }
        rehearsal.pass(100_000);
    }
    let gone = rehearsal.devices[3].key;
    rehearsal.order(0, Order::RemoveMember(session, gone)).unwrap();
    rehearsal.pass(24 * HOUR_MS);
    let after = [0, 1, 2].map(|device| epoch(&mut rehearsal, device, session));
    assert!(after[0] > before);
}
