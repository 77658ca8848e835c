//! Who does not tell what it has, or serves it too late to be of use.

use std::collections::VecDeque;

use bytes::Bytes;
use mainframe_base::{LinkKey, Time};
use mainframe_core::wire::OutFrame;

use super::liar::{Hand, Lie};
use crate::frames::{Kind, kind};

/// Spreads packets, but never tells of one by digest nor answers a pull: the holes that others leave stay open as far
/// as it goes (review P18).
#[derive(Clone, Copy, Debug)]
pub struct Withholder;

impl Lie for Withholder {
    fn hears(&mut self, _hand: &mut Hand<'_>, _from: LinkKey, frame: &Bytes) -> bool {
        kind(frame) != Kind::Pull
    }

    fn says(&mut self, _hand: &mut Hand<'_>, _to: LinkKey, frame: &OutFrame) -> bool {
        kind(&frame.head) != Kind::Digest
    }
}

/// How long a pull waits, in milliseconds: longer than anyone waits for an answer, which is twice the 3 s of the
/// slowest receipt (packet.md §4, §5).
pub const LATE_MS: u64 = 7_000;

/// Tells of what it has and answers pulls when the asker has asked elsewhere: each of its answers is a copy too many.
#[derive(Default, Debug)]
pub struct LateServer {
    late: VecDeque<(Time, LinkKey, OutFrame)>,
    /// Who pulled last, and until when copies to it count as answers.
    asked: VecDeque<(Time, LinkKey)>,
}

impl Lie for LateServer {
    fn hears(&mut self, hand: &mut Hand<'_>, from: LinkKey, frame: &Bytes) -> bool {
        if kind(frame) == Kind::Pull {
            self.asked.push_back((hand.now, from));
        }
        true
    }

    fn says(&mut self, hand: &mut Hand<'_>, to: LinkKey, frame: &OutFrame) -> bool {
        while self.asked.pop_front_if(|(at, _)| *at < hand.now).is_some() {}
        // A relay answers a pull in the very step in which it hears it.
        let answers = kind(&frame.head) == Kind::Cell && self.asked.iter().any(|(_, asker)| *asker == to);
        if answers {
            self.late.push_back((hand.now + LATE_MS, to, frame.clone()));
        }
        !answers
    }

    fn wakes(&mut self, hand: &mut Hand<'_>) {
        while let Some((_, to, frame)) = self.late.pop_front_if(|(due, _, _)| *due <= hand.now) {
            hand.let_out(to, frame);
        }
    }

    fn next_wake(&self) -> Option<Time> {
        self.late.front().map(|(due, _, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;
    use mainframe_base::Luminosity;
    use mainframe_core::wire::{Frame, PullEntry};

    fn cells(said: &[(LinkKey, Frame)]) -> usize {
        said.iter().filter(|(_, said)| matches!(said, Frame::Cell(_))).count()
    }

    #[test]
    fn a_withholder_spreads_what_it_gets_but_serves_no_pull() {
        let mut rig = Rig::of(Withholder);
        let near = rig.near_cell();
        assert!(cells(&rig.hears(0, rig.cell_frame(near.clone(), None))) > 0);
        let pull = Frame::Pull(vec![PullEntry { id: near.id(), responsibility: Luminosity::FULL }]);
        let asker = rig.peer_in(&near);
        let said = rig.hears(asker, pull);
        assert_eq!(cells(&said), 0);
        assert!(rig.wait(30_000).iter().all(|(_, said)| !matches!(said, Frame::Digest(_))));
    }

    #[test]
    fn a_late_server_answers_a_pull_when_nobody_waits_for_it() {
        let mut rig = Rig::of(LateServer::default());
        let near = rig.near_cell();
        rig.hears(0, rig.cell_frame(near.clone(), None));
        rig.wait(20_000);
        let asker = rig.peer_in(&near);
        let key = rig.peer_key(asker);
        let pull = Frame::Pull(vec![PullEntry { id: near.id(), responsibility: Luminosity::FULL }]);
        assert_eq!(cells(&rig.hears(asker, pull)), 0);
        let to_asker =
            |said: Vec<(LinkKey, Frame)>| cells(&said.into_iter().filter(|(to, _)| *to == key).collect::<Vec<_>>());
        assert_eq!(to_asker(rig.wait(LATE_MS - 1)), 0);
        assert!(to_asker(rig.wait(1)) > 0);
    }
}
