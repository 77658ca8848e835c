//! Sessions as people use them, over endpoint halves that hear each other.

use std::collections::BTreeSet;

use mainframe_base::{Luminosity, SessionId, Tag};

use super::rehearsal::{Device, Rehearsal};
use crate::crypto::SharedTopic;
use crate::session::contact::{Fact, Terms as InvitationTerms, Whom};
use crate::session::ledger::{Failure, MessageState};
use crate::session::{Answer, NewGroup, Order, SessionEvent, Unable};
use crate::wire::HoldClass;

const MINUTE_MS: u64 = 60_000;

/// A group of the first so many people, founded by the first of them.
pub(super) fn group(rehearsal: &mut Rehearsal, members: usize) -> SessionId {
    group_in(rehearsal, members, false)
}

fn group_in(rehearsal: &mut Rehearsal, members: usize, shared_topic: bool) -> SessionId {
    for member in 1..members {
        rehearsal.befriend(0, member);
    }
    found(rehearsal, members, shared_topic)
}

fn found(rehearsal: &mut Rehearsal, members: usize, shared_topic: bool) -> SessionId {
    let members = (1..members).map(|member| rehearsal.devices[member].key).collect();
    let (luminosity, hold) = (Luminosity::new(2).unwrap(), HoldClass::Day);
    let order = Order::CreateGroup(NewGroup { name: "river".into(), members, luminosity, hold, shared_topic });
    let Ok(Answer::Session(session)) = rehearsal.order(0, order) else { panic!("no group") };
    rehearsal.pass(MINUTE_MS);
    session
}

#[test]
fn two_people_who_exchanged_a_card_talk_both_ways() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let first = rehearsal.say(0, session, "one");
    rehearsal.pass(3_000);
    rehearsal.say(1, session, "two");
    rehearsal.pass(3_000);
    for device in 0..2 {
        assert_eq!(rehearsal.texts(device, session), ["one", "two"]);
    }
    assert_eq!(rehearsal.state(0, session, first), Some(MessageState::Delivered));
}

#[test]
fn whoever_has_a_standing_invitation_needs_no_answer() {
    let mut rehearsal = Rehearsal::of(2);
    let expires_hours = crate::crypto::hours_of(rehearsal.now) + 5;
    let terms = InvitationTerms { once: true, accept_at_once: true, expires_hours };
    let Ok(Answer::Invitation(invitation)) = rehearsal.order(1, Order::Invite(terms)) else { panic!("none") };
    rehearsal.order(0, Order::AddContact(Whom::Invitation(invitation.shortened()), "hi".into())).unwrap();
    rehearsal.pass(10_000);
    let together = |event: &SessionEvent| matches!(event, SessionEvent::Contact(Fact::Together(..)));
    assert!(rehearsal.devices.iter().all(|device| device.events.iter().any(together)));
}

#[test]
fn a_letter_that_is_played_again_is_not_even_answered() {
    let mut rehearsal = Rehearsal::of(2);
    rehearsal.befriend(0, 1);
    rehearsal.pass(10 * MINUTE_MS);
    let recorded = rehearsal.insider.cells.clone();
    for device in [0, 1] {
        for cell in &recorded {
            rehearsal.feed(device, cell.clone());
        }
        rehearsal.crash(device);
        rehearsal.pass(2 * MINUTE_MS);
        // The last letter first: of all that comes from one person something is answered once a minute.
        recorded.iter().rev().for_each(|cell| rehearsal.feed(device, cell.clone()));
        rehearsal.pass(2 * MINUTE_MS);
    }
    assert_eq!(rehearsal.insider.cells.len(), recorded.len(), "whoever sees an answer knows whom the letter is for");
}

