//! Everything in this room that others can make grow, beside its bound (ARCHITECTURE.md, invariant 5).

use mainframe_base::{ADDRESS_BITS, Held};

use super::peer::Peer;
use super::questions::OWED_MAX;
use super::{Overlay, SHUNNED_MAX};

impl Overlay {
    /// What is held for others now.
    pub fn footprint(&self) -> Vec<Held> {
        // A peer that we dialled is let in when there are `peers_max`, and we dial so many at once.
        let peers_max = self.config.peers_max + self.config.dials_max;
        let guests = self.peers.values().filter(|peer| peer.is_guest()).count();
        let owed = |peer: &Peer| usize::from(peer.owed);
        let held = |name, now, bound| Held { name, now, bound };
        vec![
            held("peers", self.peers.len(), peers_max),
            // Those who stay, and as many who may ask for others.
            held("guests", guests, 2 * self.config.guests_max),
            // A connected relay has its record kept even when its bin is full.
            held("known", self.book.len(), self.config.known_max + peers_max),
            held("dials", self.dials.len(), self.config.dials_max),
            held("shunned", self.shunned.len(), SHUNNED_MAX),
            held("slots", self.slots.len(), usize::from(ADDRESS_BITS) << self.config.suffix_bits()),
            held("answers_owed", self.peers.values().map(owed).max().unwrap_or(0), usize::from(OWED_MAX)),
        ]
    }
}
