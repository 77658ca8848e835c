//! Where state is kept: named tables of bytes, read and written inside a transaction.
//!
//! Two implementations exist: SQLite in the node, [`MemoryStore`] in tests and in the simulator, which also loses
//! power. A transaction cannot fail in the middle: an implementation that meets an error remembers it and fails the
//! commit, and then no effect of the batch leaves (DESIGN: no effect before its cause is committed).

use std::collections::BTreeMap;

/// All tables there are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Table {
    /// Overlay address → signed record of a relay we were connected to: the peer cache.
    Peers,
    /// Sequence number (8 bytes, big-endian) → opened message.
    Inbox,
    /// Packet id → sequence number of the message opened from it.
    Opened,
    /// Luminosity (2 bytes) and region (32 bytes) → the moment (8 bytes) until which everything sent there has come, and of
    /// which bucket of tags (3 bytes): the regions we listen to.
    Attended,
    /// Session (16 bytes) → what it is, and how far its epochs have come.
    Sessions,
    /// Session and epoch (16 bytes each) → who is in the epoch.
    Epochs,
    /// Session, epoch and leaf (4 bytes) → how far that device's chain of tags has come.
    Chains,
    /// Session, 0 for the current epoch or 1 for its parent, and a name of MLS's → a secret of MLS's.
    Secrets,
    /// Session, parent epoch and hash (32 bytes) → a commit.
    Commits,
    /// Session and epoch → how far the members are with deciding what follows it.
    Decisions,
    /// Session (16 bytes) and place in its order (8 bytes) → message: what was said there, causes before effects.
    SessionMessages,
    /// Session and own number (8 bytes) → how far that message is.
    SessionSent,
    /// Session, author (8 bytes) and number (8 bytes) → message whose causes have not come.
    SessionWaiting,
    /// Session and what of → how far we are with others, and others with us.
    SessionProgress,
    /// Own identity (32 bytes) and a peer's (32 bytes) → contact or request.
    Contacts,
    /// Own identity and a greeting's name (16 bytes) → whose it was and how it stands.
    Hellos,
    /// Own identity and a letter's name (16 bytes) → the moment until which it could be played again.
    Letters,
    /// Own identity and an invitation's name (8 bytes) → its secret and terms.
    Invitations,
    /// Own identity and a key package's hash (32 bytes) → its secrets, until it is used.
    KeyPackages,
    /// Session and identity → nothing: who was asked for keys to be added.
    Invited,
    /// Own identity and session → with which key package, and of whom, this device asked to be let in.
    Entering,
    /// Own identity and a device's key (32 bytes each) → what is known of that device of the person.
    Devices,
    /// The name of a link (32 bytes) → the account that came for it.
    Accounts,
    /// Session and a key package's hash (32 bytes) → the Welcome its device was sent.
    Welcomes,
}

impl Table {
    /// Every table, for implementations that create them.
    pub const ALL: [Table; 24] = [
        Table::Peers,
        Table::Inbox,
        Table::Opened,
        Table::Attended,
        Table::Sessions,
        Table::Epochs,
        Table::Chains,
        Table::Secrets,
        Table::Commits,
        Table::Decisions,
        Table::SessionMessages,
        Table::SessionSent,
        Table::SessionWaiting,
        Table::SessionProgress,
        Table::Contacts,
        Table::Hellos,
        Table::Letters,
        Table::Invitations,
        Table::KeyPackages,
        Table::Invited,
        Table::Entering,
        Table::Devices,
        Table::Accounts,
        Table::Welcomes,
    ];

    /// The table's name in a database.
    pub fn name(self) -> &'static str {
        match self {
            Table::Peers => "peers",
            Table::Inbox => "inbox",
            Table::Opened => "opened",
            Table::Attended => "attended",
            Table::Sessions => "sessions",
            Table::Epochs => "epochs",
            Table::Chains => "chains",
            Table::Secrets => "secrets",
            Table::Commits => "commits",
            Table::Decisions => "decisions",
            Table::SessionMessages => "session_messages",
            Table::SessionSent => "session_sent",
            Table::SessionWaiting => "session_waiting",
            Table::SessionProgress => "session_progress",
            Table::Contacts => "contacts",
            Table::Hellos => "hellos",
            Table::Letters => "letters",
            Table::Invitations => "invitations",
            Table::KeyPackages => "key_packages",
            Table::Invited => "invited",
            Table::Entering => "entering",
            Table::Devices => "devices",
            Table::Accounts => "accounts",
            Table::Welcomes => "welcomes",
        }
    }
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One transaction. What was put in it is read back in it.
pub trait Tx {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>>;
    /// Sets a key's value.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]);
    /// Removes a key; nothing happens if there is none.
    fn delete(&mut self, table: Table, key: &[u8]);
    /// At most `limit` rows in the order of their keys, those after `after` if given.
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Vec<Row>;
    /// The row with the greatest key.
    fn last(&self, table: Table) -> Option<Row>;
}

