//! Packets to several regions.

use super::*;
use crate::wire::{Envelope, ListCell, ListFrame};

/// Regions of [`any_list`].
pub(super) const REGIONS: usize = 4;

fn envelope(now: Time, tag: [u8; 16]) -> Envelope {
    Envelope {
        size_class: SizeClass::T,
        hold_class: HoldClass::Live,
        acknowledge: false,
        expiry: ExpiryBucket::after(now, 500_000),
        tag: Tag(tag),
        ephemeral: [2; 32],
    }
}

fn list_of(envelope: Envelope, regions: Vec<Prefix>) -> ListCell {
    match Parcel::build(envelope, regions, [7; 80], &vec![1; SizeClass::T.body_length()]).unwrap() {
        Parcel::List(list) => list,
        Parcel::Cell(cell) => panic!("{cell:?} has one region"),
    }
}

/// Whoever is handed a list is closer to each of its regions than who hands it to him.
pub(super) fn comes_closer(from: LinkKey, to: LinkKey, list: &ListCell) {
    for target in list.targets() {
        let [before, after] = [from, to].map(|key| target.proximity(&Address(key.0)));
        assert!(after > before, "{before} bits to {after} of {target}");
    }
}

/// Any part of one list, dressed as a whole one.
pub(super) fn any_list() -> impl Strategy<Value = Frame> {
    prop::sample::subsequence(regions(REGIONS as u8, 3), 2..=REGIONS).prop_flat_map(|targets| {
        let list = list_of(envelope(Time(10_000_000), [1; 16]), targets);
        any::<u32>().prop_map(move |custody_nonce| Frame::List(ListFrame { custody_nonce, ..frame_of_list(&list) }))
    })
}

fn frame_of_list(list: &ListCell) -> ListFrame {
    let (budget, list) = (BudgetClass::MAX, list.clone());
    ListFrame { budget, deadline_ms: 4_000, accounting_sequence: 1, custody_nonce: 1, list }
}

/// So many regions of so many bits, spread over all addresses.
fn regions(count: u8, bits: u16) -> Vec<Prefix> {
    (0..count).map(|number| prefix((usize::from(number) * 256 / usize::from(count)) as u8, bits)).collect()
}

impl World {
    fn list(&mut self, regions: Vec<Prefix>) -> ListCell {
        let mut tag = [0; 16];
        self.rng.fill_bytes(&mut tag);
        list_of(envelope(self.now, tag), regions)
    }

    fn send_list(&mut self, from: LinkKey, list: &ListCell) -> Result<PacketId, Refusal> {
        let dispatch = Dispatch::first(Parcel::List(list.clone()));
        self.with(from, |packets, scene| packets.originate(scene, dispatch))
    }

    /// Honest relays of these regions that do not have the packet exactly once.
    fn not_once(&self, list: &ListCell, regions: &[Prefix]) -> Vec<(LinkKey, usize)> {
        let mut wrong = Vec::new();
        for target in regions {
            let id = list.part(*target).id();
            for key in self.nodes.keys().filter(|key| target.matches(&Address(key.0)) && !self.silent.contains(key)) {
                match self.arrived.iter().filter(|(at, cell)| at == key && cell.id() == id).count() {
                    1 => {}
                    count => wrong.push((*key, count)),
                }
            }
        }
        wrong
    }
}

#[test]
fn every_region_of_a_list_gets_one_sealed_packet_and_no_relay_gets_it_twice() {
    let mut world = World::new(300, 21);
    let regions = regions(12, 6);
    let list = world.list(regions.clone());
    let origin = world.keys()[77];
    assert_eq!(world.send_list(origin, &list), Ok(list.id()));
    world.run(60_000);
    assert_eq!(world.not_once(&list, &regions), []);
    let inside = |key: &LinkKey| regions.iter().any(|region| region.matches(&Address(key.0)));
    assert!(world.arrived.iter().all(|(key, cell)| inside(key) && cell.body()[0] == 1));
    assert_eq!((&world.ended[..], &world.faults[..]), (&[Ok(())][..], &[][..]));
}

#[test]
fn a_list_takes_fewer_transmissions_than_as_many_packets() {
    let mut world = World::new(600, 22);
    let targets: Vec<Prefix> =
        world.keys().chunks(20).map(|keys| Prefix::of(&Address(keys[0].0), Luminosity::FULL)).collect();
    let origin = world.keys()[1];
    let mut alone = 0;
    for target in &targets {
        let before = world.payloads;
        world.send(origin, *target);
        world.run(10_000);
        alone += world.payloads - before;
    }
    let before = world.payloads;
    for five in targets.chunks(5) {
        let list = world.list(five.to_vec());
        world.send_list(origin, &list).unwrap();
        world.run(10_000);
        assert_eq!(world.not_once(&list, five), []);
    }
    let together = world.payloads - before;
    assert!(together < alone, "{together} cells together, {alone} one by one");
}

