//! One promise each, without weather.

use mainframe_base::{DeviceId, Fault, Refusal};
use proptest::prelude::*;

use super::super::*;
use super::room::{Room, START, device, member};
use crate::store::{MemoryStore, Tx};

const DAY_MS: u64 = 24 * 3_600_000;
const ANNA: DeviceId = DeviceId([1, 1, 0, 0, 0, 0, 0, 1]);
const BERT: DeviceId = DeviceId([2, 1, 0, 0, 0, 0, 0, 1]);
const CLEO: DeviceId = DeviceId([3, 1, 0, 0, 0, 0, 0, 1]);
const DORA: DeviceId = DeviceId([4, 1, 0, 0, 0, 0, 0, 1]);

fn room(devices: &[u8]) -> Room {
    Room::new(devices, LedgerConfig::default(), 1)
}

fn id(author: DeviceId, number: u64) -> MessageId {
    MessageId { author, number }
}

/// A message as its author might have said it.
fn message(id: MessageId, parents: &[MessageId]) -> Message {
    let (lamport, said, body) = (id.number, START, b"well".to_vec());
    let follows = if id.number > 1 { Message::mark(said) } else { 0 };
    Message { id, lamport, parents: parents.to_vec(), follows, said, stream: 0, kind: 0, withdrawn: false, body }
}

/// A device gets this frame of another's, and nobody else does.
fn get(room: &mut Room, who: DeviceId, from: DeviceId, frame: Frame) -> Result<(), Fault> {
    room.call(who, |ledger, scene| ledger.receive(scene, from, frame)).unwrap()
}

fn get_message(room: &mut Room, who: DeviceId, message: Message) {
    let from = message.id.author;
    get(room, who, from, Frame::Message(message, Vec::new(), Asked::Devices(Vec::new()))).unwrap();
}

/// What a device's ledger wishes when it is woken after so long.
fn woken(room: &mut Room, who: DeviceId, after_ms: u64) -> Vec<Wish> {
    room.now = room.now + after_ms;
    let (now, mut out) = (room.now, LedgerOut::default());
    let device = room.at(who);
    device.ledger.wake(&mut LedgerScene { now, tx: &mut device.store, out: &mut out });
    device.store.commit();
    out.wishes
}

fn names(room: &Room, who: DeviceId) -> Vec<MessageId> {
    room.order(who).iter().map(|message| message.id).collect()
}

#[test]
fn a_message_is_delivered_when_each_other_person_has_it_on_one_of_her_devices() {
    let mut room = room(&[2, 2, 1]);
    [device(1, 2), BERT, CLEO].into_iter().for_each(|who| room.at(who).asleep = true);
    let said = room.say(ANNA, b"hello").unwrap();
    assert_eq!(room.state(said), MessageState::Sent);
    room.run(60_000);
    assert_eq!(room.state(said), MessageState::Sent);
    let progress = room.devices[&ANNA].ledger.progress(1);
    assert_eq!(progress.iter().map(|person| person.delivered).collect::<Vec<_>>(), [true, false]);
    room.at(CLEO).asleep = false;
    room.run(2 * 3_600_000);
    assert_eq!(room.state(said), MessageState::Delivered);
    assert!(names(&room, BERT).is_empty() && names(&room, device(1, 2)).is_empty());
}

#[test]
fn what_the_network_holds_is_held_until_it_is_delivered_and_then_read() {
    let mut room = room(&[1, 1]);
    room.at(BERT).asleep = true;
    let said = room.say(ANNA, b"hello").unwrap();
    room.call(ANNA, |ledger, scene| ledger.held(scene, 1));
    assert_eq!(room.state(said), MessageState::Held);
    room.call(ANNA, |ledger, scene| ledger.sent(scene, 1));
    assert_eq!(room.state(said), MessageState::Held);
    room.at(BERT).asleep = false;
    room.run(2 * 3_600_000);
    assert_eq!(room.state(said), MessageState::Delivered);
    room.call(BERT, |ledger, scene| ledger.read(scene, said));
    room.run(60_000);
    assert_eq!(room.state(said), MessageState::Read);
    assert!(room.devices[&ANNA].facts.contains(&Fact::ReadThrough(1)));
    room.restart(ANNA);
    assert_eq!(room.state(said), MessageState::Read);
}

