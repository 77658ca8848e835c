//! A shelf: cells that end together, and the names of its files.

use mainframe_core::wire::{HoldClass, SizeClass};

/// Cells whose live expiry lies in the same hour and that are held equally long.
///
/// The class says how long *this node* keeps them. What the sender asked for is in each cell's own header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Shelf {
    hour: u32,
    hours: u32,
}

impl Shelf {
    /// The shelf of cells that expire in `hour` (whole hours since the Unix epoch) and are held for `class` after it;
    /// none for [`HoldClass::Live`], which is not held.
    pub fn of(hour: u32, class: HoldClass) -> Option<Shelf> {
        hours_of(class).map(|hours| Shelf { hour, hours })
    }

    /// The hour since the Unix epoch in which its cells expire as live ones.
    pub fn hour(self) -> u32 {
        self.hour
    }

    /// How long its cells are held; never [`HoldClass::Live`].
    pub fn class(self) -> HoldClass {
        class_of(self.hours).expect("a shelf is made of a class")
    }

    /// The hour since the Unix epoch at whose beginning all its cells end.
    pub fn ends(self) -> u32 {
        self.hour.saturating_add(1).saturating_add(self.hours)
    }

    /// Under which name its cells of one size lie.
    pub(super) fn file_name(self, size: SizeClass) -> String {
        let size = match size {
            SizeClass::T => "t",
            SizeClass::B => "b",
        };
        format!("{}-{}-{size}.cells", self.hour, self.hours)
    }

    /// Whose file this is; none if it is not one of ours.
    pub(super) fn of_file_name(name: &str) -> Option<(Shelf, SizeClass)> {
        let (hour, rest) = name.split_once('-')?;
        let (hours, _) = rest.split_once('-')?;
        let class = class_of(hours.parse().ok()?)?;
        let shelf = Shelf::of(hour.parse().ok()?, class)?;
        // Only the one spelling we write: `007-1-t.cells` must not be a second file of the same shelf.
        [SizeClass::T, SizeClass::B]
            .map(|size| (shelf, size))
            .into_iter()
            .find(|(shelf, size)| shelf.file_name(*size) == name)
    }
}

/// Hours a class is held (docs/protocol/packet.md §1).
fn hours_of(class: HoldClass) -> Option<u32> {
    match class {
        HoldClass::Live => None,
        HoldClass::Hour => Some(1),
        HoldClass::Day => Some(24),
        HoldClass::ThreeDays => Some(72),
    }
}

fn class_of(hours: u32) -> Option<HoldClass> {
    [HoldClass::Hour, HoldClass::Day, HoldClass::ThreeDays].into_iter().find(|class| hours_of(*class) == Some(hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_shelf_end_when_the_last_of_them_was_held_long_enough() {
        assert_eq!(Shelf::of(100, HoldClass::Day).map(Shelf::ends), Some(125));
        assert_eq!(Shelf::of(u32::MAX, HoldClass::ThreeDays).map(Shelf::ends), Some(u32::MAX));
        assert_eq!(Shelf::of(100, HoldClass::Live), None);
    }

    #[test]
    fn a_file_is_known_by_its_one_name() {
        for class in [HoldClass::Hour, HoldClass::Day, HoldClass::ThreeDays] {
            for size in [SizeClass::T, SizeClass::B] {
                let shelf = Shelf::of(494_321, class).unwrap();
                assert_eq!(Shelf::of_file_name(&shelf.file_name(size)), Some((shelf, size)));
                assert_eq!(shelf.class(), class);
            }
        }
        assert_eq!(Shelf::of(7, HoldClass::ThreeDays).unwrap().file_name(SizeClass::B), "7-72-b.cells");
        for name in
            ["07-72-b.cells", "+7-72-b.cells", "7-2-b.cells", "7-72-b.cells.old", "7-72", "7-72-c.cells", "lock", "-"]
        {
            assert_eq!(Shelf::of_file_name(name), None, "{name}");
        }
    }
}
