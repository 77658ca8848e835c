//! Messages of others: each comes through once, behind its causes.
//!
//! A message's causes are its author's message before it and the parents it names. What lacks a cause waits in the store, and
//! is acknowledged: it is not lost any more.

use std::collections::BTreeSet;

use mainframe_base::{DeviceId, Fault, Time};

use super::config::{GAPS_MAX, LAMPORT_JUMP_MAX};
use super::frame::{Asked, Frame};
use super::message::{Message, MessageId};
use super::rows::Author;
use super::views::Gap;
use super::waiting::Blocked;
use super::{Fact, Ledger, LedgerScene};
use crate::store::Tx;

impl Ledger {
    /// A frame came from a device that is a member, or was one when it sent it.
    ///
    /// # Errors
    /// A fault of that device's. What it said besides holds.
    pub fn receive(&mut self, scene: &mut LedgerScene<'_>, from: DeviceId, frame: Frame) -> Result<(), Fault> {
        if !self.authors.contains_key(&from) {
            return Err(Fault::Impossible);
        }
        self.heard(scene.now, from);
        let result = match frame {
            Frame::Message(message, acks, asked) => {
                let said = self.on_message(scene, from, message, &asked);
                let told = self.on_acks(scene, from, &acks);
                said.and(told)
            }
            Frame::Acks(acks) => self.on_acks(scene, from, &acks),
            Frame::Nacks(ranges) => {
                self.on_nacks(scene, from, &ranges);
                Ok(())
            }
            Frame::Read(ids) => self.on_read(scene, from, &ids),
            Frame::Relay(id, original) => {
                self.on_relay(scene, id, original);
                Ok(())
            }
            Frame::Floor(device, number) => {
                self.on_floor(scene, from, device, number);
                Ok(())
            }
            Frame::Notice(bytes) => {
                scene.fact(Fact::Noticed(from, bytes));
                Ok(())
            }
        };
        self.save(scene.tx);
        result
    }

    fn on_message(
        &mut self,
        scene: &mut LedgerScene<'_>,
        from: DeviceId,
        message: Message,
        asked: &Asked,
    ) -> Result<(), Fault> {
        let id = message.id;
        let never_said = |parent: &MessageId| parent.author == self.me() && parent.number > self.head.number;
        if id.author != from {
            return Err(Fault::Impossible);
        }
        if message.parents.iter().any(never_said) {
            self.recalls_more(scene, from);
            if !self.is_outdated() {
                return Err(Fault::Impossible);
            }
        }
        let before = self.authors.get(&from).filter(|author| author.contiguous.checked_add(1) == Some(id.number));
        if before.is_some_and(|before| before.mark != 0 && message.follows != before.mark) {
            // An old copy of the author goes on from where it was: it is told.
            self.owe(scene.now, from);
            return Err(Fault::Impossible);
        }
        if self.has(&id) {
            self.counts.duplicates += 1;
            self.repairs.answered(&id);
            if asked.asks(&self.me()) {
                self.owe(scene.now, from);
            }
            return Ok(());
        }
        if self.authors.get(&from).is_some_and(|author| author.gave_up(id.number)) {
            self.fill_gap(id);
            self.deliver(scene, message, true);
            self.owe(scene.now, from);
        } else if let Some(cause) = self.missing_cause(&id, &message.parents) {
            self.wait(scene, message, cause);
        } else {
            self.let_through(scene, message);
            self.owe(scene.now, from);
        }
        Ok(())
    }

    /// Whether a message was delivered here, waits here, or is our own.
    pub(super) fn has(&self, id: &MessageId) -> bool {
        if id.author == self.me() {
            return id.number <= self.head.number;
        }
        let came = |author: &Author| id.number <= author.contiguous && !author.gave_up(id.number);
        self.waiting.has(id) || self.authors.get(&id.author).is_some_and(came)
    }

    /// Whether nothing has to wait for this message any more. Authors we do not know left before we came.
    fn is_settled(&self, id: &MessageId) -> bool {
        self.authors.get(&id.author).is_none_or(|author| id.number <= author.contiguous)
    }

    fn missing_cause(&self, id: &MessageId, parents: &[MessageId]) -> Option<MessageId> {
        let mut causes = id.previous().into_iter().chain(parents.iter().copied());
        causes.find(|cause| !self.is_settled(cause))
    }

