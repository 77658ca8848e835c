//! Who votes on an epoch, with what weight, and whose turn it is.
//!
//! Every person weighs the same, however many devices it has; its weight is shared equally among its leaves. Turns follow
//! the leaves' order, beginning behind whoever committed last: nothing in them is random, so nothing can be ground.

use std::collections::BTreeMap;

use mainframe_base::Fault;

use crate::codec::{Reader, put_list};

/// Most leaves of a group (guess: a certificate of its majority, 68 bytes a vote, is then 35 kB).
pub const LEAVES_MAX: usize = 1_024;

/// Most leaves of one person: the weights' common unit, a multiple of every count up to it, stays below 720,721.
pub const LEAVES_PER_PERSON_MAX: usize = 16;

/// A leaf of the parent epoch's tree: one device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Leaf(pub u32);

impl Leaf {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Leaf, Fault> {
        reader.u32().map(Leaf)
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// A leaf and the person it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// The device.
    pub leaf: Leaf,
    /// Its person, by any number that is the same for all leaves of one person.
    pub person: u32,
}

/// Everyone who votes on one epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roster {
    seats: Vec<Seat>,
    weights: Vec<u64>,
    last_committer: Leaf,
    total: u64,
    persons: usize,
}

impl Roster {
    /// The voters of an epoch whose first state `last_committer` made; seats in ascending order of their leaves.
    ///
    /// # Errors
    /// `Oversized` above [`LEAVES_MAX`] or [`LEAVES_PER_PERSON_MAX`], `Impossible` if nobody is there or the leaves do
    /// not ascend.
    pub fn new(seats: Vec<Seat>, last_committer: Leaf) -> Result<Roster, Fault> {
        if seats.len() > LEAVES_MAX {
            return Err(Fault::Oversized);
        }
        if seats.is_empty() || !seats.is_sorted_by(|one, next| one.leaf < next.leaf) {
            return Err(Fault::Impossible);
        }
        let mut leaves_of = BTreeMap::<u32, u64>::new();
        for seat in &seats {
            *leaves_of.entry(seat.person).or_default() += 1;
        }
        if leaves_of.values().any(|leaves| *leaves > LEAVES_PER_PERSON_MAX as u64) {
            return Err(Fault::Oversized);
        }
        let unit = leaves_of.values().copied().fold(1, least_common_multiple);
        let weights = seats.iter().map(|seat| unit / leaves_of[&seat.person]).collect();
        let persons = leaves_of.len();
        Ok(Roster { seats, weights, last_committer, total: unit * persons as u64, persons })
    }

    /// Whether all leaves belong to one person: then there is nobody to agree with.
    pub(super) fn is_of_one_person(&self) -> bool {
        self.persons == 1
    }

    /// All leaves, in ascending order.
    pub(super) fn leaves(&self) -> impl Iterator<Item = Leaf> {
        self.seats.iter().map(|seat| seat.leaf)
    }

    pub(super) fn contains(&self, leaf: Leaf) -> bool {
        self.position(leaf).is_some()
    }

    /// How many turns a leaf's turn is away from the last committer's next neighbour, who has rank 0. Strangers come last.
    pub(super) fn rank(&self, leaf: Leaf) -> usize {
        let count = self.seats.len();
        self.position(leaf).map_or(count, |position| (position + count - self.first_turn()) % count)
    }

    /// The leaf that may propose at a ballot from 1 on.
    pub(super) fn owner(&self, ballot: u32) -> Leaf {
        let turn = ballot.saturating_sub(1) as usize;
        self.seats[(self.first_turn() + turn) % self.seats.len()].leaf
    }

    /// What these different leaves weigh together; strangers weigh nothing.
    pub(super) fn weigh(&self, leaves: impl IntoIterator<Item = Leaf>) -> u64 {
        leaves.into_iter().filter_map(|leaf| self.position(leaf)).map(|position| self.weights[position]).sum()
    }

