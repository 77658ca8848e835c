//! The address book: records of relays, connected or not, and what became of dialling them.
//!
//! A record heard from others is *hearsay*: its signature shows that the link key's owner made it, but whether the
//! position is its own is seen only in a `Hello`. Hearsay may be dialled, and may be false; it never pushes out what
//! was proved, and it is forgotten soon when nobody answers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use mainframe_base::{ADDRESS_BITS, Address, LinkKey, Proximity, Time};

use super::OverlayConfig;
use super::depth::Fill;
use crate::crypto::NodeRecord;
use crate::jitter::jittered;

/// Failures after which hearsay is forgotten: 5, 10 and 20 s apart, well under a minute.
const HEARSAY_FAILURES_MAX: u8 = 3;
/// Failures after which a relay we once spoke with is forgotten: about five minutes, a restart with time to spare.
const PROVEN_FAILURES_MAX: u8 = 6;
/// Wait before the second dial; doubled for each further one. Milliseconds (guess).
const RETRY_MS: u64 = 5_000;
/// Wait before a lost relay is dialled again, in milliseconds: long enough for both ends to notice (guess).
const LOST_MS: u64 = 2_000;
/// Longest wait before a dial, in milliseconds (guess).
const RETRY_MS_MAX: u64 = 600_000;
/// Wait before a relay that had no room is dialled again, in milliseconds (guess).
const DECLINED_MS: u64 = 300_000;

/// A relay we know of.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) record: Arc<NodeRecord>,
    pub(super) proximity: Proximity,
    /// Whoever told us, until the record is proved by a `Hello`.
    pub(super) informant: Option<LinkKey>,
    /// Whether a `Hello` showed that the position belongs to the link key.
    pub(super) proven: bool,
    pub(super) remembered: bool,
    pub(super) connected: bool,
    failures: u8,
    declined: bool,
    heard_at: Time,
    pub(super) retry_at: Time,
}

impl Known {
    /// No reason to think it unreachable.
    pub(super) fn is_hopeful(&self) -> bool {
        self.connected || (self.failures == 0 && !self.declined && !self.record.locators.is_empty())
    }

    /// Whether it may be dialled at `now`.
    pub(super) fn may_be_dialled(&self, now: Time) -> bool {
        !self.connected && self.retry_at <= now && !self.record.locators.is_empty()
    }

    /// What makes one candidate better than another: fewer failures, then heard of more lately.
    pub(super) fn promise(&self) -> (u8, bool, std::cmp::Reverse<Time>) {
        (self.failures, self.declined, std::cmp::Reverse(self.heard_at))
    }
}

/// How full each bin is, kept as relays come, go and change: it is asked for after nearly every event.
#[derive(Clone, Debug, Default)]
struct Fills {
    /// How full; bins that nobody ever stood in may be missing.
    fills: Vec<Fill>,
    /// Relays of each bin, hopeful or not.
    sizes: Vec<usize>,
}

impl Fills {
    fn add(&mut self, known: &Known) {
        let bin = usize::from(known.proximity);
        if self.fills.len() <= bin {
            self.fills.resize(bin + 1, Fill::default());
            self.sizes.resize(bin + 1, 0);
        }
        self.sizes[bin] += 1;
        self.fills[bin].known += usize::from(known.is_hopeful());
        self.fills[bin].connected += usize::from(known.connected);
    }

    fn remove(&mut self, known: &Known) {
        let bin = usize::from(known.proximity);
        self.sizes[bin] -= 1;
        self.fills[bin].known -= usize::from(known.is_hopeful());
        self.fills[bin].connected -= usize::from(known.connected);
    }

    /// Changes a relay that is counted.
    fn around<R>(&mut self, known: &mut Known, change: impl FnOnce(&mut Known) -> R) -> R {
        self.remove(known);
        let result = change(known);
        self.add(known);
        result
    }

    fn size(&self, bin: Proximity) -> usize {
        self.sizes.get(usize::from(bin)).copied().unwrap_or(0)
    }
}

/// All relays we know of, in the order of their addresses: every bin and every suffix of a bin is one range.
#[derive(Clone, Debug)]
pub(super) struct Book {
    me: Address,
    suffix_bits: u16,
    per_bin: usize,
    total_max: usize,
    known: BTreeMap<Address, Known>,
    /// Records that had to make room and stand in the peer cache still.
    evicted: Vec<Address>,
    fills: Fills,
}

