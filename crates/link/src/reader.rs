//! The incoming stream: reads blocks, splits frames off, hands them on in batches; stops reading while nobody takes them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::io::AsyncRead;
use libp2p::Stream;
use mainframe_base::{Fault, LinkKey};
use mainframe_core::switchboard::LinkEvent;
use tokio_util::sync::PollSender;

use crate::splitter::Splitter;
use crate::writer::Ended;

/// Frames handed on together while more are there to be read: a message to the relay half costs as much as several
/// frames, and what the relay half answers to one batch travels together too (measured: docs/protocol/link.md §6).
const BATCH_FRAMES: usize = 64;

/// The stream on which one peer sends to us.
#[derive(Debug)]
pub(crate) struct Reader {
    peer: LinkKey,
    stream: Stream,
    splitter: Splitter,
    batch: Vec<Bytes>,
    fault: Option<Fault>,
    closed: bool,
}

impl Reader {
    pub(crate) fn new(peer: LinkKey, stream: Stream) -> Reader {
        Reader { peer, stream, splitter: Splitter::default(), batch: Vec::new(), fault: None, closed: false }
    }

    /// Reads until the stream is empty or `events` is full. While it is full the stream is left alone: the transport's
    /// window fills, and the peer's queue with it.
    pub(crate) fn poll<E>(&mut self, context: &mut Context<'_>, events: &mut PollSender<E>) -> Poll<Ended>
    where
        E: From<LinkEvent> + Send + 'static,
    {
        self.read(context, events).map(|ended| ended.err().unwrap_or(Ended::Closed))
    }

    fn read<E>(&mut self, context: &mut Context<'_>, events: &mut PollSender<E>) -> Poll<Result<(), Ended>>
    where
        E: From<LinkEvent> + Send + 'static,
    {
        loop {
            let ended = self.fault.is_some() || self.closed;
            if self.batch.len() >= BATCH_FRAMES || (ended && !self.batch.is_empty()) {
                std::task::ready!(self.deliver(context, events))?;
            }
            if let Some(fault) = self.fault {
                return Poll::Ready(Err(Ended::Fault(fault)));
            }
            if self.closed {
                return Poll::Ready(Err(Ended::Closed));
            }
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, self.splitter.room()) else {
                if !self.batch.is_empty() {
                    std::task::ready!(self.deliver(context, events))?;
                }
                self.splitter.rest();
                return Poll::Pending;
            };
            match read {
                Ok(0) | Err(_) => self.closed = true,
                Ok(read) => self.fault = self.splitter.advance(read, &mut self.batch).err(),
            }
        }
    }

    /// Hands the batch on; an error if the node no longer listens.
    fn deliver<E>(&mut self, context: &mut Context<'_>, events: &mut PollSender<E>) -> Poll<Result<(), Ended>>
    where
        E: From<LinkEvent> + Send + 'static,
    {
        std::task::ready!(events.poll_reserve(context)).map_err(|_| Ended::Closed)?;
        let event = LinkEvent::Frames { peer: self.peer, frames: std::mem::take(&mut self.batch) };
        Poll::Ready(events.send_item(E::from(event)).map_err(|_| Ended::Closed))
    }
}
