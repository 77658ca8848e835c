//! Reads aloud what passes between two nodes, for whoever hunts a fault.

use mainframe_base::LinkKey;
use mainframe_core::switchboard::{LinkEvent, RelayEffect, RelayInput};
use mainframe_core::wire::{Frame, OutFrame};

use crate::moment::Moment;
use crate::node::NodeId;

/// Whose traffic is read aloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    /// One of the two.
    pub one: NodeId,
    /// The other.
    pub other: NodeId,
    /// Nothing before this moment.
    pub from: Moment,
}

impl Watch {
    /// The other of the two, if `id` is one of them and it is time.
    pub(crate) fn counterpart(&self, now: Moment, id: NodeId) -> Option<NodeId> {
        if now < self.from {
            return None;
        }
        [(self.one, self.other), (self.other, self.one)].into_iter().find(|(one, _)| *one == id).map(|(_, other)| other)
    }
}

/// What an input says, if it comes from this peer.
pub(crate) fn told(input: &RelayInput, peer: &LinkKey) -> Option<String> {
    let RelayInput::Link(event) = input else { return None };
    match event {
        LinkEvent::Frames { peer: from, frames } if from == peer => {
            let frames: Vec<_> = frames.iter().map(Frame::decode).collect();
            Some(format!("gets {frames:?}"))
        }
        LinkEvent::Up { peer: from, outbound, .. } if from == peer => Some(format!("up, outbound {outbound}")),
        LinkEvent::Down { peer: from, reason } if from == peer => Some(format!("down, {reason:?}")),
        LinkEvent::DialFailed { peer: Some(to), why, .. } if to == peer => Some(format!("dial failed, {why}")),
        LinkEvent::Frames { .. }
        | LinkEvent::Up { .. }
        | LinkEvent::Down { .. }
        | LinkEvent::DialFailed { .. }
        | LinkEvent::Fault { .. }
        | LinkEvent::Listening(_)
        | LinkEvent::Expired(_)
        | LinkEvent::Reachable(_)
        | LinkEvent::Unreachable
        | LinkEvent::Found(_) => None,
    }
}

/// What an effect does, if it is meant for this peer.
pub(crate) fn done(effect: &RelayEffect, peer: &LinkKey) -> Option<String> {
    match effect {
        RelayEffect::Send(to, frame) if to == peer => Some(format!("sends {:?}", read(frame))),
        RelayEffect::Dial { peer: Some(to), .. } if to == peer => Some("dials".to_owned()),
        RelayEffect::Hangup(to, reason) if to == peer => Some(format!("hangs up, {reason:?}")),
        RelayEffect::Publish(event) => Some(format!("publishes {event:?}")),
        RelayEffect::Send(..)
        | RelayEffect::Dial { .. }
        | RelayEffect::Hangup(..)
        | RelayEffect::Cell(_)
        | RelayEffect::Store(_)
        | RelayEffect::Reply(..) => None,
    }
}

fn read(frame: &OutFrame) -> Result<Frame, mainframe_base::Fault> {
    Frame::decode(&frame.to_bytes())
}
