//! How large the network is, and how many relays one region has (docs/protocol/overlay.md §10).
//!
//! Look-ups at random places tell how dense the network is. Addresses are uniform, so the distances to the k-th closest
//! relay of L places add up to d with (k · L − 1) · 2^256 / d as the unbiased estimate of least variance. Look-ups inside
//! a region count who stands there, one by one, as far as they get.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mainframe_base::{Address, LinkKey, Luminosity, Prefix, Role, Time};

use super::Overlay;
use super::book::span;
use super::census::Census;
use super::lookup::{Lookup, Progress};
use super::ports::{Estimate, OverlayFact, OverlayOut, RegionCount};
use crate::crypto::NodeRecord;
use crate::jitter::jittered;
use crate::wire::PEERS_MAX;

/// Look-ups at once (guess).
const LOOKUPS_AT_ONCE: usize = 4;
/// Random look-ups of one estimate.
const LOOKUPS_MAX: u8 = 64;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// None for an estimate nobody waits for.
    ticket: Option<u64>,
    /// Random look-ups; none where the latest estimate will do.
    lookups: u8,
    region: Option<Prefix>,
}

/// What a look-up is for.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// The network's size.
    Size,
    /// The relays of this piece of a region.
    Piece(Prefix),
}

/// One estimate under way.
#[derive(Clone)]
struct Round {
    request: Request,
    tickets: Vec<u64>,
    lookups_left: u8,
    running: BTreeMap<u32, (Lookup, Aim)>,
    sample: Sample,
    census: Option<Census>,
    /// Relays found in the region and around it: where further look-ups start.
    found: BTreeMap<Address, Arc<NodeRecord>>,
}

/// The running estimate, those that wait for it to end, and the latest one.
#[derive(Clone, Default)]
pub(super) struct Estimator {
    latest: Option<Estimate>,
    waiting: VecDeque<Request>,
    round: Option<Round>,
    next_lookup: u32,
}

impl Estimator {
    pub(super) fn new() -> Estimator {
        Estimator::default()
    }

    pub(super) fn latest(&self) -> Option<Estimate> {
        self.latest
    }

    /// The number of a further look-up.
    pub(super) fn take_lookup_id(&mut self) -> u32 {
        let id = self.next_lookup;
        self.next_lookup = id.wrapping_add(1);
        id
    }

    fn lookup_mut(&mut self, id: u32) -> Option<&mut Lookup> {
        self.round.as_mut()?.running.get_mut(&id).map(|(lookup, _)| lookup)
    }
}

impl Overlay {
    /// Estimates the network's size by so many random look-ups (at most 64; with none the latest estimate is used, if
    /// there is one) and counts a region's relays, if one is given; [`OverlayFact::Estimated`] comes with the ticket.
    /// One estimate is under way at a time; those who ask for no more than it brings share it, others wait.
    pub fn start_estimate(
        &mut self,
        now: Time,
        lookups: u8,
        region: Option<Prefix>,
        ticket: u64,
        out: &mut OverlayOut,
    ) {
        self.request_estimate(Request { ticket: Some(ticket), lookups, region });
        self.continue_lookups(now, out);
    }

    pub(super) fn start_due_estimate(&mut self, now: Time) {
        if now >= self.timers.estimate {
            self.timers.estimate = now + jittered(self.config.estimate_interval_ms, self.random());
            self.request_estimate(Request { ticket: None, lookups: self.config.estimate_lookups, region: None });
            self.timers.tend_soon(now);
        }
    }

    fn request_estimate(&mut self, mut request: Request) {
        request.lookups = request.lookups.min(LOOKUPS_MAX);
        if request.lookups == 0 && self.estimator.latest.is_none() {
            request.lookups = self.config.estimate_lookups.max(1);
        }
        match self.estimator.round.as_mut().filter(|round| round.brings(&request)) {
            Some(round) => round.tickets.extend(request.ticket),
            None => self.estimator.waiting.push_back(request),
        }
    }

