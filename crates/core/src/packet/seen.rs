//! Which packets passed here, and how much of their regions we answered for.
//!
//! Two generations; the older is forgotten when the newer is old enough. An entry takes 19 bytes of a table that is
//! thirteen sixteenths full at its bound: 24 bytes, and up to twice as many on the way there.

use mainframe_base::{Luminosity, PacketId, Time};

use super::table::PacketTable;

/// A generation lasts this long, so that an entry is kept for 20 to 40 minutes: at least twice the longest life of a
/// live cell, or a recorded cell could be flooded again (docs/protocol/packet.md §3).
const GENERATION_MS: u64 = 20 * 60 * 1_000;

/// Entries of one generation, thirteen sixteenths of 2²⁰ slots: 710 packets a second for 20 minutes, 19 MiB. At the bound the generation ends early,
/// which is counted: a shorter memory is better than an unbounded one.
const GENERATION_ENTRIES_MAX: usize = (1 << 20) / 16 * 13;

/// Entries of both generations together.
pub(super) const ENTRIES_MAX: usize = 2 * GENERATION_ENTRIES_MAX;

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

/// What is kept of it.
#[derive(Clone, Copy, Default)]
struct Kept {
    luminosity: u8,
    flags: u8,
}

/// The memory of packets.
#[derive(Clone)]
pub(super) struct SeenSet {
    secret: u64,
    current: PacketTable<Kept>,
    previous: PacketTable<Kept>,
    began: Time,
    ended_early: u64,
}

impl Kept {
    fn seen(self) -> Seen {
        Seen {
            routed: self.flags & FLAG_ROUTED != 0,
            routed_standby: self.flags & FLAG_ROUTED_STANDBY != 0,
            responsibility: (self.flags & FLAG_ARRIVED != 0).then(|| Luminosity::from_byte(self.luminosity)),
        }
    }
}

impl From<Seen> for Kept {
    fn from(seen: Seen) -> Self {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(seen.routed, FLAG_ROUTED)
            | flag(seen.routed_standby, FLAG_ROUTED_STANDBY)
            | flag(seen.responsibility.is_some(), FLAG_ARRIVED);
        Kept { luminosity: seen.responsibility.map_or(0, Luminosity::to_byte), flags }
    }
}

impl SeenSet {
    /// Remembers nothing yet.
    pub(super) fn new(now: Time, secret: u64) -> SeenSet {
        let table = || PacketTable::new(secret);
        SeenSet { secret, current: table(), previous: table(), began: now, ended_early: 0 }
    }

    /// What we did with the packet, if it passed here in the last 20 minutes at least.
    pub(super) fn get(&self, id: &PacketId) -> Option<Seen> {
        self.current.get(id).or_else(|| self.previous.get(id)).map(Kept::seen)
    }

    /// Remembers what we did with the packet.
    pub(super) fn put(&mut self, now: Time, id: PacketId, seen: Seen) {
        let full = self.current.len() >= GENERATION_ENTRIES_MAX;
        if full || now.since_ms(self.began) >= GENERATION_MS {
            self.ended_early += u64::from(full);
            self.previous = std::mem::replace(&mut self.current, PacketTable::new(self.secret));
            self.began = now;
        }
        self.current.insert(id, seen.into());
    }

    /// Packets remembered.
    pub(super) fn entries(&self) -> usize {
        self.current.len() + self.previous.len()
    }

    /// How often a generation ended because it was full.
    pub(super) fn ended_early(&self) -> u64 {
        self.ended_early
    }
}

impl std::fmt::Debug for SeenSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeenSet({} + {})", self.current.len(), self.previous.len())
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
        let mut seen = SeenSet::new(Time(0), 7);
        seen.put(Time(0), id(1), answered(3));
        seen.put(Time(GENERATION_MS), id(2), answered(4));
        assert_eq!(seen.get(&id(1)), Some(answered(3)));
        seen.put(Time(2 * GENERATION_MS), id(3), answered(5));
        assert_eq!(seen.get(&id(1)), None);
        assert_eq!(seen.get(&id(2)), Some(answered(4)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((0u64..200, any::<u8>(), any::<bool>()), 0..400)) {
            let mut seen = SeenSet::new(Time(0), 7);
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
