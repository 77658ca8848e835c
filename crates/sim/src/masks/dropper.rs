//! Who says that it took packets over, and drops them.

use bytes::Bytes;
use mainframe_base::LinkKey;

use super::liar::{Hand, Lie, read_nonce};
use crate::frames::{Kind, kind};

/// Answers every cell with custody and does nothing with it, which no hop can notice: retries along the path end at it
/// (review P16), and a delegate that does so keeps what it is paid for its region (review P21).
#[derive(Clone, Copy, Debug)]
pub struct AckDropper;

impl Lie for AckDropper {
    fn hears(&mut self, hand: &mut Hand<'_>, from: LinkKey, frame: &Bytes) -> bool {
        if let Some(nonce) = read_nonce(frame) {
            hand.take_over(from, nonce);
        }
        kind(frame) == Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::rig::Rig;
    use mainframe_core::wire::{Frame, Verdict};

    #[test]
    fn an_ack_dropper_takes_every_cell_over_and_hands_none_on() {
        let mut rig = Rig::of(AckDropper);
        let (near, far) = (rig.near_cell(), rig.far_cell());
        for cell in [near, far] {
            let said = rig.hears(0, rig.cell_frame(cell, None));
            let [(_, Frame::Custody(receipts))] = &said[..] else { panic!("{said:?}") };
            assert_eq!(receipts[0].verdict, Verdict::TookOver);
        }
        let later = rig.wait(30_000);
        assert!(later.iter().all(|(_, said)| !matches!(said, Frame::Cell(_) | Frame::Digest(_) | Frame::Recent(_))));
    }
}
