//! What everyone's tables look like from above, grown or settled.

use mainframe_base::{Address, Proximity};
use serde::Serialize;

use crate::figures::{mean, percentile, ratio};
use crate::population::Population;
use crate::truth::Truth;

/// Suffixes of a bin are told apart by this many bits (docs/protocol/overlay.md §2).
const SUFFIX_BITS: u16 = 3;

/// Figures of all tables together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TableFigures {
    /// Relays a relay is connected to, on the mean.
    pub relays_mean: f64,
    /// The number that 99 % do not exceed.
    pub relays_p99: f64,
    /// Relays in a bin before the neighbourhood, on the mean, by bin.
    pub bin_fill: Vec<f64>,
    /// Part of the suffixes before the neighbourhood in which someone is online where someone is connected.
    pub suffixes_filled: f64,
}

/// Looks at everyone who is online.
pub fn look_at(population: &Population, truth: &Truth) -> TableFigures {
    let mut sums = Sums::default();
    for (address, id) in truth.relays() {
        let peers = population.world().peers_of(*id).map(|peer| *population.address(peer));
        sums.add(address, &peers.collect::<Vec<_>>(), truth);
    }
    sums.figures()
}

#[derive(Default)]
struct Sums {
    relays: Vec<f64>,
    /// By bin: relays in it, and tables that have it before their neighbourhoods.
    bins: Vec<(u64, u64)>,
    filled: u64,
    fillable: u64,
}

impl Sums {
    fn add(&mut self, of: &Address, peers: &[Address], truth: &Truth) {
        self.relays.push(peers.len() as f64);
        for bin in 0..truth.depth(of) {
            let standing: Vec<&Address> = peers.iter().filter(|peer| of.proximity(peer) == bin).collect();
            self.bins.resize(self.bins.len().max(usize::from(bin) + 1), (0, 0));
            let sum = &mut self.bins[usize::from(bin)];
            *sum = (sum.0 + standing.len() as u64, sum.1 + 1);
            for suffix in 0..1 << SUFFIX_BITS {
                let (slot, bits) = (slot(of, bin, suffix), bin + 1 + SUFFIX_BITS);
                self.fillable += u64::from(!truth.within(&slot, bits).is_empty());
                self.filled += u64::from(standing.iter().any(|peer| peer.proximity(&slot) >= bits));
            }
        }
    }

    fn figures(mut self) -> TableFigures {
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        TableFigures {
            relays_mean: rounded(mean(&self.relays)),
            relays_p99: percentile(&mut self.relays, 99),
            bin_fill: self.bins.iter().map(|(relays, tables)| rounded(ratio(*relays, *tables))).collect(),
            suffixes_filled: rounded(ratio(self.filled, self.fillable)),
        }
    }
}

/// An address in a suffix of a bin.
fn slot(of: &Address, bin: Proximity, suffix: u16) -> Address {
    let first = bin + 1;
    (0..SUFFIX_BITS).fold(of.with_bit_flipped(bin), |slot, index| {
        let wanted = suffix >> (SUFFIX_BITS - 1 - index) & 1 == 1;
        if slot.bit(first + index) == wanted { slot } else { slot.with_bit_flipped(first + index) }
    })
}
