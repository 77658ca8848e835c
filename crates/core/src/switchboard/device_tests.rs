//! Several devices of one person, over endpoint halves that hear each other.

use mainframe_base::SessionId;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::rehearsal::Rehearsal;
use super::session_tests::group;
use crate::crypto::{InvitationSecret, LinkCode, Name};
use crate::session::contact::{Account, ContactStanding};
use crate::session::{Answer, DeviceFact, DeviceStanding, NewGroup, Order, SessionEvent, Unable};

const MINUTE_MS: u64 = 60_000;

/// Alice's second device, linked by its code to her first one, which is device 0.
pub(super) fn linked(rehearsal: &mut Rehearsal) -> usize {
    let (tablet, code) = rehearsal.add_waiting(77, 2);
    rehearsal.order(0, Order::AddDevice(code, None)).unwrap();
    rehearsal.pass(2_000);
    rehearsal.become_the_person(tablet, 3);
    rehearsal.pass(MINUTE_MS);
    tablet
}

fn facts(rehearsal: &Rehearsal, number: usize) -> Vec<DeviceFact> {
    let fact = |event: &SessionEvent| {
        let SessionEvent::Device(fact) = event else { return None };
        Some(fact.clone())
    };
    rehearsal.devices[number].events.iter().filter_map(fact).collect()
}

pub(super) fn is_in(rehearsal: &mut Rehearsal, number: usize, session: SessionId) -> bool {
    rehearsal.sessions(number).iter().any(|view| view.id == session)
}

pub(super) fn account(rehearsal: &mut Rehearsal, number: usize) -> std::sync::Arc<Account> {
    match rehearsal.order(number, Order::Account) {
        Ok(Answer::Account(account)) => account,
        other => panic!("no account but {other:?}"),
    }
}

#[test]
fn a_device_that_is_linked_by_its_code_sees_what_follows_and_speaks_until_it_is_revoked() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let pair = rehearsal.sessions(1).iter().find(|view| view.id != session).unwrap().id;
    rehearsal.say(1, session, "before");
    rehearsal.pass(5_000);
    let tablet = linked(&mut rehearsal);
    for seen in [session, pair] {
        assert!(is_in(&mut rehearsal, tablet, seen), "{}", rehearsal.told(&[0, tablet]));
    }
    rehearsal.say(1, session, "to both");
    rehearsal.say(0, session, "from the phone");
    rehearsal.pass(5_000);
    rehearsal.say(tablet, session, "from the tablet");
    rehearsal.say(tablet, pair, "between us");
    rehearsal.pass(10_000);
    let mut seen = rehearsal.texts(tablet, session);
    seen.sort();
    assert_eq!(seen, ["from the phone", "from the tablet", "to both"]);
    assert_eq!((rehearsal.texts(1, session).len(), rehearsal.texts(1, pair).len()), (4, 1));
    let devices = rehearsal.own_devices(0);
    let described: Vec<(&str, bool, DeviceStanding)> =
        devices.iter().map(|it| (it.name.as_str(), it.is_this, it.standing)).collect();
    assert_eq!(described, [("phone", true, DeviceStanding::Added), ("tablet", false, DeviceStanding::Added)]);

    let key = rehearsal.device_key(tablet);
    assert_eq!(rehearsal.order(tablet, Order::RevokeDevice(key)).err(), Some(Unable::ThisDevice));
    rehearsal.order(0, Order::RevokeDevice(key)).unwrap();
    rehearsal.pass(3 * MINUTE_MS);
    rehearsal.say(1, session, "only to one");
    rehearsal.say(1, pair, "only to one, between us");
    rehearsal.pass(MINUTE_MS);
    for (of, last) in [(session, "only to one"), (pair, "only to one, between us")] {
        assert_eq!(rehearsal.texts(0, of).last().map(String::as_str), Some(last));
    }
    assert!(rehearsal.sessions(tablet).is_empty());
    assert!(facts(&rehearsal, tablet).contains(&DeviceFact::Revoked(key)));
    assert_eq!(rehearsal.own_devices(0)[1].standing, DeviceStanding::Revoked);
}

