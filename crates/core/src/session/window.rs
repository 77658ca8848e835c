//! Which tags of one device are awaited: a stretch of its chain, wide enough for what is lost or overtakes, and the first
//! link of every stage for some way ahead, for whoever lost more than that.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mainframe_base::{Secret, Tag};

use crate::codec::Reader;
use crate::crypto::{Milestones, STAGE_LINKS, TagChain, TagLink};

/// How far ahead a device's tags are awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Width {
    /// Links beyond the highest that came.
    pub(super) links: u64,
    /// Stages of 64 beyond those, of which the first link is awaited.
    pub(super) milestones: u64,
}

impl Width {
    /// Where two devices talk (links: review P26; milestones: 16,384 cells, more than are held of one device, a guess).
    pub(super) const PAIR: Width = Width { links: 256, milestones: 256 };
    /// For each device of a larger group (the same; 4,096 cells).
    pub(super) const GROUP: Width = Width { links: 64, milestones: 64 };
}

/// Gaps are remembered this far behind the newest awaited link: what is older than 4,096 cells of one device was given up
/// by everyone long ago (guess).
const SPAN_MAX: u64 = 4_096;

/// The awaited links of one device in one epoch.
pub(super) struct Window {
    /// Stands at the lowest link that has not come and was not given up.
    base: TagChain,
    /// Stands behind the last link of the stretch.
    head: TagChain,
    /// The milestones beyond those that are awaited.
    ahead: Milestones,
    /// The stretch without what came, and the milestones beyond it.
    awaited: BTreeMap<u64, TagLink>,
    width: Width,
}

/// Tags that are awaited from now on, and tags that are no more.
#[derive(Default, Debug)]
pub(super) struct Moved {
    pub(super) added: Vec<(Tag, u64)>,
    pub(super) removed: Vec<Tag>,
}

impl Window {
    /// Awaits the first links of a chain.
    pub(super) fn new(chain: TagChain, width: Width) -> Window {
        let ahead = chain.milestones();
        let mut window = Window { base: chain.clone(), head: chain, ahead, awaited: BTreeMap::new(), width };
        window.extend(width.links);
        window
    }

    /// Every awaited tag and its number.
    pub(super) fn tags(&self) -> impl Iterator<Item = (Tag, u64)> {
        self.awaited.values().map(|link| (link.tag, link.number))
    }

    /// The link of an awaited number.
    pub(super) fn link(&self, number: u64) -> Option<&TagLink> {
        self.awaited.get(&number)
    }

    /// The cell of that number came, and was whole: it is awaited no more, and the window moves on. Behind a milestone the
    /// gap stays awaited as far as gaps do.
    pub(super) fn came(&mut self, number: u64) -> Moved {
        let Some(link) = self.awaited.remove(&number) else { return Moved::default() };
        let mut moved = self.extend(number + 1 + self.width.links);
        // The stretch may just have come to it, or gone past it.
        if self.awaited.remove(&number).is_some() {
            moved.added.retain(|(_, other)| *other != number);
            moved.removed.extend(self.move_base());
        }
        moved.removed.push(link.tag);
        moved
    }

    fn extend(&mut self, end: u64) -> Moved {
        let mut moved = Moved::default();
        while self.head.next() < end {
            let link = self.head.advance();
            moved.added.extend(self.await_link(link));
        }
        moved.removed = self.move_base();
        moved.added.extend(self.look_ahead());
        moved.added.retain(|(_, number)| self.awaited.contains_key(number));
        moved
    }

    /// Leaves behind what came, and gaps that are too old; says which of these were still awaited.
    fn move_base(&mut self) -> Vec<Tag> {
        let mut given_up = Vec::new();
        while self.base.next() < self.head.next() {
            let lowest = self.base.next();
            if self.awaited.contains_key(&lowest) && self.head.next() - lowest <= SPAN_MAX {
                break;
            }
            given_up.extend(self.awaited.remove(&lowest).map(|link| link.tag));
            self.base.advance();
        }
        given_up
    }

    /// Awaits the milestones ahead that are not awaited yet.
    fn look_ahead(&mut self) -> Vec<(Tag, u64)> {
        let last = self.last_milestone();
        let mut added = Vec::new();
        while self.ahead.number() <= last {
            let link = self.ahead.next().expect("they have no end");
            added.extend(self.await_link(link));
        }
        added
    }

    /// Awaits a link, unless it is awaited already.
    fn await_link(&mut self, link: TagLink) -> Option<(Tag, u64)> {
        let Entry::Vacant(place) = self.awaited.entry(link.number) else { return None };
        let added = (link.tag, link.number);
        place.insert(link);
        Some(added)
    }

    /// The number of the furthest milestone to await: it moves once in a stage.
    fn last_milestone(&self) -> u64 {
        let first = self.head.next().next_multiple_of(STAGE_LINKS);
        first + (self.width.milestones - 1) * STAGE_LINKS
    }

