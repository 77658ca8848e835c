//! What a cell says whatever region it goes to, and how the 132 bytes before its body are laid out.

use mainframe_base::{Fault, Luminosity, Prefix, Tag};

use super::cell::{CellHeader, HoldClass, SizeClass, VERSION};
use super::clock::ExpiryBucket;
use crate::codec::Reader;

/// What the first 132 bytes of a cell say besides its region: the same in all the cells that part from one list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// 2,048 or 16,384 bytes.
    pub size_class: SizeClass,
    /// How long to keep it for those who are away.
    pub hold_class: HoldClass,
    /// Whether the receiver is asked for an `Ack`.
    pub acknowledge: bool,
    /// When it expires.
    pub expiry: ExpiryBucket,
    /// By what the receiver knows it as his.
    pub tag: Tag,
    /// An Elligator2-encoded ephemeral key, or random.
    pub ephemeral: [u8; 32],
}

impl Envelope {
    /// The header of the cell that goes to this region.
    pub fn to(&self, destination: Prefix) -> CellHeader {
        let Envelope { size_class, hold_class, acknowledge, expiry, tag, ephemeral } = *self;
        CellHeader { size_class, hold_class, acknowledge, destination, expiry, tag, ephemeral }
    }

    /// The bytes a seal binds besides the body when the cell may go to several regions: version, flags, expiry. Neither mode
    /// nor region is among them, so that one sealing serves all regions.
    pub fn associated(&self) -> [u8; 3] {
        [VERSION, self.flags(0), self.expiry.0]
    }

    /// The first four bytes of a cell.
    pub(super) fn start(&self, mode: u8, luminosity: Luminosity) -> [u8; 4] {
        [VERSION, self.flags(mode), luminosity.to_byte(), self.expiry.0]
    }

    /// A cell without its reserve.
    ///
    /// # Panics
    /// If the body is not [`SizeClass::body_length`] long: a bug of ours.
    pub(super) fn core(&self, start: [u8; 4], destination: &[u8; 32], blind: &[u8], body: &[u8]) -> Vec<u8> {
        assert_eq!(body.len(), self.size_class.body_length(), "a body fills its cell");
        let mut bytes = Vec::with_capacity(self.size_class.cell_length());
        bytes.extend_from_slice(&start);
        bytes.extend_from_slice(destination);
        bytes.extend_from_slice(&self.tag.0);
        bytes.extend_from_slice(&self.ephemeral);
        bytes.extend_from_slice(blind);
        bytes.extend_from_slice(body);
        bytes
    }

    fn flags(&self, mode: u8) -> u8 {
        let hold = HoldClass::ALL.iter().position(|class| *class == self.hold_class).expect("listed") as u8;
        let acknowledge = u8::from(self.acknowledge) << 3;
        let large = u8::from(self.size_class == SizeClass::B) << 2;
        mode << 6 | hold << 4 | acknowledge | large
    }
}

/// The fields before the body, as they stand there.
pub(super) struct CoreFields {
    pub(super) mode: u8,
    pub(super) luminosity: u8,
    pub(super) address: [u8; 32],
    pub(super) envelope: Envelope,
}

/// Reads the fields of a cell of any mode.
///
/// # Errors
/// `UnknownVersion`, `Impossible` for reserved bits, `Malformed` for a length that is not its class's.
pub(super) fn parse(bytes: &[u8]) -> Result<CoreFields, Fault> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return Err(Fault::UnknownVersion);
    }
    let flags = reader.u8()?;
    if flags & 0b11 != 0 {
        return Err(Fault::Impossible);
    }
    let size_class = if flags & 0b100 == 0 { SizeClass::T } else { SizeClass::B };
    if bytes.len() != size_class.cell_length() {
        return Err(Fault::Malformed);
    }
    let luminosity = reader.u8()?;
    let expiry = ExpiryBucket(reader.u8()?);
    let address = reader.array()?;
    let envelope = Envelope {
        size_class,
        hold_class: HoldClass::ALL[usize::from(flags >> 4 & 0b11)],
        acknowledge: flags & 0b1000 != 0,
        expiry,
        tag: Tag(reader.array()?),
        ephemeral: reader.array()?,
    };
    Ok(CoreFields { mode: flags >> 6, luminosity, address, envelope })
}