#[test]
fn what_was_read_is_told_three_times_and_to_the_own_devices_too_but_not_by_those_who_do_not_want_to() {
    let mut room = room(&[1, 2]);
    let said = room.say(ANNA, b"hello").unwrap();
    room.run(60_000);
    let before = room.frames_sent;
    room.call(BERT, |ledger, scene| ledger.read(scene, said));
    room.run(DAY_MS);
    assert_eq!(room.frames_sent - before, 3);
    assert!(room.devices[&device(2, 2)].facts.contains(&Fact::ReadElsewhere(said)));
    let discreet = LedgerConfig { tells_reads: false, ..LedgerConfig::default() };
    let mut room = Room::new(&[1, 1], discreet, 1);
    let said = room.say(ANNA, b"hello").unwrap();
    room.run(60_000);
    room.call(BERT, |ledger, scene| ledger.read(scene, said));
    room.run(DAY_MS);
    assert_eq!((room.frames_sent, room.state(said)), (2, MessageState::Delivered));
}

#[test]
fn a_message_taken_back_in_time_leaves_an_empty_place() {
    let mut room = room(&[1, 1]);
    room.at(BERT).asleep = true;
    let said = [room.say(ANNA, b"shame").unwrap(), room.say(ANNA, b"fame").unwrap()];
    assert_eq!(room.call(ANNA, |ledger, scene| ledger.cancel(scene, 1)), Some(true));
    room.restart(ANNA);
    room.at(BERT).asleep = false;
    room.run(2 * 3_600_000);
    let bodies: Vec<(bool, Vec<u8>)> =
        room.order(BERT).into_iter().map(|message| (message.withdrawn, message.body)).collect();
    assert_eq!(bodies, [(true, Vec::new()), (false, b"fame".to_vec())]);
    assert_eq!(room.state(said[0]), MessageState::Failed(Failure::Cancelled));
    assert_eq!(room.state(said[1]), MessageState::Delivered);
    assert_eq!(room.call(ANNA, |ledger, scene| ledger.cancel(scene, 2)), Some(false));
}

#[test]
fn what_nobody_has_after_thirty_days_failed_and_is_still_there_for_who_asks() {
    let mut room = room(&[1, 1]);
    room.at(BERT).asleep = true;
    let said = room.say(ANNA, b"hello").unwrap();
    room.run(31 * DAY_MS);
    assert_eq!(room.state(said), MessageState::Failed(Failure::GaveUp));
    room.at(BERT).asleep = false;
    room.say(ANNA, b"are you there?");
    room.run(60_000);
    assert_eq!(names(&room, BERT), [id(ANNA, 1), id(ANNA, 2)]);
    assert_eq!(room.state(said), MessageState::Failed(Failure::GaveUp));
}

#[test]
fn who_left_does_not_count_and_if_nobody_stays_the_message_failed() {
    let mut room = room(&[1, 1, 1]);
    [BERT, CLEO].into_iter().for_each(|who| room.at(who).asleep = true);
    let said = room.say(ANNA, b"hello").unwrap();
    room.at(CLEO).asleep = false;
    room.run(2 * 3_600_000);
    assert_eq!(room.state(said), MessageState::Sent);
    room.call(ANNA, |ledger, scene| ledger.set_members(scene, &[member(1, 1), member(3, 1)]));
    assert_eq!(room.state(said), MessageState::Delivered);
    room.at(CLEO).asleep = true;
    let said = room.say(ANNA, b"still there?").unwrap();
    room.call(ANNA, |ledger, scene| ledger.set_members(scene, &[member(1, 1)]));
    assert_eq!(room.state(said), MessageState::Failed(Failure::Left));
    let alone = room.say(ANNA, b"a note to myself").unwrap();
    assert_eq!(room.state(alone), MessageState::Delivered);
}

