//! The endpoint half: holds people's keys and opens what is sealed to them.
//!
//! It works in fixed ticks, so that neither slow cryptography nor a commit shows in the timing of what the relay half
//! forwards. A cell it cannot open is kept for a while: the key may come after the cell.

use std::collections::VecDeque;

use mainframe_base::{PacketId, Refusal, Tag, Time, TopicKey};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::outbox::Outbox;
use super::talking::ForeignTags;
use super::{
    CommandId, EndpointCommand, EndpointEffect, EndpointEvent, EndpointInput, EndpointReply, EndpointStatus, Letter,
    OpenedBy, Recipient, inbox,
};
use crate::crypto::{
    BodyKey, PersonKeys, Sealed, Verifier, recognise_person, recognise_topic, seal_to_person, seal_to_topic,
};
use crate::packet::{Dispatch, RING_BYTES_MAX, Ring};
use crate::session::fragment::{Fragment, FrameKind, piece_length_max, split_into};
use crate::session::{SessionConfig, Sessions};
use crate::store::Tx;
use crate::wire::{Cell, CellHeader, ExpiryBucket, SizeClass};

/// Statements about commits whose signatures are remembered as good (guess: all that a group of 128 says until a commit
/// is decided, some 100 kB).
const STATEMENTS_MAX: usize = 1_024;

/// Bounds and pace of the endpoint half.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// People it scans for at most: each costs a key agreement per cell of the region, 60 µs.
    pub persons_max: usize,
    /// Topics it reads at most: each costs two hashes per cell of the region, 1 µs.
    pub topics_max: usize,
    /// Length of a tick, in milliseconds: below what a person notices, above what a commit takes (guess).
    pub tick_ms: u64,
    /// Keys tried per tick at most: 256 key agreements take 15 ms.
    pub trials_per_tick: usize,
    /// Pace of sessions.
    pub session: SessionConfig,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        EndpointConfig {
            persons_max: 8,
            topics_max: 1_024,
            tick_ms: 20,
            trials_per_tick: 256,
            session: SessionConfig::default(),
        }
    }
}

struct Topic {
    key: TopicKey,
    fingerprint: [u8; 8],
}

/// A kept cell to be tried again with a key that came later.
struct Rescan {
    key: OpenedBy,
    cells: VecDeque<PacketId>,
}

/// The endpoint half of a node.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Endpoint {
    config: EndpointConfig,
    rng: ChaCha20Rng,
    pub(super) persons: Vec<PersonKeys>,
    topics: Vec<Topic>,
    pub(super) sessions: Sessions,
    pub(super) outbox: Outbox,
    queue: VecDeque<Cell>,
    queue_bytes: usize,
    pub(super) foreign: Ring,
    pub(super) foreign_tags: ForeignTags,
    rescans: VecDeque<Rescan>,
    next_tick: Option<Time>,
    scanned: u64,
    opened: u64,
    overflowed: u64,
}

impl Endpoint {
    /// An endpoint without keys. `rng_seed` must be unpredictable: it makes ephemeral keys.
    pub fn new(config: EndpointConfig, rng_seed: [u8; 32]) -> Endpoint {
        let mut rng = ChaCha20Rng::from_seed(rng_seed);
        let sessions_seed = blake3::derive_key("mainframe 2026 randomness of sessions", &rng_seed);
        Endpoint {
            sessions: Sessions::new(config.session.clone(), Verifier::new(STATEMENTS_MAX), sessions_seed),
            outbox: Outbox::default(),
            foreign_tags: ForeignTags::default(),
            config,
            persons: Vec::new(),
            topics: Vec::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            foreign: Ring::new(rng.next_u64()),
            rng,
            rescans: VecDeque::new(),
            next_tick: None,
            scanned: 0,
            opened: 0,
            overflowed: 0,
        }
    }

    /// Takes one input, changes state, and appends what it causes to `out`. Never blocks and never fails.
    pub fn handle(&mut self, now: Time, input: EndpointInput, tx: &mut dyn Tx, out: &mut Vec<EndpointEffect>) {
        match input {
            EndpointInput::Cell(cell) => self.enqueue(now, cell),
            EndpointInput::Command(id, command) => self.command(now, id, command, tx, out),
            EndpointInput::Answer(id, reply) => self.relay_answered(now, id, &reply, tx, out),
            EndpointInput::Outcome(packet, outcome) => self.packet_ended(now, &packet, outcome, tx, out),
            EndpointInput::Wake => self.tick(now, tx, out),
        }
    }

