//! The disks on which relays hold cells for those who are away.

use mainframe_base::PacketId;
use mainframe_core::switchboard::{RelayInput, StoreOrder, StoreReport};

use super::{Event, World};
use crate::node::{Machine, NodeId};

/// How long a disk takes to say that something is safe or to read it, in microseconds (guess: one write of a cheap disk).
const DISK_US: u64 = 5_000;

impl<M: Machine> World<M> {
    /// Whether a cell was ever written to a disk, by anyone.
    pub fn was_held(&self, name: &PacketId) -> bool {
        self.ever_held.contains(name)
    }

    /// What was written stays, whatever becomes of the node; that it was written is known a little later.
    pub(super) fn obey(&mut self, id: NodeId, order: StoreOrder) {
        let node = &mut self.nodes[id.index()];
        let report = match order {
            StoreOrder::Keep(shelf, cell) => {
                let name = cell.id();
                node.held.insert(name, (shelf, cell));
                self.ever_held.insert(name);
                StoreReport::Kept(vec![name])
            }
            StoreOrder::Read(_, name) => StoreReport::Read(name, node.held.get(&name).map(|(_, cell)| cell.clone())),
            StoreOrder::Drop(shelf) => return node.held.retain(|_, (of, _)| *of != shelf),
        };
        let event = Event::ForRelay { node: id, life: node.life, input: RelayInput::Store(report) };
        self.queue.push(self.now + DISK_US, event);
    }
}
