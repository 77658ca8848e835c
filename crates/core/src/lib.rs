//! The protocol as pure state machines: no clock, socket, disk, thread or ambient randomness.
//!
//! Rooms, each importing only from those above it; rooms on one line never import each other:
//!
//! ```text
//! bucket  codec  jitter      how much may somebody ask for; how bytes are read; how nodes do not act together
//! crypto                     keys, records, sealing
//! wire  store  neighbours    what crosses a link; where state is kept; whom we are connected to
//! cost                       the price table and the luminosity advisor
//! overlay | packet | hold | session
//!                            who our neighbours are | where a packet goes | what is kept for those who are away |
//!                            who talks with whom, under which keys, in what order
//! switchboard                the only place where rooms meet: the relay half and the endpoint half
//! ```
//!
//! The life of a packet reads from top to bottom in `switchboard/outbound.rs` and `switchboard/inbound.rs`.

mod bucket;
pub mod codec;
pub mod cost;
pub mod crypto;
pub mod hold;
mod jitter;
pub mod neighbours;
pub mod overlay;
pub mod packet;
pub mod session;
pub mod store;
pub mod switchboard;
pub mod wire;
