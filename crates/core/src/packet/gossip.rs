//! What keeps liars and losses from leaving holes: digests and pulls, the waiting second copy, sketches of late ids.

use std::collections::VecDeque;

use mainframe_base::{Fault, LinkKey, Luminosity, PacketId, Time};
use rand_core::Rng;

use super::handover::Order;
use super::partition::{Asked, asked};
use super::route::Aim;
use super::sketch;
use super::trust::Judgement;
use super::{PacketFact, PacketWish, Packets, Scene, Timer};
use crate::neighbours::Neighbour;
use crate::wire::{BudgetClass, Cell, DIGESTS_MAX, DigestEntry, Frame, PullEntry, Recent};

/// Packets waited for at a time: 8 s of digests at their highest rate (guess); more are ignored.
pub(super) const WANTED_MAX: usize = 8_192;
/// Peers remembered that offered the same packet.
pub(super) const SOURCES_MAX: usize = 6;
/// Second copies waiting at a time: as many as the pool holds cells; more are treated as delivered only.
pub(super) const STANDBY_MAX: usize = 4_096;
/// A sketch tells of this long (protocol research §3.3).
const SKETCH_MS: u64 = 60_000;
/// Packets younger than this are still being spread and are not offered (guess: twice the slowest tree seen).
const SETTLED_MS: u64 = 4_000;
/// Neighbours told per round (protocol research §3.3).
const SKETCH_PEERS: usize = 2;
/// What reading a sketch costs its sender in control entries.
const SKETCH_COST: usize = 64;

/// A packet somebody has and we have not.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    sources: VecDeque<(LinkKey, Luminosity)>,
    /// Whom we asked and have no answer from yet.
    asked: Option<LinkKey>,
    /// Whose promise it counts as.
    promised_by: LinkKey,
    due: Time,
}

impl Wanted {
    /// How many peers it can still be asked of.
    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }
}

/// A second copy that waits for signs of the first.
#[derive(Clone, Debug)]
pub(super) struct Standby {
    cell: Cell,
    budget: BudgetClass,
    source: LinkKey,
    heard: bool,
    due: Time,
}

impl Packets {
    /// Digests from a neighbour: wait a while for a copy of our own, then pull.
    pub fn digests(&mut self, scene: &mut Scene<'_>, from: LinkKey, digests: &[DigestEntry]) {
        let Some(sender) = self.admit(scene, from, digests.len()) else { return };
        self.counters.digests_received += digests.len() as u64;
        for digest in digests {
            self.heard_of(&digest.id);
            let arrived = self.seen.get(&digest.id).is_some_and(|seen| seen.responsibility.is_some());
            let offers = digest.responsibility == Luminosity::FULL
                || asked(sender.proximity, digest.responsibility) != Asked::Keep;
            if !arrived && offers {
                self.want(scene, from, *digest);
            }
        }
    }

    /// Pulls from a peer: relays of a packet's region are served from what we keep. Returns those of others, and of what we do
    /// not keep: they ask for what is held.
    pub fn pulls(&mut self, scene: &mut Scene<'_>, from: LinkKey, pulls: &[PullEntry]) -> Vec<PullEntry> {
        let sender = self.admit(scene, from, pulls.len());
        let mut others = Vec::new();
        for pull in pulls {
            let cell = self.ring.get(&pull.id);
            let of_region = |relay: &Neighbour| cell.is_some_and(|cell| cell.destination().matches(&relay.address));
            match (cell.cloned(), sender.filter(of_region)) {
                (Some(cell), Some(sender)) if pull.responsibility.bits() > sender.proximity => {
                    self.serve_region(scene, from, cell, pull.responsibility);
                }
                (_, None) if pull.responsibility == Luminosity::FULL => others.push(*pull),
                (None, _) => {}
                (Some(_), _) => scene.out.facts.push(PacketFact::Faulted(from, Fault::Impossible)),
            }
        }
        others
    }

    fn serve_region(&mut self, scene: &mut Scene<'_>, to: LinkKey, cell: Cell, responsibility: Luminosity) {
        let room = self.pool.has_room(Some(to), cell.bytes().len());
        let allowed = room && self.flows.get_mut(&to).is_some_and(|flow| flow.spend_pull(scene.now));
        if !allowed {
            self.counters.pulls_refused += 1;
            return;
        }
        let convicted = self.delegations.pulled(cell.id(), responsibility, to);
        convicted.into_iter().for_each(|judgement| self.judge_peer(scene.now, judgement));
        self.counters.pulls_answered += 1;
        self.send_pulled(scene, to, cell, responsibility);
    }