#[test]
fn a_full_outbox_and_a_long_body_are_refused_and_leave_nothing_behind() {
    let mut room = room(&[1, 1]);
    room.at(BERT).asleep = true;
    let refuse = |room: &mut Room, length: usize| {
        room.call(ANNA, |ledger, scene| ledger.submit(scene, 0, 0, vec![0; length])).unwrap().unwrap_err()
    };
    assert_eq!(refuse(&mut room, BODY_MAX + 1), Refusal::TooLong);
    (0..OPEN_MAX).for_each(|_| assert!(room.say(ANNA, b"").is_some()));
    assert_eq!(refuse(&mut room, 1), Refusal::Busy);
    assert_eq!(room.devices[&ANNA].ledger.last_number(), OPEN_MAX as u64);
}

#[test]
fn a_message_waits_for_its_causes_and_is_acknowledged_meanwhile() {
    let mut room = room(&[1, 1, 1]);
    get_message(&mut room, CLEO, message(id(BERT, 1), &[id(ANNA, 2)]));
    get_message(&mut room, CLEO, message(id(ANNA, 2), &[]));
    room.restart(CLEO);
    assert!(names(&room, CLEO).is_empty());
    assert_eq!(room.devices[&CLEO].ledger.counts().waiting, 2);
    assert_eq!(room.devices[&CLEO].ledger.counts().missing, 1);
    get_message(&mut room, CLEO, message(id(ANNA, 4), &[]));
    let acks = woken(&mut room, CLEO, 2_000);
    let ack = Ack { author: ANNA, contiguous: 0, mark: 0, beyond: 0b101 };
    assert!(acks.contains(&Wish::Send(Frame::Acks(vec![ack]))), "{acks:?}");
    get_message(&mut room, CLEO, message(id(ANNA, 1), &[]));
    assert_eq!(names(&room, CLEO), [id(ANNA, 1), id(ANNA, 2), id(BERT, 1)]);
    assert_eq!(room.devices[&CLEO].ledger.counts().waiting, 1);
}

#[test]
fn an_acknowledgement_is_never_acknowledged() {
    let mut room = room(&[1, 1]);
    room.say(ANNA, b"hello");
    room.run(DAY_MS);
    assert_eq!(room.frames_sent, 2);
}

#[test]
fn what_is_missing_is_asked_for_and_passed_on_by_one_who_has_it_if_its_author_is_gone() {
    let mut room = room(&[1, 1, 1, 1, 1]);
    room.at(CLEO).asleep = true;
    room.say(ANNA, b"hello").unwrap();
    room.run(5_000);
    room.at(CLEO).asleep = false;
    room.at(ANNA).asleep = true;
    let answer = room.say(BERT, b"how do you do").unwrap();
    room.run(DAY_MS);
    assert_eq!(names(&room, CLEO), [id(ANNA, 1), answer]);
    assert_eq!(room.relays_sent, 1);
}

#[test]
fn a_cause_lost_for_good_is_given_up_and_taken_late_if_it_comes() {
    let mut room = room(&[1, 1, 1]);
    room.call(CLEO, |ledger, scene| ledger.set_members(scene, &[member(2, 1), member(3, 1)]));
    get_message(&mut room, CLEO, message(id(ANNA, 3), &[]));
    get_message(&mut room, CLEO, message(id(BERT, 1), &[id(ANNA, 3)]));
    woken(&mut room, CLEO, 3_500_000);
    assert!(names(&room, CLEO).is_empty());
    woken(&mut room, CLEO, 200_000);
    assert_eq!(names(&room, CLEO), [id(ANNA, 3), id(BERT, 1)]);
    assert_eq!(room.devices[&CLEO].ledger.gaps(), [Gap { author: ANNA, first: 1, last: 2 }]);
    room.restart(CLEO);
    get_message(&mut room, CLEO, message(id(ANNA, 2), &[]));
    get_message(&mut room, CLEO, message(id(ANNA, 2), &[]));
    assert_eq!(names(&room, CLEO), [id(ANNA, 3), id(BERT, 1), id(ANNA, 2)]);
    assert!(matches!(room.devices[&CLEO].facts.last(), Some(Fact::Came { late: true, .. })));
    assert_eq!(room.devices[&CLEO].ledger.gaps(), [Gap { author: ANNA, first: 1, last: 1 }]);
}

