//! Worlds from seeds: whatever is lost, doubled, delayed, cut off or crashed, in the end everybody has everything.

use super::super::*;
use super::room::{Room, Weather, device, member};
use mainframe_base::DeviceId;
use rand_core::Rng;

const STORM: Weather = Weather { lost: 20, doubled: 10, crashes: 3, effects_lost: 3, delay_max_ms: 4_000 };
const CALM: Weather = Weather { lost: 0, doubled: 0, crashes: 0, effects_lost: 0, delay_max_ms: 400 };

/// Everybody says something now and then.
fn chatter(room: &mut Room, messages: usize, pause_ms: u64) -> Vec<MessageId> {
    let awake: Vec<DeviceId> = room.devices.keys().copied().collect();
    let mut said = Vec::new();
    for index in 0..messages {
        let who = awake[room.rng.next_u64() as usize % awake.len()];
        if !room.devices[&who].asleep {
            said.extend(room.say(who, &index.to_be_bytes()));
        }
        let pause_ms = room.rng.next_u64() % (2 * pause_ms + 1);
        room.run(pause_ms);
    }
    said
}

fn storm(devices: &[u8], seed: u64) -> (Room, Vec<MessageId>) {
    let mut room = Room::new(devices, LedgerConfig::default(), seed);
    room.weather = STORM;
    let mut said = chatter(&mut room, 60, 500);
    // Half of them cannot hear the other half, and one sleeps.
    let halves: Vec<DeviceId> = room.devices.keys().copied().collect();
    halves.iter().enumerate().for_each(|(index, who)| room.at(*who).side = (index % 2) as u8);
    said.extend(chatter(&mut room, 40, 2_000));
    halves.iter().for_each(|who| room.at(*who).side = 0);
    room.at(halves[0]).asleep = true;
    said.extend(chatter(&mut room, 40, 60_000));
    room.at(halves[0]).asleep = false;
    said.extend(chatter(&mut room, 20, 500));
    (room, said)
}

#[test]
fn in_a_storm_nothing_is_lost_or_doubled_and_causes_come_before_effects() {
    let shapes: [&[u8]; 6] = [&[1, 1], &[2, 1], &[3, 2], &[1, 1, 1], &[2, 1, 3, 1], &[1, 2, 1, 1, 1, 2, 1, 3]];
    for (seed, devices) in (1..).zip(shapes) {
        let (mut room, said) = storm(devices, seed);
        room.weather = CALM;
        room.run(24 * 3_600_000);
        room.assert_all_is_well(&said);
    }
}

#[test]
fn many_small_storms_end_well() {
    for seed in 100..140 {
        let (mut room, said) = storm(&[2, 1, 1], seed);
        room.weather = CALM;
        room.run(24 * 3_600_000);
        room.assert_all_is_well(&said);
    }
}

#[test]
fn a_newcomer_in_a_storm_gets_what_is_said_once_its_author_knows_him() {
    for seed in 200..220 {
        let mut room = Room::new(&[1, 2, 1, 1], LedgerConfig::default(), seed);
        room.weather = STORM;
        let mut said = chatter(&mut room, 60, 300);
        let before: Vec<DeviceId> = room.devices.keys().copied().collect();
        let newcomer = member(9, 1);
        room.let_in(newcomer, before[0]);
        let mut owed = Vec::new();
        for who in before {
            let knows = room.devices[&who].ledger.last_number();
            said.extend(chatter(&mut room, 10, 300));
            room.tell_members(who);
            owed.push((who, knows.max(room.devices[&who].ledger.last_number())));
        }
        said.extend(chatter(&mut room, 60, 300));
        room.weather = CALM;
        room.run(24 * 3_600_000);
        let order: Vec<MessageId> = room.order(newcomer.device).iter().map(|message| message.id).collect();
        let newcomer = room.devices.remove(&newcomer.device).unwrap();
        assert_eq!(newcomer.ledger.counts().waiting, 0);
        room.assert_all_is_well(
            &said.iter().copied().filter(|id| id.author != newcomer.member.device).collect::<Vec<_>>(),
        );
        let known = |id: &&MessageId| owed.iter().any(|(who, number)| id.author == *who && id.number > *number);
        let owed: Vec<&MessageId> = said.iter().filter(known).collect();
        assert!(owed.len() > 40 && owed.iter().all(|id| order.contains(id)));
    }
}

#[test]
fn a_thousand_messages_a_second_come_through_although_one_in_twenty_is_lost() {
    let config = LedgerConfig { ack_delay_ms: (20, 50), nack_delay_ms: (100, 200), ..LedgerConfig::default() };
    let mut room = Room::new(&[1, 1], config, 4);
    room.weather = Weather { lost: 5, delay_max_ms: 100, ..Weather::default() };
    let mut said = Vec::new();
    for _ in 0..10_000 {
        said.extend(room.say(device(1, 1), &[1; 200]));
        room.run(1);
    }
    room.run(3_000);
    room.assert_all_is_well(&said);
}

