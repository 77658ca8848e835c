//! The packet room in a small network with complete tables: latency, loss and silence, but no overlay.

mod lists;

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Address, Prefix, Tag};
use proptest::prelude::*;

use super::*;
use crate::wire::{
    CellFrame, CellHeader, DigestEntry, ExpiryBucket, HoldClass, PullEntry, Receipt, SizeClass, Verdict,
};

const DEPTH_RELAYS: usize = 8;

struct World {
    now: Time,
    nodes: BTreeMap<LinkKey, (Packets, Neighbours)>,
    queue: BTreeMap<(Time, u64), (LinkKey, LinkKey, Frame)>,
    sequence: u64,
    rng: ChaCha8Rng,
    /// Frames in a thousand that get lost.
    loss: u64,
    /// Nodes that swallow cells, digests and pulls.
    silent: BTreeSet<LinkKey>,
    payloads: usize,
    delivered: BTreeMap<LinkKey, usize>,
    arrived: Vec<(LinkKey, Cell)>,
    faults: Vec<Fault>,
    ended: Vec<Result<(), Refusal>>,
}

impl World {
    /// `count` relays at random addresses; each knows its neighbourhood and eight of every other bin.
    fn new(count: usize, seed: u64) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut address = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            Address(bytes)
        };
        let addresses: Vec<Address> = (0..count).map(|_| address()).collect();
        let mut known: BTreeMap<Address, (u16, BTreeSet<Address>)> = BTreeMap::new();
        for me in &addresses {
            let sharing = |bits: u16| addresses.iter().filter(|other| me.proximity(other) >= bits).count() - 1;
            let depth = (0..256).take_while(|bits| sharing(*bits) >= DEPTH_RELAYS).last().unwrap_or(0);
            let mut bins: BTreeMap<u16, usize> = BTreeMap::new();
            for other in addresses.iter().filter(|other| *other != me) {
                let taken = bins.entry(me.proximity(other)).or_default();
                *taken += 1;
                if me.proximity(other) >= depth || *taken <= 8 {
                    known.entry(*me).or_insert((depth, BTreeSet::new())).1.insert(*other);
                    known.entry(*other).or_insert((0, BTreeSet::new())).1.insert(*me);
                }
            }
            known.entry(*me).or_insert((0, BTreeSet::new())).0 = depth;
        }
        let nodes = known.into_iter().map(|(me, (depth, others))| {
            let neighbours = Neighbours::new(me, depth, others.iter().map(|other| (LinkKey(other.0), *other)));
            let mut packets = Packets::new(Time(0), PacketConfig::default(), me.0);
            for other in others {
                packets.peer_up(Time(0), LinkKey(other.0), neighbours.find(&LinkKey(other.0)).copied());
            }
            (LinkKey(me.0), (packets, neighbours))
        });
        World {
            now: Time(10_000_000),
            nodes: nodes.collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            rng: ChaCha8Rng::seed_from_u64(seed + 1),
            loss: 0,
            silent: BTreeSet::new(),
            payloads: 0,
            delivered: BTreeMap::new(),
            arrived: Vec::new(),
            faults: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn keys(&self) -> Vec<LinkKey> {
        self.nodes.keys().copied().collect()
    }

    fn with<T>(&mut self, key: LinkKey, act: impl FnOnce(&mut Packets, &mut Scene<'_>) -> T) -> T {
        let mut out = PacketOut::default();
        let (packets, neighbours) = self.nodes.get_mut(&key).unwrap();
        let result = act(packets, &mut Scene { now: self.now, neighbours, out: &mut out });
        packets.flush(&mut out);
        out.arrived.iter().for_each(|_| *self.delivered.entry(key).or_default() += 1);
        self.arrived.extend(out.arrived.into_iter().map(|cell| (key, cell)));
        for PacketWish::Send(to, frame) in out.wishes {
            self.post(key, to, frame);
        }
        for fact in out.facts {
            match fact {
                PacketFact::Faulted(_, fault) => self.faults.push(fault),
                PacketFact::Ended(_, result) => self.ended.push(result),
                PacketFact::Stepped { .. } => {}
            }
        }
        result
    }

    fn post(&mut self, from: LinkKey, to: LinkKey, frame: Frame) {
        self.payloads += usize::from(matches!(frame, Frame::Cell(_) | Frame::List(_)));
        if let Frame::List(frame) = &frame {
            lists::comes_closer(from, to, &frame.list);
        }
        if self.rng.next_u64() % 1_000 < self.loss {
            return;
        }
        let latency_ms = 10 + self.rng.next_u64() % 70;
        self.sequence += 1;
        self.queue.insert((self.now + latency_ms, self.sequence), (from, to, frame));
    }

    fn receive(&mut self, from: LinkKey, to: LinkKey, frame: Frame) {
        if self.silent.contains(&to) {
            return;
        }
        self.with(to, |packets, scene| match frame {
            Frame::Cell(frame) => packets.cell(scene, from, frame, |_| false),
            Frame::List(frame) => packets.list(scene, from, frame),
            Frame::Custody(receipts) => packets.receipts(scene, from, &receipts),
            Frame::Digest(digests) => packets.digests(scene, from, &digests),
            Frame::Pull(pulls) => drop(packets.pulls(scene, from, &pulls)),
            Frame::Recent(recent) => packets.recent(scene, from, &recent),
            Frame::Hello(_)
            | Frame::GetPeers(_)
            | Frame::Peers(_)
            | Frame::Neighbourhood(_)
            | Frame::Ask(_)
            | Frame::Held(_)
            | Frame::Subscribe(_) => unreachable!("not for this room"),
        });
    }

    /// Lets so much time pass.
    fn run(&mut self, span_ms: u64) {
        let end = self.now + span_ms;
        loop {
            let wakes = self.nodes.iter().filter_map(|(key, (packets, _))| Some((packets.next_wake()?, *key)));
            let wake = wakes.min();
            let arrival = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = [wake.map(|(at, _)| at), arrival].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (from, to, frame)) = self.queue.pop_first().unwrap();
                self.receive(from, to, frame);
            } else if let Some((_, key)) = wake {
                self.with(key, |packets, scene| packets.wake(scene));
            }
        }
        self.now = end;
    }

    fn cell(&mut self, destination: Prefix) -> Cell {
        let mut bytes = [0; 48];
        self.rng.fill_bytes(&mut bytes);
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination,
            expiry: ExpiryBucket::after(self.now, 500_000),
            tag: Tag(*bytes[32..].first_chunk().unwrap()),
            ephemeral: *bytes.first_chunk().unwrap(),
        };
        Cell::build(header, [7; 80], &vec![1; SizeClass::T.body_length()])
    }

    fn send(&mut self, from: LinkKey, destination: Prefix) -> Cell {
        let cell = self.cell(destination);
        let sent = cell.clone();
        self.with(from, |packets, scene| {
            packets.originate(scene, Dispatch::first(sent)).unwrap();
        });
        cell
    }

    /// Honest relays of a region that did and did not get what was delivered last.
    fn coverage(&self, region: &Prefix) -> (usize, usize) {
        let honest = self.nodes.keys().filter(|key| region.matches(&Address(key.0)) && !self.silent.contains(key));
        let (got, missed): (Vec<LinkKey>, Vec<LinkKey>) =
            honest.copied().partition(|key| self.delivered.contains_key(key));
        (got.len(), missed.len())
    }

    fn outsider(&self, region: &Prefix) -> LinkKey {
        self.keys().into_iter().find(|key| !region.matches(&Address(key.0)) && !self.silent.contains(key)).unwrap()
    }

    fn silence(&mut self, one_in: usize) {
        self.silent = self.keys().into_iter().step_by(one_in).collect();
    }
}

