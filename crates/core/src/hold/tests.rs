//! Relays that hold, and one who was away, without a network between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainframe_base::{Address, Fault, LinkKey, Luminosity, PacketId, Prefix, Time};
use proptest::prelude::*;

use super::rig::cell_at;
use super::*;
use crate::wire::{Ask, DigestEntry, HOUR_MS, Hearing, Held, Hour, SizeClass, Subscribe, TagBucket};

const START: Time = Time(500_000 * HOUR_MS + 10 * 60_000);
const AWAY: u8 = 0xFF;

struct Node {
    hold: Hold,
    neighbours: Neighbours,
    disk: BTreeMap<PacketId, Cell>,
    disk_is_full: bool,
    /// Neither hears nor says anything of holding.
    silent: bool,
    /// Does not tell of cells whose id begins with an even byte.
    withholds: bool,
    arrived: Vec<PacketId>,
}

/// Relays 1 to n of the whole space, and one node that knows them all.
struct Room {
    now: Time,
    nodes: BTreeMap<LinkKey, Node>,
    queue: VecDeque<(LinkKey, LinkKey, Frame)>,
    served: VecDeque<(LinkKey, LinkKey, Cell)>,
    facts: Vec<HoldFact>,
    pulls: BTreeMap<LinkKey, Vec<PacketId>>,
}

fn key(number: u8) -> LinkKey {
    LinkKey([number; 32])
}

impl Room {
    fn new(relays: u8) -> Room {
        let mut nodes = BTreeMap::new();
        let everyone: Vec<(LinkKey, Address)> =
            (1..=relays).map(|number| (key(number), Address([number; 32]))).collect();
        let mut add = |number: u8, mut neighbours: Neighbours| {
            everyone
                .iter()
                .filter(|(of, _)| *of != key(number))
                .for_each(|(key, address)| neighbours.add(*key, *address));
            let hold = Hold::new(HoldConfig::default(), Vec::new(), [number; 32]);
            let (disk, arrived) = (BTreeMap::new(), Vec::new());
            let node = Node { hold, neighbours, disk, disk_is_full: false, silent: false, withholds: false, arrived };
            nodes.insert(key(number), node);
        };
        (1..=relays).for_each(|number| add(number, Neighbours::none(Address([number; 32]))));
        add(AWAY, Neighbours::of_guest(Address([0; 32])));
        let (queue, served, facts, pulls) = Default::default();
        Room { now: START, nodes, queue, served, facts, pulls }
    }