    /// When `Wake` is due: the next tick, if there is work.
    pub fn next_wake(&self) -> Option<Time> {
        let others = self.sessions.next_wake().into_iter().chain(self.outbox.next_wake());
        others.map(|due| self.tick_at(due)).chain(self.next_tick).min()
    }

    /// Defers a cell to the next ticks; past the bound the oldest is kept for later keys only.
    pub(super) fn enqueue(&mut self, now: Time, cell: Cell) {
        self.queue_bytes += cell.bytes().len();
        self.queue.push_back(cell);
        while self.queue_bytes > RING_BYTES_MAX {
            let Some(oldest) = self.queue.pop_front() else { break };
            self.queue_bytes -= oldest.bytes().len();
            self.overflowed += 1;
            self.keep_foreign(now, oldest);
        }
        self.schedule(now);
    }

    fn schedule(&mut self, now: Time) {
        let tick = self.tick_at(now + 1);
        self.next_tick.get_or_insert(tick);
    }

    /// The first tick that is not before a moment.
    fn tick_at(&self, moment: Time) -> Time {
        let tick_ms = self.config.tick_ms.max(1);
        Time(moment.0.div_ceil(tick_ms) * tick_ms)
    }

    fn keep_foreign(&mut self, now: Time, cell: Cell) {
        self.foreign_tags.note(&cell, &self.foreign, &self.sessions);
        self.foreign.put(now, cell);
    }

    fn command(
        &mut self,
        now: Time,
        id: CommandId,
        command: EndpointCommand,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let reply = match command {
            EndpointCommand::AddPerson(keys) => self.add_person(now, keys),
            EndpointCommand::RemovePerson(scan_key) => {
                self.persons.retain(|person| person.scan_key() != scan_key);
                EndpointReply::Done
            }
            EndpointCommand::AddPersona(persona) => self.add_persona(now, *persona, tx, out),
            EndpointCommand::RemovePersona(key) => self.remove_persona(now, &key, tx, out),
            EndpointCommand::Order(person, order) => self.order(now, person, order, tx, out),
            EndpointCommand::AwaitAccount(waiting) => self.await_account(now, *waiting, tx, out),
            EndpointCommand::AccountFor(link) => self.account_for(&link, tx),
            EndpointCommand::StopAwaiting(link) => self.stop_awaiting(now, &link, tx, out),
            EndpointCommand::AddTopic(key) => self.add_topic(now, key),
            EndpointCommand::RemoveTopic(key) => {
                self.topics.retain(|topic| topic.key != key);
                EndpointReply::Done
            }
            EndpointCommand::Inbox { after, limit } => EndpointReply::Inbox(inbox::after(tx, after, limit)),
            EndpointCommand::Status => EndpointReply::Status(self.status()),
            EndpointCommand::Send(letter) => match self.seal(now, &letter) {
                Ok(dispatch) => return out.push(EndpointEffect::Cell(id, dispatch)),
                Err(refusal) => EndpointReply::Refused(refusal),
            },
        };
        out.push(EndpointEffect::Reply(id, reply));
    }

    pub(super) fn add_person(&mut self, now: Time, keys: PersonKeys) -> EndpointReply {
        let scan_key = keys.scan_key();
        if self.persons.iter().any(|person| person.scan_key() == scan_key) {
            return EndpointReply::Done;
        }
        if self.persons.len() >= self.config.persons_max {
            return EndpointReply::Refused(Refusal::TooManyKeys);
        }
        self.persons.push(keys);
        self.rescan(now, OpenedBy::Person(scan_key));
        EndpointReply::Done
    }

    fn add_topic(&mut self, now: Time, key: TopicKey) -> EndpointReply {
        if self.topics.iter().any(|topic| topic.key == key) {
            return EndpointReply::Done;
        }
        if self.topics.len() >= self.config.topics_max {
            return EndpointReply::Refused(Refusal::TooManyKeys);
        }
        let fingerprint = topic_fingerprint(&key);
        self.topics.push(Topic { key, fingerprint });
        self.rescan(now, OpenedBy::Topic(fingerprint));
        EndpointReply::Done
    }

