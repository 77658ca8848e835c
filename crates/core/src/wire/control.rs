//! Control messages between neighbours: everything that is not a cell (docs/protocol/overlay.md, packet.md).

use mainframe_base::{Address, Fault, Luminosity, NetworkId, PacketId};

use super::cell::SizeClass;
use crate::codec::{Reader, put_list};
use crate::crypto::{Binding, NodeRecord};

/// Receipts in one frame; the link's cell window bounds how many can be due.
pub const RECEIPTS_MAX: usize = 1_024;
/// Digests in one frame: 512 × 20 B = 10 KiB.
pub const DIGESTS_MAX: usize = 512;
/// Pulls in one frame: as many as digests.
pub const PULLS_MAX: usize = 512;
/// Records in one answer: k = 20 makes the size estimate good to ±15 % (protocol research §3.2).
pub const PEERS_MAX: usize = 20;
/// Bytes of one sketch of recent ids: 10 bits for each of 6,500 ids, 100 a second for a minute (guess).
pub const RECENT_BYTES_MAX: usize = 8_192;
/// Hash functions of a sketch: 10 bits an id and 7 hashes give 0.8 % false positives.
pub const HASHES: u8 = 7;

/// What became of a cell at the next hop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// The hop has custody: it answers for the cell from here on.
    TookOver,
    /// Its queues are full; nothing was kept.
    Busy,
    /// It knows nobody closer; nothing was kept.
    NoProgress,
}

/// One line of a `Custody` frame: the verdict on the cell sent with that nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The custody nonce of the cell frame.
    pub nonce: u32,
    /// What became of it.
    pub verdict: Verdict,
}

/// One line of a `Digest` frame: "I have this packet; you would answer for so many bits of it".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DigestEntry {
    /// The packet.
    pub id: PacketId,
    /// Length of the prefix the peer would answer for if it pulls.
    pub responsibility: Luminosity,
    /// Size of its cell.
    pub size_class: SizeClass,
}

/// One line of a `Pull` frame: "send me that packet, I answer for so many bits of it".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PullEntry {
    /// The packet.
    pub id: PacketId,
    /// The responsibility the digest offered.
    pub responsibility: Luminosity,
}

/// A sketch (Bloom filter) of the ids of the last minute's region packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recent {
    /// Makes each sketch err on other ids than the last.
    pub salt: u32,
    /// The filter's bits; never empty.
    pub bits: Vec<u8>,
}

/// Who a node is, said once in each direction before anything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The network it belongs to.
    pub network: NetworkId,
    /// Its signed record, as gossiped.
    pub record: NodeRecord,
    /// What binds its address to its chain account; told to direct neighbours only.
    pub binding: Binding,
}

/// "Which relays do you know closest to this address?"
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetPeers {
    /// Repeated in the answer.
    pub request: u32,
    /// Any address: one of a bin to fill, one's own, or a random one to estimate the network's size.
    pub target: Address,
    /// How many records at most, 1..=[`PEERS_MAX`].
    pub limit: u8,
}

/// The answer: connected relays, closest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peers {
    /// The question's number.
    pub request: u32,
    /// Signed records, at most [`PEERS_MAX`].
    pub records: Vec<NodeRecord>,
}

/// What a node believes its neighbourhood to be; a difference starts an exchange of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbourhood {
    /// Its depth in bits.
    pub depth: u8,
    /// How many relays share at least that many bits with it.
    pub count: u16,
    /// The first 16 bytes of BLAKE3 over their addresses and its own, sorted.
    pub digest: [u8; 16],
}

impl Receipt {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.nonce.to_be_bytes());
        out.push(match self.verdict {
            Verdict::TookOver => 0,
            Verdict::Busy => 1,
            Verdict::NoProgress => 2,
        });
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Receipt, Fault> {
        let nonce = reader.u32()?;
        let verdict = match reader.u8()? {
            0 => Verdict::TookOver,
            1 => Verdict::Busy,
            2 => Verdict::NoProgress,
            _ => return Err(Fault::Impossible),
        };
        Ok(Receipt { nonce, verdict })
    }
}

impl DigestEntry {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        put_luminosity(out, self.responsibility);
        out.push(u8::from(self.size_class == SizeClass::B));
        out.push(0);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<DigestEntry, Fault> {
        let id = PacketId(reader.array()?);
        let responsibility = take_luminosity(reader)?;
        let size_class = match reader.u8()? {
            0 => SizeClass::T,
            1 => SizeClass::B,
            _ => return Err(Fault::Impossible),
        };
        reader.zeros(1)?;
        Ok(DigestEntry { id, responsibility, size_class })
    }
}

impl PullEntry {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        put_luminosity(out, self.responsibility);
        out.extend_from_slice(&[0; 2]);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<PullEntry, Fault> {
        let id = PacketId(reader.array()?);
        let responsibility = take_luminosity(reader)?;
        reader.zeros(2)?;
        Ok(PullEntry { id, responsibility })
    }
}

impl Recent {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.salt.to_be_bytes());
        put_list(out, &self.bits, |out, byte| out.push(*byte));
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Recent, Fault> {
        let salt = reader.u32()?;
        let bits = reader.list(RECENT_BYTES_MAX, Reader::u8)?;
        if bits.is_empty() { Err(Fault::Impossible) } else { Ok(Recent { salt, bits }) }
    }
}

impl Hello {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.network.0.to_be_bytes());
        self.record.encode(out);
        self.binding.encode(out);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Hello, Fault> {
        let network = NetworkId(reader.u32()?);
        Ok(Hello { network, record: NodeRecord::decode(reader)?, binding: Binding::decode(reader)? })
    }
}

impl GetPeers {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request.to_be_bytes());
        out.extend_from_slice(&self.target.0);
        out.push(self.limit);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<GetPeers, Fault> {
        let asked = GetPeers { request: reader.u32()?, target: Address(reader.array()?), limit: reader.u8()? };
        match usize::from(asked.limit) {
            1..=PEERS_MAX => Ok(asked),
            _ => Err(Fault::Impossible),
        }
    }
}

impl Peers {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request.to_be_bytes());
        put_list(out, &self.records, |out, record| record.encode(out));
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Peers, Fault> {
        Ok(Peers { request: reader.u32()?, records: reader.list(PEERS_MAX, NodeRecord::decode)? })
    }
}

impl Neighbourhood {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.depth);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.digest);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Neighbourhood, Fault> {
        Ok(Neighbourhood { depth: reader.u8()?, count: reader.u16()?, digest: reader.array()? })
    }
}

/// Two bytes: 0..=254 or 256.
fn put_luminosity(out: &mut Vec<u8>, luminosity: Luminosity) {
    out.extend_from_slice(&luminosity.bits().to_be_bytes());
}

fn take_luminosity(reader: &mut Reader<'_>) -> Result<Luminosity, Fault> {
    Luminosity::new(reader.u16()?).ok_or(Fault::Impossible)
}
