//! Packets to send: real cells, with random bytes where a seal would be.

use mainframe_base::{Prefix, Refusal, Tag};
use mainframe_core::wire::{BUCKET_MS, Cell, Envelope, ExpiryBucket, HoldClass, LIVE_BUCKETS_MAX, Parcel, SizeClass};

use crate::dice::Dice;
use crate::moment::Moment;

/// A cell of class T to a region. To those who cannot open it, and that is everyone here, it looks like any other.
pub fn random_cell(destination: Prefix, now: Moment, dice: &mut Dice) -> Cell {
    let envelope = random_envelope(HoldClass::Live, now, dice);
    Cell::build(envelope.to(destination), dice.bytes(), &dice.bytes::<1_716>())
}

/// A cell of class T to several regions.
///
/// # Errors
/// `TooManyTargets` if they do not fit one cell.
pub fn random_parcel(regions: Vec<Prefix>, hold: HoldClass, now: Moment, dice: &mut Dice) -> Result<Parcel, Refusal> {
    let envelope = random_envelope(hold, now, dice);
    Parcel::build(envelope, regions, dice.bytes(), &dice.bytes::<1_716>())
}

fn random_envelope(hold_class: HoldClass, now: Moment, dice: &mut Dice) -> Envelope {
    Envelope {
        size_class: SizeClass::T,
        hold_class,
        acknowledge: false,
        expiry: ExpiryBucket::after(now.time(), u64::from(LIVE_BUCKETS_MAX - 1) * BUCKET_MS),
        tag: Tag(dice.bytes()),
        ephemeral: dice.bytes(),
    }
}
