//! The only place that knows multiaddrs and peer ids: everything else speaks of locators and link keys.

use std::net::{IpAddr, Ipv4Addr};

use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use mainframe_base::{LinkKey, Locator, Transport};

/// How locators are written for the transports of one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Medium {
    /// Sockets of the operating system.
    Network,
    /// Channels inside this process; a locator's port is the channel's name.
    Memory,
}

impl Medium {
    /// The multiaddr of a locator; none if it is behind a relay whose key is no key, or that is not of this process.
    pub(crate) fn multiaddr(self, locator: Locator) -> Option<Multiaddr> {
        if self == Medium::Memory {
            return locator.is_direct().then(|| Protocol::Memory(u64::from(locator.port)).into());
        }
        let address = Multiaddr::from(locator.ip);
        let address = match locator.transport {
            Transport::Tcp => address.with(Protocol::Tcp(locator.port)),
            Transport::Quic => address.with(Protocol::Udp(locator.port)).with(Protocol::QuicV1),
        };
        let Some(relay) = locator.via else { return Some(address) };
        Some(address.with(Protocol::P2p(peer_id(relay)?)).with(Protocol::P2pCircuit))
    }
}

/// The locator of a multiaddr, if it is one of ours; a trailing peer id is passed over.
pub(crate) fn locator(address: &Multiaddr) -> Option<Locator> {
    let mut parts = address.iter();
    let (place, next) = place(&mut parts)?;
    let relay = match next {
        None => return Some(place),
        Some(Protocol::P2p(peer)) => peer,
        Some(_) => return None,
    };
    match parts.next() {
        None => Some(place),
        Some(Protocol::P2pCircuit) => Some(place.through(link_key(&relay)?)),
        Some(_) => None,
    }
}

/// The relay's place in the address of a circuit that does not name the relay.
pub(crate) fn circuit(address: &Multiaddr) -> Option<Locator> {
    let (place, next) = place(&mut address.iter())?;
    matches!(next, Some(Protocol::P2pCircuit)).then_some(place)
}

/// The place an address begins with, and what comes after it.
fn place<'a>(parts: &mut impl Iterator<Item = Protocol<'a>>) -> Option<(Locator, Option<Protocol<'a>>)> {
    let host = parts.next()?;
    if let Protocol::Memory(port) = host {
        return Some((memory_locator(port), parts.next()));
    }
    let ip = ip(&host)?;
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), next) => Some((Locator::direct(Transport::Tcp, ip, port), next)),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => {
            Some((Locator::direct(Transport::Quic, ip, port), parts.next()))
        }
        _ => None,
    }
}

fn ip(host: &Protocol<'_>) -> Option<IpAddr> {
    if let Protocol::Ip4(ip) = host {
        Some(IpAddr::V4(*ip))
    } else if let Protocol::Ip6(ip) = host {
        Some(IpAddr::V6(*ip))
    } else {
        None
    }
}

/// The name of a channel inside this process. A dialler's own end has a random 64-bit name, of which 16 bits are shown.
fn memory_locator(port: u64) -> Locator {
    Locator::direct(Transport::Tcp, IpAddr::V4(Ipv4Addr::LOCALHOST), port as u16)
}

/// The link key of a peer id; none if its key is not ed25519.
pub(crate) fn link_key(peer: &PeerId) -> Option<LinkKey> {
    let multihash = libp2p::multihash::Multihash::<64>::from(*peer);
    let key = PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    Some(LinkKey(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The peer id of a link key; none if the bytes are not a point of the curve.
pub(crate) fn peer_id(key: LinkKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&key.0).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_locator_survives_the_way_through_a_multiaddr(ip: IpAddr, port: u16, quic: bool) {
            let transport = if quic { Transport::Quic } else { Transport::Tcp };
            let there = Locator::direct(transport, ip, port);
            let address = Medium::Network.multiaddr(there).unwrap();
            prop_assert_eq!(locator(&address), Some(there));
            prop_assert_eq!(address.to_string(), there.to_string());
        }

        #[test]
        fn a_place_behind_a_relay_survives_the_way_through_a_multiaddr(ip: IpAddr, port: u16, seed: [u8; 32]) {
            let relay = libp2p::identity::Keypair::ed25519_from_bytes(seed).unwrap().public().to_peer_id();
            let place = Locator::direct(Transport::Quic, ip, port);
            let address = Medium::Network.multiaddr(place.through(link_key(&relay).unwrap())).unwrap();
            prop_assert_eq!(locator(&address), Some(place.through(link_key(&relay).unwrap())));
            let with_target = address.with(Protocol::P2p(relay));
            prop_assert_eq!(locator(&with_target), Some(place.through(link_key(&relay).unwrap())));
            let nameless = Multiaddr::from(ip).with(Protocol::Udp(port)).with(Protocol::QuicV1).with(Protocol::P2pCircuit);
            prop_assert_eq!((locator(&nameless), circuit(&nameless)), (None, Some(place)));
        }

        #[test]
        fn a_link_key_survives_the_way_through_a_peer_id(seed: [u8; 32]) {
            let pair = libp2p::identity::Keypair::ed25519_from_bytes(seed).unwrap();
            let key = link_key(&pair.public().to_peer_id()).unwrap();
            prop_assert_eq!(peer_id(key), Some(pair.public().to_peer_id()));
        }
    }

    #[test]
    fn other_multiaddrs_have_no_locator() {
        for text in ["/ip4/1.2.3.4", "/dns4/example.org/tcp/1", "/ip4/1.2.3.4/tcp/1/ws", "/ip4/1.2.3.4/udp/1"] {
            assert_eq!(locator(&text.parse().unwrap()), None, "{text}");
        }
    }
}
