//! Cells for tests.

use mainframe_base::{Address, Luminosity, Prefix, Tag};
use mainframe_core::switchboard::Shelf;
use mainframe_core::wire::{Cell, CellHeader, ExpiryBucket, HoldClass, Hour, SizeClass};

/// A cell like no other number's.
pub(super) fn cell(size_class: SizeClass, number: u32) -> Cell {
    let header = CellHeader {
        size_class,
        hold_class: HoldClass::Day,
        acknowledge: false,
        destination: Prefix::of(&Address([0xA5; 32]), Luminosity::from_byte(12)),
        expiry: ExpiryBucket(7),
        tag: Tag([3; 16]),
        ephemeral: [4; 32],
    };
    let mut body = vec![0; size_class.body_length()];
    body[..4].copy_from_slice(&number.to_be_bytes());
    Cell::build(header, [5; 80], &body)
}

/// A small cell.
pub(super) fn small(number: u32) -> Cell {
    cell(SizeClass::T, number)
}

/// A shelf of an hour.
pub(super) fn shelf(hour: u32) -> Shelf {
    Shelf { hour: Hour(hour), class: HoldClass::Day }
}
