//! Finding the relays closest to an address (docs/protocol/overlay.md §10).
//!
//! A look-up asks whoever stands closest to its target, dialling for a visit those we are not connected to, until
//! nobody among the closest is left who could know of someone closer.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainframe_base::{Address, LinkKey, Proximity, Time};

use super::Overlay;
use super::peer::{Peer, Purpose};
use super::ports::OverlayOut;
use crate::crypto::NodeRecord;
use crate::wire::PEERS_MAX;

/// Questions of one look-up at once (Kademlia's α).
const QUESTIONS_AT_ONCE: usize = 3;
/// Relays a look-up may dial.
const VISITS_MAX: usize = 16;
/// Relays a look-up remembers: the closest.
const SEEN_MAX: usize = 3 * PEERS_MAX;
/// Relays that make a neighbourhood, as most networks have it (`OverlayConfig::neighbourhood`).
const NEIGHBOURHOOD: usize = 8;
/// When a look-up ends with what it has, in milliseconds (guess).
const LOOKUP_MS: u64 = 30_000;

#[derive(Clone)]
struct Seen {
    record: Arc<NodeRecord>,
    /// It was asked, or was dialled in vain.
    done: bool,
    dialled: bool,
    answered: bool,
}

/// One look-up under way.
#[derive(Clone)]
pub(super) struct Lookup {
    target: Address,
    seen: BTreeMap<[u8; 32], Seen>,
    visits: usize,
    due: Time,
}

/// What came of asking on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Answers or dials are open.
    Open,
    /// Nobody close is left to be asked.
    Found,
    /// Its time was up.
    Late,
}

impl Lookup {
    /// A look-up of `target` that starts from these relays.
    pub(super) fn of(now: Time, target: Address, known: impl Iterator<Item = Arc<NodeRecord>>) -> Lookup {
        let mut lookup = Lookup { target, seen: BTreeMap::new(), visits: 0, due: now + LOOKUP_MS };
        known.for_each(|record| lookup.see(record));
        lookup
    }

    pub(super) fn target(&self) -> &Address {
        &self.target
    }

    /// The relays seen, closest first.
    pub(super) fn relays(&self) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.seen.values().map(|seen| &seen.record)
    }

    /// Someone answered and named these.
    pub(super) fn on_answer(&mut self, from: LinkKey, records: impl Iterator<Item = Arc<NodeRecord>>) {
        self.seen.values_mut().filter(|seen| seen.record.link_key == from).for_each(|seen| seen.answered = true);
        records.for_each(|record| self.see(record));
    }

    fn see(&mut self, record: Arc<NodeRecord>) {
        let distance = record.overlay.distance(&self.target);
        let seen = Seen { record, done: false, dialled: false, answered: false };
        self.seen.entry(distance).or_insert(seen);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_last();
        }
    }

    /// Where the neighbourhood of the target seems to begin: for guests, who have none of their own.
    fn depth_seen(&self) -> Proximity {
        let eighth = self.seen.values().nth(NEIGHBOURHOOD - 1);
        eighth.map_or(0, |seen| seen.record.overlay.proximity(&self.target))
    }

    /// The closest that are worth a question, closest first. One whose neighbour answered has nothing to add: both
    /// know the same neighbourhood.
    fn to_ask(&self, depth: Proximity) -> Vec<[u8; 32]> {
        let closest = || self.seen.iter().take(PEERS_MAX);
        let answered: Vec<Address> =
            closest().filter(|(_, seen)| seen.answered).map(|(_, seen)| seen.record.overlay).collect();
        let covered = |address: &Address| answered.iter().any(|other| other.proximity(address) >= depth);
        closest()
            .filter(|(_, seen)| !seen.done && !covered(&seen.record.overlay))
            .map(|(distance, _)| *distance)
            .collect()
    }
}

impl Overlay {
    /// Asks the closest that were not asked, dialling where needed.
    pub(super) fn advance(&mut self, now: Time, id: u32, lookup: &mut Lookup, out: &mut OverlayOut) -> Progress {
        if now >= lookup.due {
            return Progress::Late;
        }
        let asked = |peer: &&Peer| peer.question.is_some_and(|open| open.purpose == Purpose::Lookup(id));
        let mut open = self.peers.values().filter(asked).count();
        let mut waiting = false;
        let depth = if self.neighbours.is_relay() { self.neighbours.depth() } else { lookup.depth_seen() };
        for distance in lookup.to_ask(depth) {
            if open >= QUESTIONS_AT_ONCE {
                break;
            }
            let target = lookup.target;
            let Some(seen) = lookup.seen.get_mut(&distance) else { continue };
            let key = seen.record.link_key;
            if self.is_greeted(&key) {
                if self.ask(now, key, target, PEERS_MAX as u8, Purpose::Lookup(id), out) {
                    seen.done = true;
                    open += 1;
                } else {
                    waiting = true;
                }
            } else if self.dials.is_dialling(&key) || self.peers.contains_key(&key) {
                open += 1;
            } else if seen.dialled || lookup.visits >= VISITS_MAX {
                seen.done = true;
            } else if self.dial_record(now, &seen.record.clone(), true, out) {
                seen.dialled = true;
                lookup.visits += 1;
                open += 1;
            } else {
                waiting = true;
            }
        }
        if open > 0 || waiting { Progress::Open } else { Progress::Found }
    }
}
