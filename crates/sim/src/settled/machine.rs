//! The packet room of one relay over a settled table, without the overlay room: what a hundred thousand nodes have
//! memory for. It comes into being when it is first needed.

use std::sync::Arc;

use mainframe_base::{Fault, LinkKey, NetworkId, Role, Time};
use mainframe_core::neighbours::{Neighbour, Neighbours};
use mainframe_core::packet::{PacketConfig, PacketFact, PacketOut, PacketWish, Packets, Scene};
use mainframe_core::switchboard::{
    CommandId, HangupReason, LinkEvent, Outcome, Reach, RelayCommand, RelayEffect, RelayEvent, RelayInput, RelayReply,
    RelayStatus, RoleReason,
};
use mainframe_core::wire::Frame;

use super::Connections;

/// A relay whose table is given.
#[derive(Debug)]
pub struct SettledRelay {
    node: u32,
    connections: Arc<Connections>,
    config: Arc<PacketConfig>,
    rng_seed: [u8; 32],
    /// Peers that left before anything was needed of us.
    lost: Vec<LinkKey>,
    awake: Option<Box<Awake>>,
}

#[derive(Debug)]
struct Awake {
    packets: Packets,
    neighbours: Neighbours,
    depth_least: usize,
}

impl SettledRelay {
    /// The relay of a node, connected as the tables say.
    pub fn new(
        node: u32,
        connections: Arc<Connections>,
        config: Arc<PacketConfig>,
        rng_seed: [u8; 32],
    ) -> SettledRelay {
        SettledRelay { node, connections, config, rng_seed, lost: Vec::new(), awake: None }
    }

    /// See [`mainframe_core::switchboard::Relay::handle`].
    pub fn handle(&mut self, now: Time, input: RelayInput, out: &mut Vec<RelayEffect>) {
        let mut said = PacketOut::default();
        match input {
            RelayInput::Link(LinkEvent::Frames { peer, frames }) => {
                let awake = self.awake(now);
                frames.iter().for_each(|bytes| awake.frame(now, peer, Frame::decode(bytes), &mut said));
            }
            RelayInput::Link(LinkEvent::Down { peer, .. }) => match &mut self.awake {
                Some(awake) => awake.lose(now, peer, &mut said),
                None => self.lost.push(peer),
            },
            RelayInput::Cell(command, dispatch) => {
                let Awake { packets, neighbours, .. } = self.awake(now);
                let result = packets.originate(&mut Scene { now, neighbours, out: &mut said }, dispatch);
                let reply = result.map_or_else(RelayReply::Refused, RelayReply::Accepted);
                out.push(RelayEffect::Reply(command, reply));
            }
            RelayInput::Wake => {
                if let Some(Awake { packets, neighbours, .. }) = self.awake.as_deref_mut() {
                    packets.wake(&mut Scene { now, neighbours, out: &mut said });
                }
            }
            RelayInput::Command(id, RelayCommand::Status) => self.answer(id, out),
            RelayInput::Command(..)
            | RelayInput::Store(_)
            | RelayInput::Link(
                LinkEvent::Up { .. }
                | LinkEvent::DialFailed { .. }
                | LinkEvent::Fault { .. }
                | LinkEvent::Listening(_)
                | LinkEvent::Expired(_)
                | LinkEvent::Reachable(_)
                | LinkEvent::Unreachable
                | LinkEvent::Found(_),
            ) => {}
        }
        self.grant(said, out);
    }

    /// See [`mainframe_core::switchboard::Relay::next_wake`].
    pub fn next_wake(&self) -> Option<Time> {
        self.awake.as_ref()?.packets.next_wake()
    }

    /// The packet room, if it was needed yet.
    pub fn packets(&self) -> Option<&Packets> {
        self.awake.as_ref().map(|awake| &awake.packets)
    }

    fn awake(&mut self, now: Time) -> &mut Awake {
        self.awake.get_or_insert_with(|| {
            let tables = &*self.connections;
            let of = |node: u32| (tables.keys[node as usize], tables.addresses[node as usize]);
            let (_, me) = of(self.node);
            let depth = tables.depths[self.node as usize];
            let peers = tables.links(self.node).iter().map(|peer| of(*peer));
            let neighbours = Neighbours::new(me, depth, peers.filter(|(key, _)| !self.lost.contains(key)));
            let mut packets = Packets::new(now, (*self.config).clone(), self.rng_seed);
            neighbours.all().iter().for_each(|relay| packets.peer_up(now, relay.key, Some(*relay)));
            let mut awake = Awake { packets, neighbours, depth_least: tables.neighbourhood };
            awake.reckon();
            Box::new(awake)
        })
    }

