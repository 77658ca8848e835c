//! Several endpoint halves that hear each other: every cell reaches all of them after a while, or is lost.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceKey, IdentityKey, Luminosity, Prefix, Refusal, Secret, SessionId, Time};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::insider::Insider;
use super::{
    CommandId, Endpoint, EndpointCommand, EndpointConfig, EndpointEffect, EndpointEvent, EndpointInput, EndpointReply,
    Outcome, RelayCommand, RelayReply,
};
use crate::crypto::{
    Card, Identity, InvitationSecret, LetterKind, LinkCode, Name, Presence, Recipient, Region, hours_of, seal_letter,
};
use crate::hold::ATTENDANCES_MAX;
use crate::session::contact::{Account, Whom};
use crate::session::fragment::{Fragment, FrameKind, split};
use crate::session::ledger::MessageState;
use crate::session::{Answer, Order, OwnDevice, Persona, SessionEvent, SessionView, Unable, Waiting};
use crate::store::MemoryStore;
use crate::wire::{Cell, HoldClass};

const START: Time = Time(1_800_000_000_000);
const QUESTION: CommandId = CommandId(1);

/// One device: an endpoint half with one person on it, and its store.
pub(super) struct Device {
    pub(super) endpoint: Endpoint,
    pub(super) store: MemoryStore,
    pub(super) key: IdentityKey,
    secrets: Secret<{ Identity::SECRETS_LENGTH }>,
    name: Name,
    /// The code it shows, if it waits for its person.
    code: Option<LinkCode>,
    seed: u8,
    restarts: u8,
    pub(super) events: Vec<SessionEvent>,
    /// The regions it listens to.
    pub(super) regions: BTreeSet<Prefix>,
}

/// Devices, and what is under way between them.
pub(super) struct Rehearsal {
    pub(super) now: Time,
    pub(super) devices: Vec<Device>,
    under_way: BTreeMap<(Time, u64), (usize, Cell)>,
    sent: u64,
    pub(super) cells: u64,
    rng: ChaCha20Rng,
    /// Of a hundred cells so many are lost.
    pub(super) loss_percent: u64,
    /// Who hears nothing and is not heard.
    pub(super) cut_off: BTreeSet<usize>,
    /// Who is heard, and hears nothing.
    pub(super) deaf: BTreeSet<usize>,
    /// What was sent to those who are cut off, if it is held for them.
    held: Vec<(usize, Cell)>,
    /// Whose next input is lost with all that followed from it, because power fails.
    pub(super) failing: BTreeSet<usize>,
    /// How many regions a device can listen to.
    pub(super) regions_max: usize,
    /// Reads all cells over everybody's shoulder.
    pub(super) insider: Insider,
}

