//! Where held cells lie on disk: for 1, 24 or 72 hours, for receivers who are away.
//!
//! The core decides what is held and for how long; this room keeps the bytes. The two talk by orders and reports, so
//! that forwarding never waits for a disk. It knows no quota and no clock of cells: it keeps until it is told to drop.
//!
//! ```text
//! shelf      the names of files
//! slot_file  whole cells of one size, one after the other; no index on disk
//! store      all shelves, and in memory where each cell is
//! thread     orders in, reports out
//! ```
//!
//! docs/decisions/0009-held-cells-in-slot-files.md says why it is not a database.

#[cfg(test)]
mod samples;
mod shelf;
mod slot_file;
mod store;
#[cfg(test)]
mod tests;
mod thread;

/// Where held cells lie in the data directory.
pub(crate) const HELD_DIRECTORY: &str = "held";

pub use store::HeldStore;
pub use thread::{BATCH_MAX, Busy, HoldThread, KEEPS_MAX, READS_MAX};
