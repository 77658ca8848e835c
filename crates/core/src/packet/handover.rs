//! A cell is owed to a next hop until that hop has custody of it, or nobody is left to try.

use std::collections::BTreeMap;

use mainframe_base::{LinkKey, PacketId, Prefix, Refusal, Time};

use super::flow::{Flow, Sent};
use super::route::{Aim, Options};
use super::slab::Slab;
use super::table::PacketTable;
use super::{PacketFact, PacketWish, Packets, Scene, Step};
use crate::neighbours::Neighbours;
use crate::wire::{BudgetClass, CellFrame, Frame, ListFrame, Parcel, Receipt, Verdict};

/// Next hops tried for one cell (protocol research §3.3: eight let 99.9 % through 30 % droppers).
const ATTEMPTS_MAX: u8 = 8;

/// A cell that waits for a window or after `Busy` is tried again after this long (guess).
const AGAIN_MS: u64 = 50;

/// A cell that waits for one peer's window looks for another peer with room this often (guess).
const LOOK_AROUND_MS: u64 = 1_000;

/// Nothing is owed for longer, waits in our own queue included (guess: a live cell is not worth more).
const OWED_MS_MAX: u64 = 60_000;

/// Patience for the last hop, and more for each four bits that remain: what a hop gains with eight balanced relays
/// in each bin (protocol research §3.2). It depends on what remains only, so it tells nothing of how far a packet came.
const PATIENCE_MS: u64 = 4_000;
const PATIENCE_BITS: u16 = 4;
const PATIENCE_MS_MAX: u64 = 12_000;

/// Names a hand-over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HandoverId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not placed yet, or waiting to be placed again.
    Idle,
    /// Waiting for room in the window of this peer.
    Waiting(LinkKey),
    /// Sent to this peer under this nonce.
    Sent(LinkKey, u32),
}

/// One copy of a cell that we owe.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    cell: Parcel,
    budget: BudgetClass,
    aim: Aim,
    /// From whom the packet came; none if from our own endpoint. It never goes back there.
    source: Option<LinkKey>,
    /// The packet of our endpoint that this is a copy of, if it waits for the outcome. What parts from a list has another name.
    origin: Option<PacketId>,
    /// Who would not take it, or must not: never asked again.
    tried: Vec<LinkKey>,
    /// Who gave no receipt: asked again when nobody else is left, since cells get lost too.
    silent: Vec<LinkKey>,
    attempts: u8,
    /// Whether the present peer was sent the cell twice: a receipt can get lost, and another delegate would spread all
    /// of its subtree again.
    repeated: bool,
    /// When it came into the pool.
    since: Time,
    /// When it was first sent; patience counts from there, not from a wait in our own queue.
    began: Option<Time>,
    /// When it is looked at again, if nothing happens before; set among the deadlines.
    due: Option<Time>,
    state: State,
}

impl Handover {
    /// How little this peer is to be chosen: shunned, doubted, without room for the cell, in this order of importance. None if
    /// it must not be chosen at all.
    pub(super) fn standing(&self, now: Time, peer: &LinkKey, flow: &Flow) -> Option<(bool, bool, bool)> {
        let back = Some(*peer) == self.source && !matches!(self.aim, Aim::Copy { .. });
        let passed_over = back || self.tried.contains(peer) || self.silent.contains(peer);
        let room = flow.has_room(self.cell.bytes().len());
        (!passed_over).then(|| (flow.is_shunned(now), flow.trust.is_doubtful(), !room))
    }

    /// A copy of a part of it, to be placed by itself: who would not take all of it is not asked for the part either, and its
    /// time has been running.
    pub(super) fn part(&self, cell: Parcel) -> Handover {
        Handover { cell, repeated: false, due: None, state: State::Idle, ..self.clone() }
    }

    fn patience_ms(&self, neighbours: &Neighbours) -> u64 {
        self.cell.targets().iter().map(|target| patience_ms(target, neighbours)).max().unwrap_or(PATIENCE_MS)
    }
}

