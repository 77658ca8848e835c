//! Where a packet goes: towards its region with custody at every hop, then through the region by partition.
//!
//! Rules and reasons: docs/protocol/packet.md. This room knows neighbours only as a plain value, cells only by what
//! they say to forwarders, and nobody's keys: receiver and bystander take the same path through every line here.
//!
//! - `inbound`: a cell, a receipt, a digest, a pull or a sketch comes in
//! - `spread`: a packet has reached its region and is divided among its relays
//! - `lists`, `ways`: a packet to several regions is divided where its paths part
//! - `handover`: a cell is owed to a next hop until that hop has custody of it
//! - `gossip`: what keeps liars and losses from leaving holes
//! - `tries`, `delegations`, `trust`: who kept what it took over, as far as we could see

mod deadlines;
mod delegations;
mod flow;
mod footprint;
mod gossip;
mod handover;
mod inbound;
mod lists;
mod partition;
mod retry;
mod ring;
mod route;
mod seen;
mod shelf;
mod sketch;
mod slab;
mod spread;
mod table;
#[cfg(test)]
mod tests;
mod tries;
mod trust;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Fault, LinkKey, Luminosity, PacketId, Prefix, Refusal, Time};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::neighbours::{Neighbour, Neighbours};
use crate::wire::{BudgetClass, Cell, DIGESTS_MAX, Frame, Parcel, RECEIPTS_MAX};
use deadlines::Deadlines;
use delegations::Delegations;
use flow::Flow;
pub use flow::WINDOW_BYTES_MAX;
use gossip::{Standby, Wanted};
use handover::Pool;
pub use retry::{TRIES_MAX, packets_of_try, patience_ms};
pub use ring::{RING_AGE_MS_MAX, RING_BYTES_MAX, Ring};
use seen::SeenSet;
pub use shelf::{Keeping, Shelf};
use tries::Tries;
use trust::{Departed, Judgement};

/// Pace and bounds of the packet room.
#[derive(Clone, Debug)]
pub struct PacketConfig {
    /// Cells under way or waiting for a next hop, in bytes of all their copies together. At the bound new cells are
    /// refused as busy.
    pub pool_bytes_max: usize,
    /// Points at which a dark packet of our own enters its region: 2, the second of which waits; 1 only to measure what
    /// the second is worth (docs/decisions/0001).
    pub entries: u8,
    /// Digests per sibling subtree, to others than its delegate. 3 covers 10 % silent droppers, 5 covers 20 % and more
    /// (protocol research §3.3).
    pub digests: usize,
    /// A slow link's time one way, the unit of all waiting in a region, in milliseconds (protocol research §3.3).
    pub link_ms: u64,
    /// Time between two rounds of anti-entropy while packets come in, in milliseconds (protocol research §3.3).
    pub gossip_ms: u64,
    /// Where the bytes of kept cells lie.
    pub keeping: Keeping,
}

impl Default for PacketConfig {
    fn default() -> Self {
        PacketConfig {
            pool_bytes_max: 32 << 20,
            entries: 2,
            digests: 5,
            link_ms: 150,
            gossip_ms: 5_000,
            keeping: Keeping::Copied,
        }
    }
}

/// A packet of our own endpoint, ready to leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dispatch {
    /// The packet: a cell to a region, or to several.
    pub cell: Parcel,
    /// What it may cost, all regions together.
    pub budget: BudgetClass,
    /// The packet of which this one is another try, with fresh keys and so under another name: it leaves over first
    /// hops that no try of the same message has used, as far as there are any.
    pub instead_of: Option<PacketId>,
}

impl Dispatch {
    /// A first try, at any cost.
    pub fn first(cell: impl Into<Parcel>) -> Dispatch {
        Dispatch { cell: cell.into(), budget: BudgetClass::MAX, instead_of: None }
    }
}