impl Rehearsal {
    /// As many people, each with one device, who do not know each other.
    pub(super) fn of(people: u8) -> Rehearsal {
        let mut rehearsal = Rehearsal {
            now: START,
            devices: Vec::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            cells: 0,
            rng: ChaCha20Rng::from_seed([9; 32]),
            loss_percent: 0,
            cut_off: BTreeSet::new(),
            deaf: BTreeSet::new(),
            held: Vec::new(),
            failing: BTreeSet::new(),
            regions_max: ATTENDANCES_MAX,
            insider: Insider::default(),
        };
        for seed in 0..people {
            let identity = Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]));
            rehearsal.add_device(identity, seed);
        }
        rehearsal
    }

    /// Adds a device of a person; returns its number.
    pub(super) fn add_device(&mut self, identity: Identity, seed: u8) -> usize {
        self.begin(&identity, Name::new("phone").unwrap(), None, seed)
    }

    /// Adds a device that waits for its person; returns its number and the code it shows.
    pub(super) fn add_waiting(&mut self, seed: u8, hours: u32) -> (usize, LinkCode) {
        let keys = Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]));
        let code = LinkCode {
            scan_key: keys.scan_key(),
            region: "01".parse().unwrap(),
            device: mainframe_mls::DeviceSecret::new(Secret::new([seed + 100; 32])).key(),
            name: Name::new("tablet").unwrap(),
            secret: InvitationSecret::from_bytes([seed; 32]),
            expires_hours: hours_of(self.now) + hours,
        };
        (self.begin(&keys, code.name.clone(), Some(code.clone()), seed), code)
    }

    fn begin(&mut self, keys: &Identity, name: Name, code: Option<LinkCode>, seed: u8) -> usize {
        let device = Device {
            endpoint: Endpoint::new(EndpointConfig::default(), [seed; 32]),
            store: MemoryStore::default(),
            key: keys.key(),
            secrets: keys.secrets(),
            name,
            code,
            seed,
            restarts: 0,
            events: Vec::new(),
            regions: BTreeSet::new(),
        };
        self.devices.push(device);
        let number = self.devices.len() - 1;
        self.seat(number);
        number
    }

    /// A device whose account came becomes its person's, in as many steps as its owner gets to; three are all.
    pub(super) fn become_the_person(&mut self, number: usize, steps: u8) {
        let link = self.devices[number].key;
        let Some(account) = self.account_for(number) else { panic!("no account: {}", self.told(&[number])) };
        let certificate = account.belongings.certificate_of(&self.device_key(number)).unwrap();
        let name = certificate.name.clone();
        let device = &mut self.devices[number];
        (device.secrets, device.key, device.name) = (account.secrets.clone(), account.belongings.card.identity(), name);
        let code = device.code.take();
        self.seat(number);
        if steps > 1 {
            self.order(number, Order::Receive(Box::new(account.belongings.clone()))).unwrap();
        }
        if steps > 2 {
            self.command(number, EndpointCommand::StopAwaiting(link));
        } else {
            // It starts again with what its owner had written down.
            let device = &mut self.devices[number];
            let identity = Identity::generate(&mut ChaCha20Rng::from_seed([device.seed; 32]));
            (device.secrets, device.key, device.code) = (identity.secrets(), link, code);
        }
    }

    /// The account that came for a device that waits.
    pub(super) fn account_for(&mut self, number: usize) -> Option<std::sync::Arc<Account>> {
        let link = self.devices[number].key;
        let reply = self.command(number, EndpointCommand::AccountFor(link))?;
        let EndpointReply::Person(Ok(answer)) = reply else { return None };
        let Answer::Account(account) = *answer else { panic!("no account but {answer:?}") };
        Some(account)
    }

    /// A device opens a letter that whoever has its person's keys wrote.
    pub(super) fn letter_to_himself(&mut self, number: usize, body: &[u8]) {
        let (now, card) = (self.now, self.card(number));
        let device = &mut self.devices[number];
        let identity = Identity::from_secrets(&device.secrets);
        let to = Recipient::of_card(&card, None);
        let letter = seal_letter(&mut self.rng, &identity, &to, LetterKind::Account, now, body).unwrap();
        let (_, pieces) = split(FrameKind::Letter, &letter, self.rng.next_u32()).unwrap();
        for piece in pieces {
            let fragment = Fragment::read(&piece).unwrap();
            device.endpoint.letter_piece(now, card.scan_key(), fragment, &mut device.store, &mut Vec::new());
        }
    }

    /// A device of a person who was restored from a file, on a new machine.
    pub(super) fn restore_account(&mut self, account: &Account, seed: u8) -> usize {
        let number = self.add_device(Identity::from_secrets(&account.secrets), seed);
        self.order(number, Order::Receive(Box::new(account.belongings.clone()))).unwrap();
        number
    }

    fn seat(&mut self, number: usize) {
        let device = &self.devices[number];
        let region: Prefix = "01".parse().unwrap();
        if let Some(code) = device.code.clone() {
            let waiting = Waiting {
                keys: Identity::from_secrets(&device.secrets),
                device: code.device,
                secret: code.secret,
                expires_hours: code.expires_hours,
                region,
            };
            self.command(number, EndpointCommand::AwaitAccount(Box::new(waiting)));
            return;
        }
        let until_hours = hours_of(self.now) + 10_000;
        let persona = Persona {
            identity: Identity::from_secrets(&device.secrets),
            device: Secret::new([device.seed + 100; 32]),
            device_name: device.name.clone(),
            name: Name::new("somebody").unwrap(),
            regions: vec![Region { prefix: region, presence: Presence::Resident, until_hours }],
            luminosity_floor: Luminosity::new(2).unwrap(),
        };
        self.command(number, EndpointCommand::AddPersona(Box::new(persona)));
    }

    /// The device loses what it had not committed, and all memory, and starts again.
    pub(super) fn crash(&mut self, number: usize) {
        let device = &mut self.devices[number];
        device.store.roll_back();
        device.restarts += 1;
        // Never one that was used before.
        let mut seed = [device.seed; 32];
        (seed[0], seed[31]) = (!device.seed, device.restarts);
        device.endpoint = Endpoint::new(EndpointConfig::default(), seed);
        self.seat(number);
    }

    /// The person does not live on this node any more.
    pub(super) fn move_out(&mut self, number: usize) {
        let key = self.devices[number].key;
        self.command(number, EndpointCommand::RemovePersona(key));
    }

    /// And lives there again, as another device.
    pub(super) fn move_in(&mut self, number: usize, seed: u8) {
        self.devices[number].seed = seed;
        self.seat(number);
    }

    /// Another person lives on this node too.
    pub(super) fn add_person_to(&mut self, number: usize, seed: u8) -> IdentityKey {
        let identity = Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]));
        let key = identity.key();
        let persona = Persona {
            identity,
            device: Secret::new([seed + 100; 32]),
            device_name: Name::new("phone").unwrap(),
            name: Name::new("another").unwrap(),
            regions: vec![Region {
                prefix: "01".parse().unwrap(),
                presence: Presence::Resident,
                until_hours: hours_of(self.now) + 10_000,
            }],
            luminosity_floor: Luminosity::new(2).unwrap(),
        };
        self.command(number, EndpointCommand::AddPersona(Box::new(persona)));
        key
    }

    /// Makes somebody a contact of the other person of a node.
    pub(super) fn befriend_second(&mut self, one: usize, number: usize, other: IdentityKey) -> SessionId {
        let Some(EndpointReply::Person(Ok(answer))) = self.command(number, EndpointCommand::Order(other, Order::Card))
        else {
            panic!("no card")
        };
        let Answer::Card(card) = *answer else { panic!("no card") };
        self.order(one, Order::AddContact(Whom::Card(*card), "hello".into())).unwrap();
        self.pass(3_000);
        let asker = self.devices[one].key;
        self.command(number, EndpointCommand::Order(other, Order::AcceptContact(asker)));
        self.pass(8_000);
        let views = self.sessions(one);
        views.iter().find(|view| view.members.iter().any(|it| it.person == other)).expect("a session of two").id
    }

    /// What a thief of the device would have: its store as it is.
    pub(super) fn copy_of_store(&self, number: usize) -> MemoryStore {
        self.devices[number].store.clone()
    }

    /// The device goes on from an older copy of its store.
    pub(super) fn restore(&mut self, number: usize, backup: MemoryStore) {
        self.devices[number].store = backup;
        self.crash(number);
    }

    /// The seed of a device's own key.
    pub(super) fn device_seed(&self, number: usize) -> Secret<32> {
        Secret::new([self.devices[number].seed + 100; 32])
    }

    /// Asks for something.
    pub(super) fn order(&mut self, number: usize, order: Order) -> Result<Answer, Unable> {
        self.try_order(number, order).expect("whoever is asked answers")
    }

    /// Asks for something; no answer if power fails.
    pub(super) fn try_order(&mut self, number: usize, order: Order) -> Option<Result<Answer, Unable>> {
        let key = self.devices[number].key;
        match self.command(number, EndpointCommand::Order(key, order)) {
            Some(EndpointReply::Person(answer)) => Some(answer.map(|answer| *answer)),
            _ => None,
        }
    }

    fn command(&mut self, number: usize, command: EndpointCommand) -> Option<EndpointReply> {
        self.handle(number, EndpointInput::Command(QUESTION, command))
    }

    fn handle(&mut self, number: usize, input: EndpointInput) -> Option<EndpointReply> {
        let device = &mut self.devices[number];
        let mut out = Vec::new();
        device.endpoint.handle(self.now, input, &mut device.store, &mut out);
        if self.failing.remove(&number) {
            self.crash(number);
            return None;
        }
        device.store.commit();
        self.insider.look(&device.store);
        let mut reply = None;
        for effect in out {
            match effect {
                EndpointEffect::Cell(id, dispatch) => {
                    let packet = dispatch.cell.id();
                    // Everybody hears everything, so one part is enough.
                    let cell = dispatch.cell.first_part();
                    self.spread(number, &cell);
                    self.handle(number, EndpointInput::Answer(id, RelayReply::Accepted(packet)));
                    self.handle(number, EndpointInput::Outcome(packet, Outcome::HandedOver));
                }
                EndpointEffect::Ask(id, command) => {
                    let reply = self.answer(number, command);
                    self.handle(number, EndpointInput::Answer(id, reply));
                }
                EndpointEffect::Reply(_, answer) => reply = Some(answer),
                EndpointEffect::Publish(EndpointEvent::Person(_, event)) => self.devices[number].events.push(*event),
                EndpointEffect::Publish(EndpointEvent::Opened(_)) => {}
            }
        }
        reply
    }

    /// What a relay half answers.
    fn answer(&mut self, number: usize, command: RelayCommand) -> RelayReply {
        let regions = &mut self.devices[number].regions;
        if let RelayCommand::Attend { region, .. } = command {
            if !regions.contains(&region) && regions.len() >= self.regions_max {
                return RelayReply::Refused(Refusal::TooManyRegions);
            }
            regions.insert(region);
        } else if let RelayCommand::Unattend(region) = command {
            regions.remove(&region);
        }
        RelayReply::Done
    }

    /// A device hears a cell, whoever sent it.
    pub(super) fn feed(&mut self, number: usize, cell: Cell) {
        self.handle(number, EndpointInput::Cell(cell));
    }

    /// What was held for those who are away is lost.
    pub(super) fn forget_held(&mut self) {
        self.held.clear();
    }

    fn spread(&mut self, from: usize, cell: &Cell) {
        self.cells += 1;
        self.insider.sent(self.now, cell);
        for to in (0..self.devices.len()).filter(|to| *to != from) {
            if self.rng.next_u64() % 100 < self.loss_percent {
                continue;
            }
            if self.cut_off.contains(&to) || self.cut_off.contains(&from) || self.deaf.contains(&to) {
                if cell.header().hold_class != HoldClass::Live && !self.cut_off.contains(&from) {
                    self.held.push((to, cell.clone()));
                }
                continue;
            }
            self.sent += 1;
            let at = self.now + 20 + self.rng.next_u64() % 60;
            self.under_way.insert((at, self.sent), (to, cell.clone()));
        }
    }

    /// Everyone hears everyone again, and gets what was held.
    pub(super) fn reconnect(&mut self) {
        self.cut_off.clear();
        self.deaf.clear();
        for (to, cell) in std::mem::take(&mut self.held) {
            self.sent += 1;
            self.under_way.insert((self.now + 50, self.sent), (to, cell));
        }
    }

    /// The same, but what was held comes with the latest first.
    pub(super) fn reconnect_backwards(&mut self) {
        self.held.reverse();
        self.reconnect();
    }

    /// Lets so much time go by.
    pub(super) fn pass(&mut self, span_ms: u64) {
        let until = self.now + span_ms;
        loop {
            let wakes =
                self.devices.iter().enumerate().filter_map(|(number, it)| Some((it.endpoint.next_wake()?, number)));
            let wake = wakes.min().filter(|(at, _)| *at <= until);
            let arrival = self.under_way.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= until);
            match (wake, arrival) {
                (None, None) => break,
                (Some((at, number)), arrival) if arrival.is_none_or(|(arrives, _)| at <= arrives) => {
                    self.now = at.max(self.now);
                    self.handle(number, EndpointInput::Wake);
                }
                (_, Some(key)) => {
                    self.now = key.0.max(self.now);
                    let (to, cell) = self.under_way.remove(&key).expect("just seen");
                    self.handle(to, EndpointInput::Cell(cell));
                }
                (Some(_), None) => unreachable!("the first arm took it"),
            }
        }
        self.now = until;
    }

    /// What some devices were told, for whoever looks for a mistake.
    pub(super) fn told(&self, devices: &[usize]) -> String {
        let of = |number: &usize| format!("{number}: {:#?}", self.devices[*number].events);
        devices.iter().map(of).collect::<Vec<_>>().join("\n")
    }

    /// A person's card.
    pub(super) fn card(&mut self, number: usize) -> Card {
        match self.order(number, Order::Card) {
            Ok(Answer::Card(card)) => *card,
            other => panic!("no card but {other:?}"),
        }
    }

    /// Makes two people contacts; returns their session.
    pub(super) fn befriend(&mut self, one: usize, other: usize) -> SessionId {
        let card = self.card(other);
        self.order(one, Order::AddContact(Whom::Card(card), "hello".into())).unwrap();
        self.pass(3_000);
        let asker = self.devices[one].key;
        self.order(other, Order::AcceptContact(asker)).unwrap();
        self.pass(8_000);
        let pair = |view: &SessionView| view.members.len() == 2 && view.members.iter().any(|it| it.person == asker);
        let views = self.sessions(other);
        let found = views.iter().rev().find(|view| pair(view)).map(|view| view.id);
        found.unwrap_or_else(|| panic!("no session of two: {} cells\n{}", self.cells, self.told(&[one, other])))
    }

    /// The key of a device.
    pub(super) fn device_key(&self, number: usize) -> DeviceKey {
        mainframe_mls::DeviceSecret::new(Secret::new([self.devices[number].seed + 100; 32])).key()
    }

    /// A person's devices, as one of them knows them.
    pub(super) fn own_devices(&mut self, number: usize) -> Vec<OwnDevice> {
        match self.order(number, Order::Devices) {
            Ok(Answer::Devices(devices)) => devices,
            other => panic!("no devices but {other:?}"),
        }
    }

    /// A person's sessions.
    pub(super) fn sessions(&mut self, number: usize) -> Vec<SessionView> {
        match self.order(number, Order::Sessions) {
            Ok(Answer::Sessions(views)) => views,
            other => panic!("no sessions but {other:?}"),
        }
    }

    /// Says a text; returns its number.
    pub(super) fn say(&mut self, number: usize, session: SessionId, text: &str) -> u64 {
        self.try_say(number, session, text).expect("it can be said")
    }

    /// Says a text, unless that cannot be or power fails; returns its number.
    pub(super) fn try_say(&mut self, number: usize, session: SessionId, text: &str) -> Option<u64> {
        let body = text.as_bytes().to_vec();
        match self.try_order(number, Order::Say { session, stream: 0, kind: 0, body }) {
            Some(Ok(Answer::Said(id, _))) => Some(id.number),
            _ => None,
        }
    }

    /// What stands in a session on a device, in order.
    pub(super) fn texts(&mut self, number: usize, session: SessionId) -> Vec<String> {
        match self.order(number, Order::Messages { session, after: 0, limit: 100_000 }) {
            Ok(Answer::Messages(entries)) => {
                entries.into_iter().map(|entry| String::from_utf8(entry.message.body).unwrap()).collect()
            }
            other => panic!("no messages but {other:?}"),
        }
    }

    /// How far a device's own message got.
    pub(super) fn state(&self, number: usize, session: SessionId, message: u64) -> Option<MessageState> {
        let state = |event: &SessionEvent| {
            let SessionEvent::State(of, it, state) = event else { return None };
            ((*of, *it) == (session, message)).then_some(*state)
        };
        self.devices[number].events.iter().rev().find_map(state)
    }
}
