//! SQLite behind the core's tables: one file for each half, WAL, full sync at every commit.
//!
//! A transaction begins with the first write and cannot fail in the middle: an error is remembered and fails the
//! commit. The relay's store is a cache and is rebuilt if it is damaged; the endpoint's never is.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use mainframe_core::store::{Row, Table, Tx};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{ErrorKind, NodeError};

const SCHEMA_VERSION: u32 = 1;
const PAGE_BYTES: u32 = 4_096;
/// SQLite's default of 2 MiB each would be a tenth of an idle node (guess: half a megabyte).
const CACHE_KIB: i32 = 512;

/// Which half's store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Half {
    /// The peer cache.
    Relay,
    /// Opened messages.
    Endpoint,
}

impl Half {
    fn file_name(self) -> &'static str {
        match self {
            Half::Relay => "relay.db",
            Half::Endpoint => "endpoint.db",
        }
    }
}

/// One half's tables.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    dirty: bool,
    failed: RefCell<Option<rusqlite::Error>>,
}

impl SqliteStore {
    /// Opens the store of a half, making it if there is none, and checks it.
    pub(crate) fn open(directory: &Path, half: Half, size_max_mib: u32) -> Result<SqliteStore, NodeError> {
        let path = directory.join(half.file_name());
        match connect(&path, size_max_mib) {
            Ok(connection) => Ok(SqliteStore { path, connection, dirty: false, failed: RefCell::new(None) }),
            Err(Trouble::Damaged(why)) if half == Half::Relay => {
                let aside = move_aside(&path)?;
                tracing::warn!(%why, aside = %aside.display(), "the peer cache is damaged; starting with an empty one");
                let connection = connect(&path, size_max_mib).map_err(|trouble| trouble.told(&path))?;
                Ok(SqliteStore { path, connection, dirty: false, failed: RefCell::new(None) })
            }
            Err(trouble) => Err(trouble.told(&path)),
        }
    }

    /// Whether the open transaction changed anything.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes the open transaction's changes last, or undoes them all and says why.
    pub(crate) fn commit(&mut self) -> Result<(), NodeError> {
        let committed = match self.failed.take() {
            Some(error) => Err(error),
            None if self.dirty => self.connection.execute_batch("COMMIT"),
            None => Ok(()),
        };
        self.dirty = false;
        committed.map_err(|error| {
            // SQLite may have rolled back by itself, and then there is nothing to undo.
            let _ = self.connection.execute_batch("ROLLBACK");
            let what = format!("cannot keep what arrived in {}", self.path.display());
            let next = match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => "Make room on the disk (or raise store_max_mib)",
                _ => "Check the disk",
            };
            let next = format!("{next}, then start the node again: nothing that was acknowledged is lost.");
            NodeError::new(ErrorKind::StoreFailed, what, error, next)
        })
    }

    /// Runs a statement that changes something; the first one begins the transaction.
    fn change(&mut self, table: Table, sql: &str, values: impl rusqlite::Params) -> usize {
        if self.failed.borrow().is_some() {
            return 0;
        }
        let begun = if self.dirty { Ok(()) } else { self.connection.execute_batch("BEGIN IMMEDIATE") };
        self.dirty = true;
        let sql = sql.replace("{}", table.name());
        let changed = begun.and_then(|()| self.connection.prepare_cached(&sql)?.execute(values));
        self.remember(changed)
    }

    /// Runs a query; an error reads as nothing and fails the commit.
    fn query<T: Default>(
        &self,
        table: Table,
        sql: &str,
        run: impl FnOnce(&mut rusqlite::CachedStatement<'_>) -> rusqlite::Result<T>,
    ) -> T {
        let sql = sql.replace("{}", table.name());
        self.remember(self.connection.prepare_cached(&sql).and_then(|mut statement| run(&mut statement)))
    }

    fn remember<T: Default>(&self, result: rusqlite::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            T::default()
        })
    }
}

