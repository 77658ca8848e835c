//! A ledger as it is looked at.

use mainframe_base::{DeviceId, IdentityKey, Refusal, Time};

use super::message::Message;
use super::state::MessageState;
use super::{Ledger, MessageId};
use crate::store::Tx;

/// A message in the order of this device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place, from 1: the entries after it are read by it.
    pub sequence: u64,
    /// When it came here, or was said here.
    pub came: Time,
    /// The message.
    pub message: Message,
    /// How far it is, if it is this device's own.
    pub state: Option<MessageState>,
    /// Why it could not leave the last time, if it is this device's own and waits to leave.
    pub hindrance: Option<Refusal>,
}

/// How far an own message is with one person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PersonProgress {
    /// The person.
    pub person: IdentityKey,
    /// Whether one of her devices has it.
    pub delivered: bool,
    /// Whether she says that she has read it.
    pub read: bool,
}

/// Messages of one author that did not come and are not waited for any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Gap {
    /// The author.
    pub author: DeviceId,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// Counts since the ledger was made or loaded, and what it holds in memory.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[expect(missing_docs, reason = "the names are the metrics' names and say what is counted")]
pub struct LedgerCounts {
    pub submitted: u64,
    pub delivered: u64,
    pub duplicates: u64,
    /// Out of order and without room to wait.
    pub refused: u64,
    pub sent_again: u64,
    pub acks_sent: u64,
    pub ack_frames_sent: u64,
    pub nack_frames_sent: u64,
    /// Own messages that not everybody has.
    pub open: usize,
    /// Messages whose causes have not come.
    pub waiting: usize,
    /// Causes that are asked for.
    pub missing: usize,
}

impl Ledger {
    /// At most `limit` messages after a place in the order (0: from the beginning), own ones among them.
    pub fn messages(&self, tx: &dyn Tx, after: u64, limit: usize) -> Vec<Entry> {
        let rows = self.rows.messages(tx, after, limit).into_iter();
        rows.map(|(sequence, came, message)| {
            let mine = message.id.author == self.me();
            let state = if mine { self.state(tx, message.id.number) } else { None };
            let hindrance = mine.then(|| self.open.get(&message.id.number)?.hindrance).flatten();
            Entry { sequence, came, message, state, hindrance }
        })
        .collect()
    }

    /// How far an own message is; `None` if there is none of this number.
    pub fn state(&self, tx: &dyn Tx, number: u64) -> Option<MessageState> {
        let state = self.rows.sent(tx, number)?.state;
        let read = state == MessageState::Delivered && number <= self.head.read_through;
        Some(if read { MessageState::Read } else { state })
    }

    /// How far an own message is with each other person it was meant for who is still here.
    pub fn progress(&self, number: u64) -> Vec<PersonProgress> {
        let others = self.members.others().iter();
        others
            .filter_map(|(person, devices)| {
                let peers = devices.iter().filter_map(|device| self.peers.get(device));
                let meant: Vec<_> = peers.filter(|peer| peer.expects(number)).collect();
                let read = meant.iter().any(|peer| peer.read >= number);
                let delivered = read || meant.iter().any(|peer| peer.has(number));
                (!meant.is_empty()).then_some(PersonProgress { person: *person, delivered, read })
            })
            .collect()
    }

    /// What did not come and is not waited for any more.
    pub fn gaps(&self) -> Vec<Gap> {
        let gaps = |(author, kept): (&DeviceId, &super::Author)| {
            let author = *author;
            kept.gaps.clone().into_iter().map(move |(first, last)| Gap { author, first, last })
        };
        self.authors.iter().flat_map(gaps).collect()
    }

    /// Our last own message's number, 0 if there is none.
    pub fn last_number(&self) -> u64 {
        self.head.number
    }

    /// The last place in the order, 0 if nothing was said.
    pub fn last_sequence(&self) -> u64 {
        self.head.sequence
    }

    /// Up to where an author's messages were read on our devices, as far as we know.
    pub fn read_of(&self, author: &DeviceId) -> Option<MessageId> {
        let number = self.authors.get(author)?.read;
        (number > 0).then_some(MessageId { author: *author, number })
    }

    /// Counts, and sizes of what is in memory.
    pub fn counts(&self) -> LedgerCounts {
        let (open, waiting, missing) = (self.open.len(), self.waiting.len(), self.waiting.missing());
        LedgerCounts { open, waiting, missing, ..self.counts }
    }
}
