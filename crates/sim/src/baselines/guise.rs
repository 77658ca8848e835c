//! What all baselines share: which packets are theirs, who has met one already, what goes to the relay underneath.

use std::collections::BTreeMap;

use bytes::Bytes;
use mainframe_base::{LinkKey, Luminosity, Time};
use mainframe_core::neighbours::Neighbours;
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{CommandId, Dispatch, LinkEvent, Relay, RelayEffect, RelayInput, RelayReply};
use mainframe_core::wire::{BudgetClass, Cell, CellFrame, Frame, Parcel, Receipt, Verdict};

use crate::actor::Guise;
use crate::frames::{CellName, Kind, cell_name, is_on_the_way, kind};

/// What a node does with a packet in place of what the core does.
pub(super) trait Rule {
    /// Who gets a copy from us now that we met the packet, and for how many bits of its address each answers.
    fn copies(&mut self, share: &Share<'_>) -> Vec<(LinkKey, Luminosity)>;

    /// Whether packets start at their origin, wherever it stands, without a way to the region.
    fn knows_no_regions(&self) -> bool {
        false
    }

    /// A digest or a pull came.
    fn hear(&mut self, _now: Time, _from: LinkKey, _frame: &Frame) -> Vec<(LinkKey, Frame)> {
        Vec::new()
    }

    /// The time asked for has come.
    fn beat(&mut self, _now: Time, _neighbours: &Neighbours) -> Vec<(LinkKey, Frame)> {
        Vec::new()
    }

    /// When `beat` is due.
    fn next_beat(&self) -> Option<Time> {
        None
    }
}

/// A packet met for the first time.
pub(super) struct Share<'a> {
    pub(super) now: Time,
    pub(super) cell: &'a Cell,
    /// Who sent it; none if it begins here.
    pub(super) from: Option<LinkKey>,
    /// For how many bits of our address we answer.
    pub(super) responsibility: Luminosity,
    pub(super) neighbours: &'a Neighbours,
}

/// How far a packet has come at one node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// The second copy of the way to the region ended here: it is delivered, but begins nothing.
    Delivered,
    /// Passed on by the rule; every further copy is ignored.
    Passed,
}

/// A rule as a guise.
pub(super) struct Spreader<R> {
    rule: R,
    /// As many entries as a run has packets.
    met: BTreeMap<CellName, Met>,
}

/// The world a guise acts in, for the time of one input.
struct Stage<'a> {
    now: Time,
    relay: &'a mut Relay,
    tx: &'a mut dyn Tx,
    out: &'a mut Vec<RelayEffect>,
}

impl Stage<'_> {
    fn pass(&mut self, input: RelayInput) {
        self.relay.handle(self.now, input, self.tx, self.out);
    }

    fn send(&mut self, frames: Vec<(LinkKey, Frame)>) {
        self.out.extend(frames.into_iter().map(|(to, frame)| RelayEffect::Send(to, frame.encode())));
    }

    fn lies_in_region_of(&self, cell: &Cell) -> bool {
        cell.destination().matches(self.relay.neighbours().me())
    }
}

impl<R: Rule> Guise for Spreader<R> {
    fn handle(&mut self, now: Time, input: RelayInput, relay: &mut Relay, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        let mut stage = Stage { now, relay, tx, out };
        match input {
            RelayInput::Cell(command, dispatch) => self.begin(&mut stage, command, dispatch),
            RelayInput::Link(LinkEvent::Frames { peer, frames }) => {
                for bytes in frames {
                    self.frame(&mut stage, peer, bytes);
                }
            }
            RelayInput::Wake => {
                if self.rule.next_beat().is_some_and(|due| due <= now) {
                    let frames = self.rule.beat(now, stage.relay.neighbours());
                    stage.send(frames);
                }
                stage.pass(RelayInput::Wake);
            }
            RelayInput::Link(_) | RelayInput::Command(..) | RelayInput::Store(_) => stage.pass(input),
        }
    }

    fn next_wake(&self) -> Option<Time> {
        self.rule.next_beat()
    }
}

