//! Plain flooding: everyone tells every neighbour but the one that told him. It knows no regions; the whole network pays.

use mainframe_base::{LinkKey, Luminosity};

use super::guise::{Rule, Share};

/// The rule.
pub(super) struct Flood;

impl Rule for Flood {
    fn copies(&mut self, share: &Share<'_>) -> Vec<(LinkKey, Luminosity)> {
        let bits = share.cell.destination().luminosity();
        let others = share.neighbours.all().iter().filter(|peer| Some(peer.key) != share.from);
        others.map(|peer| (peer.key, bits)).collect()
    }

    fn knows_no_regions(&self) -> bool {
        true
    }
}
