//! What regions hold for those who are away, and getting what was held while we were away ourselves.
//!
//! Every relay of a cell's region keeps it for the hours of its hold class, whoever it is for, and lets it go when they are
//! over and not before. Who was away asks for all cells of a region, an hour and a bucket of tags, never for his own. Rules
//! and reasons: docs/protocol/holding.md.
//!
//! - `shelf`, `catalogue`: what we hold, and how much of the quota it takes; the bytes lie in the node's store
//! - `subscribers`: who hears of new cells of our regions as they come
//! - `serving`: answering questions and pulls
//! - `attending`: the regions we listen to, and at which relays
//! - `completeness`: until when everything has come
//! - `fetching`: getting the cells that others told of

mod attending;
mod catalogue;
mod completeness;
mod fetching;
mod footprint;
#[cfg(test)]
mod rig;
mod serving;
mod shelf;
mod subscribers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mainframe_base::{LinkKey, PacketId, Prefix, Time};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use crate::neighbours::Neighbours;
use crate::wire::{Cell, Frame, HoldClass, TagBucket};
use attending::Attendance;
pub use attending::{ATTENDANCES_MAX, AttendanceView};
use catalogue::Catalogue;
pub use catalogue::HeldCell;
pub use completeness::Completeness;
use fetching::Fetches;
use serving::Serving;
pub use shelf::Shelf;
use subscribers::Subscribers;

/// Bounds and pace of holding.
#[derive(Clone, Debug)]
pub struct HoldConfig {
    /// How many bytes of cells we hold for others without being paid: 1 GiB has room for 55,000 small cells an hour of the
    /// one-hour class, 6,600 of the 24-hour class and 2,300 of the 72-hour class (guess: what nobody misses on a disk).
    pub bytes_max: u64,
    /// Time between two looks at whether the relays we listen to told us of everything, in milliseconds (guess: half of
    /// a live cell's life, so that what a relay kept to itself comes within its life).
    pub recheck_ms: u64,
    /// Whether to get what was held for our own address while we were away. Off only where packets are measured alone.
    pub attends_home: bool,
}

impl Default for HoldConfig {
    fn default() -> Self {
        HoldConfig { bytes_max: 1 << 30, recheck_ms: 300_000, attends_home: true }
    }
}

/// An order to the node's store; it answers in its own time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreOrder {
    /// Write this cell; answered with `Kept` or `NotKept`.
    Keep(Shelf, Cell),
    /// Read a cell; answered with `Read`.
    Read(Shelf, PacketId),
    /// Delete all cells of a shelf; not answered.
    Drop(Shelf),
}

/// What the node's store says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreReport {
    /// These are safe: they survive a loss of power.
    Kept(Vec<PacketId>),
    /// These could not be written; nothing of them is kept.
    NotKept(Vec<PacketId>),
    /// What was read; none if it is gone.
    Read(PacketId, Option<Cell>),
}

/// What should happen.
#[derive(Clone, PartialEq, Debug)]
pub enum HoldWish {
    /// Send a control frame to a connected peer.
    Send(LinkKey, Frame),
    /// Hand a cell to a peer that asked for it, in the packet room's good time.
    Serve(LinkKey, Cell),
    /// Have the node's store do something.
    Store(StoreOrder),
    /// Remember that we listen to this region and bucket, and that everything sent there before that moment has come.
    Note(Prefix, TagBucket, Completeness),
    /// Remember no longer that we listen to this region.
    Forget(Prefix),
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldFact {
    /// A relay does not answer questions about what it holds.
    Unserved(LinkKey),
}

/// What a call leaves behind.
#[derive(Clone, Default, Debug)]
pub struct HoldOut {
    /// What should happen, in order.
    pub wishes: Vec<HoldWish>,
    /// What happened, in order.
    pub facts: Vec<HoldFact>,
}

/// When a call is made, among whom, and what it leaves behind.
#[derive(Debug)]
pub struct HoldScene<'a> {
    /// The present.
    pub now: Time,
    /// Whom we are connected to.
    pub neighbours: &'a Neighbours,
    /// Facts and wishes, appended to.
    pub out: &'a mut HoldOut,
}

impl HoldScene<'_> {
    fn send(&mut self, to: LinkKey, frame: Frame) {
        self.out.wishes.push(HoldWish::Send(to, frame));
    }
}

/// Counts since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the metrics' names and say what is counted")]
pub struct HoldCounters {
    pub cells_held: u64,
    pub holds_refused: u64,
    pub holds_failed: u64,
    pub cells_let_go: u64,
    pub asks_answered: u64,
    pub asks_refused: u64,
    pub held_pulls_served: u64,
    pub held_pulls_refused: u64,
    pub asks_sent: u64,
    pub asks_unanswered: u64,
    pub cells_fetched: u64,
    pub fetches_given_up: u64,
}

impl HoldCounters {
    /// Every counter with its name.
    pub fn pairs(&self) -> [(&'static str, u64); 12] {
        [
            ("cells_held", self.cells_held),
            ("holds_refused", self.holds_refused),
            ("holds_failed", self.holds_failed),
            ("cells_let_go", self.cells_let_go),
            ("asks_answered", self.asks_answered),
            ("asks_refused", self.asks_refused),
            ("held_pulls_served", self.held_pulls_served),
            ("held_pulls_refused", self.held_pulls_refused),
            ("asks_sent", self.asks_sent),
            ("asks_unanswered", self.asks_unanswered),
            ("cells_fetched", self.cells_fetched),
            ("fetches_given_up", self.fetches_given_up),
        ]
    }
}

/// What is to be said of holding.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HoldStatus {
    /// Cells we hold for others.
    pub cells: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The quota.
    pub bytes_max: u64,
    /// Cells that came in an hour: of the last two hours, that in which more did.
    pub cells_per_hour: usize,
    /// Whether the store refused the last cell it was given: it is full or broken.
    pub refusing: bool,
    /// Peers that hear of new cells from us.
    pub subscribers: usize,
    /// The regions we listen to.
    pub attending: Vec<AttendanceView>,
    /// Cells told of that have not come yet.
    pub missing: usize,
}

