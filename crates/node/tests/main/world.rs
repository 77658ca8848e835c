//! What the tests share: configurations, nodes, and patience.

use std::path::Path;
use std::time::Duration;

use mainframe_node::{Config, Node, NodeError, Password, RunningNode, Sources};
use mainframe_sdk::Client;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn sources(pairs: &[(&str, &str)]) -> Sources {
    let flags = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { flags, ..Sources::default() }
}

/// A local network's configuration in `directory`, TCP only, with these values besides.
pub(crate) fn config(directory: &Path, pairs: &[(&str, &str)]) -> Config {
    let directory = directory.to_str().unwrap();
    let mut sources = sources(&[("profile", "devnet"), ("data_dir", directory), ("listen", "/ip4/127.0.0.1/tcp/0")]);
    sources.flags.extend(self::sources(pairs).flags);
    Config::load(&sources).unwrap()
}

pub(crate) async fn try_start(config: Config) -> Result<RunningNode, NodeError> {
    Node::start(config, Password::new("correct horse")).await
}

/// Why a node does not start.
pub(crate) async fn refusal(config: Config) -> NodeError {
    try_start(config).await.err().unwrap()
}

/// A node of its own.
pub(crate) async fn start(pairs: &[(&str, &str)]) -> (TempDir, RunningNode) {
    let directory = tempfile::tempdir().unwrap();
    let node = try_start(config(directory.path(), pairs)).await.unwrap();
    (directory, node)
}

/// Waits until `done` says so.
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Waits until the node has joined.
pub(crate) async fn joined(client: &Client) {
    until("joined", async || client.status().await.is_ok_and(|status| status.relay.joined)).await;
}