    /// What is kept over a restart: secrets of the base 64 | its number 8 | number behind the stretch 8 | links and
    /// milestones of the width 8 each | one bit for each link of the stretch, set if it came.
    pub(super) fn encode(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut row = zeroize::Zeroizing::new(Vec::new());
        row.extend_from_slice(self.base.secrets().expose());
        for number in [self.base.next(), self.head.next(), self.width.links, self.width.milestones] {
            row.extend_from_slice(&number.to_be_bytes());
        }
        row.extend_from_slice(&self.came_bits());
        row
    }

    /// One bit for each link of the stretch, the lowest first, set if it came. It is kept anew for every cell: the links that
    /// are awaited are gone through once, not looked for.
    fn came_bits(&self) -> Vec<u8> {
        let (from, until) = (self.base.next(), self.head.next());
        let span = (until - from) as usize;
        let mut bits = vec![u8::MAX; span.div_ceil(8)];
        let clear = |bits: &mut Vec<u8>, index: usize| bits[index / 8] &= !(1 << (index % 8));
        self.awaited.range(from..until).for_each(|(number, _)| clear(&mut bits, (number - from) as usize));
        (span..bits.len() * 8).for_each(|index| clear(&mut bits, index));
        bits
    }

    /// The window a row was made from; `None` if it is damaged.
    pub(super) fn decode(row: &[u8]) -> Option<Window> {
        let mut reader = Reader::new(row);
        let secrets = Secret::new(reader.array().ok()?);
        let [from, until] = [reader.u64().ok()?, reader.u64().ok()?];
        let width = Width { links: reader.u64().ok()?, milestones: reader.u64().ok()? };
        let span = until.checked_sub(from).filter(|span| *span <= SPAN_MAX)?;
        if ![Width::PAIR, Width::GROUP].contains(&width) || until > u64::MAX / 2 {
            return None;
        }
        let came = reader.bytes((span as usize).div_ceil(8)).ok()?;
        reader.finish().ok()?;
        let base = TagChain::at(&secrets, from);
        let mut head = base.clone();
        let links = (0..span as usize).map(|index| (head.advance(), came[index / 8] >> (index % 8) & 1 == 1));
        let awaited = links.filter(|(_, came)| !came).map(|(link, _)| (link.number, link)).collect();
        let ahead = head.milestones();
        let mut window = Window { base, head, ahead, awaited, width };
        window.look_ahead();
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window() -> Window {
        Window::new(TagChain::new(Secret::new([3; 32])), Width::GROUP)
    }

    fn awaits(window: &Window, number: u64) -> bool {
        window.link(number).is_some()
    }

    #[test]
    fn what_came_is_awaited_no_more_and_the_window_moves_on() {
        let mut window = window();
        assert!(awaits(&window, 63) && awaits(&window, 64) && !awaits(&window, 65));
        let moved = window.came(5);
        assert!(moved.added.iter().any(|(_, number)| *number == 69));
        assert!(awaits(&window, 4) && !awaits(&window, 5) && awaits(&window, 69) && !awaits(&window, 70));
        assert!(window.came(5).removed.is_empty());
    }

    #[test]
    fn who_lost_a_thousand_cells_goes_on_at_the_next_milestone() {
        let mut window = window();
        let lost = 1_000;
        assert!(!awaits(&window, lost));
        let milestone = (lost / 64 + 1) * 64;
        window.came(milestone);
        assert!(awaits(&window, milestone + 1) && awaits(&window, milestone + 64));
        assert!(awaits(&window, lost), "what comes late is still known");
        assert!(awaits(&window, milestone + 64 * 64));
        assert!(!awaits(&window, milestone));
    }

    #[test]
    fn gaps_are_given_up_only_far_behind() {
        let mut window = window();
        (1..SPAN_MAX).for_each(|number| drop(window.came(number)));
        assert!(!awaits(&window, 0));
    }

    proptest! {
        #[test]
        fn a_kept_window_awaits_the_same_tags(came in prop::collection::vec(0u64..200, 0..90)) {
            let mut window = window();
            came.iter().for_each(|number| drop(window.came(*number)));
            let kept = Window::decode(&window.encode()).unwrap();
            prop_assert!(kept.tags().eq(window.tags()));
            prop_assert_eq!(kept.encode(), window.encode());
        }

        #[test]
        fn what_is_told_of_a_move_is_what_changed(came in prop::collection::vec(0u64..300, 0..60)) {
            let mut window = window();
            let mut told: std::collections::BTreeSet<(Tag, u64)> = window.tags().collect();
            for number in came {
                let moved = window.came(number);
                told.extend(moved.added);
                told.retain(|(tag, _)| !moved.removed.contains(tag));
                prop_assert!(told.iter().copied().eq(window.tags().collect::<std::collections::BTreeSet<_>>()));
            }
        }

        #[test]
        fn a_damaged_row_is_no_window_and_no_panic(row: Vec<u8>) {
            let _ = Window::decode(&row);
        }
    }
}
