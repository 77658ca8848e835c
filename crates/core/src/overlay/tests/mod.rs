//! The overlay in small networks of its own.

mod beliefs;
mod bench;
mod counting;
mod growing;
mod harness;
mod liars;
