//! One hash over everything that happens: each moment, node, input and effect, in order.
//!
//! Fields are written in a fixed order behind a byte that names what follows; a cell is written as its name
//! ([`crate::frames::cell_name`]). Two runs with one hash are the same run.

use std::fmt::Write as _;

use bytes::Bytes;
use mainframe_base::{LinkKey, Locator};
use mainframe_core::switchboard::{
    CommandId, Dispatch, EndpointEffect, EndpointInput, LinkEvent, RelayEffect, RelayEvent, RelayInput, StoreOrder,
    StoreReport,
};

use crate::frames::{cell_name, telling};
use crate::moment::Moment;

/// Bytes gathered before they are hashed: BLAKE3 is several times faster on long inputs.
const GATHER: usize = 1 << 16;

/// The hash so far.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    gathered: Vec<u8>,
}

impl Trace {
    /// A node is given something.
    pub fn input(&mut self, at: Moment, node: u32, input: &RelayInput) {
        if self.gathered.len() >= GATHER {
            self.flush();
        }
        self.put(&at.0.to_be_bytes());
        self.put(&node.to_be_bytes());
        match input {
            RelayInput::Link(event) => self.link_event(event),
            RelayInput::Command(id, command) => self.debug(b'?', &(id, command)),
            RelayInput::Cell(id, dispatch) => self.dispatch(b'c', *id, dispatch),
            RelayInput::Wake => self.put(b"w"),
            RelayInput::Store(StoreReport::Read(id, cell)) => self.debug(b'k', &(id, cell.is_some())),
            RelayInput::Store(report) => self.debug(b'k', report),
        }
    }

    /// What it caused.
    pub fn effect(&mut self, effect: &RelayEffect) {
        match effect {
            RelayEffect::Send(to, frame) => {
                self.tagged(b'S', &to.0);
                let (head, _) = telling(&frame.head);
                self.put(head);
                if let Some(cell) = &frame.cell {
                    self.put(&cell_name(cell));
                }
            }
            RelayEffect::Dial { peer, locators } => self.dial(peer.as_ref(), locators),
            RelayEffect::Hangup(peer, reason) => {
                self.tagged(b'H', &peer.0);
                self.debug(b'/', reason);
            }
            RelayEffect::Cell(cell) => self.tagged(b'C', &cell_name(cell.bytes())),
            RelayEffect::Store(StoreOrder::Keep(shelf, cell)) => {
                self.debug(b'K', shelf);
                self.tagged(b'K', &cell_name(cell.bytes()));
            }
            RelayEffect::Store(order) => self.debug(b'K', order),
            RelayEffect::Reply(id, reply) => self.debug(b'R', &(id, reply)),
            RelayEffect::Publish(event) => self.publish(event),
        }
    }

    /// A node's endpoint half is given something.
    pub fn endpoint_input(&mut self, at: Moment, node: u32, input: &EndpointInput) {
        self.put(&at.0.to_be_bytes());
        self.put(&node.to_be_bytes());
        match input {
            EndpointInput::Cell(cell) => self.tagged(b'e', &cell_name(cell.bytes())),
            // A command may hold keys and has no readable form; what it asks for follows from the seed and shows in its
            // effects.
            EndpointInput::Command(id, _) => self.tagged(b'E', &id.0.to_be_bytes()),
            EndpointInput::Answer(id, reply) => self.debug(b'a', &(id, reply)),
            EndpointInput::Outcome(id, outcome) => self.debug(b'o', &(id, outcome)),
            EndpointInput::Wake => self.put(b"t"),
        }
    }

    /// What it caused.
    pub fn endpoint_effect(&mut self, effect: &EndpointEffect) {
        match effect {
            EndpointEffect::Cell(id, dispatch) => self.dispatch(b's', *id, dispatch),
            EndpointEffect::Ask(..) | EndpointEffect::Reply(..) | EndpointEffect::Publish(_) => {
                self.debug(b'p', effect)
            }
        }
    }

    /// A node is stopped or started, a mask put on: what the scenario does to the world.
    pub fn deed(&mut self, at: Moment, node: u32, what: &str) {
        self.put(&at.0.to_be_bytes());
        self.put(&node.to_be_bytes());
        self.tagged(b'!', what.as_bytes());
    }