#[test]
fn who_was_revoked_is_let_in_nowhere_again() {
    let mut rehearsal = Rehearsal::of(3);
    rehearsal.befriend(0, 1);
    let tablet = linked(&mut rehearsal);
    let key = rehearsal.device_key(tablet);
    rehearsal.deaf.insert(tablet);
    rehearsal.order(0, Order::RevokeDevice(key)).unwrap();
    rehearsal.pass(MINUTE_MS);
    let later = rehearsal.befriend(0, 2);
    rehearsal.forget_held();
    rehearsal.reconnect();
    // It heard nothing of that, and asks to be let in where the other one is now.
    let mut news = account(&mut rehearsal, 0).belongings.clone();
    news.revoked.clear();
    rehearsal.order(tablet, Order::Receive(Box::new(news))).unwrap();
    rehearsal.pass(10 * MINUTE_MS);
    assert!(!is_in(&mut rehearsal, tablet, later), "{}", rehearsal.told(&[0, tablet]));
    let seats = rehearsal.sessions(0).into_iter().flat_map(|view| view.members).map(|member| member.devices.len());
    assert_eq!(seats.max(), Some(1));
    let (code, refused) = (rehearsal.add_waiting(77, 2).1, Some(Unable::Revoked));
    assert_eq!(rehearsal.order(0, Order::AddDevice(code, None)).err(), refused);
}

#[test]
fn a_code_counts_once_until_it_expires_and_for_whoever_has_its_secret() {
    let mut rehearsal = Rehearsal::of(2);
    rehearsal.befriend(0, 1);
    let (tablet, code) = rehearsal.add_waiting(77, 2);
    // Somebody saw the key of the code on the wire, but not its secret.
    let guessed = LinkCode { secret: InvitationSecret::from_bytes([1; 32]), ..code.clone() };
    rehearsal.order(1, Order::AddDevice(guessed, None)).unwrap();
    rehearsal.pass(2_000);
    assert!(rehearsal.account_for(tablet).is_none());
    assert!(matches!(&facts(&rehearsal, tablet)[..], [DeviceFact::NotLinked(why)] if why.contains("unknown")));
    rehearsal.order(0, Order::AddDevice(code.clone(), Name::new("bed"))).unwrap();
    rehearsal.pass(2_000);
    let first = rehearsal.account_for(tablet).unwrap();
    assert_eq!(first.belongings.certificate_of(&code.device).unwrap().name.as_str(), "bed");
    // Whoever saw the code later may answer it too, and is not heard.
    rehearsal.order(1, Order::AddDevice(code, None)).unwrap();
    rehearsal.pass(2_000);
    assert_eq!(rehearsal.account_for(tablet).unwrap().belongings.card, first.belongings.card);

    let (other, old) = rehearsal.add_waiting(78, 1);
    rehearsal.cut_off.insert(other);
    rehearsal.order(0, Order::AddDevice(old.clone(), None)).unwrap();
    rehearsal.pass(60 * MINUTE_MS);
    rehearsal.reconnect();
    rehearsal.pass(MINUTE_MS);
    assert_eq!(facts(&rehearsal, other), [DeviceFact::LinkExpired]);
    assert!(rehearsal.account_for(other).is_none());
    assert!(facts(&rehearsal, 0).contains(&DeviceFact::NotAdded(old.device)));
    assert_eq!(rehearsal.order(0, Order::AddDevice(old, None)).err(), Some(Unable::CodeExpired));
}

#[test]
fn power_that_fails_between_any_two_steps_of_a_link_ends_it_nowhere() {
    for steps in 0..3 {
        let mut rehearsal = Rehearsal::of(2);
        let session = rehearsal.befriend(0, 1);
        let (tablet, code) = rehearsal.add_waiting(77, 2);
        rehearsal.failing.insert(0);
        assert!(rehearsal.try_order(0, Order::AddDevice(code.clone(), None)).is_none());
        rehearsal.order(0, Order::AddDevice(code, None)).unwrap();
        rehearsal.crash(0);
        rehearsal.failing.insert(tablet);
        rehearsal.pass(3 * MINUTE_MS);
        if steps > 0 {
            rehearsal.become_the_person(tablet, steps);
        }
        rehearsal.crash(tablet);
        rehearsal.become_the_person(tablet, 3);
        rehearsal.crash(tablet);
        rehearsal.pass(5 * MINUTE_MS);
        rehearsal.say(1, session, "to both");
        rehearsal.pass(MINUTE_MS);
        assert_eq!(rehearsal.texts(tablet, session), ["to both"], "after {steps} steps");
    }
}