    fn rescan(&mut self, now: Time, key: OpenedBy) {
        self.foreign.forget_older_than(now);
        let cells: VecDeque<PacketId> = self.foreign.newest_first().map(|(_, cell)| cell.id()).collect();
        if !cells.is_empty() {
            self.rescans.push_back(Rescan { key, cells });
            self.schedule(now);
        }
    }

    fn status(&self) -> EndpointStatus {
        EndpointStatus {
            persons: self.persons.len(),
            topics: self.topics.len(),
            scanned: self.scanned,
            opened: self.opened,
            sessions: self.sessions.len(),
            waiting: self.queue.len(),
            unsent: self.outbox.waiting(),
            overflowed: self.overflowed,
            recent_bytes: self.foreign.bytes(),
        }
    }

    /// Seals a letter into a cell for the relay half, which answers.
    fn seal(&mut self, now: Time, letter: &Letter) -> Result<Dispatch, Refusal> {
        let (size_class, plaintext) = one_cell(&letter.body, self.rng.next_u32()).ok_or(Refusal::TooLong)?;
        let header = CellHeader {
            size_class,
            hold_class: letter.hold,
            acknowledge: false,
            destination: letter.destination,
            expiry: ExpiryBucket::of_new_cell(now, &mut self.rng),
            tag: Tag([0; 16]),
            ephemeral: [0; 32],
        };
        let associated = header.associated();
        let sealed = match &letter.to {
            Recipient::Person(scan_key) => seal_to_person(&mut self.rng, scan_key, &associated, &plaintext),
            Recipient::Topic(key) => Some(seal_to_topic(&mut self.rng, key, &associated, &plaintext)),
        };
        let Sealed { tag, ephemeral, body } = sealed.ok_or(Refusal::WeakKey)?;
        let mut filling = [0; 80];
        self.rng.fill_bytes(&mut filling);
        let cell = Cell::build(CellHeader { tag, ephemeral, ..header }, filling, &body);
        Ok(Dispatch { cell: cell.into(), budget: letter.budget, instead_of: letter.instead_of })
    }

    /// Looks at waiting cells, then at kept ones for which a key came, as far as the tick's budget goes.
    fn tick(&mut self, now: Time, tx: &mut dyn Tx, out: &mut Vec<EndpointEffect>) {
        self.next_tick = None;
        self.wake_sessions(now, tx, out);
        let mut trials = self.config.trials_per_tick;
        while trials > 0 {
            let Some(cell) = self.queue.pop_front() else { break };
            self.queue_bytes -= cell.bytes().len();
            trials = trials.saturating_sub(self.persons.len().max(1));
            self.look_at(now, cell, tx, out);
        }
        while trials > 0 {
            let Some(rescan) = self.rescans.front_mut() else { break };
            let Some(id) = rescan.cells.pop_front() else {
                self.rescans.pop_front();
                continue;
            };
            trials -= 1;
            let key = rescan.key.clone();
            self.look_again_at(now, &id, &key, tx, out);
        }
        if !self.queue.is_empty() || !self.rescans.is_empty() {
            self.schedule(now);
        }
    }

    /// Every cell is tried with every key, whichever fits: how long it takes does not tell.
    fn look_at(&mut self, now: Time, cell: Cell, tx: &mut dyn Tx, out: &mut Vec<EndpointEffect>) {
        self.scanned += 1;
        let CellHeader { ephemeral, tag, .. } = cell.header();
        let persons = self.persons.iter().filter_map(|person| {
            Some((OpenedBy::Person(person.scan_key()), recognise_person(person, ephemeral, tag)?))
        });
        let topics = self.topics.iter().filter_map(|topic| {
            Some((OpenedBy::Topic(topic.fingerprint), recognise_topic(&topic.key, ephemeral, tag)?))
        });
        let recognised = persons.chain(topics).last();
        if self.sessions.awaits(cell.header()) && self.session_cell(now, &cell, tx, out) {
            self.opened += 1;
            return;
        }
        match recognised {
            Some((opened_by, key)) => self.open(now, &cell, opened_by, key, tx, out),
            None => self.keep_foreign(now, cell),
        }
    }

