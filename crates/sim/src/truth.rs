//! What the tables should hold, seen from above, and how far they do.

use std::borrow::Cow;

use mainframe_base::{Address, Proximity};
use mainframe_core::neighbours::Neighbours;

use crate::node::NodeId;

/// Relays that make a neighbourhood (docs/protocol/overlay.md).
pub const NEIGHBOURHOOD: usize = 8;

/// The relays that are online, sorted by address.
#[derive(Clone, Debug)]
pub struct Truth {
    relays: Vec<(Address, NodeId)>,
}

impl Truth {
    /// Of these relays.
    pub fn new(relays: impl IntoIterator<Item = (Address, NodeId)>) -> Truth {
        let mut relays: Vec<(Address, NodeId)> = relays.into_iter().collect();
        relays.sort();
        Truth { relays }
    }

    /// Every relay that is online.
    pub fn relays(&self) -> &[(Address, NodeId)] {
        &self.relays
    }

    /// The relays, `of` included, that share at least `bits` bits with it: they stand side by side.
    pub fn within(&self, of: &Address, bits: Proximity) -> &[(Address, NodeId)] {
        let start = self.relays.partition_point(|(address, _)| address < of && address.proximity(of) < bits);
        let end = self.relays.partition_point(|(address, _)| address <= of || address.proximity(of) >= bits);
        &self.relays[start..end]
    }

    /// The largest depth at which at least [`NEIGHBOURHOOD`] others share that many bits with a relay that is online;
    /// zero in a network that has fewer.
    pub fn depth(&self, of: &Address) -> Proximity {
        let at = self.relays.partition_point(|(address, _)| address < of);
        // The q-th closest of those on both sides is among q on each.
        let start = at.saturating_sub(NEIGHBOURHOOD);
        let end = (at + 1 + NEIGHBOURHOOD).min(self.relays.len());
        let mut shared: Vec<Proximity> = self.relays[start..end]
            .iter()
            .map(|(address, _)| address.proximity(of))
            .filter(|bits| *bits < 256)
            .collect();
        shared.sort_unstable_by(|one, other| other.cmp(one));
        shared.get(NEIGHBOURHOOD - 1).copied().unwrap_or(0)
    }

    /// Which part of its true neighbourhood a relay is connected to, 0..=1; 1 if it has none.
    pub fn completeness_of(&self, of: &Address, connected: &Neighbours) -> f64 {
        let depth = self.depth(of);
        let others = self.within(of, depth).len().saturating_sub(1);
        if others == 0 {
            return 1.0;
        }
        let online = |address: &Address| self.relays.binary_search_by_key(address, |(other, _)| *other).is_ok();
        let found = connected.within(depth).iter().filter(|relay| online(&relay.address)).count();
        found as f64 / others as f64
    }

    /// The mean over all relays that are online; 1 if there are none.
    pub fn completeness<'a>(&self, connected: impl Fn(NodeId) -> Option<Cow<'a, Neighbours>>) -> f64 {
        let parts = self
            .relays
            .iter()
            .filter_map(|(address, id)| connected(*id).map(|neighbours| self.completeness_of(address, &neighbours)));
        let (sum, count) = parts.fold((0.0, 0), |(sum, count), part| (sum + part, count + 1));
        if count == 0 { 1.0 } else { sum / f64::from(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use mainframe_base::LinkKey;

    fn truth(relays: u32) -> Truth {
        let mut dice = Dice::new(1, "test");
        Truth::new((0..relays).map(|index| (Address(dice.bytes()), NodeId(index))))
    }

    #[test]
    fn depth_and_neighbourhood_are_as_counting_says() {
        let truth = truth(200);
        for (of, _) in truth.relays() {
            let sharing = |bits| truth.relays().iter().filter(|(other, _)| other.proximity(of) >= bits).count() - 1;
            let depth = (0..256).rev().find(|bits| sharing(*bits) >= NEIGHBOURHOOD).unwrap();
            assert_eq!(truth.depth(of), depth);
            assert_eq!(truth.within(of, depth).len() - 1, sharing(depth));
        }
    }

    #[test]
    fn a_network_too_small_for_a_neighbourhood_has_depth_zero() {
        let truth = truth(5);
        let (of, _) = truth.relays()[2];
        assert_eq!(truth.depth(&of), 0);
        assert_eq!(truth.within(&of, 0).len(), 5);
    }

    #[test]
    fn completeness_counts_connected_relays_that_are_online() {
        let truth = truth(9);
        let (of, _) = truth.relays()[0];
        let key = LinkKey([0; 32]);
        let gone = (key, Address([0xEE; 32]));
        let half = truth.relays()[1..5].iter().map(|(address, _)| (key, *address)).chain([gone]);
        assert_eq!(truth.completeness_of(&of, &Neighbours::new(of, 0, half)), 0.5);
        assert_eq!(truth.completeness_of(&of, &Neighbours::none(of)), 0.0);
    }
}
