//! Eavesdroppers: what they see, and what they can make of it (docs/protocol/packet.md §8).
//!
//! Each observer is an estimator that is given what its tap gives and what everyone can know, never the truth; the
//! scenario scores it afterwards.
//!
//! | file | who listens, or what is made of it |
//! |---|---|
//! | `tap` | where links are listened to |
//! | `coalition` | relays that compare notes: every frame that reaches or leaves them |
//! | `model` | how packets travel, as relays can tell from their own tables |
//! | `attribution` | who sent a packet, and how sure the coalition may be |
//! | `receiver` | who may be the receiver, and who still may after many packets |
//! | `linking` | which packets belong to one conversation |
//! | `crawler` | a node that asks everyone for everyone |
//! | `global` | sees all links, but only when how many bytes go from whom to whom |
//! | `score` | how often they were right |

pub mod attribution;
pub mod coalition;
pub mod crawler;
pub mod global;
pub mod linking;
pub mod model;
pub mod receiver;
pub mod score;
pub mod tap;