    fn look_again_at(
        &mut self,
        now: Time,
        id: &PacketId,
        opened_by: &OpenedBy,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let Some(cell) = self.foreign.get(id).cloned() else { return };
        let CellHeader { ephemeral, tag, .. } = cell.header();
        let key = match opened_by {
            OpenedBy::Person(scan_key) => self
                .persons
                .iter()
                .find(|person| person.scan_key() == *scan_key)
                .and_then(|person| recognise_person(person, ephemeral, tag)),
            OpenedBy::Topic(fingerprint) => self
                .topics
                .iter()
                .find(|topic| topic.fingerprint == *fingerprint)
                .and_then(|topic| recognise_topic(&topic.key, ephemeral, tag)),
        };
        if let Some(key) = key {
            self.foreign.remove(id);
            self.open(now, &cell, opened_by.clone(), key, tx, out);
        }
    }

    /// Opens a recognised cell, once. What does not open or is not understood was spoiled by somebody, and is dropped.
    fn open(
        &mut self,
        now: Time,
        cell: &Cell,
        opened_by: OpenedBy,
        key: BodyKey,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let header = cell.header();
        let opened = key.open(&header.associated(), &header.tag, cell.body());
        let Some(fragment) = opened.and_then(|plaintext| Fragment::read(&plaintext)) else { return };
        if let (FrameKind::Letter, OpenedBy::Person(scan_key)) = (fragment.kind(), &opened_by) {
            self.opened += 1;
            return self.letter_piece(now, *scan_key, fragment, tx, out);
        }
        let Some(body) = fragment.plain() else { return };
        if inbox::has(tx, &cell.id()) {
            return;
        }
        self.opened += 1;
        let message = inbox::put(tx, now, cell.id(), opened_by, body);
        out.push(EndpointEffect::Publish(EndpointEvent::Opened(message)));
    }
}

/// The plaintext of the one cell that holds a body, and its class; `None` if one does not hold it.
fn one_cell(body: &[u8], number: u32) -> Option<(SizeClass, Vec<u8>)> {
    [SizeClass::T, SizeClass::B]
        .into_iter()
        .find(|class| body.len() <= piece_length_max(FrameKind::Plain, *class))
        .and_then(|class| Some((class, split_into(class, FrameKind::Plain, body, number).pop()?)))
}

