//! What all liars have in common: the frames they keep to themselves, and those they make up.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use mainframe_base::{LinkKey, Luminosity, PacketId, Time};
use mainframe_core::neighbours::Neighbour;
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{LinkEvent, Relay, RelayEffect, RelayInput};
use mainframe_core::wire::{BudgetClass, Cell, CellFrame, Frame, OutFrame, Receipt, Verdict};

use crate::actor::Guise;
use crate::frames::{Kind, kind};

/// What a liar sees at one moment, and its hand to act with.
pub struct Hand<'a> {
    /// The present.
    pub now: Time,
    /// The honest relay behind the liar.
    pub relay: &'a Relay,
    out: &'a mut Vec<RelayEffect>,
}

impl std::fmt::Debug for Hand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hand(at {:?})", self.now)
    }
}

impl Hand<'_> {
    /// Sends a frame of the liar's own making.
    pub fn send(&mut self, to: LinkKey, frame: &Frame) {
        self.out.push(RelayEffect::Send(to, frame.encode()));
    }

    /// Sends a frame that the relay made, now.
    pub fn let_out(&mut self, to: LinkKey, frame: OutFrame) {
        self.out.push(RelayEffect::Send(to, frame));
    }

    /// Does something other than sending.
    pub fn act(&mut self, effect: RelayEffect) {
        self.out.push(effect);
    }

    /// Says that a cell was taken over, whatever becomes of it.
    pub fn take_over(&mut self, from: LinkKey, nonce: u32) {
        let receipt = Receipt { nonce, verdict: Verdict::TookOver };
        self.send(from, &Frame::Custody(vec![receipt]));
    }

    /// Sends a cell as a share of its region: the receiver is to answer for so many bits.
    pub fn share(&mut self, to: LinkKey, cell: &Cell, responsibility: Luminosity) {
        let frame = CellFrame {
            budget: BudgetClass::MAX,
            standby: false,
            responsibility: Some(responsibility),
            deadline_ms: 0,
            accounting_sequence: 0,
            // No hand-over of the relay's has this number, so that the receipt settles nothing.
            custody_nonce: u32::MAX,
            cell: cell.clone(),
        };
        self.send(to, &Frame::Cell(frame));
    }

    /// The connected relays that lie in the cell's region; none if the liar itself does not.
    pub fn region_peers(&self, cell: &Cell) -> Vec<Neighbour> {
        let (neighbours, region) = (self.relay.neighbours(), cell.destination());
        if !region.matches(neighbours.me()) {
            return Vec::new();
        }
        neighbours.all().iter().filter(|peer| region.matches(&peer.address)).copied().collect()
    }
}

/// What a liar does differently from the relay it wears. What it does not say here is done as the relay does it.
pub trait Lie {
    /// A frame has come. Whether the relay is to hear it.
    fn hears(&mut self, _hand: &mut Hand<'_>, _from: LinkKey, _frame: &Bytes) -> bool {
        true
    }

    /// The relay sends a frame. Whether it goes out.
    fn says(&mut self, _hand: &mut Hand<'_>, _to: LinkKey, _frame: &OutFrame) -> bool {
        true
    }

    /// Its time has come, or something else happened at that time or later.
    fn wakes(&mut self, _hand: &mut Hand<'_>) {}

    /// When [`Lie::wakes`] is due.
    fn next_wake(&self) -> Option<Time> {
        None
    }
}

/// A relay's guise that tells one lie.
#[derive(Debug)]
pub struct Liar<L>(L);

impl<L: Lie> Liar<L> {
    /// Tells this lie.
    pub fn new(lie: L) -> Liar<L> {
        Liar(lie)
    }
}

impl<L: Lie> Guise for Liar<L> {
    fn handle(
        &mut self,
        now: Time,
        mut input: RelayInput,
        relay: &mut Relay,
        tx: &mut dyn Tx,
        out: &mut Vec<RelayEffect>,
    ) {
        if self.0.next_wake().is_some_and(|due| due <= now) {
            self.0.wakes(&mut Hand { now, relay, out });
        }
        if let RelayInput::Link(LinkEvent::Frames { peer, frames }) = &mut input {
            frames.retain(|frame| self.0.hears(&mut Hand { now, relay, out }, *peer, frame));
        }
        let mut said = Vec::new();
        relay.handle(now, input, tx, &mut said);
        for effect in said {
            let goes_out = match &effect {
                RelayEffect::Send(to, frame) => self.0.says(&mut Hand { now, relay, out }, *to, frame),
                RelayEffect::Dial { .. }
                | RelayEffect::Hangup(..)
                | RelayEffect::Cell(_)
                | RelayEffect::Store(_)
                | RelayEffect::Reply(..)
                | RelayEffect::Publish(_) => true,
            };
            if goes_out {
                out.push(effect);
            }
        }
    }

    fn next_wake(&self) -> Option<Time> {
        self.0.next_wake()
    }
}

/// The cell frame in these bytes; none if they are anything else, or nothing the core would read.
pub(super) fn read_cell(frame: &Bytes) -> Option<CellFrame> {
    if kind(frame) != Kind::Cell {
        return None;
    }
    if let Ok(Frame::Cell(frame)) = Frame::decode(frame) { Some(frame) } else { None }
}

/// The nonce of a frame that carries a cell of any kind; none if it is anything else.
pub(super) fn read_nonce(frame: &Bytes) -> Option<u32> {
    if kind(frame) != Kind::Cell {
        return None;
    }
    match Frame::decode(frame) {
        Ok(Frame::Cell(frame)) => Some(frame.custody_nonce),
        Ok(Frame::List(frame)) => Some(frame.custody_nonce),
        Ok(_) | Err(_) => None,
    }
}

/// Packets a liar remembers; more than are under way at a time in any run.
const REMEMBERED_MAX: usize = 4_096;

/// The packets a liar dealt with lately.
#[derive(Default, Debug)]
pub(super) struct Remembered {
    ids: BTreeSet<PacketId>,
    order: VecDeque<PacketId>,
}

impl Remembered {
    /// Remembers a packet; says whether it was new.
    pub(super) fn add(&mut self, id: PacketId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_MAX {
            self.order.pop_front().map(|oldest| self.ids.remove(&oldest));
        }
        true
    }

    pub(super) fn has(&self, id: &PacketId) -> bool {
        self.ids.contains(id)
    }
}
