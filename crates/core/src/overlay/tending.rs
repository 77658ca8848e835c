//! Finding out what the table lacks, and dialling or asking for it (docs/protocol/overlay.md §5).
//!
//! Everything here follows from the state as it is: nothing is queued, so nothing goes stale. It runs a moment after
//! something changed, not at every event.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use mainframe_base::{Address, Fault, LinkKey, Prefix, Proximity, Role, Time};

use super::Overlay;
use super::book::{Known, slot_address, slot_length, suffix_of};
use super::peer::{HELLO_AGAIN_MS, HELLO_MS, Peer, Purpose, Question};
use super::ports::{Goodbye, OverlayFact, OverlayOut};
use super::pruning::Subnet;
use super::timers::{never, search_wait_ms};
use crate::crypto::NodeRecord;
use crate::wire::PEERS_MAX;

/// Records asked for to fill one suffix: one to dial and three spares.
const SLOT_RECORDS: u8 = 4;
/// Time between two surveys, in milliseconds: enough to dial whom the first one found (guess).
const SURVEY_MS: u64 = 3_000;
/// Relays asked in a survey, the closest first (guess: more than a neighbourhood of 8 usually has).
const SURVEYED_MAX: usize = 16;
/// Relays asked in a survey even if they are not in the neighbourhood: those of a newcomer.
const SURVEYED_MIN: usize = 3;
/// Relays a suffix question may go to, the closest to the suffix first.
const SLOT_ASKED_MAX: usize = 3;

/// A suffix in which nobody is connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    ask_at: Time,
    tries: usize,
}

/// One suffix of a bin as it is now.
#[derive(Clone, Copy, Default)]
struct SlotView {
    /// Relays connected or being dialled.
    standing: usize,
    candidate: Option<Address>,
}

impl Overlay {
    pub(super) fn tend(&mut self, now: Time, out: &mut OverlayOut) {
        if now < self.timers.tend {
            return;
        }
        self.timers.tend = never();
        self.reckon(now, out);
        self.prune(now, out);
        if self.is_lonely() {
            self.seek(now, out);
        } else if self.me.role_is(Role::Guest) {
            self.rotate(now, out);
        } else {
            self.fill_neighbourhood(now, out);
            self.all_slots_asked = self.fill_bins(now, out);
            self.ask_survey(now, out);
        }
        if !self.is_lonely() {
            self.tend_regions(now, out);
        }
        self.announce_joined(now, out);
        self.continue_lookups(now, out);
    }

    /// Whether a relay at this address would make the table better.
    pub(super) fn is_wanted(&self, address: &Address) -> bool {
        if self.me.role_is(Role::Guest) {
            let serves = |region: &Prefix| self.serves(region, address);
            return self.relays.len() < self.config.access_relays || self.regions().any(serves);
        }
        let proximity = self.neighbours.me().proximity(address);
        if proximity >= self.goal.min(self.neighbours.depth())
            || self.neighbours.bin(proximity).len() < self.config.bin_size
        {
            return true;
        }
        let suffix = suffix_of(address, proximity, self.config.suffix_bits());
        !self.book.slot(proximity, suffix).any(|(_, known)| known.connected)
    }

    fn fill_neighbourhood(&mut self, now: Time, out: &mut OverlayOut) {
        let mut missing = Vec::new();
        let mut retry_at = never();
        for (address, known) in self.book.region(&self.me.address(), self.goal) {
            if known.may_be_dialled(now) {
                missing.push((Reverse(known.proximity), known.promise(), *address));
            } else if !known.connected {
                retry_at = retry_at.min(known.retry_at);
            }
        }
        self.timers.tend_by(retry_at.max(now + 1_000));
        missing.sort_unstable();
        for (_, _, address) in missing {
            if self.dials.len() >= self.config.dials_max {
                break;
            }
            self.dial_known(now, &address, false, out);
        }
    }

    /// Says whether every empty suffix was asked about at least once.
    fn fill_bins(&mut self, now: Time, out: &mut OverlayOut) -> bool {
        let dialling: Vec<Address> = self.dials.addresses().collect();
        let mut all_asked = true;
        for bin in 0..self.goal {
            all_asked &= self.fill_bin(now, bin, &dialling, out);
        }
        all_asked
    }

    /// Looks for one relay in each suffix of the bin, then for as many as a bin should have.
    fn fill_bin(&mut self, now: Time, bin: Proximity, dialling: &[Address], out: &mut OverlayOut) -> bool {
        let mut views = self.view_bin(bin, dialling);
        let mut standing: usize = views.iter().map(|view| view.standing).sum();
        if standing >= self.config.bin_size && views.iter().all(|view| view.standing > 0) {
            return true;
        }
        self.find_candidates(now, bin, &mut views);
        let (mut asked, mut searching) = (true, false);
        for (suffix, view) in (0_u8..).zip(&views) {
            if view.standing > 0 {
                self.slots.remove(&(bin, suffix));
            } else if let Some(address) = view.candidate {
                standing += usize::from(self.dial_known(now, &address, false, out));
            } else {
                let tries = self.ask_for_slot(now, bin, suffix, out);
                asked &= tries > 0;
                searching |= tries <= 1;
            }
        }
        if !searching && standing < self.config.bin_size {
            self.top_up_bin(now, bin, self.config.bin_size - standing, out);
        }
        asked
    }

