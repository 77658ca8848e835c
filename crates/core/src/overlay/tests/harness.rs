//! A small network in virtual time: latency, loss, dials that fail late, and links that notice death late.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use mainframe_base::{Address, Fault, LinkKey, Locator, NetworkId, Role, Time, Transport};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::crypto::{NodeKeys, NodeRecord, Verifier};
use crate::overlay::{Estimate, Myself, Overlay, OverlayConfig, OverlayFact, OverlayOut, OverlayWish};
use crate::wire::Frame;

/// What a dial of someone dead takes to fail, in milliseconds: a packet filter that does not answer.
const DIAL_TIMEOUT_MS: u64 = 5_000;
/// The links' time-out for silent peers, at least; up to half more. Milliseconds.
const PING_TIMEOUT_MS: u64 = 20_000;

enum Event {
    Up { at: usize, peer: LinkKey, outbound: bool, remote: Locator, link: u64 },
    Down { at: usize, peer: LinkKey, link: u64 },
    DialFailed { at: usize, peer: Option<LinkKey>, locator: Locator },
    Dial { from: usize, peer: Option<LinkKey>, locator: Locator },
    Frame { at: usize, from: LinkKey, frame: Frame, link: u64 },
    Wake { at: usize },
}

pub(crate) struct Node {
    pub(crate) overlay: Overlay,
    pub(crate) key: LinkKey,
    pub(crate) address: Address,
    pub(crate) locator: Locator,
    pub(crate) alive: bool,
    pub(crate) cache: BTreeMap<Address, Arc<NodeRecord>>,
    pub(crate) estimates: Vec<Estimate>,
    pub(crate) started_at: Time,
    pub(crate) joined_at: Option<Time>,
    pub(crate) wakes: u64,
    wake_at: Time,
}

pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) frames: u64,
    pub(crate) frames_by_kind: [u64; 4],
    pub(crate) bytes: u64,
    pub(crate) dials: u64,
    pub(crate) loss_percent: u64,
    pub(crate) config: OverlayConfig,
    verifier: Verifier,
    rng: ChaCha8Rng,
    queue: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    places: BTreeMap<Locator, usize>,
    by_key: BTreeMap<LinkKey, usize>,
    links: BTreeMap<(usize, usize), u64>,
}

impl Net {
    pub(crate) fn new(seed: u64, config: OverlayConfig) -> Net {
        Net {
            now: Time(1_000_000),
            nodes: Vec::new(),
            faults: BTreeMap::new(),
            frames: 0,
            frames_by_kind: [0; 4],
            bytes: 0,
            dials: 0,
            loss_percent: 1,
            config,
            verifier: Verifier::new(1 << 20),
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            sequence: 0,
            places: BTreeMap::new(),
            by_key: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// A network grown by real joins through node 0, one node every `pause_ms`.
    pub(crate) fn grown(seed: u64, size: usize, pause_ms: u64, config: OverlayConfig) -> Net {
        let mut net = Net::new(seed, config);
        net.grow(size, pause_ms);
        net
    }

    pub(crate) fn grow(&mut self, size: usize, pause_ms: u64) {
        for _ in 0..size {
            let bootstrap = self.nodes.first().map(|node| node.locator).into_iter().collect();
            self.join(Role::Relay, Vec::new(), bootstrap);
            self.run_for(pause_ms);
        }
    }

    pub(crate) fn join(&mut self, role: Role, cached: Vec<Arc<NodeRecord>>, bootstrap: Vec<Locator>) -> usize {
        let index = self.nodes.len();
        let keys = NodeKeys::generate(&mut self.rng);
        let (key, network, seed) = (keys.link_key(), NetworkId::DEV, [0; 32]);
        let address = keys.overlay(network, &seed);
        let ip = IpAddr::from([10, (index >> 8) as u8, index as u8, 1]);
        let locator = Locator::direct(Transport::Tcp, ip, 4001);
        let myself = Myself { network, role, keys, seed, verifier: self.verifier.clone() };
        let mut rng_seed = [0; 32];
        self.rng.fill_bytes(&mut rng_seed);
        let overlay = Overlay::new(self.now, self.config.clone(), myself, cached, bootstrap, rng_seed);
        self.nodes.push(Node {
            overlay,
            key,
            address,
            locator,
            alive: true,
            cache: BTreeMap::new(),
            estimates: Vec::new(),
            started_at: self.now,
            joined_at: None,
            wakes: 0,
            wake_at: Time(u64::MAX),
        });
        self.places.insert(locator, index);
        self.by_key.insert(key, index);
        self.act(index, |overlay, now, out| overlay.listening(now, locator, false, out));
        index
    }

    /// The node vanishes without a word; its peers' links notice after the ping time-out.
    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].alive = false;
        let links: Vec<((usize, usize), u64)> = self
            .links
            .iter()
            .filter(|((a, b), _)| *a == index || *b == index)
            .map(|(ends, link)| (*ends, *link))
            .collect();
        let peer = self.nodes[index].key;
        for ((a, b), link) in links {
            self.links.remove(&(a, b));
            let other = if a == index { b } else { a };
            let wait_ms = PING_TIMEOUT_MS + self.rng.next_u64() % (PING_TIMEOUT_MS / 2);
            self.push(wait_ms, Event::Down { at: other, peer, link });
        }
    }

