//! What was said in one session: nothing lost, nothing twice, causes before effects.
//!
//! One [`Ledger`] per session on each device. It gives every message of ours a name and keeps it until everybody has it; it
//! lets every message of others through once, behind what its author had heard when he said it. It knows nothing of cells,
//! keys or epochs: frames come in decrypted and go out to be encrypted. All that must outlive a crash is written in the
//! transaction of the call that caused it. Rules and reasons: docs/protocol/session.md.
//!
//! - `message`, `frame`: what devices say to each other, as bytes
//! - `sending`, `state`: own messages, and how far they are
//! - `peer`, `resending`: who lacks which of them, and when they are sent again
//! - `receiving`, `waiting`: messages of others, once and in order
//! - `acknowledging`: saying what has come and what was read
//! - `repairing`: asking for what has not come, and answering for others
//! - `membership`: who comes and goes
//! - `rows`: how it is kept; `views`: how it is looked at

mod acknowledging;
mod config;
mod frame;
mod members;
mod membership;
mod message;
mod peer;
mod receiving;
mod repairing;
mod resending;
mod rows;
mod sending;
mod state;
#[cfg(test)]
mod tests;
mod views;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceId, IdentityKey, SessionId, Time};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::store::Tx;
use acknowledging::Owed;
pub use config::{BODY_MAX, DEVICE_BODY_MAX, LedgerConfig, OPEN_MAX};
pub use frame::{
    ACKS_MAX, ASKED_MAX, Ack, Asked, Frame, NOTICE_MAX, ORIGINAL_MAX, RANGE_MAX, RANGES_MAX, RIDING_ACKS_MAX, Range,
};
pub use members::Member;
use members::Members;
pub use membership::Start;
pub use message::{DEVICE_KIND, Message, MessageId, PARENTS_MAX};
use peer::Peer;
use repairing::Repairs;
use resending::Again;
use rows::{Author, Head, Rows};
use sending::Open;
pub use sending::Submitted;
pub use state::{Failure, MessageState};
pub use views::{Entry, Gap, LedgerCounts, PersonProgress};
use waiting::Waiting;

/// What should happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Encrypt this frame and send it to the whole session.
    Send(Frame),
    /// Encrypt this own message and send it, in a new cell; say [`Ledger::sent`] or [`Ledger::not_sent`] of its number.
    Say {
        /// A [`Frame::Message`].
        frame: Frame,
        /// The message's number.
        number: u64,
        /// Whether it was sent before: new messages go first.
        again: bool,
    },
    /// Pass on somebody else's message as it was encrypted by its author, if that is still here: somebody lacks it.
    Repair(MessageId),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A message has come, and all its causes before it.
    Came {
        /// Its place in the order of this device, from 1; it can be read there again.
        sequence: u64,
        /// The message.
        message: Message,
        /// Whether its place had been given up: what follows from it may stand before it.
        late: bool,
    },
    /// These messages were given up; what followed from them comes through without them.
    GaveUp(Gap),
    /// An own message got further.
    State {
        /// Its number.
        number: u64,
        /// How far it is.
        state: MessageState,
    },
    /// Everybody has read what we said up to this number, as far as it was delivered.
    ReadThrough(u64),
    /// Another device of ours has read an author's messages up to this one.
    ReadElsewhere(MessageId),
    /// Somebody passed on a message that we lack: decrypt it, and hand its frame to [`Ledger::receive`] as its author's.
    Relayed(MessageId, Vec<u8>),
    /// Others have heard what we do not remember to have said: this is an old copy of a device that went on since.
    Outdated,
    /// A notice came that is not the ledger's.
    Noticed(DeviceId, Vec<u8>),
}

/// What a call leaves behind.
#[derive(Clone, Default, Debug)]
pub struct LedgerOut {
    /// What should happen once the transaction is committed, in order.
    pub wishes: Vec<Wish>,
    /// What happened, in order.
    pub facts: Vec<Fact>,
}

/// When a call is made, in which transaction, and what it leaves behind.
#[expect(missing_debug_implementations, reason = "a transaction has none")]
pub struct LedgerScene<'a> {
    /// The present.
    pub now: Time,
    /// The transaction: what the call changes lasts if and only if it is committed. If it is not, the ledger must be loaded
    /// again.
    pub tx: &'a mut dyn Tx,
    /// Facts and wishes, appended to.
    pub out: &'a mut LedgerOut,
}

impl LedgerScene<'_> {
    fn fact(&mut self, fact: Fact) {
        self.out.facts.push(fact);
    }

    fn wish(&mut self, wish: Wish) {
        self.out.wishes.push(wish);
    }
}

/// What differs from the store until [`Ledger::save`].
#[derive(Clone, Default, Debug)]
struct Changed {
    head: bool,
    authors: BTreeSet<DeviceId>,
    peers: BTreeSet<DeviceId>,
}

