//! Networks too large to be grown here: tables as the overlay leaves them behind, without its having been at work.
//!
//! `selection` draws the connections by the overlay's own rules, `machine` runs the packet room over them. What is
//! real and what is modelled then: docs/protocol/simulator.md §4.

mod machine;
mod present;
mod selection;

pub use machine::SettledRelay;
pub use selection::{Connections, Selection, settle};