#[test]
fn a_cause_that_is_here_and_waits_itself_is_not_given_up() {
    let mut room = room(&[1, 1, 1, 1]);
    let remaining = [member(2, 1), member(3, 1), member(4, 1)];
    room.call(CLEO, |ledger, scene| ledger.set_members(scene, &remaining));
    // Both wait for what Anna said last, and the second for the first as well.
    get_message(&mut room, CLEO, message(id(DORA, 1), &[id(ANNA, 1), id(BERT, 1)]));
    woken(&mut room, CLEO, 1_800_000);
    get_message(&mut room, CLEO, message(id(BERT, 1), &[id(ANNA, 1)]));
    woken(&mut room, CLEO, 1_700_000);
    assert!(names(&room, CLEO).is_empty());
    woken(&mut room, CLEO, 200_000);
    assert_eq!(names(&room, CLEO), [id(BERT, 1), id(DORA, 1)]);
}

#[test]
fn whoever_left_is_waited_for_in_vain_for_an_hour_once_and_not_for_each_of_his_messages() {
    let mut room = room(&[1, 1, 1, 1]);
    for number in 1..=5 {
        [BERT, DORA].into_iter().for_each(|author| {
            get_message(&mut room, CLEO, message(id(author, number), &[id(ANNA, number)]));
        });
    }
    // Anna leaves when some wait for her already: that ends sooner, whoever starts again.
    let remaining = [member(2, 1), member(3, 1), member(4, 1)];
    room.call(CLEO, |ledger, scene| ledger.set_members(scene, &remaining));
    room.restart(CLEO);
    woken(&mut room, CLEO, 3_700_000);
    assert_eq!(names(&room, CLEO).len(), 10);
    room.restart(CLEO);
    get_message(&mut room, CLEO, message(id(BERT, 6), &[id(ANNA, 6)]));
    assert_eq!(names(&room, CLEO).len(), 10, "somebody may have it yet");
    woken(&mut room, CLEO, 150_000);
    assert_eq!(names(&room, CLEO).len(), 11);
}

#[test]
fn where_causes_are_given_up_lamport_times_tell_what_followed_from_what() {
    let mut room = room(&[1, 1, 1, 1]);
    let said = |id: MessageId, lamport: u64, parents: &[MessageId]| Message { lamport, ..message(id, parents) };
    // Anna's second followed from Dora's, and Bert names Anna's alone: that stood for both.
    get_message(&mut room, CLEO, said(id(BERT, 1), 5, &[id(ANNA, 2)]));
    get_message(&mut room, CLEO, said(id(DORA, 1), 2, &[id(ANNA, 1)]));
    get_message(&mut room, CLEO, said(id(DORA, 2), 3, &[]));
    let remaining = [member(2, 1), member(3, 1), member(4, 1)];
    room.call(CLEO, |ledger, scene| ledger.set_members(scene, &remaining));
    woken(&mut room, CLEO, 3_700_000);
    assert_eq!(names(&room, CLEO), [id(DORA, 1), id(DORA, 2), id(BERT, 1)]);
}

#[test]
fn a_liar_who_names_causes_that_never_were_takes_nobody_elses_messages_away() {
    let mut room = room(&[1, 1, 1]);
    get_message(&mut room, CLEO, message(id(BERT, 1), &[id(ANNA, 1_000_000)]));
    woken(&mut room, CLEO, 31 * DAY_MS);
    assert_eq!(names(&room, CLEO), [id(BERT, 1)]);
    get_message(&mut room, CLEO, message(id(ANNA, 1), &[]));
    assert_eq!(names(&room, CLEO), [id(BERT, 1), id(ANNA, 1)]);
    assert!(room.devices[&CLEO].ledger.gaps().is_empty());
}

