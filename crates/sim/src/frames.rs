//! What can be told about a frame from outside, without reading all of it.

use bytes::Bytes;
use mainframe_core::wire::{FRAME_HEADER_LENGTH, Frame};

/// The kinds of frames that are treated apart here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A packet.
    Cell,
    /// "I have these."
    Digest,
    /// "Send me these."
    Pull,
    /// A sketch of recent packets.
    Recent,
    /// Questions for held cells, their answers, and wishes to hear of new ones.
    Hold,
    /// Everything else: custody, and what keeps the overlay.
    Other,
}

/// Bytes that stand for all of a cell.
///
/// A cell ends in PRF(id), and the id is a hash of all before it, so the last bytes name it as well as a hash of it
/// would, and are there already.
pub type CellName = [u8; 16];

/// What kind of frame begins like this.
pub fn kind(head: &[u8]) -> Kind {
    // docs/protocol/link.md §2: the first byte is the type
    match head.first() {
        Some(1) => Kind::Cell,
        Some(3) => Kind::Digest,
        Some(4) => Kind::Pull,
        Some(5) => Kind::Recent,
        Some(10..=12) => Kind::Hold,
        _ => Kind::Other,
    }
}

/// Whether a cell frame is on its way to its region, rather than a share of the region.
pub fn is_on_the_way(frame: &[u8]) -> bool {
    // docs/protocol/packet.md §2: a responsibility of 0xFFFF
    kind(frame) == Kind::Cell && frame.get(4..6) == Some(&[0xFF; 2])
}

/// Whether a control frame is about packets (receipts, digests, pulls, sketches, holding), rather than about the overlay.
pub fn is_about_packets(frame: &[u8]) -> bool {
    // docs/protocol/packet.md §2: types 2 to 5; holding.md §2: types 10 to 12
    matches!(frame.first(), Some(2..=5 | 10..=12))
}

/// The name of a cell, from its bytes or from a frame that ends in them.
pub fn cell_name(cell: &[u8]) -> CellName {
    *cell.last_chunk().expect("a cell is longer than its name")
}

/// What tells one frame from every other: all of a control frame, header and name of a cell frame.
pub fn telling(frame: &[u8]) -> (&[u8], &[u8]) {
    if kind(frame) == Kind::Cell && frame.len() > 2 * FRAME_HEADER_LENGTH {
        (&frame[..FRAME_HEADER_LENGTH], &frame[frame.len() - size_of::<CellName>()..])
    } else {
        (frame, &[])
    }
}

/// A control frame, read; none if it is a cell or not readable.
pub fn read_control(frame: &Bytes) -> Option<Frame> {
    if kind(frame) == Kind::Cell { None } else { Frame::decode(frame).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::wire::Recent;

    #[test]
    fn kinds_are_told_by_the_byte_the_codec_writes() {
        let kind_of = |frame: Frame| kind(&frame.encode().head);
        assert_eq!(kind_of(Frame::Digest(Vec::new())), Kind::Digest);
        assert_eq!(kind_of(Frame::Pull(Vec::new())), Kind::Pull);
        assert_eq!(kind_of(Frame::Recent(Recent { salt: 0, bits: vec![0] })), Kind::Recent);
        assert_eq!(kind_of(Frame::Custody(Vec::new())), Kind::Other);
    }
}