#[test]
fn groups_that_share_a_topic_are_kept_apart_and_outsiders_see_one_tag_of_few() {
    let mut rehearsal = Rehearsal::of(4);
    let other = group_in(&mut rehearsal, 4, true);
    let one = found(&mut rehearsal, 3, true);
    rehearsal.insider.cells.clear();
    for round in 0..20 {
        rehearsal.say(round % 3, one, &format!("one {round}"));
        rehearsal.say(round % 3, other, &format!("other {round}"));
        rehearsal.pass(2_000);
        rehearsal.crash((round + 1) % 3);
    }
    rehearsal.pass(5 * MINUTE_MS);
    for device in 0..3 {
        let texts = [rehearsal.texts(device, one), rehearsal.texts(device, other)];
        assert!(texts.iter().all(|texts| texts.len() == 20), "device {device}");
        assert!(texts[0].iter().all(|text| text.starts_with("one")));
    }
    assert_eq!(rehearsal.texts(3, other).len(), 20);
    let tags: BTreeSet<Tag> = rehearsal.insider.cells.iter().map(|cell| cell.header().tag).collect();
    assert!(tags.len() <= 2 && tags.iter().all(SharedTopic::is_one), "{tags:?}");
}

#[test]
fn cells_of_a_shared_topic_that_come_before_their_session_are_found_when_it_begins() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group_in(&mut rehearsal, 2, true);
    rehearsal.befriend(0, 2);
    let newcomer = rehearsal.devices[2].key;
    rehearsal.order(0, Order::AddMember(session, newcomer)).unwrap();
    rehearsal.pass(2_000);
    // His keys are there, and he is not.
    rehearsal.cut_off.insert(2);
    rehearsal.pass(30_000);
    rehearsal.say(0, session, "welcome");
    rehearsal.pass(500);
    rehearsal.reconnect_backwards();
    rehearsal.pass(500);
    assert_eq!(rehearsal.texts(2, session), ["welcome"]);
}

#[test]
fn who_sleeps_through_ten_messages_gets_them_in_order() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.cut_off.insert(1);
    let said: Vec<String> = (0..10).map(|number| format!("message {number}")).collect();
    for text in &said {
        rehearsal.say(0, session, text);
        rehearsal.pass(20_000);
    }
    rehearsal.reconnect();
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session), said);
}

#[test]
fn a_group_of_eight_talks_and_whoever_is_removed_reads_no_further() {
    let mut rehearsal = Rehearsal::of(8);
    let session = group(&mut rehearsal, 8);
    for device in 0..8 {
        rehearsal.say(device, session, &format!("I am {device}"));
        rehearsal.pass(2_000);
    }
    rehearsal.pass(MINUTE_MS);
    let expected: Vec<String> = (0..8).map(|device| format!("I am {device}")).collect();
    for device in 0..8 {
        assert_eq!(rehearsal.texts(device, session), expected, "device {device}");
    }
    let removed = rehearsal.devices[7].key;
    rehearsal.order(0, Order::RemoveMember(session, removed)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.say(1, session, "without you");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(6, session).last().map(String::as_str), Some("without you"));
    let left = |event: &SessionEvent| matches!(event, SessionEvent::Left { session: of, .. } if *of == session);
    assert!(rehearsal.devices[7].events.iter().any(left));
    assert!(rehearsal.sessions(7).iter().all(|view| view.id != session));
    assert!(rehearsal.sessions(3).iter().find(|view| view.id == session).unwrap().members.len() == 7);
}

