//! A swarm that does nothing but open one stream on each connection it dials, and hand streams over.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, SwarmEvent, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm};
use mainframe_base::Locator;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::Role;
use crate::error::LinkError;
use crate::locators::{Medium, locator};
use crate::swarm::{swarm_config, transport};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/mainframe/baseline/1");

/// A second is many round trips on any path (guess).
const LINGER: Duration = Duration::from_secs(1);

type Protocol = ReadyUpgrade<StreamProtocol>;
type Never = std::convert::Infallible;

/// The streams of one swarm, which runs as long as this does.
pub(super) struct Streams {
    streams: UnboundedReceiver<Stream>,
    locator: Option<Locator>,
    swarm: JoinHandle<()>,
}

fn address(at: Locator) -> Result<Multiaddr, LinkError> {
    let through_nobody = || LinkError::Transport(format!("{at} leads through a relay"));
    Medium::Network.multiaddr(at).ok_or_else(through_nobody)
}

impl Streams {
    /// Dials, and opens one stream.
    pub(super) fn dial(next: Locator, role: Role) -> Result<Streams, LinkError> {
        let (mut swarm, streams) = build(role)?;
        let options = DialOpts::unknown_peer_id().address(address(next)?).build();
        swarm.dial(options).map_err(|error| LinkError::Transport(error.to_string()))?;
        Ok(Streams { streams, locator: None, swarm: tokio::spawn(run(swarm)) })
    }

    /// Listens, and takes streams that others open.
    pub(super) async fn listen(at: Locator, role: Role) -> Result<Streams, LinkError> {
        let (mut swarm, streams) = build(role)?;
        let cannot = |why| LinkError::CannotListen { locator: at, why };
        swarm.listen_on(address(at)?).map_err(|error| cannot(error.to_string()))?;
        let bound = loop {
            let event = swarm.select_next_some().await;
            if let SwarmEvent::NewListenAddr { address, .. } = event {
                break locator(&address);
            }
            if let SwarmEvent::ListenerClosed { reason, .. } = event {
                return Err(cannot(format!("{reason:?}")));
            }
        };
        Ok(Streams { streams, locator: bound, swarm: tokio::spawn(run(swarm)) })
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it does not.
    pub(super) fn locator(&self) -> Locator {
        self.locator.expect("it listens")
    }

    /// Runs on until the other side has gone, so that our last bytes reach it; for a second at most.
    pub(super) async fn linger(mut self) {
        let _ = tokio::time::timeout(LINGER, &mut self.swarm).await;
    }

    /// The next stream; none if the dial failed.
    pub(super) async fn next(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

fn build(role: Role) -> Result<(Swarm<Behaviour>, UnboundedReceiver<Stream>), LinkError> {
    let keys = keys(role);
    let (streams, receiver) = unbounded_channel();
    let peer = keys.public().to_peer_id();
    let swarm = Swarm::new(transport(&keys, Medium::Network)?, Behaviour { streams }, peer, swarm_config());
    Ok((swarm, receiver))
}

fn keys(role: Role) -> Keypair {
    Keypair::ed25519_from_bytes([role as u8; 32]).expect("any 32 bytes are an ed25519 secret")
}

async fn run(mut swarm: Swarm<Behaviour>) {
    loop {
        let event = swarm.select_next_some().await;
        if let SwarmEvent::OutgoingConnectionError { .. } | SwarmEvent::ConnectionClosed { .. } = event {
            return;
        }
    }
}

struct Behaviour {
    streams: UnboundedSender<Stream>,
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Never;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler { streams: self.streams.clone(), wanted: false })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler { streams: self.streams.clone(), wanted: true })
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

struct Handler {
    streams: UnboundedSender<Stream>,
    wanted: bool,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Never;
    type ToBehaviour = Never;
    type InboundProtocol = Protocol;
    type OutboundProtocol = Protocol;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Protocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, event: Never) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocol, Protocol>) {
        if let ConnectionEvent::FullyNegotiatedInbound(negotiated) = event {
            let _ = self.streams.send(negotiated.protocol);
        } else if let ConnectionEvent::FullyNegotiatedOutbound(negotiated) = event {
            let _ = self.streams.send(negotiated.protocol);
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocol, (), Never>> {
        if std::mem::take(&mut self.wanted) {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol: self.listen_protocol() });
        }
        Poll::Pending
    }
}