    /// Takes every look-up as far as it goes now.
    pub(super) fn continue_lookups(&mut self, now: Time, out: &mut OverlayOut) {
        self.continue_seeking(now, out);
        while let Some(mut round) = self.estimator.round.take().or_else(|| self.next_round()) {
            self.continue_round(now, &mut round, out);
            if !round.running.is_empty() {
                self.estimator.round = Some(round);
                return self.timers.tend_by(now + 1_000);
            }
            self.finish_round(now, round, out);
        }
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
        let sought = self.sought.iter_mut().find_map(|sought| sought.lookup_mut(id));
        if let Some(lookup) = sought.or_else(|| self.estimator.lookup_mut(id)) {
            lookup.on_answer(from, records.into_iter().filter(|record| record.overlay != me));
        }
        self.continue_lookups(now, out);
    }

    fn next_round(&mut self) -> Option<Round> {
        let request = self.estimator.waiting.pop_front()?;
        let mut round = Round::of(request);
        self.estimator.waiting.retain(|other| {
            let joins = round.brings(other);
            round.tickets.extend(other.ticket.filter(|_| joins));
            !joins
        });
        self.count_neighbourhood(&mut round);
        Some(round)
    }

    /// We need not ask anyone who our own neighbours are.
    fn count_neighbourhood(&mut self, round: &mut Round) {
        let Some(census) = round.census.as_mut().filter(|_| self.is_settled_relay()) else { return };
        let me = self.me.address();
        let ours = Prefix::of(&me, Luminosity::at_most(self.neighbours.depth()));
        let near = self.relays.range(span(&me, ours.luminosity().bits())).map(|(address, _)| address);
        census.count_known(ours, near.chain([&me]));
    }

    fn is_settled_relay(&self) -> bool {
        self.joined && self.me.role_is(Role::Relay)
    }

    fn continue_round(&mut self, now: Time, round: &mut Round, out: &mut OverlayOut) {
        loop {
            while round.running.len() < LOOKUPS_AT_ONCE
                && let Some(aim) = round.next_aim()
            {
                self.start_lookup(now, round, aim);
            }
            let before = round.running.len();
            for (id, (mut lookup, aim)) in std::mem::take(&mut round.running) {
                match self.advance(now, id, &mut lookup, out) {
                    Progress::Open => drop(round.running.insert(id, (lookup, aim))),
                    Progress::Found => self.conclude(round, &lookup, aim, true),
                    Progress::Late => self.conclude(round, &lookup, aim, false),
                }
            }
            if round.running.len() == before {
                return;
            }
        }
    }

    fn start_lookup(&mut self, now: Time, round: &mut Round, aim: Aim) {
        let target = match aim {
            Aim::Size => self.random_address(),
            Aim::Piece(piece) => self.random_address_within(&piece),
        };
        let connected = self.closest(&target, PEERS_MAX, None);
        let connected = connected.iter().filter_map(|key| self.record_of(key));
        let lookup = Lookup::of(now, target, connected.chain(round.found.values()).cloned());
        let id = self.estimator.take_lookup_id();
        round.running.insert(id, (lookup, aim));
    }

    /// What a look-up that has ended tells.
    fn conclude(&self, round: &mut Round, lookup: &Lookup, aim: Aim, complete: bool) {
        let target = lookup.target();
        let me = self.me.role_is(Role::Relay).then(|| self.me.address());
        let mut closest: Vec<Address> = lookup.relays().map(|record| record.overlay).chain(me).collect();
        closest.sort_unstable_by_key(|address| address.distance(target));
        closest.truncate(PEERS_MAX);
        let furthest = closest.get(PEERS_MAX - 1);
        match aim {
            Aim::Size => round.sample.add(closest.len(), furthest.map(|address| address.distance(target))),
            Aim::Piece(_) if round.census.is_none() => {}
            Aim::Piece(piece) if complete => {
                let bits = furthest.map_or(0, |address| address.proximity(target) + 1);
                round.count(piece, Prefix::of(target, Luminosity::at_most(bits)), &closest);
                round.found.extend(lookup.relays().map(|record| (record.overlay, record.clone())));
            }
            Aim::Piece(piece) => round.census.iter_mut().for_each(|census| census.give_back(piece)),
        }
    }

    fn finish_round(&mut self, now: Time, round: Round, out: &mut OverlayOut) {
        let made = round.sample.estimate(now);
        let Some(mut estimate) = made.or(self.estimator.latest) else { return };
        self.estimator.latest = Some(estimate);
        estimate.region = round.census.map(|census| RegionCount {
            region: census.region(),
            counted: census.counted(),
            milli_expected: census.milli_expected(estimate.nodes),
        });
        for ticket in round.tickets {
            out.fact(OverlayFact::Estimated(ticket, estimate));
        }
    }
}

