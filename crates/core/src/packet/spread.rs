//! A packet has reached its region: it is kept, delivered, and divided among the region's relays.

use mainframe_base::{ADDRESS_BITS, LinkKey, Luminosity, Prefix, Proximity, Time};

use super::flow::TIMEOUT_MS_INITIAL;
use super::handover::Order;
use super::partition::{neighbourhood, subtrees};
use super::route::Aim;
use super::seen::Seen;
use super::{PacketFact, Packets, Scene, Step};
use crate::neighbours::{Neighbour, Neighbours};
use crate::wire::{BudgetClass, Cell, DigestEntry};

impl Packets {
    /// Sends a packet of our own towards its region: a first copy, and for a region of more than one address a second
    /// one over another first hop, which waits there in case the first is lost. Neither leaves over a first hop that an
    /// earlier try of the message used, unless there is no other.
    pub(super) fn send_towards(&mut self, scene: &mut Scene<'_>, cell: Cell, budget: BudgetClass) {
        let aim = Aim::Route { standby: false };
        let id = cell.id();
        let destination = cell.destination();
        let dark = destination.luminosity() != Luminosity::FULL;
        let order = Order { cell: cell.into(), budget, aim, source: None, origin: Some(id) };
        let mut avoid = self.tries.used(&id).to_vec();
        if no_other_than(scene.neighbours, &destination, &avoid) {
            avoid.clear();
        }
        let first = self.hand_over(scene, order.clone(), &avoid);
        if let Some(first) = first {
            self.tries.use_hop(&id, first);
            avoid.push(first);
        }
        if no_other_than(scene.neighbours, &destination, &avoid) {
            avoid = first.into_iter().collect();
        }
        let twice = dark && self.config.entries > 1 && !no_other_than(scene.neighbours, &destination, &avoid);
        self.seen.put(scene.now, id, Seen { routed: true, routed_standby: twice, responsibility: None });
        if twice {
            let second = self.hand_over(scene, Order { aim: Aim::Route { standby: true }, ..order }, &avoid);
            second.into_iter().for_each(|second| self.tries.use_hop(&id, second));
        }
    }

    /// The packet enters its region here: we answer for all of it.
    pub(super) fn enter(&mut self, scene: &mut Scene<'_>, cell: Cell, budget: BudgetClass, source: Option<LinkKey>) {
        let responsibility = cell.destination().luminosity();
        self.arrive(scene, &cell, responsibility);
        self.answer_for(scene, (cell, budget, source), responsibility);
    }

    /// Keeps a packet of our region and hands it to the endpoint half.
    pub(super) fn arrive(&mut self, scene: &mut Scene<'_>, cell: &Cell, responsibility: Luminosity) {
        let kept = self.config.keeping.keep(cell);
        self.ring.put(scene.now, kept.clone());
        self.schedule_gossip(scene.now);
        self.deliver(scene, kept, responsibility);
    }

    /// Hands a packet to the endpoint half.
    pub(super) fn deliver(&mut self, scene: &mut Scene<'_>, kept: Cell, responsibility: Luminosity) {
        self.mark(scene.now, &kept, |seen| seen.responsibility = Some(responsibility));
        self.counters.cells_delivered += 1;
        scene.out.facts.push(PacketFact::Stepped { id: kept.id(), peer: None, step: Step::Arrived });
        scene.out.arrived.push(kept);
    }

    /// Divides our prefix of `responsibility` bits.
    pub(super) fn answer_for(
        &mut self,
        scene: &mut Scene<'_>,
        (cell, budget, source): (Cell, BudgetClass, Option<LinkKey>),
        responsibility: Luminosity,
    ) {
        let origin = source.is_none().then(|| cell.id());
        let order = |aim| Order { cell: cell.clone().into(), budget, aim, source, origin };
        for subtree in subtrees(scene.neighbours, responsibility, ADDRESS_BITS) {
            let aim = Aim::Delegate(subtree.responsibility);
            let delegate = self.hand_over(scene, order(aim), &[]);
            self.tell_others(scene.now, &cell, subtree.candidates, delegate, subtree.responsibility);
        }
        // A copy says how deep our own answer goes, which is never more than its receiver's own side.
        let copied = Luminosity::at_most(scene.neighbours.depth().max(responsibility.bits()));
        for neighbour in neighbourhood(scene.neighbours, responsibility) {
            if self.flows.get(&neighbour.key).is_some_and(|flow| flow.is_shunned(scene.now)) {
                self.tell(&cell, neighbour.key, Luminosity::FULL);
                continue;
            }
            let aim = Aim::Copy { to: neighbour.key, responsibility: copied, pulled: false };
            self.hand_over(scene, order(aim), &[]);
        }
    }

    /// We are asked to answer for more than we did: tells those of it that we did not serve. Most have the packet from
    /// whoever we took for our delegate or from others, and those who have not will pull it: so whoever widens the
    /// parts of others makes them send lines, not cells.
    pub(super) fn answer_for_more(
        &mut self,
        scene: &mut Scene<'_>,
        cell: &Cell,
        responsibility: Luminosity,
        answered: Proximity,
    ) {
        for subtree in subtrees(scene.neighbours, responsibility, answered) {
            self.tell_others(scene.now, cell, subtree.candidates, None, subtree.responsibility);
        }
        if answered > scene.neighbours.depth() {
            for neighbour in neighbourhood(scene.neighbours, responsibility) {
                self.tell(cell, neighbour.key, Luminosity::FULL);
            }
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

    /// How long to wait for a copy of one's own while the tree works through this many bits, one lost cell included:
    /// who pulls too early spreads a subtree a second time.
    pub(super) fn tree_ms(&mut self, scene: &mut Scene<'_>, prefix_bits: u16) -> u64 {
        let levels = u64::from(scene.neighbours.depth().saturating_sub(prefix_bits)) + 2;
        self.config.link_ms * levels + TIMEOUT_MS_INITIAL + self.lot(2 * self.config.link_ms)
    }
}

/// Whether all relays closer to the region are among these.
pub(super) fn no_other_than(neighbours: &Neighbours, region: &Prefix, these: &[LinkKey]) -> bool {
    neighbours.closer_to(region).all(|relay| these.contains(&relay.key))
}