#[test]
fn what_begins_on_one_device_later_is_known_to_the_others() {
    let mut rehearsal = Rehearsal::of(4);
    let tablet = linked(&mut rehearsal);
    // Alice had nobody when she linked it; now her phone finds Bob, and her tablet finds Carol.
    let with_bob = rehearsal.befriend(0, 1);
    rehearsal.pass(MINUTE_MS);
    let with_carol = rehearsal.befriend(tablet, 2);
    rehearsal.pass(2 * MINUTE_MS);
    for device in [0, tablet] {
        for session in [with_bob, with_carol] {
            assert!(is_in(&mut rehearsal, device, session), "{}", rehearsal.told(&[0, tablet]));
        }
    }
    // Each of them can found a group with both, and all four devices hear what is said there.
    let (bob, carol) = (rehearsal.devices[1].key, rehearsal.devices[2].key);
    let hold = crate::wire::HoldClass::Day;
    let luminosity = mainframe_base::Luminosity::new(2).unwrap();
    let order = Order::CreateGroup(NewGroup {
        name: "sea".into(),
        members: vec![bob, carol],
        luminosity,
        hold,
        shared_topic: false,
    });
    let Ok(Answer::Session(sea)) = rehearsal.order(tablet, order) else { panic!("no group") };
    rehearsal.pass(4 * MINUTE_MS);
    rehearsal.say(2, sea, "hello");
    rehearsal.pass(MINUTE_MS);
    for device in [0, 1, 2, tablet] {
        assert_eq!(rehearsal.texts(device, sea), ["hello"], "{device}: {}", rehearsal.told(&[0, tablet]));
    }
    let Ok(Answer::Contacts(contacts)) = rehearsal.order(0, Order::Contacts { after: None, limit: 9 }) else {
        panic!()
    };
    assert!(contacts.iter().all(|contact| matches!(contact.standing, ContactStanding::Together(_))));
    assert_eq!(contacts.len(), 2);
    assert!(contacts.iter().all(|contact| contact.card.is_some()));
}

#[test]
fn who_is_away_for_days_while_the_other_device_makes_friends_catches_up_at_the_next_start() {
    let mut rehearsal = Rehearsal::of(3);
    rehearsal.befriend(0, 1);
    let tablet = linked(&mut rehearsal);
    rehearsal.cut_off.insert(tablet);
    let session = rehearsal.befriend(0, 2);
    rehearsal.pass(4 * 24 * 60 * MINUTE_MS);
    rehearsal.forget_held();
    rehearsal.reconnect();
    rehearsal.crash(tablet);
    rehearsal.pass(5 * MINUTE_MS);
    assert!(is_in(&mut rehearsal, tablet, session), "{}", rehearsal.told(&[0, tablet]));
}

#[test]
fn a_lost_welcome_is_sent_again() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let (tablet, code) = rehearsal.add_waiting(77, 2);
    rehearsal.order(0, Order::AddDevice(code, None)).unwrap();
    rehearsal.pass(2_000);
    rehearsal.deaf.insert(tablet);
    rehearsal.become_the_person(tablet, 3);
    rehearsal.pass(15_000);
    rehearsal.forget_held();
    rehearsal.crash(0);
    rehearsal.deaf.clear();
    rehearsal.pass(5 * MINUTE_MS);
    rehearsal.say(1, session, "to both");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(tablet, session), ["to both"]);
}

