//! Over which first hops packets of our own left, so that another try leaves over others (docs/protocol/packet.md §9).

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::{LinkKey, PacketId, Time};

/// A packet that was not tried again for this long has arrived, as far as we shall ever know (guess: four tries, 4 to
/// 16 s apart, lie within it).
const REMEMBERED_MS: u64 = 120_000;
/// Packets remembered: 34 a second for two minutes. Older ones are forgotten early, and count for nothing.
const PACKETS_MAX: usize = 4_096;

/// A packet of our own.
#[derive(Clone, Debug)]
struct Try {
    /// The first try of the same message.
    root: PacketId,
    /// First hops used by all tries; kept at the root only.
    used: Vec<LinkKey>,
    /// First hops that took this very packet over.
    took_over: Vec<LinkKey>,
    /// Whether it was tried again.
    replaced: bool,
}

/// Packets of our own of the last two minutes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    by_packet: BTreeMap<PacketId, Try>,
    order: VecDeque<(Time, PacketId)>,
}

impl Tries {
    /// A packet leaves, perhaps instead of an earlier one. Returns the first hops that took the earlier one over and
    /// came to nothing, each packet's once.
    pub(super) fn begin(&mut self, now: Time, id: PacketId, instead_of: Option<PacketId>) -> Vec<LinkKey> {
        let earlier = instead_of.and_then(|earlier| self.by_packet.get_mut(&earlier));
        let (root, failed) = match earlier {
            None => (id, Vec::new()),
            Some(earlier) => {
                let failed = if earlier.replaced { Vec::new() } else { earlier.took_over.clone() };
                earlier.replaced = true;
                (earlier.root, failed)
            }
        };
        let fresh = Try { root, used: Vec::new(), took_over: Vec::new(), replaced: false };
        if self.by_packet.insert(id, fresh).is_none() {
            self.order.push_back((now, id));
        }
        failed
    }

    /// First hops that the tries of this packet's message have used.
    pub(super) fn used(&self, id: &PacketId) -> &[LinkKey] {
        let root = self.by_packet.get(id).and_then(|of| self.by_packet.get(&of.root));
        root.map_or(&[], |root| &root.used)
    }

    /// A first hop is chosen for the packet.
    pub(super) fn use_hop(&mut self, id: &PacketId, hop: LinkKey) {
        let Some(root) = self.by_packet.get(id).map(|of| of.root) else { return };
        if let Some(root) = self.by_packet.get_mut(&root).filter(|root| !root.used.contains(&hop)) {
            root.used.push(hop);
        }
    }

    /// A first hop has custody of the packet.
    pub(super) fn took_over(&mut self, id: &PacketId, hop: LinkKey) {
        self.use_hop(id, hop);
        if let Some(of) = self.by_packet.get_mut(id) {
            of.took_over.push(hop);
        }
    }

    /// Forgets what is old; returns the first hops of packets that were not tried again.
    pub(super) fn settle(&mut self, now: Time) -> Vec<LinkKey> {
        let mut kept = Vec::new();
        while let Some((at, id)) = self.order.front().copied() {
            let old = now.since_ms(at) >= REMEMBERED_MS;
            if !old && self.order.len() <= PACKETS_MAX {
                break;
            }
            self.order.pop_front();
            if let Some(of) = self.by_packet.remove(&id).filter(|of| old && !of.replaced) {
                kept.extend(of.took_over);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(number: u8) -> PacketId {
        PacketId([number; 16])
    }

    const fn hop(number: u8) -> LinkKey {
        LinkKey([number; 32])
    }

    #[test]
    fn every_try_of_a_message_knows_the_first_hops_of_all_others() {
        let mut tries = Tries::default();
        tries.begin(Time(0), id(1), None);
        tries.use_hop(&id(1), hop(1));
        tries.took_over(&id(1), hop(1));
        assert_eq!(tries.begin(Time(1), id(2), Some(id(1))), [hop(1)], "the first try's hop came to nothing");
        tries.use_hop(&id(2), hop(2));
        assert!(tries.begin(Time(1), id(3), Some(id(1))).is_empty(), "and is blamed once");
        assert_eq!(tries.used(&id(3)), [hop(1), hop(2)]);
        tries.begin(Time(2), id(4), None);
        assert!(tries.used(&id(4)).is_empty(), "another message is another matter");
    }

    #[test]
    fn a_packet_not_tried_again_speaks_for_its_first_hops() {
        let mut tries = Tries::default();
        for (number, instead_of) in [(1, None), (2, Some(id(1)))] {
            tries.begin(Time(0), id(number), instead_of);
            tries.took_over(&id(number), hop(number));
        }
        assert!(tries.settle(Time(REMEMBERED_MS - 1)).is_empty());
        assert_eq!(tries.settle(Time(REMEMBERED_MS)), [hop(2)]);
        assert!(tries.by_packet.is_empty());
    }

    #[test]
    fn a_flood_of_packets_is_forgotten_early_and_proves_nothing() {
        let mut tries = Tries::default();
        for number in 0..2 * PACKETS_MAX {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            tries.begin(Time(0), PacketId(bytes), None);
            tries.took_over(&PacketId(bytes), hop(1));
            assert!(tries.settle(Time(0)).is_empty());
        }
        assert_eq!((tries.by_packet.len(), tries.order.len()), (PACKETS_MAX, PACKETS_MAX));
    }
}