type Key = (Table, Vec<u8>);
type Tables = BTreeMap<Key, Vec<u8>>;

/// A store in memory: the tables, and what the open transaction overwrote in them, oldest first.
#[derive(Clone, Default, Debug)]
pub struct MemoryStore {
    tables: Tables,
    overwritten: Vec<(Key, Option<Vec<u8>>)>,
}

impl MemoryStore {
    /// The keys of a table that begin with this, in order.
    pub fn keys<'a>(&'a self, table: Table, start: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let rows = self.tables.range((table, start.to_vec())..);
        let keys = rows.map_while(move |((of, key), _)| (*of == table).then_some(key.as_slice()));
        keys.take_while(move |key| key.starts_with(start))
    }

    /// Whether the open transaction changed anything.
    pub fn is_dirty(&self) -> bool {
        !self.overwritten.is_empty()
    }

    /// Makes the open transaction's changes last.
    pub fn commit(&mut self) {
        self.overwritten.clear();
    }

    /// Forgets the open transaction's changes, as a crash does.
    pub fn roll_back(&mut self) {
        while let Some((key, value)) = self.overwritten.pop() {
            match value {
                Some(value) => self.tables.insert(key, value),
                None => self.tables.remove(&key),
            };
        }
    }
}

impl Tx for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.tables.get(&(table, key.to_vec())).cloned()
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let key = (table, key.to_vec());
        let before = self.tables.insert(key.clone(), value.to_vec());
        self.overwritten.push((key, before));
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        if let Some((key, before)) = self.tables.remove_entry(&(table, key.to_vec())) {
            self.overwritten.push((key, Some(before)));
        }
    }

    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Vec<Row> {
        let start = match after {
            None => std::ops::Bound::Included((table, Vec::new())),
            Some(key) => std::ops::Bound::Excluded((table, key.to_vec())),
        };
        self.tables
            .range((start, std::ops::Bound::Unbounded))
            .take_while(|((of, _), _)| *of == table)
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }

    fn last(&self, table: Table) -> Option<Row> {
        let end = Table::ALL.into_iter().find(|other| *other > table).map(|next| (next, Vec::new()));
        let before = match end {
            None => std::ops::Bound::Unbounded,
            Some(end) => std::ops::Bound::Excluded(end),
        };
        let range = (std::ops::Bound::Included((table, Vec::new())), before);
        self.tables.range(range).next_back().map(|((_, key), value)| (key.clone(), value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loses_what_was_not_committed_and_nothing_else() {
        let mut store = MemoryStore::default();
        store.put(Table::Inbox, b"a", b"1");
        store.commit();
        store.put(Table::Inbox, b"b", b"2");
        store.delete(Table::Inbox, b"a");
        store.roll_back();
        assert_eq!(store.get(Table::Inbox, b"a"), Some(b"1".to_vec()));
        assert_eq!(store.get(Table::Inbox, b"b"), None);
    }

    #[test]
    fn a_scan_stays_in_its_table_and_resumes_after_a_key() {
        let mut store = MemoryStore::default();
        for key in [b"a", b"b", b"c"] {
            store.put(Table::Inbox, key, b"");
        }
        store.put(Table::Opened, b"a", b"");
        store.put(Table::Peers, b"z", b"");
        let keys = |rows: Vec<Row>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(store.scan(Table::Inbox, None, 9)), [b"a", b"b", b"c"]);
        assert_eq!(keys(store.scan(Table::Inbox, Some(b"a"), 1)), [b"b"]);
        assert_eq!(store.last(Table::Inbox).unwrap().0, b"c");
        assert_eq!(store.last(Table::Peers).unwrap().0, b"z");
    }
}
