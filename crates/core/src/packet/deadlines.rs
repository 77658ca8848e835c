//! When hand-overs are due. A deadline comes and goes with every cell that is forwarded, nearly always unused.
//!
//! Those of one millisecond share a list. A cancelled deadline stays in its list and is only counted out; a list goes
//! when nobody in it waits any more, so the first of the lists always says when somebody is due.

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::Time;

use super::handover::HandoverId;

#[derive(Clone, Default, Debug)]
struct List {
    handovers: VecDeque<HandoverId>,
    /// How many of them still wait for this time.
    waiting: usize,
}

/// Deadlines, earliest first; those of the same time in the order they were set.
#[derive(Clone, Default, Debug)]
pub(super) struct Deadlines {
    lists: BTreeMap<Time, List>,
}

impl Deadlines {
    pub(super) fn set(&mut self, due: Time, id: HandoverId) {
        let list = self.lists.entry(due).or_default();
        list.handovers.push_back(id);
        list.waiting += 1;
    }

    /// Counts out one that was set for this time and has not been taken.
    pub(super) fn cancel(&mut self, due: Time) {
        let Some(list) = self.lists.get_mut(&due) else { return };
        list.waiting -= 1;
        if list.waiting == 0 {
            self.lists.remove(&due);
        }
    }

    pub(super) fn first(&self) -> Option<Time> {
        self.lists.first_key_value().map(|(due, _)| *due)
    }

    /// Takes a hand-over that `waits` for a time that has come.
    pub(super) fn take(&mut self, now: Time, waits: impl Fn(HandoverId, Time) -> bool) -> Option<HandoverId> {
        let mut list = self.lists.first_entry().filter(|list| *list.key() <= now)?;
        let due = *list.key();
        let handovers = &mut list.get_mut().handovers;
        let id = std::iter::from_fn(|| handovers.pop_front()).find(|id| waits(*id, due));
        self.cancel(due);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_agree_with_a_list_that_forgets_what_is_cancelled(
            steps in prop::collection::vec((0u32..20, 0u64..8), 0..200),
        ) {
            let mut deadlines = Deadlines::default();
            let mut model: BTreeMap<u32, Time> = BTreeMap::new();
            for (now, (index, wait_ms)) in (0..).map(Time).zip(steps) {
                let id = HandoverId { index, generation: 0 };
                model.remove(&index).into_iter().for_each(|due| deadlines.cancel(due));
                if wait_ms > 0 {
                    deadlines.set(now + wait_ms, id);
                    model.insert(index, now + wait_ms);
                }
                prop_assert_eq!(deadlines.first(), model.values().min().copied());
                let waits = |id: HandoverId, due| model.get(&id.index) == Some(&due);
                if let Some(taken) = deadlines.take(now, waits) {
                    prop_assert!(model.remove(&taken.index).is_some_and(|due| due <= now));
                }
                prop_assert_eq!(deadlines.first(), model.values().min().copied());
            }
        }
    }
}
