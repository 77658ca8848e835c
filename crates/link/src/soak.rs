//! Two links at full load, to find what tests of a second cannot: stalls, reordering, queues that grow.
//!
//! Both links live in this process; their frames cross the real transport on loopback.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainframe_base::{Fault, LinkKey, Locator, Refusal, Secret, Transport};
use mainframe_core::switchboard::LinkEvent;
use mainframe_core::wire::OutFrame;
use tokio::sync::mpsc::{Receiver, channel};

use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::link::Link;

/// Silence at full load after which a link counts as stalled (guess: far beyond any pause of a busy machine).
const STALL: Duration = Duration::from_secs(10);
/// Batches under way to the reader, as between a link and a relay half.
const EVENTS: usize = 256;

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// One side sends, the other reads.
    OneWay,
    /// Both sides send and read at once.
    BothWays,
}

/// What one direction carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried {
    /// Frames with a small cell, 2,064 bytes each, all in order and unchanged.
    pub cells: u64,
    /// From the first frame to the last.
    pub elapsed: Duration,
    /// The longest time between two batches.
    pub pause_max: Duration,
    /// The most bytes that ever waited in the sender's queue.
    pub queued_bytes_max: usize,
}

impl Carried {
    /// Frames a second.
    pub fn rate(&self) -> f64 {
        self.cells as f64 / self.elapsed.as_secs_f64()
    }
}

/// Why a soak ended badly.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// The links could not be started.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nothing came for ten seconds while the other side was sending.
    #[error("stalled after {cells} cells")]
    Stalled {
        /// How many had come.
        cells: u64,
    },
    /// A frame was lost, changed or out of order.
    #[error("cell {expected} came wrong")]
    Wrong {
        /// Its number.
        expected: u64,
    },
    /// The connection ended.
    #[error("the connection ended after {cells} cells: {what}")]
    Ended {
        /// How many had come.
        cells: u64,
        /// What the link reported.
        what: String,
    },
}

/// Loads two links for `duration` and tells what each direction carried.
///
/// # Errors
/// The first stall, loss or reordering.
///
/// # Panics
/// Outside a multi-threaded tokio runtime.
pub async fn soak(transport: Transport, load: Load, duration: Duration) -> Result<Vec<Carried>, SoakError> {
    let (one, mut one_events) = start(transport, 1).await?;
    let (other, mut other_events) = start(transport, 2).await?;
    one.dial(Some(other.local_key()), other.local_locators());
    up(&mut one_events).await?;
    up(&mut other_events).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let there = direction(&one, other.local_key(), other_events, &stop);
    let back = (load == Load::BothWays).then(|| direction(&other, one.local_key(), one_events, &stop));
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut carried = vec![there.await.expect("readers do not panic")?];
    if let Some(back) = back {
        carried.push(back.await.expect("readers do not panic")?);
    }
    Ok(carried)
}

type Events = Receiver<LinkEvent>;

async fn start(transport: Transport, seed: u8) -> Result<(Link, Events), LinkError> {
    let anywhere = Locator::direct(transport, Ipv4Addr::LOCALHOST.into(), 0);
    let (sender, events) = channel(EVENTS);
    let link = Link::start(LinkConfig::new(Secret::new([seed; 32]), vec![anywhere]), sender).await?;
    Ok((link, events))
}

async fn up(events: &mut Events) -> Result<(), SoakError> {
    loop {
        let event = next(events, 0).await?;
        if let LinkEvent::Up { .. } = event {
            return Ok(());
        }
        if !matches!(event, LinkEvent::Listening(_)) {
            return Err(SoakError::Ended { cells: 0, what: format!("{event:?}") });
        }
    }
}

async fn next(events: &mut Events, cells: u64) -> Result<LinkEvent, SoakError> {
    let event = tokio::time::timeout(STALL, events.recv()).await.map_err(|_| SoakError::Stalled { cells })?;
    event.ok_or_else(|| SoakError::Ended { cells, what: Fault::Silent.to_string() })
}

/// Sends from a thread of its own, as a relay half does, and reads in a task.
fn direction(
    link: &Link,
    to: LinkKey,
    events: Events,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Result<Carried, SoakError>> {
    let (link, stop) = (link.clone(), stop.clone());
    let sender = std::thread::spawn({
        let link = link.clone();
        move || send(&link, to, &stop)
    });
    tokio::spawn(async move {
        let mut carried = read(events).await?;
        carried.queued_bytes_max = link.queued_bytes().bytes_max;
        let _ = sender.join();
        Ok(carried)
    })
}

/// Numbered cells until told to stop, then a control frame.
fn send(link: &Link, to: LinkKey, stop: &AtomicBool) {
    let body = Bytes::from(vec![0x5A; 2_048]);
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        match link.send(to, OutFrame { head: head(number), cell: Some(body.clone()) }) {
            Ok(()) => number += 1,
            Err(Refusal::Busy) => std::thread::sleep(Duration::from_micros(200)),
            Err(_) => return,
        }
    }
    while link.queued_bytes().bytes > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = link.send(to, OutFrame { head: Bytes::from_static(&LAST), cell: None });
}

/// An empty control frame: the end.
const LAST: [u8; 16] = [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn head(number: u64) -> Bytes {
    let mut head = [0; 16];
    head[0] = 1;
    head[8..].copy_from_slice(&number.to_be_bytes());
    Bytes::copy_from_slice(&head)
}

async fn read(mut events: Events) -> Result<Carried, SoakError> {
    let (mut cells, mut pause_max, mut began) = (0, Duration::ZERO, None);
    loop {
        let waiting = Instant::now();
        let event = next(&mut events, cells).await?;
        let LinkEvent::Frames { frames, .. } = event else {
            return Err(SoakError::Ended { cells, what: format!("{event:?}") });
        };
        let began = *began.get_or_insert_with(Instant::now);
        if cells > 0 {
            pause_max = pause_max.max(waiting.elapsed());
        }
        for frame in frames {
            if frame == LAST[..] {
                return Ok(Carried { cells, elapsed: began.elapsed(), pause_max, queued_bytes_max: 0 });
            }
            if frame[..16] != head(cells) || frame[frame.len() - 1] != 0x5A {
                return Err(SoakError::Wrong { expected: cells });
            }
            cells += 1;
        }
    }
}
