//! What contacts, members and strangers try whose programs keep to no rules.

use mainframe_base::{IdentityKey, Luminosity, Secret, SessionId, Time};
use mainframe_mls::{DeviceSecret, KeyPackage};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::device_tests::{account, is_in, linked};
use super::insider::all_rows;
use super::outlaw::{Outlaw, build, epoch_of, header, mls};
use super::rehearsal::Rehearsal;
use super::session_tests::group;
use crate::codec::put_list;
use crate::crypto::{DeviceCertificate, Identity, LetterKind, Name, Recipient, device_id, seal_letter, seal_to_person};
use crate::session::contact::{About, Account, ContactStanding, Decline, Hello, HelloId, Welcome, Whom};
use crate::session::fragment::{FrameKind, split};
use crate::session::ledger::{Ack, Asked, Frame, Message, MessageId, Range};
use crate::session::{Answer, NewGroup, Order, SessionEvent, Unable};
use crate::store::Table;
use crate::wire::HoldClass;

const MINUTE_MS: u64 = 60_000;

pub(super) fn identity(seed: u8) -> Identity {
    Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
}

/// A letter that somebody writes by hand.
fn letter(rehearsal: &mut Rehearsal, from: &Identity, to: usize, kind: LetterKind, body: &[u8]) {
    letter_of(rehearsal, rehearsal.now, from, to, (kind, body));
}

/// The same, dated as one likes.
pub(super) fn letter_of(
    rehearsal: &mut Rehearsal,
    sent: Time,
    from: &Identity,
    to: usize,
    (kind, body): (LetterKind, &[u8]),
) {
    let card = rehearsal.card(to);
    let mut rng = ChaCha20Rng::from_seed([67; 32]);
    let sealed = seal_letter(&mut rng, from, &Recipient::of_card(&card, None), kind, sent, body).unwrap();
    let (class, plaintexts) = split(FrameKind::Letter, &sealed, rng.next_u32()).unwrap();
    for plaintext in plaintexts {
        let header = header(rehearsal, class);
        let sealed = seal_to_person(&mut rng, &card.scan_key(), &header.associated(), &plaintext).unwrap();
        rehearsal.feed(to, build(header, sealed));
    }
    rehearsal.pass(40);
}

fn seats(rehearsal: &mut Rehearsal, number: usize, session: SessionId, person: IdentityKey) -> usize {
    let views = rehearsal.sessions(number);
    let view = views.iter().find(|view| view.id == session).unwrap();
    view.members.iter().find(|member| member.person == person).map_or(0, |member| member.devices.len())
}

/// What a device says next by hand: messages in the place of its own.
struct Words {
    number: u64,
    follows: u32,
}

impl Words {
    /// Behind what the device has said.
    fn of(rehearsal: &Rehearsal, device: usize, session: SessionId) -> Words {
        let sent = all_rows(&rehearsal.copy_of_store(device), Table::SessionSent);
        let sent: Vec<_> = sent.into_iter().filter(|(key, _)| key.starts_with(&session.0)).collect();
        let follows = sent.last().map_or(0, |(_, row)| u32::from_be_bytes(row[12..16].try_into().unwrap()));
        Words { number: sent.len() as u64, follows }
    }

    fn next(&mut self, author: &Outlaw, said: Time, kind: u8, body: Vec<u8>) -> Frame {
        self.number += 1;
        let id = MessageId { author: author.id(), number: self.number };
        let (lamport, follows) = (1_000 + self.number, self.follows);
        self.follows = Message::mark(said);
        let message = Message { id, lamport, parents: vec![], follows, said, stream: 0, kind, withdrawn: false, body };
        Frame::Message(message, vec![], Asked::Devices(vec![]))
    }
}