impl<R: Rule> Spreader<R> {
    pub(super) fn new(rule: R) -> Spreader<R> {
        Spreader { rule, met: BTreeMap::new() }
    }

    fn begin(&mut self, stage: &mut Stage<'_>, command: CommandId, dispatch: Dispatch) {
        let cell = match &dispatch.cell {
            Parcel::Cell(cell) if stage.lies_in_region_of(cell) || self.rule.knows_no_regions() => cell.clone(),
            // The others know no packets to several regions.
            Parcel::Cell(_) | Parcel::List(_) => return stage.pass(RelayInput::Cell(command, dispatch)),
        };
        stage.out.push(RelayEffect::Reply(command, RelayReply::Accepted(cell.id())));
        let whole = cell.destination().luminosity();
        self.meet(stage, None, cell, whole);
    }

    fn frame(&mut self, stage: &mut Stage<'_>, peer: LinkKey, bytes: Bytes) {
        match kind(&bytes) {
            Kind::Cell if is_on_the_way(&bytes) => self.on_the_way(stage, peer, bytes),
            Kind::Cell => {
                // most copies are further ones: they are told apart without being read
                if self.met.get(&cell_name(&bytes)) != Some(&Met::Passed)
                    && let Ok(Frame::Cell(CellFrame { cell, responsibility: Some(bits), .. })) = Frame::decode(&bytes)
                {
                    self.meet(stage, Some(peer), cell, bits);
                }
            }
            Kind::Digest | Kind::Pull => {
                if let Ok(frame) = Frame::decode(&bytes) {
                    let answer = self.rule.hear(stage.now, peer, &frame);
                    stage.send(answer);
                }
            }
            Kind::Recent | Kind::Hold | Kind::Other => {
                stage.pass(LinkEvent::Frames { peer, frames: vec![bytes] }.into())
            }
        }
    }

    /// Outside the region the core hands it on; inside, where the core would divide the region, the rule begins.
    fn on_the_way(&mut self, stage: &mut Stage<'_>, peer: LinkKey, bytes: Bytes) {
        let Ok(Frame::Cell(CellFrame { cell, standby, custody_nonce, .. })) = Frame::decode(&bytes) else { return };
        if !stage.lies_in_region_of(&cell) {
            return stage.pass(LinkEvent::Frames { peer, frames: vec![bytes] }.into());
        }
        let receipt = Receipt { nonce: custody_nonce, verdict: Verdict::TookOver };
        stage.send(vec![(peer, Frame::Custody(vec![receipt]))]);
        if standby {
            self.deliver_once(stage, &cell);
        } else {
            let whole = cell.destination().luminosity();
            self.meet(stage, Some(peer), cell, whole);
        }
    }

    fn meet(&mut self, stage: &mut Stage<'_>, from: Option<LinkKey>, cell: Cell, responsibility: Luminosity) {
        if self.met.get(&cell_name(cell.bytes())) == Some(&Met::Passed) {
            return;
        }
        self.deliver_once(stage, &cell);
        self.met.insert(cell_name(cell.bytes()), Met::Passed);
        let neighbours = stage.relay.neighbours();
        let share = Share { now: stage.now, cell: &cell, from, responsibility, neighbours };
        let copies = self.rule.copies(&share);
        stage.send(copies.into_iter().map(|(to, bits)| (to, copy(&cell, bits))).collect());
    }

    fn deliver_once(&mut self, stage: &mut Stage<'_>, cell: &Cell) {
        let name = cell_name(cell.bytes());
        if !self.met.contains_key(&name) && stage.lies_in_region_of(cell) {
            self.met.insert(name, Met::Delivered);
            stage.out.push(RelayEffect::Cell(cell.clone()));
        }
    }
}

/// A copy for a node that answers for so many bits of its address. Nobody gives receipts for copies here.
pub(super) fn copy(cell: &Cell, responsibility: Luminosity) -> Frame {
    Frame::Cell(CellFrame {
        budget: BudgetClass::MAX,
        standby: false,
        responsibility: Some(responsibility),
        deadline_ms: 0,
        accounting_sequence: 0,
        custody_nonce: 0,
        cell: cell.clone(),
    })
}
