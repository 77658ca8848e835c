//! The overlay in small networks of its own.

mod beliefs;
mod bench;
mod growing;
mod harness;
mod liars;
