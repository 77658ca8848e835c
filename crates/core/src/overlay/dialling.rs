//! Whom to dial, from which source, and how often (docs/protocol/overlay.md §5).

use std::collections::BTreeMap;

use mainframe_base::{Address, LinkKey, Locator, Role, Time};
use rand_chacha::rand_core::Rng;

use super::Overlay;
use super::ports::{OverlayOut, OverlayWish};
use super::timers::never;
use crate::crypto::NodeRecord;
use crate::jitter::jittered;

/// When a dial without an answer is given up, in milliseconds: after the transports have (10 s).
const DIAL_MS: u64 = 15_000;
/// Wait before a lonely node tries again, in milliseconds; doubled up to the next (guess).
const SEEK_MS: u64 = 1_000;
/// Longest wait of a lonely node, in milliseconds (guess).
const SEEK_MS_MAX: u64 = 60_000;
/// Head start of the peer cache before bootstrap locators, in milliseconds (guess).
const CACHE_FIRST_MS: u64 = 2_000;
/// Locators kept from configuration and invitations.
const PLACES_MAX: usize = 64;
/// One feeler in so many goes to a bootstrap locator, so that two halves of a network that lost each other meet again.
const FEELERS_PER_PLACE: u64 = 8;
/// False hints after which a peer's records are not asked for any more (guess: twice a full answer).
pub(super) const FALSE_HINTS_MAX: u8 = 40;

/// What a dial is aimed at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Target {
    Relay(LinkKey),
    Place(Locator),
}

#[derive(Clone, Copy, Debug)]
struct Dial {
    address: Option<Address>,
    visit: bool,
    due: Time,
}

/// What we know of a connection because we dialled it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Called {
    pub(super) address: Option<Address>,
    pub(super) visit: bool,
}

/// Dials in the air.
#[derive(Clone, Default, Debug)]
pub(super) struct Dials(BTreeMap<Target, Dial>);

impl Dials {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_dialling(&self, key: &LinkKey) -> bool {
        self.0.contains_key(&Target::Relay(*key))
    }

    /// Addresses being dialled to stay.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.0.values().filter(|dial| !dial.visit).filter_map(|dial| dial.address)
    }

    /// A connection we asked for stands.
    pub(super) fn answered(&mut self, key: &LinkKey, remote: &Locator) -> Called {
        let place = self.0.remove(&Target::Place(*remote));
        let dial = self.0.remove(&Target::Relay(*key)).or(place);
        dial.map_or(Called::default(), |dial| Called { address: dial.address, visit: dial.visit })
    }

    /// We dialled each other at the same moment, and the other's call stands: nobody will report on ours.
    pub(super) fn crossed(&mut self, key: &LinkKey) {
        self.0.remove(&Target::Relay(*key));
    }

    /// When the first of them is to be given up.
    pub(super) fn first_due(&self) -> Time {
        self.0.values().map(|dial| dial.due).min().unwrap_or(never())
    }

    fn overdue(&self, now: Time) -> Vec<Target> {
        self.0.iter().filter(|(_, dial)| dial.due <= now).map(|(target, _)| *target).collect()
    }
}

/// Locators without a record: bootstrap nodes and hints of invitations.
#[derive(Clone, Debug)]
pub(super) struct Places {
    locators: Vec<Locator>,
    next: usize,
    seeks: u32,
    seek_at: Time,
    not_before: Time,
}

impl Places {
    pub(super) fn new(now: Time, mut locators: Vec<Locator>) -> Places {
        locators.truncate(PLACES_MAX);
        Places { locators, next: 0, seeks: 0, seek_at: now, not_before: now + CACHE_FIRST_MS }
    }

    pub(super) fn strike_out(&mut self, locator: &Locator) {
        self.locators.retain(|other| other != locator);
    }

    /// Somebody is connected: the next time we are lonely we seek at once.
    pub(super) fn calm(&mut self) {
        self.seeks = 0;
        self.seek_at = Time(0);
    }

    fn add(&mut self, locator: Locator) {
        if self.locators.contains(&locator) {
            return;
        }
        if self.locators.len() >= PLACES_MAX {
            self.locators.pop();
        }
        self.locators.insert(0, locator);
    }

    fn take_turn(&mut self) -> Option<Locator> {
        let locator = *self.locators.get(self.next % self.locators.len().max(1))?;
        self.next = (self.next + 1) % self.locators.len();
        Some(locator)
    }
}

impl Overlay {
    /// Dials these locators now: hints from an invitation or an operator. They are kept as further bootstrap locators.
    pub fn connect(&mut self, now: Time, locators: Vec<Locator>, out: &mut OverlayOut) {
        for locator in locators.into_iter().take(PLACES_MAX) {
            self.places.add(locator);
            self.dial_place(now, locator, false, out);
        }
    }

    /// A dial came to nothing.
    pub fn dial_failed(&mut self, now: Time, peer: Option<LinkKey>, locator: Locator, out: &mut OverlayOut) {
        let target = peer.map_or(Target::Place(locator), Target::Relay);
        self.give_up(now, target, out);
    }

    fn give_up(&mut self, now: Time, target: Target, out: &mut OverlayOut) {
        let Some(dial) = self.dials.0.remove(&target) else { return };
        self.timers.tend_soon(now);
        let Some(address) = dial.address else { return };
        // When nobody at all answers it is our own line that is cut, and the address book must survive that.
        let may_forget = !self.is_lonely();
        let informant = self.book.get(&address).and_then(|known| known.informant);
        if may_forget {
            self.blame_informant(informant);
        }
        let random = self.random();
        if let Some(known) = self.book.fail(now, &address, random, may_forget)
            && known.remembered
        {
            out.wish(OverlayWish::Forget(address));
        }
        self.reckon(now, out);
        self.continue_lookups(now, out);
    }