#[test]
fn once_everybody_has_everything_nobody_says_anything() {
    let (mut room, _) = storm(&[2, 1, 1], 5);
    room.weather = CALM;
    room.run(24 * 3_600_000);
    let before = room.frames_sent;
    room.run(40 * 24 * 3_600_000);
    assert_eq!(room.frames_sent, before);
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = || {
        let (room, said) = storm(&[2, 1, 1], 7);
        let orders: Vec<Vec<Message>> = room.devices.keys().map(|who| room.order(*who)).collect();
        (said, room.frames_sent, orders)
    };
    assert_eq!(story(), story());
}

/// Frames sent by all for each message said, when a group talks and nothing is lost; and when one message stands alone.
fn frames_per_message(persons: u8, pause_ms: u64, messages: usize) -> f64 {
    let mut room = Room::new(&vec![1; usize::from(persons)], LedgerConfig::default(), 11);
    let said = chatter(&mut room, messages, pause_ms);
    room.run(3_600_000);
    room.assert_all_is_well(&said);
    room.frames_sent as f64 / said.len() as f64
}

#[test]
fn acknowledgements_ride_along_or_are_few() {
    let lively = [2, 8, 50].map(|persons| frames_per_message(persons, 500, 200));
    let slow = [2, 8, 50].map(|persons| frames_per_message(persons, 20_000, 50));
    let alone = [2, 8, 50].map(|persons| frames_per_message(persons, 0, 1));
    println!("frames per message in pairs, eights, fifties: lively {lively:.2?}, slow {slow:.2?}, alone {alone:.2?}");
    assert!(lively.iter().all(|frames| *frames < 2.5), "{lively:?}");
    assert!(slow[0] <= 2.0 && slow[1] <= 8.0, "{slow:?}");
    assert_eq!(alone, [2.0, 8.0, 50.0]);
}

#[test]
fn somebody_asleep_costs_one_frame_an_hour_and_gets_everything_when_he_wakes() {
    let mut room = Room::new(&[1, 1], LedgerConfig::default(), 3);
    let (awake, asleep) = (device(1, 1), device(2, 1));
    room.at(asleep).asleep = true;
    let said: Vec<MessageId> = (0..100).filter_map(|_| room.say(awake, b"?")).collect();
    room.run(6 * 3_600_000);
    let before = room.frames_sent;
    room.run(24 * 3_600_000);
    assert!((20..=30).contains(&(room.frames_sent - before)), "{}", room.frames_sent - before);
    room.at(asleep).asleep = false;
    room.run(2 * 3_600_000);
    room.assert_all_is_well(&said);
}

/// A device asks for messages of another's, over and over for a while; how many frames that costs.
fn frames_for_asking(room: &mut Room, from: DeviceId, asks: usize, span_ms: u64, range: Range) -> u64 {
    let before = room.frames_sent;
    for _ in 0..asks {
        let frame = Frame::Nacks(vec![range]);
        room.call(range.author, |ledger, scene| ledger.receive(scene, from, frame)).unwrap().unwrap();
        room.run(span_ms / asks as u64);
    }
    room.frames_sent - before
}

#[test]
fn whoever_asks_again_and_again_at_once_gets_each_message_once() {
    let mut room = Room::new(&[1, 1], LedgerConfig::default(), 1);
    let (author, asker) = (device(1, 1), device(2, 1));
    for _ in 0..100 {
        room.say(author, b"hello").unwrap();
    }
    room.run(60_000);
    room.at(asker).asleep = true;
    assert_eq!(frames_for_asking(&mut room, asker, 9, 900, Range { author, first: 1, count: 100 }), 100);
    room.run(60_000);
    assert_eq!(frames_for_asking(&mut room, asker, 1, 900, Range { author, first: 1, count: 100 }), 100);
}

#[test]
fn also_if_he_asked_for_thousands_of_others_before() {
    let mut room = Room::new(&[1, 1], LedgerConfig::default(), 1);
    let (author, asker) = (device(1, 1), device(2, 1));
    for _ in 0..50 {
        for _ in 0..100 {
            room.say(author, b"hello").unwrap();
        }
        room.run(1_000);
    }
    room.run(60_000);
    room.at(asker).asleep = true;
    for first in (500..5_000).step_by(250) {
        frames_for_asking(&mut room, asker, 1, 500, Range { author, first, count: 250 });
    }
    assert_eq!(frames_for_asking(&mut room, asker, 9, 900, Range { author, first: 1, count: 100 }), 100);
}

#[test]
fn who_asks_again_and_again_for_what_was_before_him_is_told_once() {
    let mut room = Room::new(&[1, 1], LedgerConfig::default(), 1);
    let (author, newcomer) = (device(1, 1), device(3, 1));
    room.say(author, b"hello").unwrap();
    room.run(60_000);
    room.let_in(member(3, 1), author);
    room.at(newcomer).asleep = true;
    assert_eq!(frames_for_asking(&mut room, newcomer, 9, 900, Range { author, first: 1, count: 1 }), 1);
}
