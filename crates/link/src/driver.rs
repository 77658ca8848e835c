//! The one task that owns the swarm: takes commands, binds listeners, reports failed dials.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Swarm, ping};
use mainframe_base::{LinkKey, Locator, Transport};
use mainframe_core::switchboard::{DownReason, LinkEvent};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::LinkError;
use crate::locators::{Medium, link_key, locator, peer_id};
use crate::swarm::{Event, Whole};

/// How long a stopping link takes to say goodbye (guess: a few round trips).
const FAREWELL: Duration = Duration::from_millis(500);

/// What the node asks of the driver. There is one per decision of our own relay half, so nothing a peer does can pile
/// them up.
#[derive(Debug)]
pub(crate) enum Command {
    Dial { peer: Option<LinkKey>, locators: Vec<Locator> },
    HangUp { peer: LinkKey },
    ShutDown,
}

/// Where the link listens.
pub(crate) type LocalLocators = Arc<RwLock<Vec<Locator>>>;

/// The swarm and what belongs to its dials and listeners.
pub(crate) struct Driver<E: From<LinkEvent> + Send + 'static> {
    swarm: Swarm<Whole<E>>,
    medium: Medium,
    locators: LocalLocators,
    dials: HashMap<ConnectionId, (Option<LinkKey>, Vec<Locator>)>,
}

