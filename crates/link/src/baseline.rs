//! The yardstick: a plain relay over raw libp2p streams.
//!
//! The same transports as a link, tuned as well as we know how, and nothing else: no frames, no queues, no custody, no
//! hashing. A sender writes messages of equal length, a relay copies bytes from its incoming stream to its outgoing
//! one, a sink counts. What Mainframe costs is the difference to this (docs/protocol/link.md §6).
//!
//! Each role runs in a process of its own and ends when the sender has sent all and the sink has it.

mod streams;

use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use mainframe_base::Locator;

use crate::error::LinkError;
use streams::Streams;

/// How long a sender sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// So many messages.
    Messages(u64),
    /// So long.
    Elapsed(Duration),
}

/// What passed through one role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Bytes of messages.
    pub bytes: u64,
    /// From the first byte to the last.
    pub elapsed: Duration,
}

impl Measured {
    /// Messages of `message_bytes` a second.
    pub fn messages_per_second(&self, message_bytes: usize) -> f64 {
        self.bytes as f64 / message_bytes as f64 / self.elapsed.as_secs_f64()
    }
}

/// Why a measurement ended badly.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The swarm could not be set up.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A stream broke.
    #[error("the stream broke: {0}")]
    Broken(#[from] std::io::Error),
    /// Nobody came, or nobody answered.
    #[error("no stream: the other process could not be reached or has ended")]
    Alone,
}

/// Sends messages to `next`, `write_bytes` at a time (a multiple of `message_bytes`), and waits until they have arrived.
///
/// # Errors
/// If `next` cannot be reached or the stream breaks.
///
/// # Panics
/// If `write_bytes` is not a positive multiple of `message_bytes`; outside a tokio runtime.
pub async fn sender(
    next: Locator,
    message_bytes: usize,
    write_bytes: usize,
    until: Until,
) -> Result<Measured, BaselineError> {
    assert!(write_bytes > 0 && write_bytes.is_multiple_of(message_bytes), "whole messages are written");
    let mut streams = Streams::dial(next, Role::Sender)?;
    let mut stream = streams.next().await.ok_or(BaselineError::Alone)?;
    let chunk = vec![0x5A; write_bytes];
    let began = Instant::now();
    let mut bytes = 0;
    while match until {
        Until::Messages(count) => bytes < count * message_bytes as u64,
        Until::Elapsed(duration) => began.elapsed() < duration,
    } {
        stream.write_all(&chunk).await?;
        bytes += chunk.len() as u64;
    }
    finish(&mut stream).await?;
    Ok(Measured { bytes, elapsed: began.elapsed() })
}

/// Copies from the first stream that comes in at `listen` to `next`, at most `write_bytes` at a time; tells `bound`
/// where it listens.
///
/// # Errors
/// If it cannot listen, `next` cannot be reached or a stream breaks.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn relay(
    listen: Locator,
    next: Locator,
    write_bytes: usize,
    bound: impl FnOnce(Locator),
) -> Result<Measured, BaselineError> {
    let mut onwards = Streams::dial(next, Role::Relay)?;
    let mut outgoing = onwards.next().await.ok_or(BaselineError::Alone)?;
    let mut streams = Streams::listen(listen, Role::Relay).await?;
    bound(streams.locator());
    let mut incoming = streams.next().await.ok_or(BaselineError::Alone)?;
    let mut buffer = vec![0; write_bytes];
    let mut counter = Counter::default();
    loop {
        let read = read_or_flush(&mut incoming, &mut outgoing, &mut buffer).await?;
        if read == 0 {
            break;
        }
        counter.count(read);
        outgoing.write_all(&buffer[..read]).await?;
    }
    finish(&mut outgoing).await?;
    incoming.close().await?;
    streams.linger().await;
    Ok(counter.measured())
}

/// Counts the bytes of the first stream that comes in at `listen`; tells `bound` where it listens.
///
/// # Errors
/// If it cannot listen or the stream breaks.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn sink(listen: Locator, bound: impl FnOnce(Locator)) -> Result<Measured, BaselineError> {
    let mut streams = Streams::listen(listen, Role::Sink).await?;
    bound(streams.locator());
    let mut stream = streams.next().await.ok_or(BaselineError::Alone)?;
    let mut buffer = vec![0; 65_536];
    let mut counter = Counter::default();
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        counter.count(read);
    }
    stream.close().await?;
    streams.linger().await;
    Ok(counter.measured())
}

/// A role has a key of its own.
#[derive(Clone, Copy, Debug)]
enum Role {
    Sender = 1,
    Relay,
    Sink,
}

/// Flushes only when there is nothing more to copy.
async fn read_or_flush(from: &mut Stream, to: &mut Stream, buffer: &mut [u8]) -> std::io::Result<usize> {
    if let std::task::Poll::Ready(read) = futures::poll!(from.read(buffer)) {
        return read;
    }
    to.flush().await?;
    from.read(buffer).await
}

/// Closes our half, and waits for the other's: then everything has arrived.
async fn finish(stream: &mut Stream) -> std::io::Result<()> {
    stream.close().await?;
    stream.read(&mut [0; 1]).await.map(drop)
}

#[derive(Default)]
struct Counter {
    bytes: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Counter {
    fn count(&mut self, bytes: usize) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.bytes += bytes as u64;
    }

    fn measured(&self) -> Measured {
        let elapsed = self.last.zip(self.first).map_or(Duration::ZERO, |(last, first)| last - first);
        Measured { bytes: self.bytes, elapsed }
    }
}
