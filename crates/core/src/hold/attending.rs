//! The regions we listen to: our own, so that what was sent while we were away is fetched, and others we were told of.
//!
//! For each region two relays are asked what they hold, so that one alone cannot keep anything from us; and where we are
//! no relay of the region ourselves, one of them sends us new cells and the other their names.

use std::collections::VecDeque;

use mainframe_base::{ADDRESS_BITS, LinkKey, Luminosity, PacketId, Prefix, Proximity, Time};
use rand_core::Rng;

use super::{Completeness, Hold, HoldFact, HoldScene, HoldWish};
use crate::jitter::jittered;
use crate::neighbours::{Neighbour, Neighbours};
use crate::wire::{Ask, Cell, Frame, Hearing, Held, HoldClass, Hour, LIVE_BUCKETS_MAX, Subscribe, TagBucket};

/// Relays asked about a region: the second tells what the first keeps to itself.
const SOURCES: usize = 2;
/// Regions listened to at a time (guess; as many as one relay lets a peer have).
pub const ATTENDANCES_MAX: usize = super::subscribers::SUBSCRIPTIONS_MAX;
/// A question is repeated after this long, in milliseconds, and so often (guess).
const ANSWER_MS: u64 = 3_000;
const ASKED_MAX: u8 = 3;
/// How long a relay that did not answer is not asked again, in milliseconds: as long as a guest leaves it alone (guess).
const UNSERVED_MS: u64 = 3_600_000;
/// Relays remembered that did not answer: more than are met in that time.
pub(super) const UNSERVED_MAX: usize = 256;
/// How far before the last moment at which all was well a question reaches, in milliseconds: the life of a cell, in which it
/// may have been under way.
const OVERLAP_MS: u64 = LIVE_BUCKETS_MAX as u64 * crate::wire::BUCKET_MS;
/// Before the id of any cell.
const START: PacketId = PacketId([0; 16]);
/// A relay of the region itself gets cells as they spread and looks again this many times more seldom.
const RESIDENT_PATIENCE: u64 = 6;

#[derive(Clone, Copy, Debug)]
struct Open {
    request: u32,
    sent_at: Time,
    tries: u8,
}

/// A relay that is asked about a region.
#[derive(Clone, Debug)]
struct Source {
    relay: Neighbour,
    hearing: Hearing,
    /// Still to be asked about; the first of them is being asked about if a question is open.
    hours: VecDeque<Hour>,
    /// Where its last answer about that hour stopped; zeros if it has given none.
    after: PacketId,
    open: Option<Open>,
}

impl Source {
    fn is_done(&self) -> bool {
        self.hours.is_empty()
    }
}

/// What is to be said of a region we listen to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttendanceView {
    /// The region.
    pub region: Prefix,
    /// Which tags.
    pub bucket: TagBucket,
    /// Everything sent before that moment has come, as far as the relays asked say what they hold.
    pub complete_until: Time,
    /// The relays asked, and how we hear of new cells from each.
    pub sources: Vec<(LinkKey, Hearing)>,
}

/// A region we listen to.
#[derive(Clone, Debug)]
pub(super) struct Attendance {
    region: Prefix,
    bucket: TagBucket,
    complete: Completeness,
    sources: Vec<Source>,
    /// When all sources have told everything, at the beginning of this round.
    round: Time,
    recheck_at: Time,
}

impl Attendance {
    pub(super) fn view(&self) -> AttendanceView {
        let sources = self.sources.iter().map(|source| (source.relay.key, source.hearing)).collect();
        let complete_until = self.complete.until(self.reach().unwrap_or(ADDRESS_BITS));
        AttendanceView { region: self.region, bucket: self.bucket, complete_until, sources }
    }

    /// Up to which luminosity the relays asked can say what there is.
    fn reach(&self) -> Option<Proximity> {
        self.sources.iter().map(|source| self.reach_of(&source.relay)).max()
    }

    fn reach_of(&self, relay: &Neighbour) -> Proximity {
        if self.region.matches(&relay.address) { ADDRESS_BITS } else { relay.proximity }
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        let open = self.sources.iter().filter_map(|source| source.open).map(|open| open.sent_at + ANSWER_MS);
        open.chain((!self.sources.is_empty()).then_some(self.recheck_at)).min()
    }

    /// The hours in which the life of a cell may end that this relay can tell of and that may not have come.
    fn hours(&self, now: Time, relay: &Neighbour) -> VecDeque<Hour> {
        let since = self.complete.until(self.reach_of(relay));
        let held = u64::from(HoldClass::ThreeDays.hours() + 2) * crate::wire::HOUR_MS;
        let from = since.0.saturating_sub(OVERLAP_MS).max(now.0.saturating_sub(held));
        let (first, last) = (Hour::of(Time(from)).0, Hour::of(now + OVERLAP_MS).0);
        (first..=last).map(Hour).collect()
    }

    fn begin(&mut self, now: Time, relay: Neighbour, hearing: Hearing) {
        let hours = self.hours(now, &relay);
        self.sources.push(Source { relay, hearing, hours, after: START, open: None });
        self.sources.sort_by_key(|source| std::cmp::Reverse(source.relay.proximity));
    }

