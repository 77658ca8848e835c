//! What crosses a link, as plain data: frames, cells and control messages (docs/protocol/packet.md, link.md).
//!
//! The codec is written by hand: fixed offsets, big-endian, bounded lists, strict. It needs no room and no room
//! needs bytes: behaviour lives elsewhere.

mod cell;
mod clock;
mod control;
mod envelope;
mod frame;
mod list;

pub use cell::{
    CELL_BODY_B, CELL_BODY_T, CELL_LENGTH_B, CELL_LENGTH_T, Cell, CellHeader, HEADER_LENGTH, HoldClass, RESERVE_LENGTH,
    SizeClass,
};
pub use clock::{BUCKET_MS, ExpiryBucket, HOUR_MS, Hour, LIVE_BUCKETS_MAX, TOLERANCE_BUCKETS};
pub use control::{
    Ask, DIGESTS_MAX, DigestEntry, GetPeers, HASHES, Hearing, Held, Hello, Neighbourhood, PEERS_MAX, PULLS_MAX, Peers,
    PullEntry, RECEIPTS_MAX, RECENT_BYTES_MAX, Receipt, Recent, Subscribe, TagBucket, Verdict,
};
pub use envelope::Envelope;
pub use frame::{
    BudgetClass, CONTROL_LENGTH_MAX, CellFrame, FRAME_HEADER_LENGTH, Frame, ListFrame, OutFrame, payload_length,
};
pub use list::{LIST_LENGTH_MAX, ListCell, Parcel};
