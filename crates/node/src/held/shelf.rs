//! The names of a shelf's files: `<hour>-<hours held>-<t|b>.cells`.

use mainframe_core::switchboard::Shelf;
use mainframe_core::wire::{HoldClass, Hour, SizeClass};

/// Under which name a shelf's cells of one size lie.
pub(super) fn file_name(shelf: Shelf, size: SizeClass) -> String {
    let size = match size {
        SizeClass::T => "t",
        SizeClass::B => "b",
    };
    format!("{}-{}-{size}.cells", shelf.hour.0, shelf.class.hours())
}

/// Whose file this is; none if it is not one of ours.
pub(super) fn of_file_name(name: &str) -> Option<(Shelf, SizeClass)> {
    let (hour, rest) = name.split_once('-')?;
    let (hours, _) = rest.split_once('-')?;
    let shelf = Shelf { hour: Hour(hour.parse().ok()?), class: class_of(hours.parse().ok()?)? };
    // Only the one spelling we write: `007-1-t.cells` must not be a second file of the same shelf.
    [SizeClass::T, SizeClass::B]
        .map(|size| (shelf, size))
        .into_iter()
        .find(|(shelf, size)| file_name(*shelf, *size) == name)
}

/// The class that is held so long; live cells are not.
fn class_of(hours: u32) -> Option<HoldClass> {
    HoldClass::ALL.into_iter().find(|class| *class != HoldClass::Live && class.hours() == hours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_one_name() {
        for class in [HoldClass::Hour, HoldClass::Day, HoldClass::ThreeDays] {
            for size in [SizeClass::T, SizeClass::B] {
                let shelf = Shelf { hour: Hour(494_321), class };
                assert_eq!(of_file_name(&file_name(shelf, size)), Some((shelf, size)));
            }
        }
        let shelf = Shelf { hour: Hour(7), class: HoldClass::ThreeDays };
        assert_eq!(file_name(shelf, SizeClass::B), "7-72-b.cells");
        for name in [
            "07-72-b.cells",
            "+7-72-b.cells",
            "7-2-b.cells",
            "7-0-b.cells",
            "7-72-b.cells.old",
            "7-72",
            "7-72-c.cells",
            "lock",
            "-",
        ] {
            assert_eq!(of_file_name(name), None, "{name}");
        }
    }
}
