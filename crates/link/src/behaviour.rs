//! Which of a peer's connections carries frames, and in which order the node hears of it.
//!
//! Two nodes may dial each other at the same moment. The one with the lower key chooses: it opens its stream on one
//! connection, and the other follows (docs/protocol/link.md §4). So both keep the same one, nothing is sent on a
//! connection that is about to be closed, and there is one `Up` for one `Down`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use mainframe_base::{LinkKey, Locator};
use mainframe_core::switchboard::{DownReason, LinkEvent};
use tokio_util::sync::PollSender;

use crate::handler::{Handler, Order, Report};
use crate::locators::{link_key, locator, peer_id};
use crate::queue::{Bounds, Queue, Tally};

/// Events waiting for the node to take them; beyond it no connection is accepted. Only a node that has stopped gets
/// there (guess: four for each of 256 peers).
const PENDING_MAX: usize = 1_024;

/// The queues of the peers that are up, for whoever sends.
pub(crate) type Queues = Arc<RwLock<BTreeMap<LinkKey, Arc<Queue>>>>;

/// The part of the swarm that is ours.
pub(crate) struct Behaviour<E> {
    local: LinkKey,
    patience: Duration,
    bounds: Bounds,
    tally: Arc<Tally>,
    queues: Queues,
    events: PollSender<E>,
    peers: BTreeMap<LinkKey, Peer>,
    /// What to report, each with what may happen only after the node has been told.
    pending: VecDeque<(LinkEvent, Option<Action>)>,
    actions: VecDeque<Action>,
}

type Action = ToSwarm<std::convert::Infallible, Order>;

/// The connections with one peer, at most `connections_per_peer_max`.
#[derive(Default)]
struct Peer {
    connections: Vec<Connection>,
    chosen: Option<ConnectionId>,
    up: bool,
    reason: Option<DownReason>,
}

struct Connection {
    id: ConnectionId,
    outbound: bool,
    remote: Locator,
    /// The other side has opened its stream.
    opened: bool,
}