/// By what a topic is named without telling its key: the first 8 bytes of a keyed hash.
pub fn topic_fingerprint(key: &TopicKey) -> [u8; 8] {
    let hash = blake3::keyed_hash(&key.0, b"mainframe topic fingerprint");
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::wire::Parcel;
    use crate::wire::{BudgetClass, HoldClass};
    use mainframe_base::Prefix;

    fn endpoint(seed: u8) -> Endpoint {
        Endpoint::new(EndpointConfig::default(), [seed; 32])
    }

    fn person(seed: u8) -> PersonKeys {
        PersonKeys::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
    }

    fn run(endpoint: &mut Endpoint, now: u64, input: EndpointInput, store: &mut MemoryStore) -> Vec<EndpointEffect> {
        let mut out = Vec::new();
        endpoint.handle(Time(now), input, store, &mut out);
        out
    }

    fn sent_to(to: Recipient, body: &[u8]) -> Cell {
        let command = EndpointCommand::Send(Letter {
            to,
            destination: Prefix::EVERYONE,
            hold: HoldClass::Live,
            budget: BudgetClass::MAX,
            instead_of: None,
            body: body.to_vec(),
        });
        let out = run(&mut endpoint(1), 0, EndpointInput::Command(CommandId(1), command), &mut MemoryStore::default());
        match out.into_iter().next() {
            Some(EndpointEffect::Cell(CommandId(1), Dispatch { cell: Parcel::Cell(cell), .. })) => cell,
            other => panic!("no cell but {other:?}"),
        }
    }

    fn add(endpoint: &mut Endpoint, keys: PersonKeys, store: &mut MemoryStore) {
        run(endpoint, 0, EndpointInput::Command(CommandId(0), EndpointCommand::AddPerson(keys)), store);
    }

    fn bodies(out: &[EndpointEffect]) -> Vec<&[u8]> {
        out.iter()
            .filter_map(|effect| match effect {
                EndpointEffect::Publish(EndpointEvent::Opened(message)) => Some(&message.body[..]),
                EndpointEffect::Cell(..)
                | EndpointEffect::Ask(..)
                | EndpointEffect::Reply(..)
                | EndpointEffect::Publish(EndpointEvent::Person(..)) => None,
            })
            .collect()
    }

    #[test]
    fn only_the_person_it_is_sealed_to_opens_a_cell_and_only_at_a_tick() {
        let cell = sent_to(Recipient::Person(person(7).scan_key()), b"hello");
        for (owner, expected) in [(7, vec![&b"hello"[..]]), (8, vec![])] {
            let (mut bob, mut store) = (endpoint(2), MemoryStore::default());
            add(&mut bob, person(owner), &mut store);
            assert!(run(&mut bob, 5, EndpointInput::Cell(cell.clone()), &mut store).is_empty());
            assert_eq!(bob.next_wake(), Some(Time(20)));
            assert_eq!(bodies(&run(&mut bob, 20, EndpointInput::Wake, &mut store)), expected);
        }
    }

    #[test]
    fn a_cell_that_comes_twice_is_opened_once_even_after_a_restart() {
        let cell = sent_to(Recipient::Person(person(7).scan_key()), b"once");
        let mut store = MemoryStore::default();
        let mut opened = 0;
        for _ in 0..2 {
            let mut bob = endpoint(2);
            add(&mut bob, person(7), &mut store);
            for _ in 0..2 {
                run(&mut bob, 0, EndpointInput::Cell(cell.clone()), &mut store);
                opened += bodies(&run(&mut bob, 20, EndpointInput::Wake, &mut store)).len();
            }
            store.commit();
        }
        assert_eq!(opened, 1);
    }

    #[test]
    fn a_key_that_comes_after_the_cell_still_opens_it() {
        let key = TopicKey([3; 32]);
        let cell = sent_to(Recipient::Topic(key.clone()), b"early");
        let (mut bob, mut store) = (endpoint(2), MemoryStore::default());
        run(&mut bob, 0, EndpointInput::Cell(cell), &mut store);
        assert!(run(&mut bob, 20, EndpointInput::Wake, &mut store).is_empty());
        run(&mut bob, 60_000, EndpointInput::Command(CommandId(2), EndpointCommand::AddTopic(key)), &mut store);
        assert_eq!(bodies(&run(&mut bob, 60_020, EndpointInput::Wake, &mut store)), [b"early"]);
    }

    #[test]
    fn a_message_too_long_for_a_cell_is_refused_and_one_that_fits_is_not() {
        let letter = |length| Letter {
            to: Recipient::Topic(TopicKey([1; 32])),
            destination: Prefix::EVERYONE,
            hold: HoldClass::Live,
            budget: BudgetClass::MAX,
            instead_of: None,
            body: vec![0; length],
        };
        let send = |length| EndpointCommand::Send(letter(length));
        let mut store = MemoryStore::default();
        let out = run(&mut endpoint(1), 0, EndpointInput::Command(CommandId(1), send(16_025)), &mut store);
        assert!(matches!(out[..], [EndpointEffect::Reply(_, EndpointReply::Refused(Refusal::TooLong))]));
        let out = run(&mut endpoint(1), 0, EndpointInput::Command(CommandId(1), send(16_024)), &mut store);
        assert!(matches!(out[..], [EndpointEffect::Cell(..)]));
    }

    #[test]
    fn a_node_scans_for_eight_people_and_refuses_the_ninth() {
        let (mut node, mut store) = (endpoint(1), MemoryStore::default());
        for seed in 0..8 {
            add(&mut node, person(seed), &mut store);
        }
        let out =
            run(&mut node, 0, EndpointInput::Command(CommandId(9), EndpointCommand::AddPerson(person(9))), &mut store);
        assert!(matches!(out[..], [EndpointEffect::Reply(_, EndpointReply::Refused(Refusal::TooManyKeys))]));
    }

    #[test]
    fn a_flood_of_cells_waits_within_its_bound() {
        let cell = sent_to(Recipient::Topic(TopicKey([1; 32])), b"x");
        let (mut node, mut store) = (endpoint(1), MemoryStore::default());
        for _ in 0..RING_BYTES_MAX / 2_048 + 100 {
            run(&mut node, 0, EndpointInput::Cell(cell.clone()), &mut store);
        }
        assert_eq!(node.status().overflowed, 100);
        assert!(node.queue_bytes <= RING_BYTES_MAX);
    }
}
