//! What the endpoint half asks of the relay half by itself: cells of sessions, and regions to listen to.
//!
//! Only so much is asked at a time; what the relay half has no room for waits and is asked again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainframe_base::{PacketId, Prefix, Refusal, Time};

use super::{CommandId, EndpointEffect, Outcome, RelayCommand, RelayReply};
use crate::packet::Dispatch;
use crate::wire::{Parcel, TagBucket};

/// Questions at a time: half of what the relay half's queue holds, so that others have room (guess).
const ASKED_MAX: usize = 256;
/// Parcels that wait. What finds no room is refused, and its message is sent again later (guess: 32 MiB of small ones).
const WAITING_MAX: usize = 16_384;
/// Packets whose outcome is awaited: those of ten seconds at 1,000 a second, longer than any takes (guess).
const FLYING_MAX: usize = 16_384;
/// How long a busy relay half is left alone, in milliseconds: two ticks.
const BUSY_MS: u64 = 40;
/// A region for which there was no room is asked for again after this long, in milliseconds (guess), and at once when another
/// one is given up.
const LISTEN_AGAIN_MS: u64 = 60_000;
/// What was sent to a region this long before we began to listen is asked for too: the longest that anything is held.
const SINCE_MS: u64 = 72 * 3_600_000;

/// Something to ask.
#[derive(Clone, Debug)]
enum Request {
    Parcel { flight: u64, parcel: Parcel },
    Attend(Prefix),
    Unattend(Prefix),
}

/// A cell left, or could not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gone {
    pub(super) flight: u64,
    pub(super) outcome: Result<(), Refusal>,
}

/// Requests to the relay half, and what became of them.
#[derive(Default, Debug)]
pub(super) struct Outbox {
    next: u64,
    waiting: VecDeque<Request>,
    asked: BTreeMap<CommandId, Request>,
    flying: BTreeMap<PacketId, u64>,
    busy_until: Option<Time>,
    /// Regions that the relay half has no room for, and when it is asked again.
    refused: BTreeSet<Prefix>,
    listen_again: Option<Time>,
    /// Those and why, since somebody looked.
    newly_refused: Vec<(Prefix, Refusal)>,
}

impl Outbox {
    /// Posts a parcel; if there is no room for it, it is gone at once.
    pub(super) fn post(&mut self, flight: u64, parcel: Parcel) -> Option<Gone> {
        if self.waiting.len() >= WAITING_MAX {
            return Some(Gone { flight, outcome: Err(Refusal::Busy) });
        }
        self.waiting.push_back(Request::Parcel { flight, parcel });
        None
    }

    /// Listens to a region.
    pub(super) fn attend(&mut self, region: Prefix) {
        self.forget(region);
        self.waiting.push_front(Request::Attend(region));
    }

    /// Listens to it no more.
    pub(super) fn unattend(&mut self, region: Prefix) {
        self.forget(region);
        self.waiting.push_front(Request::Unattend(region));
    }

    /// What was to be asked about a region before is not wanted any more.
    fn forget(&mut self, region: Prefix) {
        let is_about =
            |request: &Request| matches!(request, Request::Attend(of) | Request::Unattend(of) if *of == region);
        self.waiting.retain(|request| !is_about(request));
        self.refused.remove(&region);
    }

    /// Asks as much as may be asked now.
    pub(super) fn pump(&mut self, now: Time, out: &mut Vec<EndpointEffect>) {
        if self.busy_until.is_some_and(|until| now < until) {
            return;
        }
        self.busy_until = None;
        if self.listen_again.is_some_and(|at| at <= now) {
            self.listen_again = None;
            self.waiting.extend(self.refused.iter().copied().map(Request::Attend));
        }
        while self.asked.len() < ASKED_MAX {
            let Some(request) = self.waiting.pop_front() else { return };
            self.next += 1;
            let id = CommandId::of_endpoint(self.next);
            out.push(effect(id, &request, now));
            self.asked.insert(id, request);
        }
    }

