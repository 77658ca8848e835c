//! Where a held cell stands: with all others whose lives ended in the same hour and that are held as long.

use mainframe_base::Time;

use crate::wire::{Cell, ExpiryBucket, HOUR_MS, HoldClass, Hour};

/// Cells that are let go together. What is asked for and bounded is the hour, what is deleted is the shelf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Shelf {
    /// In which the cells' lives end.
    pub hour: Hour,
    /// How long they are held from there; never [`HoldClass::Live`].
    pub class: HoldClass,
}

impl Shelf {
    /// The shelf of a cell that came while it was alive; none if it is not to be held.
    pub fn of_live(now: Time, cell: &Cell) -> Option<Shelf> {
        let header = cell.header();
        Shelf::new(Hour::of(header.expiry.ends(now)), header.hold_class)
    }

    /// The shelf of a cell that somebody held for this hour; none if the cell's own expiry does not agree.
    pub fn of_hour(hour: Hour, cell: &Cell) -> Option<Shelf> {
        let header = cell.header();
        Shelf::new(hour, header.hold_class).filter(|_| ends_in(header.expiry, hour))
    }

    fn new(hour: Hour, class: HoldClass) -> Option<Shelf> {
        (class != HoldClass::Live).then_some(Shelf { hour, class })
    }

    /// When its cells may be let go: everything on it has been held for its class's hours.
    pub fn ends(&self) -> Time {
        self.hour.later(1 + self.class.hours()).start()
    }
}

/// Whether a bucket of that number ends in the hour. Numbers repeat after four and a half hours.
fn ends_in(expiry: ExpiryBucket, hour: Hour) -> bool {
    Hour::of(expiry.ends(hour.start() + HOUR_MS / 2)) == hour
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::rig::cell_at;

    #[test]
    fn a_cell_stands_in_the_hour_in_which_its_life_ends_for_as_long_as_its_class() {
        let now = Time(500_000 * HOUR_MS + 55 * 60_000);
        let shelf = Shelf::of_live(now, &cell_at(now, 1, HoldClass::Day)).unwrap();
        assert_eq!(shelf.hour, Hour(500_001), "it lives nine minutes");
        assert_eq!(shelf.ends(), Hour(500_001 + 25).start());
        assert_eq!(Shelf::of_live(now, &cell_at(now, 1, HoldClass::Live)), None);
    }

    #[test]
    fn an_hour_that_the_expiry_contradicts_is_not_believed() {
        for minute in 0..60 {
            let now = Time(500_000 * HOUR_MS + minute * 60_000);
            let cell = cell_at(now, 1, HoldClass::ThreeDays);
            let hour = Shelf::of_live(now, &cell).unwrap().hour;
            assert!(Shelf::of_hour(hour, &cell).is_some(), "minute {minute}");
            let believed = (1..=3).filter(|off| Shelf::of_hour(hour.later(*off), &cell).is_some()).count();
            assert_eq!(believed, 0, "minute {minute}");
        }
    }
}