#[test]
fn losses_and_silent_relays_keep_a_list_from_no_region() {
    for (one_in, seed) in [(10, 23), (5, 24)] {
        let mut world = World::new(400, seed);
        world.silence(one_in);
        world.loss = 10;
        let regions = regions(16, 5);
        let origin = world.keys()[1];
        for _ in 0..10 {
            let list = world.list(regions.clone());
            world.send_list(origin, &list).unwrap();
            world.run(60_000);
            assert_eq!(world.not_once(&list, &regions), []);
        }
        assert_eq!((world.ended.clone(), world.faults.clone()), (vec![Ok(()); 10], vec![]));
    }
}

#[test]
fn a_region_without_relays_keeps_the_packet_from_no_other() {
    let mut world = World::new(60, 25);
    let nobodys: Vec<Prefix> = (0..=255)
        .map(|first| prefix(first, 8))
        .filter(|region| world.nodes.keys().all(|key| !region.matches(&Address(key.0))))
        .take(9)
        .collect();
    let mut peopled: Vec<Prefix> = world.keys().iter().skip(1).step_by(5).map(|key| prefix(key.0[0], 8)).collect();
    peopled.dedup();
    let list = world.list([nobodys, peopled.clone()].concat());
    let origin = world.keys()[0];
    world.send_list(origin, &list).unwrap();
    world.run(60_000);
    assert_eq!(world.not_once(&list, &peopled), []);
    assert!(world.nodes.values().all(|(packets, _)| packets.pending_bytes().0 == 0));
}

#[test]
fn the_outcome_of_a_list_is_good_only_if_every_region_was_taken_over() {
    let mut world = World::new(2, 26);
    let [alice, bob] = world.keys()[..] else { panic!("two nodes") };
    let towards = Prefix::of(&Address(bob.0), Luminosity::FULL);
    let nowhere = Prefix::of(&Address(alice.0).with_bit_flipped(200), Luminosity::FULL);
    let list = world.list(vec![towards, nowhere]);
    world.send_list(alice, &list).unwrap();
    world.run(60_000);
    assert_eq!(world.not_once(&list, &[towards]), []);
    assert_eq!(world.ended, [Err(Refusal::NoProgress)]);
    let list = world.list(vec![nowhere, Prefix::of(&Address(alice.0).with_bit_flipped(201), Luminosity::FULL)]);
    assert_eq!(world.send_list(alice, &list), Err(Refusal::NoProgress), "there is no way for any");
}

#[test]
fn the_sender_in_one_of_the_regions_spreads_there_itself() {
    let mut world = World::new(200, 27);
    let regions = regions(4, 2);
    let list = world.list(regions.clone());
    let origin = world.keys()[50];
    world.send_list(origin, &list).unwrap();
    world.run(60_000);
    assert_eq!(world.not_once(&list, &regions), []);
    assert!(world.payloads < 200 + 8, "{} payloads for 200 relays", world.payloads);
}

/// Copies with forged lists of one packet travel, since each is another copy; but every region has the packet from any of them.
#[test]
fn forged_lists_of_a_packet_cost_their_ways_and_spread_nothing_twice() {
    let mut world = World::new(200, 28);
    let regions = regions(8, 3);
    let list = world.list(regions.clone());
    let origin = world.keys()[3];
    world.send_list(origin, &list).unwrap();
    world.run(60_000);
    let arrived = world.arrived.len();
    let entry = world.nodes[&origin].1.all()[0].key;
    for nonce in 0..60 {
        let mut part: Vec<Prefix> =
            regions.iter().copied().filter(|_| world.rng.next_u32().is_multiple_of(2)).collect();
        part.retain(|target| !world.nodes[&origin].1.is_inside(target));
        if let [_, _, ..] = part[..]
            && let Parcel::List(forged) = list.only(part)
        {
            let before = world.payloads;
            let frame = ListFrame { custody_nonce: 900 + nonce, ..frame_of_list(&forged) };
            world.receive(origin, entry, Frame::List(frame));
            world.run(5_000);
            let cost = world.payloads - before;
            assert!(cost <= 4 * forged.targets().len(), "{cost} cells for {forged:?}");
        }
    }
    assert_eq!(world.arrived.len(), arrived, "nobody gets it again");
    assert_eq!(world.faults, []);
}

