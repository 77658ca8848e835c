//! Held cells in a table of SQLite: what slot files are measured beside (docs/decisions/0009).
//!
//! As good as it was found to be: rows in the order they come, one index for names and shelves, pages that waste little
//! of a row's 2 KiB, full sync at every commit.

use std::path::Path;

use mainframe_base::PacketId;
use mainframe_core::switchboard::Shelf;
use mainframe_core::wire::Cell;
use rusqlite::{Connection, OptionalExtension, params};

use super::hold::Held;

/// Seven rows of a small cell fill 89 % of a page; of 8,192 bytes three 76 %, of 4,096 one 51 %.
const PAGE_BYTES: u32 = 16_384;
/// Room for the whole index of 100,000 cells, so that a read costs one page at most.
const CACHE_KIB: u32 = 32_768;

/// The table.
#[derive(Debug)]
pub(super) struct HeldTable {
    connection: Connection,
}

impl Held for HeldTable {
    /// Reads every name and header, and proves no cell: that is left to whoever reads it.
    fn open(directory: &Path) -> anyhow::Result<(Self, usize)> {
        std::fs::create_dir_all(directory)?;
        let connection = Connection::open(directory.join("held.db"))?;
        connection.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA cache_size = -{CACHE_KIB};
             CREATE TABLE IF NOT EXISTS cells (
                 hour INTEGER NOT NULL, hours INTEGER NOT NULL, id BLOB NOT NULL, cell BLOB NOT NULL,
                 PRIMARY KEY (hour, hours, id)) STRICT;"
        ))?;
        let mut all = connection.prepare("SELECT hour, hours, id, substr(cell, 1, 132) FROM cells")?;
        let rows = all.query_map([], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?, row.get::<_, [u8; 16]>(2)?, row.get::<_, Vec<u8>>(3)?))
        })?;
        let found = rows.collect::<rusqlite::Result<Vec<_>>>()?.len();
        drop(all);
        Ok((HeldTable { connection }, found))
    }

    fn keep(&mut self, cells: &[(Shelf, Cell)]) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO cells VALUES (?1, ?2, ?3, ?4)")?;
        for (shelf, cell) in cells {
            insert.execute(params![shelf.hour.0, shelf.class.hours(), cell.id().0, &cell.bytes()[..]])?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn read(&mut self, shelf: Shelf, id: PacketId) -> Option<Cell> {
        let sql = "SELECT cell FROM cells WHERE hour = ?1 AND hours = ?2 AND id = ?3";
        let mut query = self.connection.prepare_cached(sql).ok()?;
        let bytes = query.query_row(params![shelf.hour.0, shelf.class.hours(), id.0], |row| row.get::<_, Vec<u8>>(0));
        Cell::parse(bytes.optional().ok()??.into()).ok().filter(|cell| cell.id() == id)
    }

    fn drop_shelf(&mut self, shelf: Shelf) -> anyhow::Result<()> {
        let sql = "DELETE FROM cells WHERE hour = ?1 AND hours = ?2";
        self.connection.execute(sql, params![shelf.hour.0, shelf.class.hours()])?;
        Ok(())
    }
}
