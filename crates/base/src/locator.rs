//! Where a node can be dialled.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How bytes get to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC version 1.
    Quic,
}

/// A network address of a node, written as a multiaddr: `/ip4/127.0.0.1/tcp/4001` or
/// `/ip6/::1/udp/4001/quic-v1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Locator {
    /// How to speak to it.
    pub transport: Transport,
    /// Where it is.
    pub ip: IpAddr,
    /// Its port; 0 only in a listener's configuration, where it means "any".
    pub port: u16,
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.ip.is_ipv4() { "ip4" } else { "ip6" };
        match self.transport {
            Transport::Tcp => write!(f, "/{family}/{}/tcp/{}", self.ip, self.port),
            Transport::Quic => write!(f, "/{family}/{}/udp/{}/quic-v1", self.ip, self.port),
        }
    }
}

/// Why a text is no locator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a locator is /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1 (or /ip6/…)")]
pub struct ParseLocatorError;

impl FromStr for Locator {
    type Err = ParseLocatorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.strip_prefix('/').ok_or(ParseLocatorError)?.split('/').collect();
        let (family, ip, transport, port) = match parts[..] {
            [family, ip, "tcp", port] => (family, ip, Transport::Tcp, port),
            [family, ip, "udp", port, "quic-v1"] => (family, ip, Transport::Quic, port),
            _ => return Err(ParseLocatorError),
        };
        let ip: IpAddr = ip.parse().map_err(|_| ParseLocatorError)?;
        if (family == "ip4") != ip.is_ipv4() || !matches!(family, "ip4" | "ip6") {
            return Err(ParseLocatorError);
        }
        Ok(Locator { transport, ip, port: port.parse().map_err(|_| ParseLocatorError)? })
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
    }

    proptest! {
        #[test]
        fn text_round_trips(ip: IpAddr, port: u16, quic: bool) {
            let locator = Locator { transport: if quic { Transport::Quic } else { Transport::Tcp }, ip, port };
            prop_assert_eq!(locator.to_string().parse::<Locator>().unwrap(), locator);
        }
    }
}
