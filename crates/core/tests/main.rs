//! Everything about the core that is seen from outside, in one binary.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had has failed")]

mod architecture;
mod fuzz;
