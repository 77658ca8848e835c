//! Relays that compare notes. They behave as all relays do and write down what reaches and leaves them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mainframe_base::{Luminosity, PacketId, Prefix};
use mainframe_core::wire::{Frame, OutFrame};

use crate::frames::{Kind, kind};
use crate::moment::Moment;
use crate::node::NodeId;

/// What a member saw of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A copy came that is on its way to the region.
    Routed {
        /// Whether it is the copy that waits at the region.
        standby: bool,
    },
    /// A copy came from a relay of the region, with what it said of responsibility.
    Shared(Luminosity),
    /// A relay of the region told that it has the packet, with what it offered.
    Told(Luminosity),
    /// The member itself passed a copy on to the neighbour, and said this of responsibility; nothing on the way.
    Passed(Option<Luminosity>),
}

/// One note on a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glimpse {
    /// When.
    pub at: Moment,
    /// Which member.
    pub member: NodeId,
    /// Who is at the other end of the link.
    pub neighbour: NodeId,
    /// What was seen.
    pub what: What,
}

/// Everything the coalition noted on one packet, in order of time.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Whom the packet is for; not known while it was only told of.
    pub destination: Option<Prefix>,
    /// The notes.
    pub glimpses: Vec<Glimpse>,
}

/// Relays that compare notes.
#[derive(Clone, Debug)]
pub struct Coalition {
    members: BTreeSet<NodeId>,
    files: BTreeMap<PacketId, File>,
}

impl Coalition {
    /// These relays.
    pub fn new(members: impl IntoIterator<Item = NodeId>) -> Coalition {
        Coalition { members: members.into_iter().collect(), files: BTreeMap::new() }
    }

    /// Who belongs to it.
    pub fn members(&self) -> &BTreeSet<NodeId> {
        &self.members
    }

    /// What was noted, by packet.
    pub fn files(&self) -> &BTreeMap<PacketId, File> {
        &self.files
    }

    /// A frame leaves a node; noted if the node is a member.
    pub fn on_sent(&mut self, at: Moment, from: NodeId, to: NodeId, frame: &OutFrame) {
        if kind(&frame.head) == Kind::Cell
            && self.members.contains(&from)
            && let Ok(Frame::Cell(cell)) = Frame::decode(&frame.to_bytes())
        {
            let glimpse = Glimpse { at, member: from, neighbour: to, what: What::Passed(cell.responsibility) };
            self.note(cell.cell.id(), Some(cell.cell.destination()), glimpse);
        }
    }

    /// A frame reaches a node; noted if the node is a member.
    pub fn on_arrived(&mut self, at: Moment, from: NodeId, to: NodeId, frame: &Bytes) {
        if !matches!(kind(frame), Kind::Cell | Kind::Digest) || !self.members.contains(&to) {
            return;
        }
        let glimpse = |what| Glimpse { at, member: to, neighbour: from, what };
        match Frame::decode(frame) {
            Ok(Frame::Cell(cell)) => {
                let what = cell.responsibility.map_or(What::Routed { standby: cell.standby }, What::Shared);
                self.note(cell.cell.id(), Some(cell.cell.destination()), glimpse(what));
            }
            Ok(Frame::Digest(entries)) => {
                for entry in entries {
                    self.note(entry.id, None, glimpse(What::Told(entry.responsibility)));
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, packet: PacketId, destination: Option<Prefix>, glimpse: Glimpse) {
        let file = self.files.entry(packet).or_default();
        file.destination = file.destination.or(destination);
        file.glimpses.push(glimpse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::traffic::random_cell;
    use mainframe_core::wire::{BudgetClass, CellFrame};

    #[test]
    fn only_what_reaches_or_leaves_a_member_is_noted() {
        let cell = random_cell(Prefix::EVERYONE, Moment(0), &mut Dice::new(1, "test"));
        let frame = Frame::Cell(CellFrame {
            budget: BudgetClass::MAX,
            standby: false,
            responsibility: None,
            deadline_ms: 1,
            accounting_sequence: 0,
            custody_nonce: 0,
            cell: cell.clone(),
        });
        let frame = frame.encode();
        let mut coalition = Coalition::new([NodeId(1)]);
        coalition.on_sent(Moment(1), NodeId(0), NodeId(2), &frame);
        coalition.on_arrived(Moment(2), NodeId(0), NodeId(2), &frame.to_bytes());
        assert!(coalition.files().is_empty());
        coalition.on_arrived(Moment(3), NodeId(0), NodeId(1), &frame.to_bytes());
        coalition.on_sent(Moment(4), NodeId(1), NodeId(2), &frame);
        let file = &coalition.files()[&cell.id()];
        assert_eq!(file.destination, Some(Prefix::EVERYONE));
        let whats: Vec<What> = file.glimpses.iter().map(|glimpse| glimpse.what).collect();
        assert_eq!(whats, [What::Routed { standby: false }, What::Passed(None)]);
    }
}
