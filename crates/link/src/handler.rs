//! One connection: opens the stream we send on, accepts the one we receive on, and drives both.
//!
//! Each side opens one stream for its own sending and keeps it as long as the connection lives. A new stream per frame
//! would cap a link at a tenth of its rate (docs/protocol/link.md §6), and libp2p may drop streams opened in bulk.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol};
use mainframe_base::{Fault, LinkKey};
use mainframe_core::switchboard::LinkEvent;
use tokio::time::Sleep;
use tokio_util::sync::PollSender;

use crate::queue::Queue;
use crate::reader::Reader;
use crate::writer::{Ended, Writer};

/// The protocol of both streams.
pub(crate) const FRAMES_PROTOCOL: StreamProtocol = StreamProtocol::new("/mainframe/frames/1");

/// What the behaviour tells a connection.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// This connection is the one to use: open the stream, which tells the other side so.
    Open,
    /// `Up` has been reported: carry frames.
    Start(Arc<Queue>),
    /// Frames move here from another connection: write what waits, and read nothing yet.
    Write(Arc<Queue>),
    /// The other connection has been read to its end: read.
    Read,
    /// Frames move to another connection: write no more, and read to the end.
    Retire,
}

/// What a connection tells the behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// The other side has opened its stream: it uses this connection.
    Opened,
    /// The peer broke the protocol.
    Fault(Fault),
    /// After `Retire`: all that the other side had put on this connection has been read.
    Drained,
    /// The other side ended a stream, or speaks another protocol.
    Ended,
    /// The other side did not open its stream in time.
    Silent,
}

/// The state of one connection.
pub(crate) struct Handler<E> {
    peer: LinkKey,
    events: PollSender<E>,
    queue: Option<Arc<Queue>>,
    reading: bool,
    retired: bool,
    /// Whether the connection is to stand although nothing happens on it.
    kept: bool,
    outgoing: Outgoing,
    incoming: Option<Reader>,
    reports: VecDeque<Report>,
    /// Runs until the other side has opened its stream; when retired, until the connection is to end.
    patience: Option<Pin<Box<Sleep>>>,
    over: bool,
}

/// The stream we send on.
enum Outgoing {
    Unwanted,
    Wanted,
    Requested,
    Open(Writer),
    Closed,
}

/// How long a connection stands after the last frame was read from it: the other side may still be reading (guess:
/// several round trips).
const LINGER: Duration = Duration::from_secs(2);
/// How long the other side may take to end its stream on a connection that is being left (guess).
const LEAVE: Duration = Duration::from_secs(10);

impl<E> Handler<E> {
    /// A connection with `peer`, which has `patience` to open its stream. Without patience the connection is for other
    /// protocols, and ends with them unless the peer opens its stream all the same.
    pub(crate) fn new(peer: LinkKey, events: PollSender<E>, patience: Option<Duration>) -> Handler<E> {
        Handler {
            peer,
            events,
            queue: None,
            reading: false,
            retired: false,
            kept: patience.is_some(),
            outgoing: Outgoing::Unwanted,
            incoming: None,
            reports: VecDeque::new(),
            patience: patience.map(|patience| Box::pin(tokio::time::sleep(patience))),
            over: false,
        }
    }

    fn want_stream(&mut self) {
        self.kept = true;
        if matches!(self.outgoing, Outgoing::Unwanted) {
            self.outgoing = Outgoing::Wanted;
        }
    }

    /// A second stream would break the order of frames.
    fn accept(&mut self, stream: libp2p::Stream) {
        if self.incoming.is_some() {
            return self.end(Report::Fault(Fault::OutOfOrder));
        }
        self.incoming = Some(Reader::new(self.peer, stream));
        self.kept = true;
        self.patience = None;
        self.reports.push_back(Report::Opened);
    }

    fn end(&mut self, report: Report) {
        if !self.over {
            self.over = true;
            self.reports.push_back(report);
        }
    }

    fn lose_patience(&mut self, context: &mut Context<'_>) {
        if let Some(patience) = &mut self.patience
            && patience.as_mut().poll(context).is_ready()
        {
            self.patience = None;
            self.end(Report::Silent);
        }
    }

    fn write(&mut self, context: &mut Context<'_>) {
        if self.queue.as_ref().is_some_and(|queue| queue.watch(context.waker())) {
            return self.end(Report::Fault(Fault::NotReading));
        }
        let Outgoing::Open(writer) = &mut self.outgoing else { return };
        if self.retired {
            if writer.finish(context).is_ready() {
                self.outgoing = Outgoing::Closed;
            }
        } else if let Poll::Ready(ended) = writer.poll(context, self.queue.as_deref()) {
            self.end(ended.into());
        }
    }

    fn retire(&mut self) {
        self.retired = true;
        self.queue = None;
        self.patience = Some(Box::pin(tokio::time::sleep(LEAVE)));
    }

    /// The other side has put its last frame on a connection that is being left.
    fn drained(&mut self) {
        self.incoming = None;
        self.reading = false;
        self.reports.push_back(Report::Drained);
        self.patience = Some(Box::pin(tokio::time::sleep(LINGER)));
    }
}

impl<E: From<LinkEvent> + Send + 'static> Handler<E> {
    fn read(&mut self, context: &mut Context<'_>) {
        if self.reading
            && let Some(reader) = &mut self.incoming
            && let Poll::Ready(ended) = reader.poll(context, &mut self.events)
        {
            match ended {
                Ended::Closed if self.retired => self.drained(),
                Ended::Closed | Ended::Fault(_) => self.end(ended.into()),
            }
        }
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.over {
            self.read(context);
        }
        if !self.over {
            self.lose_patience(context);
        }
        if !self.over {
            self.write(context);
        }
    }
}

impl From<Ended> for Report {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Fault(fault) => Report::Fault(fault),
            Ended::Closed => Report::Ended,
        }
    }
}

type Protocol = ReadyUpgrade<StreamProtocol>;

impl<E: From<LinkEvent> + Send + 'static> ConnectionHandler for Handler<E> {
    type FromBehaviour = Order;
    type ToBehaviour = Report;
    type InboundProtocol = Protocol;
    type OutboundProtocol = Protocol;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Protocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(FRAMES_PROTOCOL), ())
    }

    /// A quiet neighbour is still a neighbour: only the relay half hangs up.
    fn connection_keep_alive(&self) -> bool {
        self.kept
    }

    fn on_behaviour_event(&mut self, order: Order) {
        match order {
            Order::Open => self.want_stream(),
            Order::Start(_) | Order::Write(_) | Order::Read if self.retired => {}
            Order::Start(queue) => {
                self.queue = Some(queue);
                self.reading = true;
                self.want_stream();
            }
            Order::Write(queue) => self.queue = Some(queue),
            Order::Read => self.reading = true,
            Order::Retire => self.retire(),
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocol, Protocol>) {
        if let ConnectionEvent::FullyNegotiatedInbound(negotiated) = event {
            self.accept(negotiated.protocol);
        } else if let ConnectionEvent::FullyNegotiatedOutbound(negotiated) = event {
            self.outgoing = Outgoing::Open(Writer::new(negotiated.protocol));
        } else if let ConnectionEvent::DialUpgradeError(_) = event {
            self.end(Report::Ended);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocol, (), Report>> {
        self.drive(context);
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if matches!(self.outgoing, Outgoing::Wanted) {
            self.outgoing = Outgoing::Requested;
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol: self.listen_protocol() });
        }
        Poll::Pending
    }
}