#[test]
fn whoever_is_removed_and_let_in_again_hears_and_is_heard() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    for round in 0..3 {
        rehearsal.say(2, session, &format!("mine {round}"));
        rehearsal.pass(5_000);
    }
    let person = rehearsal.devices[2].key;
    rehearsal.order(0, Order::RemoveMember(session, person)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.say(1, session, "without you");
    rehearsal.pass(MINUTE_MS);
    rehearsal.order(0, Order::AddMember(session, person)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.say(2, session, "here again");
    rehearsal.say(1, session, "welcome");
    rehearsal.pass(MINUTE_MS);
    for device in 0..3 {
        let mut last = rehearsal.texts(device, session);
        last.drain(..last.len().saturating_sub(2));
        last.sort();
        assert_eq!(last, ["here again", "welcome"], "device {device}");
    }
    assert!(!rehearsal.texts(2, session).contains(&"without you".to_owned()));
}

#[test]
fn whoever_is_let_in_again_before_he_heard_that_he_was_removed_is_in() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.say(3, session, "before");
    rehearsal.pass(5_000);
    rehearsal.cut_off.insert(3);
    let person = rehearsal.devices[3].key;
    rehearsal.order(0, Order::RemoveMember(session, person)).unwrap();
    rehearsal.pass(30 * MINUTE_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    assert!(rehearsal.sessions(3).iter().any(|view| view.id == session && view.members.len() == 4));
    rehearsal.order(0, Order::AddMember(session, person)).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    rehearsal.say(3, session, "here again");
    rehearsal.pass(5_000);
    rehearsal.say(1, session, "welcome");
    rehearsal.pass(5 * MINUTE_MS);
    let epochs: Vec<u64> =
        (0..4).map(|device| rehearsal.sessions(device).iter().find(|view| view.id == session).unwrap().epoch).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    for device in 0..4 {
        assert_eq!(rehearsal.texts(device, session), ["before", "here again", "welcome"], "device {device}");
    }
}

#[test]
fn a_newcomer_hears_what_was_said_to_him_before_it_was_certain_that_he_is_in() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 3);
    rehearsal.befriend(0, 3);
    rehearsal.say(1, session, "not for him");
    rehearsal.pass(5_000);
    rehearsal.cut_off.insert(2);
    let person = rehearsal.devices[3].key;
    rehearsal.order(0, Order::AddMember(session, person)).unwrap();
    let is_applied = |rehearsal: &mut Rehearsal, device| {
        let views = rehearsal.sessions(device);
        let view = views.iter().find(|view| view.id == session).unwrap();
        view.members.len() == 4 && view.unconfirmed_since.is_some()
    };
    while !(is_applied(&mut rehearsal, 0) && is_applied(&mut rehearsal, 1)) {
        rehearsal.pass(20);
    }
    rehearsal.say(1, session, "welcome");
    rehearsal.pass(1_000);
    assert!(is_applied(&mut rehearsal, 0) && rehearsal.texts(0, session).contains(&"welcome".to_owned()));
    rehearsal.pass(5 * MINUTE_MS);
    rehearsal.reconnect();
    rehearsal.pass(5 * MINUTE_MS);
    assert_eq!(rehearsal.texts(3, session), ["welcome"]);
}

#[test]
fn who_slept_for_days_hears_that_he_was_removed_as_soon_as_he_speaks() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.cut_off.insert(2);
    let person = rehearsal.devices[2].key;
    rehearsal.order(0, Order::RemoveMember(session, person)).unwrap();
    rehearsal.pass(2 * 24 * 60 * MINUTE_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.say(2, session, "good morning");
    rehearsal.pass(10 * MINUTE_MS);
    assert!(rehearsal.sessions(2).iter().all(|view| view.id != session));
    assert!((0..2).all(|device| rehearsal.texts(device, session).is_empty()));
}

#[test]
fn of_two_changes_to_the_terms_none_takes_the_other_back() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let person = rehearsal.devices[1].key;
    rehearsal.order(0, Order::Rename(session, "lake".into())).unwrap();
    rehearsal.order(0, Order::SetAdmin(session, person, true)).unwrap();
    rehearsal.pass(5 * MINUTE_MS);
    for device in 0..3 {
        let view = rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap();
        assert_eq!((view.terms.name.as_str(), view.terms.admins.len()), ("lake", 2), "device {device}");
    }
}

#[test]
fn what_somebody_said_before_he_was_removed_is_passed_on_to_who_heard_of_the_removal_first() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.insert(1);
    rehearsal.say(3, session, "farewell");
    rehearsal.pass(5_000);
    let person = rehearsal.devices[3].key;
    rehearsal.order(0, Order::RemoveMember(session, person)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.say(2, session, "he is gone");
    rehearsal.pass(5_000);
    rehearsal.reconnect_backwards();
    rehearsal.pass(5 * MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session), ["farewell", "he is gone"]);
}

