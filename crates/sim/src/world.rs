//! The world: nodes, a queue of what is going to happen, a clock that jumps from one event to the next.
//!
//! It does for every node what the node's driver does outside: begin, handle one input, commit if something changed,
//! let the effects out. All in one thread, all from one seed.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use mainframe_base::{Fault, LinkKey, Locator, PacketId, Transport};
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{
    CommandId, DownReason, LinkEvent, Outcome, RelayEffect, RelayEvent, RelayInput, RelayReply,
};
use mainframe_core::wire::OutFrame;

use crate::frames::{Kind, kind, read_control};
use crate::masks::Mask;
use crate::moment::Moment;
use crate::net::{Net, NetConfig, Nudge};
use crate::node::{Connection, Machine, Node, NodeId};
use crate::packets::{Note, Packets};
use crate::queue::Queue;
use crate::trace::Trace;
use crate::watch::{Watch, done, told};

/// The first of the nodes' network addresses: 16.0.0.1, the next is 16.0.1.1 and so on, each in a /24 of its own.
const FIRST_IP: u32 = 0x1000_0001;
/// The port every node listens at.
const PORT: u16 = 4_001;
/// The port dialled connections come from.
const DIALLING_PORT: u16 = 50_000;

/// How a node stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Its connections are closed, by itself or by its operating system: peers hear of it at once.
    Closed,
    /// It falls silent, as when power or network fail: peers hear of it when their pings stay unanswered.
    Vanished,
}

/// A relay reported that a peer broke the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accusation {
    /// When.
    pub at: Moment,
    /// Who says so.
    pub by: NodeId,
    /// Of whom.
    pub of: NodeId,
    /// What it is said to have done.
    pub fault: Fault,
}

/// Accusations kept one by one; beyond them only the sums are.
const ACCUSATIONS_MAX: usize = 1_000;

/// Numbers kept while the world runs.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Inputs handled.
    pub inputs: u64,
    /// Frames put on standing links.
    pub frames: u64,
    /// Frames lost on the way.
    pub lost: u64,
    /// Frames sent to peers whose connection was gone.
    pub unsent: u64,
    /// Dials begun.
    pub dials: u64,
    /// Connections made.
    pub connections: u64,
    /// Faults that relays reported of peers.
    pub faults: BTreeMap<Fault, u64>,
    /// The first of them.
    pub accusations: Vec<Accusation>,
    /// Wake-ups that asked to be woken again in the same millisecond.
    pub restless: u64,
    /// What became of the packets that were accepted, by the word of the sender's relay half.
    pub handed_over: u64,
    /// Packets whose sender's relay half gave up.
    pub given_up: u64,
}

enum Event {
    Frame { from: NodeId, to: NodeId, connection: Connection, frame: OutFrame, note: Option<Note> },
    News { node: NodeId, life: u32, event: LinkEvent },
    Lost { node: NodeId, peer: NodeId, connection: Connection, reason: DownReason },
    Severed { node: NodeId, peer: NodeId, connection: Connection },
    Connect { from: NodeId, life: u32, to: NodeId, attempt: Attempt },
    GiveUp { from: NodeId, life: u32, attempt: Attempt },
    Wake { node: NodeId, life: u32 },
}

/// A dial under way.
struct Attempt {
    peer: Option<LinkKey>,
    locators: Vec<Locator>,
    /// Which of them is being tried.
    at: usize,
}

/// A whole network.
pub struct World<M> {
    now: Moment,
    queue: Queue<Event>,
    nodes: Vec<Node<M>>,
    by_key: HashMap<LinkKey, NodeId>,
    net: Net,
    trace: Trace,
    packets: Packets,
    counts: Counts,
    connections: Connection,
    replies: Vec<(NodeId, CommandId, RelayReply)>,
    outcomes: Vec<(PacketId, Outcome)>,
    effects: Vec<RelayEffect>,
    watch: Option<Watch>,
}

impl<M> std::fmt::Debug for World<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({} nodes at {})", self.nodes.len(), self.now)
    }
}

