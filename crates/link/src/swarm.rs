//! Transports, identify, ping and limits put together. What an observer can see of them: docs/protocol/link.md §7.

use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, MemoryTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, Swarm, Transport, identify, noise, ping, quic, swarm, tcp};
use mainframe_core::switchboard::LinkEvent;

use crate::behaviour::Behaviour;
use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::locators::Medium;
use crate::multiplexer::{Multiplexer, STREAM_WINDOW_BYTES, STREAMS_MAX};

/// What identify says we speak; a node of another protocol can tell without trying.
const PROTOCOL_VERSION: &str = "mainframe/1";
/// What identify says we are.
const AGENT: &str = concat!("mainframe/", env!("CARGO_PKG_VERSION"));
/// How often identify asks again: what it says hardly changes (guess).
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3_600);
/// Time for a TCP connection with its handshakes, or for QUIC's (libp2p's own defaults: 10 s and 5 s).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes in flight on a QUIC stream: as on any other.
const QUIC_STREAM_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES as u32;
/// Bytes in flight on a QUIC connection: the stream, and room for ping and identify beside it.
const QUIC_CONNECTION_WINDOW_BYTES: u32 = QUIC_STREAM_WINDOW_BYTES + (1 << 18);

/// Everything one connection speaks.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(crate) struct Whole<E: From<LinkEvent> + Send + 'static> {
    limits: connection_limits::Behaviour,
    pub(crate) frames: Behaviour<E>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// What the driver hears of the parts that are not ours.
#[derive(Debug)]
pub(crate) enum Event {
    /// Read by nobody yet: the relay half learns of peers from their records.
    Identify,
    Ping(ping::Event),
}

impl From<identify::Event> for Event {
    fn from(_: identify::Event) -> Self {
        Event::Identify
    }
}

impl From<ping::Event> for Event {
    fn from(event: ping::Event) -> Self {
        Event::Ping(event)
    }
}

impl From<std::convert::Infallible> for Event {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// Builds the swarm of one link.
pub(crate) fn build<E: From<LinkEvent> + Send + 'static>(
    config: &LinkConfig,
    keys: &Keypair,
    medium: Medium,
    frames: Behaviour<E>,
) -> Result<Swarm<Whole<E>>, LinkError> {
    let behaviour = Whole {
        limits: connection_limits::Behaviour::new(limits(config)),
        frames,
        identify: identify::Behaviour::new(
            identify::Config::new(PROTOCOL_VERSION.to_owned(), keys.public())
                .with_agent_version(AGENT.to_owned())
                .with_interval(IDENTIFY_INTERVAL)
                .with_cache_size(0)
                .with_hide_listen_addrs(true), // where a node can be dialled is its record's to say
        ),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(config.ping_interval).with_timeout(config.patience),
        ),
    };
    Ok(Swarm::new(transport(keys, medium)?, behaviour, keys.public().to_peer_id(), swarm_config()))
}

/// How streams are negotiated: without waiting for the answer.
pub(crate) fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor().with_substream_upgrade_protocol_override(Version::V1Lazy)
}

fn limits(config: &LinkConfig) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.connections_pending_max))
        .with_max_pending_outgoing(Some(config.connections_pending_max))
        .with_max_established_incoming(Some(config.connections_in_max))
        .with_max_established_outgoing(Some(config.connections_out_max))
        .with_max_established_per_peer(Some(config.connections_per_peer_max))
}

/// The transports of a medium, each proving the other end's key.
pub(crate) fn transport(keys: &Keypair, medium: Medium) -> Result<Boxed<(PeerId, StreamMuxerBox)>, LinkError> {
    let noise = noise::Config::new(keys).map_err(|error| LinkError::Transport(error.to_string()))?;
    Ok(match medium {
        Medium::Memory => MemoryTransport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(Multiplexer)
            .timeout(HANDSHAKE_TIMEOUT)
            .boxed(),
        Medium::Network => {
            let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
                .upgrade(Version::V1Lazy)
                .authenticate(noise)
                .multiplex(Multiplexer)
                .timeout(HANDSHAKE_TIMEOUT);
            let quic = quic::tokio::Transport::new(quic_config(keys));
            tcp.or_transport(quic)
                .map(|either, _| match either {
                    futures::future::Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
                    futures::future::Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
                })
                .boxed()
        }
    })
}

fn quic_config(keys: &Keypair) -> quic::Config {
    let mut config = quic::Config::new(keys);
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.keep_alive_interval = Duration::from_secs(15); // under the 30 s after which routers forget UDP flows
    config.max_idle_timeout = 50_000; // three lost keep-alives, in milliseconds
    config.max_concurrent_stream_limit = STREAMS_MAX as u32;
    config.max_stream_data = QUIC_STREAM_WINDOW_BYTES;
    config.max_connection_data = QUIC_CONNECTION_WINDOW_BYTES;
    config
}
