//! The vocabulary every crate speaks: addresses, prefixes, topics, keys as data, time, and whose fault it was.
//!
//! Nothing here has behaviour beyond arithmetic and text. A type enters when at least three rooms speak it.

mod address;
mod fault;
mod held;
mod key;
mod locator;
mod network;
mod prefix;
mod time;
mod topic;

pub use address::{ADDRESS_BITS, Address, Proximity};
pub use fault::{Fault, Refusal};
pub use held::Held;
pub use key::{ChainAccount, DeviceId, DeviceKey, IdentityKey, LinkKey, ScanKey, Secret, SessionId, Signature};
pub use locator::{Locator, Scope, Transport};
pub use network::{NetworkId, Role};
pub use prefix::{Luminosity, ParsePrefixError, Prefix};
pub use time::Time;
pub use topic::{PacketId, Tag, TopicKey};