fn prefix(first: u8, bits: u16) -> Prefix {
    let mut bytes = [0; 32];
    bytes[0] = first;
    Prefix::of(&Address(bytes), Luminosity::at_most(bits))
}

#[test]
fn every_relay_of_a_region_gets_a_dark_packet_exactly_once() {
    let mut world = World::new(300, 1);
    let region = prefix(0xA0, 2);
    let origin = world.outsider(&region);
    world.send(origin, region);
    world.run(60_000);
    let (got, missed) = world.coverage(&region);
    assert_eq!(missed, 0);
    assert!(world.delivered.values().all(|copies| *copies == 1));
    assert_eq!(world.delivered.len(), got, "nobody outside the region gets it");
    assert!(world.payloads <= got + 6, "{} payloads for {got} relays", world.payloads);
    assert_eq!(world.ended, [Ok(())]);
    assert_eq!(world.faults, []);
}

#[test]
fn a_packet_from_inside_its_region_spreads_from_its_sender() {
    let mut world = World::new(200, 2);
    let origin = world.keys()[50];
    let region = Prefix::of(&Address(origin.0), Luminosity::at_most(1));
    world.send(origin, region);
    world.run(30_000);
    let (got, missed) = world.coverage(&region);
    assert_eq!((missed, world.payloads), (0, got - 1));
}

