//! How large the table is and how often it is tended.

/// Sizes and paces of the overlay. The defaults are those of the public network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverlayConfig {
    /// Relays wanted in each bin, one per suffix: a power of two, 1..=16 (protocol research §3.2: 8 gives 2.9 hops
    /// among 10,000 nodes; 4 gives 3.6).
    pub bin_size: usize,
    /// Relays above which a bin is pruned (bee: 18).
    pub bin_size_max: usize,
    /// Relays a bin outside the neighbourhood must hold before the neighbourhood may begin behind it, or all that
    /// are known if there are fewer (bee: 4).
    pub bin_floor: usize,
    /// Relays that make a neighbourhood (protocol research §3.2: 8).
    pub neighbourhood: usize,
    /// Relays of one IPv4 /24 or IPv6 /48 allowed in one bin outside the neighbourhood; 0 for no limit.
    pub subnet_max: usize,
    /// Guests served at once.
    pub guests_max: usize,
    /// Relays a guest stays connected to: one to hear from, one to check it by. With three, four guests for each relay would
    /// fill all places.
    pub access_relays: usize,
    /// Connections of every kind: 8 bins of 18, a neighbourhood of 32, guests and passers-by fit twice (guess).
    pub peers_max: usize,
    /// Records kept of each bin: 4 for each of 8 suffixes, so that a spare lives when half of the network vanishes.
    pub known_per_bin: usize,
    /// Records kept in all: 32 bins full. At about 300 B each that is 300 KiB.
    pub known_max: usize,
    /// Dials at once (guess: more would look like a scan to a home router).
    pub dials_max: usize,
    /// Time between feelers, in milliseconds (protocol research §3.2).
    pub feeler_interval_ms: u64,
    /// Time between two rounds of `Neighbourhood` when nothing changes, in milliseconds.
    pub belief_interval_ms: u64,
    /// Time between estimates of the network's size, in milliseconds; 0 for none unasked.
    pub estimate_interval_ms: u64,
    /// Look-ups of each unasked estimate (protocol research §3.2: 8 look-ups of 20 records are good to ±15 %).
    pub estimate_lookups: u8,
}

impl Default for OverlayConfig {
    fn default() -> Self {
        OverlayConfig {
            bin_size: 8,
            bin_size_max: 18,
            bin_floor: 4,
            neighbourhood: 8,
            subnet_max: 2,
            guests_max: 8,
            access_relays: 2,
            peers_max: 384,
            known_per_bin: 32,
            known_max: 1_024,
            dials_max: 16,
            feeler_interval_ms: 60_000,
            belief_interval_ms: 30_000,
            estimate_interval_ms: 3_600_000,
            estimate_lookups: 8,
        }
    }
}

impl OverlayConfig {
    /// For networks of 5 to 60 nodes on one machine. Forced, and not what the public network does: bins of 4 (8 at
    /// most) and neighbourhoods of 4, so that 50 nodes have depth 2 to 4 and packets really travel by prefix; no limit
    /// per subnet, because every node has the same one.
    pub fn small_network() -> Self {
        OverlayConfig {
            bin_size: 4,
            bin_size_max: 8,
            bin_floor: 2,
            neighbourhood: 4,
            subnet_max: 0,
            ..OverlayConfig::default()
        }
    }

    /// Bits after a bin's own bit that number its suffixes: one relay is wanted for each of their values.
    pub(super) fn suffix_bits(&self) -> u16 {
        self.bin_size.clamp(1, 16).ilog2() as u16
    }
}
