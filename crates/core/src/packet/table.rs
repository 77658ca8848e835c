//! What is known of packets, by their ids. Ids are hashes, so their own bytes place them, turned by a secret of the table:
//! senders choose what is hashed, and could else find ids that are all in each other's way.
//!
//! Beside the entries lies a mark of one byte for each: whether it is used, and seven bits of its id. Most packets
//! asked for have never been here; that is seen from the marks alone, which stay in the processor's cache when the
//! entries do not. Tables are kept under thirteen sixteenths full.

use mainframe_base::PacketId;

const SLOTS_MIN: usize = 64;
const FREE: u8 = 0;
const USED: u8 = 0x80;

#[derive(Clone, Copy, Default)]
struct Entry<V> {
    id: [u8; 16],
    value: V,
}

/// Open-addressed slots with linear probing; grows by doubling and never shrinks. Whoever puts things in sees to a bound.
#[derive(Clone)]
pub(super) struct PacketTable<V> {
    marks: Vec<u8>,
    entries: Vec<Entry<V>>,
    used: usize,
    secret: u64,
}

fn mark(id: &[u8; 16]) -> u8 {
    USED | id[15]
}

impl<V: Copy + Default> PacketTable<V> {
    /// An empty table; `secret` is any number that senders of packets cannot know.
    pub(super) fn new(secret: u64) -> PacketTable<V> {
        PacketTable { marks: Vec::new(), entries: Vec::new(), used: 0, secret: secret | 1 }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn get(&self, id: &PacketId) -> Option<V> {
        Some(self.entries[self.find(id)?].value)
    }

    pub(super) fn get_mut(&mut self, id: &PacketId) -> Option<&mut V> {
        let index = self.find(id)?;
        Some(&mut self.entries[index].value)
    }

    /// Puts a value in the place of any before it.
    pub(super) fn insert(&mut self, id: PacketId, value: V) {
        if (self.used + 1) * 16 > self.marks.len() * 13 {
            self.grow();
        }
        let index = self.position(&id.0);
        self.used += usize::from(self.marks[index] == FREE);
        self.marks[index] = mark(&id.0);
        self.entries[index] = Entry { id: id.0, value };
    }

    pub(super) fn remove(&mut self, id: &PacketId) -> Option<V> {
        let mut hole = self.find(id)?;
        let value = self.entries[hole].value;
        let mask = self.marks.len() - 1;
        let mut next = (hole + 1) & mask;
        while self.marks[next] != FREE {
            // Who was put further on because the hole was taken moves into it; who is at home stays.
            let home = self.home(&self.entries[next].id);
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.marks[hole] = self.marks[next];
                self.entries[hole] = self.entries[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.marks[hole] = FREE;
        self.used -= 1;
        Some(value)
    }

    fn home(&self, id: &[u8; 16]) -> usize {
        let hash = u64::from_le_bytes(*id.first_chunk().expect("an id has 16 bytes"));
        (hash.wrapping_mul(self.secret) >> 32) as usize & (self.marks.len() - 1)
    }

    fn find(&self, id: &PacketId) -> Option<usize> {
        if self.used == 0 {
            return None;
        }
        let index = self.position(&id.0);
        (self.marks[index] != FREE).then_some(index)
    }

    /// The index of the id's slot, or of the free slot where it belongs. The table is never full.
    fn position(&self, id: &[u8; 16]) -> usize {
        let (mask, mark) = (self.marks.len() - 1, mark(id));
        let mut index = self.home(id);
        while self.marks[index] != FREE && (self.marks[index] != mark || self.entries[index].id != *id) {
            index = (index + 1) & mask;
        }
        index
    }

    fn grow(&mut self) {
        let slots = (self.marks.len() * 2).max(SLOTS_MIN);
        let marks = std::mem::replace(&mut self.marks, vec![FREE; slots]);
        let entries = std::mem::replace(&mut self.entries, vec![Entry::default(); slots]);
        for (mark, entry) in marks.into_iter().zip(entries).filter(|(mark, _)| *mark != FREE) {
            let index = self.position(&entry.id);
            (self.marks[index], self.entries[index]) = (mark, entry);
        }
    }
}

impl<V> std::fmt::Debug for PacketTable<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PacketTable({})", self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u16),
        Remove,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![any::<u16>().prop_map(Step::Insert), Just(Step::Remove)]
    }

    #[test]
    fn ids_chosen_to_be_in_each_others_way_are_not_where_the_secret_is_another() {
        let longest_way = |secret| {
            let mut table = PacketTable::new(secret);
            for number in 0..500_u64 {
                let mut id = [0; 16];
                id[..8].copy_from_slice(&(number << 20).to_le_bytes());
                table.insert(PacketId(id), ());
            }
            let way = |at: usize| at.wrapping_sub(table.home(&table.entries[at].id)) & (table.marks.len() - 1);
            (0..table.marks.len()).filter(|at| table.marks[*at] != FREE).map(way).max()
        };
        assert!(longest_way(1 << 44) > Some(400));
        assert!(longest_way(0x9E37_79B9_7F4A_7C15) < Some(100));
    }

    /// Ids that want the same few slots and share their marks, so that they are in each other's way; the table wraps.
    fn crowded(number: u8) -> PacketId {
        let mut id = [0; 16];
        id[0] = 60 + number % 7;
        id[8] = number;
        PacketId(id)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((any::<u8>(), step()), 0..600)) {
            let mut table = PacketTable::new(1 << 32);
            let mut model = BTreeMap::new();
            for (number, step) in steps {
                let id = crowded(number);
                match step {
                    Step::Insert(value) => {
                        table.insert(id, value);
                        model.insert(id, value);
                    }
                    Step::Remove => prop_assert_eq!(table.remove(&id), model.remove(&id)),
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for number in 0..=u8::MAX {
                let mut expected = model.get(&crowded(number)).copied();
                prop_assert_eq!(table.get(&crowded(number)), expected);
                prop_assert_eq!(table.get_mut(&crowded(number)), expected.as_mut());
            }
        }
    }
}
