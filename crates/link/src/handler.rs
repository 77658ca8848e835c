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
}

/// What a connection tells the behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// The other side has opened its stream: it uses this connection.
    Opened,
    /// The peer broke the protocol.
    Fault(Fault),
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
    outgoing: Outgoing,
    incoming: Option<Reader>,
    reports: VecDeque<Report>,
    /// Runs until the other side has opened its stream.
    patience: Option<Pin<Box<Sleep>>>,
    over: bool,
}

/// The stream we send on.
enum Outgoing {
    Unwanted,
    Wanted,
    Requested,
    Open(Writer),
}

impl<E> Handler<E> {
    /// A connection with `peer`, which has `patience` to open its stream.
    pub(crate) fn new(peer: LinkKey, events: PollSender<E>, patience: Duration) -> Handler<E> {
        Handler {
            peer,
            events,
            queue: None,
            outgoing: Outgoing::Unwanted,
            incoming: None,
            reports: VecDeque::new(),
            patience: Some(Box::pin(tokio::time::sleep(patience))),
            over: false,
        }
    }

    fn want_stream(&mut self) {
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
        if let Outgoing::Open(writer) = &mut self.outgoing
            && let Poll::Ready(ended) = writer.poll(context, self.queue.as_deref())
        {
            self.end(ended.into());
        }
    }
}

impl<E: From<LinkEvent> + Send + 'static> Handler<E> {
    fn read(&mut self, context: &mut Context<'_>) {
        if self.queue.is_some()
            && let Some(reader) = &mut self.incoming
            && let Poll::Ready(ended) = reader.poll(context, &mut self.events)
        {
            self.end(ended.into());
        }
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.over {
            self.lose_patience(context);
        }
        if !self.over {
            self.read(context);
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
        true
    }

    fn on_behaviour_event(&mut self, order: Order) {
        if let Order::Start(queue) = order {
            self.queue = Some(queue);
        }
        self.want_stream();
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