#[test]
fn a_list_comes_in_once_and_is_expired_or_without_progress_like_any_cell() {
    let mut world = World::new(100, 29);
    let (inside, outside) = (world.keys()[10], world.keys()[90]);
    let here = Prefix::of(&Address(inside.0), Luminosity::at_most(4));
    let there = Prefix::of(&Address(outside.0), Luminosity::at_most(4));
    let list = world.list(vec![here, there]);
    for _ in 0..3 {
        world.receive(outside, inside, Frame::List(frame_of_list(&list)));
    }
    world.run(30_000);
    assert_eq!(world.not_once(&list, &[here, there]), []);
    let dead_end = Prefix::of(&Address(inside.0).with_bit_flipped(255), Luminosity::FULL);
    let list = world.list(vec![dead_end, there]);
    world.receive(outside, inside, Frame::List(frame_of_list(&list)));
    assert_eq!(world.nodes[&inside].0.counters().cells_without_progress, 1);
    world.now = world.now + 2_000_000;
    world.receive(outside, inside, Frame::List(frame_of_list(&list)));
    assert_eq!(world.faults, [Fault::Expired]);
}

#[test]
fn a_list_is_taken_only_with_room_for_all_the_copies_it_may_part_into() {
    let mut world = World::new(100, 30);
    let origin = world.keys()[0];
    world.silent = world.keys().into_iter().filter(|key| *key != origin).collect();
    let mut accepted = 0;
    loop {
        let list = world.list(regions(80, 8));
        match world.send_list(origin, &list) {
            Ok(_) => accepted += 1,
            Err(refusal) => break assert_eq!(refusal, Refusal::Busy),
        }
    }
    let bytes_max = PacketConfig::default().pool_bytes_max;
    assert!(accepted > 50 && world.nodes[&origin].0.pending_bytes().0 <= bytes_max / 2);
    world.run(120_000);
    let (now, most) = world.nodes[&origin].0.pending_bytes();
    assert_eq!((now, world.ended.len()), (0, accepted));
    assert!(most <= bytes_max, "{most} bytes when the copies parted further");
}

#[test]
fn a_peer_that_declines_every_list_is_sent_at_most_twice_as_many_cells_as_regions() {
    let mut world = World::new(2, 31);
    let [alice, bob] = world.keys()[..] else { panic!("two nodes") };
    let apart = Address(alice.0).proximity(&Address(bob.0));
    let beside = |index: u16| {
        Prefix::of(&Address(bob.0).with_bit_flipped(apart + 1 + index), Luminosity::at_most(apart + 2 + index))
    };
    let list = world.list((0..20).map(beside).collect());
    assert_eq!(list.targets().len(), 20);
    world.send_list(alice, &list).unwrap();
    world.run(60_000);
    assert_eq!((world.payloads, &world.ended[..]), (2 * 20 - 1, &[Err(Refusal::NoProgress)][..]));
}

#[test]
fn what_a_lost_peer_had_of_a_list_goes_to_others() {
    let mut world = World::new(150, 32);
    let origin = world.keys()[5];
    let mut regions = regions(8, 3);
    regions.retain(|region| !region.matches(&Address(origin.0)));
    let list = world.list(regions.clone());
    world.send_list(origin, &list).unwrap();
    let firsts: BTreeSet<LinkKey> = world.queue.values().map(|(_, to, _)| *to).collect();
    world.queue.clear();
    for gone in firsts {
        world.with(origin, |packets, scene| packets.peer_down(scene, gone));
    }
    world.run(60_000);
    assert_eq!(world.not_once(&list, &regions), []);
}

#[test]
fn another_try_of_a_list_leaves_over_other_first_hops() {
    let mut world = World::new(300, 33);
    let regions = vec![prefix(0x00, 4), prefix(0x80, 4), prefix(0xF0, 4)];
    let origin = world.keys().into_iter().find(|key| prefix(0x60, 3).matches(&Address(key.0))).unwrap();
    let first = world.list(regions.clone());
    world.send_list(origin, &first).unwrap();
    let hops: BTreeSet<LinkKey> = world.queue.values().map(|(_, to, _)| *to).collect();
    world.run(5_000);
    let again = world.list(regions);
    let dispatch = Dispatch { instead_of: Some(first.id()), ..Dispatch::first(Parcel::List(again)) };
    world.with(origin, |packets, scene| packets.originate(scene, dispatch)).unwrap();
    assert!(!world.queue.is_empty());
    let others: BTreeSet<LinkKey> =
        world.queue.values().filter(|(from, ..)| *from == origin).map(|(_, to, _)| *to).collect();
    assert!(others.is_disjoint(&hops), "the first hops did not keep what they took");
}
