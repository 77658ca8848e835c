//! Who comes and goes, and where a newcomer begins.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceId, Fault};

use super::config::AUTHORS_MAX;
use super::frame::ACKS_MAX;
use super::members::{Member, Members};
use super::message::{MessageId, NUMBER_END};
use super::peer::Peer;
use super::rows::Author;
use super::state::{Failure, MessageState};
use super::{Ledger, LedgerScene};
use crate::codec::{Reader, put_list};

/// Where a newcomer begins: he is owed what comes after, and misses nothing of what was before. Told by who let him in.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Start {
    /// The Lamport time.
    pub lamport: u64,
    /// How far each member's messages have come, ascending.
    pub reached: Vec<(DeviceId, u64)>,
}

impl Start {
    /// The same, but nobody further than he was at an earlier moment; who was not there then had said nothing.
    #[must_use]
    pub fn no_later_than(mut self, earlier: &Start) -> Start {
        let earlier: BTreeMap<DeviceId, u64> = earlier.reached.iter().copied().collect();
        for (device, number) in &mut self.reached {
            *number = earlier.get(device).copied().unwrap_or_default().min(*number);
        }
        self
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.lamport.to_be_bytes().to_vec();
        put_list(&mut out, &self.reached, |out, (author, number)| {
            out.extend_from_slice(&author.0);
            out.extend_from_slice(&number.to_be_bytes());
        });
        out
    }

    /// Reads where to begin.
    ///
    /// # Errors
    /// A fault of who wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Start, Fault> {
        let mut reader = Reader::new(bytes);
        let lamport = reader.u64()?;
        let reached = reader.list(ACKS_MAX, |reader| Ok((DeviceId(reader.array()?), reader.u64()?)))?;
        reader.finish()?;
        let ascending = reached.windows(2).all(|pair| pair[0].0 < pair[1].0);
        // A start near the end of the numbers would leave no room to go on.
        let early = lamport < NUMBER_END && reached.iter().all(|(_, number)| *number < NUMBER_END);
        if ascending && early { Ok(Start { lamport, reached }) } else { Err(Fault::Impossible) }
    }
}

impl Ledger {
    /// Where somebody begins who comes in now. A liar may have said that he is at the end of the numbers.
    pub fn start(&self) -> Start {
        let members = self.members.devices().filter_map(|device| Some((*device, self.authors.get(device)?.contiguous)));
        let all = members.chain([(self.me(), self.head.number)]).map(|(device, at)| (device, at.min(NUMBER_END - 1)));
        let reached: BTreeMap<DeviceId, u64> = all.collect();
        Start { lamport: self.head.lamport.min(NUMBER_END - 1), reached: reached.into_iter().collect() }
    }

    /// Who is in the session from now on; our own device among them or not. Who came is owed what is said from now on; who
    /// left is owed nothing any more.
    pub fn set_members(&mut self, scene: &mut LedgerScene<'_>, members: &[Member]) {
        let had_others = !self.members.others().is_empty();
        let now_in = Members::of(&self.head.me, members);
        let before: BTreeSet<DeviceId> = self.members.devices().copied().collect();
        self.members = now_in;
        let after: BTreeSet<DeviceId> = self.members.devices().copied().collect();
        before.difference(&after).for_each(|device| self.depart(scene, *device));
        after.difference(&before).for_each(|device| self.arrive(scene, *device));
        self.forget_authors(scene);
        if had_others && self.members.others().is_empty() {
            self.close_all(scene, MessageState::Failed(Failure::Left));
        }
        let open: Vec<u64> = self.open.keys().copied().collect();
        if !self.members.others().is_empty() {
            open.into_iter().for_each(|number| self.check(scene, number));
            self.check_read(scene);
        }
        self.save(scene.tx);
    }

    fn arrive(&mut self, scene: &mut LedgerScene<'_>, device: DeviceId) {
        let Some(person) = self.members.person(&device).copied() else { return };
        self.rows.put_member(scene.tx, &Member { device, person });
        self.peers.insert(device, Peer::new(self.head.number, scene.now));
        self.changed.peers.insert(device);
        self.author(device).is_given_up = false;
        self.wait_as_long(scene, device);
    }