/// Key packages of devices that an identity vouches for, as they are given for a session.
fn keys_of(identity: &Identity, session: SessionId, devices: std::ops::Range<u8>) -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([devices.start / 10; 32]);
    let package = |seed: u8| {
        let device = DeviceSecret::new(Secret::new([seed; 32]));
        let certificate = DeviceCertificate::sign(identity, device.key(), 1, Name::new("clone").unwrap());
        let mut credential = Vec::new();
        certificate.encode(&mut credential);
        KeyPackage::generate(&mut rng, &device, &credential).bytes
    };
    let packages: Vec<Vec<u8>> = devices.map(package).collect();
    let mut body = session.0.to_vec();
    put_list(&mut body, &packages, |out, package| {
        out.extend_from_slice(&(package.len() as u32).to_be_bytes());
        out.extend_from_slice(package);
    });
    body
}

/// Alice founds a group with Bob and Mallory, who gives the keys of these devices, of each range in one message, before Bob
/// gives his; returns how many devices of each are in.
fn devices_let_in_beside_mallory_with(devices: &[std::ops::Range<u8>]) -> (usize, usize) {
    let mut rehearsal = Rehearsal::of(3);
    rehearsal.befriend(0, 1);
    let pair = rehearsal.befriend(0, 2);
    let (bob, mallory) = (rehearsal.devices[1].key, rehearsal.devices[2].key);
    let (mut outlaw, mut words) = (Outlaw::of(&rehearsal, 2, pair, 60), Words::of(&rehearsal, 2, pair));
    rehearsal.move_out(2);
    rehearsal.deaf.insert(1);
    let (luminosity, hold) = (Luminosity::new(2).unwrap(), HoldClass::Day);
    let members = vec![bob, mallory];
    let order = NewGroup { name: "river".into(), members, luminosity, hold, shared_topic: false };
    let Ok(Answer::Session(group)) = rehearsal.order(0, Order::CreateGroup(order)) else { panic!("no group") };
    for devices in devices {
        let body = keys_of(&identity(2), group, devices.clone());
        let frame = words.next(&outlaw, rehearsal.now, 0x82, body);
        outlaw.say(&mut rehearsal, 0, &frame);
    }
    rehearsal.reconnect();
    rehearsal.pass(5 * MINUTE_MS);
    (seats(&mut rehearsal, 0, group, bob), seats(&mut rehearsal, 0, group, mallory))
}

#[test]
fn an_invitee_who_gives_too_many_keys_keeps_nobody_else_out() {
    assert_eq!(devices_let_in_beside_mallory_with(&[150..160, 160..170]), (1, 16));
}

#[test]
fn nor_one_whose_keys_no_group_can_take() {
    // Two devices with one key to receive by.
    assert_eq!(devices_let_in_beside_mallory_with(&[150..151, 151..152]), (1, 0));
}

#[test]
fn who_adds_somebody_while_too_much_waits_is_told() {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 3);
    rehearsal.befriend(0, 3);
    rehearsal.cut_off.extend([1, 2]);
    while rehearsal.order(0, Order::Rename(session, format!("river {}", rehearsal.now.0))).is_ok() {
        rehearsal.pass(40);
    }
    let dora = rehearsal.devices[3].key;
    rehearsal.order(0, Order::AddMember(session, dora)).unwrap();
    rehearsal.pass(MINUTE_MS);
    let is_told = |event: &SessionEvent| matches!(event, SessionEvent::Unwanted(of, _) if *of == session);
    assert!(rehearsal.devices[0].events.iter().any(is_told), "she believes that he is being added");
}

#[test]
fn nothing_but_messages_is_passed_on() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let (mut outlaw, mut words) = (Outlaw::of(&rehearsal, 1, session, 60), Words::of(&rehearsal, 1, session));
    let alice = device_id(&rehearsal.device_key(0));
    let floor = outlaw.seal(&Frame::Floor(alice, 500));
    let passed_on = Frame::Relay(MessageId { author: outlaw.id(), number: 400 }, floor);
    outlaw.say(&mut rehearsal, 0, &passed_on);
    let hello = words.next(&outlaw, rehearsal.now, 0, b"hello".to_vec());
    let passed_on = Frame::Relay(MessageId { author: outlaw.id(), number: 401 }, outlaw.seal(&hello));
    outlaw.say(&mut rehearsal, 0, &passed_on);
    assert_eq!(rehearsal.texts(0, session), ["hello"]);
}

