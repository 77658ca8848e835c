//! Many nodes as one: started several at a time, ready together, stopped together.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures::stream::{FuturesUnordered, StreamExt};
use mainframe_base::{Locator, Role};
use mainframe_sdk::{Client, EndpointFile};

use super::cast;
use super::child::{NodeProcess, Plan};
use super::place::NodeState;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Nodes that newcomers are told of: any would do, and five survive the loss of four.
const BOOTSTRAP_MAX: usize = 5;
/// Nodes that start at the same time: starting is mostly waiting for keys and disk, on few cores (guess).
const STARTING_MAX: usize = 8;
/// Relays a guest is connected to when it is settled (crates/core: `OverlayConfig::access_relays`).
const ACCESS_RELAYS: u64 = 2;
/// How often a starting node is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A node that serves its API.
#[derive(Debug)]
pub(crate) struct Node {
    plan: Plan,
    /// Its process.
    pub(crate) process: NodeProcess,
    /// Speaks to it as administrator.
    pub(crate) client: Client,
    /// What it said about itself.
    pub(crate) endpoint: EndpointFile,
}

impl Node {
    /// As what it takes part.
    pub(crate) fn role(&self) -> mainframe_sdk::Role {
        match self.plan.role {
            Role::Relay => mainframe_sdk::Role::Relay,
            Role::Guest => mainframe_sdk::Role::Guest,
        }
    }

    /// Starts it again on its directory, after it has ended.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        *self = serve(self.plan.clone()).await?;
        Ok(())
    }

    /// Whether it has joined; a guest, whether it has its access relays.
    pub(crate) async fn is_ready(&self) -> bool {
        if self.plan.role == Role::Relay {
            return self.client.is_ready().await;
        }
        self.client.status().await.is_ok_and(|status| status.relay.joined && status.relay.peers >= ACCESS_RELAYS)
    }

    /// As told to whoever asks the supervisor.
    pub(crate) fn state(&self) -> NodeState {
        NodeState {
            name: self.process.name.clone(),
            role: self.role(),
            pid: self.process.pid,
            api: self.endpoint.api.clone(),
            token: self.endpoint.token.clone(),
            overlay: self.endpoint.overlay.clone(),
            data_dir: self.process.data_dir.clone(),
        }
    }
}

/// A running network, in the order of the cast, guests last.
#[derive(Debug)]
pub(crate) struct Network {
    /// Its nodes.
    pub(crate) nodes: Vec<Node>,
    /// Seconds from the first start until all were ready.
    pub(crate) ready_s: f64,
}

/// What network to start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// How many relays.
    pub(crate) nodes: usize,
    /// How many guests besides.
    pub(crate) guests: usize,
    /// The network's directory.
    pub(crate) dir: &'a Path,
    /// First port of the APIs; 0 for any.
    pub(crate) api_port: u16,
    /// How long it may take until all are ready.
    pub(crate) patience: Duration,
}

impl<'a> Wanted<'a> {
    /// So many relays and no guests.
    pub(crate) fn relays(nodes: usize, dir: &'a Path, patience: Duration) -> Wanted<'a> {
        Wanted { nodes, guests: 0, dir, api_port: 0, patience }
    }

    fn total(&self) -> usize {
        self.nodes + self.guests
    }

    fn plan(&self, index: usize, bootstrap: Vec<Locator>) -> anyhow::Result<Plan> {
        let (role, name) = match index.checked_sub(self.nodes) {
            None => (Role::Relay, cast::name(index)),
            Some(guest) => (Role::Guest, cast::guest_name(guest)),
        };
        let api_port = if self.api_port == 0 { 0 } else { self.api_port + u16::try_from(index)? };
        Ok(Plan { index, name, role, network_dir: self.dir.to_owned(), api_port, bootstrap })
    }
}

impl Network {
    /// Starts the nodes and waits until every one has joined.
    ///
    /// # Errors
    /// If a node cannot start, ends, or is not ready in time; the others are stopped.
    pub(crate) async fn start(wanted: Wanted<'_>, output: &Output) -> anyhow::Result<Network> {
        let began = Instant::now();
        let ready = async {
            let mut nodes = serve_all(&wanted, output).await?;
            join_all(&mut nodes, output).await?;
            anyhow::Ok(nodes)
        };
        match tokio::time::timeout(wanted.patience, ready).await {
            Ok(nodes) => Ok(Network { nodes: nodes?, ready_s: began.elapsed().as_secs_f64() }),
            Err(_) => bail!(
                Failure::new(
                    Exit::TimedOut,
                    format!("not all {} nodes were ready within {:?}", wanted.total(), wanted.patience)
                )
                .next("--timeout SECONDS, or fewer nodes")
            ),
        }
    }

