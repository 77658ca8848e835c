//! Connections: dialling, sending, hanging up, as the link does it.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use mainframe_base::{LinkKey, Locator, Transport};
use mainframe_core::switchboard::{DownReason, LinkEvent};
use mainframe_core::wire::OutFrame;

use super::{Event, World};
use crate::frames::{Kind, kind, read_control};
use crate::masks::Mask;
use crate::node::{Connection, Link, Machine, NodeId};
use crate::packets::Note;
use crate::settled::Connections;

/// The first of the nodes' network addresses: 16.0.0.1, the next is 16.0.1.1 and so on, each in a /24 of its own.
const FIRST_IP: u32 = 0x1000_0001;
/// The port every node listens at.
const PORT: u16 = 4_001;
/// The port dialled connections come from.
const DIALLING_PORT: u16 = 50_000;

/// A dial under way.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) peer: Option<LinkKey>,
    pub(super) locators: Vec<Locator>,
    /// Which of them is being tried.
    pub(super) at: usize,
}

impl<M: Machine> World<M> {
    /// Connects nodes that do not run yet as the tables say, as if they had been connected for long.
    pub(crate) fn settle_links(&mut self, members: &[u32], connections: &Connections) {
        for node in members {
            let link = |peer: &u32| {
                let ends = (u64::from(*node.min(peer)), u64::from(*node.max(peer)));
                let connection = ends.0 << 32 | ends.1;
                Link { peer: NodeId(*peer), connection, first_arrival: Some(self.now) }
            };
            let links = connections.links(*node).iter().map(link).collect();
            self.nodes[*node as usize].settle_links(links);
        }
    }

    pub(super) fn send(&mut self, from: NodeId, to: LinkKey, frame: OutFrame) {
        let lies = self.mask_of(from) != Mask::Honest;
        let to = self.by_key.get(&to).copied();
        let Some((to, link)) = to.and_then(|to| Some((to, self.nodes[from.index()].link_mut(to)?))) else {
            self.counts.unsent += 1;
            return;
        };
        self.taps.sent(self.now, from, to, &frame);
        self.counts.on_sent(&frame);
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
        if let Some(note) = note.as_ref().filter(|_| lies) {
            self.packets.on_lied(note);
        }
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

    pub(super) fn deliver(
        &mut self,
        from: NodeId,
        to: NodeId,
        connection: Connection,
        frame: OutFrame,
        note: Option<Note>,
    ) {
        let node = &self.nodes[to.index()];
        if node.link(from).is_none_or(|link| link.connection != connection) {
            return;
        }
        let frame: Bytes = frame.to_bytes();
        self.taps.arrived(self.now, from, to, &frame);
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

    pub(super) fn lose(&mut self, id: NodeId, peer: NodeId, connection: Connection, reason: DownReason) {
        if self.nodes[id.index()].remove_link(peer, connection) {
            let peer = self.nodes[peer.index()].key;
            self.handle(id, LinkEvent::Down { peer, reason }.into());
        }
    }

    pub(super) fn hang_up(&mut self, id: NodeId, peer: LinkKey) {
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
    pub(super) fn dial(&mut self, from: NodeId, peer: Option<LinkKey>, locators: Vec<Locator>) {
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

    pub(super) fn connect(&mut self, from: NodeId, life: u32, to: NodeId, attempt: Attempt) {
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
    pub(super) fn fail_dial(&mut self, from: NodeId, mut attempt: Attempt, why: &str) {
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

pub(super) fn locator_of(node: u32) -> Locator {
    Locator::direct(Transport::Tcp, Ipv4Addr::from(FIRST_IP + (node << 8)).into(), PORT)
}

fn node_at(locator: &Locator) -> Option<NodeId> {
    let IpAddr::V4(ip) = locator.ip else { return None };
    let offset = u32::from(ip).checked_sub(FIRST_IP)?;
    (locator.port == PORT && offset & 0xFF == 0).then_some(NodeId(offset >> 8))
}
