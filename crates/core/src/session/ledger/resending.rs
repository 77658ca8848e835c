//! Own messages that somebody lacks are sent again: soon at first, then ever more rarely, and never before new ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainframe_base::{DeviceId, Time};

use super::config::{AGAIN_MAX, RESEND_PACE_MS, RESENDS_MAX};
use super::frame::{Asked, Frame, RIDING_ACKS_MAX};
use super::peer::Peer;
use super::{Ledger, LedgerScene, Wish};

/// When a message was sent last, and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sending {
    pub(super) at: Time,
    /// 0 if all that was before whoever lacks it woke up.
    pub(super) times: u8,
}

/// What is to be sent again, and when what is no longer open was.
#[derive(Clone, Default, Debug)]
pub(super) struct Again {
    numbers: BTreeSet<u64>,
    at: Time,
    /// Messages every person has, sent again for a device that lacks them. Bounded by `AGAIN_MAX`.
    closed: BTreeMap<u64, Sending>,
    /// In which order and when they were, so that those sent longest ago are forgotten first: what was sent just now is not
    /// sent again at once, whoever asks.
    closed_order: VecDeque<(u64, Time)>,
}

impl Again {
    /// Lines a message up, if there is room.
    pub(super) fn add(&mut self, number: u64, now: Time) {
        if self.numbers.is_empty() {
            self.at = self.at.max(now);
        }
        if self.numbers.len() < AGAIN_MAX {
            self.numbers.insert(number);
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        (!self.numbers.is_empty()).then_some(self.at)
    }

    /// Takes the first of those lined up, in the order they were said.
    fn take(&mut self, now: Time) -> Vec<u64> {
        if self.at > now {
            return Vec::new();
        }
        let numbers: Vec<u64> = (0..RESENDS_MAX).map_while(|_| self.numbers.pop_first()).collect();
        self.at = now + RESEND_PACE_MS;
        numbers
    }

    fn note_closed(&mut self, number: u64, now: Time) {
        let sending = self.closed.entry(number).or_insert(Sending { at: now, times: 0 });
        *sending = Sending { at: now, times: sending.times.saturating_add(1) };
        self.closed_order.push_back((number, now));
        let surplus = self.closed_order.len().saturating_sub(AGAIN_MAX);
        for (number, at) in self.closed_order.drain(..surplus) {
            if self.closed.get(&number).is_some_and(|sending| sending.at == at) {
                self.closed.remove(&number);
            }
        }
    }
}

impl Ledger {
    /// Sends these again as soon as may be: what carried them counts no more.
    pub fn resend(&mut self, now: Time, numbers: &[u64]) {
        numbers.iter().filter(|number| (1..=self.head.number).contains(number)).for_each(|number| {
            self.again.add(*number, now);
        });
    }

    /// The same for all that somebody may lack.
    pub fn resend_open(&mut self, now: Time) {
        let open: Vec<u64> = self.open.keys().copied().collect();
        self.resend(now, &open);
    }

    /// A device gives a sign of life after a time without: what it lacks is sent as if it had never been.
    pub fn reset_backoff(&mut self, now: Time, device: DeviceId) {
        let Some(peer) = self.peers.get_mut(&device) else { return };
        peer.heard = now;
        for number in peer.lacking(self.head.number) {
            if let Some(open) = self.open.get_mut(&number) {
                // Not once: how long its acknowledgement took says how long it slept.
                open.sending.times = 0;
            }
            self.again.closed.remove(&number);
        }
        self.look_soon(now, device);
    }

    /// A frame of this device came. A liar who feigns to wake up gains one round of what he lacks, ten minutes apart.
    pub(super) fn heard(&mut self, now: Time, device: DeviceId) {
        let asleep_after_ms = self.config.asleep_after_ms;
        let Some(peer) = self.peers.get_mut(&device) else { return };
        if peer.heard + asleep_after_ms < now {
            self.reset_backoff(now, device);
        } else {
            peer.heard = now;
        }
    }