    /// Stops every node and waits until all have left.
    ///
    /// # Errors
    /// If one had to be killed or left with an error; all have left nevertheless.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            node.process.ask_to_stop();
        }
        let mut result = Ok(());
        for node in self.nodes {
            result = result.and(node.process.stopped().await);
        }
        result
    }

    /// Waits for the first node to end by itself, and takes it out.
    pub(crate) async fn next_death(&mut self) -> anyhow::Error {
        if self.nodes.is_empty() {
            return std::future::pending().await;
        }
        let waits: Vec<_> = self.nodes.iter_mut().map(|node| Box::pin(node.process.wait())).collect();
        let (status, index, rest) = futures::future::select_all(waits).await;
        drop(rest);
        let node = self.nodes.remove(index);
        match status {
            Ok(status) => node.process.died(status),
            Err(error) => error,
        }
    }
}

/// Starts the nodes; each is told of the first few that already serve.
async fn serve_all(wanted: &Wanted<'_>, output: &Output) -> anyhow::Result<Vec<Node>> {
    let mut bootstrap: Vec<Locator> = Vec::new();
    let mut serving: Vec<Node> = Vec::new();
    let mut starting = FuturesUnordered::new();
    let mut next = 0;
    while serving.len() < wanted.total() {
        // The first one starts alone: without it the others would know nobody.
        let at_once = if bootstrap.is_empty() { 1 } else { STARTING_MAX };
        while next < wanted.total() && starting.len() < at_once {
            starting.push(serve(wanted.plan(next, bootstrap.clone())?));
            next += 1;
        }
        let Some(started) = starting.next().await else { break };
        let node = started?;
        if bootstrap.len() < BOOTSTRAP_MAX {
            bootstrap.extend(node.endpoint.locators.iter().find_map(|text| text.parse::<Locator>().ok()));
        }
        serving.push(node);
        progress(output, "started", serving.len(), wanted.total());
    }
    drop(starting);
    serving.sort_by_key(|node| node.plan.index);
    Ok(serving)
}

/// Starts one node and waits until its API is there.
async fn serve(plan: Plan) -> anyhow::Result<Node> {
    let mut process = NodeProcess::start(&plan)?;
    loop {
        process.check()?;
        // One that was killed has left its file behind.
        if let Ok(endpoint) = EndpointFile::read(&process.data_dir)
            && endpoint.pid == process.pid
        {
            let client = Client::connect(endpoint.api.clone(), endpoint.token.clone());
            return Ok(Node { plan, process, client, endpoint });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until every node has joined.
async fn join_all(nodes: &mut [Node], output: &Output) -> anyhow::Result<()> {
    let total = nodes.len();
    let mut waiting: Vec<&mut Node> = nodes.iter_mut().collect();
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for node in waiting {
            node.process.check()?;
            if !node.is_ready().await {
                still.push(node);
            }
        }
        progress(output, "ready", total - still.len(), total);
        waiting = still;
        if !waiting.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// A line that overwrites itself on a terminal; on anything else, the last one only.
fn progress(output: &Output, word: &str, done: usize, total: usize) {
    use std::io::{IsTerminal, Write};
    if output.quiet {
        return;
    }
    let mut stderr = std::io::stderr().lock();
    let result = if stderr.is_terminal() {
        let end = if done == total { "\n" } else { "" };
        write!(stderr, "\r  {done} of {total} nodes {word} {end}")
    } else if done == total {
        writeln!(stderr, "  {done} of {total} nodes {word}")
    } else {
        Ok(())
    };
    // Progress nobody can read is no reason to stop.
    drop(result.and_then(|()| stderr.flush()));
}
