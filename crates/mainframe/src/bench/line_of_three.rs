//! Three relays in a row, each a process: A makes cells, B only forwards, C counts.

use std::time::Duration;

use anyhow::Context;

use super::part::{Carrier, Counted, Done, Latencies, Offered, Order, Queues, Role};
use super::process::Process;

/// Cells make their way before measuring begins, so that windows and buffers are full.
const WARM_UP: Duration = Duration::from_millis(700);
/// How long the last cells may take to arrive; longer than any retry.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// A, B and C. Only B can be dialled, so every cell takes both hops.
#[derive(Debug)]
pub(crate) struct LineOfThree {
    a: Process,
    b: Process,
    c: Process,
}

/// What a run at full or given load showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Cells that arrived a second.
    pub(crate) cells_per_s: f64,
    /// What A took over and refused in all.
    pub(crate) offered: Offered,
}

impl LineOfThree {
    /// Starts the processes and connects them.
    ///
    /// # Errors
    /// If one does not start or they do not greet each other.
    pub(crate) async fn start(carrier: Carrier) -> anyhow::Result<LineOfThree> {
        let mut c = Process::start(&Role::Relay { listen: None, beside: None }).await?;
        let beside = |same| Some((c.place.overlay.clone(), same));
        // Progress is made towards C only if B is closer to it than A.
        let b = Process::start(&Role::Relay { listen: Some(carrier), beside: beside(true) }).await?;
        let mut a = Process::start(&Role::Relay { listen: None, beside: beside(false) }).await?;
        for end in [&mut c, &mut a] {
            let connect = Order::Connect { locator: b.place.locator.clone() };
            end.ask::<Done>(&connect).await.context("two relays of the benchmark did not connect")?;
        }
        Ok(LineOfThree { a, b, c })
    }

    /// Sends from A to C for a while and measures what arrives, after a warm-up.
    ///
    /// # Errors
    /// If a process is gone.
    pub(crate) async fn run(&mut self, per_second: Option<f64>, duration: Duration) -> anyhow::Result<Run> {
        let to = self.c.place.overlay.clone();
        self.a.ask::<Done>(&Order::Start { to, per_second }).await?;
        tokio::time::sleep(WARM_UP).await;
        let from: Counted = self.c.ask(&Order::Count).await?;
        // Only what passes after the warm-up counts.
        let _: Latencies = self.c.ask(&Order::Latencies).await?;
        tokio::time::sleep(duration).await;
        let until: Counted = self.c.ask(&Order::Count).await?;
        let offered: Offered = self.a.ask(&Order::Stop).await?;
        let seconds = (until.at_us - from.at_us) as f64 / 1e6;
        Ok(Run { cells_per_s: (until.cells - from.cells) as f64 / seconds, offered })
    }

    /// Waits until nothing is under way; returns how many cells have arrived since the start.
    ///
    /// # Errors
    /// If a process is gone.
    pub(crate) async fn drain(&mut self) -> anyhow::Result<u64> {
        let deadline = tokio::time::Instant::now() + DRAIN_MAX;
        loop {
            let before: Counted = self.c.ask(&Order::Count).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let after: Counted = self.c.ask(&Order::Count).await?;
            let (a, b) = (self.queues_of_a().await?, self.queues_of_b().await?);
            let quiet = before.cells == after.cells && a.pending_bytes == 0 && b.pending_bytes == 0;
            if quiet || tokio::time::Instant::now() > deadline {
                return Ok(after.cells);
            }
        }
    }

    /// How long cells took since this was last asked, or since a run's warm-up.
    ///
    /// # Errors
    /// If the process is gone.
    pub(crate) async fn latencies(&mut self) -> anyhow::Result<Latencies> {
        self.c.ask(&Order::Latencies).await
    }

    /// What waits at A.
    ///
    /// # Errors
    /// If the process is gone.
    pub(crate) async fn queues_of_a(&mut self) -> anyhow::Result<Queues> {
        self.a.ask(&Order::Queues).await
    }

    /// What waits at B.
    ///
    /// # Errors
    /// If the process is gone.
    pub(crate) async fn queues_of_b(&mut self) -> anyhow::Result<Queues> {
        self.b.ask(&Order::Queues).await
    }
}
