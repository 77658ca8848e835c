//! The keys of one epoch's outer layer: our own chain, and what is awaited of everyone else.
//!
//! An epoch is kept long after the next one has begun, for cells that were held for us; its tags then still find them.

use std::collections::BTreeMap;

use mainframe_base::{DeviceId, DeviceKey, IdentityKey, Secret, SessionId, Tag, Time};
use mainframe_mls::EpochId;
use zeroize::Zeroizing;

use super::window::{Moved, Width, Window};
use crate::codec::{Reader, put_list};
use crate::crypto::{TagChain, TagLink, device_id};
use crate::session::terms::LEAVES_MAX;
use crate::store::{Table, Tx};

/// Between two times at which a device goes on at a milestone, in milliseconds; the next pauses are twice as long each
/// (guess).
const SKIP_PAUSE_MS: u64 = 60_000;
/// The longest pause: the milestones awaited of a device last longer than an epoch is kept, heard or not.
const SKIP_PAUSE_MAX_MS: u64 = 2 * 3_600_000;
/// After so long without a cell of ours we say that we are there, in milliseconds, or up to a quarter earlier: at least
/// three times while an epoch is kept.
const HERE_MS: u64 = 24 * 3_600_000;
/// After a start it is said in this time, in milliseconds, unless something else is: many devices are started every day
/// (guess). In every session at another moment, or whoever looks on would know by these that the sessions are one device's.
const HERE_AFTER_START_MS: u64 = 6 * 3_600_000;
/// When after a start at the earliest, in milliseconds: what was held has come by then (guess).
pub(super) const SETTLE_MS: u64 = 600_000;

/// One device of an epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seat {
    /// Its place in the group's tree.
    pub(super) leaf: u32,
    /// Its key, under which it signs.
    pub(super) device: DeviceKey,
    /// Whose it is.
    pub(super) person: IdentityKey,
    /// When it asked to come back to this seat, in minutes since 1970; 0 if it never did.
    pub(super) asked_minutes: u32,
}

impl Seat {
    /// Its short name.
    pub(super) fn id(&self) -> DeviceId {
        device_id(&self.device)
    }
}

/// What is known of an epoch besides its chains.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct EpochFacts {
    /// Its name.
    pub(super) id: EpochId,
    /// Its number in its branch.
    pub(super) number: u64,
    /// When this device entered it.
    pub(super) began: Time,
    /// The leaf that made it: the rota of the next begins behind it (review P31).
    pub(super) committer: u32,
    /// Our own leaf.
    pub(super) own_leaf: u32,
    /// Everyone in it, by leaf.
    pub(super) seats: Vec<Seat>,
}

/// An epoch's outer keys.
pub(super) struct Epoch {
    pub(super) facts: EpochFacts,
    own: TagChain,
    others: BTreeMap<u32, Other>,
    /// When we have to say something at last.
    here_at: Time,
    /// When we go on at the next milestone again, and how often we did.
    skip_at: Time,
    skips: u32,
}

/// What is awaited of another device.
struct Other {
    window: Window,
    /// When it was heard last in this epoch; at first when the epoch began.
    heard: Time,
}

impl EpochFacts {
    /// The device at a leaf.
    pub(super) fn seat(&self, leaf: u32) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.leaf == leaf)
    }

    /// Every leaf and whose it is.
    pub(super) fn persons(&self) -> BTreeMap<u32, IdentityKey> {
        self.seats.iter().map(|seat| (seat.leaf, seat.person)).collect()
    }
}

impl Epoch {
    /// The beginning of an epoch. `export` gives the secret of a leaf's chain.
    pub(super) fn begin(facts: EpochFacts, export: impl Fn(u32) -> Secret<32>) -> Epoch {
        let width = width_of(&facts);
        let leaves = facts.seats.iter().map(|seat| seat.leaf).filter(|leaf| *leaf != facts.own_leaf);
        let other = |leaf| Other { window: Window::new(TagChain::new(export(leaf)), width), heard: facts.began };
        let others = leaves.map(|leaf| (leaf, other(leaf))).collect();
        let own = TagChain::new(export(facts.own_leaf));
        let here_at = facts.began + (HERE_MS - spread_ms(&facts, &own, HERE_MS / 4));
        Epoch { own, others, here_at, skip_at: Time(0), skips: 0, facts }
    }

