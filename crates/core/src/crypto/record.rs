//! What a node says of itself to everyone, and its bytes (docs/protocol/crypto.md §3).

use std::net::{IpAddr, Ipv4Addr};

use ed25519_dalek::VerifyingKey;
use mainframe_base::{Address, Fault, LinkKey, Locator, NetworkId, Role, Signature, Transport};

use crate::codec::{Reader, put_list};

/// How many locators a record tells: IPv4 and IPv6 over TCP and QUIC.
pub const LOCATORS_MAX: usize = 4;

/// A record of places where the node itself listens.
const VERSION: u8 = 1;
/// A record that also names relays behind which the node can be reached. Everything else is as before.
const VERSION_THROUGH: u8 = 2;
const SIGNATURE_DOMAIN: &[u8] = b"mainframe/record/1";

/// A node's signed description of itself, passed on from node to node. It does not tell the chain account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    /// The network it takes part in.
    pub network: NetworkId,
    /// As what it takes part.
    pub role: Role,
    /// Where it says it stands; proved by a [`super::Binding`] only.
    pub overlay: Address,
    /// The key by which neighbours know it, and which signed this.
    pub link_key: LinkKey,
    /// When it was signed, in milliseconds since the Unix epoch; of two records the later holds.
    pub sequence: u64,
    /// Where it can be dialled, at most [`LOCATORS_MAX`].
    pub locators: Vec<Locator>,
    /// The link key's signature over all of the above.
    pub signature: Signature,
}

impl NodeRecord {
    /// The longest a record can be, in bytes.
    pub const LENGTH_MAX: usize = 80 + LOCATORS_MAX * 52 + 64;

    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_body(out);
        out.extend_from_slice(&self.signature.0);
    }

    /// Reads a record; does not verify its signature, see [`super::Verifier`].
    ///
    /// # Errors
    /// `UnknownVersion`; `Oversized` for too many locators; `Impossible` for a role, transport or family that means
    /// nothing, a locator nobody can dial or a version the locators do not need; `Malformed` if the bytes end early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<NodeRecord, Fault> {
        let version = reader.u8()?;
        if !matches!(version, VERSION | VERSION_THROUGH) {
            return Err(Fault::UnknownVersion);
        }
        let role = match reader.u8()? {
            0 => Role::Relay,
            1 => Role::Guest,
            _ => return Err(Fault::Impossible),
        };
        let record = NodeRecord {
            network: NetworkId(reader.u32()?),
            role,
            overlay: Address(reader.array()?),
            link_key: LinkKey(reader.array()?),
            sequence: reader.u64()?,
            locators: reader.list(LOCATORS_MAX, decode_locator)?,
            signature: Signature(reader.array()?),
        };
        if record.version() == version { Ok(record) } else { Err(Fault::Impossible) }
    }

    /// The lowest that can say it, so that every record has one encoding.
    fn version(&self) -> u8 {
        if self.locators.iter().all(Locator::is_direct) { VERSION } else { VERSION_THROUGH }
    }

    /// What the link key signs: a domain and the body's bytes.
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIGNATURE_DOMAIN.len() + NodeRecord::LENGTH_MAX);
        bytes.extend_from_slice(SIGNATURE_DOMAIN);
        self.encode_body(&mut bytes);
        bytes
    }

    /// Whether the link key signed this. Strictly: keys of low order, and signatures that only some verifiers
    /// accept, are refused, so that all nodes agree.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        let key = VerifyingKey::from_bytes(&self.link_key.0).map_err(|_| Fault::BadSignature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature.0);
        key.verify_strict(&self.signed_bytes(), &signature).map_err(|_| Fault::BadSignature)
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let role = match self.role {
            Role::Relay => 0,
            Role::Guest => 1,
        };
        out.extend_from_slice(&[self.version(), role]);
        out.extend_from_slice(&self.network.0.to_be_bytes());
        out.extend_from_slice(&self.overlay.0);
        out.extend_from_slice(&self.link_key.0);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        put_list(out, &self.locators, encode_locator);
    }
}

