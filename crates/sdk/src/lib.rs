//! The types of the local API and the Rust client for it.
