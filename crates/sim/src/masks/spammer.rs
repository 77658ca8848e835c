//! Who tells of nodes that do not exist.

use bytes::Bytes;
use mainframe_base::{Address, LinkKey, Time};
use mainframe_core::wire::{Frame, GetPeers, Neighbourhood, Peers};

use super::forgery::forge;
use super::liar::{Hand, Lie};
use crate::dice::Dice;
use crate::frames::read_control;

/// Time between two false beliefs, in milliseconds: as soon as a peer would ask again because of one
/// (`overlay/beliefs.rs`).
const BELIEF_MS: u64 = 5_000;

/// Answers every question with as many records as were asked for, all validly signed and none of anyone, as close to
/// the target as it likes: positions of hearsay are not proved (overlay.md). An unasked answer is a fault, so it makes
/// its peers ask, by saying that their neighbourhood is another than they know.
#[derive(Debug)]
pub struct Spammer {
    dice: Dice,
    due: Time,
}

impl Spammer {
    /// Begins at once.
    pub fn new(dice: Dice) -> Spammer {
        Spammer { dice, due: Time(0) }
    }

    /// Addresses that share a random number of bits with the target, so that each looks like the closest known.
    fn near(&mut self, target: &Address) -> Address {
        let mut bytes = self.dice.bytes::<32>();
        let kept = 1 + self.dice.below(4);
        bytes[..kept].copy_from_slice(&target.0[..kept]);
        Address(bytes)
    }

    fn answer(&mut self, question: &GetPeers) -> Frame {
        let records = (0..question.limit)
            .map(|_| {
                let overlay = self.near(&question.target);
                forge(&mut self.dice, overlay)
            })
            .collect();
        Frame::Peers(Peers { request: question.request, records })
    }
}

impl Lie for Spammer {
    fn hears(&mut self, hand: &mut Hand<'_>, from: LinkKey, frame: &Bytes) -> bool {
        let Some(Frame::GetPeers(question)) = read_control(frame) else { return true };
        let answer = self.answer(&question);
        hand.send(from, &answer);
        false
    }

    fn wakes(&mut self, hand: &mut Hand<'_>) {
        self.due = hand.now + BELIEF_MS;
        let neighbours = hand.relay.neighbours();
        let depth = neighbours.depth().min(255) as u8;
        for peer in neighbours.within(neighbours.depth()).to_vec() {
            let belief = Neighbourhood { depth, count: 1, digest: self.dice.bytes() };
            hand.send(peer.key, &Frame::Neighbourhood(belief));
        }
    }

    fn next_wake(&self) -> Option<Time> {
        Some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;

    #[test]
    fn a_spammer_answers_with_as_many_false_records_as_were_asked_for() {
        let mut rig = Rig::of(Spammer::new(Dice::new(1, "test")));
        let question = rig.question();
        let Frame::GetPeers(asked) = question.clone() else { unreachable!() };
        let said = rig.hears(0, question);
        let answers: Vec<_> = said
            .iter()
            .filter_map(|(_, said)| if let Frame::Peers(answer) = said { Some(answer) } else { None })
            .collect();
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].records.len(), usize::from(asked.limit));
        assert!(answers[0].records.iter().all(|record| !rig.has_peer(&record.link_key)));
    }
}
