//! What falls due when: one moment for each key.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::Time;

/// Keys in the order of their moments.
#[derive(Debug)]
pub(in crate::session) struct Agenda<K> {
    moments: BTreeMap<K, Time>,
    order: BTreeSet<(Time, K)>,
}

impl<K: Ord + Copy> Agenda<K> {
    pub(in crate::session) fn new() -> Self {
        Agenda { moments: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// Sets a key's moment, or removes the key.
    pub(in crate::session) fn set(&mut self, key: K, moment: Option<Time>) {
        let before = match moment {
            Some(moment) => self.moments.insert(key, moment),
            None => self.moments.remove(&key),
        };
        if let Some(before) = before {
            self.order.remove(&(before, key));
        }
        self.order.extend(moment.map(|moment| (moment, key)));
    }

    /// The key that is due first.
    pub(in crate::session) fn first(&self) -> Option<(Time, K)> {
        self.order.first().copied()
    }

    /// The key that is due first, if it is due.
    pub(in crate::session) fn due(&self, now: Time) -> Option<K> {
        self.first().filter(|(moment, _)| *moment <= now).map(|(_, key)| key)
    }

    /// The key that is due first, if it is due or there are more than so many.
    pub(in crate::session) fn due_or_surplus(&self, now: Time, most: usize) -> Option<K> {
        self.first().filter(|(moment, _)| *moment <= now || self.len() > most).map(|(_, key)| key)
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.order.len()
    }
}