#[test]
fn who_starts_again_goes_on_where_he_was() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    for round in 0..4 {
        for device in 0..3 {
            rehearsal.say(device, session, &format!("{round} {device}"));
            rehearsal.pass(500);
            rehearsal.crash((device + round) % 3);
        }
    }
    rehearsal.pass(2 * MINUTE_MS);
    let mut first = rehearsal.texts(0, session);
    assert_eq!(first.len(), 12);
    first.sort();
    for device in 1..3 {
        let mut texts = rehearsal.texts(device, session);
        texts.sort();
        assert_eq!(texts, first);
    }
}

#[test]
fn who_starts_again_before_a_commit_counts_asks_whether_it_does() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let is_open = |rehearsal: &mut Rehearsal, device| {
        let views = rehearsal.sessions(device);
        views.iter().find(|view| view.id == session).unwrap().unconfirmed_since.is_some()
    };
    rehearsal.order(0, Order::Renew(session)).unwrap();
    while !is_open(&mut rehearsal, 2) {
        rehearsal.pass(20);
    }
    rehearsal.pass(1_000);
    // It has voted, was heard by all, and hears no more of it.
    rehearsal.cut_off.insert(2);
    rehearsal.crash(2);
    rehearsal.pass(20 * MINUTE_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.crash(2);
    rehearsal.pass(10 * MINUTE_MS);
    assert!((0..3).all(|device| !is_open(&mut rehearsal, device)));
}

#[test]
fn everybody_is_told_by_whom_whoever_is_gone_was_removed_also_who_started_again_meanwhile() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    let (by, gone) = (rehearsal.devices[0].key, rehearsal.devices[3].key);
    rehearsal.order(0, Order::RemoveMember(session, gone)).unwrap();
    let is_in = |rehearsal: &mut Rehearsal, device| {
        let views = rehearsal.sessions(device);
        views.iter().find(|view| view.id == session).unwrap().members.iter().any(|member| member.person == gone)
    };
    while is_in(&mut rehearsal, 2) {
        rehearsal.pass(20);
    }
    rehearsal.crash(2);
    rehearsal.pass(MINUTE_MS);
    let told = SessionEvent::Changed { session, by, added: vec![], removed: vec![gone], terms: None };
    for device in 0..3 {
        let events = rehearsal.devices[device].events.iter();
        assert_eq!(events.filter(|event| **event == told).count(), 1, "device {device}");
    }
    assert_eq!(rehearsal.devices[3].events.last(), Some(&SessionEvent::Left { session, by }));
}

#[test]
fn who_starts_again_before_his_commit_was_heard_says_it_again() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.loss_percent = 100;
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(30_000);
    rehearsal.loss_percent = 0;
    rehearsal.crash(0);
    rehearsal.pass(10 * MINUTE_MS);
    rehearsal.say(0, session, "with new keys");
    rehearsal.pass(5_000);
    assert_eq!(rehearsal.texts(1, session), ["with new keys"]);
    assert_eq!(rehearsal.sessions(0)[0].epoch, rehearsal.sessions(1)[0].epoch);
}

#[test]
fn who_starts_again_while_he_waits_for_his_turn_still_wants_what_he_wanted() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    for device in 0..4 {
        // One of the four committed last, and has three turns to wait.
        rehearsal.order(device, Order::Renew(session)).unwrap();
        rehearsal.crash(device);
    }
    let before = rehearsal.sessions(0).iter().find(|view| view.id == session).unwrap().epoch;
    rehearsal.pass(10 * MINUTE_MS);
    let epoch = rehearsal.sessions(0).iter().find(|view| view.id == session).unwrap().epoch;
    assert_eq!(epoch, before + 4);
}

#[test]
fn who_lacks_a_commit_gets_it_though_others_were_decided_since() {
    let mut rehearsal = Rehearsal::of(5);
    let session = group(&mut rehearsal, 5);
    rehearsal.deaf.insert(4);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(30_000);
    rehearsal.forget_held();
    rehearsal.reconnect();
    // Whenever he may ask, the next one has just been decided on.
    for author in [1, 2, 3, 0, 1, 2, 3, 0] {
        rehearsal.order(author, Order::Renew(session)).unwrap();
        rehearsal.pass(8_000);
    }
    rehearsal.pass(20_000);
    let mut epoch = |device| rehearsal.sessions(device).into_iter().find(|view| view.id == session).unwrap().epoch;
    assert_eq!(epoch(4), epoch(0));
}

