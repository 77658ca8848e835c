//! Numbers kept while the world runs.

use std::collections::BTreeMap;

use mainframe_base::Fault;
use mainframe_core::wire::OutFrame;

use crate::frames::{Kind, is_about_packets, is_on_the_way, kind};
use crate::moment::Moment;
use crate::node::NodeId;

/// A relay reported that a peer broke the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accusation {
    /// When.
    pub at: Moment,
    /// Who says so.
    pub by: NodeId,
    /// Of whom.
    pub of: NodeId,
    /// What it is said to have done.
    pub fault: Fault,
}

/// Accusations kept one by one; beyond them only the sums are.
pub(super) const ACCUSATIONS_MAX: usize = 1_000;

/// Numbers kept while the world runs.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Inputs handled.
    pub inputs: u64,
    /// Frames put on standing links.
    pub frames: u64,
    /// Of them, cells on their way to their regions.
    pub cells_on_the_way: u64,
    /// Of them, cells that are shares of their regions.
    pub cells_shared: u64,
    /// Bytes of control frames about packets: receipts, digests, pulls, sketches.
    pub packet_control_bytes: u64,
    /// Of them, bytes of questions for held cells, their answers, and wishes to hear of new ones.
    pub hold_control_bytes: u64,
    /// Frames lost on the way.
    pub lost: u64,
    /// Frames sent to peers whose connection was gone.
    pub unsent: u64,
    /// Dials begun.
    pub dials: u64,
    /// Connections made.
    pub connections: u64,
    /// Faults that relays reported of peers.
    pub faults: BTreeMap<Fault, u64>,
    /// The first of those that honest relays found in honest ones, without the silence of those who are gone: that is
    /// nobody's fault.
    pub accusations: Vec<Accusation>,
    /// Wake-ups that asked to be woken again in the same millisecond.
    pub restless: u64,
    /// What became of the packets that were accepted, by the word of the sender's relay half.
    pub handed_over: u64,
    /// Packets whose sender's relay half gave up.
    pub given_up: u64,
}

impl Counts {
    /// A frame is put on a standing link.
    pub(super) fn on_sent(&mut self, frame: &OutFrame) {
        self.frames += 1;
        if frame.cell.is_none() {
            self.hold_control_bytes += if kind(&frame.head) == Kind::Hold { frame.length() as u64 } else { 0 };
            self.packet_control_bytes += if is_about_packets(&frame.head) { frame.length() as u64 } else { 0 };
        } else if is_on_the_way(&frame.head) {
            self.cells_on_the_way += 1;
        } else {
            self.cells_shared += 1;
        }
    }
}
