//! How large the network is, by looking at random places (docs/protocol/overlay.md §10).
//!
//! A look-up finds the k relays closest to a random address. Addresses are uniform, so if the k-th is at distance d,
//! (k − 1) · 2^256 / d is an unbiased estimate of how many there are; several look-ups are averaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainframe_base::{Address, LinkKey, Role, Time};

use super::Overlay;
use super::peer::Purpose;
use super::ports::{Estimate, OverlayFact, OverlayOut};
use super::timers::jittered;
use crate::crypto::NodeRecord;
use crate::wire::PEERS_MAX;

/// Look-ups at once (guess).
const LOOKUPS_AT_ONCE: usize = 4;
/// Questions of one look-up at once (Kademlia's α).
const QUESTIONS_AT_ONCE: usize = 3;
/// Relays a look-up may dial.
const VISITS_MAX: usize = 16;
/// Relays a look-up remembers: the closest.
const SEEN_MAX: usize = 3 * PEERS_MAX;
/// When a look-up ends with what it has, in milliseconds (guess).
const LOOKUP_MS: u64 = 30_000;
/// Look-ups of one estimate.
const LOOKUPS_MAX: u8 = 64;

#[derive(Clone)]
struct Seen {
    record: Arc<NodeRecord>,
    /// It was asked, or was dialled in vain.
    done: bool,
    dialled: bool,
    answered: bool,
}

#[derive(Clone)]
struct Lookup {
    target: Address,
    seen: BTreeMap<[u8; 32], Seen>,
    visits: usize,
    due: Time,
}

/// The running estimate, if any, and the latest one.
#[derive(Clone, Default)]
pub(super) struct Estimator {
    latest: Option<Estimate>,
    tickets: Vec<u64>,
    running: BTreeMap<u32, Lookup>,
    to_start: u8,
    results: Vec<u64>,
    next_lookup: u32,
}

impl Estimator {
    pub(super) fn new() -> Estimator {
        Estimator::default()
    }

    pub(super) fn latest(&self) -> Option<Estimate> {
        self.latest
    }

    fn is_running(&self) -> bool {
        self.to_start > 0 || !self.running.is_empty()
    }
}

impl Overlay {
    /// Estimates the network's size by so many look-ups (1..=64); [`OverlayFact::Estimated`] comes with the ticket.
    /// While an estimate is under way, further tickets share it.
    pub fn start_estimate(&mut self, now: Time, lookups: u8, ticket: u64, out: &mut OverlayOut) {
        self.estimator.tickets.push(ticket);
        self.begin_estimate(lookups);
        self.continue_lookups(now, out);
    }

    pub(super) fn start_due_estimate(&mut self, now: Time) {
        if now >= self.timers.estimate {
            self.timers.estimate = now + jittered(self.config.estimate_interval_ms, self.random());
            self.begin_estimate(self.config.estimate_lookups);
            self.timers.tend_soon(now);
        }
    }

    fn begin_estimate(&mut self, lookups: u8) {
        if !self.estimator.is_running() {
            self.estimator.to_start = lookups.clamp(1, LOOKUPS_MAX);
            self.estimator.results.clear();
        }
    }

    /// Takes every look-up as far as it goes now.
    pub(super) fn continue_lookups(&mut self, now: Time, out: &mut OverlayOut) {
        if !self.estimator.is_running() {
            return;
        }
        while self.estimator.to_start > 0 && self.estimator.running.len() < LOOKUPS_AT_ONCE {
            self.start_lookup(now);
        }
        let ids: Vec<u32> = self.estimator.running.keys().copied().collect();
        for id in ids {
            let Some(mut lookup) = self.estimator.running.remove(&id) else { continue };
            if self.advance(now, id, &mut lookup, out) {
                self.estimator.running.insert(id, lookup);
            } else {
                self.estimator.results.push(self.density(&lookup));
            }
        }
        if self.estimator.is_running() {
            return self.timers.tend_by(now + 1_000);
        }
        self.finish_estimate(now, out);
    }

