//! A cell comes in from a neighbour.

use mainframe_base::{Fault, LinkKey, Luminosity, Refusal};

use super::handover::Order;
use super::partition::{Asked, asked};
use super::route::Aim;
use super::seen::Seen;
use super::{PacketFact, Packets, Scene};
use crate::wire::{Cell, CellFrame, Receipt, Verdict};

impl Packets {
    /// A cell from a peer that has said who it is. Custody is answered before anyone looks for whom the cell is. `expected`
    /// says whether we asked this peer for what is held, or listen to a region there.
    pub fn cell(
        &mut self,
        scene: &mut Scene<'_>,
        from: LinkKey,
        frame: CellFrame,
        expected: impl FnOnce(&Cell) -> bool,
    ) {
        self.counters.cells_received += 1;
        let nonce = frame.custody_nonce;
        let served = frame.responsibility == Some(Luminosity::FULL);
        let away = !scene.neighbours.is_inside(&frame.cell.destination());
        if served && (expected(&frame.cell) || away && self.is_pulled_from(&from, &frame.cell.id())) {
            self.take_served(scene, &frame.cell);
            return self.owe_receipt(from, Receipt { nonce, verdict: Verdict::TookOver });
        }
        if served && away {
            // Who has just stopped listening is still sent a few cells.
            self.counters.cells_without_progress += 1;
            return self.owe_receipt(from, Receipt { nonce, verdict: Verdict::NoProgress });
        }
        match self.judge(scene, from, frame) {
            Ok(verdict) => self.owe_receipt(from, Receipt { nonce, verdict }),
            Err(fault) => scene.out.facts.push(PacketFact::Faulted(from, fault)),
        }
    }

    fn judge(&mut self, scene: &mut Scene<'_>, from: LinkKey, frame: CellFrame) -> Result<Verdict, Fault> {
        frame.cell.header().expiry.check(scene.now)?;
        let destination = frame.cell.destination();
        let inside = scene.neighbours.is_inside(&destination);
        let verdict = match frame.responsibility {
            None if inside => self.take_entry(scene, from, frame),
            None => self.take_on_the_way(scene, from, frame),
            Some(responsibility) => {
                // Only relays of the region hand scene.out parts of it, and no part is larger than the region.
                let sender = self.flows.get(&from).and_then(|flow| flow.relay);
                let sender = sender.filter(|relay| inside && destination.matches(&relay.address));
                let sender = sender.ok_or(Fault::Impossible)?;
                if responsibility < destination.luminosity() {
                    return Err(Fault::Impossible);
                }
                let asked = asked(sender.proximity, responsibility);
                self.take_share(scene, from, frame, asked)
            }
        };
        Ok(self.verdict(verdict))
    }

    /// What is answered to whoever wants us to take a cell over.
    pub(super) fn verdict(&mut self, taken: Result<(), Refusal>) -> Verdict {
        match taken {
            Ok(()) => Verdict::TookOver,
            Err(Refusal::Busy) => {
                self.counters.cells_refused_busy += 1;
                Verdict::Busy
            }
            Err(_) => {
                self.counters.cells_without_progress += 1;
                Verdict::NoProgress
            }
        }
    }

    /// A cell that we asked for. It is nobody's business that we have it now: it is not kept for pulls, and not spread.
    fn take_served(&mut self, scene: &mut Scene<'_>, cell: &Cell) {
        self.forget_wanted(&cell.id());
        if self.seen.get(&cell.id()).is_some_and(|seen| seen.responsibility.is_some()) {
            self.counters.cells_duplicate += 1;
            return;
        }
        self.deliver(scene, self.config.keeping.keep(cell), Luminosity::FULL);
    }

    /// A packet on its way to a region that is not ours.
    fn take_on_the_way(&mut self, scene: &mut Scene<'_>, from: LinkKey, frame: CellFrame) -> Result<(), Refusal> {
        let CellFrame { cell, budget, standby, .. } = frame;
        let seen = self.seen.get(&cell.id()).unwrap_or_default();
        let passed_before = if standby { seen.routed_standby } else { seen.routed };
        if passed_before {
            self.counters.cells_duplicate += 1;
            return Ok(());
        }
        let nobody = || scene.neighbours.closer_to(&cell.destination()).all(|relay| relay.key == from);
        if !scene.neighbours.is_relay() || nobody() {
            return Err(Refusal::NoProgress);
        }
        self.room_for(cell.bytes().len(), from)?;
        let routed = Seen { routed: seen.routed || !standby, routed_standby: seen.routed_standby || standby, ..seen };
        self.seen.put(scene.now, cell.id(), routed);
        let aim = Aim::Route { standby };
        self.hand_over(scene, Order { cell: cell.into(), budget, aim, source: Some(from), origin: None }, &[]);
        Ok(())
    }

    /// A packet enters its region here.
    fn take_entry(&mut self, scene: &mut Scene<'_>, from: LinkKey, frame: CellFrame) -> Result<(), Refusal> {
        let CellFrame { cell, budget, standby, .. } = frame;
        if self.seen.get(&cell.id()).is_some_and(|seen| seen.responsibility.is_some()) {
            self.counters.cells_duplicate += 1;
            if !standby {
                self.first_copy_came_after_standby(scene, cell.id());
            }
            return Ok(());
        }
        self.room_for(cell.bytes().len(), from)?;
        if standby && cell.destination().luminosity() != Luminosity::FULL {
            self.stand_by(scene, cell, budget, from);
        } else {
            self.enter(scene, cell, budget, Some(from));
        }
        Ok(())
    }

    /// A copy from a relay of the region.
    fn take_share(
        &mut self,
        scene: &mut Scene<'_>,
        from: LinkKey,
        frame: CellFrame,
        asked: Asked,
    ) -> Result<(), Refusal> {
        let CellFrame { cell, budget, .. } = frame;
        self.heard_of(&cell.id());
        let before = self.seen.get(&cell.id()).and_then(|seen| seen.responsibility);
        let responsibility = match asked {
            Asked::Answer(responsibility) => responsibility,
            Asked::Keep => Luminosity::FULL,
        };
        if before.is_some_and(|before| before <= responsibility) {
            self.counters.cells_duplicate += 1;
            return Ok(());
        }
        self.room_for(cell.bytes().len(), from)?;
        self.forget_wanted(&cell.id());
        match before {
            None => {
                self.arrive(scene, &cell, responsibility);
                if responsibility != Luminosity::FULL {
                    self.answer_for(scene, (cell, budget, Some(from)), responsibility);
                }
            }
            Some(answered) => {
                self.counters.cells_duplicate += 1;
                self.mark(scene.now, &cell, |seen| seen.responsibility = Some(responsibility));
                self.answer_for_more(scene, &cell, responsibility, answered.bits());
            }
        }
        Ok(())
    }

    pub(super) fn room_for(&self, bytes: usize, from: LinkKey) -> Result<(), Refusal> {
        if self.pool.has_room(Some(from), bytes) { Ok(()) } else { Err(Refusal::Busy) }
    }

    pub(super) fn owe_receipt(&mut self, peer: LinkKey, receipt: Receipt) {
        if let Some(flow) = self.flows.get_mut(&peer) {
            flow.receipts.push(receipt);
            self.owing.insert(peer);
        }
    }
}
