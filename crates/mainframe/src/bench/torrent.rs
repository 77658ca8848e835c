//! Many messages in a row from one person to another, so many of them unacknowledged at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use mainframe_sdk::{Body, Event, SessionChange, SessionMessage};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::scene::Stage;
use super::sessions::{body, number};
use crate::cli::BenchSessions;
use crate::devnet::cpu_seconds;
use crate::reach;
use crate::somebody::Somebody;

/// Requests at a time. A node answers one when its message is durable, and does many of them in one commit.
const REQUESTS: u64 = 64;
/// How often it is asked how many are unacknowledged, and how long a request rests while too many are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const REST: Duration = Duration::from_millis(2);
/// Nothing has come for so long: the rest is taken for lost. What is unacknowledged is sent again after 10 s at the latest.
const QUIET: Duration = Duration::from_secs(60);

/// What became of them.
#[derive(Serialize, Clone, Copy, Debug)]
pub(super) struct Poured {
    /// Messages, each said as soon as fewer than `window` were unacknowledged.
    pub(super) messages: u64,
    pub(super) window: u64,
    /// Messages a second at the receiving application, from the first word to the last.
    pub(super) msgs_per_s: f64,
    /// Messages a second until the sender knew of each that it had arrived.
    pub(super) acked_per_s: f64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Messages that stand before one that was kept before them at the sender.
    pub(super) out_of_order: u64,
    /// Processor time for each message, in microseconds.
    pub(super) sender_cpu_us: f64,
    pub(super) receiver_cpu_us: f64,
    pub(super) relays_cpu_us: f64,
}

/// Says them all and waits until they are acknowledged.
///
/// # Errors
/// If a node refuses or ends.
pub(super) async fn pour(
    wanted: &BenchSessions,
    stage: &mut Stage<'_>,
    alice: &Somebody,
    bob: &Somebody,
    session: &str,
) -> anyhow::Result<Poured> {
    let from = bob.session(session).await.map_err(reach::failure)?.last_sequence;
    let before = used(stage)?;
    let began = Instant::now();
    let hearing = tokio::spawn(hear(bob.clone(), session.to_owned(), from, wanted.messages));
    say_all(wanted, alice, session).await?;
    let arrived = hearing.await??.duration_since(began);
    let acked = acknowledged(alice, session).await?.duration_since(began);
    let after = used(stage)?;
    let stands = bob.read(session, from).await.map_err(reach::failure)?;
    let each = |index: usize| (after[index] - before[index]) * 1e6 / wanted.messages as f64;
    let numbers: Vec<u64> = stands.iter().filter_map(number_of).collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    let doubled = numbers.len() - distinct.len();
    let orders: Vec<u64> = stands.iter().map(|message| message.number).collect();
    Ok(Poured {
        messages: wanted.messages,
        window: wanted.window,
        msgs_per_s: wanted.messages as f64 / arrived.as_secs_f64(),
        acked_per_s: wanted.messages as f64 / acked.as_secs_f64(),
        lost: wanted.messages - distinct.len() as u64,
        doubled: doubled as u64,
        out_of_order: orders.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64,
        sender_cpu_us: each(0),
        receiver_cpu_us: each(1),
        relays_cpu_us: each(2),
    })
}

/// Processor time of the first guest, the second, and the relays together, in seconds.
fn used(stage: &mut Stage<'_>) -> anyhow::Result<[f64; 3]> {
    let relays: f64 =
        stage.relay_nodes().iter().map(|node| cpu_seconds(node.process.pid)).sum::<anyhow::Result<f64>>()?;
    Ok([cpu_seconds(stage.guest(0).process.pid)?, cpu_seconds(stage.guest(1).process.pid)?, relays])
}

/// How far the saying is.
#[derive(Default)]
struct Progress {
    next: AtomicU64,
    said: AtomicU64,
    /// At least so many are acknowledged.
    acknowledged: AtomicU64,
}

async fn say_all(wanted: &BenchSessions, alice: &Somebody, session: &str) -> anyhow::Result<()> {
    let progress = Arc::new(Progress::default());
    let looking = tokio::spawn(look(alice.clone(), session.to_owned(), progress.clone()));
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS.min(wanted.window) {
        let (alice, session, progress) = (alice.clone(), session.to_owned(), progress.clone());
        let (messages, window, bytes) = (wanted.messages, wanted.window, wanted.bytes);
        requests.spawn(async move {
            loop {
                let number = progress.next.fetch_add(1, Ordering::Relaxed);
                if number >= messages {
                    return Ok(());
                }
                while number >= progress.acknowledged.load(Ordering::Relaxed) + window {
                    tokio::time::sleep(REST).await;
                }
                alice.say(&session, body(number, bytes)).await?;
                progress.said.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended?.map_err(|error: mainframe_sdk::Error| reach::failure(error))?;
    }
    looking.abort();
    Ok(())
}

/// Asks again and again how many are acknowledged.
async fn look(alice: Somebody, session: String, progress: Arc<Progress>) {
    loop {
        let said = progress.said.load(Ordering::Relaxed);
        if let Ok(view) = alice.session(&session).await {
            progress.acknowledged.fetch_max(said.saturating_sub(view.undelivered), Ordering::Relaxed);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Hears until so many have come; when the last one did.
async fn hear(bob: Somebody, session: String, from: u64, messages: u64) -> anyhow::Result<Instant> {
    let mut events = bob.client.events(None).await.map_err(reach::failure)?;
    let (mut came, mut last) = (0, from);
    while came < messages {
        let Ok(event) = tokio::time::timeout(QUIET, events.next()).await else {
            bail!("{} of {messages} messages did not come", messages - came);
        };
        match event {
            Some(Ok(Event::Session(event))) => {
                if let SessionChange::Said { message, .. } = event.change
                    && message.sequence > last
                {
                    (came, last) = (came + 1, message.sequence);
                }
            }
            // Too many at a time: they are read where they stand.
            Some(Ok(Event::Missed { .. })) => {
                let missed = bob.read(&session, last).await.map_err(reach::failure)?;
                last = missed.last().map_or(last, |message| message.sequence);
                came += missed.iter().filter_map(number_of).count() as u64;
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => bail!(reach::failure(error)),
            None => bail!("the receiver's node ended"),
        }
    }
    Ok(Instant::now())
}

/// Waits until everything is acknowledged; when it was.
async fn acknowledged(alice: &Somebody, session: &str) -> anyhow::Result<Instant> {
    let deadline = Instant::now() + QUIET;
    loop {
        let view = alice.session(session).await.map_err(reach::failure)?;
        if view.undelivered == 0 {
            return Ok(Instant::now());
        }
        if Instant::now() > deadline {
            bail!("{} messages are unacknowledged after {QUIET:?}", view.undelivered);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn number_of(message: &SessionMessage) -> Option<u64> {
    match &message.body {
        Body::Text(text) => number(text),
        Body::Base64(_) => None,
    }
}
