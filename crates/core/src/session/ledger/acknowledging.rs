//! Saying what has come, and hearing it: batched, held back, riding on messages where there are any. Only messages are
//! acknowledged, so that no acknowledgement calls for another.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceId, Fault, Time};

use super::frame::{ACKS_MAX, Ack, Frame};
use super::message::{Message, MessageId};
use super::peer::Reach;
use super::{Fact, Ledger, LedgerScene, Wish};

/// How often it is said up to where was read, and after how long again: it is not acknowledged, so it is repeated
/// (guess: once for what gets lost, once for who was away for a moment).
const READ_REPEATS_MS: [u64; 2] = [60_000, 600_000];

/// How many persons must have heard what we do not remember to have said (one liar, and somebody else).
const OUTDATED_BY: usize = 2;

/// What we still have to say.
#[derive(Clone, Default, Debug)]
pub(super) struct Owed {
    /// Of whom something came that was not acknowledged.
    acks: BTreeSet<DeviceId>,
    acks_due: Option<Time>,
    /// Whose messages were read, and how often that was said.
    reads: BTreeMap<DeviceId, u8>,
    reads_due: Option<Time>,
}

impl Owed {
    pub(super) fn next_due(&self) -> Option<Time> {
        self.acks_due.into_iter().chain(self.reads_due).min()
    }

    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.acks.remove(device);
        self.reads.remove(device);
    }
}

impl Ledger {
    /// Something came of this author that is to be acknowledged.
    pub(super) fn owe(&mut self, now: Time, author: DeviceId) {
        if !self.members.has(&author) {
            return;
        }
        self.owed.acks.insert(author);
        if self.owed.acks_due.is_none() {
            let delay_ms = self.ack_delay_ms();
            self.owed.acks_due = Some(self.after(now, delay_ms));
        }
    }

    /// Takes at most so many acknowledgements to be said now.
    pub(super) fn take_acks(&mut self, count_max: usize) -> Vec<Ack> {
        let authors: Vec<DeviceId> = (0..count_max).map_while(|_| self.owed.acks.pop_first()).collect();
        if self.owed.acks.is_empty() {
            self.owed.acks_due = None;
        }
        self.counts.acks_sent += authors.len() as u64;
        authors.into_iter().map(|author| self.ack(author)).collect()
    }

    fn ack(&self, author: DeviceId) -> Ack {
        let (contiguous, mark) = self.authors.get(&author).map_or((0, 0), |author| (author.contiguous, author.mark));
        Ack { author, contiguous, mark, beyond: self.waiting.beyond(author, contiguous) }
    }

    /// Says what has come, if nothing it could ride on was said meanwhile.
    pub(super) fn acknowledge(&mut self, scene: &mut LedgerScene<'_>) {
        if self.owed.acks_due.is_some_and(|due| due <= scene.now) {
            let acks = self.take_acks(ACKS_MAX);
            self.counts.ack_frames_sent += 1;
            scene.wish(Wish::Send(Frame::Acks(acks)));
        }
    }

    /// Hears what others have of ours.
    ///
    /// # Errors
    /// `Impossible` if somebody claims what was never said, or not so; nothing of it counts.
    pub(super) fn on_acks(&mut self, scene: &mut LedgerScene<'_>, from: DeviceId, acks: &[Ack]) -> Result<(), Fault> {
        let me = self.me();
        let Some(ack) = acks.iter().find(|ack| ack.author == me) else { return Ok(()) };
        let reach = Reach::of(ack);
        let said = self.rows.sent(scene.tx, ack.contiguous).map(|sent| Message::mark(sent.said));
        let is_another = ack.mark != 0 && said.is_some_and(|mark| mark != ack.mark);
        if is_another || reach.highest().is_none_or(|highest| highest > self.head.number) {
            self.recalls_more(scene, from);
            return Err(Fault::Impossible);
        }
        let Some(numbers) = self.peers.get_mut(&from).and_then(|peer| peer.acknowledge(reach)) else { return Ok(()) };
        self.changed.peers.insert(from);
        self.measure(scene.now, from, numbers.clone());
        self.watch_on(scene.now, from);
        self.arrived_at(scene, numbers, reach);
        Ok(())
    }

    /// A device has what we do not remember to have said: it lies, or we are an old copy that somebody put back. In a session of
    /// more than two a single liar is not believed (review P38).
    pub(super) fn recalls_more(&mut self, scene: &mut LedgerScene<'_>, from: DeviceId) {
        self.recall_more.extend(self.members.person(&from));
        if self.is_outdated() {
            scene.fact(Fact::Outdated);
        }
    }

    pub(super) fn is_outdated(&self) -> bool {
        let enough = self.members.others().len().clamp(1, OUTDATED_BY);
        self.recall_more.contains(&self.head.me.person) || self.recall_more.len() >= enough
    }