impl<E: From<LinkEvent> + Send + 'static> Behaviour<E> {
    pub(crate) fn new(
        local: LinkKey,
        patience: Duration,
        bounds: Bounds,
        tally: Arc<Tally>,
        queues: Queues,
        events: PollSender<E>,
    ) -> Behaviour<E> {
        Behaviour {
            local,
            patience,
            bounds,
            tally,
            queues,
            events,
            peers: BTreeMap::new(),
            pending: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// Tells the node, in order, as soon as it listens.
    pub(crate) fn report(&mut self, event: LinkEvent) {
        self.pending.push_back((event, None));
    }

    /// Whether a connection with the peer stands or is being agreed on.
    pub(crate) fn knows(&self, peer: LinkKey) -> bool {
        self.peers.contains_key(&peer)
    }

    /// Ends every connection with a peer.
    pub(crate) fn hang_up(&mut self, key: LinkKey, reason: DownReason) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.reason.get_or_insert(reason);
        let ids: Vec<ConnectionId> = peer.connections.iter().map(|connection| connection.id).collect();
        for id in ids {
            self.close(key, id);
        }
    }

    /// Ends one connection whose pings go unanswered.
    pub(crate) fn lose(&mut self, key: LinkKey, id: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.chosen == Some(id)
            && peer.up
        {
            peer.reason.get_or_insert(DownReason::TimedOut);
        }
        self.close(key, id);
    }

    fn close(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer_id) = peer_id(key) else { return };
        self.actions.push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) });
    }

    fn order(&self, key: LinkKey, id: ConnectionId, event: Order) -> Option<Action> {
        let handler = NotifyHandler::One(id);
        Some(ToSwarm::NotifyHandler { peer_id: peer_id(key)?, handler, event })
    }

    /// The one with the lower key chooses.
    fn we_choose(&self, key: LinkKey) -> bool {
        self.local < key
    }

    fn on_established(&mut self, key: LinkKey, connection: Connection) {
        let (id, outbound) = (connection.id, connection.outbound);
        let peer = self.peers.entry(key).or_default();
        let redundant = outbound && peer.chosen.is_some();
        peer.connections.push(connection);
        if redundant {
            self.close(key, id);
        } else if self.we_choose(key) {
            self.choose(key);
        }
    }

    /// Takes the first connection that may be used, if none is in use.
    fn choose(&mut self, key: LinkKey) {
        let we_choose = self.we_choose(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.chosen.is_some() {
            return;
        }
        let Some(connection) = peer.connections.iter().find(|connection| we_choose || connection.opened) else {
            return;
        };
        let (id, opened) = (connection.id, connection.opened);
        peer.chosen = Some(id);
        let open = self.order(key, id, Order::Open);
        self.actions.extend(open);
        self.close_redundant(key, id);
        if opened {
            self.bring_up(key);
        }
    }

    /// What we dialled in vain is ours to close; what the other dialled stands by until it is closed or needed.
    fn close_redundant(&mut self, key: LinkKey, kept: ConnectionId) {
        let Some(peer) = self.peers.get(&key) else { return };
        let others = peer.connections.iter().filter(|connection| connection.outbound && connection.id != kept);
        for id in others.map(|connection| connection.id).collect::<Vec<_>>() {
            self.close(key, id);
        }
    }

    fn on_opened(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(connection) = peer.connections.iter_mut().find(|connection| connection.id == id) else { return };
        connection.opened = true;
        match peer.chosen {
            Some(chosen) if chosen == id => self.bring_up(key),
            // The other side chose again: it has lost the connection we still hold.
            Some(chosen) => self.close(key, chosen),
            None => self.choose(key),
        }
    }

    /// Reports `Up`; frames flow only once the node has it.
    fn bring_up(&mut self, key: LinkKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(connection) = peer.connections.iter().find(|connection| Some(connection.id) == peer.chosen) else {
            return;
        };
        let (id, event) =
            (connection.id, LinkEvent::Up { peer: key, outbound: connection.outbound, remote: connection.remote });
        peer.up = true;
        let queue = Arc::new(Queue::new(self.bounds, self.tally.clone()));
        self.queues.write().expect("no holder of this lock can panic").insert(key, queue.clone());
        let start = self.order(key, id, Order::Start(queue));
        self.pending.push_back((event, start));
    }

    fn on_closed(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(at) = peer.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = peer.connections.remove(at);
        let was_chosen = peer.chosen == Some(id);
        if was_chosen {
            peer.chosen = None;
        }
        if was_chosen && std::mem::take(&mut peer.up) {
            let reason = peer.reason.take().unwrap_or(DownReason::Closed);
            self.take_down(key, reason);
        } else {
            self.dial_came_to_nothing(key, &connection);
        }
        self.choose(key);
        if self.peers.get(&key).is_some_and(|peer| peer.connections.is_empty()) {
            self.peers.remove(&key);
        }
    }

    fn take_down(&mut self, key: LinkKey, reason: DownReason) {
        if let Some(queue) = self.queues.write().expect("no holder of this lock can panic").remove(&key) {
            queue.close();
        }
        self.report(LinkEvent::Down { peer: key, reason });
    }

    /// A connection that closes before it was used, and leaves us without any, is a dial that failed late.
    fn dial_came_to_nothing(&mut self, key: LinkKey, connection: &Connection) {
        if connection.outbound && self.peers.get(&key).is_some_and(|peer| peer.connections.is_empty()) {
            let why = "the other side closed the connection before using it: it is full, or speaks another protocol";
            self.report(LinkEvent::DialFailed { peer: Some(key), locator: connection.remote, why: why.to_owned() });
        }
    }

    fn on_report(&mut self, key: LinkKey, id: ConnectionId, report: Report) {
        match report {
            Report::Opened => self.on_opened(key, id),
            Report::Fault(fault) => {
                self.report(LinkEvent::Fault { peer: key, fault });
                self.hang_up(key, DownReason::HungUp);
            }
            Report::Ended => self.close(key, id),
            Report::Silent => self.lose(key, id),
        }
    }

    fn handler(&self, peer: &PeerId) -> Result<Handler<E>, ConnectionDenied> {
        let key = link_key(peer).ok_or_else(|| ConnectionDenied::new(NotOurKind))?;
        Ok(Handler::new(key, self.events.clone(), self.patience))
    }

    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.pending.is_empty() {
            if std::task::ready!(self.events.poll_reserve(context)).is_err() {
                self.pending.clear(); // the node has gone; the driver ends with it
                break;
            }
            let Some((event, then)) = self.pending.pop_front() else { break };
            let _ = self.events.send_item(E::from(event));
            self.actions.extend(then);
        }
        Poll::Ready(())
    }
}

/// A peer whose key is not ed25519.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer's key is not ed25519")]
struct NotOurKind;

/// Too many events wait for the node.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the node does not keep up with its link")]
struct Behind;

impl<E: From<LinkEvent> + Send + 'static> NetworkBehaviour for Behaviour<E> {
    type ConnectionHandler = Handler<E>;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.pending.len() < PENDING_MAX { Ok(()) } else { Err(ConnectionDenied::new(Behind)) }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, endpoint, .. }) = event
            && let (Some(key), Some(remote)) = (link_key(&peer_id), locator(endpoint.get_remote_address()))
        {
            let outbound = endpoint.is_dialer();
            self.on_established(key, Connection { id: connection_id, outbound, remote, opened: false });
        } else if let FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) = event
            && let Some(key) = link_key(&peer_id)
        {
            self.on_closed(key, connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, report: THandlerOutEvent<Self>) {
        if let Some(key) = link_key(&peer) {
            self.on_report(key, id, report);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let _ = self.poll_pending(context);
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