    pub(super) fn on_lookup_answer(
        &mut self,
        now: Time,
        id: u32,
        from: LinkKey,
        records: Vec<Arc<NodeRecord>>,
        out: &mut OverlayOut,
    ) {
        let me = self.me.address();
        if let Some(lookup) = self.estimator.running.get_mut(&id) {
            lookup.seen.values_mut().filter(|seen| seen.record.link_key == from).for_each(|seen| seen.answered = true);
            records.into_iter().filter(|record| record.overlay != me).for_each(|record| lookup.see(record));
        }
        self.continue_lookups(now, out);
    }

    fn start_lookup(&mut self, now: Time) {
        self.estimator.to_start -= 1;
        let target = self.random_address();
        let mut lookup = Lookup { target, seen: BTreeMap::new(), visits: 0, due: now + LOOKUP_MS };
        for key in self.closest(&target, PEERS_MAX, None) {
            if let Some(record) = self.record_of(&key) {
                lookup.see(record.clone());
            }
        }
        let id = self.estimator.next_lookup;
        self.estimator.next_lookup = id.wrapping_add(1);
        self.estimator.running.insert(id, lookup);
    }

    /// Asks the closest that were not asked, dialling where needed. Says whether anything is still open.
    fn advance(&mut self, now: Time, id: u32, lookup: &mut Lookup, out: &mut OverlayOut) -> bool {
        let asked = |peer: &&super::Peer| peer.question.is_some_and(|open| open.purpose == Purpose::Estimate(id));
        let mut open = self.peers.values().filter(asked).count();
        let mut waiting = false;
        for distance in lookup.to_ask(self.neighbours.depth()) {
            if open >= QUESTIONS_AT_ONCE || now >= lookup.due {
                break;
            }
            let target = lookup.target;
            let Some(seen) = lookup.seen.get_mut(&distance) else { continue };
            let key = seen.record.link_key;
            if self.is_greeted(&key) {
                if self.ask(now, key, target, PEERS_MAX as u8, Purpose::Estimate(id), out) {
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
        now < lookup.due && (open > 0 || waiting)
    }

    /// How many relays there are, if they are everywhere as dense as around this look-up's target.
    fn density(&self, lookup: &Lookup) -> u64 {
        let me = self.me.address();
        let ours = self.me.role_is(Role::Relay).then(|| me.distance(&lookup.target));
        let mut distances: Vec<[u8; 32]> = lookup.seen.keys().copied().chain(ours).collect();
        distances.sort_unstable();
        match distances.get(PEERS_MAX - 1) {
            Some(distance) => size_from_distance(PEERS_MAX, distance),
            None => distances.len() as u64,
        }
    }

    fn finish_estimate(&mut self, now: Time, out: &mut OverlayOut) {
        let results = std::mem::take(&mut self.estimator.results);
        let Some(count) = u64::try_from(results.len()).ok().filter(|count| *count > 0) else { return };
        let sum: u128 = results.iter().map(|result| u128::from(*result)).sum();
        let nodes = u64::try_from(sum / u128::from(count)).unwrap_or(u64::MAX);
        let estimate = Estimate { nodes, lookups: results.len() as u8, at: now };
        self.estimator.latest = Some(estimate);
        for ticket in std::mem::take(&mut self.estimator.tickets) {
            out.fact(OverlayFact::Estimated(ticket, estimate));
        }
    }
}

impl Lookup {
    fn see(&mut self, record: Arc<NodeRecord>) {
        let distance = record.overlay.distance(&self.target);
        let seen = Seen { record, done: false, dialled: false, answered: false };
        self.seen.entry(distance).or_insert(seen);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_last();
        }
    }

    /// The closest that are worth a question, closest first. One whose neighbour answered has nothing to add: both
    /// know the same neighbourhood.
    fn to_ask(&self, depth: u16) -> Vec<[u8; 32]> {
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

/// (k − 1) · 2^64 / d in integers, with d the first 64 bits of the k-th distance: exact enough for any network of
/// less than 2^32 relays.
fn size_from_distance(k: usize, distance: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&distance[..8]);
    let distance = u128::from(u64::from_be_bytes(first).max(1));
    u64::try_from(((k as u128 - 1) << 64) / distance).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twentieth_of_evenly_spread_relays_tells_how_many_there_are() {
        let mut distance = [0; 32];
        distance[0] = 19;
        assert_eq!(size_from_distance(20, &distance), 256);
        assert_eq!(size_from_distance(20, &[0; 32]), u64::MAX);
    }
}
