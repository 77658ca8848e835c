//! Where a node can be dialled.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::LinkKey;

/// How bytes get to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC version 1.
    Quic,
}

/// From how far away a locator can be dialled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// From everywhere, as far as the address tells.
    Global,
    /// From the same private network: RFC 1918, RFC 6598 (shared by a provider's customers), RFC 4193.
    Private,
    /// From this machine or its own cable: loopback and link-local addresses.
    Local,
}

/// A network address of a node, written as a multiaddr: `/ip4/127.0.0.1/tcp/4001` or `/ip6/::1/udp/4001/quic-v1`;
/// of a node behind a relay, the relay's address with `/via/` and the relay's link key in 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Locator {
    /// How to speak to it.
    pub transport: Transport,
    /// Where it is.
    pub ip: IpAddr,
    /// Its port; 0 only in a listener's configuration, where it means "any".
    pub port: u16,
    /// If the node is reached through a relay: that relay's name on links. The address is the relay's.
    pub via: Option<LinkKey>,
}

impl Locator {
    /// Where a node itself listens.
    pub const fn direct(transport: Transport, ip: IpAddr, port: u16) -> Locator {
        Locator { transport, ip, port, via: None }
    }

    /// Where a node is reached through the relay `key`, which listens here.
    pub const fn through(self, key: LinkKey) -> Locator {
        Locator { via: Some(key), ..self }
    }

    /// Whether the node itself listens there.
    pub const fn is_direct(&self) -> bool {
        self.via.is_none()
    }

    /// From how far away it can be dialled.
    pub fn scope(&self) -> Scope {
        match self.ip {
            IpAddr::V4(ip) => scope_of_v4(ip),
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| scope_of_v6(ip), scope_of_v4),
        }
    }
}

fn scope_of_v4(ip: Ipv4Addr) -> Scope {
    let [first, second, ..] = ip.octets();
    let shared = first == 100 && second & 0xC0 == 64; // RFC 6598
    if ip.is_loopback() || ip.is_link_local() {
        Scope::Local
    } else if ip.is_private() || shared {
        Scope::Private
    } else {
        Scope::Global
    }
}

fn scope_of_v6(ip: Ipv6Addr) -> Scope {
    if ip.is_loopback() || ip.is_unicast_link_local() {
        Scope::Local
    } else if ip.is_unique_local() {
        Scope::Private
    } else {
        Scope::Global
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.ip.is_ipv4() { "ip4" } else { "ip6" };
        match self.transport {
            Transport::Tcp => write!(f, "/{family}/{}/tcp/{}", self.ip, self.port)?,
            Transport::Quic => write!(f, "/{family}/{}/udp/{}/quic-v1", self.ip, self.port)?,
        }
        self.via.map_or(Ok(()), |relay| write!(f, "/via/{relay}"))
    }
}

/// Why a text is no locator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a locator is /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1 (or /ip6/…), with /via/RELAY behind a relay"
)]
pub struct ParseLocatorError;

impl FromStr for Locator {
    type Err = ParseLocatorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, via) = match text.split_once("/via/") {
            Some((place, relay)) => (place, Some(relay.parse().map_err(|_| ParseLocatorError)?)),
            None => (text, None),
        };
        let parts: Vec<&str> = place.strip_prefix('/').ok_or(ParseLocatorError)?.split('/').collect();
        let (family, ip, transport, port) = match parts[..] {
            [family, ip, "tcp", port] => (family, ip, Transport::Tcp, port),
            [family, ip, "udp", port, "quic-v1"] => (family, ip, Transport::Quic, port),
            _ => return Err(ParseLocatorError),
        };
        let ip: IpAddr = ip.parse().map_err(|_| ParseLocatorError)?;
        if (family == "ip4") != ip.is_ipv4() || !matches!(family, "ip4" | "ip6") {
            return Err(ParseLocatorError);
        }
        Ok(Locator { transport, ip, port: port.parse().map_err(|_| ParseLocatorError)?, via })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_family_that_contradicts_the_address_is_refused() {
        assert!("/ip6/127.0.0.1/tcp/1".parse::<Locator>().is_err());
        assert!("/ip4/::1/tcp/1".parse::<Locator>().is_err());
        assert!("/dns/example/tcp/1".parse::<Locator>().is_err());
        assert!("/ip4/127.0.0.1/tcp/1/via/12".parse::<Locator>().is_err());
    }

    #[test]
    fn the_scope_of_an_address_is_how_far_it_carries() {
        let scope = |ip: &str| Locator::direct(Transport::Tcp, ip.parse().unwrap(), 1).scope();
        for ip in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert_eq!(scope(ip), Scope::Global, "{ip}");
        }
        for ip in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(scope(ip), Scope::Private, "{ip}");
        }
        for ip in ["127.0.0.1", "169.254.1.1", "::1", "fe80::1"] {
            assert_eq!(scope(ip), Scope::Local, "{ip}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(ip: IpAddr, port: u16, quic: bool, relay: Option<[u8; 32]>) {
            let transport = if quic { Transport::Quic } else { Transport::Tcp };
            let locator = Locator { transport, ip, port, via: relay.map(LinkKey) };
            prop_assert_eq!(locator.to_string().parse::<Locator>().unwrap(), locator);
        }
    }
}