    /// The relay half answers.
    pub(super) fn answered(&mut self, now: Time, id: CommandId, reply: &RelayReply) -> Option<Gone> {
        let request = self.asked.remove(&id)?;
        match (request, reply) {
            (request, RelayReply::Refused(Refusal::Busy)) => {
                self.waiting.push_front(request);
                self.busy_until = Some(now + BUSY_MS);
                None
            }
            (Request::Parcel { flight, .. }, RelayReply::Accepted(packet)) => {
                self.flying.insert(*packet, flight);
                if self.flying.len() > FLYING_MAX {
                    self.flying.pop_first();
                }
                None
            }
            (Request::Parcel { flight, .. }, RelayReply::Refused(refusal)) => {
                Some(Gone { flight, outcome: Err(*refusal) })
            }
            (Request::Attend(region), RelayReply::Refused(refusal)) => {
                self.listen_again = Some(now + LISTEN_AGAIN_MS);
                if self.refused.insert(region) {
                    tracing::error!(%region, %refusal, "a session is written to where this node cannot listen");
                    self.newly_refused.push((region, *refusal));
                }
                None
            }
            (Request::Attend(region), _) => {
                self.refused.remove(&region);
                None
            }
            (Request::Unattend(region), _) => {
                self.refused.remove(&region);
                self.listen_again = Some(now).filter(|_| !self.refused.is_empty());
                None
            }
            _ => None,
        }
    }

    /// Regions that cannot be listened to, and why, since this was asked last.
    pub(super) fn take_refused(&mut self) -> Vec<(Prefix, Refusal)> {
        std::mem::take(&mut self.newly_refused)
    }

    /// What became of a packet.
    pub(super) fn outcome(&mut self, packet: &PacketId, outcome: Outcome) -> Option<Gone> {
        let flight = self.flying.remove(packet)?;
        let outcome = match outcome {
            Outcome::HandedOver => Ok(()),
            Outcome::Failed(refusal) => Err(refusal),
        };
        Some(Gone { flight, outcome })
    }

    /// When to pump next, if a busy relay half is waited for, or one that has no room for a region.
    pub(super) fn next_wake(&self) -> Option<Time> {
        let busy_until = self.busy_until.filter(|_| !self.waiting.is_empty());
        let listen_again = self.listen_again.filter(|_| !self.refused.is_empty());
        busy_until.into_iter().chain(listen_again).min()
    }

