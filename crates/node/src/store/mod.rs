//! SQLite behind the core's tables: one file for each half, WAL, full sync at every commit.
//!
//! A transaction begins with the first write and cannot fail in the middle: an error is remembered and fails the
//! commit. The relay's store is a cache and is rebuilt if it is damaged; the endpoint's never is, and its rows are sealed.

mod schema;
mod seal;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use mainframe_base::Secret;
use mainframe_core::store::{Row, Table, Tx};
use rusqlite::{Connection, OptionalExtension, params};

use self::schema::{Trouble, connect, damaged_row, move_aside};
use self::seal::RowSeal;
use crate::error::{ErrorKind, NodeError};

const RELAY_FILE: &str = "relay.db";
const ENDPOINT_FILE: &str = "endpoint.db";
/// The peer cache holds some 10,000 records of half a kilobyte; more is damage.
const RELAY_SIZE_MAX_MIB: u32 = 64;

/// What fails a transaction.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", damaged_row(.0.name()))]
    Damaged(Table),
}

/// One half's tables.
pub(crate) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    seal: Option<RowSeal>,
    dirty: bool,
    failed: RefCell<Option<Failed>>,
}

impl SqliteStore {
    /// Opens the relay half's store, making it if there is none or if it is damaged.
    pub(crate) fn open_relay(directory: &Path) -> Result<SqliteStore, NodeError> {
        let path = directory.join(RELAY_FILE);
        let connection = match connect(&path, RELAY_SIZE_MAX_MIB, None) {
            Err(Trouble::Damaged(why)) => {
                let aside = move_aside(&path)?;
                tracing::warn!(%why, aside = %aside.display(), "the peer cache is damaged; starting with an empty one");
                connect(&path, RELAY_SIZE_MAX_MIB, None)
            }
            connected => connected,
        };
        let connection = connection.map_err(|trouble| trouble.told(&path))?;
        Ok(SqliteStore { path, connection, seal: None, dirty: false, failed: RefCell::new(None) })
    }

    /// Opens the endpoint half's store, making it if there is none, and checks it. Rows are sealed with `key`.
    pub(crate) fn open_endpoint(
        directory: &Path,
        size_max_mib: u32,
        key: &Secret<32>,
    ) -> Result<SqliteStore, NodeError> {
        let (path, mut seal) = (directory.join(ENDPOINT_FILE), RowSeal::new(key));
        let connection = connect(&path, size_max_mib, Some(&mut seal)).map_err(|trouble| trouble.told(&path))?;
        Ok(SqliteStore { path, connection, seal: Some(seal), dirty: false, failed: RefCell::new(None) })
    }

    /// Whether the open transaction changed anything.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes the open transaction's changes last, or undoes them all and says why.
    pub(crate) fn commit(&mut self) -> Result<(), NodeError> {
        let committed = match self.failed.take() {
            Some(failed) => Err(failed),
            None if self.dirty => self.connection.execute_batch("COMMIT").map_err(Failed::Sqlite),
            None => Ok(()),
        };
        self.dirty = false;
        committed.map_err(|failed| {
            // SQLite may have rolled back by itself, and then there is nothing to undo.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.told(&failed)
        })
    }

    fn told(&self, failed: &Failed) -> NodeError {
        use rusqlite::ErrorCode::DiskFull;
        let what = format!("cannot keep what arrived in {}", self.path.display());
        let next = match failed {
            Failed::Sqlite(error) if error.sqlite_error_code() == Some(DiskFull) => {
                "Make room on the disk (or raise store_max_mib)"
            }
            Failed::Sqlite(_) => "Check the disk",
            Failed::Damaged(_) => "Check the disk and restore the store from a backup",
        };
        let next = format!("{next}, then start the node again: nothing that was acknowledged is lost.");
        NodeError::new(ErrorKind::StoreFailed, what, failed, next)
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
            self.failed.borrow_mut().get_or_insert(error.into());
            T::default()
        })
    }

    /// The row as it was put. One that was changed reads as none, and fails the commit.
    fn opened(&self, table: Table, (key, value): Row) -> Option<Row> {
        let Some(seal) = &self.seal else { return Some((key, value)) };
        let Some(value) = seal.open(table.name(), &key, &value) else {
            self.failed.borrow_mut().get_or_insert(Failed::Damaged(table));
            return None;
        };
        Some((key, value))
    }
}

impl Tx for SqliteStore {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.query(table, "SELECT value FROM {} WHERE key = ?1", |statement| {
            statement.query_row([key], |row| row.get(0)).optional()
        });
        self.opened(table, (key.to_vec(), value?)).map(|(_, value)| value)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let sql = "INSERT INTO {} (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        match self.seal.as_mut().map(|seal| seal.seal(table.name(), key, value)) {
            Some(sealed) => self.change(table, sql, params![key, sealed]),
            None => self.change(table, sql, params![key, value]),
        };
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        let is_there = self.query(table, "SELECT EXISTS (SELECT 1 FROM {} WHERE key = ?1)", |statement| {
            statement.query_row([key], |row| row.get::<_, bool>(0))
        });
        if is_there {
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
        let rows: Vec<Row> = self.query(table, sql, |statement| {
            statement.query_map(params![start, limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        });
        rows.into_iter().filter_map(|row| self.opened(table, row)).collect()
    }

    fn last(&self, table: Table) -> Option<Row> {
        let row = self.query(table, "SELECT key, value FROM {} ORDER BY key DESC LIMIT 1", |statement| {
            statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        });
        self.opened(table, row?)
    }
}