    fn wait(&mut self, scene: &mut LedgerScene<'_>, message: Message, on: MessageId) {
        let (id, bytes) = (message.id, message.body.len());
        if !self.waiting.has_room(&id.author, bytes) {
            self.counts.refused += 1;
            return;
        }
        let until = scene.now + self.patience_ms(&on);
        self.rows.put_waiting(scene.tx, until, &message);
        let ask_at = self.after(scene.now, self.config.nack_delay_ms);
        let lamport = message.lamport;
        self.waiting.insert(id, Blocked { on, parents: message.parents, lamport, bytes, until }, ask_at);
        self.owe(scene.now, id.author);
    }

    /// How long a cause is waited for.
    pub(super) fn patience_ms(&self, cause: &MessageId) -> u64 {
        if self.authors.get(&cause.author).is_some_and(|author| author.by_hearsay || author.is_given_up) {
            return self.config.give_up_hearsay_ms;
        }
        if self.members.has(&cause.author) { self.config.give_up_ms } else { self.config.give_up_departed_ms }
    }

    /// Delivers a message whose causes are here, and then what waited for it.
    fn let_through(&mut self, scene: &mut LedgerScene<'_>, message: Message) {
        let id = message.id;
        self.come_to(&message);
        self.deliver(scene, message, false);
        let waiters = self.waiting.release(id.author, id.number, id.number);
        self.let_through_waiters(scene, waiters);
    }

    /// What waited for something that is settled now looks for its next cause, or comes through itself: in the order of
    /// Lamport times, for where a cause was given up nothing else tells what it followed from.
    fn let_through_waiters(&mut self, scene: &mut LedgerScene<'_>, waiters: Vec<MessageId>) {
        let mut ready: BTreeSet<(u64, MessageId)> = self.by_lamport(waiters);
        while let Some((_, id)) = ready.pop_first() {
            let Some(blocked) = self.waiting.get(&id) else { continue };
            if let Some(cause) = self.missing_cause(&id, &blocked.parents) {
                let ask_at = self.after(scene.now, self.config.nack_delay_ms);
                self.waiting.wait_for(id, cause, ask_at);
                self.end_wait_at(scene, id, scene.now + self.patience_ms(&cause));
                continue;
            }
            let next = self.let_in(scene, id);
            ready.extend(self.by_lamport(next));
        }
    }

    fn by_lamport(&self, waiters: Vec<MessageId>) -> BTreeSet<(u64, MessageId)> {
        waiters.into_iter().filter_map(|id| Some((self.waiting.get(&id)?.lamport, id))).collect()
    }

    /// Delivers a message that waited; says who waited for it.
    fn let_in(&mut self, scene: &mut LedgerScene<'_>, id: MessageId) -> Vec<MessageId> {
        self.waiting.remove(&id);
        if let Some(message) = self.rows.take_waiting(scene.tx, id) {
            self.come_to(&message);
            self.deliver(scene, message, false);
        }
        self.waiting.release(id.author, id.number, id.number)
    }

    fn come_to(&mut self, message: &Message) {
        let author = self.author(message.id.author);
        author.contiguous = message.id.number;
        author.mark = Message::mark(message.said);
        author.by_hearsay = false;
    }

    /// The one place where a message comes through.
    fn deliver(&mut self, scene: &mut LedgerScene<'_>, message: Message, late: bool) {
        let heard = message.lamport.min(self.head.lamport.saturating_add(LAMPORT_JUMP_MAX));
        self.head.lamport = self.head.lamport.max(heard);
        self.note_head(&message);
        let sequence = self.log(scene, &message);
        self.counts.delivered += 1;
        scene.fact(Fact::Came { sequence, message, late });
    }

    /// A number that was given up is not lost after all.
    fn fill_gap(&mut self, id: MessageId) {
        let gaps = &mut self.author(id.author).gaps;
        let Some(at) = gaps.iter().position(|(first, last)| (*first..=*last).contains(&id.number)) else { return };
        let (first, last) = gaps.remove(at);
        let rest = [(first, id.number - 1), (id.number + 1, last)];
        rest.into_iter().filter(|(first, last)| first <= last).rev().for_each(|rest| gaps.insert(at, rest));
        gaps.truncate(GAPS_MAX);
    }

    /// Gives up a message's causes at another time, also if we start again before.
    pub(super) fn end_wait_at(&mut self, scene: &mut LedgerScene<'_>, id: MessageId, until: Time) {
        self.waiting.end_at(id, until);
        self.rows.put_waiting_until(scene.tx, id, until);
    }

    /// Gives up causes that were waited for too long.
    pub(super) fn give_up_causes(&mut self, scene: &mut LedgerScene<'_>) {
        while let Some(id) = self.waiting.ended(scene.now) {
            let root = self.waiting.root_of(id).and_then(|root| Some((root, self.waiting.get(&root)?)));
            match root.map(|(root, blocked)| (root, blocked.on, blocked.until)) {
                // What it waits for is here, and not given up yet itself.
                Some((root, _, until)) if root != id && until > scene.now => self.end_wait_at(scene, id, until),
                Some((root, cause, _)) => self.give_up(scene, root, cause),
                None => self.force(scene, id),
            }
        }
    }