impl<E: From<LinkEvent> + Send + 'static> Driver<E> {
    pub(crate) fn new(swarm: Swarm<Whole<E>>, medium: Medium, locators: LocalLocators) -> Driver<E> {
        Driver { swarm, medium, locators, dials: HashMap::new() }
    }

    /// Binds every listener, or says which could not be bound.
    pub(crate) async fn listen(&mut self, locators: &[Locator]) -> Result<(), LinkError> {
        let mut unbound: Vec<(ListenerId, Locator)> = Vec::new();
        for wish in locators {
            self.probe(*wish)?;
            let address = self.medium.multiaddr(*wish);
            let id = self.swarm.listen_on(address).map_err(|error| cannot_listen(*wish, &error))?;
            unbound.push((id, *wish));
        }
        while !unbound.is_empty() {
            let event = self.swarm.select_next_some().await;
            if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
                unbound.retain(|(id, _)| id != listener_id);
            }
            if let SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } = &event
                && let Some((_, wish)) = unbound.iter().find(|(id, _)| id == listener_id)
            {
                return Err(cannot_listen(*wish, error));
            }
            self.on_event(event);
        }
        Ok(())
    }

    /// libp2p lets two programs of one user share a TCP port, and connections would reach either; and it hides what the
    /// system says of a UDP port. So we look first.
    fn probe(&self, wish: Locator) -> Result<(), LinkError> {
        if self.medium == Medium::Memory || wish.port == 0 {
            return Ok(());
        }
        let address = SocketAddr::new(wish.ip, wish.port);
        let bound = match wish.transport {
            Transport::Tcp => TcpListener::bind(address).map(drop),
            Transport::Quic => UdpSocket::bind(address).map(drop),
        };
        bound.map_err(|error| {
            let taken = error.kind() == io::ErrorKind::AddrInUse;
            if taken { LinkError::PortTaken { locator: wish } } else { cannot_listen(wish, &error) }
        })
    }

    /// Runs until told to stop, or until nobody is left to tell.
    pub(crate) async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Dial { peer, locators }) => self.dial(peer, locators),
                    Some(Command::HangUp { peer }) => {
                        self.swarm.behaviour_mut().frames.hang_up(peer, DownReason::HungUp);
                    }
                    Some(Command::ShutDown) | None => break,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        self.leave().await;
    }

    /// Closes every connection in order, so that the others need not wait for a time-out.
    async fn leave(mut self) {
        for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let empty = async {
            while self.swarm.network_info().connection_counters().num_established() > 0 {
                let event = self.swarm.select_next_some().await;
                self.on_event(event);
            }
        };
        let _ = tokio::time::timeout(FAREWELL, empty).await;
    }

    /// With a known key one dial tries all locators; without, each locator may be another node.
    fn dial(&mut self, peer: Option<LinkKey>, locators: Vec<Locator>) {
        let Some(key) = peer else {
            for locator in locators {
                let address = self.medium.multiaddr(locator);
                let options = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
                self.start_dial(options, None, vec![locator]);
            }
            return;
        };
        if self.swarm.behaviour().frames.knows(key) {
            return;
        }
        let Some(id) = peer_id(key) else {
            return self.report_failed(peer, &locators, "its key is not a point of ed25519");
        };
        let addresses = locators.iter().map(|locator| self.medium.multiaddr(*locator)).collect();
        let options = DialOpts::peer_id(id)
            .addresses(addresses)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .allocate_new_port() // a reused port would make two dials that cross into one broken connection
            .build();
        self.start_dial(options, peer, locators);
    }

    fn start_dial(&mut self, options: DialOpts, peer: Option<LinkKey>, locators: Vec<Locator>) {
        let id = options.connection_id();
        self.dials.insert(id, (peer, locators));
        if let Err(error) = self.swarm.dial(options) {
            self.on_dial_error(id, &error);
        }
    }

    fn on_dial_error(&mut self, id: ConnectionId, error: &DialError) {
        let Some((peer, locators)) = self.dials.remove(&id) else { return };
        match error {
            DialError::DialPeerConditionFalse(_) => {} // the dial under way will be reported
            DialError::Transport(errors) => {
                for (address, error) in errors {
                    let tried = locator(address).map_or_else(|| locators.clone(), |locator| vec![locator]);
                    self.report_failed(peer, &tried, &reason_of(error));
                }
            }
            // libp2p passes over our own listeners, and finds nothing left to dial
            DialError::LocalPeerId { .. } | DialError::NoAddresses => {
                self.report_failed(peer, &locators, "that is this node itself")
            }
            DialError::WrongPeerId { .. } => self.report_failed(peer, &locators, "another node answers there"),
            DialError::Denied { cause } => self.report_failed(peer, &locators, &reason_of(cause)),
            DialError::Aborted => self.report_failed(peer, &locators, "given up"),
        }
    }

    fn report_failed(&mut self, peer: Option<LinkKey>, locators: &[Locator], why: &str) {
        for locator in locators {
            let event = LinkEvent::DialFailed { peer, locator: *locator, why: why.to_owned() };
            self.swarm.behaviour_mut().frames.report(event);
        }
    }

    fn on_event(&mut self, event: SwarmEvent<Event>) {
        if let SwarmEvent::NewListenAddr { address, .. } = &event
            && let Some(locator) = locator(address)
        {
            self.locators.write().expect("no holder of this lock can panic").push(locator);
            self.swarm.behaviour_mut().frames.report(LinkEvent::Listening(locator));
        } else if let SwarmEvent::ExpiredListenAddr { address, .. } = &event {
            let gone = locator(address);
            self.locators.write().expect("no holder of this lock can panic").retain(|kept| Some(*kept) != gone);
        } else if let SwarmEvent::ConnectionEstablished { connection_id, .. } = &event {
            self.dials.remove(connection_id);
        } else if let SwarmEvent::OutgoingConnectionError { connection_id, error, .. } = &event {
            self.on_dial_error(*connection_id, error);
        } else if let SwarmEvent::Behaviour(Event::Ping(ping)) = &event {
            self.on_ping(ping);
        }
        tracing::trace!(?event, "link");
    }

    /// A peer that leaves a ping unanswered is gone; one that does not speak ping is left to the relay half's patience.
    fn on_ping(&mut self, ping: &ping::Event) {
        if let Err(ping::Failure::Timeout | ping::Failure::Other { .. }) = &ping.result
            && let Some(key) = link_key(&ping.peer)
        {
            self.swarm.behaviour_mut().frames.lose(key, ping.connection);
        }
    }
}

fn cannot_listen(locator: Locator, error: &(dyn Error + 'static)) -> LinkError {
    LinkError::CannotListen { locator, why: reason_of(error) }
}

/// The innermost cause, which is what the system said.
fn reason_of(error: &(dyn Error + 'static)) -> String {
    inner(error).map_or_else(|| error.to_string(), reason_of)
}

/// What an error wraps. An `io::Error` that wraps another hides it from `source`.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