/// What should happen.
#[derive(Clone, PartialEq, Debug)]
pub enum PacketWish {
    /// Send a frame to a connected peer.
    Send(LinkKey, Frame),
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
        peer: Option<LinkKey>,
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
    /// Cells that came to stay: those of our region, and those we asked for.
    pub arrived: Vec<Cell>,
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
    pub digests_ignored: u64,
    pub pulls_unanswered: u64,
    pub pulls_refused: u64,
    pub tried_again: u64,
    pub promises_broken: u64,
    pub standby_spread: u64,
}

impl PacketCounters {
    /// Every counter with its name.
    pub fn pairs(&self) -> [(&'static str, u64); 21] {
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
            ("digests_ignored", self.digests_ignored),
            ("pulls_unanswered", self.pulls_unanswered),
            ("pulls_refused", self.pulls_refused),
            ("tried_again", self.tried_again),
            ("promises_broken", self.promises_broken),
            ("standby_spread", self.standby_spread),
        ]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Wanted(PacketId),
    Standby(PacketId),
    Gossip,
}

/// The packets under way at one relay.
#[derive(Clone, Debug)]
pub struct Packets {
    config: PacketConfig,
    rng: ChaCha8Rng,
    seen: SeenSet,
    ring: Ring,
    flows: BTreeMap<LinkKey, Flow>,
    pool: Pool,
    wanted: BTreeMap<PacketId, Wanted>,
    standby: BTreeMap<PacketId, Standby>,
    deadlines: Deadlines,
    tries: Tries,
    delegations: Delegations,
    departed: Departed,
    timers: BTreeSet<(Time, Timer)>,
    owing: BTreeSet<LinkKey>,
    gossip_due: bool,
    sketched: Time,
    counters: PacketCounters,
}

impl Packets {
    /// A relay with nothing under way.
    pub fn new(now: Time, config: PacketConfig, rng_seed: [u8; 32]) -> Packets {
        let mut rng = ChaCha8Rng::from_seed(rng_seed);
        Packets {
            pool: Pool::new(config.pool_bytes_max, rng.next_u64()),
            config,
            seen: SeenSet::new(now, rng.next_u64()),
            ring: Ring::new(rng.next_u64()),
            rng,
            flows: BTreeMap::new(),
            wanted: BTreeMap::new(),
            standby: BTreeMap::new(),
            deadlines: Deadlines::default(),
            tries: Tries::default(),
            delegations: Delegations::default(),
            departed: Departed::default(),
            timers: BTreeSet::new(),
            owing: BTreeSet::new(),
            gossip_due: false,
            sketched: Time(0),
            counters: PacketCounters::default(),
        }
    }

    /// A peer has said who it is, and where it stands if it is a relay; cells may go both ways.
    pub fn peer_up(&mut self, now: Time, peer: LinkKey, relay: Option<Neighbour>) {
        let trust = self.departed.return_of(&peer);
        self.flows.insert(peer, Flow::new(now, relay, trust));
    }

    /// A peer is gone; what it did not take over goes elsewhere.
    pub fn peer_down(&mut self, scene: &mut Scene<'_>, peer: LinkKey) {
        self.owing.remove(&peer);
        let Some(flow) = self.flows.remove(&peer) else { return };
        self.departed.remember(peer, flow.trust);
        for handover in flow.under_way() {
            self.give_up_on(scene, handover, peer);
        }
    }