#[test]
fn losses_and_silent_relays_leave_nobody_out() {
    for (one_in, budget) in [(10, 2.0), (5, 2.6)] {
        let mut world = World::new(400, 3);
        world.silence(one_in);
        world.loss = 10;
        let region = prefix(0x40, 1);
        let origin = world.outsider(&region);
        let mut relays = 0;
        for _ in 0..20 {
            world.delivered.clear();
            world.send(origin, region);
            world.run(60_000);
            let (got, missed) = world.coverage(&region);
            assert_eq!(missed, 0);
            relays += got;
        }
        let ratio = world.payloads as f64 / relays as f64;
        println!("{ratio}");
        assert!(ratio < budget, "{ratio} payloads for each relay with one in {one_in} silent");
        assert_eq!(world.faults, []);
    }
}

#[test]
fn a_full_address_is_reached_around_silent_relays() {
    let mut world = World::new(300, 4);
    world.silence(3);
    let honest: Vec<LinkKey> = world.keys().into_iter().filter(|key| !world.silent.contains(key)).collect();
    for pair in honest.chunks(2).take(60) {
        let [from, to] = pair else { break };
        world.delivered.clear();
        world.send(*from, Prefix::of(&Address(to.0), Luminosity::FULL));
        world.run(10_000);
        assert_eq!(world.delivered.keys().collect::<Vec<_>>(), [to]);
    }
}

#[test]
fn a_replayed_cell_is_not_spread_again() {
    let mut world = World::new(100, 5);
    let region = prefix(0, 1);
    let origin = world.outsider(&region);
    let cell = world.send(origin, region);
    world.run(30_000);
    let (payloads, delivered) = (world.payloads, world.delivered.clone());
    let entry = *world.delivered.keys().next().unwrap();
    for nonce in 0..20 {
        let frame = CellFrame { custody_nonce: 900 + nonce, ..frame_of(cell.clone(), None) };
        world.receive(origin, entry, Frame::Cell(frame));
    }
    world.run(30_000);
    assert_eq!((world.payloads, &world.delivered), (payloads, &delivered));
}

#[test]
fn who_is_asked_to_spread_again_what_is_spread_sends_lines_and_no_cells() {
    let mut world = World::new(150, 5);
    let region = prefix(0, 1);
    let origin = world.outsider(&region);
    let cell = world.send(origin, region);
    world.run(30_000);
    let (payloads, delivered) = (world.payloads, world.delivered.clone());
    let widener = *world.delivered.keys().next().unwrap();
    for peer in world.nodes[&widener].1.all().to_vec().iter().filter(|peer| region.matches(&peer.address)) {
        let all_it_may_ask = Luminosity::at_most(peer.proximity + 1);
        world.receive(widener, peer.key, Frame::Cell(frame_of(cell.clone(), Some(all_it_may_ask))));
    }
    world.run(30_000);
    assert_eq!((world.payloads, &world.delivered), (payloads, &delivered));
    assert!(world.faults.is_empty());
}