    /// What all leaves weigh together.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The least weight of votes that certifies at a ballot.
    ///
    /// From ballot 1 on more than half, so that any two quorums share a leaf. At ballot 0, where everyone proposes, so much
    /// that any two of its quorums and one majority share a leaf (Lamport, Fast Paxos, 2006, §2.2). One person needs no
    /// votes.
    pub(super) fn quorum(&self, ballot: u32) -> u64 {
        match ballot {
            _ if self.is_of_one_person() => 0,
            0 => (2 * self.total - self.majority()) / 2 + 1,
            _ => self.majority(),
        }
    }

    /// The least weight above half of all.
    pub(super) fn majority(&self) -> u64 {
        self.total / 2 + 1
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Roster, Fault> {
        let last_committer = Leaf::read(reader)?;
        let seats = reader.list(LEAVES_MAX, |reader| Ok(Seat { leaf: Leaf::read(reader)?, person: reader.u32()? }))?;
        Roster::new(seats, last_committer)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.last_committer.put(out);
        put_list(out, &self.seats, |out, seat| {
            seat.leaf.put(out);
            out.extend_from_slice(&seat.person.to_be_bytes());
        });
    }

    fn position(&self, leaf: Leaf) -> Option<usize> {
        self.seats.binary_search_by_key(&leaf, |seat| seat.leaf).ok()
    }

    fn first_turn(&self) -> usize {
        self.seats.partition_point(|seat| seat.leaf <= self.last_committer) % self.seats.len()
    }
}

fn least_common_multiple(one: u64, other: u64) -> u64 {
    one / greatest_common_divisor(one, other) * other
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_weighs_the_same_however_many_devices_it_has() {
        let roster = roster(&[1, 1, 1, 2, 2, 3], 0);
        assert_eq!(roster.weigh([Leaf(0), Leaf(1), Leaf(2)]), roster.weigh([Leaf(5)]));
        assert_eq!(roster.weigh([Leaf(3), Leaf(4)]), roster.weigh([Leaf(5)]));
        assert_eq!(roster.weigh((0..6).map(Leaf)), roster.total());
    }

    #[test]
    fn turns_begin_behind_whoever_committed_last() {
        let roster = roster(&[1, 2, 3, 4], 2);
        assert_eq!([0, 1, 2, 3].map(|leaf| roster.rank(Leaf(leaf))), [1, 2, 3, 0]);
        assert_eq!([1, 2, 3, 4, 5].map(|ballot| roster.owner(ballot)), [3, 0, 1, 2, 3].map(Leaf));
    }

    #[test]
    fn any_two_open_quorums_and_a_majority_share_a_leaf() {
        for persons in 2..=40 {
            let roster = roster(&(0..persons).collect::<Vec<_>>(), 0);
            assert!(2 * roster.quorum(0) + roster.majority() > 2 * roster.total());
            assert!(2 * (roster.quorum(0) - 1) + roster.majority() <= 2 * roster.total(), "no less would do");
            assert!(roster.quorum(0) <= roster.total());
        }
    }

    #[test]
    fn a_roster_has_leaves_in_order_and_not_too_many_of_one_person() {
        let seat = |leaf| Seat { leaf: Leaf(leaf), person: 7 };
        assert_eq!(Roster::new(vec![], Leaf(0)), Err(Fault::Impossible));
        assert_eq!(Roster::new(vec![seat(1), seat(1)], Leaf(0)), Err(Fault::Impossible));
        assert_eq!(Roster::new((0..17).map(seat).collect(), Leaf(0)), Err(Fault::Oversized));
        assert!(Roster::new((0..16).map(seat).collect(), Leaf(0)).is_ok());
    }

    fn roster(persons: &[u32], last_committer: u32) -> Roster {
        let seats = (0..).zip(persons).map(|(leaf, person)| Seat { leaf: Leaf(leaf), person: *person }).collect();
        Roster::new(seats, Leaf(last_committer)).unwrap()
    }
}