    /// Calls a node and lets the network carry what it wishes.
    pub(crate) fn act(&mut self, index: usize, call: impl FnOnce(&mut Overlay, Time, &mut OverlayOut)) {
        if !self.nodes[index].alive {
            return;
        }
        let mut out = OverlayOut::default();
        call(&mut self.nodes[index].overlay, self.now, &mut out);
        for fact in out.facts {
            self.note(index, fact);
        }
        for wish in out.wishes {
            self.grant(index, wish);
        }
        let node = &mut self.nodes[index];
        if let Some(wake) = node.overlay.next_wake()
            && wake < node.wake_at
        {
            node.wake_at = wake.max(self.now);
            let wait_ms = node.wake_at.since_ms(self.now);
            self.push(wait_ms, Event::Wake { at: index });
        }
    }

    pub(crate) fn run_for(&mut self, span_ms: u64) {
        let end = self.now + span_ms;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((time, _), event) = entry.remove_entry();
            self.now = time;
            self.happen(event);
        }
        self.now = end;
    }

    pub(crate) fn alive(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.alive)
    }

    /// Connected pairs of neighbours among all pairs of neighbours there should be, seen with everyone's knowledge.
    pub(crate) fn completeness(&self) -> f64 {
        let mut addresses: Vec<Address> = self.relays().map(|node| node.address).collect();
        addresses.sort_unstable();
        let (mut wanted, mut found) = (0, 0);
        for node in self.relays() {
            let depth = ideal_depth(&addresses, &node.address, self.config.neighbourhood)
                .min(node.overlay.neighbours().depth());
            let connected: BTreeSet<Address> =
                node.overlay.neighbours().all().iter().map(|relay| relay.address).collect();
            for other in addresses.iter().filter(|other| **other != node.address) {
                if node.address.proximity(other) >= depth {
                    wanted += 1;
                    found += usize::from(connected.contains(other));
                }
            }
        }
        if wanted == 0 { 1.0 } else { f64::from(found as u32) / f64::from(wanted as u32) }
    }

    /// Suffixes with somebody connected among suffixes with somebody alive, in bins before the neighbourhood.
    pub(crate) fn balance(&self) -> f64 {
        let bits = self.config.suffix_bits();
        let addresses: Vec<Address> = self.relays().map(|node| node.address).collect();
        let (mut wanted, mut found) = (0_u32, 0_u32);
        for node in self.relays() {
            let neighbours = node.overlay.neighbours();
            let slot = |other: &Address| {
                let bin = node.address.proximity(other);
                (bin, super::super::book::suffix_of(other, bin.min(255), bits))
            };
            let depth = neighbours.depth();
            let there: BTreeSet<_> = addresses.iter().map(slot).filter(|(bin, _)| *bin < depth).collect();
            let connected: BTreeSet<_> = neighbours.all().iter().map(|relay| slot(&relay.address)).collect();
            wanted += there.len() as u32;
            found += there.intersection(&connected).count() as u32;
        }
        if wanted == 0 { 1.0 } else { f64::from(found) / f64::from(wanted) }
    }

    pub(crate) fn relays(&self) -> impl Iterator<Item = &Node> {
        self.alive().filter(|node| node.overlay.record().role == Role::Relay)
    }

    /// Mean and greatest time from start to joining, in milliseconds.
    pub(crate) fn joining_ms(&self) -> (u64, u64) {
        let spans = || self.nodes.iter().skip(1).filter_map(|node| Some(node.joined_at?.since_ms(node.started_at)));
        (spans().sum::<u64>() / (spans().count() as u64).max(1), spans().max().unwrap_or(0))
    }

    pub(crate) fn mean_degree(&self) -> f64 {
        let degrees: usize = self.relays().map(|node| node.overlay.neighbours().all().len()).sum();
        degrees as f64 / self.relays().count() as f64
    }

    fn note(&mut self, index: usize, fact: OverlayFact) {
        match fact {
            OverlayFact::Fault(_, fault) => *self.faults.entry(fault).or_default() += 1,
            OverlayFact::Estimated(_, estimate) => self.nodes[index].estimates.push(estimate),
            OverlayFact::Joined(_) => self.nodes[index].joined_at = Some(self.now),
            OverlayFact::PeerUp(..) | OverlayFact::PeerDown(..) | OverlayFact::NeighboursChanged => {}
        }
    }

    fn grant(&mut self, index: usize, wish: OverlayWish) {
        let key = self.nodes[index].key;
        match wish {
            OverlayWish::Dial { peer, locators } => {
                self.dials += 1;
                let locator = locators[0];
                let wait_ms = 2 * self.latency_ms(index, self.places.get(&locator).copied().unwrap_or(index));
                self.push(wait_ms, Event::Dial { from: index, peer, locator });
            }
            OverlayWish::Hangup(peer, _) => {
                let other = self.by_key[&peer];
                if let Some(link) = self.links.remove(&ends(index, other)) {
                    let wait_ms = self.latency_ms(index, other);
                    self.push(wait_ms, Event::Down { at: other, peer: key, link });
                    self.push(0, Event::Down { at: index, peer, link });
                }
            }
            OverlayWish::Send(peer, frame) => {
                let Some(&other) = self.by_key.get(&peer) else { return };
                let Some(&link) = self.links.get(&ends(index, other)) else { return };
                self.count(&frame);
                if self.rng.next_u64() % 100 >= self.loss_percent {
                    let wait_ms = self.latency_ms(index, other);
                    self.push(wait_ms, Event::Frame { at: other, from: key, frame, link });
                }
            }
            OverlayWish::Remember(record) => {
                self.nodes[index].cache.insert(record.overlay, record);
            }
            OverlayWish::Forget(address) => {
                self.nodes[index].cache.remove(&address);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { at } => {
                let node = &mut self.nodes[at];
                if node.wake_at > self.now {
                    return;
                }
                node.wake_at = Time(u64::MAX);
                node.wakes += 1;
                self.act(at, |overlay, now, out| overlay.wake(now, out));
            }
            Event::Frame { at, from, frame, link } => {
                if self.links.get(&ends(at, self.by_key[&from])) == Some(&link) {
                    self.act(at, |overlay, now, out| overlay.on_frame(now, from, frame, out));
                }
            }
            Event::Down { at, peer, link } => {
                let reconnected = self.links.get(&ends(at, self.by_key[&peer])).is_some_and(|other| *other != link);
                if !reconnected {
                    self.act(at, |overlay, now, out| overlay.peer_down(now, peer, out));
                }
            }
            Event::DialFailed { at, peer, locator } => {
                self.act(at, |overlay, now, out| overlay.dial_failed(now, peer, locator, out));
            }
            Event::Up { at, peer, outbound, remote, link } => {
                if self.links.get(&ends(at, self.by_key[&peer])) == Some(&link) {
                    self.act(at, |overlay, now, out| overlay.peer_up(now, peer, outbound, remote, out));
                }
            }
            Event::Dial { from, peer, locator } => self.connect(from, peer, locator),
        }
    }

    fn connect(&mut self, from: usize, peer: Option<LinkKey>, locator: Locator) {
        let there = self.places.get(&locator).copied().filter(|other| self.nodes[*other].alive);
        let right = there.filter(|other| peer.is_none_or(|peer| self.nodes[*other].key == peer));
        let Some(other) = right else {
            return self.push(DIAL_TIMEOUT_MS, Event::DialFailed { at: from, peer, locator });
        };
        if other == from || self.links.contains_key(&ends(from, other)) || !self.nodes[from].alive {
            return;
        }
        self.sequence += 1;
        let link = self.sequence;
        self.links.insert(ends(from, other), link);
        let (ours, theirs) = (self.nodes[from].key, self.nodes[other].key);
        let mut remote = self.nodes[from].locator;
        remote.port = 50_000;
        self.push(0, Event::Up { at: other, peer: ours, outbound: false, remote, link });
        self.push(0, Event::Up { at: from, peer: theirs, outbound: true, remote: locator, link });
    }

    fn count(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.encode().length() as u64;
        let kind = match frame {
            Frame::Hello(_) => 0,
            Frame::GetPeers(_) => 1,
            Frame::Peers(_) => 2,
            Frame::Neighbourhood(_) => 3,
            Frame::Cell(_)
            | Frame::List(_)
            | Frame::Custody(_)
            | Frame::Digest(_)
            | Frame::Pull(_)
            | Frame::Recent(_)
            | Frame::Ask(_)
            | Frame::Held(_)
            | Frame::Subscribe(_) => return,
        };
        self.frames_by_kind[kind] += 1;
    }

    /// 10 to 89 ms, always the same between two nodes: frames of a link stay in order.
    fn latency_ms(&self, a: usize, b: usize) -> u64 {
        let (a, b) = ends(a, b);
        10 + (a as u64 * 7_919 + b as u64 * 104_729) % 80
    }

    fn push(&mut self, wait_ms: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + wait_ms, self.sequence), event);
    }
}

fn ends(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// The largest depth at which `wanted` others share so many bits with `me`; `sorted` are all addresses.
fn ideal_depth(sorted: &[Address], me: &Address, wanted: usize) -> u16 {
    (0..256)
        .take_while(|depth| {
            let span = super::super::book::span(me, *depth);
            let first = sorted.partition_point(|address| address < span.start());
            let last = sorted.partition_point(|address| address <= span.end());
            last - first > wanted
        })
        .last()
        .unwrap_or(0)
}