    fn view_bin(&self, bin: Proximity, dialling: &[Address]) -> Vec<SlotView> {
        let (me, bits) = (self.me.address(), self.config.suffix_bits());
        let mut views = vec![SlotView::default(); 1 << bits];
        let connected = self.neighbours.bin(bin).iter().map(|relay| &relay.address);
        for address in dialling.iter().filter(|address| me.proximity(address) == bin).chain(connected) {
            views[usize::from(suffix_of(address, bin, bits))].standing += 1;
        }
        views
    }

    /// The most promising relay to dial in each empty suffix.
    fn find_candidates(&self, now: Time, bin: Proximity, views: &mut [SlotView]) {
        for (suffix, view) in (0_u8..).zip(views).filter(|(_, view)| view.standing == 0) {
            let dialable = self.book.slot(bin, suffix).filter(|(_, known)| self.is_dialable(now, bin, known));
            view.candidate = dialable.min_by_key(|(_, known)| known.promise()).map(|(address, _)| *address);
        }
    }

    /// Nobody is missing in any suffix that anyone is known of; more of the others will do.
    fn top_up_bin(&mut self, now: Time, bin: Proximity, wanted: usize, out: &mut OverlayOut) {
        let mut candidates: Vec<_> = self
            .book
            .bin(bin)
            .filter(|(_, known)| known.is_hopeful() && self.is_dialable(now, bin, known))
            .filter(|(_, known)| !self.dials.is_dialling(&known.record.link_key))
            .map(|(address, known)| (known.promise(), *address))
            .collect();
        candidates.sort_unstable();
        for (_, address) in candidates.into_iter().take(wanted) {
            self.dial_known(now, &address, false, out);
        }
    }

    /// Whether a relay of this bin may be dialled now, and its subnet has not its share of the bin yet.
    fn is_dialable(&self, now: Time, bin: Proximity, known: &Known) -> bool {
        let full = || Subnet::of_record(&known.record).is_some_and(|subnet| self.is_full(bin, subnet));
        known.may_be_dialled(now) && !full()
    }

    /// Asks about an address of an empty suffix, if it is time to. Says how often that was done by now.
    fn ask_for_slot(&mut self, now: Time, bin: Proximity, suffix: u8, out: &mut OverlayOut) -> usize {
        let slot = self.slots.get(&(bin, suffix)).copied().unwrap_or(Slot { ask_at: now, tries: 0 });
        if slot.ask_at > now {
            self.timers.tend_by(slot.ask_at);
            return slot.tries;
        }
        let target = self.random_address_in(bin, suffix);
        let someone = self
            .closest(&target, SLOT_ASKED_MAX, None)
            .into_iter()
            .any(|key| self.ask(now, key, target, SLOT_RECORDS, Purpose::Slot, out));
        if !someone {
            // All of them are busy with questions of ours; their answers bring us back here, or this does.
            self.timers.tend_by(now + 1_000);
            return slot.tries;
        }
        let ask_at = now + search_wait_ms(slot.tries);
        self.slots.insert((bin, suffix), Slot { ask_at, tries: slot.tries + 1 });
        self.timers.tend_by(ask_at);
        slot.tries + 1
    }

    /// Random within the suffix, so that everyone finds someone else there.
    fn random_address_in(&mut self, bin: Proximity, suffix: u8) -> Address {
        let bits = self.config.suffix_bits();
        let slot = slot_address(&self.me.address(), bin, suffix, bits);
        self.random_address_from(&slot, slot_length(bin, bits))
    }

    /// Asks those nearest to us who is near us: once each in every survey.
    fn ask_survey(&mut self, now: Time, out: &mut OverlayOut) {
        if self.survey_wanted {
            if now >= self.survey_at {
                self.survey += 1;
                self.survey_wanted = false;
                self.survey_at = now + SURVEY_MS;
                self.survey_open = true;
            } else {
                self.timers.tend_by(self.survey_at);
            }
        }
        if !std::mem::take(&mut self.survey_open) {
            return;
        }
        let nearest: Vec<LinkKey> = self
            .neighbours
            .all()
            .iter()
            .rev()
            .enumerate()
            .take_while(|(rank, relay)| *rank < SURVEYED_MIN || *rank < SURVEYED_MAX && relay.proximity >= self.goal)
            .map(|(_, relay)| relay.key)
            .collect();
        for key in nearest {
            if self.peers.get(&key).is_none_or(|peer| peer.surveyed >= self.survey) {
                continue;
            }
            if self.ask(now, key, self.me.address(), PEERS_MAX as u8, Purpose::Survey, out) {
                let survey = self.survey;
                self.peers.entry(key).and_modify(|peer| peer.surveyed = survey);
            } else {
                self.survey_open = true;
            }
        }
    }