/// One session's messages on this device.
#[derive(Clone, Debug)]
pub struct Ledger {
    config: LedgerConfig,
    rng: ChaCha8Rng,
    rows: Rows,
    head: Head,
    members: Members,
    authors: BTreeMap<DeviceId, Author>,
    peers: BTreeMap<DeviceId, Peer>,
    open: BTreeMap<u64, Open>,
    again: Again,
    waiting: Waiting,
    owed: Owed,
    repairs: Repairs,
    /// Who claims to have heard what we do not remember to have said.
    recall_more: BTreeSet<IdentityKey>,
    changed: Changed,
    counts: LedgerCounts,
}

impl Ledger {
    /// Begins a session's ledger: as one of its founders with the default start, or where others say they are.
    pub fn create(
        scene: &mut LedgerScene<'_>,
        session: SessionId,
        (me, members): (Member, &[Member]),
        start: &Start,
        config: LedgerConfig,
        rng_seed: [u8; 32],
    ) -> Ledger {
        let (lamport, heads) = (start.lamport, Vec::new());
        let head = Head { me, number: 0, lamport, sequence: 0, open_from: 1, read_through: 0, heads };
        let mut ledger = Ledger::of(Rows(session), head, config, rng_seed);
        ledger.changed.head = true;
        ledger.begin_at(start);
        ledger.set_members(scene, members);
        ledger
    }

    /// Goes on where the store says the session was; `None` if it is not there. What had not left leaves now, what nobody
    /// acknowledged is looked after again.
    ///
    /// # Panics
    /// If the store holds what a ledger does not write.
    pub fn load(
        tx: &dyn Tx,
        session: SessionId,
        now: Time,
        config: LedgerConfig,
        rng_seed: [u8; 32],
    ) -> Option<Ledger> {
        let rows = Rows(session);
        let mut ledger = Ledger::of(rows, rows.head(tx)?, config, rng_seed);
        ledger.members = Members::of(&ledger.head.me, &rows.members(tx));
        ledger.authors = rows.authors(tx).into_iter().collect();
        ledger.peers = rows.peers(tx).into_iter().collect();
        ledger.load_open(tx, now);
        ledger.load_waiting(tx, now);
        Some(ledger)
    }

    fn of(rows: Rows, head: Head, config: LedgerConfig, rng_seed: [u8; 32]) -> Ledger {
        Ledger {
            config,
            rng: ChaCha8Rng::from_seed(rng_seed),
            rows,
            head,
            members: Members::default(),
            authors: BTreeMap::new(),
            peers: BTreeMap::new(),
            open: BTreeMap::new(),
            again: Again::default(),
            waiting: Waiting::default(),
            owed: Owed::default(),
            repairs: Repairs::default(),
            recall_more: BTreeSet::new(),
            changed: Changed::default(),
            counts: LedgerCounts::default(),
        }
    }

    /// Does what the time has come for.
    pub fn wake(&mut self, scene: &mut LedgerScene<'_>) {
        self.acknowledge(scene);
        self.tell_read(scene);
        self.give_up_causes(scene);
        self.ask(scene);
        self.repair(scene);
        self.give_up_open(scene);
        self.find_lacking(scene.now);
        self.say_again(scene);
        self.save(scene.tx);
    }

    /// When [`Ledger::wake`] is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        let peers = self.peers.values().filter_map(|peer| peer.due);
        let open = self.open.values().next().map(|open| open.said + self.config.give_up_ms);
        let waiting = self.waiting.next_ask().into_iter().chain(self.waiting.next_end());
        let others = self.owed.next_due().into_iter().chain(self.repairs.next_due()).chain(self.again.next_due());
        peers.chain(open).chain(waiting).chain(others).min()
    }

    /// Writes what changed.
    fn save(&mut self, tx: &mut dyn Tx) {
        let changed = std::mem::take(&mut self.changed);
        if changed.head {
            self.rows.put_head(tx, &self.head);
        }
        for device in &changed.authors {
            if let Some(author) = self.authors.get(device) {
                self.rows.put_author(tx, device, author);
            }
        }
        for device in &changed.peers {
            if let Some(peer) = self.peers.get(device) {
                self.rows.put_peer(tx, device, peer);
            }
        }
    }

    /// What is kept of an author, to be changed.
    fn author(&mut self, device: DeviceId) -> &mut Author {
        self.changed.authors.insert(device);
        self.authors.entry(device).or_default()
    }

    fn me(&self) -> DeviceId {
        self.head.me.device
    }

    /// A moment after `now`, by a delay drawn between the least and the most.
    fn after(&mut self, now: Time, (least, most): (u64, u64)) -> Time {
        now + least + self.rng.next_u64() % (most.saturating_sub(least) + 1)
    }

    /// How long acknowledgements are held back here.
    fn ack_delay_ms(&self) -> (u64, u64) {
        self.config.ack_delay_ms(self.members.others().len())
    }
}
