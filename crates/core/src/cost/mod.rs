//! What a packet costs the network, in integers, and how dark one can afford to be.
//!
//! One closed form serves the quote, the budget, the advisor and later the ledger (docs/protocol/packet.md §7):
//! transmissions = entries × hops to the region + (relays of the region − 1) × repair.

mod advisor;
mod table;

pub use advisor::{Advice, Situation, advise};
pub use table::{Quote, budget_for, budget_transmissions, quote, region_relays};
