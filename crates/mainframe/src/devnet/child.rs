//! One node of a local network: a process of this very executable.
//!
//! Its standard input is a pipe that only the supervisor holds open. However the supervisor ends, the pipe closes and
//! the node stops (`up --parent-pipe`).

use std::fs::OpenOptions;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use mainframe_base::{Locator, Role, Transport};
use tokio::process::{Child, ChildStdin, Command};

use super::cast;
use crate::failure::{Exit, Failure};

/// How long a node may take to leave when asked, before it is killed.
const LEAVING_MAX: Duration = Duration::from_secs(5);
/// Lines of a log shown when its node fails.
const LOG_TAIL: usize = 8;

/// How to start one node.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Its place in the network: decides its address.
    pub(crate) index: usize,
    /// Its name.
    pub(crate) name: String,
    /// As what it takes part.
    pub(crate) role: Role,
    /// The network's directory.
    pub(crate) network_dir: PathBuf,
    /// The port of its API; 0 for any.
    pub(crate) api_port: u16,
    /// Nodes to start from.
    pub(crate) bootstrap: Vec<Locator>,
}

/// A started node process.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    /// Its name.
    pub(crate) name: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Its directory.
    pub(crate) data_dir: PathBuf,
    child: Child,
    pipe: Option<ChildStdin>,
}

impl NodeProcess {
    /// Starts it. It is not ready yet.
    ///
    /// # Errors
    /// If the process or its directory cannot be made.
    pub(crate) fn start(plan: &Plan) -> anyhow::Result<NodeProcess> {
        let name = plan.name.clone();
        let data_dir = plan.network_dir.join(&name);
        std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot create {}", data_dir.display()))?;
        let log = OpenOptions::new().append(true).create(true).open(log_path(&data_dir));
        let log = log.context("cannot create the node's log")?;
        let mut command = Command::new(std::env::current_exe().context("cannot find this executable")?);
        command.args(arguments(plan, &data_dir)).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        // Settings meant for one node would be wrong for all of them.
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MAINFRAME_")) {
            command.env_remove(variable);
        }
        // Its own process group: Ctrl-C in the terminal is for the supervisor, which stops its nodes in good order.
        let mut child = command.process_group(0).kill_on_drop(true).spawn().context("cannot start a node process")?;
        let pid = child.id().context("the node ended at once")?;
        Ok(NodeProcess { name, pid, data_dir, pipe: child.stdin.take(), child })
    }

    /// Fails if the node has ended, with the end of its log.
    ///
    /// # Errors
    /// So.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        Err(self.died(status))
    }

    /// The failure to report when the node has ended.
    pub(crate) fn died(&self, status: ExitStatus) -> anyhow::Error {
        let log = log_path(&self.data_dir);
        Failure::new(
            Exit::Failed,
            format!("node {} ended by itself ({status}); its log ends with:\n{}", self.name, tail(&log)),
        )
        .next(format!("--keep, then read {}", log.display()))
        .into()
    }

    /// Waits until it ends, by itself or killed by somebody.
    ///
    /// # Errors
    /// If the system does not say.
    pub(crate) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// If it has already ended.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to leave by closing its pipe; waits for `stopped`.
    pub(crate) fn ask_to_stop(&mut self) {
        self.pipe = None;
    }

    /// Stops it in good order and waits until it has left. It may be started again.
    ///
    /// # Errors
    /// If it does not leave in time, or left with an error.
    pub(crate) async fn halt(&mut self) -> anyhow::Result<()> {
        self.ask_to_stop();
        let status = tokio::time::timeout(LEAVING_MAX, self.child.wait()).await;
        let status = status.with_context(|| format!("node {} did not stop in time", self.name))??;
        if status.success() { Ok(()) } else { Err(self.died(status)) }
    }

    /// Waits until it has left; kills it if it takes too long.
    ///
    /// # Errors
    /// If it had to be killed, or left with an error.
    pub(crate) async fn stopped(mut self) -> anyhow::Result<()> {
        self.ask_to_stop();
        match tokio::time::timeout(LEAVING_MAX, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                if status.success() { Ok(()) } else { Err(self.died(status)) }
            }
            Err(_) => {
                self.child.kill().await?;
                bail!("node {} did not stop within {} s and was killed", self.name, LEAVING_MAX.as_secs())
            }
        }
    }
}

fn arguments(plan: &Plan, data_dir: &Path) -> Vec<String> {
    let ip = IpAddr::V4(cast::address(plan.index));
    let listen = |transport| Locator::direct(transport, ip, 0).to_string();
    let mut arguments: Vec<String> = ["--profile", "devnet", "--data-dir"].map(str::to_owned).into();
    arguments.push(data_dir.display().to_string());
    arguments.extend(["up", "--parent-pipe"].map(str::to_owned));
    arguments.extend(["--api-listen".to_owned(), SocketAddr::new(ip, plan.api_port).to_string()]);
    for transport in [Transport::Tcp, Transport::Quic] {
        arguments.extend(["--listen".to_owned(), listen(transport)]);
    }
    if plan.role == Role::Guest {
        arguments.extend(["--role", "guest"].map(str::to_owned));
    }
    for locator in &plan.bootstrap {
        arguments.extend(["--bootstrap".to_owned(), locator.to_string()]);
    }
    arguments
}

fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.join("node.log")
}

fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    match &lines[lines.len().saturating_sub(LOG_TAIL)..] {
        [] => "    (nothing)".to_owned(),
        last => last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_its_own_address_and_whom_to_start_from() {
        let plan = Plan {
            index: 1,
            name: "bob".into(),
            role: Role::Relay,
            network_dir: "/net".into(),
            api_port: 0,
            bootstrap: vec!["/ip4/127.77.0.1/tcp/4001".parse().unwrap()],
        };
        let line = arguments(&plan, Path::new("/net/bob")).join(" ");
        assert_eq!(
            line,
            "--profile devnet --data-dir /net/bob up --parent-pipe --api-listen 127.77.0.2:0 \
             --listen /ip4/127.77.0.2/tcp/0 --listen /ip4/127.77.0.2/udp/0/quic-v1 \
             --bootstrap /ip4/127.77.0.1/tcp/4001"
        );
        let guest = Plan { role: Role::Guest, bootstrap: Vec::new(), ..plan };
        let line = arguments(&guest, Path::new("/net/guest1")).join(" ");
        assert!(line.ends_with("--role guest"), "{line}");
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let log = log_path(dir.path());
        assert_eq!(tail(&log), "    (nothing)");
        std::fs::write(&log, (0..100).map(|line| format!("line {line}\n")).collect::<String>()).unwrap();
        assert_eq!(tail(&log).lines().count(), LOG_TAIL);
        assert!(tail(&log).ends_with("line 99"));
    }
}
