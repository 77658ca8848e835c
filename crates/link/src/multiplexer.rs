//! Yamux with bounds of our own.
//!
//! libp2p's wrapper lets the unread bytes of one stream grow to 1 GiB and offers no setting. A bound is needed twice:
//! a node that does not listen must not fill its memory with what a peer sends; and yamux stops reading while it owes
//! the other side a pong it cannot write, so that two nodes whose sockets are full both ways would wait for each other
//! for ever. A window that fits into the socket's own buffers fills before they do (docs/protocol/link.md §5).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::iter::{Once, once};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Connection, ConnectionError, DEFAULT_CREDIT, Mode, Stream};

/// Streams of one connection: two of ours, ping's and identify's each way, and as many in closing; four circuits through
/// it; and four questions about addresses or relays.
pub(crate) const STREAMS_MAX: usize = 24;
/// Unread bytes of one stream: 160 Mbit/s at 50 ms, and less than Linux' socket buffers hold on a fast path (1.3 MB to
/// send at once on loopback, up to 4 MB to send and 6 MB to receive elsewhere).
pub(crate) const STREAM_WINDOW_BYTES: usize = 1 << 20;
/// Every stream may use yamux's first window; one may grow to the full one.
const CONNECTION_WINDOW_BYTES: usize =
    STREAMS_MAX * DEFAULT_CREDIT as usize + STREAM_WINDOW_BYTES - DEFAULT_CREDIT as usize;

/// The upgrade of a secured connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Multiplexer;

impl Multiplexer {
    fn connection<C: AsyncRead + AsyncWrite + Unpin>(socket: C, mode: Mode) -> Multiplexed<C> {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(CONNECTION_WINDOW_BYTES));
        Multiplexed { connection: Connection::new(socket, config, mode), incoming: VecDeque::new() }
    }
}

impl UpgradeInfo for Multiplexer {
    type Info = &'static str;
    type InfoIter = Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Multiplexer {
    type Output = Multiplexed<C>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Multiplexer::connection(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Multiplexer {
    type Output = Multiplexed<C>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(Multiplexer::connection(socket, Mode::Client)))
    }
}

/// A connection carrying many streams.
pub(crate) struct Multiplexed<C> {
    connection: Connection<C>,
    /// Streams the other side opened while nobody asked; at most `STREAMS_MAX`, which yamux enforces.
    incoming: VecDeque<Stream>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Multiplexed<C> {
    /// Moves all streams on, until one comes in.
    fn poll_connection(&mut self, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_next_inbound(context).map(|stream| stream.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Multiplexed<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        match self.incoming.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => self.poll_connection(context),
        }
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(context)
    }

    /// The swarm polls for streams right after this, in the same turn, so none waits for a wake-up.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        while let Poll::Ready(stream) = self.poll_connection(context) {
            self.incoming.push_back(stream?);
        }
        Poll::Pending
    }
}
