//! Asking for what has not come, and answering for others who were asked.
//!
//! Its author answers at once, in a new cell. Others wait a random while and pass the message on as its author encrypted it,
//! unless they hear it answered first; so usually one does (SDS-R).

use std::collections::BTreeMap;

use mainframe_base::{DeviceId, Time};

use super::config::REPAIRS_MAX;
use super::frame::{Frame, RANGES_MAX, Range};
use super::message::MessageId;
use super::{Fact, Ledger, LedgerScene, Wish};

/// For how long a message is not passed on again, in milliseconds: the answer is on its way (guess).
const REPAIR_REST_MS: u64 = 60_000;

/// Whether a message is still to be passed on, or rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repair {
    Planned(Time),
    Rests(Time),
}

/// Messages of others that somebody lacks.
#[derive(Clone, Default, Debug)]
pub(super) struct Repairs(BTreeMap<MessageId, Repair>);

impl Repairs {
    fn has_room(&self) -> bool {
        self.0.len() < REPAIRS_MAX
    }

    fn plan(&mut self, id: MessageId, at: Time) {
        self.0.entry(id).or_insert(Repair::Planned(at));
    }

    /// Somebody answered: we need not.
    pub(super) fn answered(&mut self, id: &MessageId) {
        if let Some(repair) = self.0.get_mut(id)
            && let Repair::Planned(at) = *repair
        {
            *repair = Repair::Rests(at + REPAIR_REST_MS);
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let planned = |repair: &Repair| match repair {
            Repair::Planned(at) => Some(*at),
            Repair::Rests(_) => None,
        };
        self.0.values().filter_map(planned).min()
    }

    /// Forgets what has rested long enough.
    fn rest(&mut self, now: Time) {
        self.0.retain(|_, repair| !matches!(repair, Repair::Rests(until) if *until <= now));
    }

    fn take(&mut self, now: Time) -> Vec<MessageId> {
        self.rest(now);
        let due = self.0.iter_mut().filter(|(_, repair)| matches!(repair, Repair::Planned(at) if *at <= now));
        due.map(|(id, repair)| {
            *repair = Repair::Rests(now + REPAIR_REST_MS);
            *id
        })
        .collect()
    }
}

impl Ledger {
    /// Asks for the causes whose time has come.
    pub(super) fn ask(&mut self, scene: &mut LedgerScene<'_>) {
        let mut ranges: BTreeMap<(DeviceId, u64), u16> = BTreeMap::new();
        while ranges.len() < RANGES_MAX {
            let delay_ms = self.after(Time(0), self.config.nack_delay_ms).0;
            let delay_max_ms = self.config.timeout_max_ms;
            let again = |times: u8| scene.now + delay_ms.saturating_mul(1 << times.min(20)).min(delay_max_ms);
            let Some(cause) = self.waiting.take_ask(scene.now, again) else { break };
            let contiguous = self.authors.get(&cause.author).map_or(0, |author| author.contiguous);
            let hole = self.waiting.hole(cause, contiguous);
            let count = ranges.entry((hole.author, hole.first)).or_default();
            *count = hole.count.max(*count);
        }
        if !ranges.is_empty() {
            let ranges = ranges.into_iter().map(|((author, first), count)| Range { author, first, count });
            self.counts.nack_frames_sent += 1;
            scene.wish(Wish::Send(Frame::Nacks(ranges.collect())));
        }
    }

    /// Somebody lacks messages.
    pub(super) fn on_nacks(&mut self, scene: &mut LedgerScene<'_>, from: DeviceId, ranges: &[Range]) {
        let now = scene.now;
        self.repairs.rest(now);
        self.tell_floor(scene, from, ranges);
        for range in ranges {
            let later = self.after(now, self.config.repair_delay_ms);
            self.waiting.heard_asked(range, later);
            if range.author == self.me() {
                self.answer(now, from, range);
            } else {
                self.answer_for(now, range);
            }
        }
    }

    /// Tells a newcomer who asks for what was said before he came that it was not for him: who let him in may not have
    /// heard it yet.
    fn tell_floor(&mut self, scene: &mut LedgerScene<'_>, from: DeviceId, ranges: &[Range]) {
        let (me, just_now_ms) = (self.me(), self.config.nack_delay_ms.0);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let is_told = peer.floor_told.is_some_and(|at| scene.now.since_ms(at) < just_now_ms);
        if !is_told && ranges.iter().any(|range| range.author == me && range.first <= peer.since) {
            peer.floor_told = Some(scene.now);
            scene.wish(Wish::Send(Frame::Floor(from, peer.since)));
        }
    }

    /// What an author said up to this number was not for a device.
    pub(super) fn on_floor(&mut self, scene: &mut LedgerScene<'_>, from: DeviceId, device: DeviceId, number: u64) {
        if device == self.me() {
            self.skip_to(scene, from, number);
            self.author(from).by_hearsay = false;
        }
    }

    /// Sends own messages again that were not sent again just now, for somebody else who asked. What was said before somebody came is none of his.
    fn answer(&mut self, now: Time, from: DeviceId, range: &Range) {
        let Some(since) = self.peers.get(&from).map(|peer| peer.since) else { return };
        let just_now_ms = self.config.nack_delay_ms.0;
        for number in range.numbers().filter(|number| (since + 1..=self.head.number).contains(number)) {
            let is_said_once = self.open.get(&number).is_some_and(|open| open.sending.times == 1);
            if is_said_once || self.sending(number).is_none_or(|sending| sending.at + just_now_ms <= now) {
                self.again.add(number, now);
            }
        }
    }

    fn answer_for(&mut self, now: Time, range: &Range) {
        for number in range.numbers() {
            let id = MessageId { author: range.author, number };
            if self.repairs.has_room() && self.has(&id) {
                let at = self.after(now, self.config.repair_delay_ms);
                self.repairs.plan(id, at);
            }
        }
    }

    /// Passes on what nobody answered.
    pub(super) fn repair(&mut self, scene: &mut LedgerScene<'_>) {
        for id in self.repairs.take(scene.now) {
            scene.wish(Wish::Repair(id));
        }
    }

    /// Somebody passed on a message.
    pub(super) fn on_relay(&mut self, scene: &mut LedgerScene<'_>, id: MessageId, original: Vec<u8>) {
        self.repairs.answered(&id);
        if !self.has(&id) {
            scene.fact(Fact::Relayed(id, original));
        }
    }
}
