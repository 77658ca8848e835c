//! Transports, identify, ping, limits and what finds ways to us put together. What an observer can see of them: docs/protocol/link.md §7.

use std::num::NonZeroU32;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, ListenerId, MemoryTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::NewListenAddr;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{FromSwarm, NetworkBehaviour};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport, autonat, dcutr, identify, mdns, noise, ping, quic, relay, swarm, tcp,
};
use mainframe_core::switchboard::LinkEvent;

use crate::behaviour::Behaviour;
use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::fresh_port::FreshPort;
use crate::locators::Medium;
use crate::multiplexer::{Multiplexer, STREAM_WINDOW_BYTES, STREAMS_MAX};
use crate::questioner::Questioner;
use crate::quiet::Quiet;

/// What identify says we speak; a node of another protocol can tell without trying.
const PROTOCOL_VERSION: &str = "mainframe/1";
/// What identify says we are.
const AGENT: &str = concat!("mainframe/", env!("CARGO_PKG_VERSION"));
/// How often identify asks again: what it says hardly changes (guess).
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3_600);
/// Time for a TCP connection with its handshakes, or for QUIC's. A node asked to dial somebody back must have failed
/// before AutoNAT gives the question up, which it does after 10 s; three seconds for the question and the answer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(7);
/// Bytes in flight on a QUIC stream: as on any other.
const QUIC_STREAM_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES as u32;
/// Bytes in flight on a QUIC connection: the stream, and room for ping and identify beside it.
const QUIC_CONNECTION_WINDOW_BYTES: u32 = QUIC_STREAM_WINDOW_BYTES + (1 << 18);

/// Nodes that may be reached through us at once (guess: a tenth of all relays are such, and each has two).
const RESERVATIONS_MAX: usize = 32;
/// A reservation stands as long as the connection it came over, which the relay half ends when it likes: one that ran
/// out while it is being renewed would be a case of its own. Ten years are for ever.
const RESERVATION_DURATION: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Circuits through us at once (guess: half of those who may be reached are just being dialled).
const CIRCUITS_MAX: usize = 16;
/// Circuits of one node: to two others, and back.
const CIRCUITS_PER_PEER_MAX: usize = 4;
/// How long a circuit lasts: long enough to punch a hole three times, and for a few words (libp2p's own default).
const CIRCUIT_DURATION: Duration = Duration::from_secs(120);
/// Bytes a circuit carries, both ways together: `Hello`s, an exchange of records and some 200 small cells (guess). Whoever
/// needs more needs a way of his own.
const CIRCUIT_BYTES_MAX: u64 = 512 << 10;
/// Circuits one node may ask for in two minutes, and reservations: three tries at each of a dozen nodes (guess).
const CIRCUITS_PER_TWO_MINUTES: NonZeroU32 = NonZeroU32::new(36).expect("more than none");
/// How often the local network is asked who is there; each answer delays the next question (libp2p's own default: 5 min).
const LAN_INTERVAL: Duration = Duration::from_secs(300);

/// Everything one connection speaks. What refuses connections comes first, so that the others never hear of those.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(crate) struct Whole<E: From<LinkEvent> + Send + 'static> {
    limits: connection_limits::Behaviour,
    pub(crate) frames: Behaviour<E>,
    identify: Quiet<identify::Behaviour>,
    ping: ping::Behaviour,
    pub(crate) questioner: Toggle<Questioner>,
    dial_back: Toggle<autonat::v2::server::Behaviour>,
    #[cfg(feature = "upnp")]
    upnp: Toggle<Quiet<libp2p::upnp::tokio::Behaviour>>,
    lan: Toggle<Quiet<mdns::tokio::Behaviour>>,
    pub(crate) relay: Toggle<relay::Behaviour>,
    circuits: Toggle<relay::client::Behaviour>,
    punch: Toggle<dcutr::Behaviour>,
}

impl<E: From<LinkEvent> + Send + 'static> Whole<E> {
    /// Of those found on the local network, remembers none if there are more than `nodes_max`.
    pub(crate) fn forget_crowds(&mut self, us: PeerId, listeners: Vec<Multiaddr>, nodes_max: usize) {
        let crowded = self.lan.as_ref().is_some_and(|voice| voice.0.discovered_nodes().len() > nodes_max);
        if !crowded {
            return;
        }
        self.lan = voice(us).ok().into();
        let listener_id = ListenerId::next(); // mDNS asks for none
        for addr in &listeners {
            self.lan.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr }));
        }
    }
}

/// What the driver hears of the parts that are not ours.
#[derive(Debug)]
pub(crate) enum Event {
    Identify(Box<identify::Event>),
    Ping(ping::Event),
    Answered(autonat::v2::client::Event),
    #[cfg(feature = "upnp")]
    Upnp(libp2p::upnp::Event),
    Lan(mdns::Event),
    /// What is only told, for the log.
    Told,
}

impl From<identify::Event> for Event {
    fn from(event: identify::Event) -> Self {
        Event::Identify(Box::new(event))
    }
}

impl From<ping::Event> for Event {
    fn from(event: ping::Event) -> Self {
        Event::Ping(event)
    }
}

impl From<autonat::v2::client::Event> for Event {
    fn from(event: autonat::v2::client::Event) -> Self {
        Event::Answered(event)
    }
}

