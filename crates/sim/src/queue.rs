//! What is going to happen, in order of time; what is due at one moment, in the order it was put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::moment::Moment;

/// A queue of future events.
///
/// The heap orders small keys; the events lie still in slots of their own, for with 100,000 nodes millions wait.
#[derive(Clone, Debug)]
pub struct Queue<E> {
    keys: BinaryHeap<Reverse<Key>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    sequence: u64,
}

/// The sequence number breaks ties, so that two runs from one seed cannot differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    at: Moment,
    sequence: u64,
    slot: u32,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Queue { keys: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<E> Queue<E> {
    /// Puts an event in.
    pub fn push(&mut self, at: Moment, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                u32::try_from(self.slots.len() - 1).expect("fewer than four billion events wait")
            }
        };
        self.keys.push(Reverse(Key { at, sequence: self.sequence, slot }));
        self.sequence += 1;
    }

    /// Takes the first event out, if it is due by `until`.
    pub fn pop(&mut self, until: Moment) -> Option<(Moment, E)> {
        if self.keys.peek()?.0.at > until {
            return None;
        }
        let Reverse(key) = self.keys.pop()?;
        self.free.push(key.slot);
        self.slots[key.slot as usize].take().map(|event| (key.at, event))
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_come_out_by_time_and_then_by_order_of_entry(times in prop::collection::vec(0u64..20, 0..200)) {
            let mut queue = Queue::default();
            for (index, at) in times.iter().enumerate() {
                queue.push(Moment(*at), index);
            }
            let mut expected: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
            expected.sort();
            let mut seen = Vec::new();
            while let Some((at, index)) = queue.pop(Moment(u64::MAX)) {
                seen.push((at.0, index));
            }
            prop_assert_eq!(seen, expected);
            prop_assert!(queue.is_empty());
        }
    }

    #[test]
    fn nothing_comes_out_before_it_is_due() {
        let mut queue = Queue::default();
        queue.push(Moment(5), 'a');
        assert_eq!(queue.pop(Moment(4)), None);
        assert_eq!(queue.pop(Moment(5)), Some((Moment(5), 'a')));
    }
}
