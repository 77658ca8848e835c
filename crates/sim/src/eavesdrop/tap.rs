//! Where links are listened to. Listening changes nothing: a run has the same trace with and without it.

use bytes::Bytes;
use mainframe_core::wire::OutFrame;

use super::coalition::Coalition;
use super::global::GlobalObserver;
use crate::moment::Moment;
use crate::node::NodeId;

/// All that can be seen of an encrypted frame from beside the wire. There is no content in it to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// When.
    pub at: Moment,
    /// Whose frame.
    pub from: NodeId,
    /// For whom.
    pub to: NodeId,
    /// Bytes.
    pub length: usize,
    /// Whether it leaves its sender or reaches its receiver.
    pub passage: Passage,
}

/// At which end of a link a frame is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// It leaves its sender; it may still get lost.
    Leaves,
    /// It reaches its receiver.
    Arrives,
}

/// Who listens in a world; usually nobody.
#[derive(Clone, Debug, Default)]
pub struct Taps {
    /// Relays that compare notes.
    pub coalition: Option<Coalition>,
    /// Whoever sees all links from outside.
    pub global: Option<GlobalObserver>,
}

impl Taps {
    /// A frame is put on a standing link.
    pub fn sent(&mut self, at: Moment, from: NodeId, to: NodeId, frame: &OutFrame) {
        if let Some(global) = &mut self.global {
            global.see(Sighting { at, from, to, length: frame.length(), passage: Passage::Leaves });
        }
        if let Some(coalition) = &mut self.coalition {
            coalition.on_sent(at, from, to, frame);
        }
    }

    /// A frame reaches a node.
    pub fn arrived(&mut self, at: Moment, from: NodeId, to: NodeId, frame: &Bytes) {
        if let Some(global) = &mut self.global {
            global.see(Sighting { at, from, to, length: frame.len(), passage: Passage::Arrives });
        }
        if let Some(coalition) = &mut self.coalition {
            coalition.on_arrived(at, from, to, frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sighting_has_time_ends_and_length_and_no_room_for_content() {
        let length = 2_064;
        let seen = Sighting { at: Moment(1), from: NodeId(2), to: NodeId(3), length, passage: Passage::Leaves };
        // Without `..`: a further field, such as one for bytes, does not compile here.
        let Sighting { at, from, to, length, passage } = seen;
        assert_eq!((at, from, to, length, passage), (seen.at, seen.from, seen.to, seen.length, seen.passage));
        assert!(size_of::<Sighting>() <= 32);
    }
}
