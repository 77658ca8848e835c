//! Links across routers, relays and broken cables: each node in a network namespace of its own, real sockets between.
//!
//! Needs root, `ip` (iproute2) and `nft` (nftables). Where they are missing the tests say so and pass.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests wait for one event among many")]

mod changing;
mod dialling;
mod node;
mod punching;
mod world;

use node::Node;
use world::{Router, World};
