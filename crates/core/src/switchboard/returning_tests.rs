//! Devices that a session went on without: they come back by themselves.

use mainframe_base::{SessionId, Time};
use mainframe_mls::{Change, DeviceSecret, Group};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::device_tests::linked;
use super::hostile_tests::{identity, letter_of};
use super::insider::all_rows;
use super::outlaw::{epoch_of, mls};
use super::rehearsal::Rehearsal;
use super::session_tests::{at_a_dead_end, group};
use crate::crypto::{DeviceCertificate, LetterKind, Name, hours_of, minutes_of};
use crate::session::contact::{About, Back, Welcome};
use crate::session::credential::Credential;
use crate::session::ledger::MessageState;
use crate::session::{Order, SessionEvent};
use crate::store::{Table, Tx};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// For so many days people say something each day, and one of them renews his keys.
fn live_on(rehearsal: &mut Rehearsal, session: SessionId, speakers: &[usize], days: usize) {
    for day in 0..days {
        for speaker in speakers {
            rehearsal.say(*speaker, session, &format!("{speaker} on day {day}"));
            rehearsal.pass(HOUR_MS);
        }
        let renewing = speakers[day % speakers.len()];
        rehearsal.order(renewing, Order::Renew(session)).unwrap();
        rehearsal.pass(DAY_MS - speakers.len() as u64 * HOUR_MS);
    }
}

/// Nothing that was sent meanwhile is held any more. Who asked in vain while he was away asks again within six hours.
fn come_back(rehearsal: &mut Rehearsal) {
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.pass(7 * HOUR_MS);
}

/// Every one of these says something that all others of them hear.
fn assert_they_talk(rehearsal: &mut Rehearsal, session: SessionId, devices: &[usize]) {
    for device in devices {
        rehearsal.say(*device, session, &format!("{device} is here"));
    }
    rehearsal.pass(HOUR_MS);
    let said: Vec<String> = devices.iter().map(|device| format!("{device} is here")).collect();
    assert_all_have(rehearsal, session, devices, &said);
}

fn assert_all_have(rehearsal: &mut Rehearsal, session: SessionId, devices: &[usize], said: &[impl AsRef<str>]) {
    for device in devices {
        let texts = rehearsal.texts(*device, session);
        for one in said.iter().map(AsRef::as_ref) {
            assert!(texts.iter().any(|text| text == one), "{device} lacks {one}: {texts:?}");
        }
    }
}

fn epoch(rehearsal: &mut Rehearsal, device: usize, session: SessionId) -> u64 {
    rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap().epoch
}

#[test]
fn who_was_away_for_a_week_comes_back_into_a_group_that_went_on() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    live_on(&mut rehearsal, session, &[0, 1, 2, 3], 1);
    let before = rehearsal.texts(3, session);
    rehearsal.cut_off.insert(3);
    live_on(&mut rehearsal, session, &[0, 1, 2], 7);
    come_back(&mut rehearsal);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3]);
    assert!(rehearsal.texts(3, session).starts_with(&before), "what he had is still there");
}

#[test]
fn also_if_his_device_was_off() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.insert(3);
    live_on(&mut rehearsal, session, &[0, 1, 2], 7);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.crash(3);
    rehearsal.pass(HOUR_MS);
    rehearsal.crash(3);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3]);
}

#[test]
fn nothing_is_lost_that_was_said_meanwhile_on_either_side() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.insert(3);
    let number = rehearsal.say(3, session, "from the mountains");
    live_on(&mut rehearsal, session, &[0, 1, 2], 7);
    let last = rehearsal.say(0, session, "while you were away");
    rehearsal.pass(HOUR_MS);
    assert_ne!(rehearsal.state(0, session, last), Some(MessageState::Delivered));
    come_back(&mut rehearsal);
    rehearsal.pass(HOUR_MS);
    let said = rehearsal.texts(0, session);
    assert_eq!(said.len(), 7 * 3 + 2);
    for device in 1..4 {
        let texts = rehearsal.texts(device, session);
        assert!(said.iter().all(|text| texts.contains(text)) && texts.len() == said.len(), "{device}: {texts:?}");
    }
    assert_eq!(rehearsal.state(0, session, last), Some(MessageState::Delivered));
    assert_eq!(rehearsal.state(3, session, number), Some(MessageState::Delivered));
}

