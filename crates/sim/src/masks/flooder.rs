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
/// It floods one victim for so long, and then rests …
const FLOOD_MS: u64 = 60_000;
/// … until so much time has passed, in milliseconds. A real one would flood all its peers all the time; here an hour of
/// that would take days, and what a victim can be made to hold it holds after the first second.
const ROUND_MS: u64 = 240_000;

/// Announces packets that do not exist as fast as it may, and so never answers a pull for one (review P18): everyone
/// who hears it waits, pulls, and waits again, and has less memory left for packets that do exist.
#[derive(Debug)]
pub struct Flooder {
    dice: Dice,
    due: Time,
    victim: Option<(LinkKey, Time)>,
}

impl Flooder {
    /// Begins at once.
    pub fn new(dice: Dice) -> Flooder {
        Flooder { dice, due: Time(0), victim: None }
    }

    /// Whom it floods now; a new one is flooded with all that it can be at once.
    fn choose_victim(&mut self, hand: &mut Hand<'_>) {
        let peers = hand.relay.neighbours();
        let Some(chosen) = self.dice.pick(peers.all()).map(|peer| peer.key) else { return };
        self.victim = Some((chosen, hand.now));
        self.flood(hand, chosen, LINES_AT_ONCE);
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
        self.due = hand.now + EVERY_MS;
        match self.victim {
            Some((victim, since)) if hand.now.since_ms(since) < FLOOD_MS => {
                self.flood(hand, victim, LINES_PER_S * EVERY_MS / 1_000);
            }
            Some((_, since)) if hand.now.since_ms(since) < ROUND_MS => {}
            Some(_) | None => self.choose_victim(hand),
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
    fn a_flooder_announces_as_much_as_it_may_and_no_more() {
        let mut rig = Rig::of(Flooder::new(Dice::new(1, "test")));
        let mut lines = std::collections::BTreeMap::new();
        for (to, said) in rig.wait(10_000) {
            if let Frame::Digest(entries) = said {
                *lines.entry(to).or_insert(0) += entries.len() as u64;
            }
        }
        assert_eq!(lines.len(), 1, "one victim at a time");
        for told in lines.into_values() {
            assert!((LINES_AT_ONCE + 7_000..8_192 + 10 * 1_024).contains(&told), "{told}");
        }
    }
}
