//! Many nodes of one owner, near one place, that play into each other's hands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use mainframe_base::{Address, LinkKey, Locator, Luminosity, Prefix, Time};
use mainframe_core::crypto::NodeRecord;
use mainframe_core::switchboard::RelayEffect;
use mainframe_core::wire::{Cell, Frame, GetPeers, OutFrame, Peers};

use super::liar::{Hand, Lie, read_cell};
use crate::frames::read_control;

/// Time between two looks whether the victim is connected, in milliseconds.
const LOOK_MS: u64 = 10_000;

/// What the sybils of a run have agreed on, and what they know of each other.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The region whose packets they swallow.
    pub region: Prefix,
    /// Whom they cut off.
    pub victim: Address,
    /// The victim's name on links.
    pub victim_key: LinkKey,
    /// Where the victim can be dialled.
    pub victim_locator: Locator,
    fellows: Arc<Mutex<BTreeMap<Address, NodeRecord>>>,
}

impl Plot {
    /// Against this region, and this node in it.
    pub fn new(region: Prefix, victim: Address, victim_key: LinkKey, victim_locator: Locator) -> Plot {
        Plot { region, victim, victim_key, victim_locator, fellows: Arc::default() }
    }

    fn fellows(&self) -> MutexGuard<'_, BTreeMap<Address, NodeRecord>> {
        self.fellows.lock().expect("no holder of this lock can panic")
    }

    fn enlist(&self, record: &NodeRecord) {
        self.fellows().insert(record.overlay, record.clone());
    }

    /// The fellows closest to an address, as many as were asked for, without the one who asks.
    fn closest(&self, question: &GetPeers, asker: &LinkKey) -> Vec<NodeRecord> {
        let mut fellows: Vec<NodeRecord> =
            self.fellows().values().filter(|fellow| fellow.link_key != *asker).cloned().collect();
        fellows.sort_by_key(|fellow| fellow.overlay.distance(&question.target));
        fellows.truncate(usize::from(question.limit));
        fellows
    }

    /// Whether a question is one whose true answer would help the victim.
    fn concerns(&self, asker: &LinkKey, question: &GetPeers) -> bool {
        *asker == self.victim_key || self.region.matches(&question.target)
    }

    fn swallows(&self, from: &LinkKey, cell: &Cell) -> bool {
        let destination = cell.destination();
        let to_region =
            destination.luminosity() >= self.region.luminosity() && self.region.matches(&destination.first_address());
        *from == self.victim_key || to_region || destination == Prefix::of(&self.victim, Luminosity::FULL)
    }
}

/// Stands where its owner wants it (review P44, protocol research §2): dials the victim and keeps dialling it, answers
/// its questions, and others' about its region, with fellows only, takes every packet of the region and every packet
/// to or from the victim over, and drops it.
#[derive(Debug)]
pub struct Sybil {
    plot: Plot,
    due: Time,
}

impl Sybil {
    /// Takes part in this plot.
    pub fn new(plot: Plot) -> Sybil {
        Sybil { plot, due: Time(0) }
    }
}

impl Lie for Sybil {
    fn hears(&mut self, hand: &mut Hand<'_>, from: LinkKey, frame: &Bytes) -> bool {
        if let Some(frame) = read_cell(frame) {
            let swallowed = self.plot.swallows(&from, &frame.cell);
            if swallowed {
                hand.take_over(from, frame.custody_nonce);
            }
            return !swallowed;
        }
        match read_control(frame) {
            Some(Frame::GetPeers(question)) if self.plot.concerns(&from, &question) => {
                let records = self.plot.closest(&question, &from);
                hand.send(from, &Frame::Peers(Peers { request: question.request, records }));
                false
            }
            Some(Frame::Digest(_) | Frame::Pull(_)) => false,
            _ => true,
        }
    }

    fn says(&mut self, _hand: &mut Hand<'_>, to: LinkKey, frame: &OutFrame) -> bool {
        // A true belief would show the victim whom it lacks.
        to != self.plot.victim_key || !matches!(read_control(&frame.head), Some(Frame::Neighbourhood(_)))
    }

    fn wakes(&mut self, hand: &mut Hand<'_>) {
        self.due = hand.now + LOOK_MS;
        self.plot.enlist(hand.relay.overlay().record());
        if !hand.relay.overlay().is_greeted(&self.plot.victim_key) {
            let locators = vec![self.plot.victim_locator];
            hand.act(RelayEffect::Dial { peer: Some(self.plot.victim_key), locators });
        }
    }

    fn next_wake(&self) -> Option<Time> {
        Some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;

    #[test]
    fn a_sybil_swallows_its_region_and_names_only_fellows() {
        let mut rig = Rig::begun_at(Time(1_000));
        let near = rig.near_cell();
        let victim = rig.peer_key(0);
        let plot = Plot::new(near.destination(), rig.peer_address(0), victim, rig.locator());
        plot.enlist(&rig.record_of_peer(1));
        rig.wear(Sybil::new(plot));
        let said = rig.hears(2, rig.cell_frame(near, None));
        assert!(said.iter().any(|(_, said)| matches!(said, Frame::Custody(_))));
        assert!(said.iter().all(|(_, said)| !matches!(said, Frame::Cell(_))));
        let told: Vec<NodeRecord> = rig
            .hears(0, rig.question())
            .into_iter()
            .filter_map(|(_, said)| if let Frame::Peers(answer) = said { Some(answer.records) } else { None })
            .flatten()
            .collect();
        let fellows = [rig.peer_key(1), rig.own_key()];
        assert!(!told.is_empty() && told.iter().all(|record| fellows.contains(&record.link_key)));
    }
}
