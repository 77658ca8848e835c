//! Where people of a benchmark talk: a few relays, and guests who hear of each other through them only.

use std::path::Path;
use std::time::Duration;

use crate::cli::Global;
use crate::devnet::{Held, Network, Node, Wanted, guest_name, node_name, threads};
use crate::output::Output;
use crate::signals::Signals;
use crate::somebody::Somebody;

/// How long the network may take to come up, at least.
const PATIENCE_MIN_S: f64 = 120.0;

/// What stands there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// What the benchmark is called.
    pub(super) name: &'static str,
    /// How many relays.
    pub(super) relays: usize,
    /// How many guests: nodes that serve nobody, and whom nobody is told of.
    pub(super) guests: usize,
}

/// The scene while it is played.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) network: &'a mut Network,
    relays: usize,
}

impl Scene {
    /// Starts the network, plays, and stops it, also when it is asked to end before.
    ///
    /// # Errors
    /// If the network does not come up, or as the play says.
    pub(super) async fn play<T>(
        self,
        global: &Global,
        output: &Output,
        play: impl AsyncFnOnce(&mut Stage<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let dir = std::env::temp_dir().join(format!("mainframe-{}-{}", self.name, std::process::id()));
        let held = Held::take(&dir, false)?;
        self.configure(held.dir())?;
        let mut signals = Signals::listen()?;
        let patience = Duration::from_secs_f64(global.timeout.max(PATIENCE_MIN_S));
        let wanted = Wanted { guests: self.guests, ..Wanted::relays(self.relays, held.dir(), patience) };
        let mut network = tokio::select! {
            network = Network::start(wanted, output) => network?,
            () = signals.stop() => anyhow::bail!("stopped before it began"),
        };
        let mut stage = Stage { network: &mut network, relays: self.relays };
        let played = tokio::select! {
            played = play(&mut stage) => played,
            () = signals.stop() => Err(anyhow::anyhow!("stopped before it was done")),
        };
        let stopped = network.stop().await;
        let played = played?;
        stopped?;
        Ok(played)
    }

    /// Nodes of a development network tell every step of every packet; here they are as quiet as any others.
    fn configure(self, network_dir: &Path) -> anyhow::Result<()> {
        let names = (0..self.relays).map(node_name).chain((0..self.guests).map(guest_name));
        for name in names {
            let data_dir = network_dir.join(name);
            std::fs::create_dir_all(&data_dir)?;
            std::fs::write(data_dir.join("config.toml"), "trace = false\n")?;
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// The relays.
    pub(super) fn relay_nodes(&self) -> &[Node] {
        &self.network.nodes[..self.relays]
    }

    /// A guest.
    pub(super) fn guest(&mut self, number: usize) -> &mut Node {
        &mut self.network.nodes[self.relays + number]
    }

    /// A person on each guest. Their places tell nothing, so that every relay carries what is said to them.
    ///
    /// # Errors
    /// If a node refuses.
    pub(super) async fn guests<const COUNT: usize>(
        &mut self,
        names: [&str; COUNT],
    ) -> anyhow::Result<[Somebody; COUNT]> {
        let mut people = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let client = self.guest(number).client.clone();
            people.push(Somebody::on(&client, name, 0).await?);
        }
        Ok(people.try_into().expect("as many as names"))
    }

    /// Threads of all nodes.
    ///
    /// # Errors
    /// If one has ended.
    pub(super) fn threads(&self) -> anyhow::Result<u64> {
        self.network.nodes.iter().map(|node| threads(node.process.pid)).sum()
    }
}
