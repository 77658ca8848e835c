//! Devices with ledgers, their stores, and a network between them that loses, delays and doubles.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceId, IdentityKey, SessionId, Time};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::super::*;
use crate::store::{MemoryStore, Tx};

pub(super) const SESSION: SessionId = SessionId([9; 16]);
pub(super) const START: Time = Time(1_700_000_000_000);

/// Out of a hundred.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// A call's transaction is not committed, and the device starts again.
    pub(super) crashes: u64,
    /// A call's transaction is committed, and its wishes are lost.
    pub(super) effects_lost: u64,
    pub(super) delay_max_ms: u64,
}

pub(super) struct Device {
    pub(super) member: Member,
    pub(super) store: MemoryStore,
    pub(super) ledger: Ledger,
    pub(super) facts: Vec<Fact>,
    pub(super) asleep: bool,
    /// Others are out of reach unless they are on the same side.
    pub(super) side: u8,
    originals: BTreeMap<MessageId, Vec<u8>>,
    /// The epoch in which it came: what was said in earlier ones, it cannot decrypt.
    since: usize,
}

/// Whither, whence, in which epoch, and what.
type Flight = (DeviceId, DeviceId, usize, Vec<u8>);

pub(super) struct Room {
    pub(super) now: Time,
    pub(super) weather: Weather,
    pub(super) config: LedgerConfig,
    pub(super) devices: BTreeMap<DeviceId, Device>,
    pub(super) rng: ChaCha8Rng,
    pub(super) frames_sent: u64,
    pub(super) relays_sent: u64,
    flying: BTreeMap<(Time, u64), Flight>,
    /// In which epoch a message was said first.
    said_in: BTreeMap<MessageId, usize>,
    flown: u64,
}

pub(super) fn device(person: u8, number: u8) -> DeviceId {
    DeviceId([person, number, 0, 0, 0, 0, 0, 1])
}

pub(super) fn member(person: u8, number: u8) -> Member {
    Member { device: device(person, number), person: IdentityKey([person; 32]) }
}

impl Room {
    /// Persons from 1 on, each with so many devices.
    pub(super) fn new(devices: &[u8], config: LedgerConfig, seed: u64) -> Room {
        let persons = (1..).zip(devices);
        let members: Vec<Member> =
            persons.flat_map(|(person, count)| (1..=*count).map(move |number| member(person, number))).collect();
        let mut room = Room {
            now: START,
            weather: Weather { delay_max_ms: 400, ..Weather::default() },
            config,
            devices: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            frames_sent: 0,
            relays_sent: 0,
            flying: BTreeMap::new(),
            said_in: BTreeMap::new(),
            flown: 0,
        };
        members.iter().for_each(|one| room.add(*one, &members, &Start::default()));
        room
    }

    pub(super) fn add(&mut self, one: Member, members: &[Member], start: &Start) {
        let (mut store, mut out) = (MemoryStore::default(), LedgerOut::default());
        let mut scene = LedgerScene { now: self.now, tx: &mut store, out: &mut out };
        let seed = self.seed();
        let ledger = Ledger::create(&mut scene, SESSION, (one, members), start, self.config.clone(), seed);
        store.commit();
        let (facts, originals) = (Vec::new(), BTreeMap::new());
        let device =
            Device { member: one, store, ledger, facts, asleep: false, side: 0, originals, since: members.len() };
        self.devices.insert(one.device, device);
    }

    /// Somebody lets a newcomer in; the others hear of it when they are told by [`Room::tell_members`].
    pub(super) fn let_in(&mut self, one: Member, by: DeviceId) {
        let start = self.at(by).ledger.start();
        let members: Vec<Member> = self.devices.values().map(|device| device.member).chain([one]).collect();
        self.add(one, &members, &Start::decode(&start.encode()).unwrap());
        self.tell_members(by);
    }

    /// A device hears who is in the session.
    pub(super) fn tell_members(&mut self, who: DeviceId) {
        let members: Vec<Member> = self.devices.values().map(|device| device.member).collect();
        while self.call(who, |ledger, scene| ledger.set_members(scene, &members)).is_none() {}
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.rng.next_u64() % 100 < percent
    }

    pub(super) fn at(&mut self, who: DeviceId) -> &mut Device {
        self.devices.get_mut(&who).unwrap()
    }