impl<M: Machine> World<M> {
    /// An empty world over such a network.
    pub fn new(config: NetConfig, seed: u64, nudge: Option<Nudge>) -> World<M> {
        World {
            now: Moment::default(),
            queue: Queue::default(),
            nodes: Vec::new(),
            by_key: HashMap::new(),
            net: Net::new(config, seed, nudge),
            trace: Trace::default(),
            packets: Packets::default(),
            counts: Counts::default(),
            connections: 0,
            replies: Vec::new(),
            outcomes: Vec::new(),
            effects: Vec::new(),
            watch: None,
        }
    }

    /// The clock.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The network under the nodes.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// What became of the followed packets.
    pub fn packets(&self) -> &Packets {
        &self.packets
    }

    /// To follow more of them.
    pub fn packets_mut(&mut self) -> &mut Packets {
        &mut self.packets
    }

    /// The numbers kept.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The hash over everything that has happened.
    pub fn trace_hash(&mut self) -> String {
        self.trace.hash()
    }

    /// Where the next node to be added will listen.
    pub fn next_locator(&self) -> Locator {
        locator_of(self.nodes.len() as u32)
    }

    /// A place for a node, which is not running yet.
    pub fn add(&mut self, key: LinkKey) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        let before = self.by_key.insert(key, id);
        assert!(before.is_none(), "every node has a key of its own");
        self.nodes.push(Node::new(key, self.next_locator()));
        self.net.add_node();
        id
    }

    /// Runs a machine at a node's place, with what the node's store kept.
    pub fn start(&mut self, id: NodeId, machine: impl FnOnce(Moment, &MemoryStore) -> M) {
        self.trace.deed(self.now, id.0, "start");
        let node = &mut self.nodes[id.index()];
        assert!(node.machine.is_none(), "a node is started once at a time");
        node.life += 1;
        node.machine = Some(machine(self.now, &node.store));
        let listening = LinkEvent::Listening(node.locator);
        self.handle(id, listening.into());
    }

    /// Stops a node; what it had not committed is lost. Nothing happens if it is not running.
    pub fn stop(&mut self, id: NodeId, how: Stop) {
        self.trace.deed(self.now, id.0, if how == Stop::Closed { "close" } else { "vanish" });
        for link in self.nodes[id.index()].stop() {
            let (after_us, reason) = match how {
                Stop::Closed => (self.net.one_way_us(self.now, id.index(), link.peer.index()), DownReason::Closed),
                Stop::Vanished => (self.net.silence_us(), DownReason::TimedOut),
            };
            let lost = Event::Lost { node: link.peer, peer: id, connection: link.connection, reason };
            self.queue.push(self.now + after_us, lost);
        }
    }

    /// Power fails at a node in the middle of its next transaction that changes anything.
    pub fn fail_power(&mut self, id: NodeId) {
        self.trace.deed(self.now, id.0, "power fails");
        self.nodes[id.index()].power_fails = true;
    }

    /// Puts a mask on a node.
    pub fn mask(&mut self, id: NodeId, mask: Mask) {
        self.trace.deed(self.now, id.0, "mask");
        self.nodes[id.index()].mask = mask;
    }

    /// Cuts nodes off from all others until [`World::heal`]; among themselves they stay connected. Both sides hear of
    /// the loss of connections by their pings only.
    pub fn partition(&mut self, cut_off: &[NodeId]) {
        for id in cut_off {
            self.trace.deed(self.now, id.0, "cut off");
            self.net.set_side(id.index(), 1);
        }
        for id in cut_off {
            for link in self.nodes[id.index()].links().to_vec() {
                if !self.net.reaches(id.index(), link.peer.index()) {
                    for (node, peer) in [(*id, link.peer), (link.peer, *id)] {
                        let severed = Event::Severed { node, peer, connection: link.connection };
                        let at = self.now + self.net.silence_us();
                        self.queue.push(at, severed);
                    }
                }
            }
        }
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.trace.deed(self.now, 0, "heal");
        (0..self.nodes.len()).for_each(|node| self.net.set_side(node, 0));
    }

    /// Whether a node is running.
    pub fn is_online(&self, id: NodeId) -> bool {
        self.nodes[id.index()].is_online()
    }

    /// Where a node listens.
    pub fn locator(&self, id: NodeId) -> Locator {
        self.nodes[id.index()].locator
    }

    /// How a node behaves.
    pub fn mask_of(&self, id: NodeId) -> Mask {
        self.nodes[id.index()].mask
    }

    /// A node's machine, if it is running.
    pub fn machine(&self, id: NodeId) -> Option<&M> {
        self.nodes[id.index()].machine.as_ref()
    }

    /// A node's store.
    pub fn store(&self, id: NodeId) -> &MemoryStore {
        &self.nodes[id.index()].store
    }

    /// The node of a key.
    pub fn find(&self, key: &LinkKey) -> Option<NodeId> {
        self.by_key.get(key).copied()
    }

    /// Every node there ever was.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<M> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Whether two running nodes have a connection both know of.
    pub fn are_connected(&self, one: NodeId, other: NodeId) -> bool {
        let ends = (self.nodes[one.index()].link(other), self.nodes[other.index()].link(one));
        matches!(ends, (Some(here), Some(there)) if here.connection == there.connection)
    }

    /// Whether a node takes itself to be connected to another.
    pub fn has_link(&self, id: NodeId, peer: NodeId) -> bool {
        self.nodes[id.index()].link(peer).is_some()
    }

    /// How many connections a node has.
    pub fn links_of(&self, id: NodeId) -> usize {
        self.nodes[id.index()].links().len()
    }

    /// Events waiting.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Answers to commands and cells since the last call.
    pub fn take_replies(&mut self) -> Vec<(NodeId, CommandId, RelayReply)> {
        std::mem::take(&mut self.replies)
    }

    /// What became of sent packets since the last call.
    pub fn take_outcomes(&mut self) -> Vec<(PacketId, Outcome)> {
        std::mem::take(&mut self.outcomes)
    }

    /// Gives a node something at once. Nothing happens if it is not running.
    pub fn give(&mut self, id: NodeId, input: RelayInput) {
        if self.is_online(id) {
            self.handle(id, input);
        }
    }

    /// Reads the traffic of two nodes aloud on standard error.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Lets everything happen that is due by then, and sets the clock.
    pub fn run_until(&mut self, until: Moment) {
        while let Some((at, event)) = self.queue.pop(until) {
            assert!(at >= self.now, "time does not run backwards");
            self.now = at;
            self.happen(event);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { from, to, connection, frame, note } => self.deliver(from, to, connection, frame, note),
            Event::News { node, life, event } => {
                if self.is_alive(node, life) {
                    self.handle(node, event.into());
                }
            }
            Event::Lost { node, peer, connection, reason } => self.lose(node, peer, connection, reason),
            Event::Severed { node, peer, connection } => {
                if !self.net.reaches(node.index(), peer.index()) {
                    self.lose(node, peer, connection, DownReason::TimedOut);
                }
            }
            Event::Connect { from, life, to, attempt } => self.connect(from, life, to, attempt),
            Event::GiveUp { from, life, attempt } => {
                if self.is_alive(from, life) {
                    self.fail_dial(from, attempt, "nobody answers");
                }
            }
            Event::Wake { node, life } => self.wake(node, life),
        }
    }

    fn is_alive(&self, id: NodeId, life: u32) -> bool {
        let node = &self.nodes[id.index()];
        node.is_online() && node.life == life
    }

    /// The driver's rule: handle, commit if something changed, let the effects out.
    fn handle(&mut self, id: NodeId, input: RelayInput) {
        if !self.is_online(id) {
            return;
        }
        self.counts.inputs += 1;
        self.trace.input(self.now, id.0, &input);
        let watched = self.watch.and_then(|watch| watch.counterpart(self.now, id));
        let watched = watched.map(|peer| self.nodes[peer.index()].key);
        self.read_aloud(id, watched.and_then(|peer| told(&input, &peer)));
        let node = &mut self.nodes[id.index()];
        let Some(machine) = &mut node.machine else { return };
        let mut effects = std::mem::take(&mut self.effects);
        machine.handle(self.now.time(), input, &mut node.store, &mut effects);
        if node.store.is_dirty() {
            if node.power_fails {
                self.effects = Vec::new();
                return self.stop(id, Stop::Vanished);
            }
            node.store.commit();
        }
        for effect in effects.drain(..) {
            self.trace.effect(&effect);
            self.read_aloud(id, watched.and_then(|peer| done(&effect, &peer)));
            self.perform(id, effect);
        }
        self.effects = effects;
        self.plan_wake(id);
    }

    fn read_aloud(&self, id: NodeId, text: Option<String>) {
        if let Some(text) = text {
            eprintln!("{} node {} {text}", self.now, id.0);
        }
    }

    fn perform(&mut self, id: NodeId, effect: RelayEffect) {
        match effect {
            RelayEffect::Send(to, frame) => self.send(id, to, frame),
            RelayEffect::Dial { peer, locators } => self.dial(id, peer, locators),
            RelayEffect::Hangup(peer, _) => self.hang_up(id, peer),
            RelayEffect::Cell(cell) => self.packets.on_handed(&cell, id.0, self.now),
            RelayEffect::Reply(command, reply) => self.replies.push((id, command, reply)),
            RelayEffect::Publish(event) => self.note_event(id, event),
        }
    }

    fn note_event(&mut self, by: NodeId, event: RelayEvent) {
        match event {
            RelayEvent::PeerFault(of, fault) => {
                *self.counts.faults.entry(fault).or_default() += 1;
                if let Some(of) = self.find(&of).filter(|_| self.counts.accusations.len() < ACCUSATIONS_MAX) {
                    self.counts.accusations.push(Accusation { at: self.now, by, of, fault });
                }
            }
            RelayEvent::Packet(id, outcome) => {
                match outcome {
                    Outcome::HandedOver => self.counts.handed_over += 1,
                    Outcome::Failed(_) => self.counts.given_up += 1,
                }
                self.outcomes.push((id, outcome));
            }
            RelayEvent::PeerUp(..) | RelayEvent::PeerDown(..) | RelayEvent::Joined(_) | RelayEvent::Trace(_) => {}
        }
    }

    /// Keeps one wake-up in the queue, at the earliest time asked for.
    fn plan_wake(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        let Some(due) = node.machine.as_ref().and_then(Machine::next_wake) else { return };
        let at = Moment::of(due).max(self.now);
        if node.wake_at.is_none_or(|planned| at < planned) {
            node.wake_at = Some(at);
            self.queue.push(at, Event::Wake { node: id, life: node.life });
        }
    }

    fn wake(&mut self, id: NodeId, life: u32) {
        let now = self.now;
        let node = &mut self.nodes[id.index()];
        // a wake-up that was overtaken by an earlier one
        if !node.is_online() || node.life != life || node.wake_at != Some(now) {
            return;
        }
        node.wake_at = None;
        let is_due = node.machine.as_ref().and_then(Machine::next_wake).is_some_and(|due| due <= now.time());
        if !is_due {
            return self.plan_wake(id);
        }
        self.handle(id, RelayInput::Wake);
        self.hold_back(id);
    }

    /// A machine that is due again at once must not stop the clock: it waits for the next millisecond, and is counted.
    fn hold_back(&mut self, id: NodeId) {
        let next = Moment::of(self.now.time() + 1);
        let node = &mut self.nodes[id.index()];
        if node.is_online() && node.wake_at.is_some_and(|at| at < next) {
            self.counts.restless += 1;
            node.wake_at = Some(next);
            self.queue.push(next, Event::Wake { node: id, life: node.life });
        }
    }

    fn send(&mut self, from: NodeId, to: LinkKey, frame: OutFrame) {
        let to = self.by_key.get(&to).copied();
        let Some((to, link)) = to.and_then(|to| Some((to, self.nodes[from.index()].link_mut(to)?))) else {
            self.counts.unsent += 1;
            return;
        };
        self.counts.frames += 1;
        let note = match &frame.cell {
            Some(cell) => self.packets.on_sent(cell, from.0, to.0),
            None => {
                if kind(&frame.head) == Kind::Digest
                    && let Some(frame) = read_control(&frame.head)
                {
                    self.packets.on_control_sent(&frame);
                }
                None
            }
        };
        let arrival = self.now + self.net.one_way_us(self.now, from.index(), to.index());
        let connection = link.connection;
        // A transport delivers what opens a connection, and in its place, or there is no connection.
        let arrival = match link.first_arrival {
            None => {
                link.first_arrival = Some(arrival);
                arrival
            }
            Some(first) => {
                if self.net.loses() {
                    self.counts.lost += 1;
                    return;
                }
                arrival.max(first)
            }
        };
        if self.net.reaches(from.index(), to.index()) {
            self.queue.push(arrival, Event::Frame { from, to, connection, frame, note });
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, connection: Connection, frame: OutFrame, note: Option<Note>) {
        let node = &self.nodes[to.index()];
        if node.link(from).is_none_or(|link| link.connection != connection) {
            return;
        }
        let frame: Bytes = frame.to_bytes();
        if !node.mask.lets_in(&frame) {
            return;
        }
        if let Some(note) = note {
            self.packets.on_arrived(note, to.0, self.now);
        } else if kind(&frame) == Kind::Pull
            && let Some(pull) = read_control(&frame)
        {
            self.packets.on_control_arrived(&pull, from.0, to.0);
        }
        let peer = self.nodes[from.index()].key;
        self.handle(to, LinkEvent::Frames { peer, frames: vec![frame] }.into());
    }

    fn lose(&mut self, id: NodeId, peer: NodeId, connection: Connection, reason: DownReason) {
        if self.nodes[id.index()].remove_link(peer, connection) {
            let peer = self.nodes[peer.index()].key;
            self.handle(id, LinkEvent::Down { peer, reason }.into());
        }
    }

    fn hang_up(&mut self, id: NodeId, peer: LinkKey) {
        let Some(peer) = self.find(&peer) else { return };
        let Some(link) = self.nodes[id.index()].link(peer).copied() else { return };
        self.nodes[id.index()].remove_link(peer, link.connection);
        let event = LinkEvent::Down { peer: self.nodes[peer.index()].key, reason: DownReason::HungUp };
        self.queue.push(self.now, Event::News { node: id, life: self.nodes[id.index()].life, event });
        let after_us = if self.net.reaches(id.index(), peer.index()) {
            self.net.one_way_us(self.now, id.index(), peer.index())
        } else {
            self.net.silence_us()
        };
        let lost = Event::Lost { node: peer, peer: id, connection: link.connection, reason: DownReason::Closed };
        self.queue.push(self.now + after_us, lost);
    }

    /// As the link does: dialling a peer that is up or being dialled does nothing; without a key every locator is
    /// tried by itself; with one they are tried in turn.
    fn dial(&mut self, from: NodeId, peer: Option<LinkKey>, locators: Vec<Locator>) {
        let Some(key) = peer else {
            for locator in locators {
                self.try_dial(from, Attempt { peer: None, locators: vec![locator], at: 0 });
            }
            return;
        };
        let target = self.find(&key);
        let is_known = target.is_some_and(|to| self.nodes[from.index()].link(to).is_some());
        if is_known || locators.is_empty() || target.is_some_and(|to| !self.nodes[from.index()].begin_dial(to)) {
            return;
        }
        self.try_dial(from, Attempt { peer, locators, at: 0 });
    }

    fn try_dial(&mut self, from: NodeId, attempt: Attempt) {
        self.counts.dials += 1;
        let life = self.nodes[from.index()].life;
        let to = node_at(&attempt.locators[attempt.at]).filter(|to| to.index() < self.nodes.len() && *to != from);
        match to.filter(|to| self.is_online(*to) && self.net.reaches(from.index(), to.index())) {
            Some(to) => {
                // a round trip for the transport, and half of one for the handshake's last message
                let there = self.net.one_way_us(self.now, from.index(), to.index());
                let back = self.net.one_way_us(self.now, to.index(), from.index());
                let again = self.net.one_way_us(self.now, from.index(), to.index());
                self.queue.push(self.now + there + back + again, Event::Connect { from, life, to, attempt });
            }
            None => {
                let patience_us = self.net.config().dial_patience_us;
                self.queue.push(self.now + patience_us, Event::GiveUp { from, life, attempt });
            }
        }
    }

    fn connect(&mut self, from: NodeId, life: u32, to: NodeId, attempt: Attempt) {
        if !self.is_alive(from, life) {
            return;
        }
        if !self.is_online(to) || !self.net.reaches(from.index(), to.index()) {
            let rest_us = self.net.config().dial_patience_us / 2;
            self.queue.push(self.now + rest_us, Event::GiveUp { from, life, attempt });
            return;
        }
        if attempt.peer.is_some_and(|key| key != self.nodes[to.index()].key) {
            return self.fail_dial(from, attempt, "someone else answers");
        }
        if self.are_connected(from, to) {
            // the other one's dial, or an earlier one, won
            self.nodes[from.index()].end_dial(to);
            if attempt.peer.is_none() {
                self.fail_dial(from, attempt, "connected already");
            }
            return;
        }
        let connections_max = self.net.config().connections_max;
        if [from, to].iter().any(|id| self.nodes[id.index()].links().len() >= connections_max) {
            return self.fail_dial(from, attempt, "too many connections");
        }
        self.join_ends(from, to);
    }

    fn join_ends(&mut self, from: NodeId, to: NodeId) {
        // One end may not have heard yet that their last connection is gone.
        for (id, peer) in [(from, to), (to, from)] {
            if let Some(link) = self.nodes[id.index()].link(peer).copied() {
                self.lose(id, peer, link.connection, DownReason::Closed);
            }
        }
        if !self.is_online(from) || !self.is_online(to) {
            return;
        }
        self.connections += 1;
        self.counts.connections += 1;
        self.nodes[from.index()].end_dial(to);
        self.nodes[to.index()].end_dial(from);
        self.nodes[from.index()].add_link(to, self.connections);
        self.nodes[to.index()].add_link(from, self.connections);
        let dialler = Locator { port: DIALLING_PORT, ..self.nodes[from.index()].locator };
        let (from_key, to_key) = (self.nodes[from.index()].key, self.nodes[to.index()].key);
        let listener = self.nodes[to.index()].locator;
        self.handle(from, LinkEvent::Up { peer: to_key, outbound: true, remote: listener }.into());
        if self.nodes[to.index()].link(from).is_some() {
            self.handle(to, LinkEvent::Up { peer: from_key, outbound: false, remote: dialler }.into());
        }
    }

    /// One locator came to nothing: the next one is tried.
    fn fail_dial(&mut self, from: NodeId, mut attempt: Attempt, why: &str) {
        let locator = attempt.locators[attempt.at];
        attempt.at += 1;
        let peer = attempt.peer;
        if attempt.at < attempt.locators.len() {
            self.try_dial(from, attempt);
        } else if let Some(to) = peer.and_then(|key| self.find(&key)) {
            self.nodes[from.index()].end_dial(to);
        }
        self.handle(from, LinkEvent::DialFailed { peer, locator, why: why.to_owned() }.into());
    }
}

fn locator_of(node: u32) -> Locator {
    Locator { transport: Transport::Tcp, ip: std::net::Ipv4Addr::from(FIRST_IP + (node << 8)).into(), port: PORT }
}

fn node_at(locator: &Locator) -> Option<NodeId> {
    let std::net::IpAddr::V4(ip) = locator.ip else { return None };
    let offset = u32::from(ip).checked_sub(FIRST_IP)?;
    (locator.port == PORT && offset & 0xFF == 0).then_some(NodeId(offset >> 8))
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
