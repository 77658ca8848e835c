//! Real nodes on loopback, with real stores in temporary directories.

#![allow(clippy::unwrap_used, reason = "a test that meets no value has failed")]

mod api;
mod configuration;
mod devices;
mod guide;
mod held;
mod holding;
mod network;
mod people;
mod starting;
mod upgrading;
mod world;
