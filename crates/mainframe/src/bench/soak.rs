//! `bench soak`: full load both ways between two relays, watched every second.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::figures::median;
use super::part::{Counted, Done, Offered, Order, Role};
use super::process::Process;
use crate::cli::BenchSoak;
use crate::devnet::rss_mb;
use crate::output::Output;

/// The first part of the run, in which buffers and tables fill, is not compared.
const SETTLING_SHARE: f64 = 0.2;

#[derive(Serialize, Debug)]
struct Report {
    minutes: f64,
    /// Cells that arrived at either end.
    cells: u64,
    cells_per_s: f64,
    /// Seconds in which nothing arrived at one end or the other.
    stalled_seconds: u64,
    /// Resident memory of both processes after settling and at the end, each the median of a tenth of the samples.
    rss_settled_mb: f64,
    rss_end_mb: f64,
    rss_max_mb: f64,
    /// By what share it grew from the one to the other.
    rss_growth: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If a process cannot be started or is gone.
pub(crate) async fn run(wanted: &BenchSoak, output: &Output) -> anyhow::Result<()> {
    let carriers = super::forward::carriers(wanted.transport);
    for carrier in carriers {
        let mut left = Process::start(&Role::Relay { listen: Some(carrier), beside: None }).await?;
        let mut right = Process::start(&Role::Relay { listen: None, beside: None }).await?;
        right.ask::<Done>(&Order::Connect { locator: left.place.locator.clone() }).await?;
        let report = soak(&mut left, &mut right, wanted.minutes, output).await?;
        output.result(&report, || text(&report))?;
    }
    Ok(())
}

async fn soak(left: &mut Process, right: &mut Process, minutes: f64, output: &Output) -> anyhow::Result<Report> {
    let (to_right, to_left) = (right.place.overlay.clone(), left.place.overlay.clone());
    left.ask::<Done>(&Order::Start { to: to_right, per_second: None }).await?;
    right.ask::<Done>(&Order::Start { to: to_left, per_second: None }).await?;
    let began = Instant::now();
    let (mut memory_mb, mut stalled_seconds, mut last) = (Vec::new(), 0, [0, 0]);
    while began.elapsed().as_secs_f64() < minutes * 60.0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let counts =
            [left.ask::<Counted>(&Order::Count).await?.cells, right.ask::<Counted>(&Order::Count).await?.cells];
        if counts.iter().zip(&last).any(|(now, before)| now == before) {
            stalled_seconds += 1;
            output.note(format!("  nothing arrived in second {}", began.elapsed().as_secs()));
        }
        last = counts;
        memory_mb.push(rss_mb(left.pid)? + rss_mb(right.pid)?);
        if memory_mb.len() % 30 == 0 {
            let (seconds, memory_mb) = (memory_mb.len(), memory_mb.last().copied().unwrap_or(0.0));
            output.note(format!("  {seconds} s: {} cells, {memory_mb:.0} MB", counts.iter().sum::<u64>()));
        }
    }
    let elapsed_s = began.elapsed().as_secs_f64();
    let _: Offered = left.ask(&Order::Stop).await?;
    let _: Offered = right.ask(&Order::Stop).await?;
    let (rss_settled_mb, rss_end_mb) = ends(&memory_mb);
    let cells = last.iter().sum();
    Ok(Report {
        minutes: elapsed_s / 60.0,
        cells,
        cells_per_s: cells as f64 / elapsed_s,
        stalled_seconds,
        rss_settled_mb,
        rss_end_mb,
        rss_max_mb: memory_mb.iter().copied().fold(0.0, f64::max),
        rss_growth: if rss_settled_mb > 0.0 { rss_end_mb / rss_settled_mb - 1.0 } else { 0.0 },
    })
}

/// Memory after settling and at the end.
fn ends(memory_mb: &[f64]) -> (f64, f64) {
    let settled = (memory_mb.len() as f64 * SETTLING_SHARE) as usize;
    let tenth = (memory_mb.len() / 10).max(1);
    let middle = |range: &[f64]| median(range).unwrap_or(0.0);
    let start = &memory_mb[settled.min(memory_mb.len())..(settled + tenth).min(memory_mb.len())];
    (middle(start), middle(&memory_mb[memory_mb.len().saturating_sub(tenth)..]))
}

fn text(report: &Report) -> String {
    format!(
        "{:.1} minutes of full load both ways: {} cells ({:.0} a second), {} stalled seconds\nmemory of both: {:.0} MB \
         settled, {:.0} MB at the end ({:+.1} %), {:.0} MB at most",
        report.minutes,
        report.cells,
        report.cells_per_s,
        report.stalled_seconds,
        report.rss_settled_mb,
        report.rss_end_mb,
        report.rss_growth * 100.0,
        report.rss_max_mb
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_compared_after_settling() {
        let memory: Vec<f64> = (0..100).map(|second| if second < 20 { f64::from(second) } else { 50.0 }).collect();
        assert_eq!(ends(&memory), (50.0, 50.0));
        assert_eq!(ends(&[]), (0.0, 0.0));
    }
}
