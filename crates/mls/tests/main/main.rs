//! Groups of devices that talk, change and forget.

mod committing;
mod forgetting;
mod hostile;
mod joining;
mod keeping;
mod same_seed;
mod talking;
mod world;
