//! The relay half: routes, spreads and keeps the overlay for the network.

use std::collections::BTreeMap;

use mainframe_base::{Fault, Held, LinkKey, Locator, Luminosity, NetworkId, Prefix, Role, Time};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::attended;
use super::role::Standing;
use super::{HangupReason, Reach, RelayEffect, RelayEvent, RelayInput, RelayReply, TraceEvent};
use crate::codec::Reader;
use crate::crypto::{NodeRecord, Verifier};
use crate::hold::{Completeness, HeldCell, Hold, HoldConfig, HoldFact, HoldOut, HoldScene, HoldWish};
use crate::neighbours::{Neighbour, Neighbours};
use crate::overlay::{Goodbye, Myself, Overlay, OverlayConfig, OverlayFact, OverlayOut, OverlayWish};
use crate::packet::{PacketConfig, PacketFact, PacketOut, PacketWish, Packets, Scene};
use crate::store::{Table, Tx};
use crate::wire::TagBucket;

/// Peers whose faults are remembered one by one; beyond them only the sums are kept.
const FAULTY_PEERS_MAX: usize = 1_024;

/// Rounds in which facts of one room may cause facts of the other: up → flow, fault → down → flow. More is a bug.
const ROUNDS_MAX: usize = 8;

/// How a relay takes part.
#[derive(Clone, Default, Debug)]
pub struct RelayConfig {
    /// Sizes and paces of the overlay.
    pub overlay: OverlayConfig,
    /// Paces and bounds of packets.
    pub packet: PacketConfig,
    /// Paces and bounds of holding.
    pub hold: HoldConfig,
    /// Whether the role it begins with follows what is found out about it: nobody can dial it → guest, others have → relay.
    pub follows_reach: bool,
    /// Whether steps of packets are published; without effect outside [`NetworkId::DEV`].
    pub trace: bool,
}

/// Wishes and facts of a step there is room for in advance: those of a cell that comes alone (guess). A busy relay takes
/// the rest anew with every batch; ten thousand quiet ones in a simulator must cost little.
const SAID_KEPT: usize = 16;

/// What the rooms said in one step, before the switchboard has acted on it.
#[derive(Clone, Default)]
pub(super) struct Said {
    pub(super) overlay: OverlayOut,
    pub(super) packets: PacketOut,
    pub(super) hold: HoldOut,
}

/// The relay half of a node. A clone goes on from where the original stands; both wipe their keys.
#[expect(missing_debug_implementations, reason = "holds the node's keys")]
#[derive(Clone)]
pub struct Relay {
    pub(super) overlay: Overlay,
    pub(super) packets: Packets,
    pub(super) hold: Hold,
    pub(super) standing: Standing,
    pub(super) network: NetworkId,
    /// What the link found out last.
    pub(super) reach: Reach,
    trace: bool,
    pub(super) faults: BTreeMap<Fault, u64>,
    pub(super) faults_by_peer: BTreeMap<LinkKey, u32>,
    /// Empty between steps, but for what the start left behind; kept for its memory.
    said: Said,
}

impl Relay {
    /// A relay that starts from the peer cache in `tx`, then the `bootstrap` locators; no node is special. `found` is what its
    /// store holds for others.
    pub fn new(
        now: Time,
        config: RelayConfig,
        myself: Myself,
        bootstrap: Vec<Locator>,
        rng_seed: [u8; 32],
        found: Vec<HeldCell>,
        tx: &dyn Tx,
    ) -> Relay {
        let mut rng = ChaCha20Rng::from_seed(rng_seed);
        let mut seed = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        let (network, role) = (myself.network, myself.role);
        let cached = cached_records(tx, config.overlay.known_max, &myself.verifier);
        let packets = Packets::new(now, config.packet, seed());
        let mut overlay = Overlay::new(now, config.overlay, myself, cached, bootstrap, seed());
        let home = Prefix::of(overlay.neighbours().me(), Luminosity::FULL);
        let attends_home = config.hold.attends_home;
        let mut hold = Hold::new(config.hold, found, seed());
        let mut said = Said::default();
        let scene = &mut HoldScene { now, neighbours: overlay.neighbours(), out: &mut said.hold };
        if attends_home {
            let complete = attended::until(tx, &home).unwrap_or(Completeness::since(now));
            hold.attend(scene, home, TagBucket::ALL, complete);
        }
        for (region, bucket, complete) in attended::rows(tx).filter(|(region, ..)| *region != home) {
            hold.attend(scene, region, bucket, complete);
        }
        overlay.attend(now, hold.regions().collect());
        Relay {
            packets,
            overlay,
            hold,
            network,
            reach: Reach::Unknown,
            trace: config.trace && network == NetworkId::DEV,
            faults: BTreeMap::new(),
            faults_by_peer: BTreeMap::new(),
            standing: if config.follows_reach { Standing::following(role) } else { Standing::told(role) },
            said,
        }
    }