/// Whether a locator can stand in a record: one address of one node. An IPv4 address dressed as IPv6 would be a
/// second spelling of the same place, by which a node could pass for several.
pub(super) fn is_diallable(locator: &Locator) -> bool {
    let dressed_up = matches!(locator.ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    let broadcast = locator.ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    locator.port != 0 && !locator.ip.is_unspecified() && !locator.ip.is_multicast() && !broadcast && !dressed_up
}

/// Added to a transport's number if the address is that of a relay, whose link key follows.
const THROUGH: u8 = 2;

fn encode_locator(out: &mut Vec<u8>, locator: &Locator) {
    let transport = match locator.transport {
        Transport::Tcp => 0,
        Transport::Quic => 1,
    };
    out.push(if locator.is_direct() { transport } else { transport + THROUGH });
    match locator.ip {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
            out.extend_from_slice(&[0; 12]);
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&locator.port.to_be_bytes());
    if let Some(relay) = locator.via {
        out.extend_from_slice(&relay.0);
    }
}

fn decode_locator(reader: &mut Reader<'_>) -> Result<Locator, Fault> {
    let (transport, through) = match reader.u8()? {
        0 => (Transport::Tcp, false),
        1 => (Transport::Quic, false),
        2 => (Transport::Tcp, true),
        3 => (Transport::Quic, true),
        _ => return Err(Fault::Impossible),
    };
    let ip = match reader.u8()? {
        4 => {
            let ip = IpAddr::from(reader.array::<4>()?);
            reader.zeros(12)?;
            ip
        }
        6 => IpAddr::from(reader.array::<16>()?),
        _ => return Err(Fault::Impossible),
    };
    let port = reader.u16()?;
    let via = if through { Some(LinkKey(reader.array()?)) } else { None };
    let locator = Locator { transport, ip, port, via };
    if is_diallable(&locator) { Ok(locator) } else { Err(Fault::Impossible) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{NodeKeys, RecordBody, Verifier};
    use mainframe_base::Secret;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn keys() -> NodeKeys {
        NodeKeys::from_secrets(Secret::new([1; 32]), Secret::new([2; 32])).unwrap()
    }

    fn record(locators: &[&str]) -> NodeRecord {
        keys().sign_record(RecordBody {
            network: NetworkId::DEV,
            role: Role::Relay,
            seed: [0; 32],
            sequence: 1_700_000_000_000,
            locators: locators.iter().map(|text| text.parse().unwrap()).collect(),
        })
    }

    fn encoded(record: &NodeRecord) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    fn decoded(bytes: &[u8]) -> Result<NodeRecord, Fault> {
        let mut reader = Reader::new(bytes);
        let record = NodeRecord::decode(&mut reader)?;
        reader.finish().map(|()| record)
    }

    /// The fault found when the byte at `offset` is `value`.
    fn fault_with(offset: usize, value: u8) -> Fault {
        let mut bytes = encoded(&record(&["/ip4/127.0.0.1/tcp/4001"]));
        bytes[offset] = value;
        decoded(&bytes).unwrap_err()
    }

    #[test]
    fn each_impossible_value_has_its_fault() {
        assert_eq!(fault_with(0, 3), Fault::UnknownVersion);
        assert_eq!(fault_with(0, 2), Fault::Impossible, "a version that names relays, and no relay");
        assert_eq!(fault_with(1, 2), Fault::Impossible, "role");
        assert_eq!(fault_with(79, 5), Fault::Oversized, "locators");
        assert_eq!(fault_with(80, 4), Fault::Impossible, "transport");
        assert_eq!(fault_with(81, 5), Fault::Impossible, "family");
        assert_eq!(fault_with(82, 224), Fault::Impossible, "a multicast address");
        assert_eq!(fault_with(90, 1), Fault::Impossible, "padding that is not zero");
    }

    #[test]
    fn nobody_is_told_to_dial_where_nobody_can() {
        for text in [
            "/ip4/127.0.0.1/tcp/0",
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip6/::/tcp/1",
            "/ip6/ff02::1/udp/1/quic-v1",
            "/ip6/::ffff:127.0.0.1/tcp/1",
        ] {
            assert!(record(&[text]).locators.is_empty(), "left out when signing: {text}");
            let mut forged = record(&[]);
            forged.locators = vec![text.parse().unwrap()];
            assert_eq!(decoded(&encoded(&forged)), Err(Fault::Impossible), "{text}");
        }
    }

    #[test]
    fn a_record_tells_four_locators_at_most() {
        let through = format!("/ip4/10.0.0.1/tcp/1/via/{}", LinkKey([7; 32]));
        let full = record(&[through.as_str(); 5]);
        assert_eq!(full.locators.len(), LOCATORS_MAX);
        assert_eq!(encoded(&full).len(), NodeRecord::LENGTH_MAX);
        assert_eq!(decoded(&encoded(&full)), Ok(full));
    }

    #[test]
    fn a_record_without_relays_reads_as_it_always_did() {
        let (direct, through) =
            ("/ip4/10.0.0.1/udp/1/quic-v1", format!("/ip4/10.0.0.2/tcp/1/via/{}", LinkKey([7; 32])));
        assert_eq!(encoded(&record(&[direct])).len(), 80 + 20 + 64);
        assert_eq!(encoded(&record(&[direct]))[0], 1);
        let both = encoded(&record(&[direct, &through]));
        assert_eq!((both[0], both.len()), (2, 80 + 20 + 52 + 64));
        let mut older = both.clone();
        older[0] = 1;
        assert_eq!(decoded(&older), Err(Fault::Impossible), "a relay in a version without");
    }

    #[test]
    fn a_record_cut_short_or_made_longer_is_malformed() {
        let mut bytes = encoded(&record(&["/ip6/::1/udp/4001/quic-v1"]));
        for length in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..length]), Err(Fault::Malformed));
        }
        bytes.push(0);
        assert_eq!(decoded(&bytes), Err(Fault::Malformed));
    }

    #[test]
    fn no_bit_of_a_record_can_be_changed() {
        let verifier = Verifier::new(8);
        let bytes = encoded(&record(&["/ip4/10.0.0.1/tcp/4001"]));
        assert!(verifier.record(decoded(&bytes).unwrap()).is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let outcome = decoded(&changed).and_then(|record| verifier.record(record));
            assert!(outcome.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_same_record_is_one_allocation_for_all_who_share_a_verifier() {
        let verifier = Verifier::new(8);
        let first = verifier.record(record(&[])).unwrap();
        let second = verifier.clone().record(record(&[])).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_link_key_of_low_order_signs_nothing() {
        let mut forged = record(&[]);
        forged.link_key = LinkKey([0; 32]);
        forged.signature = Signature([0; 64]);
        assert_eq!(Verifier::new(8).record(forged), Err(Fault::BadSignature));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_or_have_one_encoding(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..NodeRecord::LENGTH_MAX + 8),
            plausible: bool,
        ) {
            if plausible && bytes.len() > 81 {
                bytes[..2].copy_from_slice(&[1, 0]);
                bytes[78..80].copy_from_slice(&[0, 0]);
                bytes.truncate(144);
            }
            if let Ok(record) = decoded(&bytes) {
                prop_assert_eq!(encoded(&record), bytes);
            }
        }

        #[test]
        fn a_signed_record_comes_back_from_its_bytes_and_verifies(
            network: u32, guest: bool, seed: [u8; 32], sequence: u64,
            places in proptest::collection::vec(any::<(bool, IpAddr, u16, Option<[u8; 32]>)>(), 0..6),
        ) {
            let record = keys().sign_record(RecordBody {
                network: NetworkId(network),
                role: if guest { Role::Guest } else { Role::Relay },
                seed,
                sequence,
                locators: places.into_iter().map(|(quic, ip, port, relay)| {
                    let transport = if quic { Transport::Quic } else { Transport::Tcp };
                    Locator { transport, ip, port, via: relay.map(LinkKey) }
                }).collect(),
            });
            prop_assert_eq!(decoded(&encoded(&record)), Ok(record.clone()));
            prop_assert!(Verifier::new(8).record(record).is_ok());
        }
    }
}
