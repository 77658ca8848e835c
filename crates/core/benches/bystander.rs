//! What a cell that is not ours costs whoever listens to its region: with sessions only, and with first contact on for one
//! person and for eight; beside one X25519, which is what trying one scan key takes at least.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mainframe_base::{IdentityKey, Luminosity, Secret, Tag, Time};
use mainframe_core::crypto::{Identity, Name, PersonKeys, Presence, Region};
use mainframe_core::session::contact::Whom;
use mainframe_core::session::{Answer, Order, Persona};
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{
    CommandId, Endpoint, EndpointCommand, EndpointConfig, EndpointEffect, EndpointInput, EndpointReply, Outcome,
    RelayReply,
};
use mainframe_core::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, Parcel, SizeClass};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const START: Time = Time(1_800_000_000_000);
/// Cells that come between two ticks: as many as one tick looks at for one person.
const CELLS: usize = 256;

/// A node's endpoint half with one person on it.
struct Node {
    endpoint: Endpoint,
    store: MemoryStore,
    key: IdentityKey,
    now: Time,
    sent: Vec<Cell>,
}

impl Node {
    fn new(seed: u8) -> Node {
        let identity = Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]));
        let endpoint = Endpoint::new(EndpointConfig::default(), [seed; 32]);
        let key = identity.key();
        let mut node = Node { endpoint, store: MemoryStore::default(), key, now: START, sent: Vec::new() };
        let prefix = "01".parse().expect("a prefix");
        let persona = Persona {
            identity,
            device: Secret::new([seed + 100; 32]),
            device_name: Name::new("phone").expect("a name"),
            name: Name::new("somebody").expect("a name"),
            regions: vec![Region { prefix, presence: Presence::Resident, until_hours: 510_000 }],
            luminosity_floor: Luminosity::at_most(2),
        };
        node.command(EndpointCommand::AddPersona(Box::new(persona)));
        node
    }

    fn order(&mut self, order: Order) -> Answer {
        match self.command(EndpointCommand::Order(self.key, order)) {
            Some(EndpointReply::Person(Ok(answer))) => *answer,
            _ => panic!("an order that is answered"),
        }
    }

    fn command(&mut self, command: EndpointCommand) -> Option<EndpointReply> {
        self.handle(EndpointInput::Command(CommandId(1), command))
    }

    fn handle(&mut self, input: EndpointInput) -> Option<EndpointReply> {
        let (mut out, mut reply) = (Vec::new(), None);
        self.endpoint.handle(self.now, input, &mut self.store, &mut out);
        self.store.commit();
        for effect in out {
            match effect {
                EndpointEffect::Cell(id, dispatch) => {
                    let Parcel::Cell(cell) = dispatch.cell else { continue };
                    let packet = cell.id();
                    self.sent.push(cell);
                    self.handle(EndpointInput::Answer(id, RelayReply::Accepted(packet)));
                    self.handle(EndpointInput::Outcome(packet, Outcome::HandedOver));
                }
                EndpointEffect::Ask(id, _) => drop(self.handle(EndpointInput::Answer(id, RelayReply::Done))),
                EndpointEffect::Reply(_, answer) => reply = Some(answer),
                EndpointEffect::Publish(_) => {}
            }
        }
        reply
    }

    /// Hears cells, and looks at all of them.
    fn hear(&mut self, cells: Vec<Cell>) {
        cells.into_iter().for_each(|cell| drop(self.handle(EndpointInput::Cell(cell))));
        let scanned = self.scanned();
        while self.waits() {
            self.now = self.endpoint.next_wake().expect("cells wait").max(self.now);
            self.handle(EndpointInput::Wake);
        }
        assert!(self.scanned() > scanned || scanned == 0);
    }

    fn waits(&mut self) -> bool {
        self.status().waiting > 0
    }

    fn scanned(&mut self) -> u64 {
        self.status().scanned
    }

    fn status(&mut self) -> mainframe_core::switchboard::EndpointStatus {
        match self.command(EndpointCommand::Status) {
            Some(EndpointReply::Status(status)) => status,
            _ => panic!("a status"),
        }
    }
}

/// Two who share a session: what one says the other awaits. The second is handed back.
fn with_a_session() -> Node {
    let (mut ada, mut bob) = (Node::new(1), Node::new(2));
    let Answer::Card(card) = bob.order(Order::Card) else { panic!("a card") };
    ada.order(Order::AddContact(Whom::Card(*card), "hello".into()));
    let mut accepted = false;
    for _ in 0..3_000 {
        let now = ada.now + 20;
        (ada.now, bob.now) = (now, now);
        let (to_bob, to_ada) = (std::mem::take(&mut ada.sent), std::mem::take(&mut bob.sent));
        to_bob.into_iter().for_each(|cell| drop(bob.handle(EndpointInput::Cell(cell))));
        to_ada.into_iter().for_each(|cell| drop(ada.handle(EndpointInput::Cell(cell))));
        ada.handle(EndpointInput::Wake);
        bob.handle(EndpointInput::Wake);
        if !accepted {
            accepted = matches!(
                bob.command(EndpointCommand::Order(bob.key, Order::AcceptContact(ada.key))),
                Some(EndpointReply::Person(Ok(_)))
            );
        }
    }
    assert_eq!(bob.status().sessions, 1, "they share a session");
    bob
}

/// Cells of strangers to strangers.
fn foreign(rng: &mut ChaCha20Rng, now: Time) -> Vec<Cell> {
    let cell = |rng: &mut ChaCha20Rng| {
        let (mut tag, mut ephemeral) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut tag);
        rng.fill_bytes(&mut ephemeral);
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Hour,
            acknowledge: true,
            destination: "01".parse().expect("a prefix"),
            expiry: ExpiryBucket::after(now, 400_000),
            tag: Tag(tag),
            ephemeral,
        };
        Cell::build(header, [5; 80], &vec![3; SizeClass::T.body_length()])
    };
    (0..CELLS).map(|_| cell(rng)).collect()
}

fn bystander(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut group = criterion.benchmark_group("bystander");
    let one = PersonKeys::generate(&mut rng);
    let point = PersonKeys::generate(&mut rng).scan_key().0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("one X25519", |bencher| bencher.iter(|| one.shared(black_box(&point))));
    group.throughput(Throughput::Elements(CELLS as u64));
    let Node { key, .. } = Node::new(2);
    for (name, persons) in [("sessions only", 0), ("one scan key", 1), ("eight scan keys", 8)] {
        let mut bob = with_a_session();
        assert_eq!(bob.key, key);
        let scan_key = Identity::generate(&mut ChaCha20Rng::from_seed([2; 32])).scan_key();
        if persons == 0 {
            bob.command(EndpointCommand::RemovePerson(scan_key));
        }
        for _ in 1..persons {
            bob.command(EndpointCommand::AddPerson(PersonKeys::generate(&mut rng)));
        }
        group.bench_function(format!("{CELLS} foreign cells, {name}"), |bencher| {
            let now = bob.now;
            bencher.iter_batched(|| foreign(&mut rng, now), |cells| bob.hear(cells), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, bystander);
criterion_main!(benches);