/// What is needed to begin a hand-over.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) cell: Parcel,
    pub(super) budget: BudgetClass,
    pub(super) aim: Aim,
    pub(super) source: Option<LinkKey>,
    pub(super) origin: Option<PacketId>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Origin {
    /// Copies that are still owed, and one while the packet is being begun.
    open: u32,
    /// Whether every copy has to be taken over: those to the regions of a list do not stand for each other.
    every: bool,
    taken_over: bool,
    refusal: Option<Refusal>,
}

/// All hand-overs of a relay, bounded in bytes, at most half of them for any one source.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) handovers: Slab<Handover>,
    origins: PacketTable<Origin>,
    by_source: BTreeMap<Option<LinkKey>, usize>,
    bytes: usize,
    bytes_seen_max: usize,
    bytes_max: usize,
}

impl Pool {
    pub(super) fn new(bytes_max: usize, secret: u64) -> Pool {
        Pool {
            handovers: Slab::new(),
            origins: PacketTable::new(secret),
            by_source: BTreeMap::new(),
            bytes: 0,
            bytes_seen_max: 0,
            bytes_max,
        }
    }

    /// Whether a cell of this length may come in from this source. One packet's copies may pass the bound together.
    pub(super) fn has_room(&self, source: Option<LinkKey>, length: usize) -> bool {
        let from_source = self.by_source.get(&source).copied().unwrap_or(0);
        self.bytes + length <= self.bytes_max && from_source + length <= self.bytes_max / 2
    }

    /// Bytes owed now, and the most there ever were.
    pub(super) fn bytes(&self) -> (usize, usize) {
        (self.bytes, self.bytes_seen_max)
    }

    /// Copies owed now.
    pub(super) fn copies(&self) -> usize {
        self.handovers.len()
    }

    /// Our endpoint begins a packet; its outcome is known when all copies of it are closed.
    pub(super) fn begin_origin(&mut self, cell: &Parcel) {
        let every = matches!(cell, Parcel::List(_));
        self.origins.insert(cell.id(), Origin { open: 1, every, ..Origin::default() });
    }

    /// Closes one copy of a packet of our own; returns the outcome if it was the last.
    pub(super) fn close_origin(&mut self, id: PacketId) -> Option<Result<(), Refusal>> {
        let origin = self.origins.get_mut(&id)?;
        origin.open -= 1;
        if origin.open > 0 {
            return None;
        }
        let origin = self.origins.remove(&id)?;
        Some(match origin.refusal {
            Some(refusal) if origin.every || !origin.taken_over => Err(refusal),
            _ => Ok(()),
        })
    }

    pub(super) fn insert(&mut self, handover: Handover) -> HandoverId {
        let length = handover.cell.bytes().len();
        self.bytes += length;
        self.bytes_seen_max = self.bytes_seen_max.max(self.bytes);
        *self.by_source.entry(handover.source).or_default() += length;
        if let Some(origin) = handover.origin.and_then(|origin| self.origins.get_mut(&origin)) {
            origin.open += 1;
        }
        self.handovers.insert(handover)
    }

    fn remove(&mut self, id: HandoverId) -> Option<Handover> {
        let handover = self.handovers.remove(&id)?;
        let length = handover.cell.bytes().len();
        self.bytes -= length;
        if let Some(bytes) = self.by_source.get_mut(&handover.source) {
            *bytes -= length;
            if *bytes == 0 {
                self.by_source.remove(&handover.source);
            }
        }
        Some(handover)
    }
}

fn patience_ms(destination: &Prefix, neighbours: &Neighbours) -> u64 {
    // Past the neighbourhood's depth one hop reaches any relay, however many bits remain.
    let reach = destination.luminosity().bits().min(neighbours.depth() + PATIENCE_BITS);
    let remaining = reach.saturating_sub(destination.proximity(neighbours.me()));
    (PATIENCE_MS * (1 + u64::from(remaining.div_ceil(PATIENCE_BITS)))).min(PATIENCE_MS_MAX)
}