#[test]
fn a_second_device_that_was_away_for_a_week_comes_back_into_a_session_of_two() {
    let mut rehearsal = Rehearsal::of(2);
    let tablet = linked(&mut rehearsal);
    let session = rehearsal.befriend(0, 1);
    rehearsal.pass(10 * MINUTE_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, tablet]);
    rehearsal.cut_off.insert(tablet);
    live_on(&mut rehearsal, session, &[0, 1], 7);
    come_back(&mut rehearsal);
    rehearsal.say(1, session, "welcome back");
    rehearsal.say(tablet, session, "thank you");
    rehearsal.pass(HOUR_MS);
    assert_all_have(&mut rehearsal, session, &[0, 1, tablet], &["welcome back", "thank you"]);
}

#[test]
fn who_came_to_a_dead_end_in_a_group_comes_back_by_himself() {
    let (mut rehearsal, session) = at_a_dead_end();
    come_back(&mut rehearsal);
    assert!(rehearsal.devices[2].events.contains(&SessionEvent::Stranded(session)));
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2]);
}

/// Two devices of one person in a group of their own, each of which changes something while they are apart.
fn apart(span_ms: u64, is_held: bool) {
    let mut rehearsal = Rehearsal::of(1);
    let tablet = linked(&mut rehearsal);
    let session = group(&mut rehearsal, 1);
    rehearsal.pass(10 * MINUTE_MS);
    assert_they_talk(&mut rehearsal, session, &[0, tablet]);
    rehearsal.cut_off.insert(tablet);
    rehearsal.order(0, Order::Rename(session, "lake".into())).unwrap();
    rehearsal.order(tablet, Order::Renew(session)).unwrap();
    rehearsal.pass(span_ms);
    if !is_held {
        rehearsal.forget_held();
    }
    rehearsal.reconnect();
    rehearsal.pass(7 * HOUR_MS);
    rehearsal.say(0, session, "from the phone");
    rehearsal.say(tablet, session, "from the tablet");
    rehearsal.pass(HOUR_MS);
    assert_all_have(&mut rehearsal, session, &[0, tablet], &["from the phone", "from the tablet"]);
}

#[test]
fn two_devices_that_were_alone_and_apart_for_an_hour_come_together_again() {
    apart(HOUR_MS, true);
}

#[test]
fn so_do_two_that_were_apart_for_a_week() {
    apart(7 * DAY_MS, false);
}

#[test]
fn in_a_quiet_group_nobody_asks_and_nothing_changes() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.pass(DAY_MS);
    let (before, cells) = (epoch(&mut rehearsal, 0, session), rehearsal.cells);
    rehearsal.pass(14 * DAY_MS);
    assert_eq!(epoch(&mut rehearsal, 0, session), before);
    let said = rehearsal.cells - cells;
    assert!(said <= 4 * 15 + 3 * 2 * 15 * 2, "{said} cells in two weeks, in a group and three sessions of two");
}

/// A letter by which a member's device asks to be let in again, written by hand.
fn ask(rehearsal: &mut Rehearsal, sent: Time, session: SessionId, epoch: [u8; 16]) {
    let certificate = certificate(rehearsal);
    ask_as(rehearsal, sent, session, epoch, &Credential::back(certificate, session, minutes_of(sent)));
}

fn certificate(rehearsal: &Rehearsal) -> DeviceCertificate {
    let name = Name::new("phone").unwrap();
    DeviceCertificate::sign(&identity(1), rehearsal.device_key(1), hours_of(rehearsal.now), name)
}