    /// Every awaited tag, with the leaf and number it is of.
    pub(super) fn tags(&self) -> impl Iterator<Item = (Tag, u32, u64)> {
        self.others.iter().flat_map(|(leaf, other)| other.window.tags().map(|(tag, number)| (tag, *leaf, number)))
    }

    /// The link an awaited cell is sealed under.
    pub(super) fn link(&self, leaf: u32, number: u64) -> Option<&TagLink> {
        self.others.get(&leaf)?.window.link(number)
    }

    /// That cell came and was whole.
    pub(super) fn came(&mut self, now: Time, tx: &mut dyn Tx, session: &SessionId, leaf: u32, number: u64) -> Moved {
        let Some(other) = self.others.get_mut(&leaf) else { return Moved::default() };
        let moved = other.window.came(number);
        other.heard = other.heard.max(now);
        tx.put(Table::Chains, &chain_key(session, &self.facts.id, leaf), &other.encode());
        moved
    }

    /// The other devices and when each was heard last.
    pub(super) fn heard(&self) -> impl Iterator<Item = (u32, Time)> {
        self.others.iter().map(|(leaf, other)| (*leaf, other.heard))
    }

    /// A span up to this one, in milliseconds, that is another in every session, and that nobody outside of it can know.
    pub(super) fn spread_ms(&self, up_to_ms: u64) -> u64 {
        spread_ms(&self.facts, &self.own, up_to_ms)
    }

    /// Something was said, or need not be.
    pub(super) fn put_off_here(&mut self, now: Time) {
        self.here_at = now + (HERE_MS - self.spread_ms(HERE_MS / 4));
    }

    /// When we should say that we are there, if nothing else is said before.
    pub(super) fn here_at(&self) -> Time {
        self.here_at
    }

    /// The next links of our own chain, for as many cells. From time to time they begin at a milestone, for whoever heard
    /// nothing of us for so long that he awaits nothing else.
    pub(super) fn take(&mut self, now: Time, tx: &mut dyn Tx, session: &SessionId, count: usize) -> Vec<TagLink> {
        if self.own.next() >= width_of(&self.facts).links && now >= self.skip_at {
            self.own.skip_to_stage();
            let pause_ms = SKIP_PAUSE_MS.saturating_mul(1 << self.skips.min(20));
            self.skip_at = now + pause_ms.min(SKIP_PAUSE_MAX_MS);
            self.skips += 1;
        }
        self.put_off_here(now);
        let links = (0..count).map(|_| self.own.advance()).collect();
        tx.put(Table::Chains, &chain_key(session, &self.facts.id, self.facts.own_leaf), &own_row(&self.own));
        links
    }

    /// Keeps all of it.
    pub(super) fn save(&self, tx: &mut dyn Tx, session: &SessionId) {
        tx.put(Table::Epochs, &epoch_key(session, &self.facts.id), &self.facts.encode());
        tx.put(Table::Chains, &chain_key(session, &self.facts.id, self.facts.own_leaf), &own_row(&self.own));
        for (leaf, other) in &self.others {
            tx.put(Table::Chains, &chain_key(session, &self.facts.id, *leaf), &other.encode());
        }
    }

    /// Forgets all of it: what comes on its tags is not ours any more.
    pub(super) fn delete(&self, tx: &mut dyn Tx, session: &SessionId) {
        tx.delete(Table::Epochs, &epoch_key(session, &self.facts.id));
        for seat in &self.facts.seats {
            tx.delete(Table::Chains, &chain_key(session, &self.facts.id, seat.leaf));
        }
    }

