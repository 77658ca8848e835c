//! Relays in regions we listen to (docs/protocol/holding.md §4): a guest's access relays are those closest to its own address
//! that have room, and of any other region we want two.

use std::collections::VecDeque;
use std::sync::Arc;

use mainframe_base::{Address, LinkKey, Luminosity, Prefix, Role, Time};

use super::Overlay;
use super::lookup::{Lookup, Progress};
use super::peer::Peer;
use super::ports::{Goodbye, OverlayOut};
use super::timers::search_wait_ms;
use crate::crypto::NodeRecord;
use crate::jitter::jittered;
use crate::neighbours::Neighbour;

/// Relays wanted in a region that is not our own: one to hear from, one to check it by.
const RELAYS_WANTED: usize = 2;
/// Relays of one look-up that are tried: all it brings (guess).
const CANDIDATES_MAX: usize = 20;
/// Other known relays that a guest tries beside them (guess).
const OTHERS_MAX: usize = 8;
/// How long a relay that did not do for us what we were connected to it for is left alone, in milliseconds (guess: who
/// drops packets does so for long, and would else be the closest with room again and again).
const USELESS_MS: u64 = 3_600_000;
/// How long a guest stays with an access relay, in milliseconds (guess): an access relay sees when its guest sends. Changing
/// it seldom shows the guest to few, never changing it shows everything to one.
const ROTATE_MS: u64 = 6 * 3_600 * 1_000;

/// The search for relays of one region.
#[derive(Clone)]
pub(super) struct Sought {
    region: Prefix,
    lookup: Option<(u32, Lookup)>,
    /// Relays to be tried, the best first.
    candidates: VecDeque<Arc<NodeRecord>>,
    /// Whether those known from before were candidates already.
    recalled: bool,
    /// Whether someone of the last look-up would serve better than who stands, but has no room.
    crowded: bool,
    seek_at: Time,
    tries: usize,
}

impl Sought {
    pub(super) fn new(now: Time, region: Prefix) -> Sought {
        let (lookup, candidates, recalled, crowded) = (None, VecDeque::new(), false, false);
        Sought { region, lookup, candidates, recalled, crowded, seek_at: now, tries: 0 }
    }

    pub(super) fn lookup_mut(&mut self, id: u32) -> Option<&mut Lookup> {
        self.lookup.as_mut().filter(|(of, _)| *of == id).map(|(_, lookup)| lookup)
    }
}

impl Overlay {
    /// Keeps relays of these regions connected from now on, and of no others beyond those of our own address.
    pub fn attend(&mut self, now: Time, regions: Vec<Prefix>) {
        let home = self.home();
        self.sought.retain(|sought| sought.region == home || regions.contains(&sought.region));
        for region in regions {
            if self.sought.iter().all(|sought| sought.region != region) {
                self.sought.push(Sought::new(now, region));
            }
        }
        self.timers.tend_soon(now);
    }