#[test]
fn a_person_restored_from_a_file_is_let_in_by_contacts_though_no_old_device_is_left() {
    let mut rehearsal = Rehearsal::of(3);
    let group = group(&mut rehearsal, 3);
    let bob = rehearsal.devices[1].key;
    rehearsal.order(0, Order::SetAdmin(group, bob, true)).unwrap();
    rehearsal.pass(MINUTE_MS);
    let pairs: Vec<SessionId> =
        [1, 2].map(|friend| rehearsal.sessions(friend).iter().find(|view| view.id != group).unwrap().id).into();
    let file = account(&mut rehearsal, 0).encode();
    rehearsal.cut_off.insert(0);
    let restored = rehearsal.restore_account(&Account::decode(&file).unwrap(), 90);
    rehearsal.pass(5 * MINUTE_MS);
    assert!(is_in(&mut rehearsal, restored, group), "{}", rehearsal.told(&[1, restored]));
    rehearsal.say(2, group, "welcome back");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(restored, group), ["welcome back"]);
    // In a session of two nobody can decide without the lost device: there are others now, and nobody was asked.
    let anew: Vec<SessionId> =
        rehearsal.sessions(restored).iter().map(|view| view.id).filter(|id| *id != group).collect();
    assert!(anew.len() == 2 && anew.iter().all(|session| !pairs.contains(session)), "{anew:?} {pairs:?}");
    for (friend, session) in [(1, anew[0]), (2, anew[0]), (1, anew[1]), (2, anew[1])] {
        if is_in(&mut rehearsal, friend, session) {
            rehearsal.say(restored, session, "here I am");
            rehearsal.pass(MINUTE_MS);
            assert_eq!(rehearsal.texts(friend, session).last().map(String::as_str), Some("here I am"));
        }
    }
    // The device that is lost can be put out from there.
    let lost = rehearsal.device_key(0);
    rehearsal.order(restored, Order::RevokeDevice(lost)).unwrap();
    rehearsal.pass(3 * MINUTE_MS);
    let views = rehearsal.sessions(restored);
    let seats = views.into_iter().flat_map(|view| view.members).map(|member| member.devices.len());
    assert_eq!(seats.max(), Some(1));
}

#[test]
fn devices_come_into_a_group_whose_tree_fits_no_letter() {
    const MEMBERS: u8 = 24;
    let mut rehearsal = Rehearsal::of(MEMBERS);
    let session = group(&mut rehearsal, MEMBERS.into());
    let tablet = linked(&mut rehearsal);
    let file = account(&mut rehearsal, 5);
    rehearsal.cut_off.insert(5);
    let restored = rehearsal.restore_account(&file, 90);
    rehearsal.pass(20 * MINUTE_MS);
    for device in [tablet, restored] {
        assert!(is_in(&mut rehearsal, device, session), "{}", rehearsal.told(&[0, device]));
    }
    rehearsal.say(7, session, "to all");
    rehearsal.pass(MINUTE_MS);
    for device in [tablet, restored] {
        assert_eq!(rehearsal.texts(device, session).last().map(String::as_str), Some("to all"));
    }
}

#[test]
fn nobody_lets_a_device_in_whose_person_is_not_there() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 3);
    rehearsal.befriend(0, 3);
    let carol = rehearsal.devices[2].key;
    rehearsal.order(0, Order::RemoveMember(session, carol)).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    // Carol knows the group's name, and Dora learned it from her: both are contacts of its admin.
    for (seed, number) in [(80, 2), (81, 3)] {
        let mut intruder = Account::decode(&account(&mut rehearsal, number).encode()).unwrap();
        let alice = rehearsal.devices[0].key;
        intruder.belongings.sessions =
            vec![crate::session::contact::AccountSession { id: session, doors: vec![alice] }];
        let intruder = rehearsal.restore_account(&intruder, seed);
        rehearsal.pass(5 * MINUTE_MS);
        assert!(rehearsal.sessions(intruder).iter().all(|view| view.id != session));
    }
    let view = rehearsal.sessions(0).into_iter().find(|view| view.id == session).unwrap();
    assert_eq!(view.members.len(), 2);
}

#[test]
fn a_letter_of_another_device_that_is_damaged_or_invented_changes_nothing() {
    use rand_core::Rng;
    let mut rehearsal = Rehearsal::of(2);
    rehearsal.befriend(0, 1);
    linked(&mut rehearsal);
    let belongings = account(&mut rehearsal, 0).belongings.encode();
    let before = rehearsal.own_devices(0);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for _ in 0..300 {
        let mut body = [&[(rng.next_u32() % 3) as u8][..], &belongings].concat();
        let at = rng.next_u32() as usize % body.len();
        body[at] ^= 1 << (rng.next_u32() % 8);
        body.truncate(rng.next_u32() as usize % (2 * body.len()));
        rehearsal.letter_to_himself(0, &body);
    }
    assert_eq!(rehearsal.own_devices(0), before);
}