    /// Every epoch of a session that was kept; damaged ones are passed over.
    pub(super) fn load_all(now: Time, tx: &dyn Tx, session: &SessionId) -> Vec<Epoch> {
        let rows = super::rows_of(tx, Table::Epochs, &session.0);
        rows.into_iter()
            .filter_map(|(_, row)| {
                let facts = EpochFacts::decode(&row).ok()?;
                let chain = |leaf: u32| tx.get(Table::Chains, &chain_key(session, &facts.id, leaf));
                let own = read_own_row(&chain(facts.own_leaf)?)?;
                let leaves = facts.seats.iter().map(|seat| seat.leaf).filter(|leaf| *leaf != facts.own_leaf);
                let others: Option<_> = leaves.map(|leaf| Some((leaf, Other::decode(&chain(leaf)?)?))).collect();
                let here_at = now + SETTLE_MS + spread_ms(&facts, &own, HERE_AFTER_START_MS);
                Some(Epoch { own, others: others?, here_at, skip_at: Time(0), skips: 0, facts })
            })
            .collect()
    }
}

impl Other {
    /// The window | when it was heard 8.
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut row = self.window.encode();
        row.extend_from_slice(&self.heard.0.to_be_bytes());
        row
    }

    fn decode(row: &[u8]) -> Option<Other> {
        let (window, heard) = row.split_last_chunk()?;
        Some(Other { window: Window::decode(window)?, heard: Time(u64::from_be_bytes(*heard)) })
    }
}

/// How far ahead a device's tags are awaited.
fn width_of(facts: &EpochFacts) -> Width {
    if facts.seats.len() <= 2 { Width::PAIR } else { Width::GROUP }
}

fn spread_ms(facts: &EpochFacts, own: &TagChain, up_to_ms: u64) -> u64 {
    let place = [&facts.id.0[..], &facts.own_leaf.to_be_bytes(), &own.next().to_be_bytes()].concat();
    let hash = blake3::derive_key("mainframe 2026 when a device says that it is there", &place);
    u64::from_be_bytes(*hash.first_chunk().expect("32 bytes begin with 8")) % up_to_ms
}

fn epoch_key(session: &SessionId, epoch: &EpochId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&session.0);
    key[16..].copy_from_slice(&epoch.0);
    key
}

fn chain_key(session: &SessionId, epoch: &EpochId, leaf: u32) -> Vec<u8> {
    [&epoch_key(session, epoch)[..], &leaf.to_be_bytes()].concat()
}

/// secrets 64 | number of the next link 8.
fn own_row(chain: &TagChain) -> Zeroizing<Vec<u8>> {
    let mut row = Zeroizing::new(chain.secrets().expose().to_vec());
    row.extend_from_slice(&chain.next().to_be_bytes());
    row
}

fn read_own_row(row: &[u8]) -> Option<TagChain> {
    let mut reader = Reader::new(row);
    let (secrets, next) = (Secret::new(reader.array().ok()?), reader.u64().ok()?);
    reader.finish().ok()?;
    Some(TagChain::at(&secrets, next))
}