impl Packets {
    /// Begins to owe a copy; returns the peer it was sent to or waits for.
    pub(super) fn hand_over(&mut self, scene: &mut Scene<'_>, order: Order, avoid: &[LinkKey]) -> Option<LinkKey> {
        let Order { cell, budget, aim, source, origin } = order;
        let id = self.pool.insert(Handover {
            cell,
            budget,
            aim,
            source,
            origin,
            tried: avoid.to_vec(),
            silent: Vec::new(),
            attempts: 0,
            repeated: matches!(aim, Aim::Copy { pulled: true, .. }),
            since: scene.now,
            began: None,
            due: None,
            state: State::Idle,
        });
        self.place(scene, id)
    }

    /// Receipts from a peer.
    pub fn receipts(&mut self, scene: &mut Scene<'_>, from: LinkKey, receipts: &[Receipt]) {
        for receipt in receipts {
            self.receipt(scene, from, *receipt);
        }
        self.settle_promises(scene.now);
        self.fill_window(scene, from);
    }

    fn receipt(&mut self, scene: &mut Scene<'_>, from: LinkKey, receipt: Receipt) {
        let Some(flow) = self.flows.get_mut(&from) else { return };
        let Some(sent) = flow.settle(receipt.nonce) else {
            // It came after its time-out: the cell went elsewhere, the peer is not at fault.
            self.counters.custody_late += 1;
            return;
        };
        self.counters.custody_received += 1;
        match receipt.verdict {
            Verdict::TookOver => {
                flow.took_over(scene.now, sent);
                self.promised(scene.now, sent.handover, from);
                self.end(scene, sent.handover, Ok(()));
            }
            Verdict::Busy => {
                flow.slow_down(scene.now);
                self.try_again(scene.now, sent.handover, AGAIN_MS);
            }
            Verdict::NoProgress => self.declined(scene, sent.handover, from),
        }
    }

    /// A peer has taken a cell over: remember it where it can be seen later what came of it.
    fn promised(&mut self, now: Time, id: HandoverId, peer: LinkKey) {
        let Some(handover) = self.pool.handovers.get(&id) else { return };
        match (handover.aim, handover.origin) {
            (Aim::Route { .. }, Some(origin)) => self.tries.took_over(&origin, peer),
            (Aim::Delegate(responsibility), _) => {
                self.delegations.watch(now, handover.cell.id(), responsibility, peer);
            }
            (Aim::Route { .. }, None) | (Aim::Copy { .. }, _) => {}
        }
    }

    /// Takes a hand-over whose time has come.
    pub(super) fn take_due(&mut self, now: Time) -> Option<HandoverId> {
        let handovers = &self.pool.handovers;
        self.deadlines.take(now, |id, due| handovers.get(&id).is_some_and(|handover| handover.due == Some(due)))
    }

    /// The time of a hand-over has come: a receipt is late, or a wait is over.
    pub(super) fn handover_due(&mut self, scene: &mut Scene<'_>, id: HandoverId) {
        let Some(handover) = self.pool.handovers.get_mut(&id) else { return };
        handover.due = None;
        match handover.state {
            State::Idle | State::Waiting(_) => {
                self.place(scene, id);
            }
            State::Sent(peer, nonce) => {
                let Some(flow) = self.flows.get_mut(&peer) else { return };
                flow.settle(nonce);
                flow.silent(scene.now);
                if !handover.repeated && !flow.is_shunned(scene.now) {
                    handover.repeated = true;
                    self.send(scene, id, peer);
                } else {
                    handover.silent.push(peer);
                    self.give_up_on(scene, id, peer);
                }
            }
        }
    }

    /// This peer will not take the cell over: try the next. Nothing happens to a cell that is with another peer by now.
    pub(super) fn give_up_on(&mut self, scene: &mut Scene<'_>, id: HandoverId, peer: LinkKey) {
        let with_peer = |handover: &&mut Handover| match handover.state {
            State::Idle => false,
            State::Waiting(at) | State::Sent(at, _) => at == peer,
        };
        let Some(handover) = self.pool.handovers.get_mut(&id).filter(with_peer) else { return };
        handover.due.take().into_iter().for_each(|due| self.deadlines.cancel(due));
        if !handover.silent.contains(&peer) {
            handover.tried.push(peer);
        }
        handover.attempts += 1;
        handover.repeated = matches!(handover.aim, Aim::Copy { .. });
        handover.state = State::Idle;
        self.place(scene, id);
    }