/// A member of Alice's group tells her that he is at the end of the numbers, and then she adds Dora.
fn dora_added_after_a_lie() -> (Rehearsal, SessionId, IdentityKey) {
    let mut rehearsal = Rehearsal::of(4);
    let session = group(&mut rehearsal, 3);
    rehearsal.befriend(0, 3);
    let mut mallory = Outlaw::of(&rehearsal, 2, session, 40);
    let alice = device_id(&rehearsal.device_key(0));
    mallory.say(&mut rehearsal, 0, &Frame::Floor(alice, u64::MAX));
    let dora = rehearsal.devices[3].key;
    rehearsal.order(0, Order::AddMember(session, dora)).unwrap();
    (rehearsal, session, dora)
}

#[test]
fn a_floor_at_the_end_of_numbers_keeps_no_newcomer_out() {
    let (mut rehearsal, session, dora) = dora_added_after_a_lie();
    rehearsal.pass(5 * MINUTE_MS);
    assert_eq!(seats(&mut rehearsal, 0, session, dora), 1, "she was added");
    assert!(is_in(&mut rehearsal, 3, session), "and never got in");
}

#[test]
fn nor_does_it_cost_the_admin_the_session_at_a_restart() {
    let (mut rehearsal, session, _) = dora_added_after_a_lie();
    rehearsal.cut_off.extend([1, 2]);
    rehearsal.pass(2 * MINUTE_MS);
    rehearsal.crash(0);
    assert!(is_in(&mut rehearsal, 0, session), "the session is gone");
}

#[test]
fn a_contact_who_declines_before_he_is_added_to_a_large_group_does_not_panic_its_admin() {
    const MEMBERS: u8 = 24;
    let mut rehearsal = Rehearsal::of(MEMBERS + 1);
    let session = group(&mut rehearsal, MEMBERS.into());
    let last = usize::from(MEMBERS);
    rehearsal.befriend(0, last);
    let zoe = rehearsal.devices[last].key;
    let known = account(&mut rehearsal, last);
    let (hello, _) = known.belongings.contacts[0].shared.unwrap();
    rehearsal.order(0, Order::AddMember(session, zoe)).unwrap();
    letter(&mut rehearsal, &identity(MEMBERS), 0, LetterKind::Decline, &Decline { hello }.encode());
    rehearsal.pass(5 * MINUTE_MS);
    assert!(is_in(&mut rehearsal, 0, session));
}

#[test]
fn who_revokes_a_lost_device_before_being_let_in_puts_it_out_all_the_same() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let bob = rehearsal.devices[1].key;
    rehearsal.order(0, Order::SetAdmin(session, bob, true)).unwrap();
    rehearsal.pass(MINUTE_MS);
    let file = account(&mut rehearsal, 0).encode();
    let (lost, alice) = (rehearsal.device_key(0), rehearsal.devices[0].key);
    let restored = rehearsal.restore_account(&Account::decode(&file).unwrap(), 90);
    rehearsal.cut_off.insert(0);
    rehearsal.order(restored, Order::RevokeDevice(lost)).unwrap();
    rehearsal.pass(30 * MINUTE_MS);
    assert!(is_in(&mut rehearsal, restored, session));
    assert_eq!(seats(&mut rehearsal, restored, session, alice), 1, "the lost device reads on");
}

#[test]
fn a_revoked_device_that_knows_it_answers_no_greeting_and_is_let_in_by_nobody_who_knows() {
    let mut rehearsal = Rehearsal::of(2);
    rehearsal.befriend(0, 1);
    let tablet = linked(&mut rehearsal);
    let (key, alice) = (rehearsal.device_key(tablet), rehearsal.devices[0].key);
    rehearsal.order(0, Order::RevokeDevice(key)).unwrap();
    rehearsal.pass(5 * MINUTE_MS);
    assert!(rehearsal.sessions(tablet).is_empty(), "it was put out, and knows");
    // Bob begins anew, while Alice's telephone sleeps.
    let card = rehearsal.card(0);
    rehearsal.cut_off.insert(0);
    rehearsal.order(1, Order::RemoveContact(alice)).unwrap();
    rehearsal.order(1, Order::AddContact(Whom::Card(card), "me again".into())).unwrap();
    rehearsal.pass(5 * MINUTE_MS);
    assert!(rehearsal.sessions(tablet).is_empty(), "the revoked device has a session again");
}