    /// The relays worth asking, best first: those of the region, or for our own address whoever is closest.
    fn candidates<'a>(&self, neighbours: &'a Neighbours) -> impl Iterator<Item = &'a Neighbour> {
        let (region, home) = (self.region, self.is_home(neighbours));
        neighbours.all().iter().rev().filter(move |relay| home || region.matches(&relay.address))
    }

    fn is_home(&self, neighbours: &Neighbours) -> bool {
        self.region == Prefix::of(neighbours.me(), Luminosity::FULL)
    }

    /// Whether new cells come to us anyway, as a relay of the region.
    fn is_resident(&self, neighbours: &Neighbours) -> bool {
        neighbours.is_inside(&self.region)
    }
}

impl Hold {
    /// Listens to a region from now on, and gets what is held of what was sent to it and is not known to have come.
    /// Nothing happens if it is listened to already, or if too many are.
    pub fn attend(
        &mut self,
        scene: &mut HoldScene<'_>,
        region: Prefix,
        bucket: TagBucket,
        complete: Completeness,
    ) -> bool {
        let known = self.attendances.iter().any(|attendance| attendance.region == region);
        if !known && self.attendances.len() < ATTENDANCES_MAX {
            let recheck_at = scene.now + self.recheck_ms(scene, &region);
            let (sources, round) = (Vec::new(), scene.now);
            // At once, so that what is sent while we are away is looked for however soon that is.
            scene.out.wishes.push(HoldWish::Note(region, bucket, complete.clone()));
            self.attendances.push(Attendance { region, bucket, complete, sources, round, recheck_at });
            self.tend(scene);
            return true;
        }
        known
    }

    /// Listens to a region no more.
    pub fn leave(&mut self, scene: &mut HoldScene<'_>, region: &Prefix) {
        let Some(at) = self.attendances.iter().position(|attendance| attendance.region == *region) else { return };
        let attendance = self.attendances.remove(at);
        scene.out.wishes.push(HoldWish::Forget(*region));
        for source in attendance.sources.iter().filter(|source| source.hearing != Hearing::Not) {
            subscribe(scene, &attendance, source.relay.key, Hearing::Not);
        }
    }

    /// The regions listened to.
    pub fn regions(&self) -> impl Iterator<Item = Prefix> {
        self.attendances.iter().map(|attendance| attendance.region)
    }

    /// Sees to it that every region has its relays and that they are asked: after someone came or went, and in time.
    pub fn tend(&mut self, scene: &mut HoldScene<'_>) {
        let mut attendances = std::mem::take(&mut self.attendances);
        for attendance in &mut attendances {
            self.lose_patience(scene, attendance);
            self.find_sources(scene, attendance);
            self.look_again(scene, attendance);
            self.ask_on(scene, attendance);
        }
        self.attendances = attendances;
    }

    /// A relay that does not answer is as good as none.
    fn lose_patience(&mut self, scene: &mut HoldScene<'_>, attendance: &mut Attendance) {
        for source in &mut attendance.sources {
            let Some(open) = source.open.filter(|open| open.sent_at + ANSWER_MS <= scene.now) else { continue };
            source.open = None;
            self.counters.asks_unanswered += 1;
            if open.tries >= ASKED_MAX {
                self.remember_unserved(scene.now, source.relay.key);
                scene.out.facts.push(HoldFact::Unserved(source.relay.key));
            } else {
                self.ask(scene, (attendance.region, attendance.bucket), source, open.tries + 1);
            }
        }
    }

    fn remember_unserved(&mut self, now: Time, relay: LinkKey) {
        if self.unserved.len() >= UNSERVED_MAX {
            self.unserved.pop_first();
        }
        self.unserved.insert(relay, now + UNSERVED_MS);
    }

    fn find_sources(&mut self, scene: &mut HoldScene<'_>, attendance: &mut Attendance) {
        let usable = |relay: &Neighbour| self.unserved.get(&relay.key).is_none_or(|until| *until <= scene.now);
        let best: Vec<Neighbour> =
            attendance.candidates(scene.neighbours).filter(|relay| usable(relay)).copied().collect();
        let connected = |source: &Source| best.iter().any(|relay| relay.key == source.relay.key);
        attendance.sources.retain(connected);
        for relay in best.iter().take(SOURCES) {
            if attendance.sources.iter().any(|source| source.relay.key == relay.key) {
                continue;
            }
            let worst = attendance.sources.last().filter(|_| attendance.sources.len() >= SOURCES);
            if worst.is_some_and(|worst| worst.relay.proximity >= relay.proximity) {
                break;
            }
            if worst.is_some()
                && let Some(left) = attendance.sources.pop()
                && left.hearing != Hearing::Not
            {
                subscribe(scene, attendance, left.relay.key, Hearing::Not);
            }
            attendance.begin(scene.now, *relay, Hearing::Not);
        }
        self.listen(scene, attendance);
    }

