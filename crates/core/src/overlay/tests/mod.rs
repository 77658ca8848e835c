//! The overlay in small networks of its own.

mod growing;
mod harness;