#[test]
fn a_session_that_is_outdated_does_not_keep_a_device_from_being_revoked_elsewhere() {
    let mut rehearsal = Rehearsal::of(3);
    let pairs = [1, 2].map(|friend| (rehearsal.befriend(0, friend), friend));
    let tablet = linked(&mut rehearsal);
    rehearsal.pass(2 * MINUTE_MS);
    let (liar, other) = (pairs.iter().min().unwrap(), pairs.iter().max().unwrap());
    let mut mallory = Outlaw::of(&rehearsal, liar.1, liar.0, 40);
    let alice = device_id(&rehearsal.device_key(0));
    mallory.say(&mut rehearsal, 0, &Frame::Acks(vec![Ack { author: alice, contiguous: 999, mark: 0, beyond: 0 }]));
    assert!(rehearsal.sessions(0).iter().find(|view| view.id == liar.0).unwrap().is_outdated);
    let key = rehearsal.device_key(tablet);
    let answer = rehearsal.order(0, Order::RevokeDevice(key));
    rehearsal.pass(10 * MINUTE_MS);
    let alice = rehearsal.devices[0].key;
    assert_eq!(seats(&mut rehearsal, 0, other.0, alice), 1, "{answer:?}: in the other session it reads on");
}

#[test]
fn a_person_who_is_linked_anew_on_the_same_node_is_heard() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let tablet = linked(&mut rehearsal);
    rehearsal.pass(2 * MINUTE_MS);
    for round in 0..3 {
        rehearsal.say(tablet, session, &format!("before {round}"));
        rehearsal.pass(5_000);
    }
    let old = rehearsal.device_key(tablet);
    rehearsal.move_out(tablet);
    rehearsal.order(0, Order::RevokeDevice(old)).unwrap();
    rehearsal.pass(5 * MINUTE_MS);
    let belongings = account(&mut rehearsal, 0).belongings.clone();
    rehearsal.move_in(tablet, 91);
    rehearsal.order(tablet, Order::Receive(Box::new(belongings))).unwrap();
    rehearsal.pass(10 * MINUTE_MS);
    assert!(is_in(&mut rehearsal, tablet, session), "let in again");
    rehearsal.say(tablet, session, "here again");
    rehearsal.pass(10 * MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session).last().map(String::as_str), Some("here again"));
}

/// A message passed on within a message passed on, and so on; as long as it is not too long.
fn nest(mallory: &mut Outlaw, levels: usize) -> Vec<u8> {
    let author = mallory.id();
    let mut bytes = mallory.seal(&Frame::Notice(vec![1]));
    for number in (1_000_000..).take(levels) {
        if bytes.len() > 100_000 {
            break;
        }
        bytes = mallory.seal(&Frame::Relay(MessageId { author, number }, bytes));
    }
    bytes
}

#[test]
fn what_is_passed_on_within_what_is_passed_on_does_not_exhaust_the_stack() {
    for levels in [8, 64, 128, 256, 500] {
        let mut rehearsal = Rehearsal::of(2);
        let session = rehearsal.befriend(0, 1);
        let mut mallory = Outlaw::of(&rehearsal, 1, session, 60);
        let bytes = nest(&mut mallory, levels);
        mallory.post(&mut rehearsal, 0, &bytes);
        rehearsal.pass(1_000);
    }
}

