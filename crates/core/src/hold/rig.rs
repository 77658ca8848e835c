//! What the tests of this room are made of.

use mainframe_base::{Luminosity, PacketId, Prefix, Tag, Time};

use super::catalogue::HeldCell;
use super::shelf::Shelf;
use crate::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, SizeClass};

/// A cell for everyone, made at `now`.
pub(super) fn cell_at(now: Time, number: u8, hold_class: HoldClass) -> Cell {
    let header = CellHeader {
        size_class: SizeClass::T,
        hold_class,
        acknowledge: false,
        destination: Prefix::EVERYONE,
        expiry: ExpiryBucket::after(now, 9 * 60_000),
        tag: Tag([number; 16]),
        ephemeral: [0; 32],
    };
    Cell::build(header, [0; 80], &vec![0; SizeClass::T.body_length()])
}

/// The name of a cell that nobody reads.
pub(super) fn held_cell(number: u32, shelf: Shelf, luminosity: u16) -> HeldCell {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id[15] = 1;
    let luminosity = Luminosity::at_most(luminosity);
    HeldCell { id: PacketId(id), shelf, luminosity, tag: [0; 2], size_class: SizeClass::T }
}
