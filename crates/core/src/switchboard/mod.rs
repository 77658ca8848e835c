//! The only place where rooms meet: the two halves of a node.
//!
//! The **relay** half routes, spreads and keeps the overlay. The **endpoint** half holds people's keys. They exchange
//! cells and nothing else: the relay hands every cell of its regions to the endpoint and never learns what came of it.

mod attended;
mod command;
#[cfg(test)]
mod deciding_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod hostile_tests;
mod inbound;
mod inbox;
#[cfg(test)]
mod insider;
#[cfg(test)]
mod listening_tests;
#[cfg(test)]
mod mutation_tests;
mod outbound;
mod outbox;
#[cfg(test)]
mod outlaw;
mod ports;
#[cfg(test)]
mod rehearsal;
#[cfg(test)]
mod returning_tests;
mod role;
#[cfg(test)]
mod secrecy_tests;
#[cfg(test)]
mod session_tests;
mod talking;

pub use crate::hold::{AttendanceView, HeldCell, HoldStatus, Shelf, StoreOrder, StoreReport};
pub use crate::overlay::{Estimate, RegionCount};
pub use crate::packet::{Dispatch, Step};
pub use ports::{
    CommandId, DownReason, EndpointCommand, EndpointEffect, EndpointEvent, EndpointInput, EndpointReply,
    EndpointStatus, HangupReason, Letter, LinkEvent, Message, OpenedBy, Outcome, PeerView, Reach, Recipient,
    RelayCommand, RelayEffect, RelayEvent, RelayInput, RelayReply, RelayStatus, TraceEvent,
};

mod endpoint;
mod relay;

pub use endpoint::{Endpoint, EndpointConfig, topic_fingerprint};
pub use relay::{Relay, RelayConfig};
pub use role::RoleReason;
