//! The processes of a benchmark: this executable again, asked and answering in lines of JSON.

use std::process::Stdio;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::part::{Order, Role};

/// One process, seen from the one that measures. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// What it said first: where it is.
    pub(crate) place: Place,
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// Where a process can be reached.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Place {
    /// How to dial it.
    pub(crate) locator: String,
    /// Its overlay address, if it has one.
    pub(crate) overlay: String,
}

impl Process {
    /// Starts a process and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started or ends at once.
    pub(crate) async fn start(role: &Role) -> anyhow::Result<Process> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this executable")?);
        command.args(["bench", "part", &serde_json::to_string(role)?]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = child.id().context("a process of the benchmark ended at once")?;
        let orders = child.stdin.take().context("no pipe")?;
        let mut answers = BufReader::new(child.stdout.take().context("no pipe")?).lines();
        let place = answer(&mut answers).await?;
        Ok(Process { pid, place, _child: child, orders, answers })
    }

    /// Gives an order and waits for its answer.
    ///
    /// # Errors
    /// If the process is gone or answers something else.
    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, order: &Order) -> anyhow::Result<T> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).await.context("a process of the benchmark is gone")?;
        answer(&mut self.answers).await
    }

    /// What a process that takes no orders has measured; waits for it.
    ///
    /// # Errors
    /// If the process ends without.
    pub(crate) async fn result<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        answer(&mut self.answers).await
    }
}

async fn answer<T: DeserializeOwned>(answers: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<T> {
    let Some(line) = answers.next_line().await? else { bail!("a process of the benchmark ended") };
    serde_json::from_str(&line).with_context(|| format!("a process of the benchmark said {line:?}"))
}

/// The orders of whoever measures, in a process that is measured. Ends with its standard input.
pub(crate) fn orders() -> tokio::sync::mpsc::Receiver<Order> {
    let (sender, orders) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for text in std::io::stdin().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&text) else { return };
            if sender.blocking_send(order).is_err() {
                return;
            }
        }
    });
    orders
}
