//! What a group must keep, as rows of bytes, and which of them changed.
//!
//! openmls writes its state value by value, and the secrets of all epochs anew after each message, although a message
//! changes a few bytes of them. So a value is kept in pages, and only those pages count as changed that differ.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

/// Bytes of a value that are kept in one row. A guess: a few pages of a database, and an epoch's secrets of a pair.
const PAGE_BYTES: usize = 8192;

/// Rows of bytes in the order of their keys; all of a group, or what a key package keeps secret. Wiped when dropped.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rows(BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>);

/// A row that was written, or deleted if it has no value.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The row's key: at most 32 bytes, unique within the group.
    pub key: Vec<u8>,
    /// The row's new value: secret, and at most 8,192 bytes.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl Rows {
    /// No rows.
    pub fn new() -> Self {
        Rows::default()
    }

    /// Puts a stored row back.
    pub fn insert(&mut self, key: Vec<u8>, value: Zeroizing<Vec<u8>>) {
        self.0.insert(key, value);
    }

    /// Writes and deletes as told.
    pub fn apply(&mut self, changes: Vec<RowChange>) {
        for RowChange { key, value } in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn byte_count(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// Rows, and what changed since they were last asked for.
pub(crate) struct Vault {
    rows: Rows,
    changed: BTreeSet<Vec<u8>>,
    /// The messages' secrets are ahead of the rows: they were to be written, and were not yet.
    pub(crate) secrets_unwritten: bool,
}

impl Vault {
    /// Rows that are all stored.
    pub(crate) fn stored(rows: Rows) -> Self {
        Vault { rows, changed: BTreeSet::new(), secrets_unwritten: false }
    }

    /// No rows.
    pub(crate) fn new() -> Self {
        Vault::stored(Rows::new())
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Forgets what was stored before: all rows, and no others, are news.
    pub(crate) fn forget_history(&mut self) {
        self.changed = self.rows.0.keys().cloned().collect();
    }

    /// Takes the place of these rows by others; what differs is changed.
    pub(crate) fn replace(&mut self, rows: Rows) {
        let differs = |key: &&Vec<u8>| self.rows.0.get(*key) != rows.0.get(*key);
        self.changed.extend(self.rows.0.keys().chain(rows.0.keys()).filter(differs).cloned().collect::<Vec<_>>());
        self.rows = rows;
        self.secrets_unwritten = false;
    }

    /// A value, if there is one.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut value = Zeroizing::new(self.rows.0.get(&page_key(name, 0))?.to_vec());
        for number in 1.. {
            let Some(page) = self.rows.0.get(&page_key(name, number)) else { break };
            value.extend_from_slice(page);
        }
        Some(value)
    }

    /// Keeps a value in place of what was there.
    pub(crate) fn put(&mut self, name: &[u8], value: &[u8]) {
        let pages = value.len().div_ceil(PAGE_BYTES).max(1);
        for number in 0..pages {
            let page = &value[number * PAGE_BYTES..value.len().min((number + 1) * PAGE_BYTES)];
            self.put_page(page_key(name, number), page);
        }
        self.remove_pages(name, pages);
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.remove_pages(name, 0);
    }

    pub(crate) fn take_changes(&mut self) -> Vec<RowChange> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| RowChange { value: self.rows.0.get(&key).cloned(), key }).collect()
    }

    fn put_page(&mut self, key: Vec<u8>, page: &[u8]) {
        if self.rows.0.get(&key).is_some_and(|kept| kept.as_slice() == page) {
            return;
        }
        self.changed.insert(key.clone());
        self.rows.0.insert(key, Zeroizing::new(page.to_vec()));
    }

    fn remove_pages(&mut self, name: &[u8], from: usize) {
        for number in from.. {
            let key = page_key(name, number);
            if self.rows.0.remove(&key).is_none() {
                break;
            }
            self.changed.insert(key);
        }
    }
}

fn page_key(name: &[u8], number: usize) -> Vec<u8> {
    let number = u16::try_from(number).expect("no value has 512 MB");
    [name, &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was_put_whatever_its_length() {
        let mut vault = Vault::new();
        for length in [3 * PAGE_BYTES, 0, 1, PAGE_BYTES, PAGE_BYTES + 1, 2 * PAGE_BYTES, 5] {
            let value = vec![7; length];
            vault.put(b"a", &value);
            assert_eq!(vault.get(b"a").expect("just put").as_slice(), value);
        }
        vault.remove(b"a");
        assert!(vault.get(b"a").is_none());
        assert!(vault.rows().is_empty());
    }

    #[test]
    fn only_pages_that_differ_are_changed() {
        let mut vault = Vault::new();
        let mut value = vec![7; 4 * PAGE_BYTES];
        vault.put(b"a", &value);
        assert_eq!(vault.take_changes().len(), 4);
        value[PAGE_BYTES] = 8;
        vault.put(b"a", &value);
        assert_eq!(vault.take_changes().len(), 1);
        assert!(vault.take_changes().is_empty());
    }

    #[test]
    fn changes_applied_elsewhere_give_the_same_rows() {
        let mut vault = Vault::new();
        let mut copy = Rows::new();
        for length in [3 * PAGE_BYTES, PAGE_BYTES, 2 * PAGE_BYTES + 9] {
            vault.put(b"a", &vec![7; length]);
            vault.put(b"b", &vec![9; length]);
            copy.apply(vault.take_changes());
            assert!(copy == *vault.rows());
        }
        vault.remove(b"b");
        copy.apply(vault.take_changes());
        assert!(copy == *vault.rows());
    }

    #[test]
    fn what_a_replacement_takes_away_is_changed() {
        let mut vault = Vault::new();
        vault.put(b"a", b"old");
        vault.put(b"b", b"same");
        let snapshot = vault.rows().clone();
        vault.put(b"a", b"new");
        vault.put(b"c", b"only in between");
        let mut copy = vault.rows().clone();
        vault.take_changes();
        vault.replace(snapshot);
        let changes = vault.take_changes();
        assert_eq!(changes.len(), 2);
        copy.apply(changes);
        assert!(copy == *vault.rows());
    }
}
