//! What a packet costs the network, in integers, and how dark one can afford to be.
//!
//! One closed form serves the quote, the budget, the advisor and later the ledger (docs/protocol/packet.md §7):
//! transmissions = entries to the region + (relays of the region − 1) × repair.
//!
//! | file | question |
//! |---|---|
//! | `table` | how many transmissions? |
//! | `latency` | how many milliseconds? |
//! | `set` | among how many honest relays? |
//! | `advisor` | so which luminosity? |
//! | `bucket` | among how many cells does the one fetched hide? |

mod advisor;
mod bucket;
mod latency;
mod scale;
mod set;
mod table;

pub use advisor::{Advice, Obstacle, Situation, advise, outlook};
pub use bucket::{bucket_bits, bucket_candidates};
pub use latency::{Latency, latency};
pub use set::{HonestSet, Sight};
pub use table::{Network, Quote, budget_for, budget_transmissions, milli_region, quote, quote_region};