    /// Something came of a device that was said before with the same keys. If it is an old copy it does not know how far we
    /// have it, and is told.
    pub fn heard_again(&mut self, now: Time, from: DeviceId) {
        self.owe(now, from);
    }

    /// Learns how long acknowledgements take, from the oldest message that was sent once only: of others it is not known
    /// which sending was acknowledged (Karn).
    fn measure(&mut self, now: Time, from: DeviceId, numbers: std::ops::RangeInclusive<u64>) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let mut sendings = self.open.range(numbers).map(|(_, open)| open.sending);
        if let Some(sending) = sendings.find(|sending| sending.times == 1) {
            peer.measure(now.since_ms(sending.at));
        }
    }

    /// A device got further: what it still lacks is looked at when that is due.
    fn watch_on(&mut self, now: Time, device: DeviceId) {
        let last = self.head.number;
        let Some(peer) = self.peers.get(&device) else { return };
        let first = peer.lacking(last).next();
        let due = first.map(|first| match self.sending(first) {
            Some(sending) => (sending.at + self.timeout_ms(&device, sending.times)).max(now),
            None => now + self.timeout_ms(&device, 1),
        });
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.due = due;
        }
    }

    /// A message was read here, and with it all its author said before.
    pub fn read(&mut self, scene: &mut LedgerScene<'_>, id: MessageId) {
        let before = self.authors.get(&id.author).filter(|author| id.number <= author.contiguous);
        if before.is_none_or(|author| author.read >= id.number) {
            return;
        }
        self.author(id.author).read = id.number;
        if self.config.tells_reads && self.members.has(&id.author) {
            self.owed.reads.insert(id.author, 0);
            let delay_ms = self.ack_delay_ms();
            let due = self.after(scene.now, delay_ms);
            self.owed.reads_due = Some(self.owed.reads_due.map_or(due, |before| before.min(due)));
        }
        self.save(scene.tx);
    }

    /// Says up to where was read, and lays down when to say it again.
    pub(super) fn tell_read(&mut self, scene: &mut LedgerScene<'_>) {
        if self.owed.reads_due.is_none_or(|due| due > scene.now) {
            return;
        }
        let told: Vec<DeviceId> = self.owed.reads.keys().take(ACKS_MAX).copied().collect();
        let number = |author: &DeviceId| self.authors.get(author).map_or(0, |author| author.read);
        let ids = told.iter().map(|author| MessageId { author: *author, number: number(author) }).collect();
        if !told.is_empty() {
            scene.wish(Wish::Send(Frame::Read(ids)));
        }
        for times in self.owed.reads.values_mut() {
            *times += 1;
        }
        self.owed.reads.retain(|_, times| usize::from(*times) <= READ_REPEATS_MS.len());
        let next = self.owed.reads.values().min().and_then(|times| READ_REPEATS_MS.get(usize::from(*times) - 1));
        self.owed.reads_due = next.map(|delay_ms| scene.now + *delay_ms);
    }

    /// Hears up to where somebody has read.
    ///
    /// # Errors
    /// `Impossible` if he has read what was never said.
    pub(super) fn on_read(
        &mut self,
        scene: &mut LedgerScene<'_>,
        from: DeviceId,
        ids: &[MessageId],
    ) -> Result<(), Fault> {
        let me = self.me();
        if !self.members.is_other(&from) {
            ids.iter().filter(|id| id.author != me).for_each(|id| self.read_elsewhere(scene, *id));
            return Ok(());
        }
        let Some(read) = ids.iter().find(|id| id.author == me).map(|id| id.number) else { return Ok(()) };
        if read > self.head.number {
            self.recalls_more(scene, from);
            return Err(Fault::Impossible);
        }
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.read < read) {
            peer.read = read;
            self.changed.peers.insert(from);
            self.check_read(scene);
        }
        Ok(())
    }

    fn read_elsewhere(&mut self, scene: &mut LedgerScene<'_>, id: MessageId) {
        if self.authors.get(&id.author).is_some_and(|author| author.read < id.number) {
            self.author(id.author).read = id.number;
            scene.fact(Fact::ReadElsewhere(id));
        }
    }

    /// Looks up to where every other person has read us.
    pub(super) fn check_read(&mut self, scene: &mut LedgerScene<'_>) {
        let far = |device: &DeviceId| self.peers.get(device).map_or(0, |peer| peer.read.max(peer.since));
        let persons = self.members.others().values();
        let read = persons.map(|devices| devices.iter().map(far).max().unwrap_or(0)).min().unwrap_or(0);
        let somebody_read = self.peers.values().any(|peer| peer.read >= read);
        if read > self.head.read_through && somebody_read {
            self.head.read_through = read;
            self.changed.head = true;
            scene.fact(Fact::ReadThrough(read));
        }
    }
}