    /// Looks at what a device lacks once its acknowledgement of what it got meanwhile should be here.
    fn look_soon(&mut self, now: Time, device: DeviceId) {
        let timeout_ms = self.timeout_ms(&device, 1);
        let last = self.head.number;
        let Some(peer) = self.peers.get_mut(&device) else { return };
        if peer.lacking(last).next().is_some() {
            let due = now + timeout_ms;
            peer.due = Some(peer.due.map_or(due, |before| before.min(due)));
        }
    }

    /// Something was sent: whoever is not being watched is, from now on.
    pub(super) fn watch_peers(&mut self, now: Time) {
        let held_back_ms = self.ack_delay_ms().1;
        let last = self.head.number;
        for peer in self.peers.values_mut().filter(|peer| peer.due.is_none()) {
            if peer.lacking(last).next().is_some() {
                peer.due = Some(now + peer.timeout_ms(&self.config, held_back_ms, 1));
            }
        }
    }

    pub(super) fn timeout_ms(&self, device: &DeviceId, times: u8) -> u64 {
        let timeout = |peer: &Peer| peer.timeout_ms(&self.config, self.ack_delay_ms().1, times);
        self.peers.get(device).map_or(self.config.timeout_max_ms, timeout)
    }

    pub(super) fn sending(&self, number: u64) -> Option<Sending> {
        self.open.get(&number).map(|open| open.sending).or(self.again.closed.get(&number).copied())
    }

    /// Lines up what devices lack whose time is up.
    pub(super) fn find_lacking(&mut self, now: Time) {
        let due = |(device, peer): (&DeviceId, &Peer)| peer.due.filter(|due| *due <= now).map(|_| *device);
        let devices: Vec<DeviceId> = self.peers.iter().filter_map(due).collect();
        for device in devices {
            let next = self.line_up(now, device);
            let jittered = next.map(|next| self.after(next, (0, next.since_ms(now) / 8)));
            if let Some(peer) = self.peers.get_mut(&device) {
                peer.due = jittered;
            }
        }
    }

    /// Lines up what a device lacks and was not sent of late; says when to look again. Of one that sleeps, only the first
    /// is sent: when it answers, it gets the rest.
    fn line_up(&mut self, now: Time, device: DeviceId) -> Option<Time> {
        let peer = self.peers.get(&device)?;
        let asleep = peer.heard + self.config.asleep_after_ms < now;
        let lacking: Vec<u64> = peer.lacking(self.head.number).take(if asleep { 1 } else { usize::MAX }).collect();
        let mut next: Option<Time> = None;
        for number in lacking {
            let sending = self.sending(number);
            let allowed = sending.map_or(now, |sending| sending.at + self.timeout_ms(&device, sending.times));
            let later = if allowed <= now {
                self.again.add(number, now);
                now + self.timeout_ms(&device, sending.map_or(1, |sending| sending.times.saturating_add(1)))
            } else {
                allowed
            };
            next = Some(next.map_or(later, |next| next.min(later)));
        }
        next
    }

    /// Sends again what is lined up, as much as one go allows.
    pub(super) fn say_again(&mut self, scene: &mut LedgerScene<'_>) {
        for number in self.again.take(scene.now) {
            let Some(sent) = self.rows.sent(scene.tx, number) else { continue };
            let Some((_, message)) = self.rows.message(scene.tx, sent.sequence) else { continue };
            match self.open.get_mut(&number) {
                Some(open) => {
                    open.sending = Sending { at: scene.now, times: open.sending.times.saturating_add(1) };
                }
                None => self.again.note_closed(number, scene.now),
            }
            let lacking = self.peers.iter().filter(|(_, peer)| peer.lacks(number)).map(|(device, _)| *device);
            let asked = Asked::of(lacking.collect());
            let frame = Frame::Message(message, self.take_acks(RIDING_ACKS_MAX), asked);
            self.counts.sent_again += 1;
            scene.wish(Wish::Say { frame, number, again: true });
        }
    }
}
