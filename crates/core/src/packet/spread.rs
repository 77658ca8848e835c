//! A packet has reached its region: it is kept, delivered, and divided among the region's relays.

use mainframe_base::{ADDRESS_BITS, LinkKey, Luminosity, Prefix, Proximity, Time};

use super::handover::Order;
use super::partition::{neighbourhood, subtrees};
use super::route::Aim;
use super::seen::Seen;
use super::{PacketFact, PacketOut, PacketWish, Packets, Step};
use crate::neighbours::{Neighbour, Neighbours};
use crate::wire::{BudgetClass, Cell, DigestEntry};

impl Packets {
    /// Sends a packet of our own towards its region: a first copy, and for a region of more than one address a second
    /// one over another first hop, which waits there in case the first is lost.
    pub(super) fn send_towards(
        &mut self,
        now: Time,
        cell: Cell,
        budget: BudgetClass,
        neighbours: &Neighbours,
        out: &mut PacketOut,
    ) {
        let aim = Aim::Route { standby: false };
        let dark = cell.destination().luminosity() != Luminosity::FULL;
        let order = Order { cell, budget, aim, source: None, originated: true };
        self.mark(now, &order.cell, |seen| seen.routed = true);
        let first = self.hand_over(now, order.clone(), &[], neighbours, out);
        let others = neighbours.closer_to(&order.cell.destination()).filter(|relay| Some(relay.key) != first).count();
        if dark && others > 0 {
            self.mark(now, &order.cell, |seen| seen.routed_standby = true);
            let avoid: Vec<LinkKey> = first.into_iter().collect();
            self.hand_over(now, Order { aim: Aim::Route { standby: true }, ..order }, &avoid, neighbours, out);
        }
    }

    /// The packet enters its region here: we answer for all of it.
    pub(super) fn enter(
        &mut self,
        now: Time,
        cell: Cell,
        budget: BudgetClass,
        source: Option<LinkKey>,
        neighbours: &Neighbours,
        out: &mut PacketOut,
    ) {
        let responsibility = cell.destination().luminosity();
        self.arrive(now, &cell, responsibility, out);
        self.answer_for(now, (cell, budget, source), responsibility, ADDRESS_BITS, neighbours, out);
    }

    /// Keeps a packet of our region and hands it to the endpoint half.
    pub(super) fn arrive(&mut self, now: Time, cell: &Cell, responsibility: Luminosity, out: &mut PacketOut) {
        self.mark(now, cell, |seen| seen.responsibility = Some(responsibility));
        let kept = if self.config.copy_kept { cell.copied() } else { cell.clone() };
        self.ring.put(now, kept.clone());
        self.counters.cells_delivered += 1;
        self.schedule_gossip(now);
        out.facts.push(PacketFact::Stepped { id: cell.id(), peer: None, step: Step::Arrived });
        out.wishes.push(PacketWish::Deliver(kept));
    }

    /// Divides our prefix of `responsibility` bits, except what we answered for already.
    pub(super) fn answer_for(
        &mut self,
        now: Time,
        (cell, budget, source): (Cell, BudgetClass, Option<LinkKey>),
        responsibility: Luminosity,
        answered: Proximity,
        neighbours: &Neighbours,
        out: &mut PacketOut,
    ) {
        let order = |aim| Order { cell: cell.clone(), budget, aim, source, originated: source.is_none() };
        for subtree in subtrees(neighbours, responsibility, answered) {
            let aim = Aim::Delegate(subtree.responsibility);
            let delegate = self.hand_over(now, order(aim), &[], neighbours, out);
            self.tell_others(now, &cell, subtree.candidates, delegate, subtree.responsibility);
        }
        if answered <= neighbours.depth() {
            return;
        }
        // A copy says how deep our own answer goes, which is never more than its receiver's own side.
        let copied = Luminosity::at_most(neighbours.depth().max(responsibility.bits()));
        for neighbour in neighbourhood(neighbours, responsibility) {
            if self.flows.get(&neighbour.key).is_some_and(|flow| flow.is_shunned(now)) {
                self.tell(&cell, neighbour.key, Luminosity::FULL);
                continue;
            }
            let aim = Aim::Copy { to: neighbour.key, responsibility: copied, pulled: false };
            self.hand_over(now, order(aim), &[], neighbours, out);
        }
    }

    /// Tells a few relays of a subtree that there is a packet, in case their delegate keeps it to himself.
    fn tell_others(
        &mut self,
        now: Time,
        cell: &Cell,
        candidates: &[Neighbour],
        delegate: Option<LinkKey>,
        responsibility: Luminosity,
    ) {
        let mut others: Vec<LinkKey> = candidates
            .iter()
            .map(|relay| relay.key)
            .filter(|key| Some(*key) != delegate)
            .filter(|key| self.flows.get(key).is_some_and(|flow| !flow.is_shunned(now)))
            .collect();
        for _ in 0..self.config.digests.min(others.len()) {
            let at = self.lot(others.len() as u64) as usize;
            let chosen = others.swap_remove(at);
            self.tell(cell, chosen, responsibility);
        }
    }

    /// Queues a digest; it leaves with the next flush.
    pub(super) fn tell(&mut self, cell: &Cell, peer: LinkKey, responsibility: Luminosity) {
        let Some(flow) = self.flows.get_mut(&peer) else { return };
        flow.digests.push(DigestEntry { id: cell.id(), responsibility, size_class: cell.header().size_class });
        self.owing.insert(peer);
    }

    /// Changes what is remembered of a packet.
    pub(super) fn mark(&mut self, now: Time, cell: &Cell, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.get(&cell.id()).unwrap_or_default();
        change(&mut seen);
        self.seen.put(now, cell.id(), seen);
    }

    /// How long to wait for a copy of one's own while the tree works through this many bits.
    pub(super) fn tree_ms(&mut self, prefix_bits: u16, neighbours: &Neighbours) -> u64 {
        let levels = u64::from(neighbours.depth().saturating_sub(prefix_bits)) + 2;
        self.config.link_ms * levels + self.lot(2 * self.config.link_ms)
    }
}

/// Whether two relays share a packet's region.
pub(super) fn share_region(prefix: &Prefix, relay: &Neighbour) -> bool {
    prefix.matches(&relay.address)
}
