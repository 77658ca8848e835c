//! What a node says of itself to everyone, and its bytes (docs/protocol/crypto.md §3).

use std::net::{IpAddr, Ipv4Addr};

use ed25519_dalek::VerifyingKey;
use mainframe_base::{Address, Fault, LinkKey, Locator, NetworkId, Role, Signature, Transport};

use crate::codec::{Reader, put_list};

/// How many locators a record tells: IPv4 and IPv6 over TCP and QUIC.
pub const LOCATORS_MAX: usize = 4;

const VERSION: u8 = 1;
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
    pub const LENGTH_MAX: usize = 80 + LOCATORS_MAX * 20 + 64;

    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_body(out);
        out.extend_from_slice(&self.signature.0);
    }

    /// Reads a record; does not verify its signature, see [`super::Verifier`].
    ///
    /// # Errors
    /// `UnknownVersion`; `Oversized` for too many locators; `Impossible` for a role, transport or family that means
    /// nothing or a locator nobody can dial; `Malformed` if the bytes end early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<NodeRecord, Fault> {
        if reader.u8()? != VERSION {
            return Err(Fault::UnknownVersion);
        }
        let role = match reader.u8()? {
            0 => Role::Relay,
            1 => Role::Guest,
            _ => return Err(Fault::Impossible),
        };
        Ok(NodeRecord {
            network: NetworkId(reader.u32()?),
            role,
            overlay: Address(reader.array()?),
            link_key: LinkKey(reader.array()?),
            sequence: reader.u64()?,
            locators: reader.list(LOCATORS_MAX, decode_locator)?,
            signature: Signature(reader.array()?),
        })
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
        out.extend_from_slice(&[VERSION, role]);
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

fn encode_locator(out: &mut Vec<u8>, locator: &Locator) {
    out.push(match locator.transport {
        Transport::Tcp => 0,
        Transport::Quic => 1,
    });
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
}

fn decode_locator(reader: &mut Reader<'_>) -> Result<Locator, Fault> {
    let transport = match reader.u8()? {
        0 => Transport::Tcp,
        1 => Transport::Quic,
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
    let locator = Locator { transport, ip, port: reader.u16()? };
    if is_diallable(&locator) { Ok(locator) } else { Err(Fault::Impossible) }
}
