//! Messages whose causes have not come: what each waits for, and when that is asked for.
//!
//! A message waits for one cause at a time; when that one comes, it looks for the next. So a message that ends the wait of a
//! thousand costs a thousand steps and not a thousand thousands. The messages themselves are in the store.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceId, Time};

use super::config::{WAITING_BYTES_MAX, WAITING_BYTES_PER_AUTHOR_MAX, WAITING_PER_AUTHOR_MAX};
use super::frame::{RANGE_MAX, Range};
use super::message::MessageId;

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct Blocked {
    /// The cause it waits for.
    pub(super) on: MessageId,
    /// Its causes beside its author's message before it.
    pub(super) parents: Vec<MessageId>,
    /// Its Lamport time: of two that may come through, the lower one does so first.
    pub(super) lamport: u64,
    /// The length of its body.
    pub(super) bytes: usize,
    /// When its causes are given up.
    pub(super) until: Time,
}

/// A cause that was neither delivered nor waits itself is asked for; one that waits is not.
#[derive(Clone, Default, Debug)]
struct Cause {
    waiters: Vec<MessageId>,
    asked: Option<(Time, u8)>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Load {
    messages: usize,
    bytes: usize,
}

/// All that wait.
#[derive(Clone, Default, Debug)]
pub(super) struct Waiting {
    messages: BTreeMap<MessageId, Blocked>,
    causes: BTreeMap<MessageId, Cause>,
    asks: BTreeSet<(Time, MessageId)>,
    ends: BTreeSet<(Time, MessageId)>,
    loads: BTreeMap<DeviceId, Load>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn has(&self, id: &MessageId) -> bool {
        self.messages.contains_key(id)
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Blocked> {
        self.messages.get(id)
    }

    /// Whether a message of this author and length may wait too. If not, its author will send it again.
    pub(super) fn has_room(&self, author: &DeviceId, bytes: usize) -> bool {
        let load = self.loads.get(author).copied().unwrap_or_default();
        load.messages < WAITING_PER_AUTHOR_MAX
            && load.bytes + bytes <= WAITING_BYTES_PER_AUTHOR_MAX
            && self.bytes + bytes <= WAITING_BYTES_MAX
    }

    /// A message waits from now on; what it waits for is asked for at `ask_at`.
    pub(super) fn insert(&mut self, id: MessageId, blocked: Blocked, ask_at: Time) {
        self.stop_asking(&id);
        self.bytes += blocked.bytes;
        let load = self.loads.entry(id.author).or_default();
        load.messages += 1;
        load.bytes += blocked.bytes;
        self.ends.insert((blocked.until, id));
        let on = blocked.on;
        self.messages.insert(id, blocked);
        self.wait_for(id, on, ask_at);
    }

    /// A waiting message waits for another cause now.
    pub(super) fn wait_for(&mut self, id: MessageId, on: MessageId, ask_at: Time) {
        let Some(blocked) = self.messages.get_mut(&id) else { return };
        blocked.on = on;
        let waits_itself = self.messages.contains_key(&on);
        let cause = self.causes.entry(on).or_default();
        cause.waiters.push(id);
        if !waits_itself && cause.asked.is_none() {
            cause.asked = Some((ask_at, 0));
            self.asks.insert((ask_at, on));
        }
    }

    /// These numbers of an author are settled: says who waited for them.
    pub(super) fn release(&mut self, author: DeviceId, first: u64, last: u64) -> Vec<MessageId> {
        if first > last {
            return Vec::new();
        }
        let at = |number| MessageId { author, number };
        let settled: Vec<MessageId> = self.causes.range(at(first)..=at(last)).map(|(id, _)| *id).collect();
        let mut waiters = Vec::new();
        for id in settled {
            self.stop_asking(&id);
            waiters.extend(self.causes.remove(&id).map(|cause| cause.waiters).unwrap_or_default());
        }
        waiters
    }

    /// A message does not wait any more.
    pub(super) fn remove(&mut self, id: &MessageId) -> Option<Blocked> {
        let blocked = self.messages.remove(id)?;
        self.ends.remove(&(blocked.until, *id));
        self.bytes -= blocked.bytes;
        if let Some(load) = self.loads.get_mut(&id.author) {
            load.messages -= 1;
            load.bytes -= blocked.bytes;
            if load.messages == 0 {
                self.loads.remove(&id.author);
            }
        }
        self.forget_waiter(id, &blocked.on);
        Some(blocked)
    }

    fn forget_waiter(&mut self, id: &MessageId, on: &MessageId) {
        let Some(cause) = self.causes.get_mut(on) else { return };
        cause.waiters.retain(|waiter| waiter != id);
        if cause.waiters.is_empty() {
            self.stop_asking(on);
            self.causes.remove(on);
        }
    }

    fn stop_asking(&mut self, id: &MessageId) {
        if let Some((at, _)) = self.causes.get_mut(id).and_then(|cause| cause.asked.take()) {
            self.asks.remove(&(at, *id));
        }
    }

    /// The 64 numbers behind the next one, as an acknowledgement tells of them.
    pub(super) fn beyond(&self, author: DeviceId, contiguous: u64) -> u64 {
        let at = |number: u64| MessageId { author, number };
        let first = contiguous.saturating_add(2);
        let waiting = self.messages.range(at(first)..=at(first.saturating_add(63)));
        waiting.fold(0, |bits, (id, _)| bits | 1 << (id.number - first))
    }

    /// The first message of an author that waits.
    pub(super) fn first_of(&self, author: DeviceId) -> Option<MessageId> {
        let mine = self.messages.range(MessageId { author, number: 0 }..=MessageId { author, number: u64::MAX });
        mine.map(|(id, _)| *id).next()
    }

    /// When something is to be asked for.
    pub(super) fn next_ask(&self) -> Option<Time> {
        self.asks.first().map(|(at, _)| *at)
    }

    /// Takes a cause to be asked for by `now`, and lets it be asked for again when `again` says for so many times.
    pub(super) fn take_ask(&mut self, now: Time, again: impl FnOnce(u8) -> Time) -> Option<MessageId> {
        let (at, id) = self.asks.first().copied().filter(|(at, _)| *at <= now)?;
        let times = self.causes.get(&id).and_then(|cause| cause.asked).map_or(1, |(_, times)| times.saturating_add(1));
        self.ask_later(at, id, again(times), times);
        Some(id)
    }

    fn ask_later(&mut self, at: Time, id: MessageId, later: Time, times: u8) {
        self.asks.remove(&(at, id));
        if let Some(cause) = self.causes.get_mut(&id) {
            cause.asked = Some((later, times));
            self.asks.insert((later, id));
        }
    }

    /// Somebody else asked for these: the answer will come to us as well.
    pub(super) fn heard_asked(&mut self, range: &Range, later: Time) {
        let at = |number: u64| MessageId { author: range.author, number };
        let last = range.first.saturating_add(u64::from(range.count) - 1);
        let causes = self.causes.range(at(range.first)..=at(last));
        let sooner: Vec<(Time, MessageId, u8)> = causes
            .filter_map(|(id, cause)| cause.asked.map(|(at, times)| (at, *id, times)))
            .filter(|(at, _, _)| *at < later)
            .collect();
        sooner.into_iter().for_each(|(at, id, times)| self.ask_later(at, id, later, times));
    }

    /// The missing numbers up to a cause: those behind what was delivered and behind the message that waits before it.
    pub(super) fn hole(&self, cause: MessageId, contiguous: u64) -> Range {
        let at = |number: u64| MessageId { author: cause.author, number };
        let before = self.messages.range(at(0)..cause).next_back().map_or(0, |(id, _)| id.number);
        let first = before.max(contiguous).saturating_add(1).min(cause.number);
        let count = (cause.number - first + 1).min(u64::from(RANGE_MAX)) as u16;
        Range { author: cause.author, first, count }
    }

    /// A message does not wait for this cause any more, nor for another until it looks for its next.
    pub(super) fn forget_parent(&mut self, id: &MessageId, parent: &MessageId) {
        self.forget_waiter(id, parent);
        if let Some(blocked) = self.messages.get_mut(id) {
            blocked.parents.retain(|other| other != parent);
        }
    }

    /// No other author's message looks for causes by this one any more that are not here. Says which waited for such a cause,
    /// and for no other until they look for their next; and which causes those were.
    pub(super) fn forget_author(&mut self, author: &DeviceId) -> (Vec<MessageId>, BTreeSet<MessageId>) {
        let (mut waiters, mut causes) = (Vec::new(), BTreeSet::new());
        let others: Vec<MessageId> = self.messages.keys().filter(|id| id.author != *author).copied().collect();
        for id in others {
            let missing = |cause: &MessageId| cause.author == *author && !self.messages.contains_key(cause);
            let Some(blocked) = self.messages.get(&id) else { continue };
            let theirs: Vec<MessageId> = blocked.parents.iter().filter(|cause| missing(cause)).copied().collect();
            if missing(&blocked.on) {
                waiters.push(id);
            }
            theirs.iter().for_each(|cause| self.forget_parent(&id, cause));
            causes.extend(theirs);
        }
        (waiters, causes)
    }

    /// The message that in the end holds this one up: it waits for something that is not here, and is the first of its
    /// author's if that is what he said before. None if they wait for each other in a circle.
    pub(super) fn root_of(&self, id: MessageId) -> Option<MessageId> {
        let mut root = id;
        for _ in 0..=self.messages.len() {
            let on = self.messages.get(&root)?.on;
            let first = self.first_of(root.author).filter(|first| on.author == root.author && *first != root);
            match first {
                _ if self.messages.contains_key(&on) => root = on,
                Some(first) => root = first,
                None => return Some(root),
            }
        }
        None
    }

    /// When causes are to be given up.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// A message whose causes are given up by `now`.
    pub(super) fn ended(&self, now: Time) -> Option<MessageId> {
        self.ends.first().filter(|(until, _)| *until <= now).map(|(_, id)| *id)
    }

    /// Gives up a message's causes at another time.
    pub(super) fn end_at(&mut self, id: MessageId, until: Time) {
        let Some(blocked) = self.messages.get_mut(&id) else { return };
        self.ends.remove(&(blocked.until, id));
        blocked.until = until;
        self.ends.insert((until, id));
    }

    /// Messages that wait for something of this author.
    pub(super) fn waiting_for(&self, author: DeviceId) -> Vec<MessageId> {
        let causes = self.causes.range(MessageId { author, number: 0 }..=MessageId { author, number: u64::MAX });
        causes.flat_map(|(_, cause)| cause.waiters.iter().copied()).collect()
    }

    /// Causes that are missing.
    pub(super) fn missing(&self) -> usize {
        self.asks.len()
    }
}
