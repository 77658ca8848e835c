//! Relays behind which a node that nobody can dial may be reached: who would have us, and who has (docs/protocol/link.md
//! §10).

use std::collections::BTreeMap;

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use mainframe_base::LinkKey;

/// Relays we keep a place with: when one goes, the other still leads to us (guess). Each has a slot of its four for us.
const RELAYS_MAX: usize = 2;

/// What is known of relays for circuits.
#[derive(Default, Debug)]
pub(crate) struct Shelter {
    wanted: bool,
    /// Neighbours that relay, and where; no more than there are neighbours.
    offers: BTreeMap<LinkKey, (PeerId, Multiaddr)>,
    held: Vec<(ListenerId, LinkKey)>,
}

impl Shelter {
    /// Whether we need relays. The places to give up, if not.
    pub(crate) fn want(&mut self, wanted: bool) -> Vec<ListenerId> {
        self.wanted = wanted;
        if wanted { Vec::new() } else { self.held.drain(..).map(|(id, _)| id).collect() }
    }

    /// A neighbour we are connected to at `address` relays for others.
    pub(crate) fn offered(&mut self, key: LinkKey, peer: PeerId, address: Multiaddr) {
        self.offers.insert(key, (peer, address));
    }

    /// It does no longer, or is gone, or had no place for us.
    pub(crate) fn withdrawn(&mut self, key: LinkKey) {
        self.offers.remove(&key);
    }

    /// Whom to ask for a place now: at what address to listen.
    pub(crate) fn next(&self) -> Option<(LinkKey, Multiaddr)> {
        if !self.wanted || self.held.len() >= RELAYS_MAX {
            return None;
        }
        let free = |key: &LinkKey| !self.held.iter().any(|(_, held)| held == key);
        let (key, (peer, address)) = self.offers.iter().find(|(key, _)| free(key))?;
        Some((*key, address.clone().with(Protocol::P2p(*peer)).with(Protocol::P2pCircuit)))
    }

    /// We have asked.
    pub(crate) fn asked(&mut self, id: ListenerId, key: LinkKey) {
        self.held.push((id, key));
    }

    /// The relay of a place, if it is one.
    pub(crate) fn relay_of(&self, id: ListenerId) -> Option<LinkKey> {
        self.held.iter().find(|(held, _)| *held == id).map(|(_, key)| *key)
    }

    /// The place is gone. Its relay is not asked again until it says anew that it relays.
    pub(crate) fn lost(&mut self, id: ListenerId) {
        if let Some(key) = self.relay_of(id) {
            self.held.retain(|(held, _)| *held != id);
            self.withdrawn(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(number: u8) -> (LinkKey, PeerId, Multiaddr) {
        (LinkKey([number; 32]), PeerId::random(), format!("/ip4/1.1.1.{number}/tcp/1").parse().unwrap())
    }

    /// Asks whoever is next, and says who that was.
    fn ask(shelter: &mut Shelter) -> Option<(ListenerId, LinkKey)> {
        let (key, id) = (shelter.next()?.0, ListenerId::next());
        shelter.asked(id, key);
        Some((id, key))
    }

    #[test]
    fn two_relays_are_kept_and_another_takes_the_place_of_one_that_is_lost() {
        let mut shelter = Shelter::default();
        for (key, peer, address) in [relay(1), relay(2), relay(3)] {
            shelter.offered(key, peer, address);
        }
        assert!(ask(&mut shelter).is_none(), "not wanted");
        assert!(shelter.want(true).is_empty());
        let (first, lost) = ask(&mut shelter).unwrap();
        let (_, kept) = ask(&mut shelter).unwrap();
        assert!(ask(&mut shelter).is_none(), "enough");
        shelter.lost(first);
        let (_, third) = ask(&mut shelter).unwrap();
        assert!(third != lost && third != kept);
        assert_eq!(shelter.want(false).len(), 2);
        assert!(ask(&mut shelter).is_none());
    }

    #[test]
    fn a_place_is_asked_for_at_the_relay_by_its_key() {
        let (key, peer, address) = relay(1);
        let mut shelter = Shelter::default();
        shelter.want(true);
        shelter.offered(key, peer, address);
        assert_eq!(shelter.next().unwrap().1.to_string(), format!("/ip4/1.1.1.1/tcp/1/p2p/{peer}/p2p-circuit"));
    }
}
