//! Own messages: named, written down before they leave, and kept open until everybody has them.

use mainframe_base::{Refusal, Time};

use super::config::{HEADS_MAX, OPEN_MAX};
use super::frame::{Asked, Frame, RIDING_ACKS_MAX};
use super::message::{Message, MessageId, PARENTS_MAX, body_max};
use super::peer::Reach;
use super::resending::Sending;
use super::rows::Sent;
use super::state::{Failure, MessageState};
use super::{Fact, Ledger, LedgerScene, Wish};
use crate::store::Tx;

/// An own message that not every other person has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) said: Time,
    pub(super) sending: Sending,
    /// Why it could not leave the last time.
    pub(super) hindrance: Option<Refusal>,
}

/// What became of a message that was handed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Submitted {
    /// Its name.
    pub id: MessageId,
    /// Its place in the order of this device.
    pub sequence: u64,
}

/// How many persons a message was meant for and are still here, and whether all of them have it.
struct Arrival {
    expected: usize,
    everywhere: bool,
}

impl Ledger {
    /// Says something: it is written down, gets its name and leaves. Once the transaction is committed, it is not lost.
    ///
    /// # Errors
    /// `TooLong` above [`BODY_MAX`](super::BODY_MAX), or what devices may say; `Busy` while [`OPEN_MAX`] messages have not arrived everywhere.
    pub fn submit(
        &mut self,
        scene: &mut LedgerScene<'_>,
        stream: u16,
        kind: u8,
        body: Vec<u8>,
    ) -> Result<Submitted, Refusal> {
        if body.len() > body_max(kind) {
            return Err(Refusal::TooLong);
        }
        if self.open.len() >= OPEN_MAX {
            return Err(Refusal::Busy);
        }
        let before = self.rows.sent(scene.tx, self.head.number);
        let follows = before.map_or(0, |before| Message::mark(before.said));
        let message = self.compose(scene.now, follows, stream, kind, body);
        let id = message.id;
        let sequence = self.log(scene, &message);
        let state = if self.peers.is_empty() { MessageState::Delivered } else { MessageState::Queued };
        self.rows.put_sent(scene.tx, id.number, Sent { sequence, said: scene.now, state });
        if state == MessageState::Queued {
            self.leave(scene, message);
        }
        self.counts.submitted += 1;
        self.save(scene.tx);
        Ok(Submitted { id, sequence })
    }

    fn compose(&mut self, now: Time, follows: u32, stream: u16, kind: u8, body: Vec<u8>) -> Message {
        self.head.number += 1;
        self.head.lamport += 1;
        let id = MessageId { author: self.me(), number: self.head.number };
        let parents = self.take_parents();
        Message { id, lamport: self.head.lamport, parents, follows, said: now, stream, kind, withdrawn: false, body }
    }

    /// The latest of what nobody answered; this message answers it.
    fn take_parents(&mut self) -> Vec<MessageId> {
        self.head.heads.sort_unstable();
        let older = self.head.heads.len().saturating_sub(PARENTS_MAX);
        let mut parents: Vec<MessageId> = self.head.heads.drain(older..).map(|(_, id)| id).collect();
        parents.sort_unstable();
        parents
    }

    /// A message of somebody else's was heard: it stands for all it follows from.
    pub(super) fn note_head(&mut self, message: &Message) {
        let is_cause = |id: &MessageId| message.parents.contains(id) || Some(*id) == message.id.previous();
        self.head.heads.retain(|(_, id)| !is_cause(id));
        self.head.heads.push((message.lamport.min(self.head.lamport), message.id));
        if self.head.heads.len() > HEADS_MAX {
            self.head.heads.sort_unstable();
            self.head.heads.remove(0);
        }
    }

    /// Writes a message at the end of the order.
    pub(super) fn log(&mut self, scene: &mut LedgerScene<'_>, message: &Message) -> u64 {
        self.head.sequence += 1;
        self.changed.head = true;
        self.rows.put_message(scene.tx, self.head.sequence, scene.now, message);
        self.head.sequence
    }

    fn leave(&mut self, scene: &mut LedgerScene<'_>, message: Message) {
        let number = message.id.number;
        let sending = Sending { at: scene.now, times: 1 };
        self.open.insert(number, Open { said: scene.now, sending, hindrance: None });
        self.watch_peers(scene.now);
        let acks = self.take_acks(RIDING_ACKS_MAX);
        let frame = Frame::Message(message, acks, Asked::Devices(Vec::new()));
        scene.wish(Wish::Say { frame, number, again: false });
    }

    /// A message of ours left.
    pub fn sent(&mut self, scene: &mut LedgerScene<'_>, number: u64) {
        self.left(scene, number, MessageState::Sent);
    }

    /// A message of ours that left was not acknowledged in time: relays hold it for those who are away.
    pub fn held(&mut self, scene: &mut LedgerScene<'_>, number: u64) {
        if self.rows.sent(scene.tx, number).is_some_and(|sent| sent.state == MessageState::Sent) {
            self.left(scene, number, MessageState::Held);
        }
    }

