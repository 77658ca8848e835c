//! Bytes between neighbours: libp2p transports, handshake, framing (docs/protocol/link.md).
//!
//! The link carries whole frames and knows only their length. It does not know what a cell is for, whether a peer is
//! welcome or whom to dial: the relay half decides, and the link reports what happened as [`LinkEvent`]s.
//!
//! ```text
//! link        the handle the node holds
//! driver      the one task that owns the swarm
//! dials       what is being dialled, and what is tried next
//! surroundings  what the driver learns of the network around it
//! reach  shelter  whether others can dial us; relays behind which they can
//! swarm       transports, identify, ping, limits and what finds ways to us put together
//! questioner  quiet  fresh_port  libp2p's parts with rules of our own
//! behaviour   which of a peer's connections carries frames; admission: which there may be; moving: to a better one
//! peer        the connections with one peer, and which is best
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
mod dials;
mod driver;
mod error;
mod fresh_port;
mod handler;
mod link;
mod locators;
pub mod memory;
mod multiplexer;
mod peer;
mod questioner;
mod queue;
mod quiet;
mod reach;
mod reader;
mod shelter;
pub mod soak;
mod splitter;
mod surroundings;
mod swarm;
mod writer;

pub use config::LinkConfig;
pub use error::LinkError;
pub use link::{Link, Queued};
pub use mainframe_core::switchboard::{DownReason, HangupReason, LinkEvent};
pub use mainframe_core::wire::OutFrame;
