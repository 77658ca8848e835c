//! The plain relay's processes: raw libp2p streams, as the link's yardstick defines them.

use std::time::Duration;

use anyhow::Context;
use mainframe_base::Locator;
use mainframe_link::baseline::{self, Measured, Until};

use super::part::{Carrier, Plain};
use super::process::Place;
use crate::output::line;

/// Counts.
///
/// # Errors
/// If it cannot listen or the stream breaks.
pub(crate) async fn sink(carrier: Carrier) -> anyhow::Result<()> {
    tell(baseline::sink(carrier.anywhere(), announce).await?)
}

/// Copies.
///
/// # Errors
/// If it cannot listen, nobody is there, or a stream breaks.
pub(crate) async fn relay(carrier: Carrier, next: &str, write_bytes: usize) -> anyhow::Result<()> {
    let next = next.parse().context("where to?")?;
    tell(baseline::relay(carrier.anywhere(), next, write_bytes, announce).await?)
}

/// Writes.
///
/// # Errors
/// If nobody is there or the stream breaks.
pub(crate) async fn sender(next: &str, write_bytes: usize, duration: Duration) -> anyhow::Result<()> {
    let next = next.parse().context("where to?")?;
    line(&serde_json::to_string(&Place { locator: String::new(), overlay: String::new() })?)?;
    tell(baseline::sender(next, super::forward::CELL_BYTES, write_bytes, Until::Elapsed(duration)).await?)
}

/// Whoever measures waits for this line; if nobody reads it, the process is about to end anyway.
fn announce(locator: Locator) {
    let place = Place { locator: locator.to_string(), overlay: String::new() };
    let _ = serde_json::to_string(&place).map(|text| line(&text));
}

fn tell(measured: Measured) -> anyhow::Result<()> {
    let plain = Plain { bytes: measured.bytes, seconds: measured.elapsed.as_secs_f64() };
    line(&serde_json::to_string(&plain)?)
}
