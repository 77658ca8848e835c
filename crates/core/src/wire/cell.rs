//! The cell: a packet in its constant-size form (docs/protocol/packet.md §1).
//!
//! Every field is either needed by forwarders (luminosity, prefix, expiry, hold class) or indistinguishable from
//! random bytes. Nothing inside changes on the way. The last 200 bytes leave room for the header of an onion ramp;
//! in a cell that is not ramped they are PRF(id), which every relay checks. A cell to several regions is another
//! type: [`super::ListCell`].

use bytes::Bytes;
use mainframe_base::{Address, Fault, Luminosity, PacketId, Prefix, Tag};

use super::clock::ExpiryBucket;
use super::envelope::{self, CoreFields, Envelope};

/// Bytes of a cell of class T: text, acknowledgements, handshakes.
pub const CELL_LENGTH_T: usize = 2_048;
/// Bytes of a cell of class B: large handshakes and bulk.
pub const CELL_LENGTH_B: usize = 16_384;
/// Bytes before the body.
pub const HEADER_LENGTH: usize = 132;
/// Bytes after the body.
pub const RESERVE_LENGTH: usize = 200;
/// Bytes of a T cell's body: 1,716.
pub const CELL_BODY_T: usize = CELL_LENGTH_T - HEADER_LENGTH - RESERVE_LENGTH;
/// Bytes of a B cell's body: 16,052.
pub const CELL_BODY_B: usize = CELL_LENGTH_B - HEADER_LENGTH - RESERVE_LENGTH;

pub(super) const VERSION: u8 = 1;
const MODE_PREFIX: u8 = 0;

/// The two sizes a cell can have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SizeClass {
    /// 2,048 bytes.
    T,
    /// 16,384 bytes.
    B,
}

impl SizeClass {
    /// Bytes of a cell of this class.
    pub fn cell_length(self) -> usize {
        match self {
            SizeClass::T => CELL_LENGTH_T,
            SizeClass::B => CELL_LENGTH_B,
        }
    }

    /// Bytes of the body of a cell of this class.
    pub fn body_length(self) -> usize {
        self.cell_length() - HEADER_LENGTH - RESERVE_LENGTH
    }
}

/// How long relays of the region keep a cell for receivers who are away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum HoldClass {
    /// Not at all: the cell lives as long as its expiry.
    #[default]
    Live,
    /// One hour.
    Hour,
    /// 24 hours.
    Day,
    /// 72 hours.
    ThreeDays,
}

impl HoldClass {
    /// Every class, from the shortest to the longest.
    pub const ALL: [HoldClass; 4] = [HoldClass::Live, HoldClass::Hour, HoldClass::Day, HoldClass::ThreeDays];

    /// For how many hours after the end of its life a cell of this class is kept.
    pub fn hours(self) -> u32 {
        match self {
            HoldClass::Live => 0,
            HoldClass::Hour => 1,
            HoldClass::Day => 24,
            HoldClass::ThreeDays => 72,
        }
    }
}

/// What the first 132 bytes of a cell say; the parts a sender chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CellHeader {
    /// 2,048 or 16,384 bytes.
    pub size_class: SizeClass,
    /// How long to keep it for those who are away.
    pub hold_class: HoldClass,
    /// Whether the receiver is asked for an `Ack`.
    pub acknowledge: bool,
    /// Whom the cell is for: the region.
    pub destination: Prefix,
    /// When it expires.
    pub expiry: ExpiryBucket,
    /// By what the receiver knows it as his.
    pub tag: Tag,
    /// An Elligator2-encoded ephemeral key, or random.
    pub ephemeral: [u8; 32],
}

impl CellHeader {
    /// The bytes a seal binds besides the body: version to expiry, and the region's bits without the filling.
    pub fn associated(&self) -> [u8; 36] {
        let mut bytes = [0; 36];
        bytes[..4].copy_from_slice(&self.start());
        bytes[4..].copy_from_slice(&self.destination.first_address().0);
        bytes
    }

    /// The bytes a seal binds that is to hold in whatever region the cell arrives: see [`Envelope::associated`].
    pub fn associated_anywhere(&self) -> [u8; 3] {
        self.envelope().associated()
    }

    /// All that it says besides the region.
    pub fn envelope(&self) -> Envelope {
        let CellHeader { size_class, hold_class, acknowledge, destination: _, expiry, tag, ephemeral } = *self;
        Envelope { size_class, hold_class, acknowledge, expiry, tag, ephemeral }
    }

    fn start(&self) -> [u8; 4] {
        self.envelope().start(MODE_PREFIX, self.destination.luminosity())
    }
}

/// A valid cell: its bytes, and its id computed once.
#[derive(Clone, PartialEq, Eq)]
pub struct Cell {
    bytes: Bytes,
    id: PacketId,
    header: CellHeader,
}

impl Cell {
    /// Checks and names the bytes of a cell.
    ///
    /// # Errors
    /// `Malformed` for a length that is not its class's, `UnknownVersion`, `Impossible` for reserved bits or a mode
    /// not yet spoken, `WrongReserve` if the last 200 bytes are not PRF(id). Expiry is not checked here.
    pub fn parse(bytes: Bytes) -> Result<Cell, Fault> {
        let header = parse_header(&bytes)?;
        let (core, reserve) = bytes.split_at(bytes.len() - RESERVE_LENGTH);
        let id = id_of(core);
        if reserve != reserve_of(id) { Err(Fault::WrongReserve) } else { Ok(Cell { bytes, id, header }) }
    }