fn ask_as(rehearsal: &mut Rehearsal, sent: Time, session: SessionId, epoch: [u8; 16], credential: &Credential) {
    let (of, mut rng) = (identity(1), ChaCha20Rng::from_seed([9; 32]));
    let secret = mainframe_mls::DeviceSecret::new(rehearsal.device_seed(1));
    let package = mainframe_mls::KeyPackage::generate(&mut rng, &secret, &credential.encode()).bytes;
    let back = Back { session, epoch: mainframe_mls::EpochId(epoch), package };
    letter_of(rehearsal, sent, &of, 0, (LetterKind::Back, &back.encode()));
}

#[test]
fn a_question_from_an_epoch_that_is_known_puts_nobody_out() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let before = epoch(&mut rehearsal, 0, session);
    let known = epoch_of(&rehearsal, session, 0)[16..].try_into().unwrap();
    let now = rehearsal.now;
    ask(&mut rehearsal, now, session, known);
    rehearsal.pass(HOUR_MS);
    assert_eq!(epoch(&mut rehearsal, 0, session), before);
    let now = rehearsal.now;
    ask(&mut rehearsal, now, session, [9; 16]);
    rehearsal.pass(HOUR_MS);
    assert!(epoch(&mut rehearsal, 0, session) > before, "the same from an unknown one lets him in again");
    // He did not ask, and cannot use that key package: he asks with another one as soon as he may.
    rehearsal.say(0, session, "are you there");
    rehearsal.pass(12 * HOUR_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2]);
    assert!(rehearsal.texts(1, session).contains(&"are you there".to_owned()));
}

#[test]
fn nor_does_one_that_was_on_its_way_for_hours() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let before = epoch(&mut rehearsal, 0, session);
    let sent = Time(rehearsal.now.0 - 3 * HOUR_MS);
    ask(&mut rehearsal, sent, session, [9; 16]);
    rehearsal.pass(HOUR_MS);
    assert_eq!(epoch(&mut rehearsal, 0, session), before);
}

#[test]
fn nor_does_a_key_package_that_was_not_made_to_come_back_there() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let (before, now) = (epoch(&mut rehearsal, 0, session), rehearsal.now);
    let certificate = certificate(&rehearsal);
    let elsewhere = Credential::back(certificate.clone(), SessionId([9; 16]), minutes_of(now));
    for credential in [Credential::of(certificate), elsewhere] {
        ask_as(&mut rehearsal, now, session, [9; 16], &credential);
        rehearsal.pass(HOUR_MS);
    }
    assert_eq!(epoch(&mut rehearsal, 0, session), before);
}

/// Whoever is no admin cannot put others out by a key package that they came back by.
#[test]
fn nobody_is_put_out_again_by_what_he_came_back_by() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let asked = rehearsal.now;
    ask(&mut rehearsal, asked, session, [9; 16]);
    rehearsal.pass(HOUR_MS);
    let before = epoch(&mut rehearsal, 0, session);
    let now = rehearsal.now;
    let credential = Credential::back(certificate(&rehearsal), session, minutes_of(asked));
    ask_as(&mut rehearsal, now, session, [9; 16], &credential);
    rehearsal.pass(HOUR_MS);
    assert_eq!(epoch(&mut rehearsal, 0, session), before);
}

#[test]
fn the_only_admin_who_was_away_for_a_week_comes_back_too_and_is_admin_still() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.insert(0);
    live_on(&mut rehearsal, session, &[1, 2, 3], 7);
    come_back(&mut rehearsal);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3]);
    rehearsal.order(0, Order::Rename(session, "brook".into())).unwrap();
    rehearsal.pass(HOUR_MS);
    for device in 0..4 {
        let view = rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap();
        assert_eq!((view.terms.name.as_str(), view.members.len()), ("brook", 4));
    }
}