#[test]
fn whoever_is_to_be_removed_is_owed_what_is_said_until_that_is_certain() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 4);
    rehearsal.cut_off.extend([2, 3]);
    let person = rehearsal.devices[3].key;
    rehearsal.order(0, Order::RemoveMember(session, person)).unwrap();
    rehearsal.pass(MINUTE_MS);
    let number = rehearsal.say(1, session, "perhaps for you");
    let view = rehearsal.sessions(1).into_iter().find(|view| view.id == session).unwrap();
    assert!(view.unconfirmed_since.is_some() && view.members.len() == 3);
    let Ok(Answer::Progress(progress)) = rehearsal.order(1, Order::Progress(session, number)) else { panic!("none") };
    assert!(progress.iter().any(|one| one.person == person && !one.delivered));
}

#[test]
fn who_slept_for_days_while_keys_were_renewed_is_not_left_behind() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.loss_percent = 100;
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(2 * 24 * 60 * MINUTE_MS);
    rehearsal.loss_percent = 0;
    rehearsal.crash(1);
    rehearsal.say(1, session, "good morning");
    rehearsal.pass(10 * MINUTE_MS);
    rehearsal.say(0, session, "at last");
    rehearsal.pass(10 * MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session), ["good morning", "at last"]);
    assert_eq!(rehearsal.sessions(0)[0].epoch, rehearsal.sessions(1)[0].epoch);
}

#[test]
fn an_old_copy_of_a_device_that_was_put_back_reads_on_and_says_nothing() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let backup = rehearsal.copy_of_store(0);
    for text in ["one", "two", "three"] {
        rehearsal.say(0, session, text);
    }
    rehearsal.pass(MINUTE_MS);
    rehearsal.restore(0, backup);
    rehearsal.say(1, session, "I heard three");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(0, session), ["I heard three"]);
    assert!(rehearsal.devices[0].events.contains(&SessionEvent::Outdated(session)));
    let say = || Order::Say { session, stream: 0, kind: 1, body: b"four".to_vec() };
    assert_eq!(rehearsal.order(0, say()).unwrap_err(), Unable::Outdated);
    assert_eq!(rehearsal.order(0, Order::Renew(session)).unwrap_err(), Unable::Outdated);
    rehearsal.crash(0);
    assert_eq!(rehearsal.order(0, say()).unwrap_err(), Unable::Outdated);
    rehearsal.say(1, session, "still there?");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(0, session), ["I heard three", "still there?"]);
}

#[test]
fn an_old_copy_that_speaks_first_is_told_how_far_it_was_heard() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let backup = rehearsal.copy_of_store(0);
    rehearsal.say(0, session, "one");
    rehearsal.pass(MINUTE_MS);
    rehearsal.restore(0, backup);
    for text in ["another one", "another two"] {
        rehearsal.pass(1_000);
        rehearsal.say(0, session, text);
    }
    rehearsal.pass(10 * MINUTE_MS);
    assert!(rehearsal.sessions(0)[0].is_outdated);
}

#[test]
fn what_is_said_to_somebody_who_sleeps_is_held_until_he_wakes() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.cut_off.insert(1);
    let number = rehearsal.say(0, session, "good night");
    rehearsal.pass(5_000);
    assert_eq!(rehearsal.state(0, session, number), Some(MessageState::Sent));
    rehearsal.pass(10 * MINUTE_MS);
    assert_eq!(rehearsal.state(0, session, number), Some(MessageState::Held));
    rehearsal.reconnect();
    rehearsal.pass(10 * MINUTE_MS);
    assert_eq!(rehearsal.state(0, session, number), Some(MessageState::Delivered));
}

#[test]
fn what_is_lost_on_the_way_is_said_again() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.loss_percent = 30;
    for number in 0..50 {
        rehearsal.say(0, session, &format!("{number}"));
        rehearsal.say(1, session, &format!("{}", 100 + number));
        rehearsal.pass(300);
    }
    rehearsal.pass(20 * MINUTE_MS);
    for device in 0..2 {
        assert_eq!(rehearsal.texts(device, session).len(), 100);
    }
}