    /// The hash of all that happened, in hexadecimal.
    pub fn hash(&mut self) -> String {
        self.flush();
        self.hasher.finalize().to_hex().to_string()
    }

    fn link_event(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Up { peer, outbound, remote } => {
                self.tagged(b'u', &peer.0);
                self.put(&[u8::from(*outbound)]);
                self.debug(b'/', remote);
            }
            LinkEvent::Down { peer, reason } => {
                self.tagged(b'd', &peer.0);
                self.put(&[*reason as u8]);
            }
            LinkEvent::Frames { peer, frames } => self.frames(peer, frames),
            LinkEvent::DialFailed { peer, locator, why } => self.debug(b'x', &(peer, locator, why)),
            LinkEvent::Fault { peer, fault } => {
                self.tagged(b'f', &peer.0);
                self.put(&[*fault as u8]);
            }
            LinkEvent::Listening(locator) => self.debug(b'l', locator),
            // What links find out about their own addresses; the links of the simulator have none.
            LinkEvent::Expired(_) | LinkEvent::Reachable(_) | LinkEvent::Unreachable | LinkEvent::Found(_) => {
                self.debug(b'L', event);
            }
        }
    }

    fn frames(&mut self, peer: &LinkKey, frames: &[Bytes]) {
        self.tagged(b'r', &peer.0);
        for frame in frames {
            let (head, tail) = telling(frame);
            self.put(head);
            self.put(tail);
        }
    }

    fn dial(&mut self, peer: Option<&LinkKey>, locators: &[Locator]) {
        self.tagged(b'D', peer.map_or(&[0; 32], |key| &key.0));
        self.debug(b'/', &locators);
    }

    fn publish(&mut self, event: &RelayEvent) {
        match event {
            RelayEvent::PeerUp(key, address) => {
                self.tagged(b'+', &key.0);
                self.put(&address.0);
            }
            RelayEvent::PeerDown(key, address) => {
                self.tagged(b'-', &key.0);
                self.put(&address.0);
            }
            RelayEvent::Joined(_) | RelayEvent::PeerFault(..) | RelayEvent::Packet(..) | RelayEvent::Trace(_) => {
                self.debug(b'P', event);
            }
        }
    }

    fn dispatch(&mut self, tag: u8, id: CommandId, dispatch: &Dispatch) {
        self.tagged(tag, &id.0.to_be_bytes());
        self.put(&[dispatch.budget.number()]);
        self.put(&dispatch.instead_of.map_or([0; 16], |earlier| earlier.0));
        self.put(&cell_name(dispatch.cell.bytes()));
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.gathered.push(tag);
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// For what is rare enough to be written out.
    fn debug(&mut self, tag: u8, value: &impl std::fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").expect("writing to a string does not fail");
        self.tagged(tag, text.as_bytes());
    }

    fn flush(&mut self) {
        self.hasher.update(&self.gathered);
        self.gathered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::switchboard::DownReason;

    fn hash_of(at: u64, node: u32, reason: DownReason) -> String {
        let mut trace = Trace::default();
        let event = LinkEvent::Down { peer: LinkKey([1; 32]), reason };
        trace.input(Moment(at), node, &event.into());
        trace.hash()
    }

    #[test]
    fn the_hash_hears_the_moment_the_node_and_the_input() {
        let usual = hash_of(1, 1, DownReason::Closed);
        assert_eq!(usual, hash_of(1, 1, DownReason::Closed));
        assert_ne!(usual, hash_of(2, 1, DownReason::Closed));
        assert_ne!(usual, hash_of(1, 2, DownReason::Closed));
        assert_ne!(usual, hash_of(1, 1, DownReason::TimedOut));
    }

    #[test]
    fn the_hash_hears_effects_and_deeds() {
        let mut quiet = Trace::default();
        let mut hung_up = Trace::default();
        hung_up.effect(&RelayEffect::Hangup(LinkKey([1; 32]), mainframe_core::switchboard::HangupReason::Pruned));
        let mut masked = Trace::default();
        masked.deed(Moment(0), 0, "mask");
        let hashes = [quiet.hash(), hung_up.hash(), masked.hash()];
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
    }
}