    /// Takes part as something else from now on: parts from everyone, because what we are to each other has changed, and
    /// begins anew with the relays it knows.
    pub fn take_role(&mut self, now: Time, role: Role, out: &mut OverlayOut) {
        if self.me.role_is(role) {
            return;
        }
        let peers: Vec<LinkKey> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|key| self.hang_up(now, key, Goodbye::Pruned, out));
        self.me.take_role(now, role);
        self.neighbours = super::neighbours_of(&self.me);
        self.joined = false;
        self.survey_wanted = true;
        self.table_changed = true;
        self.told = None;
        self.places.calm();
        self.sought.iter_mut().for_each(|sought| *sought = Sought::new(now, sought.region));
        self.reckon(now, out);
        self.timers.tend_soon(now);
    }

    /// A relay does not do for us what we are connected to it for.
    pub fn let_go(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(address) = self.peers.get(&key).and_then(Peer::address) else { return };
        if self.me.role_is(Role::Guest) || self.is_attended(&address) {
            self.book.decline(now, &address);
            self.shun(now, key, USELESS_MS);
            self.hang_up(now, key, Goodbye::Pruned, out);
        }
    }

    /// Whether a relay is one of few of a region that we listen to.
    pub(super) fn is_attended(&self, address: &Address) -> bool {
        let foreign = self.sought.iter().filter(|sought| !self.neighbours.is_inside(&sought.region));
        foreign
            .filter(|sought| sought.region.matches(address))
            .any(|sought| self.standing(&sought.region) <= RELAYS_WANTED)
    }

    pub(super) fn regions(&self) -> impl Iterator<Item = &Prefix> {
        self.sought.iter().map(|sought| &sought.region)
    }

    fn standing(&self, region: &Prefix) -> usize {
        self.neighbours.all().iter().filter(|relay| region.matches(&relay.address)).count()
    }

    fn home(&self) -> Prefix {
        Prefix::of(self.neighbours.me(), Luminosity::FULL)
    }

    /// Whether a relay at this address would serve a region better than those it has.
    pub(super) fn serves(&self, region: &Prefix, address: &Address) -> bool {
        if self.neighbours.is_inside(region) {
            return false;
        }
        if *region != self.home() {
            return region.matches(address) && self.standing(region) < RELAYS_WANTED;
        }
        let closer = |relay: &&Neighbour| relay.proximity >= region.proximity(address);
        self.neighbours.all().iter().filter(closer).count() < self.config.access_relays
    }

    fn stands(&self, record: &NodeRecord) -> bool {
        self.relays.contains_key(&record.overlay)
    }

    /// Whether a relay is closer than those that have room for us. One that came a moment ago may be a visit.
    fn is_closer(&self, now: Time, address: &Address) -> bool {
        let settled = |key: &LinkKey| self.peers.get(key).is_some_and(|peer| peer.has_settled(now));
        let proximity = self.neighbours.me().proximity(address);
        let as_close = self.neighbours.within(proximity).iter().filter(|relay| settled(&relay.key));
        !self.relays.get(address).is_some_and(settled) && as_close.count() < self.config.access_relays
    }

    /// Looks for relays of regions that have too few, and dials whom it found.
    pub(super) fn tend_regions(&mut self, now: Time, out: &mut OverlayOut) {
        let mut all = std::mem::take(&mut self.sought);
        for sought in &mut all {
            self.tend_region(now, sought, out);
        }
        self.sought = all;
    }

    fn tend_region(&mut self, now: Time, sought: &mut Sought, out: &mut OverlayOut) {
        let is_home = sought.region == self.home();
        let (wanted, standing) = match is_home {
            true => (self.config.access_relays, self.neighbours.all().len()),
            false => (RELAYS_WANTED, self.standing(&sought.region)),
        };
        if self.neighbours.is_inside(&sought.region) || sought.lookup.is_some() {
            return;
        }
        if is_home && !std::mem::replace(&mut sought.recalled, true) {
            sought.candidates = self.others_known(now).into();
        }
        let dialled = self.dial_candidates(now, sought, wanted, out);
        // A guest with access relays looks once for closer ones, and on as long as there were some without room the last time:
        // on a visit it gets what they hold.
        let enough = standing >= wanted && (!is_home || sought.tries > 0 && !sought.crowded);
        if dialled > 0 || enough {
            return;
        }
        if now < sought.seek_at {
            return self.timers.tend_by(sought.seek_at);
        }
        self.begin_lookup(now, sought);
    }

    /// Dials as many as are wanted, and says how many that are.
    fn dial_candidates(&mut self, now: Time, sought: &mut Sought, wanted: usize, out: &mut OverlayOut) -> usize {
        let mut dialled = 0;
        // The best first: when one of them is not needed, neither are those behind it, as long as those who stand stay.
        while dialled < wanted
            && let Some(record) = sought
                .candidates
                .pop_front_if(|record| self.stands(record) || self.serves(&sought.region, &record.overlay))
        {
            let known = self.book.get(&record.overlay);
            let may = known.is_none_or(|known| known.may_be_dialled(now)) && !self.stands(&record);
            dialled += usize::from(may && self.dial_record(now, &record, false, out));
        }
        dialled
    }

    fn begin_lookup(&mut self, now: Time, sought: &mut Sought) {
        sought.seek_at = now + search_wait_ms(sought.tries);
        sought.tries += 1;
        self.timers.tend_by(sought.seek_at);
        let target = self.random_address_within(&sought.region);
        let id = self.estimator.take_lookup_id();
        let connected = self.relays.values().filter_map(|key| self.record_of(key)).cloned();
        sought.lookup = Some((id, Lookup::of(now, target, connected)));
    }

    /// Goes on with the look-ups for regions as answers come.
    pub(super) fn continue_seeking(&mut self, now: Time, out: &mut OverlayOut) {
        let mut all = std::mem::take(&mut self.sought);
        for sought in &mut all {
            let Some((id, mut lookup)) = sought.lookup.take() else { continue };
            match self.advance(now, id, &mut lookup, out) {
                Progress::Open => sought.lookup = Some((id, lookup)),
                Progress::Found | Progress::Late => self.weigh(now, sought, &lookup),
            }
        }
        self.sought = all;
    }

    /// Whom of those that a look-up found we would rather have than others.
    fn weigh(&mut self, now: Time, sought: &mut Sought, lookup: &Lookup) {
        let is_home = sought.region == self.home();
        let of_region = |record: &&Arc<NodeRecord>| is_home || sought.region.matches(&record.overlay);
        sought.candidates = lookup.relays().filter(of_region).take(CANDIDATES_MAX).cloned().collect();
        if is_home {
            sought.crowded = lookup.relays().any(|record| self.is_closer(now, &record.overlay));
            sought.candidates.extend(self.others_known(now));
        }
        self.timers.tend_soon(now);
    }

    /// Relays further away, the closest first: where all near us are full, one far away is better than none.
    fn others_known(&self, now: Time) -> Vec<Arc<NodeRecord>> {
        let mut others: Vec<_> = self.book.all().filter(|(_, known)| known.may_be_dialled(now)).collect();
        others
            .sort_unstable_by_key(|(address, known)| (std::cmp::Reverse(known.proximity), known.promise(), **address));
        others.into_iter().take(OTHERS_MAX).map(|(_, known)| known.record.clone()).collect()
    }

    /// A relay is gone: its regions are looked for again at once.
    pub(super) fn seek_again(&mut self, now: Time, address: &Address) {
        let home = self.home();
        for sought in self.sought.iter_mut().filter(|sought| sought.region == home || sought.region.matches(address)) {
            sought.tries = 0;
            sought.seek_at = now;
        }
    }

    /// A guest parts from the access relay it has had for long, when it has others. It will be let in again after a while.
    pub(super) fn rotate(&mut self, now: Time, out: &mut OverlayOut) {
        let longest =
            self.relays.values().filter_map(|key| self.peers.get(key)).min_by_key(|peer| (peer.since, peer.key));
        let Some((key, since)) = longest.map(|peer| (peer.key, peer.since)) else { return };
        let due = (since + ROTATE_MS).max(self.rotate_at);
        self.timers.tend_by(due);
        if due <= now && self.relays.len() >= self.config.access_relays {
            self.rotate_at = now + jittered(ROTATE_MS / self.config.access_relays.max(1) as u64, self.random());
            self.let_go(now, key, out);
        }
    }
}