#[test]
fn a_newcomer_misses_nothing_of_what_was_before_and_nobody_tells_him() {
    let mut room = room(&[1, 1]);
    (0..5).for_each(|_| {
        room.say(ANNA, b"a secret");
    });
    room.run(60_000);
    room.let_in(member(3, 1), BERT);
    room.at(CLEO).asleep = true;
    // Anna says more before she hears of Cleo.
    let between = room.say(ANNA, b"another secret").unwrap();
    room.at(CLEO).asleep = false;
    room.tell_members(ANNA);
    let first = room.say(ANNA, b"welcome").unwrap();
    room.run(60_000);
    assert_eq!(names(&room, CLEO), [first]);
    assert_eq!(room.state(first), MessageState::Delivered);
    assert!(room.devices[&CLEO].ledger.gaps().is_empty());
    let history = Range { author: ANNA, first: 1, count: 6 };
    get(&mut room, ANNA, CLEO, Frame::Nacks(vec![history])).unwrap();
    let wishes = woken(&mut room, ANNA, 1_000);
    assert!(!wishes.iter().any(|wish| matches!(wish, Wish::Say { .. })), "{wishes:?}");
    assert_eq!(room.state(between), MessageState::Delivered);
}

#[test]
fn who_was_out_for_a_while_does_not_wait_for_what_was_said_meanwhile() {
    let mut room = room(&[1, 1]);
    get_message(&mut room, BERT, message(id(ANNA, 1), &[]));
    get_message(&mut room, BERT, message(id(ANNA, 3), &[]));
    let start = Start { lamport: 70, reached: vec![(ANNA, 9)] };
    room.call(BERT, |ledger, scene| ledger.rejoin(scene, &start));
    get_message(&mut room, BERT, message(id(ANNA, 8), &[]));
    get_message(&mut room, BERT, message(id(ANNA, 10), &[]));
    assert_eq!(names(&room, BERT), [id(ANNA, 1), id(ANNA, 3), id(ANNA, 10)]);
    room.say(BERT, b"back again");
    assert_eq!(room.order(BERT).last().unwrap().lamport, 71);
}

#[test]
fn a_liar_cannot_push_the_clock_to_its_end() {
    let mut room = room(&[1, 1]);
    let lie = Message { lamport: u64::MAX, ..message(id(ANNA, 1), &[]) };
    get_message(&mut room, BERT, lie);
    room.say(BERT, b"oh");
    assert_eq!(room.order(BERT).last().unwrap().lamport, (1 << 16) + 1);
}

#[test]
fn who_claims_what_cannot_be_is_at_fault() {
    let mut room = room(&[1, 1, 1]);
    let stranger = device(4, 1);
    room.say(ANNA, b"hello");
    let ack = |contiguous, beyond| Frame::Acks(vec![Ack { author: ANNA, contiguous, mark: 0, beyond }]);
    for lie in [
        ack(2, 0),
        ack(0, 1),
        ack(u64::MAX, 1),
        Frame::Read(vec![id(ANNA, 2)]),
        Frame::Message(message(id(stranger, 1), &[]), Vec::new(), Asked::Everybody),
        Frame::Message(message(id(BERT, 1), &[id(ANNA, 2)]), Vec::new(), Asked::Everybody),
    ] {
        assert_eq!(get(&mut room, ANNA, BERT, lie.clone()), Err(Fault::Impossible), "{lie:?}");
    }
    assert_eq!(get(&mut room, ANNA, stranger, ack(1, 0)), Err(Fault::Impossible));
    assert_eq!(room.state(id(ANNA, 1)), MessageState::Sent);
    assert!(!room.devices[&ANNA].facts.contains(&Fact::Outdated));
}

#[test]
fn two_who_heard_more_than_a_device_remembers_tell_it_that_it_is_an_old_copy() {
    let mut room = room(&[1, 1, 1]);
    let answer = |author| Frame::Message(message(id(author, 1), &[id(ANNA, 2)]), Vec::new(), Asked::Everybody);
    assert_eq!(get(&mut room, ANNA, BERT, answer(BERT)), Err(Fault::Impossible));
    assert_eq!(get(&mut room, ANNA, CLEO, answer(CLEO)), Ok(()));
    assert!(room.devices[&ANNA].facts.contains(&Fact::Outdated));
    assert_eq!(names(&room, ANNA), [id(CLEO, 1)]);
}

