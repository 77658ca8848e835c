//! A benchmark's relay process: the node's own relay driver over real sockets, a generator before it and a counter
//! behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mainframe_base::{Address, Luminosity, Prefix, Refusal, Tag, Time};
use mainframe_core::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, SizeClass};
use mainframe_node::{BareRelay, Offer};

use super::counter::Counter;
use super::part::{Carrier, Done, Latencies, Offered, Order, Queues};
use super::process::Place;
use crate::output::line;
use crate::wall_time::now_us;

/// Cells offered and not yet answered at full load: more than the driver's queue holds.
const UNANSWERED_MAX: usize = 2_048;
/// Cells offered between two rests at full load, at least and at most. One more after each rest until some are refused,
/// then half as many: the relay's pool, deep enough for a tenth of a second, is kept full, and little time goes into
/// cells that are only refused.
const BURST_MIN: usize = 8;
const BURST_MAX: usize = 512;
/// Cells made before a run at full load: three seconds of 100,000 a second, 620 MB. Later ones are made as they go.
const STOCK: u64 = 300_000;
/// How long the generator rests when it has nothing to do or is refused: a driver's batch takes about as long.
const REST: Duration = Duration::from_micros(200);
/// How long two relays may take to greet each other.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// How long a cell of a benchmark lives.
const TTL_MS: u64 = 300_000;

/// Runs the process until its orders end.
///
/// # Errors
/// If the relay cannot start or an order makes no sense.
pub(crate) async fn run(listen: Option<Carrier>, beside: Option<(String, bool)>) -> anyhow::Result<()> {
    let beside = match beside {
        Some((overlay, same)) => Some((overlay.parse::<Address>()?, same)),
        None => None,
    };
    let suits = |overlay: &Address| beside.is_none_or(|(other, same)| (overlay.proximity(&other) > 0) == same);
    let listen = listen.map(Carrier::anywhere).into_iter().collect();
    let relay = Arc::new(BareRelay::start(listen, suits).await.map_err(crate::settings::failure)?);
    let counter = Counter::start(relay.clone());
    let locator = relay.locators().first().map_or_else(String::new, ToString::to_string);
    line(&serde_json::to_string(&Place { locator, overlay: relay.overlay().to_string() })?)?;
    let mut generator = None;
    let mut orders = super::process::orders();
    while let Some(order) = orders.recv().await {
        let answer = obey(&order, &relay, &counter, &mut generator).await?;
        line(&answer.to_string())?;
    }
    Ok(())
}