impl Book {
    pub(super) fn new(me: Address, config: &OverlayConfig) -> Book {
        Book {
            me,
            suffix_bits: config.suffix_bits(),
            per_bin: config.known_per_bin,
            total_max: config.known_max,
            known: BTreeMap::new(),
            evicted: Vec::new(),
            fills: Fills::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn get(&self, address: &Address) -> Option<&Known> {
        self.known.get(address)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Address, &Known)> {
        self.known.iter()
    }

    /// Those that share at least `bits` bits with `address`.
    pub(super) fn region(&self, address: &Address, bits: u16) -> impl Iterator<Item = (&Address, &Known)> {
        self.known.range(span(address, bits))
    }

    /// Those of one bin.
    pub(super) fn bin(&self, proximity: Proximity) -> impl Iterator<Item = (&Address, &Known)> {
        self.known.range(span(&self.me.with_bit_flipped(proximity), proximity + 1))
    }

    /// Those of one suffix of a bin.
    pub(super) fn slot(&self, proximity: Proximity, suffix: u8) -> impl Iterator<Item = (&Address, &Known)> {
        let address = slot_address(&self.me, proximity, suffix, self.suffix_bits);
        self.known.range(span(&address, slot_length(proximity, self.suffix_bits)))
    }

    /// How full each bin is, from the shallowest to the deepest that ever had anyone.
    pub(super) fn fills(&self) -> &[Fill] {
        &self.fills.fills
    }

    /// Takes in a record whose signature was verified, told by `informant` or read from the peer cache. Says whether
    /// the book is any wiser.
    pub(super) fn hear(&mut self, now: Time, record: Arc<NodeRecord>, informant: Option<LinkKey>) -> bool {
        if record.overlay == self.me || record.locators.is_empty() {
            return false;
        }
        if let Some(known) = self.known.get_mut(&record.overlay) {
            return self.fills.around(known, |known| known.hear_again(now, record, informant));
        }
        if !self.make_room(&record.overlay) {
            return false;
        }
        self.insert(now, record, informant);
        true
    }

    /// Takes in a record of the peer cache: of a relay that we were connected to once.
    pub(super) fn remember(&mut self, now: Time, record: Arc<NodeRecord>) {
        if record.overlay != self.me && !self.known.contains_key(&record.overlay) {
            let known = self.insert(now, record, None);
            known.proven = true;
            known.remembered = true;
        }
    }

    /// Takes in the record of a relay that said a valid `Hello`. Says whether the peer cache should keep it anew.
    pub(super) fn prove(&mut self, now: Time, record: &Arc<NodeRecord>) -> bool {
        if !self.known.contains_key(&record.overlay) {
            // It is connected: if there is no room it stays as long as the connection does.
            self.make_room(&record.overlay);
            self.insert(now, record.clone(), None);
        }
        let Some(known) = self.known.get_mut(&record.overlay) else { return false };
        let news = !known.remembered || known.record.sequence != record.sequence;
        self.fills.around(known, |known| known.prove(now, record.clone()));
        news
    }

    /// Whom the peer cache is to forget because others took their room since the last call.
    pub(super) fn take_evicted(&mut self) -> Vec<Address> {
        std::mem::take(&mut self.evicted)
    }

    /// It has a place in the bins.
    pub(super) fn set_connected(&mut self, address: &Address) {
        if let Some(known) = self.known.get_mut(address) {
            self.fills.around(known, |known| known.connected = true);
        }
    }

    /// A connection ended. Returns the record if there is no room to keep it: nobody can fill the book by coming and
    /// going under many names.
    pub(super) fn part(&mut self, now: Time, address: &Address) -> Option<Known> {
        let known = self.known.get_mut(address)?;
        known.heard_at = now;
        self.fills.around(known, |known| known.connected = false);
        let bin = known.proximity;
        let full = self.known.len() > self.total_max || self.fills.size(bin) > self.per_bin;
        if full { self.remove(address) } else { None }
    }

    /// One of us has no room for the other, or no trust.
    pub(super) fn decline(&mut self, now: Time, address: &Address) {
        if let Some(known) = self.known.get_mut(address) {
            self.fills.around(known, |known| known.declined = true);
            known.retry_at = now + DECLINED_MS;
        }
    }

    /// Our neighbourhood begins at `depth` now: who had no room for us as one of many has room for a neighbour.
    pub(super) fn pardon(&mut self, now: Time, depth: Proximity) {
        for known in self.known.range_mut(span(&self.me, depth)).map(|(_, known)| known).filter(|known| known.declined)
        {
            self.fills.around(known, |known| known.declined = false);
            known.retry_at = now;
        }
    }

    /// A connection that had lasted is gone. It is tried again soon, but nobody counts on it until it answers.
    pub(super) fn lose(&mut self, now: Time, address: &Address, random: u64) {
        if let Some(known) = self.known.get_mut(address) {
            self.fills.around(known, |known| known.failures = known.failures.max(1));
            known.retry_at = now + jittered(LOST_MS, random);
        }
    }

    /// A dial failed. Returns the record if it is forgotten for that.
    pub(super) fn fail(&mut self, now: Time, address: &Address, random: u64, may_forget: bool) -> Option<Known> {
        let known = self.known.get_mut(address).filter(|known| !known.connected)?;
        let limit = if known.proven { PROVEN_FAILURES_MAX } else { HEARSAY_FAILURES_MAX };
        let wait_ms = (RETRY_MS << known.failures).min(RETRY_MS_MAX);
        self.fills.around(known, |known| known.failures = (known.failures + 1).min(limit));
        known.retry_at = now + jittered(wait_ms, random);
        if known.failures < limit || !may_forget { None } else { self.remove(address) }
    }

    /// Strikes a record out.
    pub(super) fn remove(&mut self, address: &Address) -> Option<Known> {
        let known = self.known.remove(address)?;
        self.fills.remove(&known);
        Some(known)
    }

    fn insert(&mut self, now: Time, record: Arc<NodeRecord>, informant: Option<LinkKey>) -> &mut Known {
        let known = Known {
            proximity: self.me.proximity(&record.overlay),
            informant,
            proven: false,
            remembered: false,
            connected: false,
            failures: 0,
            declined: false,
            heard_at: now,
            retry_at: now,
            record,
        };
        self.fills.add(&known);
        self.known.entry(known.record.overlay).insert_entry(known).into_mut()
    }

    /// Makes room for hearsay about `address`, or says that there is none.
    fn make_room(&mut self, address: &Address) -> bool {
        let proximity = self.me.proximity(address);
        if self.fills.size(proximity) >= self.per_bin && !self.evict_from_bin(proximity, address) {
            return false;
        }
        if self.known.len() < self.total_max {
            return true;
        }
        let worst = self.known.iter().filter(|(_, known)| is_evictable(known)).max_by_key(|(_, known)| known.promise());
        let worst = worst.map(|(address, _)| *address);
        worst.is_some_and(|address| self.evict(&address))
    }

    fn evict(&mut self, address: &Address) -> bool {
        let Some(known) = self.remove(address) else { return false };
        if known.remembered {
            self.evicted.push(*address);
        }
        true
    }

    /// Removes one record of a full bin: one that failed, else hearsay of a suffix that has more than `address`'s has.
    fn evict_from_bin(&mut self, proximity: Proximity, address: &Address) -> bool {
        let mut crowd = [0_usize; 16];
        for (other, _) in self.bin(proximity) {
            crowd[usize::from(suffix_of(other, proximity, self.suffix_bits))] += 1;
        }
        let suffix_bits = self.suffix_bits;
        let crowd_of = |address: &Address| crowd[usize::from(suffix_of(address, proximity, suffix_bits))];
        let worst = self
            .bin(proximity)
            .filter(|(other, known)| {
                is_evictable(known) && (!known.is_hopeful() || crowd_of(other) > crowd_of(address) + 1)
            })
            .max_by_key(|(other, known)| (!known.is_hopeful(), crowd_of(other), known.promise()))
            .map(|(other, _)| *other);
        worst.is_some_and(|address| self.evict(&address))
    }
}

impl Known {
    /// A valid `Hello` presented this record.
    fn prove(&mut self, now: Time, record: Arc<NodeRecord>) {
        self.record = record;
        self.proven = true;
        self.informant = None;
        self.remembered = true;
        self.failures = 0;
        self.declined = false;
        self.heard_at = now;
    }

    fn hear_again(&mut self, now: Time, record: Arc<NodeRecord>, informant: Option<LinkKey>) -> bool {
        let same_key = self.record.link_key == record.link_key;
        if same_key && record.sequence > self.record.sequence {
            self.record = record;
            self.heard_at = now;
            self.failures = 0;
            self.declined = false;
            self.retry_at = now;
            return true;
        }
        let doubtful = !self.proven && !self.connected && self.failures > 0;
        if !same_key && doubtful {
            self.record = record;
            self.informant = informant;
            self.failures = 0;
            self.retry_at = now;
            return true;
        }
        if same_key {
            self.heard_at = now;
        }
        false
    }
}

/// What was proved is given up for hearsay only after it failed, and what is connected never.
fn is_evictable(known: &Known) -> bool {
    !known.connected && !known.remembered || !known.is_hopeful() && !known.connected && known.failures > 0
}

/// The first and the last address that share `bits` bits with `address`.
pub(super) fn span(address: &Address, bits: u16) -> RangeInclusive<Address> {
    let (mut first, mut last) = (address.0, address.0);
    for index in 0..32 {
        let kept = usize::from(bits).saturating_sub(index * 8).min(8);
        let mask = (0xFF_u16 >> kept) as u8;
        first[index] &= !mask;
        last[index] |= mask;
    }
    Address(first)..=Address(last)
}

/// Which suffix of the bin `proximity` an address has: the bits after the bin's own bit.
pub(super) fn suffix_of(address: &Address, proximity: Proximity, suffix_bits: u16) -> u8 {
    let first = proximity + 1;
    let bits = first..(first + suffix_bits).min(ADDRESS_BITS);
    bits.fold(0, |suffix, index| suffix << 1 | u8::from(address.bit(index)))
}

/// An address of that suffix of that bin; its further bits are ours.
pub(super) fn slot_address(me: &Address, proximity: Proximity, suffix: u8, suffix_bits: u16) -> Address {
    let mut address = me.with_bit_flipped(proximity);
    let first = proximity + 1;
    let bits = (ADDRESS_BITS - first).min(suffix_bits);
    for index in 0..bits {
        let wanted = suffix >> (bits - 1 - index) & 1 == 1;
        if address.bit(first + index) != wanted {
            address = address.with_bit_flipped(first + index);
        }
    }
    address
}

/// How many bits the addresses of a suffix share.
pub(super) fn slot_length(proximity: Proximity, suffix_bits: u16) -> u16 {
    (proximity + 1 + suffix_bits).min(ADDRESS_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{NetworkId, Role, Signature};
    use proptest::prelude::*;

    const NOW: Time = Time(1_000);

    fn book() -> Book {
        Book::new(Address([0; 32]), &OverlayConfig::default())
    }

    /// A record whose address begins with these bytes; the book does not look at signatures.
    fn record(first: u8, second: u8, key: u8, sequence: u64) -> Arc<NodeRecord> {
        let mut overlay = [0; 32];
        overlay[..2].copy_from_slice(&[first, second]);
        Arc::new(NodeRecord {
            network: NetworkId::DEV,
            role: Role::Relay,
            overlay: Address(overlay),
            link_key: LinkKey([key; 32]),
            sequence,
            locators: vec!["/ip4/10.0.0.1/tcp/1".parse().unwrap()],
            signature: Signature([0; 64]),
        })
    }

    fn suffixes(book: &Book) -> Vec<usize> {
        (0..8).map(|suffix| book.slot(0, suffix).count()).collect()
    }

    #[test]
    fn a_full_bin_gives_up_the_crowded_suffix_for_the_empty_one() {
        let mut book = book();
        for second in 0..=255 {
            book.hear(NOW, record(0x80, second, 1, 1), None);
        }
        assert_eq!(suffixes(&book), [32, 0, 0, 0, 0, 0, 0, 0]);
        for first in [0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0] {
            for second in 0..=255 {
                book.hear(NOW, record(first, second, 1, 1), None);
            }
        }
        assert_eq!(book.len(), 32);
        assert!(suffixes(&book).into_iter().all(|count| (3..=5).contains(&count)), "{:?}", suffixes(&book));
    }

    #[test]
    fn hearsay_never_pushes_out_what_was_proved_and_answers() {
        let mut book = book();
        for second in 0..32 {
            book.prove(NOW, &record(0x80, second, 1, 1));
        }
        assert!(!book.hear(NOW, record(0xF0, 0, 1, 1), None));
        assert!(!book.hear(NOW, record(0x80, 0, 9, 2), None), "nor takes its place");
        book.fail(NOW, &record(0x80, 0, 1, 1).overlay, 0, true);
        assert!(book.hear(NOW, record(0xF0, 0, 1, 1), None));
        assert_eq!(book.len(), 32);
    }

    #[test]
    fn whoever_makes_room_is_forgotten_by_the_peer_cache_too() {
        let mut book = book();
        for second in 0..32 {
            book.prove(NOW, &record(0x80, second, 1, 1));
        }
        let gone = record(0x80, 0, 1, 1).overlay;
        book.fail(NOW, &gone, 0, true);
        assert!(book.hear(NOW, record(0xF0, 0, 1, 1), None));
        assert_eq!(book.take_evicted(), [gone]);
        assert!(book.take_evicted().is_empty());
    }

    #[test]
    fn strangers_who_come_and_go_leave_no_more_than_the_bins_hold() {
        let mut book = book();
        for second in 0..=255 {
            let stranger = record(0x80, second, 1, 1);
            book.prove(NOW, &stranger);
            book.set_connected(&stranger.overlay);
            book.part(NOW, &stranger.overlay);
        }
        assert_eq!(book.len(), 32);
    }

    #[test]
    fn a_newer_record_replaces_an_older_one_and_is_dialled_at_once() {
        let mut book = book();
        let old = record(0x80, 0, 1, 1);
        assert!(book.hear(NOW, old.clone(), None));
        assert!(!book.hear(NOW, old.clone(), None));
        book.fail(NOW, &old.overlay, 0, true);
        assert!(!book.get(&old.overlay).unwrap().may_be_dialled(NOW));
        assert!(book.hear(NOW, record(0x80, 0, 1, 2), None));
        assert!(!book.hear(NOW, old.clone(), None));
        assert!(book.get(&old.overlay).unwrap().may_be_dialled(NOW));
        assert_eq!(book.get(&old.overlay).unwrap().record.sequence, 2);
    }

    #[test]
    fn hearsay_is_forgotten_after_three_failures_and_a_proved_relay_after_six() {
        let failures_until_forgotten = |proven: bool, may_forget: bool| {
            let mut book = book();
            let record = record(0x80, 0, 1, 1);
            book.hear(NOW, record.clone(), None);
            if proven {
                book.prove(NOW, &record);
            }
            (1..20).find(|_| book.fail(NOW, &record.overlay, 0, may_forget).is_some())
        };
        assert_eq!(failures_until_forgotten(false, true), Some(3));
        assert_eq!(failures_until_forgotten(true, true), Some(6));
        assert_eq!(failures_until_forgotten(true, false), None);
    }

    #[test]
    fn the_book_is_bounded_however_deep_the_addresses_claim_to_be() {
        let mut book = book();
        for bit in 0..=255 {
            for key in 0..40 {
                let mut deep = (*record(0, 0, key, 1)).clone();
                deep.overlay = Address([0; 32]).with_bit_flipped(bit);
                deep.overlay.0[31] ^= key << 2;
                book.hear(NOW, Arc::new(deep), None);
            }
        }
        assert!(book.len() <= OverlayConfig::default().known_max);
    }

    proptest! {
        #[test]
        fn bins_are_as_full_as_counting_says(steps in prop::collection::vec((0_u8..8, 0_u8..40), 0..300)) {
            let mut book = book();
            for (step, first) in steps {
                let record = record(first * 6 + 1, 0, 1, u64::from(step));
                match step {
                    0 | 1 => drop(book.hear(NOW, record, None)),
                    2 => drop(book.prove(NOW, &record)),
                    3 => book.set_connected(&record.overlay),
                    4 => drop(book.part(NOW, &record.overlay)),
                    5 => book.decline(NOW, &record.overlay),
                    6 => drop(book.fail(NOW, &record.overlay, 0, true)),
                    _ => book.pardon(NOW, 2),
                }
                for (bin, fill) in (0..).zip(book.fills()) {
                    prop_assert_eq!(fill.known, book.bin(bin).filter(|(_, known)| known.is_hopeful()).count());
                    prop_assert_eq!(fill.connected, book.bin(bin).filter(|(_, known)| known.connected).count());
                    prop_assert_eq!(book.fills.size(bin), book.bin(bin).count());
                }
            }
        }

        #[test]
        fn a_slots_address_lies_in_the_slot(me: [u8; 32], bin in 0_u16..256, suffix in 0_u8..8) {
            let me = Address(me);
            let address = slot_address(&me, bin, suffix, 3);
            prop_assert_eq!(me.proximity(&address), bin);
            if bin < 253 {
                prop_assert_eq!(suffix_of(&address, bin, 3), suffix);
            }
            prop_assert!(span(&address, slot_length(bin, 3)).contains(&address));
        }

        #[test]
        fn a_span_holds_those_who_share_its_bits_and_no_others(a: [u8; 32], b: [u8; 32], bits in 0_u16..=256) {
            let (a, b) = (Address(a), Address(b));
            prop_assert_eq!(span(&a, bits).contains(&b), a.proximity(&b) >= bits);
        }
    }
}