    /// Asks one relay who is near us.
    pub(super) fn ask_who_is_near(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        self.ask(now, key, self.me.address(), PEERS_MAX as u8, Purpose::Survey, out);
    }

    /// A full answer may have cut off the far edge of the neighbourhood: asks on, bin by bin, until it is reached.
    pub(super) fn on_survey(
        &mut self,
        now: Time,
        from: LinkKey,
        question: &Question,
        records: &[Arc<NodeRecord>],
        out: &mut OverlayOut,
    ) {
        let me = self.me.address();
        if records.len() < usize::from(question.asked.limit) {
            return;
        }
        let next = match me.proximity(&question.asked.target) {
            asked_bin if me.with_bit_flipped(asked_bin.min(255)) == question.asked.target => asked_bin.checked_sub(1),
            _ => records.iter().map(|record| me.proximity(&record.overlay)).min().filter(|bin| *bin < 256),
        };
        if let Some(bin) = next.filter(|bin| *bin >= self.goal) {
            self.ask(now, from, me.with_bit_flipped(bin), PEERS_MAX as u8, Purpose::Survey, out);
        }
    }

    /// We have joined when those near us told who else is near, all of them were tried, and every suffix was looked
    /// for once. Further relays of far bins may still be coming.
    fn announce_joined(&mut self, now: Time, out: &mut OverlayOut) {
        let surveyed = self.survey > 0 || self.me.role_is(Role::Guest);
        if self.joined || self.is_lonely() || !surveyed {
            return;
        }
        let me = self.me.address();
        let asking = self.peers.values().any(|peer| {
            let question = peer.question.filter(|question| question.repeats == 0);
            question.is_some_and(|question| question.purpose == Purpose::Survey)
        });
        let dialling = self.dials.addresses().any(|address| me.proximity(&address) >= self.goal);
        let unasked = !self.all_slots_asked && self.me.role_is(Role::Relay);
        if !asking && !dialling && !unasked {
            self.joined = true;
            out.fact(OverlayFact::Joined(self.neighbours.depth()));
        } else {
            self.timers.tend_by(now + 1_000);
        }
    }

    /// Repeats what was lost, and gives up what takes too long: greetings, questions, dials, visits.
    pub(super) fn keep_patience(&mut self, now: Time, out: &mut OverlayOut) {
        if now < self.timers.patience {
            return;
        }
        self.timers.patience = never();
        self.give_up_overdue_dials(now, out);
        let overdue: Vec<LinkKey> =
            self.tried.iter().filter(|key| patience_with(&self.peers, key) <= now).copied().collect();
        for key in overdue {
            self.wait_for_hello(now, key, out);
            self.repeat_question(now, key, out);
            self.end_visit(now, key, out);
        }
        self.tried.retain(|key| patience_with(&self.peers, key) < never());
        let next = self.tried.iter().map(|key| patience_with(&self.peers, key)).min().unwrap_or(never());
        self.timers.patience_by(next.min(self.dials.first_due()));
    }

    fn wait_for_hello(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get(&key).filter(|peer| peer.greeted.is_none()) else { return };
        if now >= peer.since + HELLO_MS {
            self.fault(now, key, Fault::Silent, out);
        } else if now >= peer.hello_sent_at + HELLO_AGAIN_MS {
            self.send_hello(now, key, out);
        }
    }

    fn end_visit(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get(&key).filter(|peer| peer.is_over(now)) else { return };
        if peer.is_relay() && peer.address().is_some_and(|address| self.is_wanted(&address)) {
            self.enter_table(now, key, out);
        } else {
            self.hang_up(now, key, Goodbye::Pruned, out);
        }
    }

    /// Random within a region.
    pub(super) fn random_address_within(&mut self, region: &Prefix) -> Address {
        self.random_address_from(&region.first_address(), region.luminosity().bits())
    }

    /// Random, but for its first bits.
    fn random_address_from(&mut self, first: &Address, bits: u16) -> Address {
        let random = self.random_address();
        splice(first, &random, bits)
    }

    pub(super) fn random_address(&mut self) -> Address {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.random().to_be_bytes());
        }
        Address(bytes)
    }
}

/// When patience with a peer ends; never if it is gone.
fn patience_with(peers: &BTreeMap<LinkKey, Peer>, key: &LinkKey) -> Time {
    peers.get(key).map_or(never(), Peer::patience_ends)
}

/// The first `bits` bits of one address and the rest of another.
fn splice(first: &Address, rest: &Address, bits: u16) -> Address {
    let mut bytes = rest.0;
    for (index, byte) in bytes.iter_mut().enumerate() {
        let kept = usize::from(bits).saturating_sub(index * 8).min(8);
        let mask = (0xFF_u16 >> kept) as u8;
        *byte = first.0[index] & !mask | *byte & mask;
    }
    Address(bytes)
}
