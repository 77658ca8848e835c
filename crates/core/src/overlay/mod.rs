//! Who our neighbours are.
//!
//! The overlay keeps connections to relays at every distance (bins), knows all relays near its own position (the
//! neighbourhood), and tells the rest of the core about them as a plain [`Neighbours`] value. It knows no packets.
//! Bytes and rules: docs/protocol/overlay.md.
//!
//! | file | rule |
//! |---|---|
//! | `greeting` | nobody counts before a valid `Hello` |
//! | `book` | whom we know, connected or not |
//! | `depth` | where the neighbourhood begins |
//! | `tending` | what is missing, and asking and dialling for it |
//! | `questions` | asking for records and answering |
//! | `beliefs` | comparing neighbourhoods, so that they are complete |
//! | `dialling` | whom to dial, from which source, how often |
//! | `pruning` | whom to let go |
//! | `estimate` | how large the network is, and a region of it |
//! | `lookup` | who is closest to an address |
//! | `census` | which part of a region is counted |
//! | `regions` | relays of regions we listen to, and a guest's access relays |
//! | `whereabouts` | which of our own locators our record names |

mod beliefs;
mod book;
mod census;
mod config;
mod depth;
mod dialling;
mod estimate;
mod footprint;
mod greeting;
mod identity;
mod lookup;
mod peer;
mod ports;
mod pruning;
mod questions;
mod regions;
mod tending;
#[cfg(test)]
mod tests;
mod timers;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainframe_base::{Address, Fault, LinkKey, Locator, Luminosity, NetworkId, Prefix, Proximity, Role, Time};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::OverlayConfig;
pub use ports::{Estimate, Goodbye, OverlayFact, OverlayOut, OverlayWish, PeerSummary, RegionCount};

use crate::crypto::{NodeKeys, NodeRecord, Verifier};
use crate::neighbours::Neighbours;
use crate::wire::{Frame, Neighbourhood};
use book::Book;
use dialling::{Dials, Places};
use estimate::Estimator;
use identity::Identity;
use peer::Peer;
use pruning::Subnet;
use regions::Sought;
use tending::Slot;
use timers::Timers;

/// How long a peer that broke the protocol is neither dialled nor let in, in milliseconds (guess).
const SHUN_MS: u64 = 600_000;
/// The same for a peer that was only silent, in milliseconds (guess).
const SHUN_SILENT_MS: u64 = 30_000;
/// Peers shunned at once; beyond them the one whose time ends first is let go. 1,024 × 40 B.
const SHUNNED_MAX: usize = 1_024;

/// As whom a node takes part, and what it starts from.
#[expect(missing_debug_implementations, reason = "it holds the node's keys")]
pub struct Myself {
    /// The network.
    pub network: NetworkId,
    /// As what the node takes part.
    pub role: Role,
    /// Its keys.
    pub keys: NodeKeys,
    /// The seed of its overlay address; zero without a chain.
    pub seed: [u8; 32],
    /// Checks what others say of themselves.
    pub verifier: Verifier,
}

/// The overlay room: a state machine without clock and sockets.
#[expect(missing_debug_implementations, reason = "it holds the node's keys")]
#[derive(Clone)]
pub struct Overlay {
    config: OverlayConfig,
    me: Identity,
    rng: ChaCha8Rng,
    book: Book,
    peers: BTreeMap<LinkKey, Peer>,
    /// Those among them with whom patience may end: not greeted yet, owing an answer, or here for a visit.
    tried: BTreeSet<LinkKey>,
    /// Those among them that came into the table lately.
    newcomers: BTreeSet<LinkKey>,
    /// Connected relays that stand in bins.
    relays: BTreeMap<Address, LinkKey>,
    neighbours: Neighbours,
    /// How many of the relays of each bin have the same owner, roughly.
    subnets: BTreeMap<(Proximity, Subnet), usize>,
    /// Someone came or went since `neighbours` was last told of.
    table_changed: bool,
    /// The depth we shall have when everyone known is connected.
    goal: Proximity,
    /// Suffixes of bins in which nobody is connected.
    slots: BTreeMap<(Proximity, u8), Slot>,
    all_slots_asked: bool,
    /// What everyone whom it concerns was told of our neighbourhood last; none if someone came who was not.
    told: Option<Neighbourhood>,
    /// Counts the times we asked who is near us.
    survey: u32,
    survey_wanted: bool,
    /// Someone near us may not have been asked yet.
    survey_open: bool,
    survey_at: Time,
    dials: Dials,
    places: Places,
    shunned: BTreeMap<LinkKey, Time>,
    estimator: Estimator,
    /// Regions we listen to.
    sought: Vec<Sought>,
    /// When a guest may change an access relay next.
    rotate_at: Time,
    /// Counts questions.
    request: u32,
    joined: bool,
    timers: Timers,
}

