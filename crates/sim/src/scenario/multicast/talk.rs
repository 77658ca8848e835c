//! What is said besides the messages while people talk: acknowledgements above all. Real ledgers, one device a person; every
//! frame is heard by everybody else after a moment, and none is lost.

use std::collections::BTreeMap;

use mainframe_base::{DeviceId, IdentityKey, SessionId, Time};
use mainframe_core::session::ledger::{Frame, Ledger, LedgerConfig, LedgerOut, LedgerScene, Member, Start, Wish};
use mainframe_core::store::MemoryStore;

use crate::dice::Dice;

const SESSION: SessionId = SessionId([7; 16]);
const START: Time = Time(1_800_000_000_000);
/// How long a frame is under way: what a packet takes to a region of the network this is played beside, in milliseconds.
const UNDER_WAY_MS: u64 = 200;
/// Nobody holds an acknowledgement back for so long, in milliseconds.
const SILENCE_MAX_MS: u64 = 7 * 24 * 3_600_000;

/// A conversation.
pub(super) struct Talk {
    pub(super) messages: u64,
    /// All frames, the messages among them.
    pub(super) frames: u64,
}

struct Person {
    ledger: Ledger,
    store: MemoryStore,
}

struct Room {
    now: Time,
    persons: Vec<Person>,
    under_way: BTreeMap<(Time, u64), (usize, Frame)>,
    frames: u64,
}

impl Talk {
    /// So many people say so many messages, one after each interval, each by whoever the dice name; then all is waited for
    /// until everybody is known to have everything.
    pub(super) fn play(people: usize, messages: u64, interval_ms: u64, dice: &mut Dice) -> Talk {
        let mut room = Room::of(people);
        for _ in 0..messages {
            let speaker = dice.below(people);
            room.call(speaker, |ledger, scene| {
                ledger.submit(scene, 0, 0, vec![0; 1_024]).expect("there is room");
            });
            room.pass(interval_ms);
        }
        let end = room.now + SILENCE_MAX_MS;
        while room.persons.iter().any(|person| person.ledger.counts().open > 0) {
            assert!(room.now < end, "somebody never says what he has");
            room.pass(60_000);
        }
        Talk { messages, frames: room.frames }
    }

    /// Frames for each message.
    pub(super) fn frames_each(&self) -> f64 {
        self.frames as f64 / self.messages as f64
    }
}

impl Room {
    fn of(people: usize) -> Room {
        let member = |number: usize| {
            let number = number as u64 + 1;
            let mut person = [0; 32];
            person[..8].copy_from_slice(&number.to_be_bytes());
            Member { device: DeviceId(number.to_be_bytes()), person: IdentityKey(person) }
        };
        let members: Vec<Member> = (0..people).map(member).collect();
        let person = |number: usize| {
            let (mut store, mut out) = (MemoryStore::default(), LedgerOut::default());
            let mut scene = LedgerScene { now: START, tx: &mut store, out: &mut out };
            let (config, seed) = (LedgerConfig::default(), [number as u8; 32]);
            let who = (members[number], &members[..]);
            let ledger = Ledger::create(&mut scene, SESSION, who, &Start::default(), config, seed);
            Person { ledger, store }
        };
        Room { now: START, persons: (0..people).map(person).collect(), under_way: BTreeMap::new(), frames: 0 }
    }

    fn call(&mut self, who: usize, call: impl FnOnce(&mut Ledger, &mut LedgerScene<'_>)) {
        let (person, mut out) = (&mut self.persons[who], LedgerOut::default());
        call(&mut person.ledger, &mut LedgerScene { now: self.now, tx: &mut person.store, out: &mut out });
        person.store.commit();
        for wish in out.wishes {
            let frame = match wish {
                Wish::Send(frame) => frame,
                Wish::Say { frame, number, .. } => {
                    let mut out = LedgerOut::default();
                    let Person { ledger, store } = &mut self.persons[who];
                    ledger.sent(&mut LedgerScene { now: self.now, tx: store, out: &mut out }, number);
                    frame
                }
                Wish::Repair(_) => continue,
            };
            self.frames += 1;
            self.under_way.insert((self.now + UNDER_WAY_MS, self.frames), (who, frame));
        }
    }

    fn pass(&mut self, span_ms: u64) {
        let end = self.now + span_ms;
        loop {
            let wakes = self.persons.iter().enumerate().filter_map(|(who, it)| Some((it.ledger.next_wake()?, who)));
            let wake = wakes.min().filter(|(at, _)| *at <= end);
            let arrival = self.under_way.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= end);
            match (wake, arrival) {
                (None, None) => break,
                (Some((at, who)), arrival) if arrival.is_none_or(|(arrives, _)| at <= arrives) => {
                    self.now = self.now.max(at);
                    self.call(who, |ledger, scene| ledger.wake(scene));
                }
                (_, Some(key)) => self.arrive(key),
                (Some(_), None) => unreachable!("the arm before took it"),
            }
        }
        self.now = end;
    }

    fn arrive(&mut self, key: (Time, u64)) {
        let Some((from, frame)) = self.under_way.remove(&key) else { return };
        self.now = self.now.max(key.0);
        let device = DeviceId((from as u64 + 1).to_be_bytes());
        for who in (0..self.persons.len()).filter(|who| *who != from) {
            let frame = frame.clone();
            self.call(who, |ledger, scene| ledger.receive(scene, device, frame).expect("they keep to the rules"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_two_every_message_is_acknowledged_and_in_a_busy_group_they_ride() {
        let pair = Talk::play(2, 20, 60_000, &mut Dice::new(1, "talk"));
        assert!((1.9..=2.0).contains(&pair.frames_each()), "{}", pair.frames_each());
        let group = Talk::play(30, 300, 1_000, &mut Dice::new(1, "talk"));
        assert!(group.frames_each() < 1.2, "{}", group.frames_each());
    }
}
