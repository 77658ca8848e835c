//! Which connections there may be, what each is for, and where its other end is: our part of libp2p's swarm.

use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use mainframe_base::{LinkKey, Locator, Scope};
use mainframe_core::switchboard::LinkEvent;

use super::{Behaviour, PENDING_MAX};
use crate::handler::Handler;
use crate::locators::{circuit, link_key, locator};
use crate::peer::{Connection, Peer, Standing};

/// Dials under way that others have asked for: a quarter of all there may be, so that ours never wait for theirs (guess).
const FAVOURS_MAX: usize = 32;
/// Addresses in one of them (guess: a node has eight, and libp2p remembers twenty).
const FAVOUR_ADDRESSES_MAX: usize = 20;

impl<E: From<LinkEvent> + Send + 'static> Behaviour<E> {
    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let (key, outbound) = (link_key(&peer), endpoint.is_dialer());
        let standing = key.filter(|_| outbound).map_or(Standing::Usable, |key| self.standing(key, id));
        self.own_dials.remove(&id);
        self.favours.remove(&id);
        if let (Some(key), Some(remote)) = (key, self.remote(endpoint)) {
            self.on_established(key, Connection { id, outbound, remote, standing, opened: false });
        }
    }

    /// What an outgoing connection is for. Our node's are for frames. A peer we reach directly has asked for the others,
    /// to see whether it can be dialled; one that we reach through a relay, so that we need the relay no longer.
    fn standing(&self, key: LinkKey, id: ConnectionId) -> Standing {
        let asked = !self.own_dials.contains(&id) && self.peers.get(&key).is_some_and(Peer::is_direct);
        if asked { Standing::Aside } else { Standing::Usable }
    }

    fn handler(&self, peer: &PeerId, standing: Option<Standing>) -> Result<Handler<E>, ConnectionDenied> {
        let key = link_key(peer).ok_or_else(|| ConnectionDenied::new(NotOurKind))?;
        let patience = (standing != Some(Standing::Aside)).then_some(self.patience);
        Ok(Handler::new(key, self.events.clone(), patience))
    }

    /// Whether a dial may begin that our node has not asked for. Nobody sends us into our own machine or network, except
    /// to where he came from himself.
    fn may_oblige(&self, peer: Option<LinkKey>, addresses: &[Multiaddr]) -> bool {
        let Some(peer) = peer.and_then(|key| self.peers.get(&key)) else { return true };
        let homes: Vec<_> = peer.connections.iter().map(|connection| connection.remote.ip).collect();
        let nearest = if peer.is_direct() { Scope::Global } else { Scope::Private };
        let harmless = |place: Locator| place.scope() <= nearest || homes.contains(&place.ip);
        self.favours.len() < FAVOURS_MAX
            && addresses.len() <= FAVOUR_ADDRESSES_MAX
            && addresses.iter().all(|address| locator(address).is_some_and(harmless))
    }

    /// Where the other end is. That of a circuit somebody else dialled has no address but the relay's.
    fn remote(&self, endpoint: &ConnectedPoint) -> Option<Locator> {
        match endpoint {
            ConnectedPoint::Dialer { address, .. } => locator(address).or_else(|| self.through(address)),
            ConnectedPoint::Listener { local_addr, .. } if endpoint.is_relayed() => {
                locator(local_addr).or_else(|| self.through(local_addr))
            }
            ConnectedPoint::Listener { send_back_addr, .. } => locator(send_back_addr),
        }
    }

    /// A circuit's address that leaves it to us to know whose relay stands there.
    fn through(&self, address: &Multiaddr) -> Option<Locator> {
        let place = circuit(address)?;
        let stands_there = |peer: &Peer| peer.connections.iter().any(|connection| connection.remote == place);
        let relay = self.peers.iter().find(|(_, peer)| stands_there(peer))?;
        Some(place.through(*relay.0))
    }
}

/// A peer whose key is not ed25519.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer's key is not ed25519")]
struct NotOurKind;

/// A dial that a peer asked for and that we do not make.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a peer asked for a dial into our own network, or for too many")]
struct NotObliging;

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
        self.handler(&peer, None)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if !self.own_dials.contains(&id) {
            if !self.may_oblige(peer.as_ref().and_then(link_key), addresses) {
                return Err(ConnectionDenied::new(NotObliging));
            }
            self.favours.insert(id);
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let standing = link_key(&peer).map(|key| self.standing(key, id));
        self.handler(&peer, standing)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id, connection_id: id, endpoint, ..
        }) = event
        {
            self.on_connected(peer_id, id, endpoint);
        } else if let FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) = event
            && let Some(key) = link_key(&peer_id)
        {
            self.on_closed(key, connection_id);
        } else if let FromSwarm::DialFailure(DialFailure { connection_id, .. }) = event {
            self.own_dials.remove(&connection_id);
            self.favours.remove(&connection_id);
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