/// Holding at one node.
#[derive(Clone, Debug)]
pub struct Hold {
    config: HoldConfig,
    rng: ChaCha8Rng,
    catalogue: Catalogue,
    refusing: bool,
    subscribers: Subscribers,
    serving: Serving,
    attendances: Vec<Attendance>,
    unserved: BTreeMap<LinkKey, Time>,
    fetches: Fetches,
    request: u32,
    counters: HoldCounters,
}

impl Hold {
    /// Holds what the store was found to hold.
    pub fn new(config: HoldConfig, found: Vec<HeldCell>, rng_seed: [u8; 32]) -> Hold {
        Hold {
            catalogue: Catalogue::new(config.bytes_max, found),
            config,
            rng: ChaCha8Rng::from_seed(rng_seed),
            refusing: false,
            subscribers: Subscribers::default(),
            serving: Serving::default(),
            attendances: Vec::new(),
            unserved: BTreeMap::new(),
            fetches: Fetches::default(),
            request: 0,
            counters: HoldCounters::default(),
        }
    }

    /// A cell has come that was not here before, and has gone on to the endpoint half: hold it if it asks for that and lies
    /// in our region, and tell whoever listens here. Nobody looks at whom it is for.
    pub fn arrived(&mut self, scene: &mut HoldScene<'_>, cell: &Cell) {
        let fetched = self.fetched(scene, cell);
        if scene.neighbours.is_inside(&cell.destination()) {
            let shelf = match fetched {
                Some(hour) => Shelf::of_hour(hour, cell),
                None => Shelf::of_live(scene.now, cell),
            };
            shelf.into_iter().for_each(|shelf| self.hold(scene, shelf, cell));
        }
        self.note_had(scene.now, fetched, cell);
        self.subscribers.tell(scene, cell);
    }

    fn hold(&mut self, scene: &mut HoldScene<'_>, shelf: Shelf, cell: &Cell) {
        if shelf.ends() <= scene.now {
            return;
        }
        match self.catalogue.admit(HeldCell::of(shelf, cell)) {
            Ok(true) => scene.out.wishes.push(HoldWish::Store(StoreOrder::Keep(shelf, cell.clone()))),
            Ok(false) => {}
            Err(_) => self.counters.holds_refused += 1,
        }
    }

    /// The node's store has done what it was told, or could not.
    pub fn store_said(&mut self, scene: &mut HoldScene<'_>, report: StoreReport) {
        match report {
            StoreReport::Kept(ids) => {
                self.refusing = false;
                self.counters.cells_held += ids.len() as u64;
                ids.iter().for_each(|id| self.catalogue.set_kept(id));
            }
            StoreReport::NotKept(ids) => {
                self.refusing = true;
                self.counters.holds_failed += ids.len() as u64;
                ids.iter().for_each(|id| self.catalogue.give_up(id));
            }
            StoreReport::Read(id, cell) => self.read(scene, id, cell),
        }
    }

    /// A peer is gone.
    pub fn peer_down(&mut self, scene: &mut HoldScene<'_>, peer: LinkKey) {
        self.subscribers.remove(&peer);
        self.serving.remove(&peer);
        self.fetches.lose(&peer);
        self.tend(scene);
    }

    /// Does what the time has come for.
    pub fn wake(&mut self, scene: &mut HoldScene<'_>) {
        let before = self.catalogue.len();
        let gone = self.catalogue.prune(scene.now).into_iter().chain(self.catalogue.shrink());
        scene.out.wishes.extend(gone.map(|shelf| HoldWish::Store(StoreOrder::Drop(shelf))));
        self.counters.cells_let_go += (before - self.catalogue.len()) as u64;
        self.unserved.retain(|_, until| *until > scene.now);
        self.fetch_again(scene);
        self.tend(scene);
    }

    /// When [`Hold::wake`] is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        let attendances = self.attendances.iter().filter_map(Attendance::next_wake);
        attendances.chain(self.catalogue.next_end()).chain(self.fetches.next_due()).min()
    }

    /// Sends what was gathered since the last call: once per step, so that it travels together.
    pub fn flush(&mut self, out: &mut HoldOut) {
        self.subscribers.flush(out);
    }

    /// A summary.
    pub fn status(&self) -> HoldStatus {
        let (bytes, bytes_max) = self.catalogue.bytes();
        HoldStatus {
            cells: self.catalogue.len(),
            bytes,
            bytes_max,
            cells_per_hour: self.catalogue.per_hour(),
            refusing: self.refusing,
            subscribers: self.subscribers.len(),
            attending: self.attendances.iter().map(Attendance::view).collect(),
            missing: self.fetches.len(),
        }
    }

    /// Counts since the start.
    pub fn counters(&self) -> &HoldCounters {
        &self.counters
    }

    /// Whether a cell is held and safe.
    pub fn holds(&self, id: &PacketId) -> bool {
        self.catalogue.kept(id).is_some()
    }
}

/// Whether a cell may be asked for by whoever is not a relay of its region.
fn is_for_those_away(cell: &Cell) -> bool {
    cell.header().hold_class != HoldClass::Live
}