    /// Parcels and questions that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

fn effect(id: CommandId, request: &Request, now: Time) -> EndpointEffect {
    match request {
        Request::Parcel { parcel, .. } => EndpointEffect::Cell(id, Dispatch::first(parcel.clone())),
        Request::Attend(region) => {
            let since = Time(now.0.saturating_sub(SINCE_MS));
            EndpointEffect::Ask(id, RelayCommand::Attend { region: *region, bucket: TagBucket::ALL, since })
        }
        Request::Unattend(region) => EndpointEffect::Ask(id, RelayCommand::Unattend(*region)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, SizeClass};
    use mainframe_base::Tag;

    fn cell(number: u8) -> Parcel {
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination: Prefix::EVERYONE,
            expiry: ExpiryBucket(0),
            tag: Tag([number; 16]),
            ephemeral: [0; 32],
        };
        Cell::build(header, [0; 80], &vec![0; SizeClass::T.body_length()]).into()
    }

    fn asked(outbox: &mut Outbox, now: u64) -> Vec<CommandId> {
        let mut out = Vec::new();
        outbox.pump(Time(now), &mut out);
        let id = |effect: &EndpointEffect| match effect {
            EndpointEffect::Cell(id, _) | EndpointEffect::Ask(id, _) => *id,
            EndpointEffect::Reply(..) | EndpointEffect::Publish(_) => unreachable!("an outbox only asks"),
        };
        out.iter().map(id).collect()
    }

    #[test]
    fn a_cell_is_gone_when_its_packet_was_handed_over_or_failed() {
        let mut outbox = Outbox::default();
        let cell = cell(1);
        outbox.post(7, cell.clone());
        let [id] = asked(&mut outbox, 0)[..] else { panic!("one question") };
        assert_eq!(outbox.answered(Time(0), id, &RelayReply::Accepted(cell.id())), None);
        let gone = outbox.outcome(&cell.id(), Outcome::Failed(Refusal::TimedOut));
        assert_eq!(gone, Some(Gone { flight: 7, outcome: Err(Refusal::TimedOut) }));
        assert_eq!(outbox.outcome(&cell.id(), Outcome::HandedOver), None);
    }

    #[test]
    fn a_busy_relay_half_is_asked_again_and_a_refusal_is_final() {
        let mut outbox = Outbox::default();
        outbox.post(7, cell(1));
        let first = asked(&mut outbox, 0)[0];
        outbox.answered(Time(0), first, &RelayReply::Refused(Refusal::Busy));
        assert_eq!(outbox.next_wake(), Some(Time(BUSY_MS)));
        assert!(asked(&mut outbox, BUSY_MS - 1).is_empty());
        let second = asked(&mut outbox, BUSY_MS)[0];
        let gone = outbox.answered(Time(BUSY_MS), second, &RelayReply::Refused(Refusal::NotConnected));
        assert_eq!(gone, Some(Gone { flight: 7, outcome: Err(Refusal::NotConnected) }));
    }

    #[test]
    fn a_region_there_is_no_room_for_is_asked_for_again_when_another_is_given_up_and_from_time_to_time() {
        let (mut outbox, full) = (Outbox::default(), RelayReply::Refused(Refusal::TooManyRegions));
        let (one, other): (Prefix, Prefix) = ("01".parse().unwrap(), "10".parse().unwrap());
        outbox.attend(one);
        let first = asked(&mut outbox, 0)[0];
        outbox.answered(Time(0), first, &full);
        assert_eq!(outbox.take_refused(), [(one, Refusal::TooManyRegions)]);
        assert_eq!((asked(&mut outbox, 0).len(), outbox.next_wake()), (0, Some(Time(LISTEN_AGAIN_MS))));
        let second = asked(&mut outbox, LISTEN_AGAIN_MS)[0];
        outbox.answered(Time(LISTEN_AGAIN_MS), second, &full);
        assert!(outbox.take_refused().is_empty(), "it is told once");
        outbox.unattend(other);
        let left = asked(&mut outbox, LISTEN_AGAIN_MS + 1)[0];
        outbox.answered(Time(LISTEN_AGAIN_MS + 1), left, &RelayReply::Done);
        let third = asked(&mut outbox, LISTEN_AGAIN_MS + 1)[0];
        outbox.answered(Time(LISTEN_AGAIN_MS + 1), third, &RelayReply::Done);
        assert_eq!((asked(&mut outbox, 9 * LISTEN_AGAIN_MS).len(), outbox.next_wake()), (0, None));
    }

    #[test]
    fn a_region_that_was_given_up_before_it_was_refused_is_not_asked_for_again() {
        let (mut outbox, region): (Outbox, Prefix) = (Outbox::default(), "01".parse().unwrap());
        outbox.attend(region);
        let wanted = asked(&mut outbox, 0)[0];
        outbox.unattend(region);
        outbox.answered(Time(0), wanted, &RelayReply::Refused(Refusal::TooManyRegions));
        let left = asked(&mut outbox, 0)[0];
        outbox.answered(Time(0), left, &RelayReply::Done);
        assert_eq!((asked(&mut outbox, 9 * LISTEN_AGAIN_MS).len(), outbox.next_wake()), (0, None));
    }

    #[test]
    fn only_so_much_is_asked_at_a_time() {
        let mut outbox = Outbox::default();
        for flight in 0..ASKED_MAX as u64 + 5 {
            outbox.post(flight, cell(1));
        }
        let first = asked(&mut outbox, 0);
        assert_eq!((first.len(), outbox.waiting()), (ASKED_MAX, 5));
        outbox.answered(Time(0), first[0], &RelayReply::Accepted(cell(1).id()));
        assert_eq!(asked(&mut outbox, 0).len(), 1);
    }
}
