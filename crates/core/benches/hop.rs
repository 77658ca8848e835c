//! One hop of the relay half, without a link: decode, check, route, take custody, encode; and the receipt that ends it.
//!
//! Beside it, what no relay can save: naming the cell by its hash.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mainframe_base::{Address, LinkKey, Luminosity, NetworkId, Prefix, Role, Tag, Time};
use mainframe_core::crypto::{NodeKeys, RecordBody, Verifier};
use mainframe_core::overlay::{Myself, OverlayConfig};
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{LinkEvent, Relay, RelayConfig, RelayEffect, RelayInput};
use mainframe_core::wire::{
    BudgetClass, Cell, CellFrame, CellHeader, ExpiryBucket, Frame, Hello, HoldClass, Receipt, SizeClass, Verdict,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const BATCH: usize = 64;
const NOW: Time = Time(1_000_000_000);

struct Hop {
    relay: Relay,
    store: MemoryStore,
    from: LinkKey,
    next: LinkKey,
    target: Address,
    rng: ChaCha8Rng,
}

fn keys(seed: u8) -> NodeKeys {
    NodeKeys::generate(&mut ChaCha8Rng::from_seed([seed; 32]))
}

impl Hop {
    fn new() -> Hop {
        let myself = Myself {
            network: NetworkId::DEV,
            role: Role::Relay,
            keys: keys(1),
            seed: [0; 32],
            verifier: Verifier::new(64),
        };
        let config = RelayConfig { overlay: OverlayConfig::small_network(), ..RelayConfig::default() };
        let store = MemoryStore::default();
        let mut hop = Hop {
            relay: Relay::new(NOW, config, myself, Vec::new(), [3; 32], Vec::new(), &store),
            store,
            from: keys(2).link_key(),
            next: keys(3).link_key(),
            target: keys(3).overlay(NetworkId::DEV, &[0; 32]),
            rng: ChaCha8Rng::seed_from_u64(1),
        };
        for seed in [2, 3] {
            let peer = keys(seed).link_key();
            let remote = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
            hop.handle(RelayInput::Link(LinkEvent::Up { peer, outbound: false, remote }));
            let body = RecordBody {
                network: NetworkId::DEV,
                role: Role::Relay,
                seed: [0; 32],
                sequence: 1,
                locators: Vec::new(),
            };
            let record = keys(seed).sign_record(body);
            let binding = keys(seed).binding(NetworkId::DEV, &[0; 32]);
            let hello = Frame::Hello(Box::new(Hello { network: NetworkId::DEV, record, binding }));
            hop.frames(peer, vec![hello.encode().to_bytes()]);
        }
        hop
    }

    fn handle(&mut self, input: RelayInput) -> Vec<RelayEffect> {
        let mut out = Vec::new();
        self.relay.handle(NOW, input, &mut self.store, &mut out);
        out
    }

    fn frames(&mut self, peer: LinkKey, frames: Vec<Bytes>) -> Vec<RelayEffect> {
        self.handle(RelayInput::Link(LinkEvent::Frames { peer, frames }))
    }

    fn cells(&mut self) -> Vec<Bytes> {
        (0..BATCH as u32)
            .map(|custody_nonce| {
                let mut ephemeral = [0; 32];
                self.rng.fill_bytes(&mut ephemeral);
                let header = CellHeader {
                    size_class: SizeClass::T,
                    hold_class: HoldClass::Live,
                    acknowledge: false,
                    destination: Prefix::of(&self.target, Luminosity::FULL),
                    expiry: ExpiryBucket::after(NOW, 400_000),
                    tag: Tag([1; 16]),
                    ephemeral,
                };
                let cell = Cell::build(header, [5; 80], &vec![3; SizeClass::T.body_length()]);
                let frame = CellFrame {
                    budget: BudgetClass::MAX,
                    standby: false,
                    responsibility: None,
                    deadline_ms: 4_000,
                    accounting_sequence: 1,
                    custody_nonce,
                    cell,
                };
                Frame::Cell(frame).encode().to_bytes()
            })
            .collect()
    }

    /// A batch of cells passes, and the next hop takes custody of all of them.
    fn pass(&mut self, cells: Vec<Bytes>) -> usize {
        let out = self.frames(self.from, cells);
        let mut receipts = Vec::new();
        for effect in out {
            if let RelayEffect::Send(peer, frame) = effect
                && peer == self.next
                && let Some(nonce) = frame.head.last_chunk::<4>()
            {
                receipts.push(Receipt { nonce: u32::from_be_bytes(*nonce), verdict: Verdict::TookOver });
            }
        }
        let count = receipts.len();
        self.frames(self.next, vec![Frame::Custody(receipts).encode().to_bytes()]);
        count
    }
}

fn hop(criterion: &mut Criterion) {
    let mut hop = Hop::new();
    let cells = hop.cells();
    assert_eq!(hop.pass(cells), BATCH, "every cell goes on");
    let mut group = criterion.benchmark_group("hop");
    group.throughput(Throughput::Elements(BATCH as u64));
    let hop = std::cell::RefCell::new(hop);
    group.bench_function("relay", |bencher| {
        bencher.iter_batched(
            || hop.borrow_mut().cells(),
            |cells| hop.borrow_mut().pass(cells),
            BatchSize::PerIteration,
        );
    });
    let cells = hop.borrow_mut().cells();
    group.bench_function("hash alone", |bencher| {
        bencher.iter(|| cells.iter().map(|cell| blake3::hash(black_box(&cell[16..1_864])).as_bytes()[0]).max());
    });
    group.finish();
}

criterion_group!(benches, hop);
criterion_main!(benches);
