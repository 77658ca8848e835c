//! Links inside one process, without sockets: the same swarm over channels, for tests of the node.
//!
//! A locator's port is the channel's name; its address and transport do not matter.

use std::sync::atomic::{AtomicU16, Ordering};

use mainframe_base::Locator;
use mainframe_core::switchboard::LinkEvent;
use tokio::sync::mpsc::Sender;

use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::link::Link;
use crate::locators::Medium;

/// Names given to listeners that asked for any; tests choose theirs below.
static NEXT_PORT: AtomicU16 = AtomicU16::new(32_768);

/// Starts a link that only links of this process can reach; otherwise as [`Link::start`].
///
/// # Errors
/// A port in use.
pub async fn start<E>(mut config: LinkConfig, events: Sender<E>) -> Result<Link, LinkError>
where
    E: From<LinkEvent> + Send + 'static,
{
    for locator in &mut config.listen {
        name(locator);
    }
    Link::start_over(config, events, Medium::Memory).await
}

/// Port 0 means any, but the transport's own choice would not fit into a port.
fn name(locator: &mut Locator) {
    if locator.port == 0 {
        locator.port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
    }
}
