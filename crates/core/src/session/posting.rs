//! From a frame to cells: split, sealed link by link, one set of cells for each place.

use mainframe_base::{Prefix, Tag, Time};
use rand_core::CryptoRng;

use super::fragment::{FrameKind, split};
use crate::crypto::{Sealed, TagLink};
use crate::wire::{Cell, CellHeader, ExpiryBucket, HoldClass};

/// How a session's cells are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    /// Where to.
    pub(super) places: &'a [Prefix],
    /// How long relays keep them.
    pub(super) hold: HoldClass,
}

/// The cells of one frame. Every place gets its own, under the same tags and other keys.
///
/// `take` gives as many links of our chain as asked for. `None` if the frame is too long.
pub(super) fn cells(
    now: Time,
    rng: &mut impl CryptoRng,
    manner: Manner<'_>,
    kind: FrameKind,
    frame: &[u8],
    take: impl FnOnce(usize) -> Vec<TagLink>,
) -> Option<Vec<Cell>> {
    let (size_class, plaintexts) = split(kind, frame, rng.next_u32())?;
    let links = take(plaintexts.len());
    let mut cells = Vec::with_capacity(plaintexts.len() * manner.places.len());
    for destination in manner.places {
        for (link, plaintext) in links.iter().zip(&plaintexts) {
            let header = CellHeader {
                size_class,
                hold_class: manner.hold,
                acknowledge: false,
                destination: *destination,
                expiry: ExpiryBucket::of_new_cell(now, rng),
                tag: Tag([0; 16]),
                ephemeral: [0; 32],
            };
            let sealed = link.seal(rng, &header.associated(), plaintext);
            cells.push(build(rng, header, sealed));
        }
    }
    Some(cells)
}

/// The cell with these sealed fields.
pub(super) fn build(rng: &mut impl CryptoRng, header: CellHeader, sealed: Sealed) -> Cell {
    let mut filling = [0; 80];
    rng.fill_bytes(&mut filling);
    Cell::build(CellHeader { tag: sealed.tag, ephemeral: sealed.ephemeral, ..header }, filling, &sealed.body)
}