impl Overlay {
    /// A node that knows the relays of its peer cache (`cached`, as it was told to remember them) and may try the
    /// `bootstrap` locators when the cache does not help. It acts at the first [`Overlay::wake`], which is due at once.
    pub fn new(
        now: Time,
        config: OverlayConfig,
        myself: Myself,
        cached: Vec<Arc<NodeRecord>>,
        bootstrap: Vec<Locator>,
        rng_seed: [u8; 32],
    ) -> Overlay {
        let me = Identity::new(now, myself);
        let mut book = Book::new(me.address(), &config);
        let ours = cached.into_iter().filter(|record| record.network == me.network());
        for record in ours.take(config.known_max) {
            book.remember(now, record);
        }
        let mut rng = ChaCha8Rng::from_seed(rng_seed);
        let timers = Timers::new(now, &config, rng.next_u64());
        Overlay {
            neighbours: neighbours_of(&me),
            sought: vec![Sought::new(now, Prefix::of(&me.address(), Luminosity::FULL))],
            rotate_at: now,
            subnets: BTreeMap::new(),
            estimator: Estimator::new(),
            places: Places::new(now, bootstrap),
            config,
            me,
            rng,
            book,
            peers: BTreeMap::new(),
            tried: BTreeSet::new(),
            newcomers: BTreeSet::new(),
            relays: BTreeMap::new(),
            table_changed: false,
            goal: 0,
            slots: BTreeMap::new(),
            all_slots_asked: false,
            told: None,
            survey: 0,
            survey_wanted: true,
            survey_open: true,
            survey_at: now,
            dials: Dials::default(),
            shunned: BTreeMap::new(),
            request: 0,
            joined: false,
            timers,
        }
    }

    /// A frame of the overlay came from a peer: `Hello`, `GetPeers`, `Peers` or `Neighbourhood`. Frames of others are
    /// not for this room; frames of peers already hung up are ignored.
    pub fn on_frame(&mut self, now: Time, from: LinkKey, frame: Frame, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if !peer.allowance.take(now, 1) {
            return self.fault(now, from, Fault::Flood, out);
        }
        if !matches!(frame, Frame::Hello(_)) && peer.greeted.is_none() {
            return self.on_early_frame(now, from, out);
        }
        match frame {
            Frame::Hello(hello) => self.on_hello(now, from, *hello, out),
            Frame::GetPeers(question) => self.on_question(now, from, question, out),
            Frame::Peers(answer) => self.on_answer(now, from, answer, out),
            Frame::Neighbourhood(belief) => self.on_belief(now, from, belief, out),
            Frame::Cell(_)
            | Frame::List(_)
            | Frame::Custody(_)
            | Frame::Digest(_)
            | Frame::Pull(_)
            | Frame::Recent(_)
            | Frame::Ask(_)
            | Frame::Held(_)
            | Frame::Subscribe(_) => {}
        }
    }

    /// The time of [`Overlay::next_wake`] has come. Early and late calls do no harm.
    pub fn wake(&mut self, now: Time, out: &mut OverlayOut) {
        self.keep_patience(now, out);
        self.tell_beliefs(now, out);
        self.send_feeler(now, out);
        self.start_due_estimate(now);
        self.tend(now, out);
    }

    /// When [`Overlay::wake`] is due at the latest.
    pub fn next_wake(&self) -> Option<Time> {
        Some(self.timers.next())
    }

    /// A listener is bound, or others were seen to reach us there (`proved`): our record names it from now on, if it is
    /// among the best we have.
    pub fn listening(&mut self, now: Time, locator: Locator, proved: bool, out: &mut OverlayOut) {
        if self.me.add_place(now, locator, proved) {
            self.tell_record(now, out);
        }
    }

    /// Nobody reaches us there any more: our record does not name it from now on.
    pub fn not_listening(&mut self, now: Time, locator: Locator, out: &mut OverlayOut) {
        if self.me.remove_place(now, &locator) {
            self.tell_record(now, out);
        }
    }

