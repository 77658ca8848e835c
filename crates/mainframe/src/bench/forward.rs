//! `bench forward`: cells through A→B→C with custody, beside a plain relay of the same transport.

use std::time::Duration;

use serde::Serialize;

use super::figures::median;
use super::line_of_three::LineOfThree;
use super::part::{Carrier, Plain, Role};
use super::process::Process;
use crate::cli::{BenchForward, BenchTransport};
use crate::output::Output;

/// What one cell is, in bytes.
pub(crate) const CELL_BYTES: usize = mainframe_core::wire::CELL_LENGTH_T;
/// Sizes of writes of the plain relay: one cell, and what fills a socket's buffer well. The better one counts.
const WRITES: [usize; 2] = [2_048, 65_536];

#[derive(Serialize, Debug)]
struct Report {
    cell_bytes: usize,
    seconds_per_run: f64,
    transports: Vec<TransportReport>,
}

#[derive(Serialize, Debug)]
struct TransportReport {
    transport: &'static str,
    /// The median of ours by the plain relay's, pair by pair.
    ratio: f64,
    cells_per_s: f64,
    baseline_cells_per_s: f64,
    /// At half of our median rate.
    p50_us: u32,
    p99_us: u32,
    pairs: Vec<Pair>,
}

/// Two runs, one after the other.
#[derive(Serialize, Debug)]
struct Pair {
    cells_per_s: f64,
    baseline_cells_per_s: f64,
    baseline_write_bytes: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// If a process cannot be started or is gone.
pub(crate) async fn run(wanted: &BenchForward, output: &Output) -> anyhow::Result<()> {
    let mut transports = Vec::new();
    for carrier in carriers(wanted.transport) {
        transports.push(measure(wanted, carrier, output).await?);
    }
    let report = Report { cell_bytes: CELL_BYTES, seconds_per_run: wanted.seconds, transports };
    output.result(&report, || text(&report))
}

/// The transports behind a flag.
pub(crate) fn carriers(wanted: BenchTransport) -> Vec<Carrier> {
    match wanted {
        BenchTransport::Tcp => vec![Carrier::Tcp],
        BenchTransport::Quic => vec![Carrier::Quic],
        BenchTransport::Both => vec![Carrier::Tcp, Carrier::Quic],
    }
}

async fn measure(wanted: &BenchForward, carrier: Carrier, output: &Output) -> anyhow::Result<TransportReport> {
    let duration = Duration::from_secs_f64(wanted.seconds);
    let mut line = LineOfThree::start(carrier).await?;
    let mut pairs = Vec::new();
    for number in 1..=wanted.pairs {
        // The one that goes first changes, so that a machine that warms up or tires favours neither.
        let pair = if number % 2 == 1 {
            let ours = ours(&mut line, duration).await?;
            pair(ours, plain(carrier, duration).await?)
        } else {
            let plain = plain(carrier, duration).await?;
            pair(ours(&mut line, duration).await?, plain)
        };
        output.note(format!(
            "  {} {number}/{}: {:.0} cells/s, plain relay {:.0}",
            carrier.name(),
            wanted.pairs,
            pair.cells_per_s,
            pair.baseline_cells_per_s
        ));
        pairs.push(pair);
    }
    let of = |figure: fn(&Pair) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>()).unwrap_or(0.0);
    let cells_per_s = of(|pair| pair.cells_per_s);
    line.run(Some(cells_per_s / 2.0), duration).await?;
    let latencies = line.latencies().await?;
    Ok(TransportReport {
        transport: carrier.name(),
        ratio: of(|pair| pair.cells_per_s / pair.baseline_cells_per_s),
        cells_per_s,
        baseline_cells_per_s: of(|pair| pair.baseline_cells_per_s),
        p50_us: latencies.p50_us,
        p99_us: latencies.p99_us,
        pairs,
    })
}

fn pair(cells_per_s: f64, (baseline_cells_per_s, baseline_write_bytes): (f64, usize)) -> Pair {
    Pair { cells_per_s, baseline_cells_per_s, baseline_write_bytes }
}

async fn ours(line: &mut LineOfThree, duration: Duration) -> anyhow::Result<f64> {
    let run = line.run(None, duration).await?;
    line.drain().await?;
    Ok(run.cells_per_s)
}

/// The plain relay's rate and the size of its writes, the better of two.
async fn plain(carrier: Carrier, duration: Duration) -> anyhow::Result<(f64, usize)> {
    let mut best = (0.0, WRITES[0]);
    for write_bytes in WRITES {
        let rate = plain_run(carrier, write_bytes, duration).await?;
        if rate > best.0 {
            best = (rate, write_bytes);
        }
    }
    Ok(best)
}

async fn plain_run(carrier: Carrier, write_bytes: usize, duration: Duration) -> anyhow::Result<f64> {
    let mut sink = Process::start(&Role::PlainSink { carrier }).await?;
    let relay = Role::PlainRelay { carrier, next: sink.place.locator.clone(), write_bytes };
    let relay = Process::start(&relay).await?;
    let milliseconds = u64::try_from(duration.as_millis())?;
    let sender = Role::PlainSender { next: relay.place.locator.clone(), write_bytes, milliseconds };
    let mut sender = Process::start(&sender).await?;
    let _: Plain = sender.result().await?;
    let measured: Plain = sink.result().await?;
    Ok(measured.bytes as f64 / CELL_BYTES as f64 / measured.seconds)
}

fn text(report: &Report) -> String {
    let line = |of: &TransportReport| {
        format!(
            "{}: {:.0} cells/s, plain relay {:.0}: ratio {:.2}; at half load p50 {} µs, p99 {} µs",
            of.transport, of.cells_per_s, of.baseline_cells_per_s, of.ratio, of.p50_us, of.p99_us
        )
    };
    report.transports.iter().map(line).collect::<Vec<_>>().join("\n")
}
