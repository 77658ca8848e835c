//! Which packets passed here, and how much of their regions we answered for.
//!
//! Two generations of open-addressed slots; the older is forgotten when the newer is old enough. Ids are hashes, so
//! their own bytes place them. A slot takes 18 bytes and tables are kept under three quarters full: 24 bytes an entry.

use mainframe_base::{Luminosity, PacketId, Time};

/// A generation lasts this long, so that an entry is kept for 20 to 40 minutes: at least twice the longest life of a
/// live cell, or a recorded cell could be flooded again (docs/protocol/packet.md §3).
const GENERATION_MS: u64 = 20 * 60 * 1_000;

/// Entries of one generation: 870 packets a second for 20 minutes, 24 MiB. At the bound the generation ends early,
/// which is counted: a shorter memory is better than an unbounded one.
const GENERATION_ENTRIES_MAX: usize = 1 << 20;

const SLOTS_MIN: usize = 64;

/// What we did with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Seen {
    /// We passed the first copy on towards the region.
    pub(super) routed: bool,
    /// We passed the waiting copy on towards the region.
    pub(super) routed_standby: bool,
    /// The shortest prefix we answered for; none if we only passed it on.
    pub(super) responsibility: Option<Luminosity>,
}

const FLAG_ROUTED: u8 = 1;
const FLAG_ROUTED_STANDBY: u8 = 2;
const FLAG_ARRIVED: u8 = 4;
const FLAG_USED: u8 = 8;

#[derive(Clone, Copy, Default)]
struct Slot {
    id: [u8; 16],
    luminosity: u8,
    flags: u8,
}

#[derive(Default)]
struct Generation {
    slots: Vec<Slot>,
    used: usize,
}

/// The memory of packets.
pub(super) struct SeenSet {
    current: Generation,
    previous: Generation,
    began: Time,
    ended_early: u64,
}

impl Slot {
    fn seen(self) -> Seen {
        Seen {
            routed: self.flags & FLAG_ROUTED != 0,
            routed_standby: self.flags & FLAG_ROUTED_STANDBY != 0,
            responsibility: (self.flags & FLAG_ARRIVED != 0).then(|| Luminosity::from_byte(self.luminosity)),
        }
    }

    fn new(id: PacketId, seen: Seen) -> Slot {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = FLAG_USED
            | flag(seen.routed, FLAG_ROUTED)
            | flag(seen.routed_standby, FLAG_ROUTED_STANDBY)
            | flag(seen.responsibility.is_some(), FLAG_ARRIVED);
        Slot { id: id.0, luminosity: seen.responsibility.map_or(0, Luminosity::to_byte), flags }
    }
}

impl Generation {
    /// The index of the id's slot, or of the free slot where it belongs. The table is never full.
    fn position(&self, id: &PacketId) -> usize {
        let mask = self.slots.len() - 1;
        let hash = u64::from_le_bytes(*id.0.first_chunk().expect("an id has 16 bytes"));
        let mut index = hash as usize & mask;
        while self.slots[index].flags != 0 && self.slots[index].id != id.0 {
            index = (index + 1) & mask;
        }
        index
    }

    fn get(&self, id: &PacketId) -> Option<Seen> {
        let slot = self.slots.get(if self.slots.is_empty() { 0 } else { self.position(id) })?;
        (slot.flags != 0).then(|| slot.seen())
    }

    fn put(&mut self, id: PacketId, seen: Seen) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let index = self.position(&id);
        if self.slots[index].flags == 0 {
            self.used += 1;
        }
        self.slots[index] = Slot::new(id, seen);
    }

    fn grow(&mut self) {
        let slots = vec![Slot::default(); (self.slots.len() * 2).max(SLOTS_MIN)];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot.flags != 0 {
                let index = self.position(&PacketId(slot.id));
                self.slots[index] = slot;
            }
        }
    }
}

impl SeenSet {
    /// Remembers nothing yet.
    pub(super) fn new(now: Time) -> SeenSet {
        SeenSet { current: Generation::default(), previous: Generation::default(), began: now, ended_early: 0 }
    }

    /// What we did with the packet, if it passed here in the last 20 minutes at least.
    pub(super) fn get(&self, id: &PacketId) -> Option<Seen> {
        self.current.get(id).or_else(|| self.previous.get(id))
    }

    /// Remembers what we did with the packet.
    pub(super) fn put(&mut self, now: Time, id: PacketId, seen: Seen) {
        let full = self.current.used >= GENERATION_ENTRIES_MAX;
        if full || now.since_ms(self.began) >= GENERATION_MS {
            self.ended_early += u64::from(full);
            self.previous = std::mem::take(&mut self.current);
            self.began = now;
        }
        self.current.put(id, seen);
    }

    /// How often a generation ended because it was full.
    pub(super) fn ended_early(&self) -> u64 {
        self.ended_early
    }
}

impl std::fmt::Debug for SeenSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeenSet({} + {})", self.current.used, self.previous.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn id(number: u64) -> PacketId {
        PacketId(*blake3::hash(&number.to_le_bytes()).as_bytes().first_chunk().unwrap())
    }

    fn answered(bits: u16) -> Seen {
        Seen { responsibility: Luminosity::new(bits), ..Seen::default() }
    }

    #[test]
    fn a_packet_is_remembered_for_twice_its_life_and_then_forgotten() {
        let mut seen = SeenSet::new(Time(0));
        seen.put(Time(0), id(1), answered(3));
        seen.put(Time(GENERATION_MS), id(2), answered(4));
        assert_eq!(seen.get(&id(1)), Some(answered(3)));
        seen.put(Time(2 * GENERATION_MS), id(3), answered(5));
        assert_eq!(seen.get(&id(1)), None);
        assert_eq!(seen.get(&id(2)), Some(answered(4)));
    }

    #[test]
    fn a_slot_is_as_small_as_documented() {
        assert_eq!(size_of::<Slot>(), 18);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((0u64..200, any::<u8>(), any::<bool>()), 0..400)) {
            let mut seen = SeenSet::new(Time(0));
            let mut model = BTreeMap::new();
            for (number, luminosity, routed) in steps {
                let value = Seen { routed, routed_standby: !routed, responsibility: Some(Luminosity::from_byte(luminosity)) };
                seen.put(Time(1), id(number), value);
                model.insert(number, value);
            }
            for number in 0..200 {
                prop_assert_eq!(seen.get(&id(number)), model.get(&number).copied());
            }
        }
    }
}