    /// A record that nobody answered at, or that lied about its position.
    pub(super) fn blame_informant(&mut self, informant: Option<LinkKey>) {
        if let Some(peer) = informant.and_then(|key| self.peers.get_mut(&key)) {
            peer.false_hints = peer.false_hints.saturating_add(1);
        }
    }

    /// A record that was good.
    pub(super) fn trust_informant(&mut self, informant: Option<LinkKey>) {
        if let Some(peer) = informant.and_then(|key| self.peers.get_mut(&key)) {
            peer.false_hints = peer.false_hints.saturating_sub(1);
        }
    }

    /// Dials a known relay, to stay or for a visit. Says whether it is being dialled.
    pub(super) fn dial_known(&mut self, now: Time, address: &Address, visit: bool, out: &mut OverlayOut) -> bool {
        let Some(record) = self.book.get(address).map(|known| known.record.clone()) else { return false };
        self.dial_record(now, &record, visit, out)
    }

    /// Dials whoever signed this record; see [`Overlay::dial_known`].
    pub(super) fn dial_record(&mut self, now: Time, record: &NodeRecord, visit: bool, out: &mut OverlayOut) -> bool {
        let key = record.link_key;
        if self.dials.is_dialling(&key) {
            return true;
        }
        if self.dials.len() >= self.config.dials_max || self.peers.contains_key(&key) || self.is_shunned(now, &key) {
            return false;
        }
        let wish = OverlayWish::Dial { peer: Some(key), locators: record.locators.clone() };
        self.dial(Target::Relay(key), Dial { address: Some(record.overlay), visit, due: now + DIAL_MS }, wish, out);
        true
    }

    fn dial_place(&mut self, now: Time, locator: Locator, visit: bool, out: &mut OverlayOut) {
        let connected = self.peers.values().any(|peer| peer.outbound && peer.remote == locator);
        let target = Target::Place(locator);
        if connected || self.dials.0.contains_key(&target) || self.dials.len() >= self.config.dials_max {
            return;
        }
        let wish = OverlayWish::Dial { peer: None, locators: vec![locator] };
        self.dial(target, Dial { address: None, visit, due: now + DIAL_MS }, wish, out);
    }

    fn dial(&mut self, target: Target, dial: Dial, wish: OverlayWish, out: &mut OverlayOut) {
        self.timers.patience_by(dial.due);
        self.dials.0.insert(target, dial);
        out.wish(wish);
    }

    /// Loses patience with dials nobody reported on.
    pub(super) fn give_up_overdue_dials(&mut self, now: Time, out: &mut OverlayOut) {
        for target in self.dials.overdue(now) {
            self.give_up(now, target, out);
        }
    }

    /// We are connected to nobody: tries the peer cache, then every locator we were told, with growing pauses.
    pub(super) fn seek(&mut self, now: Time, out: &mut OverlayOut) {
        if now < self.places.seek_at {
            return self.timers.tend_by(self.places.seek_at);
        }
        let mut candidates: Vec<_> = self
            .book
            .all()
            .filter(|(_, known)| known.may_be_dialled(now))
            .map(|(a, known)| (known.promise(), *a))
            .collect();
        candidates.sort_unstable();
        let cache_is_empty = candidates.is_empty();
        for (_, address) in candidates.into_iter().take(self.config.dials_max / 2) {
            self.dial_known(now, &address, false, out);
        }
        if cache_is_empty || now >= self.places.not_before {
            for _ in 0..self.places.locators.len() {
                let Some(locator) = self.places.take_turn() else { break };
                self.dial_place(now, locator, false, out);
            }
        }
        let wait_ms = (SEEK_MS << self.places.seeks.min(16)).min(SEEK_MS_MAX);
        self.places.seeks += 1;
        self.places.seek_at = now + jittered(wait_ms, self.random());
        self.timers.tend_by(self.places.seek_at);
    }

    /// Dials someone at random: keeps the address book honest, and finds what nobody told us.
    pub(super) fn send_feeler(&mut self, now: Time, out: &mut OverlayOut) {
        if now < self.timers.feeler {
            return;
        }
        self.timers.feeler = now + jittered(self.config.feeler_interval_ms, self.random());
        if self.is_lonely() {
            return;
        }
        self.ask_afar(now, out);
        if self.random().is_multiple_of(FEELERS_PER_PLACE)
            && let Some(locator) = self.places.take_turn()
        {
            return self.dial_place(now, locator, true, out);
        }
        let candidates: Vec<Address> =
            self.book.all().filter(|(_, known)| known.may_be_dialled(now)).map(|(address, _)| *address).collect();
        if !candidates.is_empty() {
            let chosen = candidates[(self.random() % candidates.len() as u64) as usize];
            self.dial_known(now, &chosen, true, out);
        }
    }

    /// Asks somebody who is not near us who is: two halves of a neighbourhood that lost each other have nobody in common to
    /// compare beliefs with, and each looks whole to itself.
    fn ask_afar(&mut self, now: Time, out: &mut OverlayOut) {
        let all = self.neighbours.all().iter();
        let afar: Vec<LinkKey> = all.filter(|relay| relay.proximity < self.goal).map(|relay| relay.key).collect();
        if self.me.role_is(Role::Relay) && !afar.is_empty() {
            let key = afar[(self.random() % afar.len() as u64) as usize];
            self.ask_who_is_near(now, key, out);
        }
    }

    pub(super) fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }
}
