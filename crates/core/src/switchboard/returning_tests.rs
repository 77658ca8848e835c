//! Devices that a session went on without: they come back by themselves.

use mainframe_base::{SessionId, Time};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::device_tests::linked;
use super::hostile_tests::{identity, letter_of};
use super::outlaw::epoch_of;
use super::rehearsal::Rehearsal;
use super::session_tests::group;
use crate::crypto::{DeviceCertificate, LetterKind, Name, hours_of, minutes_of};
use crate::session::contact::Back;
use crate::session::credential::Credential;
use crate::session::{Order, SessionEvent};

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
    for device in devices {
        let texts = rehearsal.texts(*device, session);
        for other in devices {
            let said = format!("{other} is here");
            assert!(texts.contains(&said), "{device} lacks {other}: {texts:?}");
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
fn what_he_said_where_nobody_heard_him_has_failed() {
    use crate::session::ledger::MessageState;
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.insert(3);
    let number = rehearsal.say(3, session, "from the mountains");
    live_on(&mut rehearsal, session, &[0, 1, 2], 7);
    come_back(&mut rehearsal);
    let state = rehearsal.state(3, session, number);
    assert!(matches!(state, Some(MessageState::Failed(_))), "{state:?}");
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
    for device in [0, 1, tablet] {
        let texts = rehearsal.texts(device, session);
        for text in ["welcome back", "thank you"] {
            assert!(texts.contains(&text.to_owned()), "{device}: {texts:?}");
        }
    }
}

#[test]
fn who_came_to_a_dead_end_in_a_group_comes_back_by_himself() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.cut_off.insert(2);
    rehearsal.order(2, Order::Renew(session)).unwrap();
    rehearsal.order(0, Order::Rename(session, "brook".into())).unwrap();
    rehearsal.pass(40 * HOUR_MS);
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
    for device in [0, tablet] {
        let texts = rehearsal.texts(device, session);
        for text in ["from the phone", "from the tablet"] {
            assert!(texts.contains(&text.to_owned()), "{device}: {texts:?}");
        }
    }
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