    fn with<T>(&mut self, at: LinkKey, act: impl FnOnce(&mut Hold, &mut HoldScene<'_>) -> T) -> T {
        let (mut out, now) = (HoldOut::default(), self.now);
        let node = self.nodes.get_mut(&at).unwrap();
        let result = act(&mut node.hold, &mut HoldScene { now, neighbours: &node.neighbours, out: &mut out });
        node.hold.flush(&mut out);
        self.facts.append(&mut out.facts);
        for wish in out.wishes {
            match wish {
                HoldWish::Send(to, frame) => self.queue.push_back((at, to, frame)),
                HoldWish::Serve(to, cell) => self.served.push_back((at, to, cell)),
                HoldWish::Store(order) => self.obey(at, order),
                HoldWish::Note(..) | HoldWish::Forget(_) => {}
            }
        }
        result
    }

    fn obey(&mut self, at: LinkKey, order: StoreOrder) {
        let node = self.nodes.get_mut(&at).unwrap();
        let report = match order {
            StoreOrder::Keep(_, cell) if node.disk_is_full => StoreReport::NotKept(vec![cell.id()]),
            StoreOrder::Keep(_, cell) => {
                let id = cell.id();
                node.disk.insert(id, cell);
                StoreReport::Kept(vec![id])
            }
            StoreOrder::Read(_, id) => StoreReport::Read(id, node.disk.get(&id).cloned()),
            StoreOrder::Drop(_) => return,
        };
        self.with(at, |hold, scene| hold.store_said(scene, report));
    }

    fn arrive(&mut self, at: LinkKey, cell: &Cell) {
        self.with(at, |hold, scene| hold.arrived(scene, cell));
        self.nodes.get_mut(&at).unwrap().arrived.push(cell.id());
    }

    /// A cell comes to every relay, as spreading brings it.
    fn spread(&mut self, cell: &Cell) {
        let relays: Vec<LinkKey> = self.nodes.keys().copied().filter(|at| *at != key(AWAY)).collect();
        relays.into_iter().for_each(|at| self.arrive(at, cell));
    }

    fn settle(&mut self) {
        loop {
            if let Some((from, to, frame)) = self.queue.pop_front() {
                self.receive(from, to, frame);
            } else if let Some((from, to, cell)) = self.served.pop_front() {
                let expected = self.with(to, |hold, scene| hold.expects(scene, &from, &cell));
                if expected && !self.nodes[&to].arrived.contains(&cell.id()) {
                    self.arrive(to, &cell);
                }
            } else {
                return;
            }
        }
    }

    fn receive(&mut self, from: LinkKey, to: LinkKey, mut frame: Frame) {
        if self.nodes[&from].silent || self.nodes[&to].silent {
            return;
        }
        if let Frame::Held(held) = &mut frame
            && self.nodes[&from].withholds
        {
            held.digests.retain(|digest| !digest.id.0[0].is_multiple_of(2));
        }
        match frame {
            Frame::Ask(ask) => self.with(to, |hold, scene| hold.asked(scene, from, &ask)),
            Frame::Held(held) => self.with(to, |hold, scene| hold.answered(scene, from, &held)),
            Frame::Subscribe(wish) => self.with(to, |hold, _| hold.subscribed(from, wish)).unwrap(),
            Frame::Pull(pulls) => {
                self.pulls.entry(to).or_default().extend(pulls.iter().map(|pull| pull.id));
                self.with(to, |hold, scene| hold.pulled(scene, from, &pulls, |_| None));
            }
            Frame::Digest(_) => {}
            Frame::Cell(_)
            | Frame::List(_)
            | Frame::Custody(_)
            | Frame::Recent(_)
            | Frame::Hello(_)
            | Frame::GetPeers(_)
            | Frame::Peers(_)
            | Frame::Neighbourhood(_) => panic!("not for this room"),
        }
    }

    /// Lets so much time pass, waking whoever wants it.
    fn pass(&mut self, for_ms: u64) {
        let until = self.now + for_ms;
        self.settle();
        while let Some((due, at)) = self
            .nodes
            .iter()
            .filter_map(|(at, node)| Some((node.hold.next_wake()?, *at)))
            .min()
            .filter(|(due, _)| *due <= until)
        {
            self.now = self.now.max(due);
            self.with(at, |hold, scene| hold.wake(scene));
            self.settle();
        }
        self.now = until;
    }

    fn come_back(&mut self, since: Time) {
        let home = Prefix::of(self.nodes[&key(AWAY)].neighbours.me(), Luminosity::FULL);
        self.with(key(AWAY), |hold, scene| hold.attend(scene, home, TagBucket::ALL, Completeness::since(since)));
        self.pass(1_000);
    }

    fn arrived(&self, at: u8) -> BTreeSet<PacketId> {
        let arrived = &self.nodes[&key(at)].arrived;
        let set: BTreeSet<PacketId> = arrived.iter().copied().collect();
        assert_eq!(set.len(), arrived.len(), "nothing comes twice");
        set
    }
}

/// `count` cells sent to everyone over so many hours, and their names.
fn send(room: &mut Room, count: u8, over_ms: u64) -> BTreeSet<PacketId> {
    (0..count)
        .map(|number| {
            let cell = cell_at(room.now, number, HoldClass::Day);
            room.spread(&cell);
            room.pass(over_ms / u64::from(count));
            cell.id()
        })
        .collect()
}

#[test]
fn who_was_away_gets_everything_that_was_held_once() {
    let mut room = Room::new(3);
    let sent = send(&mut room, 200, 5 * HOUR_MS);
    room.come_back(START);
    assert_eq!(room.arrived(AWAY), sent);
    let pulls: usize = room.pulls.values().map(Vec::len).sum();
    room.pass(HOUR_MS);
    assert_eq!(room.pulls.values().map(Vec::len).sum::<usize>(), pulls, "and is not sent it again");
}

#[test]
fn who_listens_hears_of_new_cells_from_one_relay_and_of_their_names_from_another() {
    let mut room = Room::new(3);
    room.come_back(START);
    let view = room.nodes[&key(AWAY)].hold.status().attending;
    let hearing: Vec<Hearing> = view[0].sources.iter().map(|(_, hearing)| *hearing).collect();
    assert_eq!(hearing, [Hearing::Cells, Hearing::Digests]);
    let sent = send(&mut room, 20, 60_000);
    assert_eq!(room.arrived(AWAY), sent);
    assert!(room.pulls.is_empty(), "nothing had to be asked for");
}

#[test]
fn what_one_relay_keeps_to_itself_comes_from_the_other() {
    let mut room = Room::new(2);
    room.nodes.get_mut(&key(1)).unwrap().withholds = true;
    let sent = send(&mut room, 100, 60_000);
    room.come_back(START);
    assert_eq!(room.arrived(AWAY), sent);
}

#[test]
fn a_relay_that_does_not_answer_is_told_of_and_another_is_asked() {
    let mut room = Room::new(4);
    room.nodes.get_mut(&key(1)).unwrap().silent = true;
    room.nodes.get_mut(&key(2)).unwrap().silent = true;
    let sent = send(&mut room, 30, 60_000);
    room.come_back(START);
    room.pass(60_000);
    assert_eq!(room.arrived(AWAY), sent);
    assert_eq!(room.facts.clone(), [1, 2].map(|number| HoldFact::Unserved(key(number))));
}

#[test]
fn a_relay_that_was_away_holds_afterwards_what_its_region_holds() {
    let mut room = Room::new(3);
    let late = key(1);
    let sent: BTreeSet<PacketId> = (0..50)
        .map(|number| {
            let cell = cell_at(room.now, number, HoldClass::ThreeDays);
            room.arrive(key(2), &cell);
            room.arrive(key(3), &cell);
            cell.id()
        })
        .collect();
    room.pass(6 * HOUR_MS);
    let home = Prefix::of(&Address([1; 32]), Luminosity::FULL);
    room.with(late, |hold, scene| hold.attend(scene, home, TagBucket::ALL, Completeness::since(START)));
    room.pass(1_000);
    assert!(sent.iter().all(|id| room.nodes[&late].hold.holds(id)));
    room.pass(66 * HOUR_MS);
    assert!(sent.iter().all(|id| room.nodes[&late].hold.holds(id)), "for as long as the others");
    room.pass(3 * HOUR_MS);
    assert!(!sent.iter().any(|id| room.nodes[&late].hold.holds(id)), "and no longer");
}

#[test]
fn a_full_disk_refuses_new_cells_and_loses_none_it_accepted() {
    let mut room = Room::new(2);
    let kept = send(&mut room, 10, 1_000);
    room.nodes.get_mut(&key(1)).unwrap().disk_is_full = true;
    let refused = cell_at(room.now, 99, HoldClass::Day);
    room.spread(&refused);
    let hold = &room.nodes[&key(1)].hold;
    assert!(hold.status().refusing && !hold.holds(&refused.id()));
    assert!(kept.iter().all(|id| hold.holds(id)));
    room.nodes.get_mut(&key(1)).unwrap().disk_is_full = false;
    let again = cell_at(room.now, 100, HoldClass::Day);
    room.spread(&again);
    assert!(!room.nodes[&key(1)].hold.status().refusing && room.nodes[&key(1)].hold.holds(&again.id()));
}

#[test]
fn who_asks_without_end_is_answered_at_a_rate_and_others_still_are() {
    let mut room = Room::new(2);
    send(&mut room, 5, 1_000);
    let hour = Hour::of(room.now + 9 * 60_000);
    let ask = Ask { request: 1, region: Prefix::EVERYONE, hour, bucket: TagBucket::ALL, after: PacketId([0; 16]) };
    for _ in 0..10_000 {
        room.with(key(1), |hold, scene| hold.asked(scene, key(77), &ask));
    }
    let answered = room.nodes[&key(1)].hold.counters().asks_answered;
    assert!(answered < 1_000, "{answered}");
    room.queue.clear();
    room.with(key(1), |hold, scene| hold.asked(scene, key(78), &ask));
    assert_eq!(room.queue.len(), 1);
}

#[test]
fn an_answer_that_never_ends_is_not_asked_on_for_ever() {
    let mut room = Room::new(1);
    room.come_back(START);
    let source = key(1);
    for _ in 0..100 {
        let (_, _, frame) = room.queue.pop_front().unwrap_or((source, source, Frame::Custody(Vec::new())));
        if let Frame::Ask(ask) = frame {
            let digest =
                DigestEntry { id: PacketId([3; 16]), responsibility: Luminosity::FULL, size_class: SizeClass::T };
            let next = Some(PacketId([3; 16]));
            let held = Held { request: ask.request, hearing: Hearing::Not, next, digests: vec![digest] };
            room.with(key(AWAY), |hold, scene| hold.answered(scene, source, &held));
        }
    }
    assert!(!room.queue.iter().any(|(_, _, frame)| matches!(frame, Frame::Ask(_))));
}

#[test]
fn what_a_relay_sees_of_a_bucket_leaves_as_many_candidates_as_were_promised() {
    let mut room = Room::new(2);
    let wanted = 8.0;
    let sent: Vec<Cell> = (0..=255).map(|number| cell_at(room.now, number, HoldClass::Day)).collect();
    sent.iter().for_each(|cell| room.spread(cell));
    let bits = crate::cost::bucket_bits(sent.len() as u64, wanted as u64).unwrap();
    let bucket = TagBucket::of(&sent[77].header().tag, bits);
    room.with(key(AWAY), |hold, scene| hold.attend(scene, Prefix::EVERYONE, bucket, Completeness::since(START)));
    room.pass(1_000);
    let in_bucket: BTreeSet<PacketId> =
        sent.iter().filter(|cell| bucket.has([cell.header().tag.0[0], cell.header().tag.0[1]])).map(Cell::id).collect();
    let seen: BTreeSet<PacketId> = room.pulls.values().flatten().copied().collect();
    assert_eq!(seen, in_bucket, "the relay sees a bucket pulled whole");
    assert!(seen.len() >= wanted as usize && seen.len() < sent.len(), "{} candidates", seen.len());
}

#[test]
fn more_regions_than_a_peer_may_have_are_a_fault() {
    let mut room = Room::new(1);
    let wish = |number: u8| {
        let region = Prefix::of(&Address([number; 32]), Luminosity::at_most(8));
        Subscribe { region, bucket: TagBucket::ALL, hearing: Hearing::Cells }
    };
    let results: Vec<_> =
        (0..=16).map(|number| room.with(key(1), |hold, _| hold.subscribed(key(9), wish(number)))).collect();
    assert!(results[..16].iter().all(Result::is_ok) && results[16] == Err(Fault::Flood));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_relays_answer_bounds_hold_and_nothing_panics(
        answers in prop::collection::vec((any::<bool>(), any::<Option<[u8; 16]>>(), prop::collection::vec(any::<[u8; 16]>(), 0..40)), 1..60),
    ) {
        let mut room = Room::new(2);
        room.come_back(START);
        for (repeats, next, ids) in answers {
            let request = room.nodes[&key(AWAY)].hold.request - u32::from(repeats);
            let digests = ids.into_iter().map(|id| DigestEntry { id: PacketId(id), responsibility: Luminosity::FULL, size_class: SizeClass::T });
            let held = Held { request, hearing: Hearing::Not, next: next.map(PacketId), digests: digests.collect() };
            room.with(key(AWAY), |hold, scene| hold.answered(scene, key(1), &held));
            room.queue.clear();
            room.pass(20_000);
            for held in room.nodes[&key(AWAY)].hold.footprint() {
                prop_assert!(held.now <= held.bound, "{}: {} of {}", held.name, held.now, held.bound);
            }
        }
    }
}
