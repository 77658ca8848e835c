//! Which of a peer's connections carries frames, and in which order the node hears of it.
//!
//! Two nodes may dial each other at the same moment. The one with the lower key chooses: it opens its stream on one
//! connection, and the other follows (docs/protocol/link.md §4). So both keep the same one, nothing is sent on a
//! connection that is about to be closed, and there is one `Up` for one `Down`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::swarm::{CloseConnection, ConnectionId, NotifyHandler, ToSwarm};
use mainframe_base::LinkKey;
use mainframe_core::switchboard::{DownReason, LinkEvent};
use tokio_util::sync::PollSender;

use crate::handler::{Order, Report};
use crate::locators::peer_id;
use crate::peer::{Connection, Peer, Standing};
use crate::queue::{Bounds, Queue, Tally};

mod admission;
mod moving;

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
    /// Dials under way that our node has asked for.
    own_dials: BTreeSet<ConnectionId>,
    /// Dials under way that libp2p's parts want to make, most of them because a peer has asked.
    favours: BTreeSet<ConnectionId>,
    /// What to report; with an `Up`, the connection on which frames may flow only after the node has been told.
    pending: VecDeque<(LinkEvent, Option<ConnectionId>)>,
    actions: VecDeque<Action>,
}

type Action = ToSwarm<std::convert::Infallible, Order>;

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
            own_dials: BTreeSet::new(),
            favours: BTreeSet::new(),
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

    /// Our node wants this dial, which is about to begin.
    pub(crate) fn dialling(&mut self, id: ConnectionId) {
        self.own_dials.insert(id);
    }

    /// A connection with a peer.
    pub(crate) fn connection(&self, key: LinkKey, id: ConnectionId) -> Option<&Connection> {
        self.peers.get(&key)?.get(id)
    }

    /// Others are to be asked whether this address leads to us.
    pub(crate) fn propose(&mut self, address: Multiaddr) {
        self.actions.push_back(ToSwarm::NewExternalAddrCandidate(address));
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
            && peer.is_up()
        {
            peer.reason.get_or_insert(DownReason::TimedOut);
        }
        self.close(key, id);
    }

    fn close(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer_id) = peer_id(key) else { return };
        self.actions.push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) });
    }

    fn order(&mut self, key: LinkKey, id: ConnectionId, event: Order) {
        let Some(peer_id) = peer_id(key) else { return };
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(id), event });
    }

    /// The one with the lower key chooses.
    fn we_choose(&self, key: LinkKey) -> bool {
        self.local < key
    }

    fn on_established(&mut self, key: LinkKey, connection: Connection) {
        let (id, standing) = (connection.id, connection.standing);
        let peer = self.peers.entry(key).or_default();
        let redundant = peer.has_no_need_of(&connection);
        peer.connections.push(connection);
        if redundant {
            self.close(key, id);
        } else if standing == Standing::Usable && self.we_choose(key) {
            self.choose(key);
            self.improve(key);
        }
    }

    /// Takes the first connection that may be used, if none is in use.
    fn choose(&mut self, key: LinkKey) {
        let we_choose = self.we_choose(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(id) = peer.first(we_choose) else { return };
        peer.chosen = Some(id);
        self.order(key, id, Order::Open);
        self.close_redundant(key, id);
        if self.connection(key, id).is_some_and(|connection| connection.opened) {
            self.bring_up(key);
        }
    }

    /// What we dialled in vain is ours to close; what the other dialled stands by until it is closed or needed.
    fn close_redundant(&mut self, key: LinkKey, kept: ConnectionId) {
        let Some(peer) = self.peers.get(&key) else { return };
        for id in peer.redundant(kept) {
            self.close(key, id);
        }
    }

    fn on_opened(&mut self, key: LinkKey, id: ConnectionId) {
        let we_choose = self.we_choose(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(connection) = peer.get_mut(id) else { return };
        connection.opened = true;
        let direct = connection.remote.is_direct();
        match peer.chosen {
            Some(chosen) if chosen == id => self.on_chosen_opened(key),
            Some(_) if we_choose => {}
            Some(chosen) if direct && peer.get(chosen).is_some_and(|chosen| !chosen.remote.is_direct()) => {
                self.improve(key);
            }
            // The other side chose again: it has lost the connection we still hold.
            Some(chosen) => self.close(key, chosen),
            None => self.choose(key),
        }
    }

    fn on_chosen_opened(&mut self, key: LinkKey) {
        let Some(peer) = self.peers.get(&key) else { return };
        match (peer.moving, peer.queue.clone(), peer.chosen) {
            (Some(_), ..) => self.retire(key),
            // The old connection went before the new one was there.
            (None, Some(queue), Some(id)) => self.order(key, id, Order::Start(queue)),
            (None, ..) => self.bring_up(key),
        }
    }

    /// Reports `Up`; frames flow only once the node has it.
    fn bring_up(&mut self, key: LinkKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(connection) = peer.chosen.and_then(|id| peer.get(id)) else { return };
        let (id, outbound, remote) = (connection.id, connection.outbound, connection.remote);
        let queue = Arc::new(Queue::new(self.bounds, self.tally.clone()));
        queue.set_relayed(!remote.is_direct());
        peer.queue = Some(queue.clone());
        self.queues.write().expect("no holder of this lock can panic").insert(key, queue);
        self.pending.push_back((LinkEvent::Up { peer: key, outbound, remote }, Some(id)));
    }

    /// The node knows that the peer is up.
    fn start(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.chosen == Some(id)) else { return };
        let Some(queue) = peer.queue.clone() else { return };
        peer.started = true;
        self.order(key, id, Order::Start(queue));
        self.improve(key);
    }

    fn on_closed(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(at) = peer.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = peer.connections.remove(at);
        let (was_chosen, moving) = (peer.chosen == Some(id), peer.moving);
        match moving {
            Some(moving) if moving.from == id => self.on_old_closed(key, moving),
            Some(moving) if was_chosen && !moving.retired => {
                // Nothing has left the old connection yet.
                (peer.chosen, peer.moving) = (Some(moving.from), None);
            }
            _ if was_chosen && peer.is_up() => self.on_carrier_closed(key),
            _ => {
                peer.chosen = peer.chosen.filter(|_| !was_chosen);
                self.dial_came_to_nothing(key, &connection);
            }
        }
        self.choose(key);
        self.improve(key);
        if self.peers.get(&key).is_some_and(|peer| peer.connections.is_empty()) {
            self.peers.remove(&key);
        }
    }

    /// Frames flow no more.
    fn on_carrier_closed(&mut self, key: LinkKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let reason = peer.reason.take().unwrap_or(DownReason::Closed);
        let left = peer.moving.take();
        (peer.chosen, peer.queue, peer.started) = (None, None, false);
        if let Some(moving) = left {
            self.close(key, moving.from);
        }
        self.take_down(key, reason);
    }

    fn take_down(&mut self, key: LinkKey, reason: DownReason) {
        if let Some(queue) = self.queues.write().expect("no holder of this lock can panic").remove(&key) {
            queue.close();
        }
        self.report(LinkEvent::Down { peer: key, reason });
    }

    /// A connection that closes before it was used, and leaves us without any, is a dial that failed late.
    fn dial_came_to_nothing(&mut self, key: LinkKey, connection: &Connection) {
        let meant = connection.outbound && connection.standing == Standing::Usable;
        if meant && self.peers.get(&key).is_some_and(|peer| peer.connections.is_empty()) {
            let why = "the other side closed the connection before using it: it is full, or speaks another protocol";
            self.report(LinkEvent::DialFailed { peer: Some(key), locator: connection.remote, why: why.to_owned() });
        }
    }

    fn on_report(&mut self, key: LinkKey, id: ConnectionId, report: Report) {
        match report {
            Report::Opened => self.on_opened(key, id),
            Report::Drained => self.on_drained(key, id),
            Report::Fault(fault) => {
                self.report(LinkEvent::Fault { peer: key, fault });
                self.hang_up(key, DownReason::HungUp);
            }
            Report::Ended => self.close(key, id),
            Report::Silent => self.lose(key, id),
        }
    }

    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.pending.is_empty() {
            if std::task::ready!(self.events.poll_reserve(context)).is_err() {
                self.pending.clear(); // the node has gone; the driver ends with it
                break;
            }
            let Some((event, then)) = self.pending.pop_front() else { break };
            let peer = if let LinkEvent::Up { peer, .. } = &event { Some(*peer) } else { None };
            let _ = self.events.send_item(E::from(event));
            if let (Some(key), Some(id)) = (peer, then) {
                self.start(key, id);
            }
        }
        Poll::Ready(())
    }
}
