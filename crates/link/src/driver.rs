//! The one task that owns the swarm: takes commands, binds listeners, dials, and hands on what happens.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, Swarm, ping};
use mainframe_base::{LinkKey, Locator, Transport};
use mainframe_core::switchboard::{DownReason, LinkEvent};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::dials::{Attempt, Dials};
use crate::error::LinkError;
use crate::locators::{Medium, link_key, locator, peer_id};
use crate::reach::Reachability;
use crate::shelter::Shelter;
use crate::swarm::{Event, Whole};

/// How long a stopping link takes to say goodbye (guess: a few round trips).
const FAREWELL: Duration = Duration::from_millis(500);
/// Between two rounds of asking others to dial us: routers' settings hardly change, and a round costs some 100 kB (guess).
const ROUND: Duration = Duration::from_secs(900);

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
    pub(crate) swarm: Swarm<Whole<E>>,
    medium: Medium,
    pub(crate) locators: LocalLocators,
    dials: Dials,
    pub(crate) reach: Reachability,
    pub(crate) shelter: Shelter,
    rounds: Interval,
}

impl<E: From<LinkEvent> + Send + 'static> Driver<E> {
    pub(crate) fn new(swarm: Swarm<Whole<E>>, medium: Medium, locators: LocalLocators) -> Driver<E> {
        let (dials, reach, shelter) = (Dials::default(), Reachability::default(), Shelter::default());
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay); // a machine that slept asks once
        Driver { swarm, medium, locators, dials, reach, shelter, rounds }
    }

    /// Binds every listener, or says which could not be bound.
    pub(crate) async fn listen(&mut self, locators: &[Locator]) -> Result<(), LinkError> {
        let mut unbound: Vec<(ListenerId, Locator)> = Vec::new();
        for wish in locators {
            self.probe(*wish)?;
            let address = self.medium.multiaddr(*wish).filter(|_| wish.is_direct());
            let address = address.ok_or_else(|| cannot_listen(*wish, &NotHere))?;
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
                _ = self.rounds.tick() => self.ask_again(),
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
        match peer {
            Some(key) if self.swarm.behaviour().frames.knows(key) => {}
            Some(key) => self.start_dial(Attempt::known(key, locators)),
            None => locators.into_iter().for_each(|locator| self.start_dial(Attempt::unknown(locator))),
        }
    }

    /// Dials what the attempt has come to.
    fn start_dial(&mut self, mut attempt: Attempt) {
        let options = match self.dial_options(&attempt) {
            Ok(options) => options,
            Err(why) => {
                let all = std::mem::take(&mut attempt.locators);
                attempt.fail(&all, why);
                return self.give_up(attempt);
            }
        };
        let id = options.connection_id();
        self.dials.begin(id, attempt);
        self.swarm.behaviour_mut().frames.dialling(id);
        if let Err(error) = self.swarm.dial(options) {
            self.on_dial_error(id, &error);
        }
    }

    fn dial_options(&self, attempt: &Attempt) -> Result<DialOpts, &'static str> {
        let addresses = attempt.locators.iter().filter_map(|locator| self.medium.multiaddr(*locator));
        let mut addresses: Vec<_> = addresses.collect();
        if let Some(key) = attempt.peer {
            let id = peer_id(key).ok_or("its key is not a point of ed25519")?;
            let condition = PeerCondition::DisconnectedAndNotDialing;
            return Ok(DialOpts::peer_id(id).addresses(addresses).condition(condition).build());
        }
        let direct = attempt.locators.iter().all(Locator::is_direct);
        let address = addresses.pop().filter(|_| direct).ok_or("a relay is to be told whom to reach")?;
        Ok(DialOpts::unknown_peer_id().address(address).build())
    }

    fn on_dial_error(&mut self, id: ConnectionId, error: &DialError) {
        let Some(mut attempt) = self.dials.end(id) else { return };
        let all = std::mem::take(&mut attempt.locators);
        match error {
            DialError::DialPeerConditionFalse(_) => return, // the dial under way will be reported
            DialError::Transport(errors) => {
                for (address, error) in errors {
                    let tried = locator(address).map_or_else(|| all.clone(), |locator| vec![locator]);
                    attempt.fail(&tried, &reason_of(error));
                }
            }
            // libp2p passes over our own listeners, and finds nothing left to dial
            DialError::LocalPeerId { .. } | DialError::NoAddresses => attempt.fail(&all, "that is this node itself"),
            DialError::WrongPeerId { .. } => attempt.fail(&all, "another node answers there"),
            DialError::Denied { cause } => attempt.fail(&all, &reason_of(cause)),
            DialError::Aborted => attempt.fail(&all, "given up"),
        }
        if attempt.through.is_empty() { self.give_up(attempt) } else { self.start_dial(attempt.further()) }
    }

    fn give_up(&mut self, attempt: Attempt) {
        for (locator, why) in attempt.failed {
            self.report(LinkEvent::DialFailed { peer: attempt.peer, locator, why });
        }
    }

    /// The multiaddr of a locator.
    pub(crate) fn address(&self, place: Locator) -> Option<Multiaddr> {
        self.medium.multiaddr(place)
    }

    pub(crate) fn report(&mut self, event: LinkEvent) {
        self.swarm.behaviour_mut().frames.report(event);
    }

    fn on_event(&mut self, event: SwarmEvent<Event>) {
        tracing::trace!(?event, "link");
        if let SwarmEvent::NewListenAddr { listener_id, address } = &event {
            self.on_listening(*listener_id, address);
        } else if let SwarmEvent::ExpiredListenAddr { address, .. } = &event {
            self.on_expired(address);
        } else if let SwarmEvent::ListenerClosed { listener_id, addresses, .. } = &event {
            addresses.iter().for_each(|address| self.on_expired(address));
            self.on_place_lost(*listener_id);
        } else if let SwarmEvent::ConnectionEstablished { connection_id, .. } = &event {
            self.dials.end(*connection_id);
        } else if let SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } = &event {
            self.on_connection_closed(peer_id, *connection_id, *num_established);
        } else if let SwarmEvent::OutgoingConnectionError { connection_id, error, .. } = &event {
            self.on_dial_error(*connection_id, error);
        } else if let SwarmEvent::Behaviour(event) = event {
            self.on_part(event);
        }
    }

    /// One of libp2p's parts has something to say.
    fn on_part(&mut self, event: Event) {
        match event {
            Event::Identify(event) => self.on_identified(*event),
            Event::Ping(event) => self.on_ping(&event),
            Event::Answered(event) => self.on_answered(&event),
            #[cfg(feature = "upnp")]
            Event::Upnp(event) => self.on_mapped(&event),
            Event::Lan(event) => self.on_lan(event),
            Event::Told => {}
        }
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

/// A listener behind somebody else's address.
#[derive(Debug, thiserror::Error)]
#[error("a relay is found by the link itself, not by configuration")]
struct NotHere;

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
