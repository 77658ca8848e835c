//! Liars, wrapped around a node from outside: the core has no switches for misbehaving.

use bytes::Bytes;

use crate::frames::{Kind, kind};

/// How a node behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mask {
    /// As the core makes it.
    #[default]
    Honest,
    /// It takes part in the overlay, but of packets it hears nothing: cells, digests, pulls and sketches do not reach
    /// its core, and so are never acknowledged, forwarded, announced or served.
    SilentDropper,
}

impl Mask {
    /// Whether a frame reaches the core behind the mask.
    pub fn lets_in(self, frame: &Bytes) -> bool {
        match self {
            Mask::Honest => true,
            Mask::SilentDropper => kind(frame) == Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::wire::{Frame, GetPeers};

    #[test]
    fn a_silent_dropper_hears_of_peers_but_not_of_packets() {
        let question = GetPeers { request: 1, target: mainframe_base::Address([0; 32]), limit: 1 };
        let heard = |frame: Frame| Mask::SilentDropper.lets_in(&frame.encode().to_bytes());
        assert!(heard(Frame::GetPeers(question)));
        assert!(heard(Frame::Custody(Vec::new())));
        assert!(!heard(Frame::Digest(Vec::new())));
        assert!(!heard(Frame::Pull(Vec::new())));
    }
}
