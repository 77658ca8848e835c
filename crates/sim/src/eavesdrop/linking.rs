//! Which packets belong to one conversation? Cells look random and tags are fresh, so what is left to go by is where a
//! packet goes and from whom it came into the observers' hands.

use std::collections::BTreeMap;

use mainframe_base::{Address, Luminosity, Prefix};

use crate::figures::ratio;
use crate::node::NodeId;

/// What a packet shows to a linker.
type Mark = (Luminosity, Address, NodeId);

/// A packet that observers saw, and the conversation it truly belongs to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Seen {
    /// Whom it is for.
    pub destination: Prefix,
    /// From whom it came into their hands.
    pub entry: NodeId,
    /// The truth, for the score alone.
    pub conversation: usize,
}

/// How well a linker did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Linked {
    /// Part of the pairs it linked that belong together.
    pub precision: f64,
    /// Part of all pairs that belong together that it linked.
    pub recall: f64,
}

/// Links packets of one prefix and one entry neighbour; `pairs` is how many pairs of sent packets belong together.
pub fn link(seen: &[Seen], pairs: u64) -> Linked {
    let mut groups: BTreeMap<Mark, Vec<usize>> = BTreeMap::new();
    for packet in seen {
        let mark = (packet.destination.luminosity(), packet.destination.first_address(), packet.entry);
        groups.entry(mark).or_default().push(packet.conversation);
    }
    let (mut linked, mut right) = (0, 0);
    for group in groups.values() {
        for (index, one) in group.iter().enumerate() {
            linked += (group.len() - index - 1) as u64;
            right += group[index + 1..].iter().filter(|other| *other == one).count() as u64;
        }
    }
    Linked { precision: ratio(right, linked), recall: ratio(right, pairs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_linked_by_prefix_and_entry_and_by_nothing_else() {
        let destination = Prefix::EVERYONE;
        let seen = |entry, conversation| Seen { destination, entry: NodeId(entry), conversation };
        let linked = link(&[seen(1, 1), seen(1, 1), seen(1, 2), seen(2, 1)], 3);
        assert_eq!(linked, Linked { precision: 1.0 / 3.0, recall: 1.0 / 3.0 });
        assert_eq!(link(&[], 3), Linked { precision: 0.0, recall: 0.0 });
    }
}