#[test]
fn a_flood_of_messages_without_causes_is_bounded_and_ends_no_honest_one() {
    let mut room = room(&[1, 1, 1]);
    (2..6_000).for_each(|number| get_message(&mut room, CLEO, message(id(BERT, number), &[])));
    let counts = room.devices[&CLEO].ledger.counts();
    assert_eq!((counts.waiting, counts.missing, counts.refused), (2_048, 1, 3_950));
    get_message(&mut room, CLEO, message(id(ANNA, 2), &[]));
    get_message(&mut room, CLEO, message(id(ANNA, 1), &[]));
    assert_eq!(names(&room, CLEO), [id(ANNA, 1), id(ANNA, 2)]);
    get_message(&mut room, CLEO, message(id(BERT, 1), &[]));
    assert_eq!(names(&room, CLEO).len(), 2 + 2_049);
}

#[test]
fn what_is_sent_again_leaves_room_for_what_is_new() {
    let mut room = room(&[1, 1]);
    room.at(BERT).asleep = true;
    (0..500).for_each(|_| {
        room.say(ANNA, b"hello");
    });
    let numbers: Vec<u64> = (1..=500).collect();
    let now = room.now;
    room.at(ANNA).ledger.resend(now, &numbers);
    let first = woken(&mut room, ANNA, 0);
    assert_eq!(first.len(), 64);
    assert!(first.iter().all(|wish| matches!(wish, Wish::Say { again: true, number: 1..=64, .. })));
    assert!(woken(&mut room, ANNA, 0).is_empty());
    assert_eq!(woken(&mut room, ANNA, 20).len(), 64);
}

#[test]
fn how_long_somebody_slept_is_no_measure_of_how_long_he_takes_to_answer() {
    let mut room = room(&[1, 1]);
    room.at(BERT).asleep = true;
    room.say(ANNA, b"hello");
    room.run(50 * 60_000);
    // He gets it from those who held it for him.
    let ack = Ack { author: ANNA, contiguous: 1, mark: 0, beyond: 0 };
    get(&mut room, ANNA, BERT, Frame::Acks(vec![ack])).unwrap();
    room.at(BERT).asleep = false;
    room.weather.lost = 100;
    let said = room.say(ANNA, b"did you sleep well?").unwrap();
    room.weather.lost = 0;
    room.run(60_000);
    assert_eq!(room.state(said), MessageState::Delivered);
}

#[test]
fn what_was_written_down_and_had_not_left_leaves_after_a_crash() {
    let mut room = room(&[1, 1]);
    room.weather.effects_lost = 100;
    let said = room.say(ANNA, b"hello").unwrap();
    assert_eq!((room.state(said), room.frames_sent), (MessageState::Queued, 0));
    room.weather.effects_lost = 0;
    room.run(5_000);
    assert_eq!(room.state(said), MessageState::Delivered);
}

#[test]
fn what_could_not_leave_says_why_and_is_tried_again() {
    let mut room = room(&[1, 1]);
    room.weather.lost = 100;
    room.say(ANNA, b"hello");
    room.at(ANNA).ledger.not_sent(1, Refusal::NotConnected);
    let entry = |room: &Room| {
        let anna = &room.devices[&ANNA];
        anna.ledger.messages(&anna.store, 0, 1).remove(0)
    };
    assert_eq!(entry(&room).hindrance, Some(Refusal::NotConnected));
    room.weather.lost = 0;
    room.run(60_000);
    assert_eq!((entry(&room).hindrance, entry(&room).state), (None, Some(MessageState::Delivered)));
}

