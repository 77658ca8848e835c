//! Who drops some packets and serves all others, so that nobody has reason to pass it over.

use bytes::Bytes;
use mainframe_base::{Address, LinkKey, Luminosity, Prefix};
use mainframe_core::wire::{Cell, Frame};

use super::liar::{Hand, Lie, Remembered, read_cell};
use crate::dice::Dice;
use crate::frames::read_control;

/// Bits of the regions it drops: a quarter of all (guess: few enough that its name stays good).
const DROPPED_BITS: u16 = 2;

/// Takes packets for one part of the network over and drops them; all others it serves (protocol research §4,
/// "selective drop after ack"). All selective droppers of a run drop the same part: a censor.
#[derive(Debug)]
pub struct SelectiveDropper {
    censored: Prefix,
    dropped: Remembered,
}

impl SelectiveDropper {
    /// With the run's choice of what to drop.
    pub fn new(seed: u64) -> SelectiveDropper {
        let anywhere = Address(Dice::new(seed, "censored").bytes());
        SelectiveDropper {
            censored: Prefix::of(&anywhere, Luminosity::at_most(DROPPED_BITS)),
            dropped: Remembered::default(),
        }
    }

    /// Whether the packet's region lies in the censored part; one darker than that is let through.
    fn censors(&self, cell: &Cell) -> bool {
        let destination = cell.destination();
        destination.luminosity() >= self.censored.luminosity() && self.censored.matches(&destination.first_address())
    }
}

impl Lie for SelectiveDropper {
    fn hears(&mut self, hand: &mut Hand<'_>, from: LinkKey, frame: &Bytes) -> bool {
        if let Some(frame) = read_cell(frame) {
            let censored = self.censors(&frame.cell);
            if censored {
                self.dropped.add(frame.cell.id());
                hand.take_over(from, frame.custody_nonce);
            }
            return !censored;
        }
        // What it dropped it does not ask for again.
        match read_control(frame) {
            Some(Frame::Digest(entries)) => !entries.iter().all(|entry| self.dropped.has(&entry.id)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;

    #[test]
    fn a_selective_dropper_serves_all_but_one_part_of_the_network() {
        let mut rig = Rig::of(SelectiveDropper::new(1));
        let (near, far) = (rig.near_cell(), rig.far_cell());
        let mut censor = SelectiveDropper::new(1);
        censor.censored = Prefix::of(&far.destination().first_address(), Luminosity::at_most(DROPPED_BITS));
        assert!(censor.censors(&far) && !censor.censors(&near));
        rig.wear(censor);
        assert!(rig.hears(0, rig.cell_frame(near, None)).iter().any(|(_, said)| matches!(said, Frame::Cell(_))));
        let said = rig.hears(0, rig.cell_frame(far.clone(), None));
        assert!(matches!(&said[..], [(_, Frame::Custody(_))]), "{said:?}");
        assert!(rig.wait(10_000).iter().all(|(_, said)| !matches!(said, Frame::Cell(frame) if frame.cell == far)));
    }
}
