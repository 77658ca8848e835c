//! Asks peers to dial our addresses, again and again: AutoNAT 2's client, which asks about each address once.
//!
//! Its answers hold for ever, but networks change. So it is replaced from time to time by a new one, which knows the
//! connections made since. What happens on older ones is not for it, and is dropped.

use std::collections::BTreeSet;
use std::task::{Context, Poll};

use libp2p::autonat::v2::client;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// The client of this round, and the connections it knows.
#[derive(Default)]
pub(crate) struct Questioner {
    client: client::Behaviour,
    known: BTreeSet<ConnectionId>,
}

impl Questioner {
    /// Forgets every answer.
    pub(crate) fn begin_anew(&mut self) {
        *self = Questioner::default();
    }
}

impl NetworkBehaviour for Questioner {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(id, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, .. }) = &event {
            self.known.insert(*connection_id);
        } else if let FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) = &event
            && !self.known.remove(connection_id)
        {
            return;
        }
        self.client.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        if self.known.contains(&id) {
            self.client.on_connection_handler_event(peer, id, event);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.client.poll(context)
    }
}