    /// A peer sees no way on. Of a list it may mean one region only: which, is found by halving it.
    fn declined(&mut self, scene: &mut Scene<'_>, id: HandoverId, peer: LinkKey) {
        match self.pool.handovers.get(&id).map(|handover| handover.cell.clone()) {
            Some(Parcel::List(list)) => self.halve(scene, id, &list),
            Some(Parcel::Cell(_)) | None => self.give_up_on(scene, id, peer),
        }
    }

    /// Chooses the next hop: not passed over, not doubted, with room, closest to the region, in this order of importance.
    /// A list may take several; they are not told of.
    pub(super) fn place(&mut self, scene: &mut Scene<'_>, id: HandoverId) -> Option<LinkKey> {
        let handover = self.pool.handovers.get(&id)?;
        let tried_ms = handover.began.map_or(0, |began| scene.now.since_ms(began));
        let weary =
            tried_ms > handover.patience_ms(scene.neighbours) || scene.now.since_ms(handover.since) > OWED_MS_MAX;
        if weary || handover.attempts >= ATTEMPTS_MAX {
            self.end(scene, id, Err(Refusal::TimedOut));
            return None;
        }
        let destination = match &handover.cell {
            Parcel::Cell(cell) => cell.destination(),
            Parcel::List(list) => {
                let list = list.clone();
                self.place_list(scene, id, &list);
                return None;
            }
        };
        let options = Options { aim: handover.aim, prefix: &destination, neighbours: scene.neighbours };
        let best = options
            .best(&mut self.rng, |peer| self.flows.get(peer).and_then(|flow| handover.standing(scene.now, peer, flow)));
        match best {
            None => {
                self.ask_again_or_end(scene, id);
                None
            }
            Some((peer, (.., waits))) => {
                self.go(scene, id, peer, waits);
                Some(peer)
            }
        }
    }

    /// Sends the cell to this peer, or queues for its window.
    pub(super) fn go(&mut self, scene: &mut Scene<'_>, id: HandoverId, peer: LinkKey, waits: bool) {
        if waits { self.wait_for(scene.now, id, peer) } else { self.send(scene, id, peer) }
    }

    /// Nobody is left: those who were silent are asked once more, as long as attempts and patience last. A copy has one
    /// peer only, and what it misses is found by comparing sketches.
    pub(super) fn ask_again_or_end(&mut self, scene: &mut Scene<'_>, id: HandoverId) {
        let Some(handover) = self.pool.handovers.get_mut(&id) else { return };
        if handover.silent.is_empty() || matches!(handover.aim, Aim::Copy { .. }) {
            return self.end(scene, id, Err(Refusal::NoProgress));
        }
        handover.silent.clear();
        self.try_again(scene.now, id, AGAIN_MS);
    }

    /// Queues for the peer's window, or keeps its place in the queue; looks around again after a while.
    fn wait_for(&mut self, now: Time, id: HandoverId, peer: LinkKey) {
        let state = State::Waiting(peer);
        let queued = self.pool.handovers.get(&id).is_some_and(|handover| handover.state == state);
        if let Some(flow) = self.flows.get_mut(&peer).filter(|_| !queued) {
            // Cells that found another peer leave places behind; they must not outgrow the pool.
            if flow.waiting.len() > 2 * self.pool.handovers.len() {
                let waits = |id: &HandoverId| self.pool.handovers.get(id).is_some_and(|of| of.state == state);
                flow.waiting.retain(waits);
            }
            flow.waiting.push_back(id);
        }
        self.set_state(id, state, now + LOOK_AROUND_MS);
    }

    fn try_again(&mut self, now: Time, id: HandoverId, wait_ms: u64) {
        let wait_ms = wait_ms + self.lot(wait_ms);
        self.set_state(id, State::Idle, now + wait_ms);
    }

    fn set_state(&mut self, id: HandoverId, state: State, due: Time) {
        let Some(handover) = self.pool.handovers.get_mut(&id) else { return };
        handover.state = state;
        handover.due.replace(due).into_iter().for_each(|due| self.deadlines.cancel(due));
        self.deadlines.set(due, id);
    }

