//! Where a packet goes: towards its region with custody at every hop, then through the region by partition.
//!
//! Rules and reasons: docs/protocol/packet.md. This room knows neighbours only as a plain value, cells only by what
//! they say to forwarders, and nobody's keys: receiver and bystander take the same path through every line here.
//!
//! - `inbound`: a cell, a receipt, a digest, a pull or a sketch comes in
//! - `spread`: a packet has reached its region and is divided among its relays
//! - `handover`: a cell is owed to a next hop until that hop has custody of it
//! - `gossip`: what keeps liars and losses from leaving holes

mod flow;
mod gossip;
mod handover;
mod inbound;
mod partition;
mod ring;
mod route;
mod seen;
mod sketch;
mod slab;
mod spread;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Address, Fault, LinkKey, Luminosity, PacketId, Refusal, Time};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::neighbours::{Neighbour, Neighbours};
use crate::wire::{BudgetClass, Cell, DIGESTS_MAX, Frame, RECEIPTS_MAX};
use flow::Flow;
pub use flow::WINDOW_BYTES_MAX;
use gossip::{Standby, Wanted};
use handover::{HandoverId, Pool};
pub use ring::{RING_AGE_MS_MAX, RING_BYTES_MAX, Ring};
use seen::SeenSet;

/// Pace and bounds of the packet room.
#[derive(Clone, Debug)]
pub struct PacketConfig {
    /// Cells under way or waiting for a next hop, in bytes of all their copies together. At the bound new cells are
    /// refused as busy.
    pub pool_bytes_max: usize,
    /// Digests per sibling subtree, to others than its delegate. 3 covers 10 % silent droppers, 5 covers 20 % and more
    /// (protocol research §3.3).
    pub digests: usize,
    /// A slow link's time one way, the unit of all waiting in a region, in milliseconds (protocol research §3.3).
    pub link_ms: u64,
    /// Time between two rounds of anti-entropy while packets come in, in milliseconds (protocol research §3.3).
    pub gossip_ms: u64,
    /// Whether a cell that is kept is copied out of the buffer it came in: a link reads up to 64 KiB at once, and one
    /// kept cell would hold all of it. The simulator's nodes share their cells instead.
    pub copy_kept: bool,
}

impl Default for PacketConfig {
    fn default() -> Self {
        PacketConfig { pool_bytes_max: 32 << 20, digests: 5, link_ms: 150, gossip_ms: 5_000, copy_kept: true }
    }
}

/// What should happen.
#[derive(Clone, PartialEq, Debug)]
pub enum PacketWish {
    /// Send a frame to a connected peer.
    Send(LinkKey, Frame),
    /// Hand a cell of our region to the endpoint half.
    Deliver(Cell),
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketFact {
    /// A peer broke the protocol.
    Faulted(LinkKey, Fault),
    /// A packet of our own endpoint was handed over, or could not be.
    Ended(PacketId, Result<(), Refusal>),
    /// A packet took a step.
    Stepped {
        /// Which packet.
        id: PacketId,
        /// The other side of the step, if there is one.
        peer: Option<Address>,
        /// What kind of step.
        step: Step,
    },
}

/// The kinds of steps of a packet at one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Our own endpoint sent it.
    Originated,
    /// Sent towards the region.
    Routed,
    /// Sent towards the region as the second, waiting copy.
    RoutedStandby,
    /// Handed to the delegate of a sub-prefix of this length.
    Delegated(Luminosity),
    /// Handed to a relay of the neighbourhood.
    Neighbourhood,
    /// Sent because the peer pulled it.
    Pulled,
    /// We have it and lie in its region.
    Arrived,
}

/// What a call leaves behind.
#[derive(Clone, Default, Debug)]
pub struct PacketOut {
    /// What should happen, in order.
    pub wishes: Vec<PacketWish>,
    /// What happened, in order.
    pub facts: Vec<PacketFact>,
}

/// When a call is made, among whom, and what it leaves behind.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The present.
    pub now: Time,
    /// Whom we are connected to.
    pub neighbours: &'a Neighbours,
    /// Facts and wishes, appended to.
    pub out: &'a mut PacketOut,
}

/// Counts since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the metrics' names and say what is counted")]
pub struct PacketCounters {
    pub cells_received: u64,
    pub cells_duplicate: u64,
    pub cells_refused_busy: u64,
    pub cells_without_progress: u64,
    pub cells_sent: u64,
    pub cells_originated: u64,
    pub cells_delivered: u64,
    pub custody_received: u64,
    pub custody_late: u64,
    pub handovers_failed: u64,
    pub digests_sent: u64,
    pub digests_received: u64,
    pub pulls_sent: u64,
    pub pulls_answered: u64,
    pub sketches_sent: u64,
    pub standby_spread: u64,
}

