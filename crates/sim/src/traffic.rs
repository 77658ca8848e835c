//! Packets to send: real cells, with random bytes where a seal would be.

use mainframe_base::{Prefix, Tag};
use mainframe_core::wire::{BUCKET_MS, Cell, CellHeader, ExpiryBucket, HoldClass, LIVE_BUCKETS_MAX, SizeClass};

use crate::dice::Dice;
use crate::moment::Moment;

/// A cell of class T to a region. To those who cannot open it, and that is everyone here, it looks like any other.
pub fn random_cell(destination: Prefix, now: Moment, dice: &mut Dice) -> Cell {
    let header = CellHeader {
        size_class: SizeClass::T,
        hold_class: HoldClass::Live,
        acknowledge: false,
        destination,
        expiry: ExpiryBucket::after(now.time(), u64::from(LIVE_BUCKETS_MAX - 1) * BUCKET_MS),
        tag: Tag(dice.bytes()),
        ephemeral: dice.bytes(),
    };
    Cell::build(header, dice.bytes(), &dice.bytes::<1_716>())
}
