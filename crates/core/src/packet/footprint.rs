//! Everything in this room that others can make grow, beside its bound (ARCHITECTURE.md, invariant 5).

use mainframe_base::Held;

use super::delegations::WATCHED_MAX;
use super::flow::Flow;
use super::gossip::{SOURCES_MAX, STANDBY_MAX, WANTED_MAX};
use super::seen::ENTRIES_MAX;
use super::trust::DEPARTED_MAX;
use super::{Packets, RING_BYTES_MAX, WINDOW_BYTES_MAX};
use crate::wire::CELL_LENGTH_T;

impl Packets {
    /// What is held for others now. Peers are as many as the overlay lets in, so their number is bounded there.
    pub fn footprint(&self) -> Vec<Held> {
        let (pool_bytes, _) = self.pool.bytes();
        let copies_max = self.config.pool_bytes_max / CELL_LENGTH_T;
        let longest = |length: fn(&Flow) -> usize| self.flows.values().map(length).max().unwrap_or(0);
        let timers_max = copies_max + WANTED_MAX + STANDBY_MAX + 1;
        let held = |name, now, bound| Held { name, now, bound };
        vec![
            held("pool_bytes", pool_bytes, self.config.pool_bytes_max),
            held("pool_copies", self.pool.copies(), copies_max),
            held("ring_bytes", self.ring.bytes(), RING_BYTES_MAX),
            held("seen", self.seen.entries(), ENTRIES_MAX),
            held("wanted", self.wanted.len(), WANTED_MAX),
            held("wanted_sources", self.sources_most(), SOURCES_MAX),
            held("standby", self.standby.len(), STANDBY_MAX),
            held("delegations", self.delegations.len(), WATCHED_MAX),
            held("departed_peers", self.departed.len(), DEPARTED_MAX),
            held("packet_timers", self.timers.len(), timers_max),
            held("window_bytes", longest(Flow::under_way_bytes), WINDOW_BYTES_MAX),
            // Left-behind places are swept out when they are twice the copies there are.
            held("waiting_for_a_window", longest(|flow| flow.waiting.len()), 2 * copies_max + 1),
        ]
    }

    fn sources_most(&self) -> usize {
        self.wanted.values().map(super::gossip::Wanted::sources).max().unwrap_or(0)
    }
}