    /// Takes one input, changes state, and appends what it causes to `out`. Never blocks and never fails.
    pub fn handle(&mut self, now: Time, input: RelayInput, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        let mut said = std::mem::take(&mut self.said);
        match input {
            RelayInput::Link(event) => self.link_event(now, event, &mut said),
            RelayInput::Cell(command, dispatch) => self.send_cell(now, command, dispatch, &mut said, out),
            RelayInput::Command(id, command) => self.command(now, id, command, &mut said, out),
            RelayInput::Store(report) => {
                let scene = &mut HoldScene { now, neighbours: self.overlay.neighbours(), out: &mut said.hold };
                self.hold.store_said(scene, report);
            }
            RelayInput::Wake => self.wake(now, &mut said),
        }
        self.exchange_facts(now, &mut said, out);
        grant(&mut said, tx, out);
        said.packets.wishes.shrink_to(SAID_KEPT);
        said.packets.facts.shrink_to(SAID_KEPT);
        self.said = said;
    }

    /// When `Wake` is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        let rooms = [self.overlay.next_wake(), self.packets.next_wake(), self.hold.next_wake()];
        rooms.into_iter().chain([self.standing.next_wake()]).flatten().min()
    }

    /// Whom we are connected to.
    pub fn neighbours(&self) -> &Neighbours {
        self.overlay.neighbours()
    }

    /// The overlay room, to be looked at.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The packet room, to be looked at.
    pub fn packets(&self) -> &Packets {
        &self.packets
    }

    /// The hold room, to be looked at.
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Everything that others can make grow here, beside its bound.
    pub fn footprint(&self) -> Vec<Held> {
        let faulty = Held { name: "faulty_peers", now: self.faults_by_peer.len(), bound: FAULTY_PEERS_MAX };
        let mut held = self.overlay.footprint();
        held.extend(self.packets.footprint());
        held.extend(self.hold.footprint());
        held.push(faulty);
        held
    }

    /// Others could dial this node, or those who were asked could not.
    pub(super) fn found_out(&mut self, now: Time, reach: Reach, said: &mut Said) {
        self.reach = reach;
        self.standing.found_out(reach == Reach::Reachable);
        self.follow(now, said);
    }

    fn follow(&mut self, now: Time, said: &mut Said) {
        if let Some(role) = self.standing.decide(now) {
            self.overlay.take_role(now, role, &mut said.overlay);
        }
    }

    fn wake(&mut self, now: Time, said: &mut Said) {
        self.follow(now, said);
        if self.overlay.next_wake().is_some_and(|due| due <= now) {
            self.overlay.wake(now, &mut said.overlay);
        }
        if self.packets.next_wake().is_some_and(|due| due <= now) {
            let neighbours = self.overlay.neighbours();
            self.packets.wake(&mut Scene { now, neighbours, out: &mut said.packets });
        }
        if self.hold.next_wake().is_some_and(|due| due <= now) {
            let neighbours = self.overlay.neighbours();
            self.hold.wake(&mut HoldScene { now, neighbours, out: &mut said.hold });
        }
    }

    /// Tells each room what happened in the other, until nothing new happens.
    fn exchange_facts(&mut self, now: Time, said: &mut Said, out: &mut Vec<RelayEffect>) {
        for _ in 0..ROUNDS_MAX {
            for fact in std::mem::take(&mut said.overlay.facts) {
                self.overlay_fact(now, fact, said, out);
            }
            self.packets.flush(&mut said.packets);
            let mut facts = std::mem::take(&mut said.packets.facts);
            for fact in facts.drain(..) {
                self.packet_fact(now, fact, said, out);
            }
            facts.append(&mut said.packets.facts);
            said.packets.facts = facts;
            self.pass_cells(now, said, out);
            for HoldFact::Unserved(peer) in std::mem::take(&mut said.hold.facts) {
                self.overlay.let_go(now, peer, &mut said.overlay);
            }
            if said.overlay.facts.is_empty() && said.packets.arrived.is_empty() && said.hold.facts.is_empty() {
                return;
            }
        }
        unreachable!("facts of the rooms cause each other without end");
    }

    /// Cells that came go to whoever holds them and to the endpoint half; cells that were asked for go to the packet room.
    fn pass_cells(&mut self, now: Time, said: &mut Said, out: &mut Vec<RelayEffect>) {
        let neighbours = self.overlay.neighbours();
        let mut arrived = std::mem::take(&mut said.packets.arrived);
        for cell in arrived.drain(..) {
            self.hold.arrived(&mut HoldScene { now, neighbours, out: &mut said.hold }, &cell);
            out.push(RelayEffect::Cell(cell));
        }
        said.packets.arrived = arrived;
        self.hold.flush(&mut said.hold);
        let scene = &mut Scene { now, neighbours, out: &mut said.packets };
        said.hold.wishes.retain_mut(|wish| {
            let HoldWish::Serve(peer, cell) = wish else { return true };
            self.packets.serve(scene, *peer, cell.clone());
            false
        });
    }

    fn overlay_fact(&mut self, now: Time, fact: OverlayFact, said: &mut Said, out: &mut Vec<RelayEffect>) {
        let event = match fact {
            OverlayFact::PeerUp(peer, address) => {
                let role = self.overlay.record_of(&peer).map(|record| record.role);
                let proximity = self.overlay.neighbours().me().proximity(&address);
                let relay = (role == Some(Role::Relay)).then_some(Neighbour { key: peer, address, proximity });
                self.packets.peer_up(now, peer, relay);
                self.hold.tend(&mut HoldScene { now, neighbours: self.overlay.neighbours(), out: &mut said.hold });
                RelayEvent::PeerUp(peer, address)
            }
            OverlayFact::PeerDown(peer, address) => {
                let neighbours = self.overlay.neighbours();
                self.packets.peer_down(&mut Scene { now, neighbours, out: &mut said.packets }, peer);
                self.hold.peer_down(&mut HoldScene { now, neighbours, out: &mut said.hold }, peer);
                RelayEvent::PeerDown(peer, address)
            }
            OverlayFact::Joined(depth) => RelayEvent::Joined(depth),
            OverlayFact::Fault(peer, fault) => {
                self.count(peer, fault);
                RelayEvent::PeerFault(peer, fault)
            }
            OverlayFact::NeighboursChanged => return,
            OverlayFact::Estimated(ticket, estimate) => {
                let reply = RelayReply::Estimate(estimate);
                out.push(RelayEffect::Reply(super::CommandId(ticket), reply));
                return;
            }
        };
        out.push(RelayEffect::Publish(event));
    }

    fn packet_fact(&mut self, now: Time, fact: PacketFact, said: &mut Said, out: &mut Vec<RelayEffect>) {
        match fact {
            // Clocks differ and buckets end: a late cell is refused and counted, but no reason to part.
            PacketFact::Faulted(peer, Fault::Expired) => self.count(peer, Fault::Expired),
            PacketFact::Faulted(peer, fault) => self.overlay.fault(now, peer, fault, &mut said.overlay),
            PacketFact::Ended(id, result) => {
                let outcome = result.map_or_else(super::Outcome::Failed, |()| super::Outcome::HandedOver);
                out.push(RelayEffect::Publish(RelayEvent::Packet(id, outcome)));
            }
            PacketFact::Stepped { id, peer, step } if self.trace => {
                let neighbours = self.overlay.neighbours();
                let node = *neighbours.me();
                let peer = peer.and_then(|peer| neighbours.find(&peer)).map(|relay| relay.address);
                out.push(RelayEffect::Publish(RelayEvent::Trace(TraceEvent { id, node, peer, step, at: now })));
            }
            PacketFact::Stepped { .. } => {}
        }
    }

    /// Counts a peer's fault.
    pub(super) fn count(&mut self, peer: LinkKey, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
        if self.faults_by_peer.len() < FAULTY_PEERS_MAX || self.faults_by_peer.contains_key(&peer) {
            *self.faults_by_peer.entry(peer).or_default() += 1;
        }
    }
}