    fn depart(&mut self, scene: &mut LedgerScene<'_>, device: DeviceId) {
        self.rows.delete_member(scene.tx, &device);
        self.peers.remove(&device);
        self.changed.peers.remove(&device);
        self.owed.forget(&device);
        self.wait_as_long(scene, device);
    }

    /// What waits for an author's messages waits as long as is right for one who came, or who left.
    fn wait_as_long(&mut self, scene: &mut LedgerScene<'_>, author: DeviceId) {
        let until = scene.now + self.patience_ms(&MessageId { author, number: 1 });
        for id in self.waiting.waiting_for(author) {
            self.end_wait_at(scene, id, until);
        }
    }

    /// Forgets authors who left long ago, if they are too many. What follows from them does not wait for them any more.
    fn forget_authors(&mut self, scene: &mut LedgerScene<'_>) {
        let surplus = self.authors.len().saturating_sub(AUTHORS_MAX);
        let gone = |device: &&DeviceId| !self.members.has(device);
        let forgotten: Vec<DeviceId> = self.authors.keys().filter(gone).take(surplus).copied().collect();
        for device in forgotten {
            self.authors.remove(&device);
            self.changed.authors.remove(&device);
            self.rows.delete_author(scene.tx, &device);
        }
    }

    /// Forgets an author who left while we were away: nothing waits for what he said last.
    fn forget_departed(&mut self, scene: &mut LedgerScene<'_>, device: DeviceId) {
        self.skip_to(scene, device, u64::MAX);
        self.authors.remove(&device);
        self.changed.authors.remove(&device);
        self.rows.delete_author(scene.tx, &device);
    }

    fn close_all(&mut self, scene: &mut LedgerScene<'_>, state: MessageState) {
        let open: Vec<u64> = self.open.keys().copied().collect();
        open.into_iter().for_each(|number| self.close(scene, number, state));
    }

    /// Takes over how far authors are whom nothing is known of yet.
    pub(super) fn begin_at(&mut self, start: &Start) {
        let me = self.me();
        for (device, number) in start.reached.iter().filter(|(device, _)| *device != me) {
            if !self.authors.contains_key(device) {
                *self.author(*device) = Author { contiguous: *number, by_hearsay: true, ..Author::default() };
            }
        }
    }

    /// The session was entered by another device of this node before: what that one said stays, and this one has said nothing
    /// yet. What nobody had heard of the other one has failed.
    pub fn go_on_as(&mut self, scene: &mut LedgerScene<'_>, me: Member) {
        if self.head.me == me {
            return;
        }
        self.close_all(scene, MessageState::Failed(Failure::Left));
        let (before, said) = (self.me(), self.head.number);
        let others: Vec<DeviceId> = self.members.devices().copied().collect();
        others.iter().for_each(|device| self.rows.delete_member(scene.tx, device));
        (1..=said).for_each(|number| self.rows.delete_sent(scene.tx, number));
        *self.author(before) = Author { contiguous: said, ..Author::default() };
        (self.members, self.peers) = (Members::default(), BTreeMap::new());
        self.changed.peers.clear();
        let head = &mut self.head;
        (head.me, head.number, head.open_from, head.read_through) = (me, 0, 1, 0);
        self.changed.head = true;
        self.save(scene.tx);
    }

    /// We were out of the session for a while and are let in again: what was said meanwhile was not for us.
    pub fn rejoin(&mut self, scene: &mut LedgerScene<'_>, start: &Start) {
        self.begin_at(start);
        let me = self.me();
        let is_told = |device: &DeviceId| start.reached.iter().any(|(told, _)| told == device);
        let departed: Vec<DeviceId> = self.authors.keys().filter(|device| !is_told(device)).copied().collect();
        departed.into_iter().for_each(|device| self.forget_departed(scene, device));
        for (device, number) in start.reached.iter().filter(|(device, _)| *device != me) {
            self.skip_to(scene, *device, *number);
            self.author(*device).by_hearsay = true;
        }
        self.head.lamport = self.head.lamport.max(start.lamport);
        self.changed.head = true;
        self.save(scene.tx);
    }
}