impl Round {
    fn of(request: Request) -> Round {
        Round {
            request,
            tickets: request.ticket.into_iter().collect(),
            lookups_left: request.lookups,
            running: BTreeMap::new(),
            sample: Sample::default(),
            census: request.region.map(Census::of),
            found: BTreeMap::new(),
        }
    }

    /// Whether this round answers that request too.
    fn brings(&self, other: &Request) -> bool {
        let same = other.region.is_none() || other.region == self.request.region;
        same && other.lookups <= self.request.lookups
    }

    fn next_aim(&mut self) -> Option<Aim> {
        if self.lookups_left > 0 {
            self.lookups_left -= 1;
            return Some(Aim::Size);
        }
        self.census.as_mut()?.next_piece().map(Aim::Piece)
    }

    fn count(&mut self, piece: Prefix, covered: Prefix, relays: &[Address]) {
        if let Some(census) = &mut self.census {
            census.count(piece, covered, relays.iter());
        }
    }
}

/// How far the k-th closest relay was in each look-up, in 2^−64 of the address space: the first 64 bits are exact
/// enough for any network of less than 2^32 relays.
#[derive(Clone, Default, Debug)]
struct Sample {
    distances: Vec<u64>,
    /// Most relays seen by a look-up that saw fewer than k, if there was one.
    most_seen: Option<u64>,
}

impl Sample {
    fn add(&mut self, seen: usize, kth: Option<[u8; 32]>) {
        match kth {
            Some(distance) => {
                let mut first = [0; 8];
                first.copy_from_slice(&distance[..8]);
                self.distances.push(u64::from_be_bytes(first));
            }
            None => self.most_seen = self.most_seen.max(Some(seen as u64)),
        }
    }

    /// Look-ups that saw fewer than k relays count only where all did: then nobody is left unseen.
    fn estimate(&self, at: Time) -> Option<Estimate> {
        let lookups = self.distances.len() as u64;
        let records = PEERS_MAX as u64 * lookups;
        let distance = self.distances.iter().map(|distance| u128::from(*distance)).sum::<u128>();
        let (nodes, records) = match (lookups, self.most_seen) {
            (0, None) => return None,
            (0, Some(seen)) => (seen, u32::MAX),
            _ => (clip((u128::from(records - 1) << 64) / distance.max(1)), records as u32),
        };
        Some(Estimate { nodes, lookups: lookups.max(1) as u8, records, at, region: None })
    }
}

fn clip(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(first: u8) -> Option<[u8; 32]> {
        let mut distance = [0; 32];
        distance[0] = first;
        Some(distance)
    }

    fn estimate(sample: &[(usize, Option<[u8; 32]>)]) -> Option<(u64, u32)> {
        let mut all = Sample::default();
        sample.iter().for_each(|(seen, kth)| all.add(*seen, *kth));
        all.estimate(Time(1)).map(|estimate| (estimate.nodes, estimate.records))
    }

    #[test]
    fn the_twentieth_of_evenly_spread_relays_tells_how_many_there_are() {
        assert_eq!(estimate(&[(20, distance(19))]), Some((256, 20)));
        assert_eq!(estimate(&[(20, distance(19)), (20, distance(20))]), Some((256, 40)));
        assert_eq!(estimate(&[(20, Some([0; 32]))]), Some((u64::MAX, 20)));
    }

    #[test]
    fn one_look_up_among_liars_does_not_make_the_network_large() {
        let honest = [(20, distance(19)); 7];
        let crowded = [(20, Some([0; 32]))];
        let (nodes, _) = estimate(&[&honest[..], &crowded].concat()).unwrap();
        assert!((256..=320).contains(&nodes), "{nodes}");
    }

    #[test]
    fn fewer_than_twenty_are_counted_and_a_look_up_that_failed_is_not() {
        assert_eq!(estimate(&[(11, None), (12, None)]), Some((12, u32::MAX)));
        assert_eq!(estimate(&[(3, None), (20, distance(19))]), Some((256, 20)));
        assert_eq!(estimate(&[]), None);
    }
}
