//! Control messages between neighbours: everything that is not a cell (docs/protocol/overlay.md, packet.md).

use mainframe_base::{Address, Fault, Luminosity, NetworkId, PacketId, Prefix, Tag};

use super::cell::SizeClass;
use super::clock::Hour;
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

/// Which tags: those that begin with these bits. Who asks for a bucket hides among all of its cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TagBucket {
    bits: u8,
    value: u16,
}

impl TagBucket {
    /// Every tag.
    pub const ALL: TagBucket = TagBucket { bits: 0, value: 0 };
    /// The narrowest bucket: more bits would name single cells in any region that can afford them (guess).
    pub const BITS_MAX: u8 = 16;

    /// The bucket of so many bits, at most [`TagBucket::BITS_MAX`], in which this tag lies.
    pub fn of(tag: &Tag, bits: u8) -> TagBucket {
        let bits = bits.min(TagBucket::BITS_MAX);
        let first = u16::from_be_bytes([tag.0[0], tag.0[1]]);
        TagBucket { bits, value: first & mask(bits) }
    }

    /// How many bits are told.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether a tag that begins with these two bytes lies in the bucket.
    pub fn has(&self, first: [u8; 2]) -> bool {
        u16::from_be_bytes(first) & mask(self.bits) == self.value
    }

    /// Its width and its first bits, as they are kept.
    pub fn to_bytes(&self) -> [u8; 3] {
        let [high, low] = self.value.to_be_bytes();
        [self.bits, high, low]
    }

    /// A bucket that was kept; none if these are no bucket's bytes.
    pub fn from_bytes([bits, high, low]: [u8; 3]) -> Option<TagBucket> {
        let value = u16::from_be_bytes([high, low]);
        (bits <= TagBucket::BITS_MAX && value & !mask(bits) == 0).then_some(TagBucket { bits, value })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.bits, 0]);
        out.extend_from_slice(&self.value.to_be_bytes());
    }

    fn take(reader: &mut Reader<'_>) -> Result<TagBucket, Fault> {
        let bits = reader.u8()?;
        reader.zeros(1)?;
        let value = reader.u16()?;
        if bits > TagBucket::BITS_MAX || value & !mask(bits) != 0 {
            return Err(Fault::Impossible);
        }
        Ok(TagBucket { bits, value })
    }
}

fn mask(bits: u8) -> u16 {
    !(0xFFFF_u32 >> bits) as u16
}

/// "Which cells of this region, this hour and this bucket do you hold?" Of those whose region and this one overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Repeated in the answer.
    pub request: u32,
    /// The region.
    pub region: Prefix,
    /// In which the cells' lives ended.
    pub hour: Hour,
    /// Of which tags.
    pub bucket: TagBucket,
    /// Ids above this one: where the answer before stopped. Zeros at first.
    pub after: PacketId,
}

/// The answer, in the order of ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The question's number.
    pub request: u32,
    /// How the asker hears of new cells of the region: a lost `Subscribe` shows here.
    pub hearing: Hearing,
    /// From where to ask on; none if that was all.
    pub next: Option<PacketId>,
    /// At most [`DIGESTS_MAX`].
    pub digests: Vec<DigestEntry>,
}

/// How someone wants to hear of new cells of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hearing {
    /// No more.
    Not,
    /// By digest: it has them from somebody else, and pulls what that one withholds.
    Digests,
    /// The cells themselves.
    Cells,
}

/// "Tell me from now on of what comes for this region."
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscribe {
    /// The region.
    pub region: Prefix,
    /// Which tags.
    pub bucket: TagBucket,
    /// How.
    pub hearing: Hearing,
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

impl Ask {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request.to_be_bytes());
        put_region(out, &self.region);
        out.extend_from_slice(&self.hour.0.to_be_bytes());
        self.bucket.put(out);
        out.extend_from_slice(&self.after.0);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Ask, Fault> {
        Ok(Ask {
            request: reader.u32()?,
            region: take_region(reader)?,
            hour: Hour(reader.u32()?),
            bucket: TagBucket::take(reader)?,
            after: PacketId(reader.array()?),
        })
    }
}

impl Hearing {
    fn put(self, out: &mut Vec<u8>) {
        out.push(match self {
            Hearing::Not => 0,
            Hearing::Digests => 1,
            Hearing::Cells => 2,
        });
    }

    fn take(reader: &mut Reader<'_>) -> Result<Hearing, Fault> {
        match reader.u8()? {
            0 => Ok(Hearing::Not),
            1 => Ok(Hearing::Digests),
            2 => Ok(Hearing::Cells),
            _ => Err(Fault::Impossible),
        }
    }
}

impl Held {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request.to_be_bytes());
        self.hearing.put(out);
        out.push(u8::from(self.next.is_some()));
        out.extend_from_slice(&self.next.unwrap_or(PacketId([0; 16])).0);
        put_list(out, &self.digests, |out, digest| digest.put(out));
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Held, Fault> {
        let (request, hearing) = (reader.u32()?, Hearing::take(reader)?);
        let more = reader.u8()?;
        let next = PacketId(reader.array()?);
        let next = match more {
            0 if next == PacketId([0; 16]) => None,
            1 => Some(next),
            _ => return Err(Fault::Impossible),
        };
        Ok(Held { request, hearing, next, digests: reader.list(DIGESTS_MAX, DigestEntry::take)? })
    }
}

impl Subscribe {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_region(out, &self.region);
        self.bucket.put(out);
        self.hearing.put(out);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Subscribe, Fault> {
        let (region, bucket) = (take_region(reader)?, TagBucket::take(reader)?);
        Ok(Subscribe { region, bucket, hearing: Hearing::take(reader)? })
    }
}

/// The luminosity, then 32 bytes whose bits past it are zero.
fn put_region(out: &mut Vec<u8>, region: &Prefix) {
    put_luminosity(out, region.luminosity());
    out.extend_from_slice(&region.first_address().0);
}

fn take_region(reader: &mut Reader<'_>) -> Result<Prefix, Fault> {
    let luminosity = take_luminosity(reader)?;
    let address = Address(reader.array()?);
    let region = Prefix::of(&address, luminosity);
    if region.first_address() == address { Ok(region) } else { Err(Fault::Impossible) }
}

/// Two bytes: 0..=254 or 256.
fn put_luminosity(out: &mut Vec<u8>, luminosity: Luminosity) {
    out.extend_from_slice(&luminosity.bits().to_be_bytes());
}

fn take_luminosity(reader: &mut Reader<'_>) -> Result<Luminosity, Fault> {
    Luminosity::new(reader.u16()?).ok_or(Fault::Impossible)
}
