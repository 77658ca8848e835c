//! The outgoing stream: packs many frames into one write, and flushes only when the queue has run empty.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::Stream;
use mainframe_base::Fault;
use mainframe_core::wire::OutFrame;

use crate::queue::{Queue, Taken};

/// Bytes packed into one write: 2 KiB writes cost the transport 3–4 times as much a byte (measured:
/// docs/protocol/link.md §6).
const WRITE_BYTES: usize = 65_536;

/// Why a stream ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer broke the protocol.
    Fault(Fault),
    /// The peer closed it, or the connection broke.
    Closed,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Ended::Closed
    }
}

/// The stream on which we send to one peer.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: Stream,
    frames: Vec<OutFrame>,
    buffer: Vec<u8>,
    written: usize,
    /// Something was written since the last flush; at first, the proposal of our protocol.
    unflushed: bool,
}

impl Writer {
    pub(crate) fn new(stream: Stream) -> Writer {
        Writer { stream, frames: Vec::new(), buffer: Vec::new(), written: 0, unflushed: true }
    }

    /// Writes until the stream takes no more or the queue is empty.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, queue: Option<&Queue>) -> Poll<Ended> {
        match self.write(context, queue) {
            Ok(()) => self.listen(context),
            Err(ended) => Poll::Ready(ended),
        }
    }

    fn write(&mut self, context: &mut Context<'_>, queue: Option<&Queue>) -> Result<(), Ended> {
        loop {
            if self.written == self.buffer.len() && !self.refill(queue) {
                return self.flush(context);
            }
            match Pin::new(&mut self.stream).poll_write(context, &self.buffer[self.written..])? {
                Poll::Ready(0) => return Err(Ended::Closed),
                Poll::Ready(written) => self.written += written,
                Poll::Pending => return Ok(()),
            }
            self.unflushed = true;
        }
    }

    /// Writes what has left the queue already, and ends the stream. An error ends it too.
    pub(crate) fn finish(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.written < self.buffer.len() {
            match std::task::ready!(Pin::new(&mut self.stream).poll_write(context, &self.buffer[self.written..])) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(written) => self.written += written,
            }
        }
        Pin::new(&mut self.stream).poll_close(context).map(drop)
    }

    /// Packs frames into the buffer; an idle writer holds none.
    fn refill(&mut self, queue: Option<&Queue>) -> bool {
        self.buffer.clear();
        self.written = 0;
        let taken = queue.map_or(Taken::Nothing, |queue| queue.take(&mut self.frames, WRITE_BYTES));
        match taken {
            Taken::Frames => self.pack(),
            Taken::Nothing => self.buffer = Vec::new(),
        }
        taken == Taken::Frames
    }

    fn pack(&mut self) {
        self.buffer.reserve(self.frames.iter().map(OutFrame::length).sum());
        for frame in self.frames.drain(..) {
            self.buffer.extend_from_slice(&frame.head);
            if let Some(cell) = &frame.cell {
                self.buffer.extend_from_slice(cell);
            }
        }
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    /// Nothing is ever said on this stream but the answer to our proposal; reading it tells of a refusal and of the end.
    fn listen(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        match Pin::new(&mut self.stream).poll_read(context, &mut [0; 1]) {
            Poll::Ready(Ok(1)) => Poll::Ready(Ended::Fault(Fault::OutOfOrder)),
            Poll::Ready(_) => Poll::Ready(Ended::Closed),
            Poll::Pending => Poll::Pending,
        }
    }
}