    /// Owes a peer a cell that it asked for.
    pub(super) fn send_pulled(&mut self, scene: &mut Scene<'_>, to: LinkKey, cell: Cell, responsibility: Luminosity) {
        let aim = Aim::Copy { to, responsibility, pulled: true };
        let order = Order { cell: cell.into(), budget: BudgetClass::MAX, aim, source: Some(to), origin: None };
        self.hand_over(scene, order, &[]);
    }

    /// Whether this peer owes us the answer to a pull of this packet.
    pub(super) fn is_pulled_from(&self, from: &LinkKey, id: &PacketId) -> bool {
        self.wanted.get(id).is_some_and(|wanted| wanted.asked == Some(*from))
    }

    /// A neighbour's sketch: tell it of settled packets it lacks, and show it ours if we showed none lately.
    pub fn recent(&mut self, scene: &mut Scene<'_>, from: LinkKey, recent: &Recent) {
        let Some(sender) = self.admit(scene, from, SKETCH_COST) else { return };
        let lacking: Vec<Cell> = self
            .ring
            .newest_first()
            .take_while(|(at, _)| scene.now.since_ms(*at) <= SKETCH_MS)
            .filter(|(at, cell)| scene.now.since_ms(*at) >= SETTLED_MS && cell.destination().matches(&sender.address))
            .filter(|(_, cell)| !sketch::contains(recent, &cell.id()))
            .map(|(_, cell)| cell.clone())
            .take(DIGESTS_MAX)
            .collect();
        for cell in lacking {
            self.tell(&cell, from, Luminosity::FULL);
        }
        if scene.now.since_ms(self.sketched) >= self.config.gossip_ms {
            self.sketched = scene.now;
            self.show_sketch(scene, &sender);
        }
    }

    /// The wait for a copy of our own, or for the answer to a pull, is over: ask whoever offered it first.
    pub(super) fn wanted_due(&mut self, scene: &mut Scene<'_>, id: PacketId) {
        if let Some(silent) = self.wanted.get_mut(&id).and_then(|wanted| wanted.asked.take()) {
            self.counters.pulls_unanswered += 1;
            self.judge_peer(scene.now, Judgement { peer: silent, kept: false });
        }
        let Some(wanted) = self.wanted.get_mut(&id) else { return };
        while let Some((peer, responsibility)) = wanted.sources.pop_front() {
            let Some(flow) = self.flows.get(&peer) else { continue };
            wanted.asked = Some(peer);
            wanted.due = scene.now + 2 * flow.timeout_ms();
            self.timers.insert((wanted.due, Timer::Wanted(id)));
            self.counters.pulls_sent += 1;
            let pull = PullEntry { id, responsibility };
            scene.out.wishes.push(PacketWish::Send(peer, Frame::Pull(vec![pull])));
            return;
        }
        self.wanted.remove(&id);
    }

    /// The packet has come; nothing more is waited for.
    pub(super) fn forget_wanted(&mut self, id: &PacketId) {
        if let Some(wanted) = self.wanted.remove(id) {
            self.timers.remove(&(wanted.due, Timer::Wanted(*id)));
            if let Some(flow) = self.flows.get_mut(&wanted.promised_by) {
                flow.promise_kept();
            }
        }
    }

    /// Keeps a second copy and waits for a sign that the first is being spread.
    pub(super) fn stand_by(&mut self, scene: &mut Scene<'_>, cell: Cell, budget: BudgetClass, source: LinkKey) {
        let id = cell.id();
        let heard = self.wanted.contains_key(&id);
        self.forget_wanted(&id);
        self.arrive(scene, &cell, Luminosity::FULL);
        if self.standby.len() >= STANDBY_MAX {
            return;
        }
        let due = scene.now + self.tree_ms(scene, cell.destination().luminosity().bits());
        self.timers.insert((due, Timer::Standby(id)));
        self.standby.insert(id, Standby { cell, budget, source, heard, due });
    }