    /// One relay sends the cells, the other their names.
    fn listen(&mut self, scene: &mut HoldScene<'_>, attendance: &mut Attendance) {
        if attendance.is_resident(scene.neighbours)
            || attendance.is_home(scene.neighbours) && scene.neighbours.is_relay()
        {
            return;
        }
        let mut wishes = Vec::new();
        for (index, source) in attendance.sources.iter_mut().enumerate() {
            let wanted = if index == 0 { Hearing::Cells } else { Hearing::Digests };
            if source.hearing != wanted {
                source.hearing = wanted;
                wishes.push((source.relay.key, wanted));
            }
        }
        for (relay, hearing) in wishes {
            subscribe(scene, attendance, relay, hearing);
        }
    }

    /// All was told and has come: from time to time the same is asked about the time since.
    fn look_again(&mut self, scene: &mut HoldScene<'_>, attendance: &mut Attendance) {
        let done = attendance.sources.iter().all(Source::is_done);
        if scene.now < attendance.recheck_at {
            return;
        }
        attendance.recheck_at = scene.now + self.recheck_ms(scene, &attendance.region);
        if let Some(reach) = attendance.reach().filter(|_| done && self.fetches.len() == 0) {
            attendance.complete.reach(reach, attendance.round);
            let complete = attendance.complete.clone();
            scene.out.wishes.push(HoldWish::Note(attendance.region, attendance.bucket, complete));
        }
        attendance.round = scene.now;
        let hours: Vec<_> =
            attendance.sources.iter().map(|source| attendance.hours(scene.now, &source.relay)).collect();
        for (source, hours) in attendance.sources.iter_mut().zip(hours).filter(|(source, _)| source.is_done()) {
            source.hours = hours;
        }
    }

    fn recheck_ms(&mut self, scene: &HoldScene<'_>, region: &Prefix) -> u64 {
        let resident = scene.neighbours.is_relay() && region.matches(scene.neighbours.me());
        let mean = if resident { self.config.recheck_ms * RESIDENT_PATIENCE } else { self.config.recheck_ms };
        jittered(mean, self.rng.next_u64())
    }

    fn ask_on(&mut self, scene: &mut HoldScene<'_>, attendance: &mut Attendance) {
        if self.fetches.is_busy() {
            return;
        }
        for source in attendance.sources.iter_mut().filter(|source| source.open.is_none()) {
            self.ask(scene, (attendance.region, attendance.bucket), source, 1);
        }
    }

    /// Asks for the next page of what a relay holds, if there is anything left to ask about.
    fn ask(
        &mut self,
        scene: &mut HoldScene<'_>,
        (region, bucket): (Prefix, TagBucket),
        source: &mut Source,
        tries: u8,
    ) {
        let Some(hour) = source.hours.front().copied() else { return };
        self.request = self.request.wrapping_add(1);
        self.counters.asks_sent += 1;
        source.open = Some(Open { request: self.request, sent_at: scene.now, tries });
        let ask = Ask { request: self.request, region, hour, bucket, after: source.after };
        scene.send(source.relay.key, Frame::Ask(ask));
    }

    /// A relay answers a question. Answers to none of ours, or to one that was repeated, are ignored.
    pub fn answered(&mut self, scene: &mut HoldScene<'_>, from: LinkKey, held: &Held) {
        let mut attendances = std::mem::take(&mut self.attendances);
        for attendance in &mut attendances {
            self.take_answer(scene, attendance, from, held);
        }
        self.attendances = attendances;
        self.tend(scene);
    }

    fn take_answer(&mut self, scene: &mut HoldScene<'_>, attendance: &mut Attendance, from: LinkKey, held: &Held) {
        let is_asked = |source: &&mut Source| {
            source.relay.key == from && source.open.is_some_and(|open| open.request == held.request)
        };
        let Some(source) = attendance.sources.iter_mut().find(is_asked) else { return };
        let Some(hour) = source.hours.front().copied() else { return };
        source.open = None;
        // A relay that goes back and forth in its answers has come to the end of them.
        source.after = held.next.filter(|next| *next > source.after).unwrap_or(START);
        if source.after == START {
            source.hours.pop_front();
        }
        let (hearing, key) = (source.hearing, source.relay.key);
        self.told(scene, from, hour, &held.digests);
        if hearing != held.hearing {
            subscribe(scene, attendance, key, hearing);
        }
    }

    /// Whether this relay sends us the cells of that region because we listen there.
    pub(super) fn listens(&self, scene: &HoldScene<'_>, from: &LinkKey, cell: &Cell) -> bool {
        self.attendances.iter().any(|attendance| {
            let listens = |source: &Source| source.relay.key == *from && source.hearing != Hearing::Not;
            attendance.region.overlaps(&cell.destination())
                && attendance.sources.iter().any(listens)
                && !scene.neighbours.is_inside(&cell.destination())
        })
    }
}

fn subscribe(scene: &mut HoldScene<'_>, attendance: &Attendance, relay: LinkKey, hearing: Hearing) {
    let (region, bucket) = (attendance.region, attendance.bucket);
    scene.send(relay, Frame::Subscribe(Subscribe { region, bucket, hearing }));
}