#[test]
fn two_who_come_back_at_once_come_back_both() {
    let mut rehearsal = Rehearsal::of(6);
    let session = group(&mut rehearsal, 6);
    rehearsal.cut_off.extend([4, 5]);
    live_on(&mut rehearsal, session, &[0, 1, 2, 3], 7);
    come_back(&mut rehearsal);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3, 4, 5]);
}

/// Five people; the first two are admins and contacts of the fourth, who is left behind for five days.
fn left_behind() -> (Rehearsal, SessionId) {
    let mut rehearsal = Rehearsal::of(5);
    let session = group(&mut rehearsal, 5);
    rehearsal.befriend(1, 3);
    let second = rehearsal.devices[1].key;
    rehearsal.order(0, Order::SetAdmin(session, second, true)).unwrap();
    rehearsal.pass(HOUR_MS);
    rehearsal.cut_off.insert(3);
    live_on(&mut rehearsal, session, &[0, 1, 2, 4], 5);
    rehearsal.forget_held();
    (rehearsal, session)
}

/// Lets minutes go by until the fourth is in the epoch of the first; whether he got there.
fn until_back(rehearsal: &mut Rehearsal, session: SessionId) -> bool {
    for _ in 0..(8 * 60) {
        rehearsal.pass(MINUTE_MS);
        if epoch(rehearsal, 3, session) == epoch(rehearsal, 0, session) {
            return true;
        }
    }
    false
}

#[test]
fn a_second_admin_who_gets_the_question_late_puts_nobody_out_who_renewed_his_keys() {
    let (mut rehearsal, session) = left_behind();
    rehearsal.reconnect();
    rehearsal.cut_off.insert(1);
    assert!(until_back(&mut rehearsal, session), "he did not come back");
    rehearsal.order(3, Order::Renew(session)).unwrap();
    rehearsal.pass(10 * MINUTE_MS);
    rehearsal.reconnect();
    rehearsal.pass(2 * DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3, 4]);
}

#[test]
fn nor_does_one_whose_answer_waited_for_a_day() {
    let (mut rehearsal, session) = left_behind();
    rehearsal.reconnect();
    rehearsal.cut_off.extend([0, 2, 4]);
    rehearsal.pass(7 * HOUR_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.cut_off.insert(1);
    assert!(until_back(&mut rehearsal, session), "he did not come back");
    rehearsal.order(3, Order::Renew(session)).unwrap();
    rehearsal.pass(10 * HOUR_MS);
    rehearsal.reconnect();
    rehearsal.pass(2 * DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3, 4]);
}

#[test]
fn who_was_let_back_by_somebody_who_then_vanished_is_let_back_by_another() {
    let (mut rehearsal, session) = left_behind();
    let before = epoch(&mut rehearsal, 0, session);
    rehearsal.reconnect();
    // The first hears the question, and what he answers is lost; the second is away for these hours.
    rehearsal.cut_off.insert(1);
    rehearsal.deaf.insert(3);
    rehearsal.pass(7 * HOUR_MS);
    assert!(epoch(&mut rehearsal, 0, session) > before, "he was let in");
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.cut_off.insert(3);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 4]);
    rehearsal.pass(7 * HOUR_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.cut_off.insert(0);
    rehearsal.pass(8 * DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[1, 2, 3, 4]);
}

