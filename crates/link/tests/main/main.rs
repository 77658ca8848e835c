//! Links talking to each other: over TCP, over QUIC and inside one process.

#![expect(clippy::unwrap_used, reason = "tests")]

mod exchange;
mod neighbour;
mod pressure;
mod refusal;
mod stranger;

use neighbour::{Neighbour, Over, pair};