#[test]
fn the_waiting_copy_spreads_only_if_the_first_does_not() {
    let mut world = World::new(300, 6);
    let region = prefix(0x80, 2);
    let cell = world.cell(region);
    let (from, entry) = {
        let entry = world.keys().into_iter().find(|key| region.matches(&Address(key.0))).unwrap();
        let outside = world.nodes[&entry].1.bin(0)[0].key;
        (outside, entry)
    };
    let standby = CellFrame { standby: true, ..frame_of(cell, None) };
    world.receive(from, entry, Frame::Cell(standby));
    world.run(200);
    assert_eq!(world.delivered.len(), 1, "it waits");
    world.run(30_000);
    assert_eq!(world.coverage(&region).1, 0);
    assert_eq!(world.nodes[&entry].0.counters().standby_spread, 1);
}

#[test]
fn a_relay_that_missed_a_packet_gets_it_by_comparing_sketches() {
    let mut world = World::new(120, 7);
    let region = prefix(0, 1);
    let origin = world.outsider(&region);
    let late = world.keys().into_iter().rfind(|key| region.matches(&Address(key.0))).unwrap();
    world.silent = BTreeSet::from([late]);
    world.send(origin, region);
    world.run(5_000);
    world.silent.clear();
    assert!(!world.delivered.contains_key(&late));
    world.run(40_000);
    assert_eq!(world.delivered.get(&late), Some(&1));
}

#[test]
fn impossible_cells_are_faults_and_go_nowhere() {
    let mut world = World::new(60, 8);
    let region = prefix(0xC0, 3);
    let cell = world.cell(region);
    let expired = {
        world.now = Time(world.now.0 - 2_000_000);
        let cell = world.cell(region);
        world.now = world.now + 2_000_000;
        cell
    };
    let inside = world.keys().into_iter().find(|key| region.matches(&Address(key.0))).unwrap();
    let outside = world.outsider(&region);
    let beside = world.nodes[&inside].1.within(3).iter().find(|relay| region.matches(&relay.address)).unwrap().key;
    let bits = Luminosity::at_most;
    for (from, to, frame) in [
        (outside, inside, frame_of(cell.clone(), Some(bits(4)))),
        (inside, outside, frame_of(cell.clone(), Some(bits(4)))),
        (beside, inside, frame_of(cell, Some(bits(2)))),
    ] {
        world.receive(from, to, Frame::Cell(frame));
        assert_eq!(std::mem::take(&mut world.faults), [Fault::Impossible]);
    }
    world.receive(outside, inside, Frame::Cell(frame_of(expired, None)));
    assert_eq!(world.faults, [Fault::Expired]);
    assert!(world.delivered.is_empty() && world.queue.is_empty());
}

#[test]
fn a_full_pool_refuses_what_comes_and_keeps_what_it_has() {
    let mut world = World::new(100, 9);
    let region = prefix(0, 1);
    let origin = world.outsider(&region);
    world.silent = world.keys().into_iter().filter(|key| *key != origin).collect();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let cell = world.cell(Prefix::of(&Address([0; 32]), Luminosity::FULL));
        let result = world.with(origin, |packets, scene| packets.originate(scene, Dispatch::first(cell)));
        match result {
            Ok(_) => accepted += 1,
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Busy);
                refused += 1;
            }
        }
    }
    let (bytes, _) = world.nodes[&origin].0.pending_bytes();
    assert_eq!(bytes, accepted * 2_048);
    assert!(bytes <= PacketConfig::default().pool_bytes_max / 2 && refused > 0);
    world.run(120_000);
    assert_eq!(world.nodes[&origin].0.pending_bytes().0, 0, "nothing is owed for ever");
    assert_eq!(world.ended.len(), accepted);
}

#[test]
fn a_busy_next_hop_is_asked_again_until_it_takes_the_cell() {
    let mut world = World::new(2, 10);
    let [alice, bob] = world.keys()[..] else { panic!("two nodes") };
    world.send(alice, Prefix::of(&Address(bob.0), Luminosity::FULL));
    for _ in 0..5 {
        let (_, (_, _, frame)) = world.queue.pop_first().unwrap();
        let Frame::Cell(CellFrame { custody_nonce: nonce, .. }) = frame else { panic!("a cell") };
        world.receive(bob, alice, Frame::Custody(vec![Receipt { nonce, verdict: Verdict::Busy }]));
        world.now = world.now + 101;
        world.with(alice, |packets, scene| packets.wake(scene));
    }
    world.run(1_000);
    assert_eq!((world.delivered.get(&bob), &world.ended[..]), (Some(&1), &[Ok(())][..]));
}

