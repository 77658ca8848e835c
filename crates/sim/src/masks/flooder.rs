//! Who announces packets that do not exist.

use mainframe_base::{LinkKey, Luminosity, PacketId, Time};
use mainframe_core::wire::{DIGESTS_MAX, DigestEntry, Frame, SizeClass};

use super::liar::{Hand, Lie};
use crate::dice::Dice;

/// Time between two floods of one victim, in milliseconds.
const EVERY_MS: u64 = 500;
/// Lines a second to one victim: the 1,024 that are no fault yet, less a fifth for frames that bunch and for what the
/// relay behind says itself (`packet/flow.rs`).
const LINES_PER_S: u64 = 800;
/// Lines of the first flood: of the 8,192 at once that are no fault, the same part.
const LINES_AT_ONCE: u64 = 6_500;
/// Victims at a time: as many as let an hour of virtual time end in minutes; a real one floods all its peers.
const VICTIMS: usize = 2;

/// Announces packets that do not exist as fast as it may, and so never answers a pull for one (review P18): everyone
/// who hears it waits, pulls, and waits again, and has less memory left for packets that do exist.
#[derive(Debug)]
pub struct Flooder {
    dice: Dice,
    due: Time,
    victims: Vec<LinkKey>,
}

impl Flooder {
    /// Begins when it first can.
    pub fn new(dice: Dice) -> Flooder {
        Flooder { dice, due: Time(0), victims: Vec::new() }
    }

    fn choose_victims(&mut self, hand: &mut Hand<'_>) {
        let peers = hand.relay.neighbours();
        self.victims.retain(|victim| peers.find(victim).is_some());
        while self.victims.len() < VICTIMS.min(peers.all().len()) {
            let chosen = peers.all()[self.dice.below(peers.all().len())].key;
            if !self.victims.contains(&chosen) {
                self.victims.push(chosen);
                self.flood(hand, chosen, LINES_AT_ONCE);
            }
        }
    }

    fn flood(&mut self, hand: &mut Hand<'_>, victim: LinkKey, lines: u64) {
        let mut entries: Vec<DigestEntry> = (0..lines)
            .map(|_| DigestEntry {
                id: PacketId(self.dice.bytes()),
                responsibility: Luminosity::FULL,
                size_class: SizeClass::T,
            })
            .collect();
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(DIGESTS_MAX));
            hand.send(victim, &Frame::Digest(std::mem::replace(&mut entries, rest)));
        }
    }
}

impl Lie for Flooder {
    fn wakes(&mut self, hand: &mut Hand<'_>) {
        for victim in self.victims.clone() {
            self.flood(hand, victim, LINES_PER_S * EVERY_MS / 1_000);
        }
        self.choose_victims(hand);
        self.due = hand.now + EVERY_MS;
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
    fn a_flooder_announces_as_much_as_it_may_and_no_more() {
        let mut rig = Rig::of(Flooder::new(Dice::new(1, "test")));
        let mut lines = std::collections::BTreeMap::new();
        for (to, said) in rig.wait(10_000) {
            if let Frame::Digest(entries) = said {
                *lines.entry(to).or_insert(0) += entries.len() as u64;
            }
        }
        assert_eq!(lines.len(), VICTIMS);
        for told in lines.into_values() {
            assert!((LINES_AT_ONCE + 7_000..8_192 + 10 * 1_024).contains(&told), "{told}");
        }
    }
}