/// Turns the rooms' wishes into effects, the overlay's first: a peer greets before it sends anything else.
fn grant(said: &mut Said, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
    for wish in said.overlay.wishes.drain(..) {
        match wish {
            OverlayWish::Dial { peer, locators } => out.push(RelayEffect::Dial { peer, locators }),
            OverlayWish::Hangup(peer, Goodbye::Fault(fault)) => {
                out.push(RelayEffect::Hangup(peer, HangupReason::Fault(fault)));
            }
            OverlayWish::Hangup(peer, Goodbye::Pruned) => {
                out.push(RelayEffect::Hangup(peer, HangupReason::Pruned));
            }
            OverlayWish::Send(peer, frame) => out.push(RelayEffect::Send(peer, frame.encode())),
            OverlayWish::Remember(record) => remember(tx, &record),
            OverlayWish::Forget(address) => tx.delete(Table::Peers, &address.0),
        }
    }
    for wish in said.packets.wishes.drain(..) {
        match wish {
            PacketWish::Send(peer, frame) => out.push(RelayEffect::Send(peer, frame.encode())),
        }
    }
    for wish in said.hold.wishes.drain(..) {
        match wish {
            HoldWish::Send(peer, frame) => out.push(RelayEffect::Send(peer, frame.encode())),
            HoldWish::Store(order) => out.push(RelayEffect::Store(order)),
            HoldWish::Note(region, bucket, complete) => attended::put(tx, &region, bucket, &complete),
            HoldWish::Forget(region) => attended::delete(tx, &region),
            HoldWish::Serve(..) => unreachable!("the packet room has taken it"),
        }
    }
}

fn remember(tx: &mut dyn Tx, record: &NodeRecord) {
    let mut value = Vec::with_capacity(NodeRecord::LENGTH_MAX);
    record.encode(&mut value);
    tx.put(Table::Peers, &record.overlay.0, &value);
}

/// The peer cache; rows that do not verify are passed over.
fn cached_records(tx: &dyn Tx, limit: usize, verifier: &Verifier) -> Vec<std::sync::Arc<NodeRecord>> {
    tx.scan(Table::Peers, None, limit)
        .iter()
        .filter_map(|(_, value)| NodeRecord::decode(&mut Reader::new(value)).ok())
        .filter_map(|record| verifier.record(record).ok())
        .collect()
}