#[test]
fn who_was_silent_is_asked_again_when_nobody_else_is_left() {
    let mut world = World::new(2, 16);
    let [alice, bob] = world.keys()[..] else { panic!("two nodes") };
    world.send(alice, Prefix::of(&Address(bob.0), Luminosity::FULL));
    for _ in 0..3 {
        world.queue.clear();
        while world.queue.is_empty() {
            assert_eq!(world.ended, [], "it is owed still");
            world.now = world.now + 50;
            world.with(alice, |packets, scene| packets.wake(scene));
        }
    }
    world.run(1_000);
    assert_eq!((world.delivered.get(&bob), &world.ended[..]), (Some(&1), &[Ok(())][..]));
}

#[test]
fn what_a_lost_peer_did_not_take_goes_to_another() {
    let mut world = World::new(150, 11);
    let region = prefix(0x20, 3);
    let origin = world.outsider(&region);
    world.send(origin, region);
    let firsts: Vec<LinkKey> = world.queue.values().map(|(_, to, _)| *to).collect();
    world.queue.clear();
    for gone in firsts {
        world.with(origin, |packets, scene| packets.peer_down(scene, gone));
    }
    world.run(20_000);
    assert_eq!(world.coverage(&region).1, 0);
}

#[test]
fn another_try_leaves_over_first_hops_that_no_try_used_before() {
    let mut world = World::new(200, 13);
    let region = prefix(0xA0, 3);
    let origin = world.outsider(&region);
    let closer = world.nodes[&origin].1.closer_to(&region).count();
    let mut used = BTreeSet::new();
    let mut earlier = None;
    for _ in 0..closer / 2 {
        let dispatch = Dispatch { instead_of: earlier, ..Dispatch::first(world.cell(region)) };
        earlier = Some(dispatch.cell.id());
        world.with(origin, |packets, scene| packets.originate(scene, dispatch)).unwrap();
        let hops: Vec<LinkKey> = world.queue.values().map(|(_, to, _)| *to).collect();
        world.queue.clear();
        assert_eq!(hops.len(), 2);
        assert!(hops.into_iter().all(|hop| used.insert(hop)), "a first hop is used again");
    }
    let dispatch = Dispatch { instead_of: earlier, ..Dispatch::first(world.cell(region)) };
    world.with(origin, |packets, scene| packets.originate(scene, dispatch)).unwrap();
    assert!(!world.queue.is_empty(), "when all were used, any will do");
}

/// Answers every cell that is on its way to `taker` with a receipt, and lets it end there.
fn take_over_and_keep(world: &mut World, taker: LinkKey, origin: LinkKey) {
    let cells: Vec<(Time, u64)> =
        world.queue.iter().filter(|(_, (_, to, _))| *to == taker).map(|(name, _)| *name).collect();
    for name in cells {
        if let Some((_, _, Frame::Cell(CellFrame { custody_nonce: nonce, .. }))) = world.queue.remove(&name) {
            world.receive(taker, origin, Frame::Custody(vec![Receipt { nonce, verdict: Verdict::TookOver }]));
        }
    }
}

#[test]
fn a_first_hop_that_keeps_what_it_takes_is_passed_over_after_three_tries() {
    let mut world = World::new(200, 14);
    let target = world.keys()[150];
    let region = Prefix::of(&Address(target.0), Luminosity::FULL);
    let origin = world.outsider(&prefix(target.0[0], 1));
    let mut liar = None;
    for _ in 0..3 {
        let cell = world.send(origin, region);
        let chosen = world.queue.values().next().unwrap().1;
        assert_eq!(*liar.get_or_insert(chosen), chosen, "the closest is chosen as long as it is trusted");
        take_over_and_keep(&mut world, chosen, origin);
        let again = Dispatch { instead_of: Some(cell.id()), ..Dispatch::first(world.cell(region)) };
        world.with(origin, |packets, scene| packets.originate(scene, again)).unwrap();
        assert_ne!(world.queue.values().next().unwrap().1, chosen);
        world.queue.clear();
    }
    world.send(origin, region);
    assert_ne!(Some(world.queue.values().next().unwrap().1), liar);
    assert_eq!(world.nodes[&origin].0.counters().promises_broken, 3);
}

