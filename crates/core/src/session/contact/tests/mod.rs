//! Two people and a net between them that loses, doubles, delays and replays.

mod between_two;
mod bytes;
mod unruly;
mod world;
