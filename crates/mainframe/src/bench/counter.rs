//! Counts the cells a relay hands to its endpoint, and how long they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainframe_node::BareRelay;

use super::figures::percentile;
use super::part::{Counted, Latencies};
use super::relay_part::made_at_us;
use crate::wall_time::now_us;

/// Times kept: ten seconds at a hundred thousand cells a second; further cells are only counted.
const KEPT_MAX: usize = 1_000_000;
/// How long one wait for cells lasts.
const WAIT: Duration = Duration::from_millis(200);

/// What has arrived so far.
#[derive(Clone, Default, Debug)]
pub(crate) struct Counter {
    cells: Arc<AtomicU64>,
    took_us: Arc<Mutex<Vec<u32>>>,
}

impl Counter {
    /// Starts a thread that takes what the relay hands over.
    pub(crate) fn start(relay: Arc<BareRelay>) -> Counter {
        let counter = Counter::default();
        let counting = counter.clone();
        std::thread::spawn(move || {
            loop {
                let cells = relay.take_cells(WAIT);
                let now_us = now_us();
                counting.cells.fetch_add(cells.len() as u64, Ordering::Relaxed);
                let mut took_us = counting.took_us.lock().expect("no holder of this lock can panic");
                let room = KEPT_MAX.saturating_sub(took_us.len());
                let took = cells.iter().filter_map(made_at_us).map(|made| now_us.saturating_sub(made));
                took_us.extend(took.take(room).map(|us| u32::try_from(us).unwrap_or(u32::MAX)));
            }
        });
        counter
    }

    /// How many, and when.
    pub(crate) fn counted(&self) -> Counted {
        Counted { cells: self.cells.load(Ordering::Relaxed), at_us: now_us() }
    }

    /// How long they took since this was last asked.
    pub(crate) fn latencies(&self) -> Latencies {
        let took_us = std::mem::take(&mut *self.took_us.lock().expect("no holder of this lock can panic"));
        Latencies {
            cells: took_us.len() as u64,
            p50_us: percentile(&took_us, 0.5).unwrap_or(0),
            p99_us: percentile(&took_us, 0.99).unwrap_or(0),
        }
    }
}