    /// Calls a device's ledger in a transaction, which lasts unless the device crashes; then its wishes are carried out.
    #[expect(clippy::unwrap_in_result, reason = "a test that names no device of its room is wrong")]
    pub(super) fn call<T>(
        &mut self,
        who: DeviceId,
        call: impl FnOnce(&mut Ledger, &mut LedgerScene<'_>) -> T,
    ) -> Option<T> {
        let (crashes, effects_lost) = (self.chance(self.weather.crashes), self.chance(self.weather.effects_lost));
        let now = self.now;
        let (device, mut out) = (self.devices.get_mut(&who).unwrap(), LedgerOut::default());
        let said = call(&mut device.ledger, &mut LedgerScene { now, tx: &mut device.store, out: &mut out });
        if crashes {
            device.store.roll_back();
            self.restart(who);
            return None;
        }
        device.store.commit();
        if effects_lost {
            self.restart(who);
            return Some(said);
        }
        let facts = out.facts.clone();
        device.facts.extend(out.facts);
        for wish in out.wishes {
            self.carry_out(who, wish);
        }
        for fact in facts {
            if let Fact::Relayed(id, original) = fact
                && self.said_in.get(&id).is_some_and(|epoch| *epoch >= self.devices[&who].since)
            {
                self.take(who, id.author, &original);
            }
        }
        Some(said)
    }

    pub(super) fn restart(&mut self, who: DeviceId) {
        let (seed, config, now) = (self.seed(), self.config.clone(), self.now);
        let device = self.at(who);
        device.ledger = Ledger::load(&device.store, SESSION, now, config, seed).unwrap();
    }

    fn carry_out(&mut self, who: DeviceId, wish: Wish) {
        match wish {
            Wish::Send(frame) => self.broadcast(who, &frame.encode()),
            Wish::Say { frame, number, .. } => {
                let bytes = frame.encode();
                let epoch = self.epoch_of(who);
                self.said_in.entry(MessageId { author: who, number }).or_insert(epoch);
                self.at(who).originals.entry(MessageId { author: who, number }).or_insert_with(|| bytes.clone());
                self.broadcast(who, &bytes);
                self.call(who, |ledger, scene| ledger.sent(scene, number));
            }
            Wish::Repair(id) => {
                if let Some(original) = self.at(who).originals.get(&id).cloned() {
                    self.relays_sent += 1;
                    self.broadcast(who, &Frame::Relay(id, original).encode());
                }
            }
        }
    }

    fn broadcast(&mut self, from: DeviceId, bytes: &[u8]) {
        self.frames_sent += 1;
        let (side, members) = (self.at(from).side, self.at(from).ledger.members.clone());
        let here = |device: &&Device| members.has(&device.member.device) && !device.asleep && device.side == side;
        let epoch = self.epoch_of(from);
        let to: Vec<DeviceId> = self.devices.values().filter(here).map(|device| device.member.device).collect();
        for to in to {
            let copies = u64::from(!self.chance(self.weather.lost)) + u64::from(self.chance(self.weather.doubled));
            for _ in 0..copies {
                self.flown += 1;
                let at = self.now + 20 + self.rng.next_u64() % (self.weather.delay_max_ms + 1);
                self.flying.insert((at, self.flown), (to, from, epoch, bytes.to_vec()));
            }
        }
    }

    /// Members only ever come: whoever knows of fewer is in an earlier epoch.
    fn epoch_of(&mut self, who: DeviceId) -> usize {
        self.at(who).ledger.peers.len() + 1
    }

    /// A device gets a frame of another's.
    pub(super) fn take(&mut self, who: DeviceId, from: DeviceId, bytes: &[u8]) {
        if self.at(who).asleep {
            return;
        }
        let frame = Frame::decode(from, bytes).unwrap();
        if let Frame::Message(message, ..) = &frame {
            let id = message.id;
            self.at(who).originals.entry(id).or_insert_with(|| bytes.to_vec());
        }
        let result = self.call(who, |ledger, scene| ledger.receive(scene, from, frame));
        assert!(result.is_none_or(|result| result.is_ok()));
    }

    /// Says something; `None` if the device crashed before that was written down.
    pub(super) fn say(&mut self, who: DeviceId, body: &[u8]) -> Option<MessageId> {
        let said = self.call(who, |ledger, scene| ledger.submit(scene, 1, 2, body.to_vec()));
        said.map(|said| said.unwrap().id)
    }

    fn next(&self) -> Option<Time> {
        let wakes = self.devices.values().filter(|device| !device.asleep);
        let wakes = wakes.filter_map(|device| device.ledger.next_wake());
        wakes.chain(self.flying.keys().next().map(|(at, _)| *at)).min()
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, span_ms: u64) {
        let end = self.now + span_ms;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            while let Some(((at, flown), _)) = self.flying.first_key_value()
                && *at <= self.now
            {
                let key = (*at, *flown);
                let (to, from, epoch, bytes) = self.flying.remove(&key).unwrap();
                if epoch <= self.epoch_of(to) {
                    self.take(to, from, &bytes);
                }
            }
            let now = self.now;
            let due = |device: &&Device| !device.asleep && device.ledger.next_wake().is_some_and(|due| due <= now);
            let due: Vec<DeviceId> = self.devices.values().filter(due).map(|device| device.member.device).collect();
            due.into_iter().for_each(|who| {
                self.call(who, |ledger, scene| ledger.wake(scene));
            });
        }
        self.now = end;
    }

    /// What stands in a device's order.
    pub(super) fn order(&self, who: DeviceId) -> Vec<Message> {
        let device = &self.devices[&who];
        let entries = device.ledger.messages(&device.store as &dyn Tx, 0, usize::MAX);
        entries.into_iter().map(|entry| entry.message).collect()
    }

    pub(super) fn state(&self, id: MessageId) -> MessageState {
        let device = &self.devices[&id.author];
        device.ledger.state(&device.store, id.number).unwrap()
    }

    /// Every device has all of these once, every cause before its effect, and every message is delivered.
    pub(super) fn assert_all_is_well(&self, said: &[MessageId]) {
        let said: BTreeSet<MessageId> = said.iter().copied().collect();
        for who in self.devices.keys() {
            let mut seen = BTreeSet::new();
            for message in self.order(*who) {
                let previous = message.id.number.checked_sub(1).filter(|number| *number > 0);
                let previous = previous.map(|number| MessageId { number, ..message.id });
                let mut causes = message.parents.iter().copied().chain(previous);
                assert!(causes.all(|cause| seen.contains(&cause)), "{who}: {message:?} before its cause");
                assert!(seen.insert(message.id), "{who}: {message:?} twice");
            }
            let lost: Vec<_> = said.difference(&seen).collect();
            assert!(lost.is_empty(), "{who} lacks {lost:?}");
        }
        let undelivered: Vec<_> = said.iter().filter(|id| self.state(**id) != MessageState::Delivered).collect();
        assert!(undelivered.is_empty(), "not delivered: {undelivered:?}");
    }
}