    fn left(&mut self, scene: &mut LedgerScene<'_>, number: u64, state: MessageState) {
        let Some(open) = self.open.get_mut(&number) else { return };
        open.hindrance = None;
        self.advance(scene, number, state);
        if self.members.others().is_empty() {
            self.check(scene, number);
        }
        self.save(scene.tx);
    }

    /// A message of ours could not leave. It is tried again like one that nobody acknowledges.
    pub fn not_sent(&mut self, number: u64, reason: Refusal) {
        if let Some(open) = self.open.get_mut(&number) {
            open.hindrance = Some(reason);
        }
    }

    /// Takes a message back. Says whether that was in time: not if everybody has it, or it failed. Who has not got it gets
    /// an empty one in its place, since what was said later follows from it.
    pub fn cancel(&mut self, scene: &mut LedgerScene<'_>, number: u64) -> bool {
        let cancelled = MessageState::Failed(Failure::Cancelled);
        if !self.open.contains_key(&number) || !self.advance(scene, number, cancelled) {
            return false;
        }
        let sequence = self.rows.sent(scene.tx, number).map(|sent| sent.sequence);
        if let Some((sequence, (came, mut message))) =
            sequence.and_then(|sequence| Some((sequence, self.rows.message(scene.tx, sequence)?)))
        {
            message.withdrawn = true;
            message.body.clear();
            self.rows.put_message(scene.tx, sequence, came, &message);
        }
        self.save(scene.tx);
        true
    }

    /// Brings a message into a state, if it leads there.
    fn advance(&mut self, scene: &mut LedgerScene<'_>, number: u64, state: MessageState) -> bool {
        let Some(sent) = self.rows.sent(scene.tx, number).filter(|sent| sent.state.leads_to(state)) else {
            return false;
        };
        self.rows.put_sent(scene.tx, number, Sent { state, ..sent });
        scene.fact(Fact::State { number, state });
        true
    }

    /// Who has an own message.
    fn arrival(&self, number: u64) -> Arrival {
        let mut arrival = Arrival { expected: 0, everywhere: true };
        for devices in self.members.others().values() {
            let mut peers = devices.iter().filter_map(|device| self.peers.get(device));
            if peers.clone().any(|peer| peer.expects(number)) {
                arrival.expected += 1;
                arrival.everywhere &= peers.any(|peer| peer.has(number));
            }
        }
        arrival
    }

    /// Looks whether everybody has an open message now, or whether nobody is left to have it.
    pub(super) fn check(&mut self, scene: &mut LedgerScene<'_>, number: u64) {
        let arrival = self.arrival(number);
        let was_for_others = arrival.expected > 0 || self.members.others().is_empty();
        if arrival.everywhere {
            let left = MessageState::Failed(Failure::Left);
            self.close(scene, number, if was_for_others { MessageState::Delivered } else { left });
        }
    }

    /// An open message is open no more.
    pub(super) fn close(&mut self, scene: &mut LedgerScene<'_>, number: u64, state: MessageState) {
        if self.open.remove(&number).is_none() {
            return;
        }
        self.advance(scene, number, state);
        let open_from = self.open.keys().next().copied().unwrap_or(self.head.number + 1);
        self.changed.head |= open_from != self.head.open_from;
        self.head.open_from = open_from;
    }

    /// Gives up what was open for too long.
    pub(super) fn give_up_open(&mut self, scene: &mut LedgerScene<'_>) {
        while let Some((number, open)) = self.open.first_key_value() {
            if open.said + self.config.give_up_ms > scene.now {
                return;
            }
            self.close(scene, *number, MessageState::Failed(Failure::GaveUp));
        }
    }

    /// Finds open messages in the store again. What was written there and may not have left leaves now.
    pub(super) fn load_open(&mut self, tx: &dyn Tx, now: Time) {
        let (rows, from) = (self.rows, self.head.open_from);
        rows.each_sent(tx, from, |number, sent| {
            let is_open = match sent.state {
                MessageState::Queued | MessageState::Sent | MessageState::Held => true,
                MessageState::Failed(Failure::Cancelled) => !self.arrival(number).everywhere,
                MessageState::Delivered | MessageState::Read | MessageState::Failed(_) => false,
            };
            if !is_open {
                return;
            }
            let sending = Sending { at: now, times: 1 };
            self.open.insert(number, Open { said: sent.said, sending, hindrance: None });
            if sent.state == MessageState::Queued {
                self.again.add(number, now);
            }
        });
        self.watch_peers(now);
    }

    /// Somebody told what he has of ours: those open that may be new are looked at.
    pub(super) fn arrived_at(
        &mut self,
        scene: &mut LedgerScene<'_>,
        numbers: std::ops::RangeInclusive<u64>,
        reach: Reach,
    ) {
        let told: Vec<u64> = self.open.range(numbers).map(|(number, _)| *number).collect();
        told.into_iter().filter(|number| reach.has(*number)).for_each(|number| self.check(scene, number));
    }
}