impl Tx for SqliteStore {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.query(table, "SELECT value FROM {} WHERE key = ?1", |statement| {
            statement.query_row([key], |row| row.get(0)).optional()
        })
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let sql = "INSERT INTO {} (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.change(table, sql, params![key, value]);
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        if self.get(table, key).is_some() {
            self.change(table, "DELETE FROM {} WHERE key = ?1", params![key]);
        }
    }

    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Vec<Row> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = match after {
            Some(_) => "SELECT key, value FROM {} WHERE key > ?1 ORDER BY key LIMIT ?2",
            None => "SELECT key, value FROM {} WHERE key >= ?1 ORDER BY key LIMIT ?2",
        };
        let start = after.unwrap_or_default();
        self.query(table, sql, |statement| {
            statement.query_map(params![start, limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    fn last(&self, table: Table) -> Option<Row> {
        self.query(table, "SELECT key, value FROM {} ORDER BY key DESC LIMIT 1", |statement| {
            statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
    }
}

/// Why a store does not open.
enum Trouble {
    /// What is in the file is no store, or a broken one.
    Damaged(String),
    /// A later version wrote it.
    Later(u32),
    /// The file cannot be used at all.
    Unusable(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Trouble::Damaged(error.to_string()),
            _ => Trouble::Unusable(error),
        }
    }
}

impl Trouble {
    fn told(self, path: &Path) -> NodeError {
        let what = format!("cannot open the store {}", path.display());
        let (why, next) = match self {
            Trouble::Damaged(why) => {
                let next = format!(
                    "Restore it from a backup, or move it aside to start with an empty one: mv {0} {0}.damaged (messages \
                     in it are lost with it).",
                    path.display()
                );
                (format!("it is damaged ({why})"), next)
            }
            Trouble::Later(version) => {
                let why = format!("it has version {version}, this program knows {SCHEMA_VERSION}");
                (why, "Use the newer program that wrote it.".to_owned())
            }
            Trouble::Unusable(error) => (error.to_string(), "Check the disk and who may write there.".to_owned()),
        };
        NodeError::new(ErrorKind::Store, what, why, next)
    }
}

fn connect(path: &Path, size_max_mib: u32) -> Result<Connection, Trouble> {
    let connection = Connection::open(path)?;
    let pages_max = u64::from(size_max_mib) * 1_048_576 / u64::from(PAGE_BYTES);
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA journal_size_limit = 4194304;
         PRAGMA max_page_count = {pages_max};"
    ))?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Trouble::Damaged(verdict));
    }
    match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        0 => create_tables(&connection)?,
        SCHEMA_VERSION => {}
        later => return Err(Trouble::Later(later)),
    }
    Ok(connection)
}

fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    let tables = Table::ALL.map(|table| {
        let name = table.name();
        format!("CREATE TABLE {name} (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;")
    });
    connection.execute_batch(&format!("BEGIN; {} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;", tables.concat()))
}

