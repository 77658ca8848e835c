//! The two halves of the core, made from the configuration.

use mainframe_base::Time;
use mainframe_core::crypto::{NodeKeys, Verifier};
use mainframe_core::hold::HoldConfig;
use mainframe_core::overlay::{Myself, OverlayConfig};
use mainframe_core::switchboard::{Endpoint, EndpointConfig, HeldCell, Relay, RelayConfig};

use crate::config::Config;
use crate::random;
use crate::store::SqliteStore;

/// Records whose signatures are remembered as good (guess: those of 4,096 relays, ~2 MiB).
const VERIFIED_MAX: usize = 4_096;
/// Without a chain the overlay address follows from the node's keys alone (DESIGN: "Address").
const ADDRESS_SEED: [u8; 32] = [0; 32];

/// The relay half, with its peer cache.
pub(crate) fn relay(now: Time, config: &Config, keys: NodeKeys, found: Vec<HeldCell>, store: &SqliteStore) -> Relay {
    let overlay = if config.small_network { OverlayConfig::small_network() } else { OverlayConfig::default() };
    let hold = HoldConfig { bytes_max: u64::from(config.hold_max_mib) << 20, ..HoldConfig::default() };
    let (trace, follows_reach) = (config.trace, config.role_follows);
    let settings = RelayConfig { overlay, hold, trace, follows_reach, ..RelayConfig::default() };
    let verifier = Verifier::new(VERIFIED_MAX);
    let myself = Myself { network: config.network, role: config.role, keys, seed: ADDRESS_SEED, verifier };
    Relay::new(now, settings, myself, config.bootstrap.clone(), random::bytes(), found, store)
}

/// The endpoint half, with nobody on it yet.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::new(EndpointConfig::default(), random::bytes())
}

/// Where a node with these keys stands.
pub(crate) fn overlay(config: &Config, keys: &NodeKeys) -> mainframe_base::Address {
    keys.overlay(config.network, &ADDRESS_SEED)
}