#[test]
fn who_is_blocked_is_not_listened_to() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    let (alice, bob) = (rehearsal.devices[0].key, rehearsal.devices[1].key);
    rehearsal.order(0, Order::BlockContact(bob)).unwrap();
    rehearsal.say(1, session, "listen to me");
    rehearsal.pass(MINUTE_MS);
    let heard = rehearsal.texts(0, session);
    let (luminosity, hold) = (Luminosity::new(2).unwrap(), HoldClass::Day);
    let order = NewGroup { name: "trap".into(), members: vec![alice], luminosity, hold, shared_topic: false };
    let Ok(Answer::Session(trap)) = rehearsal.order(1, Order::CreateGroup(order)) else { panic!("no group") };
    rehearsal.pass(MINUTE_MS);
    assert_eq!((heard.len(), is_in(&mut rehearsal, 0, trap)), (0, false), "heard, and in his group");
}

#[test]
fn a_welcome_of_rubbish_makes_no_contact_of_a_session_that_exists() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    // Bob and Carol are in one group and no contacts of each other.
    let (bob, bob_card) = (identity(1), rehearsal.card(1));
    rehearsal.cut_off.insert(1);
    let hello = HelloId([5; 16]);
    let said = Hello { id: hello, text: "hi".into(), card: bob_card };
    letter(&mut rehearsal, &bob, 2, LetterKind::Hello, &said.encode());
    rehearsal.order(2, Order::AcceptContact(bob.key())).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    let came = Welcome { about: About::Hello(hello), session, welcome: vec![0; 9], tree: None, start: vec![] };
    letter(&mut rehearsal, &bob, 2, LetterKind::Welcome, &came.encode());
    let Ok(Answer::Contacts(contacts)) = rehearsal.order(2, Order::Contacts { after: None, limit: 9 }) else {
        panic!()
    };
    let standing = contacts.into_iter().find(|it| it.peer == bob.key()).unwrap().standing;
    assert_ne!(standing, ContactStanding::Together(session), "what Carol writes to Bob all of the group reads");
}

#[test]
fn nobody_learns_by_a_welcome_of_rubbish_who_lives_on_one_node() {
    let mut rehearsal = Rehearsal::of(3);
    // Mallory (2) is in a group with Alice (0). Alice's node has another person, whom Mallory knows as well.
    let session = group(&mut rehearsal, 3);
    let other = rehearsal.add_person_to(0, 50);
    let pair = rehearsal.befriend_second(2, 0, other);
    let before = rehearsal.insider.frames.len();
    let mut mallory = Outlaw::of(&rehearsal, 2, pair, 60);
    let mut body = session.0.to_vec();
    for part in [&[0_u8; 9][..], &[], &[0; 10]] {
        body.extend_from_slice(&(part.len() as u32).to_be_bytes());
        body.extend_from_slice(part);
    }
    let mut words = Words::of(&rehearsal, 2, pair);
    let frame = words.next(&mallory, rehearsal.now, 0x83, body);
    mallory.say(&mut rehearsal, 0, &frame);
    rehearsal.pass(2_000);
    let in_group =
        rehearsal.insider.frames[before..].iter().filter(|frame| frame.epoch.starts_with(&session.0)).count();
    assert_eq!(in_group, 0, "Alice says in the group that she is here");
}

#[test]
fn who_was_an_admin_is_none_any_more_when_removed() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let bob = rehearsal.devices[1].key;
    rehearsal.order(0, Order::SetAdmin(session, bob, true)).unwrap();
    rehearsal.pass(MINUTE_MS);
    rehearsal.order(0, Order::RemoveMember(session, bob)).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    let leaves = rehearsal.order(0, Order::Leave(session)).err();
    rehearsal.order(0, Order::AddMember(session, bob)).unwrap();
    rehearsal.pass(2 * MINUTE_MS);
    assert!(is_in(&mut rehearsal, 1, session));
    let renames = rehearsal.order(1, Order::Rename(session, "mine".into()));
    assert!(renames.is_err() && leaves == Some(Unable::LastAdmin), "{renames:?} {leaves:?}");
}

#[test]
fn a_group_of_seventy_lets_all_of_them_in() {
    const MEMBERS: u8 = 70;
    let mut rehearsal = Rehearsal::of(MEMBERS);
    let session = group(&mut rehearsal, MEMBERS.into());
    rehearsal.pass(2 * MINUTE_MS);
    let view = rehearsal.sessions(0).into_iter().find(|view| view.id == session).unwrap();
    let inside = (1..usize::from(MEMBERS)).filter(|it| is_in(&mut rehearsal, *it, session)).count();
    assert_eq!((view.members.len(), inside), (70, 69));
}