    fn send(&mut self, scene: &mut Scene<'_>, id: HandoverId, peer: LinkKey) {
        let Some(handover) = self.pool.handovers.get_mut(&id) else { return };
        let Some(flow) = self.flows.get_mut(&peer) else { return };
        handover.began.get_or_insert(scene.now);
        let sent = Sent { handover: id, at: scene.now, length: handover.cell.bytes().len() };
        let (custody_nonce, accounting_sequence) = flow.sent(sent);
        let due = scene.now + flow.timeout_ms();
        let (standby, responsibility, step) = match handover.aim {
            Aim::Route { standby: false } => (false, None, Step::Routed),
            Aim::Route { standby: true } => (true, None, Step::RoutedStandby),
            Aim::Delegate(responsibility) => (false, Some(responsibility), Step::Delegated(responsibility)),
            Aim::Copy { responsibility, pulled: false, .. } => (false, Some(responsibility), Step::Neighbourhood),
            Aim::Copy { responsibility, pulled: true, .. } => (false, Some(responsibility), Step::Pulled),
        };
        let budget = handover.budget;
        let deadline_ms = u16::try_from(handover.patience_ms(scene.neighbours)).unwrap_or(u16::MAX);
        let packet = handover.cell.id();
        let frame = match handover.cell.clone() {
            Parcel::Cell(cell) => Frame::Cell(CellFrame {
                budget,
                standby,
                responsibility,
                deadline_ms,
                accounting_sequence,
                custody_nonce,
                cell,
            }),
            Parcel::List(list) => {
                Frame::List(ListFrame { budget, deadline_ms, accounting_sequence, custody_nonce, list })
            }
        };
        self.counters.cells_sent += 1;
        scene.out.facts.push(PacketFact::Stepped { id: packet, peer: Some(peer), step });
        scene.out.wishes.push(PacketWish::Send(peer, frame));
        self.set_state(id, State::Sent(peer, custody_nonce), due);
    }

    /// Sends what waited for this peer, as far as its window allows.
    fn fill_window(&mut self, scene: &mut Scene<'_>, peer: LinkKey) {
        loop {
            let Some(flow) = self.flows.get_mut(&peer) else { return };
            let Some(id) = flow.waiting.front().copied() else { return };
            // Who found another peer meanwhile has left a place here that means nothing.
            let waits = |handover: &&Handover| handover.state == State::Waiting(peer);
            let length = self.pool.handovers.get(&id).filter(waits).map(|handover| handover.cell.bytes().len());
            if length.is_some_and(|length| !flow.has_room(length)) {
                return;
            }
            flow.waiting.pop_front();
            if length.is_some() {
                self.send(scene, id, peer);
            }
        }
    }

    fn end(&mut self, scene: &mut Scene<'_>, id: HandoverId, result: Result<(), Refusal>) {
        let Some(handover) = self.pool.remove(id) else { return };
        handover.due.into_iter().for_each(|due| self.deadlines.cancel(due));
        self.counters.handovers_failed += u64::from(result.is_err());
        let origin = handover.origin.and_then(|packet| self.pool.origins.get_mut(&packet));
        match (origin, result) {
            (Some(origin), Ok(())) => origin.taken_over = true,
            (Some(origin), Err(refusal)) => origin.refusal = Some(refusal),
            (None, _) => {}
        }
        self.close(scene, &handover);
    }

    /// Parts of the copy have taken its place.
    pub(super) fn retire(&mut self, scene: &mut Scene<'_>, id: HandoverId) {
        let Some(handover) = self.pool.remove(id) else { return };
        handover.due.into_iter().for_each(|due| self.deadlines.cancel(due));
        self.close(scene, &handover);
    }

    fn close(&mut self, scene: &mut Scene<'_>, handover: &Handover) {
        let Some(packet) = handover.origin else { return };
        if let Some(outcome) = self.pool.close_origin(packet) {
            scene.out.facts.push(PacketFact::Ended(packet, outcome));
        }
    }
}
