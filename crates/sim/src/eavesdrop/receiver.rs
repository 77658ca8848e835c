//! Who may be the receiver of a packet, and who still may after many.

use std::collections::BTreeSet;

use mainframe_base::Prefix;

use super::attribution::Atlas;
use crate::dice::Dice;
use crate::figures::{least, mean};
use crate::node::NodeId;

/// The relays that may be the receiver's: those of the region, but for the observers' own.
pub fn candidates(prefix: &Prefix, atlas: &Atlas, members: &BTreeSet<NodeId>) -> usize {
    atlas.iter().filter(|(id, address)| prefix.matches(address) && !members.contains(id)).count()
}

/// How uncertain an observer is who sees so many candidates and no difference between them, in bits.
pub fn entropy_bits(candidates: usize) -> f64 {
    (candidates.max(1) as f64).log2()
}

/// What remains uncertain, over several packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Uncertainty {
    /// Candidates, on the mean.
    pub candidates_mean: f64,
    /// The fewest.
    pub candidates_min: f64,
    /// Bits, on the mean.
    pub entropy_mean: f64,
    /// The fewest.
    pub entropy_min: f64,
}

impl Uncertainty {
    /// Of packets with so many candidates each.
    pub fn of(candidates: &[usize]) -> Uncertainty {
        let counts: Vec<f64> = candidates.iter().map(|count| *count as f64).collect();
        let bits: Vec<f64> = candidates.iter().map(|count| entropy_bits(*count)).collect();
        Uncertainty {
            candidates_mean: mean(&counts),
            candidates_min: least(&counts),
            entropy_mean: mean(&bits),
            entropy_min: least(&bits),
        }
    }
}

/// Candidates left after so many packets of one conversation, each of which found the receiver online: those that
/// were online every time, the receiver among them. The others are online independently, each time with the chance
/// `presence_per_million`.
pub fn remaining(candidates: usize, packets: u32, presence_per_million: u32, dice: &mut Dice) -> usize {
    let others = candidates.saturating_sub(1);
    let stayed = (0..others).filter(|_| (0..packets).all(|_| dice.happens(presence_per_million))).count();
    stayed + candidates.min(1)
}

/// How many of the candidates are left who can have got every one of so many packets that were held for so many hours:
/// whoever was online at the packet or in one of the hours after it fetched it, as the receiver did.
pub fn remaining_held(
    candidates: usize,
    packets: u32,
    presence_per_million: u32,
    hours: u32,
    dice: &mut Dice,
) -> usize {
    let others = candidates.saturating_sub(1);
    let mut got_it = || (0..=hours).any(|_| dice.happens(presence_per_million));
    let stayed = (0..others).filter(|_| (0..packets).all(|_| got_it())).count();
    stayed + candidates.min(1)
}

/// What [`remaining`] should be on the mean.
pub fn remaining_expected(candidates: usize, packets: u32, presence_per_million: u32) -> f64 {
    let presence = f64::from(presence_per_million) / 1e6;
    candidates.min(1) as f64 + candidates.saturating_sub(1) as f64 * presence.powi(packets as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{Address, Luminosity};

    #[test]
    fn observers_rule_out_themselves_and_whoever_is_elsewhere() {
        let address = |first| Address([first; 32]);
        let atlas: Atlas = [(NodeId(0), address(0x10)), (NodeId(1), address(0x20)), (NodeId(2), address(0x80))].into();
        let prefix = Prefix::of(&address(0), Luminosity::at_most(1));
        assert_eq!(candidates(&prefix, &atlas, &BTreeSet::new()), 2);
        assert_eq!(candidates(&prefix, &atlas, &BTreeSet::from([NodeId(1)])), 1);
        assert_eq!((entropy_bits(1), entropy_bits(8)), (0.0, 3.0));
    }

    #[test]
    fn packets_that_are_held_thin_out_nobody_who_comes_within_their_hours() {
        let mut dice = Dice::new(1, "test");
        assert!(remaining_held(1_000, 50, 800_000, 24, &mut dice) >= 999);
        let left = remaining_held(10_000, 1, 500_000, 1, &mut dice);
        assert!((7_300..7_700).contains(&left), "{left}");
    }

    #[test]
    fn each_packet_thins_out_those_who_come_and_go_and_none_of_those_who_stay() {
        let mut dice = Dice::new(1, "test");
        assert_eq!(remaining(100, 50, 1_000_000, &mut dice), 100);
        assert_eq!(remaining(100, 5, 0, &mut dice), 1, "the receiver remains");
        let left = (0..200).map(|_| remaining(100, 3, 800_000, &mut dice) as f64).sum::<f64>() / 200.0;
        let expected = remaining_expected(100, 3, 800_000);
        assert!((left - expected).abs() < 2.0, "{left} but {expected}");
    }
}
