//! `bench sessions`: how fast two people talk, and how long a word takes.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use mainframe_sdk::{Event, EventStream, SessionChange};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use tokio::time::Instant;

use super::figures::percentile;
use super::scene::{Scene, Stage};
use super::sealing_cost::{SealingCost, measure};
use super::torrent::{Poured, pour};
use crate::cli::{BenchSessions, Global};
use crate::output::Output;
use crate::reach;
use crate::somebody::{BEFRIENDING_MAX, Somebody};

/// The longest pause between two single words. Drawn anew each time, so that words meet the ticks of the nodes at any moment.
const PAUSE_MAX_MS: u64 = 60;
/// How long a single word may take: longer than anything that still arrives by itself.
const WORD_MAX: Duration = Duration::from_secs(30);
/// Words that are said before any is timed.
const WARM_UP: u32 = 20;

#[derive(Serialize, Debug)]
struct Report {
    message_bytes: usize,
    #[serde(flatten)]
    poured: Poured,
    /// Single words that were timed, from before the request that says one until it came as an event to the receiver.
    words: u32,
    delivery_p50_ms: f64,
    delivery_p99_ms: f64,
    #[serde(flatten)]
    cost: SealingCost,
    processes: usize,
    threads: u64,
}

/// Runs the benchmark.
///
/// # Errors
/// If the network does not come up, or a node ends.
pub(crate) async fn run(global: &Global, wanted: &BenchSessions, output: &Output) -> anyhow::Result<()> {
    output.note("  sealing and opening in memory");
    let cost = tokio::task::spawn_blocking(measure).await?;
    let scene = Scene { name: "sessions", relays: 2, guests: 2 };
    let report = scene.play(global, output, async |stage| play(wanted, stage, cost, output).await).await?;
    output.result(&report, || text(&report))
}

async fn play(
    wanted: &BenchSessions,
    stage: &mut Stage<'_>,
    cost: SealingCost,
    output: &Output,
) -> anyhow::Result<Report> {
    let [alice, bob] = stage.guests(["alice", "bob"]).await?;
    let session = alice.befriend(&bob, BEFRIENDING_MAX).await?;
    output.note(format!("  {} single words", wanted.words));
    let (threads, processes) = (stage.threads()?, stage.network.nodes.len());
    let took_us = single_words(wanted, &alice, &bob, &session).await?;
    output.note(format!("  {} messages in a row", wanted.messages));
    let poured = pour(wanted, stage, &alice, &bob, &session).await?;
    let ms = |share| percentile(&took_us, share).map_or(0.0, |us| f64::from(us) / 1e3);
    Ok(Report {
        message_bytes: wanted.bytes,
        poured,
        words: wanted.words,
        delivery_p50_ms: ms(0.5),
        delivery_p99_ms: ms(0.99),
        cost,
        processes,
        threads,
    })
}

/// How long single words took, in microseconds.
async fn single_words(
    wanted: &BenchSessions,
    alice: &Somebody,
    bob: &Somebody,
    session: &str,
) -> anyhow::Result<Vec<u32>> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut events = bob.client.events(None).await.map_err(reach::failure)?;
    let mut took_us = Vec::new();
    for number in 0..WARM_UP + wanted.words {
        tokio::time::sleep(Duration::from_millis(rng.next_u64() % PAUSE_MAX_MS)).await;
        let began = Instant::now();
        let said = alice.say(session, body(u64::from(number), wanted.bytes)).await.map_err(reach::failure)?;
        let heard = tokio::time::timeout(WORD_MAX, heard(&mut events, said)).await;
        heard.with_context(|| format!("word {number} did not come within {WORD_MAX:?}"))??;
        if number >= WARM_UP {
            took_us.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok(took_us)
}

/// Waits until a message of that number comes.
async fn heard(events: &mut EventStream, number: u64) -> anyhow::Result<()> {
    while let Some(event) = events.next().await {
        if let Event::Session(event) = event.map_err(reach::failure)?
            && let SessionChange::Said { message, .. } = event.change
            && message.number == number
        {
            return Ok(());
        }
    }
    bail!("the receiver's node ended")
}

/// A text of so many bytes that begins with its number.
pub(super) fn body(number: u64, bytes: usize) -> String {
    let mut text = format!("{number} ");
    while text.len() < bytes {
        text.push('.');
    }
    text
}

/// The number a text of ours begins with.
pub(super) fn number(text: &str) -> Option<u64> {
    text.split_once(' ')?.0.parse().ok()
}

fn text(report: &Report) -> String {
    let Report { poured, cost, .. } = report;
    format!(
        "{:.0} messages a second of {} bytes, {:.0} with every acknowledgement; {} lost, {} doubled, {} out of order\n\
         a single word takes {:.1} ms, one in a hundred more than {:.1} ms\n\
         sealing {:.0} µs (openmls alone {:.0} µs), opening {:.0} µs (openmls alone {:.0} µs)\n\
         processor time for each message: {:.0} µs at the sender, {:.0} µs at the receiver, {:.0} µs at the relays\n\
         {} processes, {} threads",
        poured.msgs_per_s,
        report.message_bytes,
        poured.acked_per_s,
        poured.lost,
        poured.doubled,
        poured.out_of_order,
        report.delivery_p50_ms,
        report.delivery_p99_ms,
        cost.seal_us,
        cost.mls_seal_us,
        cost.open_us,
        cost.mls_open_us,
        poured.sender_cpu_us,
        poured.receiver_cpu_us,
        poured.relays_cpu_us,
        report.processes,
        report.threads,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_length_and_tells_its_number() {
        assert_eq!(body(17, 1_024).len(), 1_024);
        assert_eq!(number(&body(17, 1_024)), Some(17));
        assert_eq!(number("no number"), None);
    }
}