#[test]
fn nobody_is_lured_into_a_group_of_the_same_name_while_he_asks() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.befriend(2, 3);
    rehearsal.cut_off.insert(3);
    live_on(&mut rehearsal, session, &[0, 1, 2], 5);
    let rows = all_rows(&rehearsal.copy_of_store(3), Table::Entering);
    let (_, row) = rows.into_iter().find(|(key, _)| key.ends_with(&session.0)).expect("he asks");
    let package = (0..row.len()).map(|at| &row[at..]).find(|it| mainframe_mls::offered(it).is_ok()).unwrap().to_vec();
    let context = mls(&rehearsal, 2, session).context().to_vec();
    let (liar, mut rng) = (identity(2), ChaCha20Rng::from_seed([5; 32]));
    let device = DeviceSecret::new(rehearsal.device_seed(2));
    let certificate =
        DeviceCertificate::sign(&liar, device.key(), hours_of(rehearsal.now), Name::new("phone").unwrap());
    let credential = Credential::of(certificate).encode();
    let mut forged = Group::create(&mut rng, session, &device, &credential, &context);
    let draft = forged.commit(&mut rng, &Change { add: vec![package], ..Change::default() }).unwrap();
    let welcome = draft.invitations[0].welcome.clone();
    let came = Welcome { about: About::Session(session), session, welcome, tree: draft.tree, start: vec![] };
    let now = rehearsal.now;
    letter_of(&mut rehearsal, now, &liar, 3, (LetterKind::Welcome, &came.encode()));
    let view = rehearsal.sessions(3).into_iter().find(|view| view.id == session).unwrap();
    assert_eq!(view.members.len(), 4, "he is in the liar's group now");
}

#[test]
fn a_whole_group_that_was_away_for_a_week_and_comes_back_one_after_another_talks() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.extend([0, 1, 2, 3]);
    rehearsal.order(1, Order::Renew(session)).unwrap();
    rehearsal.pass(7 * DAY_MS);
    for away in [&[1, 2, 3][..], &[2, 3], &[3], &[]] {
        rehearsal.forget_held();
        rehearsal.reconnect();
        rehearsal.cut_off.extend(away.iter().copied());
        rehearsal.crash(3 - away.len());
        rehearsal.pass(30 * HOUR_MS);
    }
    rehearsal.pass(DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3]);
}

#[test]
fn two_devices_of_one_person_that_come_back_at_once_are_both_let_in() {
    let mut rehearsal = Rehearsal::of(3);
    let tablet = linked(&mut rehearsal);
    let session = group(&mut rehearsal, 3);
    rehearsal.pass(10 * MINUTE_MS);
    let second = rehearsal.devices[1].key;
    rehearsal.order(0, Order::SetAdmin(session, second, true)).unwrap();
    rehearsal.pass(HOUR_MS);
    rehearsal.cut_off.extend([0, tablet]);
    live_on(&mut rehearsal, session, &[1, 2], 5);
    come_back(&mut rehearsal);
    rehearsal.pass(DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, tablet]);
}

#[test]
fn two_of_whom_one_changed_something_while_the_other_was_away_for_five_days_talk() {
    let mut rehearsal = Rehearsal::of(2);
    let session = group(&mut rehearsal, 2);
    let second = rehearsal.devices[1].key;
    rehearsal.order(0, Order::SetAdmin(session, second, true)).unwrap();
    rehearsal.pass(HOUR_MS);
    rehearsal.cut_off.insert(1);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(5 * DAY_MS);
    come_back(&mut rehearsal);
    rehearsal.pass(2 * DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1]);
}

#[test]
fn power_may_fail_anywhere_while_somebody_comes_back() {
    for seed in 0..3 {
        let (mut rehearsal, session) = left_behind();
        rehearsal.reconnect();
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        for _ in 0..120 {
            rehearsal.failing.insert((rng.next_u64() % 5) as usize);
            rehearsal.pass(rng.next_u64() % (8 * MINUTE_MS));
        }
        rehearsal.failing.clear();
        rehearsal.pass(DAY_MS);
        assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3, 4]);
    }
}

#[test]
fn whoever_lost_the_key_package_that_he_asks_with_comes_back_nevertheless() {
    let (mut rehearsal, session) = left_behind();
    for (key, _) in all_rows(&rehearsal.copy_of_store(3), Table::KeyPackages) {
        rehearsal.devices[3].store.delete(Table::KeyPackages, &key);
    }
    rehearsal.devices[3].store.commit();
    rehearsal.reconnect();
    rehearsal.pass(10 * DAY_MS);
    assert_they_talk(&mut rehearsal, session, &[0, 1, 2, 3, 4]);
}
