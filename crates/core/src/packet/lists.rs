//! A packet to several regions: one copy for each next hop, with the regions it is to reach over it (docs/protocol/packet.md
//! §10).
//!
//! Copies cannot run in circles. A copy is handed to relays that are closer to every region of its list than we are, and
//! taken over by no one who cannot do the same (`take_list`); so with every hop the proximity to each of its regions grows, and
//! it is no greater than that region's luminosity.

use mainframe_base::{LinkKey, PacketId, Prefix, Refusal, Time};

use super::handover::{Handover, HandoverId, Order};
use super::route::Aim;
use super::seen::Seen;
use super::spread::no_other_than;
use super::ways::ways;
use super::{PacketFact, Packets, Scene};
use crate::neighbours::Neighbours;
use crate::wire::{BudgetClass, ListCell, ListFrame, Parcel, Receipt};

/// Whose packet is divided.
#[derive(Clone, Copy, Debug)]
struct From {
    budget: BudgetClass,
    /// As in [`Order::source`].
    source: Option<LinkKey>,
    /// As in [`Order::origin`].
    origin: Option<PacketId>,
}

impl Packets {
    /// A cell to several regions from a peer that has said who it is.
    pub fn list(&mut self, scene: &mut Scene<'_>, from: LinkKey, frame: ListFrame) {
        self.counters.cells_received += 1;
        if let Err(fault) = frame.list.envelope().expiry.check(scene.now) {
            return scene.out.facts.push(PacketFact::Faulted(from, fault));
        }
        let nonce = frame.custody_nonce;
        let taken = self.take_list(scene, from, frame);
        let verdict = self.verdict(taken);
        self.owe_receipt(from, Receipt { nonce, verdict });
    }

    /// All of it or nothing: a region that leads nowhere from here is better tried elsewhere. There is room for as many copies as
    /// may part here, so that a long list is not a way around the pool's bound.
    fn take_list(&mut self, scene: &mut Scene<'_>, from: LinkKey, frame: ListFrame) -> Result<(), Refusal> {
        let ListFrame { list, budget, .. } = frame;
        if !self.passes_first(list.id()) {
            return Ok(());
        }
        let leads_on = |target: &Prefix| {
            let closer = || scene.neighbours.closer_to(target).any(|relay| relay.key != from);
            scene.neighbours.is_inside(target) || closer()
        };
        if !scene.neighbours.is_relay() || !list.targets().iter().all(leads_on) {
            return Err(Refusal::NoProgress);
        }
        self.room_for(list.bytes().len() * list.targets().len(), from)?;
        self.note_passing(scene.now, list.id());
        self.divide(scene, &list, From { budget, source: Some(from), origin: None }, &[]);
        Ok(())
    }

    /// Sends a packet of our own to its regions, one copy to each: over first hops that no try of the message has used, if
    /// there are any for every region.
    pub(super) fn send_list(&mut self, scene: &mut Scene<'_>, list: ListCell, budget: BudgetClass) {
        let origin = list.id();
        let mut avoid = self.tries.used(&origin).to_vec();
        let mut targets = outside(&list, scene.neighbours).into_iter();
        if targets.any(|target| no_other_than(scene.neighbours, &target, &avoid)) {
            avoid.clear();
        }
        self.note_passing(scene.now, origin);
        self.divide(scene, &list, From { budget, source: None, origin: Some(origin) }, &avoid);
    }

    /// The region we lie in, and there is one at most, gets an ordinary cell from us; the others are handed on together.
    fn divide(&mut self, scene: &mut Scene<'_>, list: &ListCell, from: From, avoid: &[LinkKey]) {
        let From { budget, source, origin } = from;
        if let Some(region) = list.targets().iter().find(|target| scene.neighbours.is_inside(target)) {
            let cell = list.part(*region);
            if self.seen.get(&cell.id()).is_none_or(|seen| seen.responsibility.is_none()) {
                self.enter(scene, cell, budget, source);
            }
        }
        let others = outside(list, scene.neighbours);
        if let Some(cell) = self.part_of(scene.now, list, others) {
            let aim = Aim::Route { standby: false };
            self.hand_over(scene, Order { cell, budget, aim, source, origin }, avoid);
        }
    }

    /// Chooses the next hops of a copy; if there are several it is divided among them.
    pub(super) fn place_list(&mut self, scene: &mut Scene<'_>, id: HandoverId, list: &ListCell) {
        let Some(handover) = self.pool.handovers.get(&id) else { return };
        let (now, flows) = (scene.now, &self.flows);
        let standing = |peer: &LinkKey| flows.get(peer).and_then(|flow| handover.standing(now, peer, flow));
        let ways = ways(list.targets(), scene.neighbours, &mut self.rng, standing);
        if let [way] = &ways[..] {
            return self.take_way(scene, id, way.hop);
        }
        let whole = handover.clone();
        for way in ways {
            if let Some(part) = self.owe_part(now, &whole, list, way.targets) {
                self.take_way(scene, part, way.hop);
            }
        }
        self.retire(scene, id);
    }

    /// Each half is placed by itself, at the same peer if it is the best: one that always declines is sent twice as many cells
    /// as there are regions, at most.
    pub(super) fn halve(&mut self, scene: &mut Scene<'_>, id: HandoverId, list: &ListCell) {
        let Some(whole) = self.pool.handovers.get(&id).cloned() else { return };
        for half in list.targets().chunks(list.targets().len().div_ceil(2)) {
            if let Some(part) = self.owe_part(scene.now, &whole, list, half.to_vec()) {
                self.place(scene, part);
            }
        }
        self.retire(scene, id);
    }

    fn take_way(&mut self, scene: &mut Scene<'_>, id: HandoverId, hop: Option<(LinkKey, (bool, bool, bool))>) {
        match hop {
            Some((peer, (.., waits))) => self.go(scene, id, peer, waits),
            None => self.ask_again_or_end(scene, id),
        }
    }

    fn owe_part(&mut self, now: Time, whole: &Handover, list: &ListCell, targets: Vec<Prefix>) -> Option<HandoverId> {
        let cell = self.part_of(now, list, targets)?;
        Some(self.pool.insert(whole.part(cell)))
    }

    /// The copy for these regions; none if there are none, or if it has become an ordinary cell that passed here before.
    fn part_of(&mut self, now: Time, list: &ListCell, targets: Vec<Prefix>) -> Option<Parcel> {
        if targets.is_empty() {
            return None;
        }
        let cell = list.only(targets);
        if let Parcel::Cell(cell) = &cell {
            if !self.passes_first(cell.id()) {
                return None;
            }
            self.note_passing(now, cell.id());
        }
        Some(cell)
    }

    /// Whether it has not passed here on its way before.
    fn passes_first(&mut self, id: PacketId) -> bool {
        let before = self.seen.get(&id).is_some_and(|seen| seen.routed);
        self.counters.cells_duplicate += u64::from(before);
        !before
    }

    fn note_passing(&mut self, now: Time, id: PacketId) {
        let seen = self.seen.get(&id).unwrap_or_default();
        self.seen.put(now, id, Seen { routed: true, ..seen });
    }
}

fn outside(list: &ListCell, neighbours: &Neighbours) -> Vec<Prefix> {
    list.targets().iter().copied().filter(|target| !neighbours.is_inside(target)).collect()
}