    /// Facts and wishes become effects, as in the switchboard.
    fn grant(&mut self, mut said: PacketOut, out: &mut Vec<RelayEffect>) {
        if let Some(awake) = &mut self.awake {
            awake.packets.flush(&mut said);
        }
        for fact in said.facts {
            match fact {
                PacketFact::Faulted(_, Fault::Expired) | PacketFact::Stepped { .. } => {}
                PacketFact::Faulted(peer, fault) => {
                    out.push(RelayEffect::Publish(RelayEvent::PeerFault(peer, fault)));
                    out.push(RelayEffect::Hangup(peer, HangupReason::Fault(fault)));
                }
                PacketFact::Ended(id, result) => {
                    let outcome = result.map_or_else(Outcome::Failed, |()| Outcome::HandedOver);
                    out.push(RelayEffect::Publish(RelayEvent::Packet(id, outcome)));
                }
            }
        }
        out.extend(said.arrived.into_iter().map(RelayEffect::Cell));
        let sent = said.wishes.into_iter();
        out.extend(sent.map(|PacketWish::Send(peer, frame)| RelayEffect::Send(peer, frame.encode())));
    }

    fn answer(&self, id: CommandId, out: &mut Vec<RelayEffect>) {
        let Some(Awake { packets, neighbours, .. }) = self.awake.as_deref() else { return };
        let (pending_bytes, pending_bytes_max) = packets.pending_bytes();
        let counters = packets.counters().pairs().into_iter().chain([("seen_ended_early", packets.seen_ended_early())]);
        let status = RelayStatus {
            network: NetworkId::MAIN,
            role: Role::Relay,
            role_reason: RoleReason::Configured,
            overlay: *neighbours.me(),
            link_key: self.connections.keys[self.node as usize],
            reach: Reach::Unknown,
            joined: true,
            depth: neighbours.depth(),
            peers: neighbours.all().len(),
            neighbourhood: neighbours.within(neighbours.depth()).len(),
            known: neighbours.all().len(),
            estimate: None,
            pending_bytes,
            pending_bytes_max,
            hold: Default::default(),
            counters: counters.collect(),
            faults: Default::default(),
        };
        out.push(RelayEffect::Reply(id, RelayReply::Status(Box::new(status))));
    }
}

impl Awake {
    fn frame(&mut self, now: Time, from: LinkKey, frame: Result<Frame, Fault>, out: &mut PacketOut) {
        let Awake { packets, neighbours, .. } = self;
        let scene = &mut Scene { now, neighbours, out };
        match frame {
            Ok(Frame::Cell(frame)) => packets.cell(scene, from, frame, |_| false),
            Ok(Frame::List(frame)) => packets.list(scene, from, frame),
            Ok(Frame::Custody(receipts)) => packets.receipts(scene, from, &receipts),
            Ok(Frame::Digest(digests)) => packets.digests(scene, from, &digests),
            Ok(Frame::Pull(pulls)) => drop(packets.pulls(scene, from, &pulls)),
            Ok(Frame::Recent(recent)) => packets.recent(scene, from, &recent),
            Ok(_) => {}
            Err(fault) => scene.out.facts.push(PacketFact::Faulted(from, fault)),
        }
    }

    /// A peer is gone. Nobody is dialled in its place.
    fn lose(&mut self, now: Time, peer: LinkKey, out: &mut PacketOut) {
        if let Some(Neighbour { address, .. }) = self.neighbours.find(&peer).copied() {
            self.neighbours.remove(&address);
            self.reckon();
        }
        let Awake { packets, neighbours, .. } = self;
        packets.peer_down(&mut Scene { now, neighbours, out }, peer);
    }

    /// The neighbourhood begins where enough relays are connected; never deeper than the table said at first.
    fn reckon(&mut self) {
        let enough = |depth: &u16| self.neighbours.within(*depth).len() >= self.depth_least;
        let depth = (0..=self.neighbours.depth()).rev().find(enough).unwrap_or(0);
        self.neighbours.set_depth(depth);
    }
}