    /// Lets a message wait for one cause no more. A cause of another author is given up for this message alone, for who names
    /// what never was must not take that author's messages away.
    fn give_up(&mut self, scene: &mut LedgerScene<'_>, id: MessageId, cause: MessageId) {
        self.give_up_departed(scene, cause.author);
        if cause.author == id.author {
            let waiters = self.give_up_to(scene, cause.author, cause.number);
            return self.let_through_waiters(scene, waiters);
        }
        if self.waiting.get(&id).is_none_or(|blocked| blocked.on != cause) {
            return;
        }
        scene.fact(Fact::GaveUp(Gap { author: cause.author, first: cause.number, last: cause.number }));
        self.waiting.forget_parent(&id, &cause);
        self.let_through_waiters(scene, vec![id]);
    }

    /// If an author left, and something of theirs was waited for in vain, nothing that is here waits for them any more: it
    /// would wait as long for each of their messages.
    fn give_up_departed(&mut self, scene: &mut LedgerScene<'_>, device: DeviceId) {
        let departed = !self.members.has(&device);
        if !departed || self.authors.get(&device).is_none_or(|author| author.is_given_up) {
            return;
        }
        self.author(device).is_given_up = true;
        let (waiters, causes) = self.waiting.forget_author(&device);
        for cause in causes.into_iter().filter(|cause| !self.is_settled(cause)) {
            scene.fact(Fact::GaveUp(Gap { author: device, first: cause.number, last: cause.number }));
        }
        self.let_through_waiters(scene, waiters);
    }

    /// Lets an author's first message through of those that wait in a circle, which only liars can say.
    fn force(&mut self, scene: &mut LedgerScene<'_>, id: MessageId) {
        let id = self.waiting.first_of(id.author).unwrap_or(id);
        let parents = self.waiting.get(&id).map(|blocked| blocked.parents.clone()).unwrap_or_default();
        for parent in parents.into_iter().filter(|parent| !self.is_settled(parent)) {
            scene.fact(Fact::GaveUp(Gap { author: parent.author, first: parent.number, last: parent.number }));
        }
        let mut waiters = self.give_up_to(scene, id.author, id.number - 1);
        waiters.extend(self.let_in(scene, id));
        self.let_through_waiters(scene, waiters);
    }

    /// Gives up an author's numbers from the next one to `last`, none of which waits; says who waited for them.
    fn give_up_to(&mut self, scene: &mut LedgerScene<'_>, device: DeviceId, last: u64) -> Vec<MessageId> {
        let author = self.author(device);
        let first = author.contiguous.saturating_add(1);
        if first > last {
            return Vec::new();
        }
        (author.contiguous, author.mark) = (last, 0);
        author.gaps.push((first, last));
        if author.gaps.len() > GAPS_MAX {
            author.gaps.remove(0);
        }
        scene.fact(Fact::GaveUp(Gap { author: device, first, last }));
        self.waiting.release(device, first, last)
    }

    /// Does not wait for an author's messages up to this one, and does not take them any more: they were said while we were
    /// not there. Those that came all the same stay.
    pub(super) fn skip_to(&mut self, scene: &mut LedgerScene<'_>, device: DeviceId, last: u64) {
        let (mut waiters, first) = (Vec::new(), self.author(device).contiguous.saturating_add(1));
        while let Some(id) = self.waiting.first_of(device).filter(|id| id.number <= last) {
            waiters.extend(self.let_in(scene, id));
        }
        let author = self.author(device);
        if author.contiguous < last {
            (author.contiguous, author.mark) = (last, 0);
        }
        waiters.extend(self.waiting.release(device, first, last));
        self.let_through_waiters(scene, waiters);
    }

    /// Finds waiting messages in the store again.
    pub(super) fn load_waiting(&mut self, tx: &dyn Tx, now: Time) {
        let rows = self.rows;
        rows.each_waiting(tx, |until, message| {
            let (id, bytes) = (message.id, message.body.len());
            let cause = self.missing_cause(&id, &message.parents);
            debug_assert!(cause.is_some(), "{message:?} waits for nothing");
            let on = cause.unwrap_or(id);
            let ask_at = self.after(now, self.config.nack_delay_ms);
            let lamport = message.lamport;
            self.waiting.insert(id, Blocked { on, parents: message.parents, lamport, bytes, until }, ask_at);
        });
    }
}
