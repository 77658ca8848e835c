//! `devnet status`: how the nodes are and what they use; `devnet down`: stops their supervisor.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::future::join_all;
use mainframe_sdk::{Client, Role};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use super::place::{NodeState, running};
use super::up::directory;
use super::usage;
use crate::bench::median;
use crate::cli::{Global, Place};
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};

/// A node that does not answer this soon counts as not ready.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The whole network.
#[derive(Serialize, Debug)]
struct Report {
    supervisor: u32,
    /// Seconds the network took to get ready; none while it starts.
    ready_s: Option<f64>,
    nodes_total: usize,
    nodes_ready: usize,
    /// Of the processes that run, in MB.
    median_pss_mb: Option<f64>,
    /// Of one core, all nodes together, over the window.
    cpu_percent_total: f64,
    window_s: f64,
    nodes: Vec<NodeReport>,
}

/// One node.
#[derive(Serialize, Debug)]
struct NodeReport {
    name: String,
    role: Role,
    pid: u32,
    api: String,
    running: bool,
    ready: bool,
    peers: Option<u64>,
    depth: Option<u16>,
    pss_mb: Option<f64>,
    cpu_s: Option<f64>,
    cpu_percent: Option<f64>,
}

/// Runs `devnet status`.
///
/// # Errors
/// If no network runs there.
pub(crate) async fn run(place: &Place, window_s: f64, output: &Output) -> anyhow::Result<()> {
    let state = running(&directory(place)?)?;
    // Processor time first: asking the nodes how they are would count against them.
    let before: Vec<Option<f64>> = state.nodes.iter().map(|node| usage::cpu_seconds(node.pid).ok()).collect();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(window_s)).await;
    let after: Vec<Option<f64>> = state.nodes.iter().map(|node| usage::cpu_seconds(node.pid).ok()).collect();
    let elapsed_s = began.elapsed().as_secs_f64();
    let percents =
        before.iter().zip(&after).map(|(before, after)| Some((*after.as_ref()? - (*before)?) / elapsed_s * 100.0));
    let asked = state.nodes.iter().zip(percents).zip(&after);
    let nodes = join_all(asked.map(|((node, percent), cpu_s)| look(node, percent, *cpu_s))).await;
    let pss: Vec<f64> = nodes.iter().filter_map(|node| node.pss_mb).collect();
    let report = Report {
        supervisor: state.pid,
        ready_s: state.ready_s,
        nodes_total: nodes.len(),
        nodes_ready: nodes.iter().filter(|node| node.ready).count(),
        median_pss_mb: median(&pss),
        cpu_percent_total: nodes.iter().filter_map(|node| node.cpu_percent).sum(),
        window_s: elapsed_s,
        nodes,
    };
    output.result(&report, || text(&report))
}

async fn look(node: &NodeState, cpu_percent: Option<f64>, cpu_s: Option<f64>) -> NodeReport {
    let client = Client::connect(node.api.as_str(), node.token.as_str());
    let answers = async { (client.is_ready().await, client.status().await.ok()) };
    let (ready, status) = tokio::time::timeout(ANSWER_TIMEOUT, answers).await.unwrap_or((false, None));
    NodeReport {
        name: node.name.clone(),
        role: status.as_ref().map_or(node.role, |status| status.relay.role),
        pid: node.pid,
        api: node.api.clone(),
        running: usage::is_running(node.pid),
        ready,
        peers: status.as_ref().map(|status| status.relay.peers),
        depth: status.as_ref().map(|status| status.relay.depth),
        pss_mb: usage::pss_mb(node.pid).ok(),
        cpu_s,
        cpu_percent,
    }
}

fn text(report: &Report) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    let mut rows = vec![
        ["NODE", "ROLE", "PID", "STATE", "PEERS", "DEPTH", "PSS MB", "CPU S", "CPU %"].map(str::to_owned).to_vec(),
    ];
    rows.extend(report.nodes.iter().map(|node| {
        let state = match (node.running, node.ready) {
            (false, _) => "gone",
            (true, false) => "not ready",
            (true, true) => "ready",
        };
        vec![
            node.name.clone(),
            match node.role {
                Role::Relay => "relay".to_owned(),
                Role::Guest => "guest".to_owned(),
            },
            node.pid.to_string(),
            state.to_owned(),
            node.peers.map_or_else(|| "-".to_owned(), |peers| peers.to_string()),
            node.depth.map_or_else(|| "-".to_owned(), |depth| depth.to_string()),
            number(node.pss_mb),
            number(node.cpu_s),
            number(node.cpu_percent),
        ]
    }));
    format!(
        "{}{} of {} ready{}; median PSS {} MB; CPU {:.1} % of one core over {:.1} s",
        table(&rows),
        report.nodes_ready,
        report.nodes_total,
        report.ready_s.map_or_else(String::new, |seconds| format!(" (took {seconds:.1} s)")),
        number(report.median_pss_mb),
        report.cpu_percent_total,
        report.window_s
    )
}

/// Runs `devnet down`: asks the supervisor to stop and waits until it has.
///
/// # Errors
/// If no network runs there, or it does not stop in time.
pub(crate) async fn down(global: &Global, place: &Place, output: &Output) -> anyhow::Result<()> {
    let dir = directory(place)?;
    let state = running(&dir)?;
    let pid = i32::try_from(state.pid).ok().and_then(Pid::from_raw).context("the network's state names no process")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("cannot signal process {}", state.pid))?;
    let deadline = Instant::now() + Duration::from_secs_f64(global.timeout);
    while running(&dir).is_ok() || usage::is_running(state.pid) {
        if Instant::now() > deadline {
            let late = format!("process {} has not stopped within {} s", state.pid, global.timeout);
            bail!(Failure::new(Exit::TimedOut, late).next(format!("kill -9 {}: its nodes end with it", state.pid)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    output.note(format!("  stopped {} nodes", state.nodes.len()));
    Ok(())
}