async fn obey(
    order: &Order,
    relay: &Arc<BareRelay>,
    counter: &Counter,
    generator: &mut Option<Generator>,
) -> anyhow::Result<serde_json::Value> {
    Ok(match order {
        Order::Connect { locator } => {
            relay.connect(vec![locator.parse()?]).await?;
            let began = Instant::now();
            while relay.status().await?.peers == 0 {
                if began.elapsed() > GREETING_MAX {
                    bail!("nobody greeted us at {locator} within {GREETING_MAX:?}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            serde_json::to_value(Done {})?
        }
        Order::Start { to, per_second } => {
            *generator = Some(Generator::start(relay.clone(), to.parse()?, *per_second));
            serde_json::to_value(Done {})?
        }
        Order::Stop => {
            let generator = generator.take().context("no generator runs")?;
            serde_json::to_value(generator.stop().await?)?
        }
        Order::Count => serde_json::to_value(counter.counted())?,
        Order::Latencies => serde_json::to_value::<Latencies>(counter.latencies())?,
        Order::Queues => {
            let status = relay.status().await?;
            serde_json::to_value(Queues {
                pending_bytes: status.pending_bytes as u64,
                pending_bytes_max: status.pending_bytes_max as u64,
                queued_bytes_max: relay.queued_bytes_max() as u64,
            })?
        }
    })
}

/// Makes cells and offers them to the relay.
#[derive(Debug)]
struct Generator {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Offered>,
}

/// What the relay said to the cells it was offered.
#[derive(Default)]
struct Answers<'a> {
    accepted: u64,
    refused: u64,
    waiting: VecDeque<Offer<'a>>,
}

impl<'a> Answers<'a> {
    /// Waits for the answer to an offer; true if it was refused at once.
    fn offer(&mut self, offered: Result<Offer<'a>, Refusal>) -> bool {
        let refused = offered.is_err();
        self.refused += u64::from(refused);
        self.waiting.extend(offered);
        refused
    }

    /// Takes the answers that have come, in the order of the offers; true if one of them was a refusal.
    fn collect(&mut self) -> bool {
        let before = self.refused;
        while let Some(answer) = self.waiting.front_mut().and_then(Offer::answer) {
            self.waiting.pop_front();
            match answer {
                Ok(_) => self.accepted += 1,
                Err(_) => self.refused += 1,
            }
        }
        self.refused > before
    }
}

impl Generator {
    fn start(relay: Arc<BareRelay>, to: Address, per_second: Option<f64>) -> Generator {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // At full load forwarding is measured, not the making of cells; at a given rate a cell must say when it was made.
        let stock = per_second.map_or(STOCK, |_| 0);
        let stock: Vec<Cell> = (0..stock).rev().map(|number| cell(to, number)).collect();
        let thread = std::thread::spawn(move || generate(&relay, to, per_second, stock, &stopped));
        Generator { stop, thread }
    }

    async fn stop(self) -> anyhow::Result<Offered> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        joined.map_err(|_| anyhow::anyhow!("the generator failed"))
    }
}

/// Offers cells until told to stop; then waits for the last answers.
fn generate(
    relay: &BareRelay,
    to: Address,
    per_second: Option<f64>,
    mut stock: Vec<Cell>,
    stop: &AtomicBool,
) -> Offered {
    let (began, mut number, mut answers, mut burst) = (Instant::now(), 0, Answers::default(), BURST_MAX);
    while !stop.load(Ordering::Relaxed) {
        // At a given rate what is due is offered whatever became of the rest; else a burst, as long as nothing is refused.
        let due = per_second.map_or(number + burst as u64, |rate| (began.elapsed().as_secs_f64() * rate) as u64);
        let mut refused = false;
        while number < due && (per_second.is_some() || (!refused && answers.waiting.len() < UNANSWERED_MAX)) {
            refused = answers.offer(relay.offer(|| stock.pop().unwrap_or_else(|| cell(to, number))));
            number += 1;
        }
        refused |= answers.collect();
        burst = if refused { (burst / 2).max(BURST_MIN) } else { (burst + 1).min(BURST_MAX) };
        std::thread::sleep(REST);
    }
    let seconds = began.elapsed().as_secs_f64();
    while !answers.waiting.is_empty() {
        answers.collect();
        std::thread::sleep(REST);
    }
    Offered { accepted: answers.accepted, refused: answers.refused, seconds }
}

/// A cell for exactly that node, which says when it was made.
fn cell(to: Address, number: u64) -> Cell {
    let now_us = now_us();
    let mut body = vec![0; SizeClass::T.body_length()];
    body[..8].copy_from_slice(&now_us.to_be_bytes());
    body[8..16].copy_from_slice(&number.to_be_bytes());
    let header = CellHeader {
        size_class: SizeClass::T,
        hold_class: HoldClass::Live,
        acknowledge: false,
        destination: Prefix::of(&to, Luminosity::FULL),
        expiry: ExpiryBucket::after(Time(now_us / 1_000), TTL_MS),
        tag: Tag([0; 16]),
        ephemeral: [0; 32],
    };
    Cell::build(header, [0; 80], &body)
}

/// When a cell of a benchmark was made, in microseconds since the Unix epoch.
pub(crate) fn made_at_us(cell: &Cell) -> Option<u64> {
    cell.body().first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_when_it_was_made_and_no_two_are_alike() {
        let [first, second] = [1, 2].map(|number| cell(Address([7; 32]), number));
        assert_ne!(first.id(), second.id());
        assert!(made_at_us(&first).unwrap().abs_diff(now_us()) < 60_000_000);
    }
}