    /// The region knows of the packet.
    pub(super) fn heard_of(&mut self, id: &PacketId) {
        if let Some(standby) = self.standby.get_mut(id) {
            standby.heard = true;
        }
    }

    /// The first copy took longer than the second to come here: spread at once unless others do already.
    pub(super) fn first_copy_came_after_standby(&mut self, scene: &mut Scene<'_>, id: PacketId) {
        if let Some(standby) = self.standby.get(&id).filter(|standby| !standby.heard) {
            self.timers.remove(&(standby.due, Timer::Standby(id)));
            self.standby_due(scene, id);
        }
    }

    /// No sign of the first copy came: take its place.
    pub(super) fn standby_due(&mut self, scene: &mut Scene<'_>, id: PacketId) {
        let Some(standby) = self.standby.remove(&id) else { return };
        if standby.heard {
            return;
        }
        self.counters.standby_spread += 1;
        let responsibility = standby.cell.destination().luminosity();
        self.mark(scene.now, &standby.cell, |seen| seen.responsibility = Some(responsibility));
        let order = (standby.cell, standby.budget, Some(standby.source));
        self.answer_for(scene, order, responsibility);
    }

    /// A round of anti-entropy is due from now on, if none is already.
    pub(super) fn schedule_gossip(&mut self, now: Time) {
        if !self.gossip_due {
            self.gossip_due = true;
            let due = now + self.config.gossip_ms * 4 / 5 + self.lot(self.config.gossip_ms * 2 / 5);
            self.timers.insert((due, Timer::Gossip));
        }
    }

    /// A round of anti-entropy: show a sketch to a few neighbours, for as long as there is something to show.
    pub(super) fn gossip_due(&mut self, scene: &mut Scene<'_>) {
        self.gossip_due = false;
        self.ring.forget_older_than(scene.now);
        if self.ring.newest_first().next().is_none_or(|(at, _)| scene.now.since_ms(at) > SKETCH_MS) {
            return;
        }
        self.sketched = scene.now;
        let mut close: Vec<Neighbour> = scene.neighbours.within(scene.neighbours.depth()).to_vec();
        for _ in 0..SKETCH_PEERS.min(close.len()) {
            let at = self.lot(close.len() as u64) as usize;
            let chosen = close.swap_remove(at);
            self.show_sketch(scene, &chosen);
        }
        self.schedule_gossip(scene.now);
    }

    fn show_sketch(&mut self, scene: &mut Scene<'_>, peer: &Neighbour) {
        let ids: Vec<PacketId> = self
            .ring
            .newest_first()
            .take_while(|(at, _)| scene.now.since_ms(*at) <= SKETCH_MS)
            .filter(|(_, cell)| cell.destination().matches(&peer.address))
            .map(|(_, cell)| cell.id())
            .collect();
        self.counters.sketches_sent += 1;
        let sketch = sketch::of(self.rng.next_u32(), &ids);
        scene.out.wishes.push(PacketWish::Send(peer.key, Frame::Recent(sketch)));
    }

    fn want(&mut self, scene: &mut Scene<'_>, from: LinkKey, digest: DigestEntry) {
        let source = (from, digest.responsibility);
        if let Some(wanted) = self.wanted.get_mut(&digest.id) {
            if wanted.sources.len() < SOURCES_MAX && !wanted.sources.contains(&source) {
                wanted.sources.push_back(source);
            }
            return;
        }
        let believed = self.flows.get_mut(&from).is_some_and(|flow| flow.take_promise(scene.now));
        if !believed || self.wanted.len() >= WANTED_MAX {
            self.counters.digests_ignored += 1;
            return;
        }
        let due = scene.now + self.tree_ms(scene, digest.responsibility.bits());
        self.timers.insert((due, Timer::Wanted(digest.id)));
        self.wanted
            .insert(digest.id, Wanted { sources: VecDeque::from([source]), asked: None, promised_by: from, due });
    }

    /// A control message counts against its sender's rate, and only relays may send one.
    fn admit(&mut self, scene: &mut Scene<'_>, from: LinkKey, entries: usize) -> Option<Neighbour> {
        let flow = self.flows.get_mut(&from)?;
        if let Err(fault) = flow.spend_control(scene.now, entries) {
            scene.out.facts.push(PacketFact::Faulted(from, fault));
            return None;
        }
        flow.relay
    }
}
