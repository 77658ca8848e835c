//! The shell around the core: drivers, store, configuration, keys, local API.
//!
//! ```text
//! config  password                     what the node was told
//! key_file  keyring  files  sealed     what it keeps secret
//! store                                what it keeps
//! held                                 cells it keeps for those who are away
//! relay_loop  endpoint_loop  halves    the core's two halves, a thread each
//! mailbox                              from the relay half to the endpoint half
//! desk                                 questions, answers and news between halves and interfaces
//! people  device  linking              whose messages are opened; how a person comes here from another device
//! account_file                         a person in an encrypted file
//! tokens  api                          who may ask; how
//! node                                 all of it, started and stopped in order
//! bare  early_open                     the relay half alone, and a node that betrays itself, for measurements
//! ```

mod account_file;
mod api;
mod bare;
mod clock;
mod config;
mod desk;
mod device;
#[cfg(feature = "early-open")]
mod early_open;
mod endpoint_loop;
mod error;
mod files;
mod halves;
pub mod held;
mod key_file;
mod keyring;
mod linking;
mod mailbox;
mod node;
mod password;
mod people;
mod random;
mod relay_loop;
mod sealed;
mod store;
mod tokens;

/// Whether this was built as a node that betrays itself, for a measurement that has to find it out.
pub const OPENS_EARLY: bool = cfg!(feature = "early-open");

pub use api::openapi;
pub use bare::{BareRelay, Offer};
pub use config::{CONFIG_KEYS, Config, ConfigKey, KeyDerivation, LogFormat, Profile, Sources};
pub use error::{ErrorKind, NodeError};
pub use node::{Node, RunningNode};
pub use password::Password;
