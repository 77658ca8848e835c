//! Conversations between people and their devices: who they are with, in what order, and that nothing is lost.
//!
//! Bytes and rules: docs/protocol/session.md.

pub mod contact;
pub mod ledger;
pub mod ordering;