#[test]
fn digests_of_packets_that_do_not_exist_are_soon_ignored() {
    let mut world = World::new(60, 15);
    let keys = world.keys();
    let (victim, liar) = (keys[0], world.nodes[&keys[0]].1.bin(0)[0].key);
    for round in 0..4_u64 {
        let digests = (0..512_u64).map(|number| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(round * 512 + number).to_be_bytes());
            DigestEntry { id: PacketId(id), responsibility: Luminosity::FULL, size_class: SizeClass::T }
        });
        world.receive(liar, victim, Frame::Digest(digests.collect()));
    }
    let counters = *world.nodes[&victim].0.counters();
    assert_eq!((counters.digests_received, counters.digests_ignored), (2_048, 1_024));
    world.silent.insert(liar);
    world.run(60_000);
    assert_eq!(world.nodes[&victim].0.counters().pulls_unanswered, 1_024);
}

fn frame_of(cell: Cell, responsibility: Option<Luminosity>) -> CellFrame {
    CellFrame {
        budget: BudgetClass::MAX,
        standby: false,
        responsibility,
        deadline_ms: 4_000,
        accounting_sequence: 1,
        custody_nonce: 1,
        cell,
    }
}

fn any_frame(cells: Vec<Cell>) -> impl Strategy<Value = Frame> {
    let id = prop::sample::select(cells.iter().map(Cell::id).collect::<Vec<_>>());
    let luminosity = (0u16..=256).prop_map(Luminosity::at_most);
    let cell = (prop::sample::select(cells), prop::option::of(luminosity.clone()), any::<bool>(), any::<u32>())
        .prop_map(|(cell, responsibility, standby, custody_nonce)| {
            Frame::Cell(CellFrame { standby, custody_nonce, ..frame_of(cell, responsibility) })
        });
    let verdict = prop::sample::select(vec![Verdict::TookOver, Verdict::Busy, Verdict::NoProgress]);
    let receipts = (0u32..8, verdict).prop_map(|(nonce, verdict)| Frame::Custody(vec![Receipt { nonce, verdict }]));
    let digests = (id.clone(), luminosity.clone()).prop_map(|(id, responsibility)| {
        Frame::Digest(vec![DigestEntry { id, responsibility, size_class: SizeClass::T }])
    });
    let pulls = (id, luminosity).prop_map(|(id, responsibility)| Frame::Pull(vec![PullEntry { id, responsibility }]));
    let recent = (any::<u32>(), prop::collection::vec(any::<u8>(), 1..40))
        .prop_map(|(salt, bits)| Frame::Recent(crate::wire::Recent { salt, bits }));
    prop_oneof![4 => cell, 2 => lists::any_list(), 2 => receipts, 2 => digests, 2 => pulls, 1 => recent]
}

fn cells() -> Vec<Cell> {
    let mut world = World::new(1, 1);
    (0..6).map(|bits| world.cell(prefix(0x5A, bits))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_peer_says_a_cell_is_delivered_once_and_nothing_is_owed_for_ever(
        steps in prop::collection::vec((any_frame(cells()), any::<prop::sample::Index>(), 0u64..2_000), 1..60),
    ) {
        let mut world = World::new(12, 12);
        let keys = world.keys();
        let target = keys[0];
        let mut copies: BTreeMap<LinkKey, usize> = BTreeMap::new();
        for (frame, from, wait_ms) in steps {
            let from = *from.get(&keys[1..]);
            world.receive(from, target, frame);
            world.run(wait_ms);
            copies.clone_from(&world.delivered);
        }
        prop_assert!(copies.values().all(|count| *count <= cells().len() + lists::REGIONS));
        world.run(300_000);
        for (packets, _) in world.nodes.values() {
            prop_assert_eq!(packets.pending_bytes().0, 0);
        }
    }
}