impl PacketCounters {
    /// Every counter with its name.
    pub fn pairs(&self) -> [(&'static str, u64); 16] {
        [
            ("cells_received", self.cells_received),
            ("cells_duplicate", self.cells_duplicate),
            ("cells_refused_busy", self.cells_refused_busy),
            ("cells_without_progress", self.cells_without_progress),
            ("cells_sent", self.cells_sent),
            ("cells_originated", self.cells_originated),
            ("cells_delivered", self.cells_delivered),
            ("custody_received", self.custody_received),
            ("custody_late", self.custody_late),
            ("handovers_failed", self.handovers_failed),
            ("digests_sent", self.digests_sent),
            ("digests_received", self.digests_received),
            ("pulls_sent", self.pulls_sent),
            ("pulls_answered", self.pulls_answered),
            ("sketches_sent", self.sketches_sent),
            ("standby_spread", self.standby_spread),
        ]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Handover(HandoverId),
    Wanted(PacketId),
    Standby(PacketId),
    Gossip,
}

/// The packets under way at one relay.
#[derive(Debug)]
pub struct Packets {
    config: PacketConfig,
    rng: ChaCha8Rng,
    seen: SeenSet,
    ring: Ring,
    flows: BTreeMap<LinkKey, Flow>,
    pool: Pool,
    wanted: BTreeMap<PacketId, Wanted>,
    standby: BTreeMap<PacketId, Standby>,
    timers: BTreeSet<(Time, Timer)>,
    owing: BTreeSet<LinkKey>,
    gossip_due: bool,
    sketched: Time,
    counters: PacketCounters,
}

impl Packets {
    /// A relay with nothing under way.
    pub fn new(now: Time, config: PacketConfig, rng_seed: [u8; 32]) -> Packets {
        Packets {
            pool: Pool::new(config.pool_bytes_max),
            config,
            rng: ChaCha8Rng::from_seed(rng_seed),
            seen: SeenSet::new(now),
            ring: Ring::default(),
            flows: BTreeMap::new(),
            wanted: BTreeMap::new(),
            standby: BTreeMap::new(),
            timers: BTreeSet::new(),
            owing: BTreeSet::new(),
            gossip_due: false,
            sketched: Time(0),
            counters: PacketCounters::default(),
        }
    }

    /// A peer has said who it is, and where it stands if it is a relay; cells may go both ways.
    pub fn peer_up(&mut self, now: Time, peer: LinkKey, relay: Option<Neighbour>) {
        self.flows.insert(peer, Flow::new(now, relay));
    }

    /// A peer is gone; what it did not take over goes elsewhere.
    pub fn peer_down(&mut self, scene: &mut Scene<'_>, peer: LinkKey) {
        self.owing.remove(&peer);
        let Some(flow) = self.flows.remove(&peer) else { return };
        for handover in flow.under_way() {
            self.give_up_on(scene, handover, peer);
        }
    }

    /// Takes a packet of our own endpoint into custody.
    ///
    /// # Errors
    /// `Busy` if the pool is full, `NotConnected` without neighbours, `NoProgress` if nobody is closer to the region
    /// and we are not in it. Nothing is kept then.
    pub fn originate(&mut self, scene: &mut Scene<'_>, cell: Cell, budget: BudgetClass) -> Result<PacketId, Refusal> {
        let id = cell.id();
        let inside = cell.destination().matches(scene.neighbours.me());
        if !inside && scene.neighbours.all().is_empty() {
            return Err(Refusal::NotConnected);
        }
        if !inside && scene.neighbours.closer_to(&cell.destination()).next().is_none() {
            return Err(Refusal::NoProgress);
        }
        if !self.pool.has_room(None, cell.bytes().len()) {
            return Err(Refusal::Busy);
        }
        self.counters.cells_originated += 1;
        scene.out.facts.push(PacketFact::Stepped { id, peer: None, step: Step::Originated });
        self.pool.begin_origin(id);
        if inside {
            self.enter(scene, cell, budget, None);
        } else {
            self.send_towards(scene, cell, budget);
        }
        if let Some(result) = self.pool.close_origin(id) {
            scene.out.facts.push(PacketFact::Ended(id, result));
        }
        Ok(id)
    }

    /// Does what the time has come for.
    pub fn wake(&mut self, scene: &mut Scene<'_>) {
        while let Some((due, timer)) = self.timers.first().copied() {
            if due > scene.now {
                break;
            }
            self.timers.remove(&(due, timer));
            match timer {
                Timer::Handover(id) => self.handover_due(scene, id),
                Timer::Wanted(id) => self.wanted_due(scene, id),
                Timer::Standby(id) => self.standby_due(scene, id),
                Timer::Gossip => self.gossip_due(scene),
            }
        }
    }

    /// When [`Packets::wake`] is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Sends the receipts and digests gathered since the last call: once per step, so that they travel together.
    pub fn flush(&mut self, out: &mut PacketOut) {
        while let Some(peer) = self.owing.pop_first() {
            let Some(flow) = self.flows.get_mut(&peer) else { continue };
            for receipts in flow.receipts.chunks(RECEIPTS_MAX) {
                out.wishes.push(PacketWish::Send(peer, Frame::Custody(receipts.to_vec())));
            }
            for digests in flow.digests.chunks(DIGESTS_MAX) {
                self.counters.digests_sent += digests.len() as u64;
                out.wishes.push(PacketWish::Send(peer, Frame::Digest(digests.to_vec())));
            }
            flow.receipts.clear();
            flow.digests.clear();
        }
    }

    /// Counts since the start.
    pub fn counters(&self) -> &PacketCounters {
        &self.counters
    }

    /// Bytes of copies waiting for custody: now, and the most there ever were.
    pub fn pending_bytes(&self) -> (usize, usize) {
        self.pool.bytes()
    }

    /// Typical time until this peer takes custody, in milliseconds, if measured.
    pub fn custody_ms(&self, peer: &LinkKey) -> Option<u32> {
        self.flows.get(peer)?.custody_ms().and_then(|ms| u32::try_from(ms).ok())
    }

    /// How often the memory of packets was cut short because it was full.
    pub fn seen_ended_early(&self) -> u64 {
        self.seen.ended_early()
    }

    /// A whole number below `bound`, which is above zero.
    fn lot(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }
}