/// Renames the file and its companions, so that none of them is taken for the new one's.
fn move_aside(path: &Path) -> Result<PathBuf, NodeError> {
    let aside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let renamed = std::fs::rename(path, aside(".corrupt"));
    for companion in ["-wal", "-shm"] {
        // They are missing if the last run stopped cleanly.
        let _ = std::fs::remove_file(aside(companion));
    }
    renamed.map(|()| aside(".corrupt")).map_err(|error| {
        let what = format!("cannot move the damaged {} aside", path.display());
        NodeError::new(ErrorKind::Store, what, error, "Remove the file; it is only a cache.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::store::MemoryStore;
    use proptest::prelude::*;

    fn open(directory: &tempfile::TempDir, half: Half) -> Result<SqliteStore, NodeError> {
        SqliteStore::open(directory.path(), half, 64)
    }

    #[test]
    fn what_was_committed_survives_and_what_was_not_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(&directory, Half::Endpoint).unwrap();
        store.put(Table::Inbox, b"kept", b"1");
        store.commit().unwrap();
        store.put(Table::Inbox, b"lost", b"2");
        assert!(store.is_dirty());
        drop(store);
        let store = open(&directory, Half::Endpoint).unwrap();
        assert_eq!(store.get(Table::Inbox, b"kept"), Some(b"1".to_vec()));
        assert_eq!(store.get(Table::Inbox, b"lost"), None);
    }

    #[test]
    fn a_damaged_cache_is_moved_aside_and_a_damaged_inbox_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for half in [Half::Relay, Half::Endpoint] {
            std::fs::write(directory.path().join(half.file_name()), vec![0x5A; 9_000]).unwrap();
        }
        assert!(open(&directory, Half::Relay).is_ok());
        assert!(directory.path().join("relay.db.corrupt").exists());
        let error = open(&directory, Half::Endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains("endpoint.db") && error.next().contains("mv "), "{error}");
    }

    #[test]
    fn a_full_store_fails_its_commit_and_keeps_what_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(directory.path(), Half::Endpoint, 1).unwrap();
        store.put(Table::Inbox, b"first", b"1");
        store.commit().unwrap();
        for index in 0..600u32 {
            store.put(Table::Inbox, &index.to_be_bytes(), &[0; 2_048]);
        }
        let error = store.commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreFailed);
        assert!(error.why().contains("full"), "{error}");
        assert_eq!(store.scan(Table::Inbox, None, 9).len(), 1);
        store.commit().unwrap();
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, u8),
        Delete(u8),
        Commit,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
            (0u8..8).prop_map(Step::Delete),
            Just(Step::Commit),
        ]
    }

    /// Cases of the tests that damage files: few in every run, many with `make fuzz`, whose rounds are a thousand times
    /// cheaper.
    fn cases() -> u32 {
        let rounds = std::env::var("MAINFRAME_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse::<u32>().ok());
        rounds.map_or(16, |rounds| (rounds / 1_000).max(16))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]
        #[test]
        fn a_store_whose_log_was_cut_short_holds_the_first_commits_and_no_half_one(
            commits in 1u8..20,
            kept_per_mille in 0usize..=1_000,
            tail in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let mut store = open(&before, Half::Endpoint).unwrap();
            for number in 0..commits {
                store.put(Table::Inbox, &[number, 0], &[number]);
                store.put(Table::Inbox, &[number, 1], &[0; 3_000]);
                store.commit().unwrap();
            }
            // As after a power cut: what lies on the disk while the store is open, and of its log only a part.
            let file = Half::Endpoint.file_name();
            let log = format!("{file}-wal");
            std::fs::copy(before.path().join(file), after.path().join(file)).unwrap();
            let mut bytes = std::fs::read(before.path().join(&log)).unwrap();
            bytes.truncate(bytes.len() * kept_per_mille / 1_000);
            bytes.extend(tail);
            std::fs::write(after.path().join(&log), bytes).unwrap();
            let rows = open(&after, Half::Endpoint).unwrap().scan(Table::Inbox, None, 100);
            prop_assert_eq!(rows.len() % 2, 0, "both rows of a commit, or none");
            let expected = (0..rows.len() as u8 / 2).flat_map(|number| [vec![number, 0], vec![number, 1]]);
            prop_assert!(rows.iter().map(|(key, _)| key.clone()).eq(expected));
            prop_assert!(kept_per_mille < 1_000 || rows.len() == 2 * usize::from(commits));
        }

        #[test]
        fn whatever_became_of_its_file_a_store_opens_or_says_what_is_wrong(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
            kept_per_mille in 300usize..=1_000,
        ) {
            for half in [Half::Relay, Half::Endpoint] {
                let directory = tempfile::tempdir().unwrap();
                let mut store = open(&directory, half).unwrap();
                (0..40u8).for_each(|number| store.put(Table::ALL[0], &[number], &[number; 500]));
                store.commit().unwrap();
                drop(store);
                let path = directory.path().join(half.file_name());
                let mut bytes = std::fs::read(&path).unwrap();
                bytes.truncate(bytes.len() * kept_per_mille / 1_000);
                damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
                std::fs::write(&path, bytes).unwrap();
                match open(&directory, half) {
                    Ok(store) => prop_assert!(store.scan(Table::ALL[0], None, 100).len() <= 40),
                    Err(error) => prop_assert_eq!((half, error.kind()), (Half::Endpoint, ErrorKind::Store)),
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn both_stores_answer_alike(steps in prop::collection::vec(any_step(), 0..40), after in 0u8..8) {
            let directory = tempfile::tempdir().unwrap();
            let mut sqlite = open(&directory, Half::Endpoint).unwrap();
            let mut memory = MemoryStore::default();
            for step in steps {
                match step {
                    Step::Put(key, value) => {
                        sqlite.put(Table::Inbox, &[key], &[value]);
                        memory.put(Table::Inbox, &[key], &[value]);
                    }
                    Step::Delete(key) => {
                        sqlite.delete(Table::Inbox, &[key]);
                        memory.delete(Table::Inbox, &[key]);
                    }
                    Step::Commit => {
                        sqlite.commit().unwrap();
                        memory.commit();
                    }
                }
                prop_assert_eq!(sqlite.is_dirty(), memory.is_dirty());
            }
            prop_assert_eq!(sqlite.last(Table::Inbox), memory.last(Table::Inbox));
            prop_assert_eq!(sqlite.scan(Table::Inbox, None, 5), memory.scan(Table::Inbox, None, 5));
            let after = [after];
            prop_assert_eq!(sqlite.scan(Table::Inbox, Some(&after), 3), memory.scan(Table::Inbox, Some(&after), 3));
        }
    }
}