#[test]
fn the_order_is_read_on_from_any_place_and_sessions_do_not_mix() {
    let (mut store, mut out) = (MemoryStore::default(), LedgerOut::default());
    let mut ledgers: Vec<Ledger> = [3, 4, 5]
        .map(|session| {
            let mut scene = LedgerScene { now: START, tx: &mut store, out: &mut out };
            let session = mainframe_base::SessionId([session; 16]);
            let members = [member(1, 1), member(2, 1)];
            Ledger::create(
                &mut scene,
                session,
                (members[0], &members),
                &Start::default(),
                LedgerConfig::default(),
                [0; 32],
            )
        })
        .into();
    for round in 0..100u8 {
        for (index, ledger) in (0u8..).zip(&mut ledgers) {
            let mut scene = LedgerScene { now: START, tx: &mut store, out: &mut out };
            ledger.submit(&mut scene, 0, 0, vec![index, round]).unwrap();
        }
    }
    let page = |after: u64, limit| ledgers[1].messages(&store as &dyn Tx, after, limit);
    let bodies: Vec<Vec<u8>> = page(0, 1_000).into_iter().map(|entry| entry.message.body).collect();
    assert_eq!(bodies, (0..100u8).map(|round| vec![1, round]).collect::<Vec<_>>());
    assert_eq!(page(97, 2).iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [98, 99]);
    let session = mainframe_base::SessionId([4; 16]);
    let loaded = Ledger::load(&store, session, START, LedgerConfig::default(), [0; 32]).unwrap();
    assert_eq!((loaded.counts().open, loaded.last_number()), (100, 100));
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..8, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>().prop_map(|number| number.max(1))]
}

fn any_author() -> impl Strategy<Value = DeviceId> {
    prop_oneof![Just(ANNA), Just(BERT), Just(CLEO), Just(device(7, 7))]
}

fn any_ids() -> impl Strategy<Value = Vec<MessageId>> {
    prop::collection::btree_map(any_author(), any_number(), 0..3)
        .prop_map(|ids| ids.into_iter().map(|(author, number)| id(author, number)).collect())
}

fn any_acks() -> impl Strategy<Value = Vec<Ack>> {
    let contiguous = prop_oneof![any_number(), Just(0)];
    (any_author(), contiguous, any::<u64>())
        .prop_map(|(author, contiguous, beyond)| vec![Ack { author, contiguous, mark: 0, beyond }])
}

fn any_ranges() -> impl Strategy<Value = Vec<Range>> {
    (any_author(), any_number(), 1..=RANGE_MAX).prop_map(|(author, first, count)| vec![Range { author, first, count }])
}

/// Frames as only a liar sends them.
fn any_lie() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (any_author(), any_number(), any_ids(), any_number(), any_acks()).prop_map(
            |(author, number, parents, lamport, acks)| {
                let parents: Vec<MessageId> = parents.into_iter().filter(|parent| parent.author != author).collect();
                let lie = Message { lamport, ..message(id(author, number), &parents[..parents.len().min(2)]) };
                Frame::Message(lie, acks, Asked::Everybody)
            }
        ),
        any_acks().prop_map(Frame::Acks),
        any_ranges().prop_map(Frame::Nacks),
        any_ids().prop_map(Frame::Read),
        (any_author(), any_number()).prop_map(|(author, number)| Frame::Relay(id(author, number), vec![1])),
        (any_author(), any::<u64>()).prop_map(|(device, number)| Frame::Floor(device, number)),
    ]
}

proptest! {
    #[test]
    fn no_lies_make_a_ledger_panic_or_forget_or_say_a_thing_twice(
        lies in prop::collection::vec((any_author(), any_lie(), 0u64..3 * DAY_MS), 1..60),
    ) {
        let mut room = room(&[1, 1, 1]);
        room.say(CLEO, b"hello");
        for (from, lie, pause_ms) in lies {
            let _ = get(&mut room, CLEO, from, lie);
            woken(&mut room, CLEO, pause_ms);
            let before = names(&room, CLEO);
            room.restart(CLEO);
            prop_assert_eq!(names(&room, CLEO), before);
        }
        let mut names = names(&room, CLEO);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), count);
    }
}
