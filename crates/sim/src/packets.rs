//! What became of each packet the scenario follows, told from outside: from the frames on the links and from the cells
//! that relays hand to their endpoint halves.

use std::collections::{HashMap, HashSet};

use mainframe_base::{PacketId, Prefix};
use mainframe_core::wire::{Cell, Frame};

use crate::frames::{CellName, cell_name};
use crate::moment::Moment;

/// A followed packet, counted from zero.
pub type PacketIndex = u32;

/// A followed packet and its traffic.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Its name.
    pub id: PacketId,
    /// Whom it is for.
    pub destination: Prefix,
    /// Who sends it.
    pub origin: u32,
    /// When its origin's relay half got it.
    pub sent_at: Moment,
    /// Cell frames of it put on any link: first copies, route hops, second entry points, retries and pulls alike.
    pub transmissions: u64,
    /// How many of them liars sent.
    pub lied: u64,
    /// Lines of digest frames that announce it.
    pub digests: u64,
    /// Lines of pull frames that ask for it.
    pub pulls: u64,
}

/// How a packet came to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When its first copy came, or the node sent it itself.
    pub at: Moment,
    /// Links that copy had crossed.
    pub hops: u8,
    /// Copies that came.
    pub copies: u16,
    /// How many of them were answers to pulls.
    pub pulled: u16,
    /// When the relay half handed it to the endpoint half.
    pub handed_at: Option<Moment>,
}

/// What is noted on a cell frame while it travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note {
    packet: PacketIndex,
    hops: u8,
    pulled: bool,
}

/// Every followed packet.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    all: Vec<Packet>,
    names: HashMap<CellName, PacketIndex>,
    ids: HashMap<PacketId, PacketIndex>,
    /// By packet and node. Never walked, so its order does not matter.
    arrivals: HashMap<(PacketIndex, u32), Arrival>,
    /// Packet, who was asked, who asked: pulls that arrived and are not answered yet.
    asked: HashSet<(PacketIndex, u32, u32)>,
    /// Every cell and to whom it was handed, if that is wanted.
    handed: Option<HashSet<(PacketId, u32)>>,
}

impl Packets {
    /// Follows a packet from now on.
    pub fn follow(&mut self, cell: &Cell, origin: u32, now: Moment) -> PacketIndex {
        let index = self.all.len() as PacketIndex;
        let destination = cell.destination();
        self.all.push(Packet {
            id: cell.id(),
            destination,
            origin,
            sent_at: now,
            transmissions: 0,
            lied: 0,
            digests: 0,
            pulls: 0,
        });
        self.names.insert(cell_name(cell.bytes()), index);
        self.ids.insert(cell.id(), index);
        self.arrivals.insert((index, origin), Arrival { at: now, hops: 0, copies: 0, pulled: 0, handed_at: None });
        index
    }

    /// From now on notes of every cell, followed or not, to whom it is handed.
    pub fn note_all_handing(&mut self) {
        self.handed.get_or_insert_default();
    }

    /// Whether a cell was handed to a node's endpoint half, if that is noted of all.
    pub fn was_handed(&self, id: &PacketId, node: u32) -> bool {
        self.handed.as_ref().is_some_and(|handed| handed.contains(&(*id, node)))
    }

    /// The followed packets.
    pub fn all(&self) -> &[Packet] {
        &self.all
    }

    /// How a packet came to a node, if it did.
    pub fn arrival(&self, packet: PacketIndex, node: u32) -> Option<&Arrival> {
        self.arrivals.get(&(packet, node))
    }

    /// A cell is put on a link; the note travels with it.
    pub fn on_sent(&mut self, cell: &[u8], from: u32, to: u32) -> Option<Note> {
        let packet = *self.names.get(&cell_name(cell))?;
        self.all[packet as usize].transmissions += 1;
        let hops = self.arrivals.get(&(packet, from)).map_or(0, |arrival| arrival.hops);
        Some(Note { packet, hops: hops.saturating_add(1), pulled: self.asked.remove(&(packet, from, to)) })
    }

    /// The cell that was put on a link came from a liar.
    pub fn on_lied(&mut self, note: &Note) {
        self.all[note.packet as usize].lied += 1;
    }

    /// A control frame is put on a link.
    pub fn on_control_sent(&mut self, frame: &Frame) {
        if let Frame::Digest(entries) = frame {
            for entry in entries {
                if let Some(packet) = self.ids.get(&entry.id) {
                    self.all[*packet as usize].digests += 1;
                }
            }
        }
    }

    /// A noted cell reaches a node.
    pub fn on_arrived(&mut self, note: Note, to: u32, now: Moment) {
        let first = Arrival { at: now, hops: note.hops, copies: 0, pulled: 0, handed_at: None };
        let arrival = self.arrivals.entry((note.packet, to)).or_insert(first);
        arrival.copies += 1;
        arrival.pulled += u16::from(note.pulled);
    }

    /// A control frame reaches a node.
    pub fn on_control_arrived(&mut self, frame: &Frame, from: u32, to: u32) {
        if let Frame::Pull(entries) = frame {
            for entry in entries {
                if let Some(packet) = self.ids.get(&entry.id) {
                    self.all[*packet as usize].pulls += 1;
                    self.asked.insert((*packet, to, from));
                }
            }
        }
    }

    /// A relay half hands a cell to its endpoint half.
    pub fn on_handed(&mut self, cell: &Cell, node: u32, now: Moment) {
        self.handed.iter_mut().for_each(|handed| _ = handed.insert((cell.id(), node)));
        if let Some(packet) = self.ids.get(&cell.id()) {
            let here = Arrival { at: now, hops: 0, copies: 0, pulled: 0, handed_at: None };
            self.arrivals.entry((*packet, node)).or_insert(here).handed_at.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::random_cell;
    use mainframe_base::Luminosity;
    use mainframe_core::wire::PullEntry;

    #[test]
    fn a_copy_counts_hops_from_where_its_sender_first_had_it() {
        let mut packets = Packets::default();
        let cell = random_cell(Prefix::EVERYONE, Moment(0), &mut crate::dice::Dice::new(1, "test"));
        let packet = packets.follow(&cell, 0, Moment(0));
        for (from, to) in [(0, 1), (1, 2), (0, 2)] {
            let note = packets.on_sent(cell.bytes(), from, to).unwrap();
            packets.on_arrived(note, to, Moment(u64::from(from) + 5));
        }
        let arrival = packets.arrival(packet, 2).unwrap();
        assert_eq!((arrival.hops, arrival.copies, arrival.at), (2, 2, Moment(6)));
        assert_eq!(packets.all()[0].transmissions, 3);
        assert!(packets.on_sent(&[0; 2_048], 0, 1).is_none());
    }

    #[test]
    fn only_the_answer_to_a_pull_is_a_pulled_copy() {
        let mut packets = Packets::default();
        let cell = random_cell(Prefix::EVERYONE, Moment(0), &mut crate::dice::Dice::new(1, "test"));
        let packet = packets.follow(&cell, 0, Moment(0));
        let pull = PullEntry { id: cell.id(), responsibility: Luminosity::DARKEST };
        packets.on_control_arrived(&Frame::Pull(vec![pull]), 1, 0);
        for to in [2, 1, 1] {
            let note = packets.on_sent(cell.bytes(), 0, to).unwrap();
            packets.on_arrived(note, to, Moment(1));
        }
        assert_eq!(packets.arrival(packet, 1).unwrap().pulled, 1);
        assert_eq!(packets.arrival(packet, 2).unwrap().pulled, 0);
        assert_eq!(packets.all()[0].pulls, 1);
    }
}