    /// Builds a cell from its header, a sealed body of exactly the class's length, and randomness for everything
    /// that must look random: the address bits past the luminosity, the deed challenge and the stamp.
    ///
    /// # Panics
    /// If the body is not [`SizeClass::body_length`] long: a bug of ours.
    pub fn build(header: CellHeader, filling: [u8; 80], body: &[u8]) -> Cell {
        let (address_filling, blind) = filling.split_at(32);
        let destination = blend(&header.destination, address_filling);
        let mut bytes = header.envelope().core(header.start(), &destination, blind, body);
        let id = id_of(&bytes);
        bytes.extend_from_slice(&reserve_of(id));
        Cell { bytes: bytes.into(), id, header }
    }

    /// The packet's name.
    pub fn id(&self) -> PacketId {
        self.id
    }

    /// What the cell says to forwarders.
    pub fn header(&self) -> &CellHeader {
        &self.header
    }

    /// Whom it is for.
    pub fn destination(&self) -> Prefix {
        self.header.destination
    }

    /// Its sealed body.
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEADER_LENGTH..self.bytes.len() - RESERVE_LENGTH]
    }

    /// The same cell in memory of its own, which holds nothing else.
    pub fn copied(&self) -> Cell {
        Cell { bytes: Bytes::copy_from_slice(&self.bytes), ..self.clone() }
    }

    /// All of it, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cell({:?} to {})", self.id, self.destination())
    }
}

fn parse_header(bytes: &[u8]) -> Result<CellHeader, Fault> {
    let CoreFields { mode, luminosity, address, envelope } = envelope::parse(bytes)?;
    if mode != MODE_PREFIX {
        return Err(Fault::Impossible);
    }
    Ok(envelope.to(Prefix::of(&Address(address), Luminosity::from_byte(luminosity))))
}

/// id = BLAKE3(the cell with zeros for its reserve)[0..16]; nothing mutable is inside. Zeros up to whole chunks of
/// 1,024 bytes let BLAKE3 work on them side by side: 1.7 µs instead of 3.2 (docs/decisions/0005-hash-whole-chunks.md).
pub(super) fn id_of(core: &[u8]) -> PacketId {
    let hash = match core.len() + RESERVE_LENGTH {
        CELL_LENGTH_T => {
            let mut whole = [0; CELL_LENGTH_T];
            whole[..core.len()].copy_from_slice(core);
            blake3::hash(&whole)
        }
        _ => blake3::Hasher::new().update(core).update(&[0; RESERVE_LENGTH]).finalize(),
    };
    PacketId(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// The reserve of a cell that is not ramped: the first 200 bytes of BLAKE3 keyed with id ‖ id over nothing.
pub(super) fn reserve_of(id: PacketId) -> [u8; RESERVE_LENGTH] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&id.0);
    key[16..].copy_from_slice(&id.0);
    let mut reserve = [0; RESERVE_LENGTH];
    blake3::Hasher::new_keyed(&key).finalize_xof().fill(&mut reserve);
    reserve
}

/// The prefix's bits, then the filling's.
fn blend(prefix: &Prefix, filling: &[u8]) -> [u8; 32] {
    let mut filled: [u8; 32] = filling.try_into().expect("32 bytes of filling");
    let mine = Prefix::of(&Address(filled), prefix.luminosity()).first_address();
    for ((byte, own), revealed) in filled.iter_mut().zip(mine.0).zip(prefix.first_address().0) {
        *byte = *byte ^ own ^ revealed;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_header()(
            big: bool, hold in 0usize..4, acknowledge: bool, address: [u8; 32], luminosity: u8, expiry: u8,
            tag: [u8; 16], ephemeral: [u8; 32],
        ) -> CellHeader {
            CellHeader {
                size_class: if big { SizeClass::B } else { SizeClass::T },
                hold_class: HoldClass::ALL[hold],
                acknowledge,
                destination: Prefix::of(&Address(address), Luminosity::from_byte(luminosity)),
                expiry: ExpiryBucket(expiry),
                tag: Tag(tag),
                ephemeral,
            }
        }
    }

    fn cell(header: CellHeader, seed: u8) -> Cell {
        Cell::build(header, [seed; 80], &vec![seed; header.size_class.body_length()])
    }

    #[test]
    fn sizes_are_as_frozen() {
        assert_eq!((CELL_BODY_T, CELL_BODY_B), (1_716, 16_052));
    }

    proptest! {
        #[test]
        fn a_built_cell_parses_to_the_same_cell(header in any_header(), seed: u8) {
            let built = cell(header, seed);
            let parsed = Cell::parse(built.bytes().clone()).unwrap();
            prop_assert_eq!(parsed.header(), &header);
            prop_assert_eq!(parsed.body(), built.body());
            prop_assert_eq!(parsed, built);
        }

        #[test]
        fn any_changed_byte_is_refused_or_names_another_packet(header in any_header(), at: prop::sample::Index, bit in 0u8..8) {
            let built = cell(header, 7);
            let mut bytes = built.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Cell::parse(bytes.into()).is_err(), "the reserve binds every byte");
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Cell::parse(bytes.into());
        }
    }
}
