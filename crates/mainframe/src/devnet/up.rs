//! `devnet up`: the supervisor, in the foreground or left behind in the background.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mainframe_sdk::Role;
use serde::Serialize;
use tokio::process::Command;

use super::network::{Network, Wanted};
use super::place::{Held, NodeState, State, running, usual_dir};
use crate::cli::{DevnetUp, Global, Place};
use crate::failure::{Exit, Failure};
use crate::output::{Output, line, table};
use crate::signals::Signals;

/// How long a background supervisor may take to say that it is there or why not, beyond the nodes' own patience.
const DETACH_SLACK: Duration = Duration::from_secs(10);
/// The background supervisor's own messages.
const SUPERVISOR_LOG: &str = "supervisor.log";

/// The directory of a network.
///
/// # Errors
/// If none was given and there is no home.
pub(crate) fn directory(place: &Place) -> anyhow::Result<PathBuf> {
    match &place.dir {
        Some(dir) => std::path::absolute(dir).with_context(|| format!("{} is no directory name", dir.display())),
        None => usual_dir(),
    }
}

/// Runs the command.
///
/// # Errors
/// If the network does not come up.
pub(crate) async fn run(global: &Global, wanted: &DevnetUp, output: &Output) -> anyhow::Result<()> {
    let dir = directory(&wanted.place)?;
    if wanted.detach {
        detach(global, wanted, &dir, output).await
    } else {
        supervise(global, wanted, &dir, output).await
    }
}

async fn supervise(global: &Global, wanted: &DevnetUp, dir: &Path, output: &Output) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let held = Held::take(dir, wanted.keep)?;
    let pid = std::process::id();
    held.write(&State { pid, ready_s: None, nodes: Vec::new() })?;
    let network = Network::start(
        Wanted {
            guests: usize::from(wanted.guests),
            api_port: wanted.api_port.unwrap_or(0),
            ..Wanted::relays(usize::from(wanted.nodes), held.dir(), patience(global, wanted))
        },
        output,
    );
    let mut network = tokio::select! {
        network = network => network?,
        () = signals.stop() => return Ok(()),
    };
    let nodes: Vec<NodeState> = network.nodes.iter().map(super::network::Node::state).collect();
    held.write(&State { pid, ready_s: Some(network.ready_s), nodes: nodes.clone() })?;
    announce(&nodes, network.ready_s, "Ctrl-C stops them", output)?;
    loop {
        tokio::select! {
            death = network.next_death() => crate::failure::report(&death, output.json),
            () = signals.stop() => break,
        }
    }
    output.note("  stopping");
    network.stop().await
}

/// Nodes need time to start on few cores; half a second each, and never less than what was asked for.
fn patience(global: &Global, wanted: &DevnetUp) -> Duration {
    let nodes = f64::from(wanted.nodes) + f64::from(wanted.guests);
    Duration::from_secs_f64(global.timeout.max(30.0 + nodes / 2.0))
}

fn announce(nodes: &[NodeState], ready_s: f64, how: &str, output: &Output) -> anyhow::Result<()> {
    if output.json {
        #[derive(Serialize)]
        struct Line<'a> {
            name: &'a str,
            role: Role,
            pid: u32,
            api: &'a str,
            token: &'a str,
            overlay: &'a str,
            data_dir: &'a Path,
        }
        for NodeState { name, role, pid, api, token, overlay, data_dir } in nodes {
            line(&serde_json::to_string(&Line { name, role: *role, pid: *pid, api, token, overlay, data_dir })?)?;
        }
        return line("READY");
    }
    let mut rows = vec![["NODE", "PID", "API", "OVERLAY"].map(str::to_owned).to_vec()];
    rows.extend(nodes.iter().map(|node| {
        vec![node.name.clone(), node.pid.to_string(), node.api.clone(), format!("{}…", &node.overlay[..16])]
    }));
    line(table(&rows).trim_end())?;
    line(&format!("READY: {} nodes in {ready_s:.1} s; {how}", nodes.len()))?;
    if let Some(node) = nodes.first() {
        output.note(format!("  try: mainframe --data-dir {} status", node.data_dir.display()));
    }
    Ok(())
}

/// Starts this executable again as a supervisor that outlives us, and waits until its network is ready.
async fn detach(global: &Global, wanted: &DevnetUp, dir: &Path, output: &Output) -> anyhow::Result<()> {
    if let Ok(state) = running(dir) {
        bail!(
            Failure::new(
                Exit::Failed,
                format!("a local network already runs in {} (process {})", dir.display(), state.pid)
            )
            .next(format!("mainframe devnet down --dir {}", dir.display()))
        );
    }
    let log = std::env::temp_dir().join(format!("mainframe-devnet-{}.log", std::process::id()));
    let file = std::fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["devnet", "up", "-n", &wanted.nodes.to_string(), "--guests", &wanted.guests.to_string()]);
    command.args(["--timeout", &global.timeout.to_string()]);
    command.arg("--dir").arg(dir);
    if wanted.keep {
        command.arg("--keep");
    }
    if let Some(port) = wanted.api_port {
        command.args(["--api-port", &port.to_string()]);
    }
    // Its own process group: the terminal's Ctrl-C and hang-up are not for it.
    let mut child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0).spawn()?;
    let deadline = Instant::now() + patience(global, wanted) + DETACH_SLACK;
    while Instant::now() < deadline {
        if let Ok(State { ready_s: Some(ready_s), nodes, .. }) = running(dir) {
            let _ = std::fs::rename(&log, dir.join(SUPERVISOR_LOG)).or_else(|_| std::fs::remove_file(&log));
            announce(&nodes, ready_s, "in the background", output)?;
            output.note(format!("  to stop them: mainframe devnet down --dir {}", dir.display()));
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let _ = std::fs::remove_file(&log);
            bail!("the network did not come up ({status}):\n{}", said.trim_end());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    child.kill().await?;
    bail!(Failure::new(Exit::TimedOut, "the network did not come up in time").next("--timeout SECONDS"))
}