#[test]
fn who_asks_again_and_again_while_a_commit_is_open_breaks_nothing() {
    let mut rehearsal = Rehearsal::of(2);
    let session = rehearsal.befriend(0, 1);
    for number in 0..1_000 {
        rehearsal.say(0, session, &format!("{number}"));
        rehearsal.pass(40);
    }
    rehearsal.pass(MINUTE_MS);
    let mut mallory = Outlaw::of(&rehearsal, 1, session, 200);
    // Bob hears on, and votes for nothing.
    rehearsal.cut_off.insert(1);
    rehearsal.order(0, Order::Renew(session)).unwrap();
    rehearsal.pass(MINUTE_MS);
    assert!(rehearsal.sessions(0)[0].unconfirmed_since.is_some());
    let author = device_id(&rehearsal.device_key(0));
    let ranges = (0..4).map(|part| Range { author, first: 1 + 256 * part, count: 256 }).collect();
    let frame = Frame::Nacks(ranges);
    for _ in 0..90 {
        mallory.say(&mut rehearsal, 0, &frame);
        rehearsal.pass(1_500);
        rehearsal.insider.cells.clear();
        rehearsal.insider.frames.clear();
        rehearsal.forget_held();
    }
    rehearsal.crash(0);
    assert!(is_in(&mut rehearsal, 0, session));
}

/// Two members of a group who know everybody's chains, as every member does, and write on another's.
fn others_write_on_the_chain_of_the_first(numbers: impl Iterator<Item = u64>) {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    rehearsal.say(0, session, "before");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session), ["before"]);
    let mut mallory = Outlaw::of(&rehearsal, 2, session, 0);
    let leaf = mls(&rehearsal, 0, session).own_leaf().0;
    for number in numbers {
        for kind in [FrameKind::Message, FrameKind::Commit, FrameKind::Statement, FrameKind::Need] {
            let cell = mallory.frame_on(&rehearsal, leaf, number, kind);
            rehearsal.feed(1, cell);
        }
        rehearsal.pass(100);
    }
    rehearsal.say(0, session, "after");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session), ["before", "after"]);
}

#[test]
fn no_member_silences_another_with_cells_far_ahead_on_his_chain() {
    others_write_on_the_chain_of_the_first([64 * 60, 64 * 120, 64 * 180].into_iter());
}

#[test]
fn nor_with_cells_on_the_links_he_comes_to_next() {
    others_write_on_the_chain_of_the_first(0..64);
}

/// What a device signed for one link another member seals again under the next.
#[test]
fn a_cell_moved_to_another_link_is_nobodys() {
    let mut rehearsal = Rehearsal::of(3);
    let session = group(&mut rehearsal, 3);
    let epoch = epoch_of(&rehearsal, session, 2);
    let leaf = mls(&rehearsal, 0, session).own_leaf().0;
    rehearsal.say(0, session, "one");
    rehearsal.pass(MINUTE_MS);
    let links = rehearsal.insider.links(&epoch, leaf, 0, 64 * 181);
    let mut rng = ChaCha20Rng::from_seed([68; 32]);
    let opened = rehearsal.insider.cells.iter().find_map(|cell| {
        let link = links.iter().find(|link| link.tag == cell.header().tag)?;
        let header = cell.header();
        Some((*header, link.open(&header.associated_anywhere(), &header.ephemeral, cell.body())?))
    });
    let (header, plaintext) = opened.expect("he said something");
    for number in [64 * 60, 64 * 120, 64 * 180] {
        let sealed = links[number].seal(&mut rng, &header.associated_anywhere(), &plaintext);
        rehearsal.feed(1, build(header, sealed));
        rehearsal.pass(100);
    }
    rehearsal.say(0, session, "two");
    rehearsal.pass(MINUTE_MS);
    assert_eq!(rehearsal.texts(1, session), ["one", "two"]);
}