#[cfg(feature = "upnp")]
impl From<libp2p::upnp::Event> for Event {
    fn from(event: libp2p::upnp::Event) -> Self {
        Event::Upnp(event)
    }
}

impl From<mdns::Event> for Event {
    fn from(event: mdns::Event) -> Self {
        Event::Lan(event)
    }
}

impl From<autonat::v2::server::Event> for Event {
    fn from(event: autonat::v2::server::Event) -> Self {
        tracing::debug!(?event, "dialled somebody back");
        Event::Told
    }
}

impl From<relay::Event> for Event {
    fn from(event: relay::Event) -> Self {
        tracing::debug!(?event, "relay");
        Event::Told
    }
}

impl From<relay::client::Event> for Event {
    fn from(event: relay::client::Event) -> Self {
        tracing::debug!(?event, "circuit");
        Event::Told
    }
}

impl From<dcutr::Event> for Event {
    fn from(event: dcutr::Event) -> Self {
        tracing::debug!(?event, "hole punching");
        Event::Told
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
    if config.upnp && !cfg!(feature = "upnp") {
        return Err(LinkError::NoUpnp);
    }
    let us = keys.public().to_peer_id();
    let circuits = config.circuits && config.autonat && medium == Medium::Network;
    let (through, circuits_client) = relay::client::new(us);
    let lan = (config.lan_discovery && medium == Medium::Network).then(|| voice(us));
    let relay = circuits.then(|| relay::Behaviour::new(us, relay_config()));
    let behaviour = Whole {
        limits: connection_limits::Behaviour::new(limits(config)),
        frames,
        identify: Quiet(identify::Behaviour::new(
            identify::Config::new(PROTOCOL_VERSION.to_owned(), keys.public())
                .with_agent_version(AGENT.to_owned())
                .with_interval(IDENTIFY_INTERVAL)
                .with_cache_size(0)
                .with_hide_listen_addrs(true), // where a node can be dialled is its record's to say
        )),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(config.ping_interval).with_timeout(config.patience),
        ),
        questioner: config.autonat.then(Questioner::default).into(),
        dial_back: config.autonat.then(autonat::v2::server::Behaviour::default).into(),
        #[cfg(feature = "upnp")]
        upnp: (config.upnp && medium == Medium::Network)
            .then(|| Quiet(libp2p::upnp::tokio::Behaviour::default()))
            .into(),
        lan: lan.transpose()?.into(),
        relay: relay.into(),
        circuits: circuits.then_some(circuits_client).into(),
        punch: circuits.then(|| dcutr::Behaviour::new(us)).into(),
    };
    let transport = if circuits { with_circuits(keys, through)? } else { transport(keys, medium)? };
    Ok(Swarm::new(transport, behaviour, us, swarm_config()))
}

/// A voice on the local network.
fn voice(us: PeerId) -> Result<Quiet<mdns::tokio::Behaviour>, LinkError> {
    let settings = mdns::Config { query_interval: LAN_INTERVAL, ..mdns::Config::default() };
    let voice = mdns::tokio::Behaviour::new(settings, us).map_err(|error| LinkError::Transport(error.to_string()))?;
    Ok(Quiet(voice))
}

/// What we do for nodes nobody can dial.
fn relay_config() -> relay::Config {
    let two_minutes = Duration::from_secs(120);
    let config = relay::Config {
        max_reservations: RESERVATIONS_MAX,
        max_reservations_per_peer: 1,
        reservation_duration: RESERVATION_DURATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: CIRCUITS_MAX,
        max_circuits_per_peer: CIRCUITS_PER_PEER_MAX,
        max_circuit_duration: CIRCUIT_DURATION,
        max_circuit_bytes: CIRCUIT_BYTES_MAX,
        circuit_src_rate_limiters: Vec::new(),
    };
    config
        .circuit_src_per_peer(CIRCUITS_PER_TWO_MINUTES, two_minutes)
        .reservation_rate_per_peer(CIRCUITS_PER_TWO_MINUTES, two_minutes)
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
        Medium::Network => sockets(keys, noise).boxed(),
    })
}

type Muxed = (PeerId, StreamMuxerBox);

/// TCP and QUIC.
fn sockets(
    keys: &Keypair,
    noise: noise::Config,
) -> impl Transport<Output = Muxed, Error: Send + Sync, ListenerUpgrade: Send, Dial: Send> + Send + Unpin + use<> {
    let tcp = FreshPort(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true)))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(Multiplexer)
        .timeout(HANDSHAKE_TIMEOUT);
    let quic = quic::tokio::Transport::new(quic_config(keys));
    tcp.or_transport(quic).map(|either, _| match either {
        futures::future::Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
        futures::future::Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
    })
}

/// TCP, QUIC and circuits through relays, which carry a handshake of their own: the relay reads nothing.
fn with_circuits(keys: &Keypair, through: relay::client::Transport) -> Result<Boxed<Muxed>, LinkError> {
    let noise = noise::Config::new(keys).map_err(|error| LinkError::Transport(error.to_string()))?;
    let through = through
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(Multiplexer)
        .timeout(HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(through.or_transport(sockets(keys, noise)).map(|either, _| either.into_inner()).boxed())
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