    fn tell_record(&mut self, now: Time, out: &mut OverlayOut) {
        let peers: Vec<LinkKey> = self.peers.keys().copied().collect();
        for key in peers {
            self.send_hello(now, key, out);
        }
    }

    /// Whom we are connected to: what packets are routed by.
    pub fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// Our own signed record, as others see it.
    pub fn record(&self) -> &Arc<NodeRecord> {
        self.me.record()
    }

    /// The record a connected peer presented.
    pub fn record_of(&self, key: &LinkKey) -> Option<&Arc<NodeRecord>> {
        self.peers.get(key)?.greeted.as_ref().map(|greeted| &greeted.record)
    }

    /// Whether this connected peer said a valid `Hello`; cells of others are not to be touched.
    pub fn is_greeted(&self, key: &LinkKey) -> bool {
        self.peers.get(key).is_some_and(|peer| peer.greeted.is_some())
    }

    /// Every peer that said a valid `Hello`, of every role, in the order of their keys.
    pub fn peers(&self) -> impl Iterator<Item = PeerSummary> {
        self.peers.values().filter_map(|peer| peer.summary(self.neighbours.me()))
    }

    /// Relays we know of, connected or not.
    pub fn known(&self) -> usize {
        self.book.len()
    }

    /// Whether the table has settled since the start, and someone is connected.
    pub fn has_joined(&self) -> bool {
        self.joined && !self.relays.is_empty()
    }

    /// The latest estimate of the network's size.
    pub fn estimate(&self) -> Option<Estimate> {
        self.estimator.latest()
    }

    /// The peer broke the protocol: hangs up on it and shuns it for a while. For faults found elsewhere too, such as
    /// in its cells; nothing happens if it is gone already.
    pub fn fault(&mut self, now: Time, key: LinkKey, fault: Fault, out: &mut OverlayOut) {
        if !self.peers.contains_key(&key) {
            return;
        }
        out.fact(OverlayFact::Fault(key, fault));
        let random = self.random();
        let address = self.peers.get(&key).and_then(Peer::address);
        match (fault, address) {
            (Fault::Silent, Some(address)) => self.book.lose(now, &address, random),
            (_, Some(address)) => self.book.decline(now, &address),
            (_, None) => {}
        }
        self.shun(now, key, if fault == Fault::Silent { SHUN_SILENT_MS } else { SHUN_MS });
        self.hang_up(now, key, Goodbye::Fault(fault), out);
    }

    fn shun(&mut self, now: Time, key: LinkKey, for_ms: u64) {
        if self.shunned.len() >= SHUNNED_MAX {
            let first = self.shunned.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key);
            first.map(|key| self.shunned.remove(&key));
        }
        self.shunned.insert(key, now + for_ms);
    }

    fn is_shunned(&self, now: Time, key: &LinkKey) -> bool {
        self.shunned.get(key).is_some_and(|until| *until > now)
    }

    fn role(&self) -> Role {
        self.me.record().role
    }

    fn is_lonely(&self) -> bool {
        self.relays.is_empty()
    }

    /// Finds out where the neighbourhood begins after someone came or went, or was heard of.
    fn reckon(&mut self, now: Time, out: &mut OverlayOut) {
        let fills = self.book.fills();
        let goal = depth::goal(fills, self.config.neighbourhood);
        let depth = match self.role() {
            Role::Relay => depth::depth(fills, self.config.neighbourhood, self.config.bin_floor),
            Role::Guest => 0,
        };
        if goal != self.goal {
            if goal < self.goal {
                self.book.pardon(now, goal);
            }
            self.goal = goal;
            self.survey_wanted = true;
            self.survey_open = true;
            self.slots.retain(|(bin, _), _| *bin < goal);
        }
        if depth == self.neighbours.depth() && !self.table_changed {
            return;
        }
        self.table_changed = false;
        self.survey_open = true;
        self.neighbours.set_depth(depth);
        self.timers.change(now, &mut self.rng);
        self.timers.prune = now;
        out.fact(OverlayFact::NeighboursChanged);
    }

    /// Patience with this peer ends at that moment at the latest, unless it does what it is expected to do.
    fn try_until(&mut self, key: LinkKey, at: Time) {
        self.tried.insert(key);
        self.timers.patience_by(at);
    }
}

/// Nobody yet, seen from where and as what we stand.
fn neighbours_of(me: &Identity) -> Neighbours {
    if me.role_is(Role::Guest) { Neighbours::of_guest(me.address()) } else { Neighbours::none(me.address()) }
}
