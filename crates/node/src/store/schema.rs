//! Opening a store: its settings, its tables, stores of earlier versions, and whether it is whole.

use std::path::{Path, PathBuf};

use mainframe_core::store::Table;
use rusqlite::{Connection, OptionalExtension, params};

use super::seal::RowSeal;
use crate::error::{ErrorKind, NodeError};

/// Version 1 had four tables and sealed nothing.
const SCHEMA_VERSION: u32 = 2;
const PAGE_BYTES: u32 = 4_096;
/// SQLite's default of 2 MiB each would be a tenth of an idle node (guess: half a megabyte).
const CACHE_KIB: i32 = 512;
/// What is sealed to tell the right key from a wrong one.
const PROOF: &[u8] = b"mainframe store 2";
const PROOF_TABLE: &str = "seal_proof";

/// Why a store does not open.
pub(super) enum Trouble {
    /// What is in the file is no store, or a broken one.
    Damaged(String),
    /// A later version wrote it.
    Later(u32),
    /// It was sealed with another key than the key file holds.
    OtherKey,
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
    pub(super) fn told(self, path: &Path) -> NodeError {
        let what = format!("cannot open the store {}", path.display());
        let aside = format!("mv {0} {0}.damaged", path.display());
        let (why, next) = match self {
            Trouble::Damaged(why) => {
                let next = format!(
                    "Restore it from a backup, or move it aside to start with an empty one: {aside} (messages in it are \
                     lost with it)."
                );
                (format!("it is damaged ({why})"), next)
            }
            Trouble::Later(version) => {
                let why = format!("it has version {version}, this program knows {SCHEMA_VERSION}");
                (why, "Use the newer program that wrote it.".to_owned())
            }
            Trouble::OtherKey => {
                let why = "it is sealed with another key than keys.json holds: the two are not of one node, or not of one \
                           time";
                let next = format!(
                    "Restore both files from the same backup, or move the store aside to start with an empty one: {aside} \
                     (messages in it are lost with it)."
                );
                (why.to_owned(), next)
            }
            Trouble::Unusable(error) => (error.to_string(), "Check the disk and who may write there.".to_owned()),
        };
        NodeError::new(ErrorKind::Store, what, why, next)
    }
}

/// Opens the file, makes or upgrades its tables, and checks every page and every sealed row of it.
///
/// What is deleted is overwritten (`secure_delete`), so that keys of past epochs are gone from the file when the core has
/// deleted them; their sealed bytes stay in the log until it is written over, 4 MiB later at most, and wherever the disk
/// itself keeps old blocks. It costs 8 % of a delete, most of which is its sync: 5,000 rows of 2 KiB in 500 commits went
/// in 5.0 s instead of 4.6 (measured).
pub(super) fn connect(path: &Path, size_max_mib: u32, seal: Option<&mut RowSeal>) -> Result<Connection, Trouble> {
    let connection = Connection::open(path)?;
    let pages_max = u64::from(size_max_mib) * 1_048_576 / u64::from(PAGE_BYTES);
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA journal_size_limit = 4194304;
         PRAGMA max_page_count = {pages_max};"
    ))?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Trouble::Damaged(verdict));
    }
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match (version, seal) {
        (later, _) if later > SCHEMA_VERSION => return Err(Trouble::Later(later)),
        (SCHEMA_VERSION, None) => {}
        (SCHEMA_VERSION, Some(seal)) => check_rows(&connection, seal)?,
        (_, seal) => make_tables(&connection, seal)?,
    }
    Ok(connection)
}

/// Makes the tables that are missing and seals what an earlier version kept open, all of it or nothing.
fn make_tables(connection: &Connection, seal: Option<&mut RowSeal>) -> Result<(), Trouble> {
    let names = Table::ALL.map(Table::name).into_iter().chain(seal.is_some().then_some(PROOF_TABLE));
    let tables: String = names
        .map(|name| {
            format!(
                "CREATE TABLE IF NOT EXISTS {name} (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
            )
        })
        .collect();
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(&tables)?;
    if let Some(seal) = seal {
        for table in Table::ALL {
            seal_rows(&transaction, seal, table.name())?;
        }
        let proof = seal.seal(PROOF_TABLE, &[], PROOF);
        let sql = format!("INSERT OR REPLACE INTO {PROOF_TABLE} (key, value) VALUES (x'', ?1)");
        transaction.execute(&sql, [proof])?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

/// Seals the rows of a table, one after another in the order of their keys.
fn seal_rows(connection: &Connection, seal: &mut RowSeal, table: &str) -> rusqlite::Result<()> {
    let mut keys = connection.prepare(&format!("SELECT key FROM {table} ORDER BY key"))?;
    let keys: Vec<Vec<u8>> = keys.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut read = connection.prepare(&format!("SELECT value FROM {table} WHERE key = ?1"))?;
    let mut write = connection.prepare(&format!("UPDATE {table} SET value = ?2 WHERE key = ?1"))?;
    for key in keys {
        let value: Vec<u8> = read.query_row([&key], |row| row.get(0))?;
        write.execute(params![key, seal.seal(table, &key, &value)])?;
    }
    Ok(())
}

/// Opens every row once, so that damage is found before anything rests on it. `quick_check` has read the file already.
fn check_rows(connection: &Connection, seal: &RowSeal) -> Result<(), Trouble> {
    let sql = format!("SELECT value FROM {PROOF_TABLE}");
    let proof: Option<Vec<u8>> = connection.query_row(&sql, [], |row| row.get(0)).optional()?;
    let proof = proof.ok_or_else(|| Trouble::Damaged("it holds no proof of its key".to_owned()))?;
    if seal.open(PROOF_TABLE, &[], &proof).as_deref() != Some(PROOF) {
        return Err(Trouble::OtherKey);
    }
    for table in Table::ALL.map(Table::name) {
        let mut statement = connection.prepare(&format!("SELECT key, value FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (key, value) = (row.get_ref(0)?.as_blob(), row.get_ref(1)?.as_blob());
            let (Ok(key), Ok(value)) = (key, value) else { return Err(Trouble::Damaged(damaged_row(table))) };
            if seal.open(table, key, value).is_none() {
                return Err(Trouble::Damaged(damaged_row(table)));
            }
        }
    }
    Ok(())
}

/// What is said of a row that does not open.
pub(super) fn damaged_row(table: &str) -> String {
    format!("a row of {table} was changed")
}

/// Renames the file and its companions, so that none of them is taken for the new one's.
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, NodeError> {
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