#[test]
fn keys_are_renewed_and_the_conversation_goes_on() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let epoch = |rehearsal: &mut Rehearsal, device| rehearsal.sessions(device)[0].epoch;
    let before = epoch(&mut rehearsal, 0);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.order(1, Order::Renew(session)).unwrap();
    rehearsal.say(0, session, "meanwhile");
    rehearsal.pass(2 * MINUTE_MS);
    rehearsal.say(1, session, "afterwards");
    rehearsal.pass(5_000);
    assert_eq!(epoch(&mut rehearsal, 0), before + 2);
    assert_eq!(epoch(&mut rehearsal, 1), before + 2);
    for device in 0..2 {
        assert_eq!(rehearsal.texts(device, session), ["meanwhile", "afterwards"]);
        assert!(rehearsal.sessions(device)[0].unconfirmed_since.is_none());
    }
}

#[test]
fn two_who_both_changed_the_session_and_then_lost_sight_of_each_other_for_days_talk_again() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    rehearsal.pass(MINUTE_MS);
    rehearsal.cut_off.extend([0, 1]);
    for device in 0..2 {
        rehearsal.order(device, Order::Renew(session)).unwrap();
    }
    rehearsal.pass(40 * 60 * MINUTE_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    let said = [0, 1].map(|device| rehearsal.say(device, session, "are you there?"));
    rehearsal.pass(3 * 60 * MINUTE_MS);
    // One of the two changes counts, and whoever made the other one could not go back: they begin anew.
    let ids = |rehearsal: &mut Rehearsal, device| -> Vec<SessionId> {
        rehearsal.sessions(device).iter().map(|view| view.id).collect()
    };
    let anew = ids(&mut rehearsal, 0);
    assert!(anew.len() == 1 && anew[0] != session, "{}", rehearsal.told(&[0, 1]));
    assert_eq!(ids(&mut rehearsal, 1), anew);
    let stranded = |device: &Device| device.events.contains(&SessionEvent::Stranded(session));
    assert_eq!(rehearsal.devices.iter().filter(|device| stranded(device)).count(), 1);
    for (device, said) in said.into_iter().enumerate() {
        let state = rehearsal.state(device, session, said);
        assert_eq!(state, Some(MessageState::Failed(Failure::Left)), "and nobody believes that he was heard");
        rehearsal.say(device, anew[0], "here I am");
        rehearsal.pass(5_000);
    }
    assert!((0..2).all(|device| rehearsal.texts(device, anew[0]) == ["here I am", "here I am"]));
}

/// The third of a group changes something while he is cut off, and so do the others; a day passes, and more.
pub(super) fn at_a_dead_end() -> (Rehearsal, SessionId) {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.cut_off.insert(2);
    rehearsal.order(2, Order::Renew(session)).unwrap();
    rehearsal.order(0, Order::Rename(session, "brook".into())).unwrap();
    rehearsal.pass(40 * 60 * MINUTE_MS);
    (rehearsal, session)
}

#[test]
fn who_came_to_a_dead_end_in_a_group_is_told_and_can_be_let_in_again() {
    let (mut rehearsal, session) = at_a_dead_end();
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.pass(2 * 60 * MINUTE_MS);
    let stranded = |device: &Device| device.events.contains(&SessionEvent::Stranded(session));
    let told: Vec<bool> = rehearsal.devices.iter().map(stranded).collect();
    assert_eq!(told, [false, false, true], "{}", rehearsal.told(&[2]));
    let lost = rehearsal.devices[2].key;
    rehearsal.order(0, Order::RemoveMember(session, lost)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.order(0, Order::AddMember(session, lost)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.say(1, session, "there you are");
    rehearsal.say(2, session, "here I am");
    rehearsal.pass(MINUTE_MS);
    for device in 0..3 {
        let texts = rehearsal.texts(device, session);
        assert!(texts.len() == 2, "{texts:?} {}", rehearsal.told(&[device]));
    }
}