impl EpochFacts {
    /// id 16 | number 8 | began 8 | committer 4 | own leaf 4 | seats: leaf 4, device 32, person 32,
    /// minute at which it asked to come back 4.
    fn encode(&self) -> Vec<u8> {
        let mut out = self.id.0.to_vec();
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.began.0.to_be_bytes());
        out.extend_from_slice(&self.committer.to_be_bytes());
        out.extend_from_slice(&self.own_leaf.to_be_bytes());
        put_list(&mut out, &self.seats, |out, seat| {
            out.extend_from_slice(&seat.leaf.to_be_bytes());
            out.extend_from_slice(&seat.device.0);
            out.extend_from_slice(&seat.person.0);
            out.extend_from_slice(&seat.asked_minutes.to_be_bytes());
        });
        out
    }

    fn decode(row: &[u8]) -> Result<EpochFacts, mainframe_base::Fault> {
        let mut reader = Reader::new(row);
        let id = EpochId(reader.array()?);
        let (number, began) = (reader.u64()?, Time(reader.u64()?));
        let (committer, own_leaf) = (reader.u32()?, reader.u32()?);
        let seats: Vec<Seat> = reader.list(LEAVES_MAX, |reader| {
            let (leaf, device) = (reader.u32()?, DeviceKey(reader.array()?));
            let (person, asked_minutes) = (IdentityKey(reader.array()?), reader.u32()?);
            Ok(Seat { leaf, device, person, asked_minutes })
        })?;
        reader.finish()?;
        if seats.iter().all(|seat| seat.leaf != own_leaf) {
            return Err(mainframe_base::Fault::Impossible);
        }
        Ok(EpochFacts { id, number, began, committer, own_leaf, seats })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const SESSION: SessionId = SessionId([5; 16]);

    fn epoch_of(own_leaf: u32, devices: u32) -> Epoch {
        let seat = |leaf: u32| {
            let (device, person) = (DeviceKey([leaf as u8; 32]), IdentityKey([leaf as u8; 32]));
            Seat { leaf, device, person, asked_minutes: leaf }
        };
        let seats = (0..devices).map(seat).collect();
        let facts = EpochFacts { id: EpochId([1; 16]), number: 3, began: Time(7), committer: 0, own_leaf, seats };
        Epoch::begin(facts, |leaf| Secret::new([leaf as u8 + 1; 32]))
    }

    #[test]
    fn what_one_device_sends_every_other_awaits() {
        let mut store = MemoryStore::default();
        let (mut one, mut other) = (epoch_of(0, 3), epoch_of(2, 3));
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for link in one.take(Time(0), &mut store, &SESSION, 5) {
            let (tag, leaf, number) = other.tags().find(|(tag, ..)| *tag == link.tag).unwrap();
            assert_eq!((leaf, number), (0, link.number));
            let sealed = link.seal(&mut rng, b"", b"hello");
            let opened = other.link(leaf, number).unwrap().open(b"", &sealed.ephemeral, &sealed.body);
            assert_eq!(opened.as_deref(), Some(&b"hello"[..]));
            assert!(other.came(Time(9), &mut store, &SESSION, leaf, number).removed.contains(&tag));
        }
    }

    #[test]
    fn whoever_missed_more_than_is_awaited_hears_us_again_within_minutes() {
        let mut store = MemoryStore::default();
        let (mut one, other) = (epoch_of(0, 3), epoch_of(2, 3));
        one.take(Time(0), &mut store, &SESSION, 100);
        let known = |link: &TagLink| other.tags().any(|(tag, ..)| tag == link.tag);
        let mut at = |now| one.take(Time(now), &mut store, &SESSION, 1).remove(0);
        assert!(known(&at(0)));
        assert!(!known(&at(SKIP_PAUSE_MS - 1)));
        assert!(known(&at(SKIP_PAUSE_MS)));
        assert!(!known(&at(2 * SKIP_PAUSE_MS)));
        assert!(known(&at(3 * SKIP_PAUSE_MS)));
    }

    #[test]
    fn who_says_little_is_awaited_for_longer_than_an_epoch_is_kept() {
        let (mut store, mut now) = (MemoryStore::default(), Time(0));
        let (mut one, other) = (epoch_of(0, 3), epoch_of(2, 3));
        one.take(now, &mut store, &SESSION, 64);
        while now.0 < 80 * 3_600_000 {
            let link = one.take(now, &mut store, &SESSION, 1).remove(0);
            assert!(other.tags().any(|(tag, ..)| tag == link.tag), "{now:?}");
            now = one.skip_at;
        }
    }

    #[test]
    fn a_kept_epoch_goes_on_where_it_was() {
        let mut store = MemoryStore::default();
        let mut epoch = epoch_of(0, 3);
        epoch.save(&mut store, &SESSION);
        epoch.take(Time(0), &mut store, &SESSION, 9);
        epoch.came(Time(9), &mut store, &SESSION, 2, 4);
        let [kept] = Epoch::load_all(Time(0), &store, &SESSION).try_into().ok().unwrap();
        assert_eq!(kept.facts, epoch.facts);
        assert!(kept.tags().eq(epoch.tags()));
        assert!(kept.heard().eq([(1, Time(7)), (2, Time(9))]));
        assert_eq!(kept.own.next(), 9);
        epoch.delete(&mut store, &SESSION);
        assert!(Epoch::load_all(Time(0), &store, &SESSION).is_empty());
    }

    proptest! {
        #[test]
        fn a_damaged_row_is_no_epoch_and_no_panic(row: Vec<u8>) {
            let _ = EpochFacts::decode(&row);
        }
    }
}
