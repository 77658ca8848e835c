//! The world: nodes, a queue of what is going to happen, a clock that jumps from one event to the next.
//!
//! It does for every node what the node's driver does outside: begin, handle one input, commit if something changed,
//! let the effects out. All in one thread, all from one seed.

mod copies;
mod counts;
mod endpoints;
mod held;
mod links;
mod posts;

use std::collections::{BTreeSet, HashMap};

use mainframe_base::{Fault, LinkKey, Locator, PacketId};
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{
    CommandId, DownReason, EndpointInput, HeldCell, LinkEvent, Outcome, RelayEffect, RelayEvent, RelayInput, RelayReply,
};
use mainframe_core::wire::OutFrame;

use crate::eavesdrop::tap::Taps;
use crate::masks::Mask;
use crate::moment::Moment;
use crate::net::{Net, NetConfig, Nudge};
use crate::node::{Connection, Machine, Node, NodeId};
use crate::packets::{Note, Packets};
use crate::queue::Queue;
use crate::trace::Trace;
use crate::watch::{Watch, done, told};
use counts::ACCUSATIONS_MAX;
pub use counts::{Accusation, Counts};
pub use endpoints::{Heard, Told};
use links::{Attempt, locator_of};
pub use posts::Posts;

/// How a node stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Its connections are closed, by itself or by its operating system: peers hear of it at once.
    Closed,
    /// It falls silent, as when power or network fail: peers hear of it when their pings stay unanswered.
    Vanished,
}

enum Event {
    Frame { from: NodeId, to: NodeId, connection: Connection, frame: OutFrame, note: Option<Note> },
    News { node: NodeId, life: u32, event: LinkEvent },
    Lost { node: NodeId, peer: NodeId, connection: Connection, reason: DownReason },
    Severed { node: NodeId, peer: NodeId, connection: Connection },
    Connect { from: NodeId, life: u32, to: NodeId, attempt: Attempt },
    GiveUp { from: NodeId, life: u32, attempt: Attempt },
    Wake { node: NodeId, life: u32 },
    WakeEndpoint { node: NodeId, life: u32 },
    ForEndpoint { node: NodeId, life: u32, input: EndpointInput },
    ForRelay { node: NodeId, life: u32, input: RelayInput },
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
    heard: Heard,
    taps: Taps,
    /// Every cell that any disk ever held.
    ever_held: BTreeSet<PacketId>,
    /// Packets of endpoint halves that learn what becomes of them.
    posted: BTreeSet<(NodeId, PacketId)>,
    posts: Posts,
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
            heard: Heard::default(),
            taps: Taps::default(),
            ever_held: BTreeSet::new(),
            posted: BTreeSet::new(),
            posts: Posts::default(),
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

    /// Who listens.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Who listens, to let others listen.
    pub fn taps_mut(&mut self) -> &mut Taps {
        &mut self.taps
    }

    /// The numbers kept.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What endpoint halves have sent.
    pub fn posts(&self) -> &Posts {
        &self.posts
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

    /// A node's machine, if it is running, to change what it is.
    pub fn machine_mut(&mut self, id: NodeId) -> Option<&mut M> {
        self.nodes[id.index()].machine.as_mut()
    }

    /// What a node's disk holds for others.
    pub fn held(&self, id: NodeId) -> Vec<HeldCell> {
        self.nodes[id.index()].found()
    }

    /// A node's store.
    pub fn store(&self, id: NodeId) -> &MemoryStore {
        &self.nodes[id.index()].store
    }

    /// The node of a key.
    pub fn find(&self, key: &LinkKey) -> Option<NodeId> {
        self.by_key.get(key).copied()
    }

    /// A node's name on the link.
    pub fn key(&self, id: NodeId) -> LinkKey {
        self.nodes[id.index()].key
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

    /// Whom a node takes itself to be connected to, in the order of their numbers.
    pub fn peers_of(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.nodes[id.index()].links().iter().map(|link| link.peer)
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
            Event::WakeEndpoint { node, life } => {
                if self.is_alive(node, life) {
                    self.wake_endpoint(node);
                }
            }
            Event::ForEndpoint { node, life, input } => {
                if self.is_alive(node, life) {
                    self.handle_endpoint(node, input);
                }
            }
            Event::ForRelay { node, life, input } => {
                if self.is_alive(node, life) {
                    self.handle(node, input);
                }
            }
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
            RelayEffect::Cell(cell) => {
                self.packets.on_handed(&cell, id.0, self.now);
                self.hand_to_endpoint(id, cell);
            }
            RelayEffect::Store(order) => self.obey(id, order),
            RelayEffect::Reply(command, reply) if command.is_of_endpoint() => self.answer_endpoint(id, command, reply),
            RelayEffect::Reply(command, reply) => self.replies.push((id, command, reply)),
            RelayEffect::Publish(event) => self.note_event(id, event),
        }
    }

    fn note_event(&mut self, by: NodeId, event: RelayEvent) {
        match event {
            RelayEvent::PeerFault(of, fault) => {
                *self.counts.faults.entry(fault).or_default() += 1;
                let Some(of) = self.find(&of) else { return };
                let is_gone =
                    fault == Fault::Silent && !(self.is_online(of) && self.net.reaches(by.index(), of.index()));
                let are_honest = [by, of].iter().all(|id| self.mask_of(*id) == Mask::Honest);
                if are_honest && !is_gone && self.counts.accusations.len() < ACCUSATIONS_MAX {
                    self.counts.accusations.push(Accusation { at: self.now, by, of, fault });
                }
            }
            RelayEvent::Packet(id, outcome) => {
                match outcome {
                    Outcome::HandedOver => self.counts.handed_over += 1,
                    Outcome::Failed(_) => self.counts.given_up += 1,
                }
                match self.posted.remove(&(by, id)) {
                    true => self.for_endpoint(by, EndpointInput::Outcome(id, outcome)),
                    false => self.outcomes.push((id, outcome)),
                }
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
}

#[cfg(test)]
mod tests;
