//! This machine as a device of people: what it is called, and its key in sessions.

use mainframe_base::{DeviceKey, Secret};
use mainframe_core::session::device_key;

/// What a device is called in sessions if nobody said and the host has no name.
const NAMELESS: &str = "node";
/// Where Linux tells the host's name.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// What this device is called if nobody says otherwise: the host's name.
pub(crate) fn name() -> String {
    let host = std::fs::read_to_string(HOST_NAME_FILE).unwrap_or_default();
    let host = host.trim();
    if host.is_empty() || host == "(none)" { NAMELESS.to_owned() } else { host.to_owned() }
}

/// The key of the device with this seed.
pub(crate) fn key(seed: &Secret<32>) -> DeviceKey {
    device_key(seed.clone())
}