    /// Takes a packet of our own endpoint into custody.
    ///
    /// # Errors
    /// `Busy` if the pool is full, `NotConnected` without neighbours, `NoProgress` if nobody is closer to the region
    /// and we are not in it, or if that is so for every region of a list. Nothing is kept then.
    pub fn originate(&mut self, scene: &mut Scene<'_>, dispatch: Dispatch) -> Result<PacketId, Refusal> {
        let Dispatch { cell, budget, instead_of } = dispatch;
        let id = cell.id();
        may_leave(scene.neighbours, &cell)?;
        if !self.pool.has_room(None, cell.bytes().len() * cell.targets().len()) {
            return Err(Refusal::Busy);
        }
        self.counters.cells_originated += 1;
        scene.out.facts.push(PacketFact::Stepped { id, peer: None, step: Step::Originated });
        self.pool.begin_origin(&cell);
        self.begin_try(scene.now, id, instead_of);
        match cell {
            Parcel::Cell(cell) if scene.neighbours.is_inside(&cell.destination()) => {
                self.enter(scene, cell, budget, None);
            }
            Parcel::Cell(cell) => self.send_towards(scene, cell, budget),
            Parcel::List(list) => self.send_list(scene, list, budget),
        }
        if let Some(result) = self.pool.close_origin(id) {
            scene.out.facts.push(PacketFact::Ended(id, result));
        }
        Ok(id)
    }

    /// Hands a cell to a peer that asked for it or listens to its region. When too much is owed already nothing happens: it
    /// asks again.
    pub fn serve(&mut self, scene: &mut Scene<'_>, to: LinkKey, cell: Cell) {
        if self.flows.contains_key(&to) && self.pool.has_room(Some(to), cell.bytes().len()) {
            self.send_pulled(scene, to, cell, Luminosity::FULL);
        }
    }

    /// A cell of the last minutes.
    pub fn recent_cell(&self, id: &PacketId) -> Option<&Cell> {
        self.ring.get(id)
    }

    /// Does what the time has come for.
    pub fn wake(&mut self, scene: &mut Scene<'_>) {
        self.settle_promises(scene.now);
        while let Some(handover) = self.take_due(scene.now) {
            self.handover_due(scene, handover);
        }
        while let Some((due, timer)) = self.timers.first().copied() {
            if due > scene.now {
                break;
            }
            self.timers.remove(&(due, timer));
            match timer {
                Timer::Wanted(id) => self.wanted_due(scene, id),
                Timer::Standby(id) => self.standby_due(scene, id),
                Timer::Gossip => self.gossip_due(scene),
            }
        }
    }

    /// When [`Packets::wake`] is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due).into_iter().chain(self.deadlines.first()).min()
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

    /// A packet of our own leaves; if it does so instead of another, that one's first hops did not keep their promise.
    fn begin_try(&mut self, now: Time, id: PacketId, instead_of: Option<PacketId>) {
        self.settle_promises(now);
        self.counters.tried_again += u64::from(instead_of.is_some());
        for hop in self.tries.begin(now, id, instead_of) {
            self.judge_peer(now, Judgement { peer: hop, kept: false });
        }
    }

    /// What nobody complained about for long enough was kept.
    fn settle_promises(&mut self, now: Time) {
        let first_hops = self.tries.settle(now).into_iter().map(|hop| Judgement { peer: hop, kept: true });
        for judgement in self.delegations.settle(now).into_iter().chain(first_hops) {
            self.judge_peer(now, judgement);
        }
    }

    fn judge_peer(&mut self, now: Time, judgement: Judgement) {
        self.counters.promises_broken += u64::from(!judgement.kept);
        let Some(flow) = self.flows.get_mut(&judgement.peer) else { return };
        if judgement.kept { flow.trust.keep(now) } else { flow.trust.break_promise(now) }
    }

    /// A whole number below `bound`, which is above zero.
    fn lot(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }
}

/// Whether a packet of our own has anywhere to go from here.
fn may_leave(neighbours: &Neighbours, cell: &Parcel) -> Result<(), Refusal> {
    if cell.targets().iter().any(|target| neighbours.is_inside(target)) {
        return Ok(());
    }
    if neighbours.all().is_empty() {
        return Err(Refusal::NotConnected);
    }
    let leads_on = |target: &Prefix| neighbours.closer_to(target).next().is_some();
    if cell.targets().iter().any(leads_on) { Ok(()) } else { Err(Refusal::NoProgress) }
}
