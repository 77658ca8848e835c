//! `bench overload`: many times what can be carried, then nothing.

use std::time::Duration;

use serde::Serialize;

use super::line_of_three::LineOfThree;
use super::part::Carrier;
use crate::cli::BenchOverload;
use crate::output::Output;

/// How long the sustainable rate is measured for.
const CALIBRATION: Duration = Duration::from_secs(3);

#[derive(Serialize, Debug)]
struct Report {
    /// Cells a second that arrive when as many are sent as are taken.
    sustainable_per_s: f64,
    offered_per_s: f64,
    /// Cells the sender's relay took over.
    accepted: u64,
    delivered: u64,
    /// Cells it refused, telling the sender.
    refused: u64,
    /// What arrived a second under overload, by the sustainable rate.
    goodput_ratio: f64,
    /// The most bytes that ever waited in one relay, for custody or in its link's queues.
    queue_bytes_max: u64,
}

/// Runs the benchmark.
///
/// # Errors
/// If a process cannot be started or is gone.
pub(crate) async fn run(wanted: &BenchOverload, output: &Output) -> anyhow::Result<()> {
    let mut line = LineOfThree::start(Carrier::Tcp).await?;
    let sustainable = line.run(None, CALIBRATION).await?.cells_per_s;
    let before = line.drain().await?;
    let offered_per_s = sustainable * wanted.times;
    output.note(format!("  sustainable: {sustainable:.0} cells/s; offering {offered_per_s:.0}"));
    let run = line.run(Some(offered_per_s), Duration::from_secs_f64(wanted.seconds)).await?;
    let delivered = line.drain().await? - before;
    let (a, b) = (line.queues_of_a().await?, line.queues_of_b().await?);
    let waited = [a.pending_bytes_max, a.queued_bytes_max, b.pending_bytes_max, b.queued_bytes_max];
    let report = Report {
        sustainable_per_s: sustainable,
        offered_per_s: (run.offered.accepted + run.offered.refused) as f64 / run.offered.seconds,
        accepted: run.offered.accepted,
        delivered,
        refused: run.offered.refused,
        goodput_ratio: run.cells_per_s / sustainable,
        queue_bytes_max: waited.into_iter().max().unwrap_or(0),
    };
    output.result(&report, || {
        format!(
            "offered {:.0} cells/s where {:.0} can be carried: {} accepted, {} delivered, {} refused\ngoodput {:.2} of \
             the sustainable rate; at most {} bytes waited",
            report.offered_per_s,
            report.sustainable_per_s,
            report.accepted,
            report.delivered,
            report.refused,
            report.goodput_ratio,
            report.queue_bytes_max
        )
    })
}
