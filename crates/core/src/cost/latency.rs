//! How long a packet takes to the relays of its region, as the simulator's world has it (docs/protocol/simulator.md §2).
//!
//! Constants are fitted to `sim run dark-routing --packets 300 --seed 7`: honest, 500 nodes at 2 to 8 bits, 1,000 at 0 to
//! 10, 2,000 at 3 and 6; with droppers, 500 at 3 bits (5, 10, 20, 30 %), 1,000 at 3 and 2,000 at 4 (10 %).

use mainframe_base::Luminosity;

use super::scale::{milli_log2, read_off};
use super::table::{Network, milli_hops};

/// One hop in half of all cases, in milliseconds.
const HOP_MS_P50: u64 = 54;
/// In 99 of 100 cases a packet is as late as one lost frame makes it, and each hop adds its own lateness, in milliseconds.
const LOSS_MS_P99: u64 = 450;
const HOP_MS_P99: u64 = 125;
/// Relays that one hop reaches at the end of the tree: a neighbourhood.
const NEIGHBOURHOOD: u64 = 12;
/// How many times longer half of all copies take, in thousandths, by silent droppers in a thousand.
const MILLI_SLOWER_P50: [(u64, u64); 5] = [(0, 1_000), (50, 1_100), (100, 1_240), (200, 1_410), (300, 1_830)];
/// By how much the hundredth copy is later for each level of the tree, in milliseconds, by silent droppers in a thousand:
/// it waits for a pull, the longer the higher up the tree a dropper sits.
const LATER_MS_P99: [(u64, u64); 5] = [(0, 0), (50, 293), (100, 505), (200, 764), (300, 1_120)];

/// When a packet has come to a relay of its region, in milliseconds after it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// To half of them.
    pub p50_ms: u64,
    /// To 99 of a hundred.
    pub p99_ms: u64,
}

/// Hops to the region, then down the tree that spreads the packet there: half of the tree's levels on average, and one
/// hop to the neighbourhood.
pub fn latency(network: &Network, luminosity: Luminosity, milli_region: u64) -> Latency {
    let region = (milli_region / 1_000).max(1);
    let levels = milli_log2(region).saturating_sub(milli_log2(NEIGHBOURHOOD));
    let neighbourhood = 1_000 - 1_000 / region;
    let milli_hops = milli_hops(network.relays, luminosity) + levels / 2 + neighbourhood;
    let slower = read_off(&MILLI_SLOWER_P50, network.droppers_per_mille);
    let later = read_off(&LATER_MS_P99, network.droppers_per_mille);
    Latency {
        p50_ms: HOP_MS_P50 * milli_hops * slower / 1_000_000,
        p99_ms: LOSS_MS_P99 + (HOP_MS_P99 * milli_hops + later * levels.max(1_000)) / 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn darker_and_among_droppers_is_slower() {
        let at = |droppers_per_mille, bits, region: u64| {
            let network = Network { relays: 1_000, droppers_per_mille };
            latency(&network, Luminosity::at_most(bits), region * 1_000)
        };
        let (dark, bright) = (at(0, 1, 500), at(0, 7, 8));
        assert!(dark.p50_ms > bright.p50_ms && dark.p99_ms > bright.p99_ms);
        assert!(at(100, 1, 500).p50_ms > dark.p50_ms && at(100, 1, 500).p99_ms > dark.p99_ms);
        assert!(bright.p99_ms > bright.p50_ms);
    }
}
