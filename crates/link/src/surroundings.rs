//! What the driver learns of the network around it: our own addresses, routers, neighbours on the cable, relays.
//!
//! What follows from it is decided in `reach` and `shelter`; here it is carried there and back (docs/protocol/link.md
//! §8 to §10).

use libp2p::core::transport::ListenerId;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, autonat, identify, mdns, relay};
use mainframe_base::{LinkKey, Locator, Transport};
use mainframe_core::switchboard::LinkEvent;

use crate::driver::Driver;
use crate::locators::{link_key, locator};

/// Nodes of the local network remembered at once; beyond it the voice there is changed for one that remembers nothing
/// (guess: no office has more, and whoever shouts more is not meant well).
const LAN_NODES_MAX: usize = 256;

impl<E: From<LinkEvent> + Send + 'static> Driver<E> {
    /// A listener is bound, or a relay has a place for us. It may tell several addresses of itself; one leads to us as well
    /// as all of them.
    pub(crate) fn on_listening(&mut self, id: ListenerId, address: &Multiaddr) {
        let Some(locator) = locator(address) else { return };
        let relay = self.shelter.relay_of(id);
        let known = relay.is_some_and(|relay| self.local().iter().any(|known| known.via == Some(relay)));
        if locator.via != relay || known {
            return;
        }
        self.locators.write().expect("no holder of this lock can panic").push(locator);
        self.report(LinkEvent::Listening(locator));
    }

    /// This machine has lost an address, or we our place with a relay.
    pub(crate) fn on_expired(&mut self, address: &Multiaddr) {
        let Some(gone) = locator(address).filter(|gone| self.local().contains(gone)) else { return };
        self.locators.write().expect("no holder of this lock can panic").retain(|kept| *kept != gone);
        self.report(LinkEvent::Expired(gone));
        if gone.is_direct() {
            let events = self.reach.moved();
            self.tell(events);
            self.ask_again();
        }
    }

    pub(crate) fn on_connection_closed(&mut self, peer: &PeerId, id: ConnectionId, left: u32) {
        self.reach.closed(id);
        if let Some(key) = link_key(peer).filter(|_| left == 0) {
            self.shelter.withdrawn(key);
        }
    }

    /// A peer tells how it sees us, and what it does for others.
    pub(crate) fn on_identified(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else { return };
        let Some(key) = link_key(&peer_id) else { return };
        let Some(connection) = self.swarm.behaviour().frames.connection(key, connection_id) else { return };
        let (outbound, remote) = (connection.outbound, connection.remote);
        if !remote.is_direct() {
            return;
        }
        let ours = self.ours(&info.observed_addr, outbound);
        for place in ours {
            if self.reach.seen(place, connection_id) {
                self.propose(place);
            }
        }
        if info.protocols.contains(&relay::HOP_PROTOCOL_NAME) {
            self.on_offer(key, peer_id, remote);
        } else {
            self.shelter.withdrawn(key);
        }
    }

    /// By which addresses others might reach us, after a peer has seen us at one. Whoever dialled us has used one of them.
    /// What we dialled ourselves tells our router's address; the port is that of a listener if we dialled from it, which
    /// we do over QUIC only, and many routers keep the others'.
    fn ours(&self, seen: &Multiaddr, outbound: bool) -> Vec<Locator> {
        let Some(seen) = locator(seen).filter(Locator::is_direct) else { return Vec::new() };
        if !outbound {
            return vec![seen];
        }
        let listeners = self.local();
        let alike = |at: &&Locator| at.is_direct() && at.ip.is_ipv4() == seen.ip.is_ipv4();
        let guesses = listeners.iter().filter(alike).map(|at| Locator { ip: seen.ip, ..*at });
        let mut places: Vec<_> = guesses.chain((seen.transport == Transport::Quic).then_some(seen)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Others are to be asked whether they can reach us there.
    fn propose(&mut self, place: Locator) {
        if let Some(address) = self.address(place) {
            self.swarm.behaviour_mut().frames.propose(address);
        }
    }

    /// Another round of questions to the peers, who may have changed, as may the routers in between.
    pub(crate) fn ask_again(&mut self) {
        let Some(questioner) = self.swarm.behaviour_mut().questioner.as_mut() else { return };
        questioner.begin_anew();
        for place in self.reach.another_round() {
            self.propose(place);
        }
    }

    /// Somebody has tried to dial us.
    pub(crate) fn on_answered(&mut self, event: &autonat::v2::client::Event) {
        let Some(place) = locator(&event.tested_addr) else { return };
        let events = if event.result.is_ok() { self.reach.good(place) } else { self.reach.bad(place) };
        self.tell(events);
    }

    /// Our router lets others in, or does not any more.
    #[cfg(feature = "upnp")]
    pub(crate) fn on_mapped(&mut self, event: &libp2p::upnp::Event) {
        use libp2p::upnp;
        if let upnp::Event::NewExternalAddr { external_addr, .. } = event
            && let Some(place) = locator(external_addr)
        {
            if self.reach.mapped(place) {
                self.propose(place);
            }
        } else if let upnp::Event::ExpiredExternalAddr { external_addr, .. } = event
            && let Some(place) = locator(external_addr)
        {
            let events = self.reach.unmapped(place);
            self.tell(events);
        }
    }

    /// Somebody on the local network says where he listens.
    pub(crate) fn on_lan(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        for (peer, address) in found.into_iter().take(LAN_NODES_MAX) {
            let known = link_key(&peer).is_none_or(|key| self.swarm.behaviour().frames.knows(key));
            if let Some(place) = locator(&address).filter(|place| place.is_direct() && !known) {
                self.report(LinkEvent::Found(place));
            }
        }
        let (us, listeners) = (*self.swarm.local_peer_id(), self.swarm.listeners().cloned().collect());
        self.swarm.behaviour_mut().forget_crowds(us, listeners, LAN_NODES_MAX);
    }

    fn on_offer(&mut self, key: LinkKey, peer: PeerId, place: Locator) {
        if let Some(address) = self.address(place) {
            self.shelter.offered(key, peer, address);
            self.take_shelter();
        }
    }

    /// Asks relays for a place until there are enough.
    fn take_shelter(&mut self) {
        while let Some((key, address)) = self.shelter.next() {
            match self.swarm.listen_on(address) {
                Ok(id) => self.shelter.asked(id, key),
                Err(_) => self.shelter.withdrawn(key),
            }
        }
    }

    /// A listener has closed; if it was a place with a relay, another is asked.
    pub(crate) fn on_place_lost(&mut self, id: ListenerId) {
        self.shelter.lost(id);
        self.take_shelter();
    }

    /// Tells the node, and relays or takes shelter, whichever others need of us or we of them.
    fn tell(&mut self, events: Vec<LinkEvent>) {
        for event in events {
            self.heed(&event);
            // An address of this machine is named as long as the machine has it.
            let own = matches!(&event, LinkEvent::Expired(place) if self.local().contains(place));
            if !own {
                self.report(event);
            }
        }
        let verdict = self.reach.verdict();
        let status = if verdict == Some(true) { relay::Status::Enable } else { relay::Status::Disable };
        let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() else { return };
        relay.set_status(Some(status));
        for id in self.shelter.want(verdict == Some(false)) {
            self.swarm.remove_listener(id);
        }
        self.take_shelter();
    }

    /// A relay tells those who take shelter where it can be dialled itself: where somebody has.
    fn heed(&mut self, event: &LinkEvent) {
        if let LinkEvent::Expired(place) = event
            && let Some(address) = self.address(*place)
        {
            self.swarm.remove_external_address(&address);
        }
    }

    fn local(&self) -> Vec<Locator> {
        self.locators.read().expect("no holder of this lock can panic").clone()
    }
}
