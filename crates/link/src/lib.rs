//! Bytes between neighbours: libp2p transports, handshake, framing (docs/protocol/link.md).
//!
//! The link carries whole frames and knows only their length. It does not know what a cell is for, whether a peer is
//! welcome or whom to dial: the relay half decides, and the link reports what happened as [`LinkEvent`]s.
//!
//! ```text
//! link        the handle the node holds
//! driver      the one task that owns the swarm
//! swarm       transports, identify, ping, limits put together
//! behaviour   which of a peer's connections carries frames
//! multiplexer yamux with bounds of our own
//! handler     one connection: its two streams
//! writer  reader   the outgoing and the incoming stream
//! queue  splitter  frames waiting to be written; bytes turned back into frames
//! locators    the only place that knows multiaddrs
//! memory      links inside one process, for tests
//! soak        two links at full load
//! baseline    the yardstick: a plain relay without any of this
//! ```

pub mod baseline;
mod behaviour;
mod config;
mod driver;
mod error;
mod handler;
mod link;
mod locators;
pub mod memory;
mod multiplexer;
mod queue;
mod reader;
pub mod soak;
mod splitter;
mod swarm;
mod writer;

pub use config::LinkConfig;
pub use error::LinkError;
pub use link::{Link, Queued};
pub use mainframe_core::switchboard::{DownReason, HangupReason, LinkEvent};
pub use mainframe_core::wire::OutFrame;
