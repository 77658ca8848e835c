//! How long bytes take between places, and when they do not arrive.
//!
//! Shares and latencies are those of SimBlock (Aoki and others, "SimBlock: A Blockchain Network Simulator", 2019,
//! arXiv:1901.09777; the region table of 2019). Its numbers agree with public tables of round-trip times, so one way is
//! taken as half of them. A frame takes 80 % of that for certain and the rest exponentially distributed, which is the
//! 20 % by which SimBlock varies them; two frames on one link may so overtake each other.
//!
//! Bandwidth is not modelled: a frame takes as long as a byte.

use crate::dice::Dice;
use crate::moment::Moment;

/// A part of the world (SimBlock's regions).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Region {
    /// North America.
    NorthAmerica,
    /// Europe.
    Europe,
    /// South America.
    SouthAmerica,
    /// Asia and the Pacific, without the next two.
    AsiaPacific,
    /// Japan.
    Japan,
    /// Australia.
    Australia,
}

impl Region {
    /// All of them, in the order of the tables.
    pub const ALL: [Region; 6] = [
        Region::NorthAmerica,
        Region::Europe,
        Region::SouthAmerica,
        Region::AsiaPacific,
        Region::Japan,
        Region::Australia,
    ];
}

/// Nodes of each region among 10,000 (SimBlock 2019).
const SHARES: [usize; 6] = [3_316, 4_998, 90, 1_177, 224, 195];

/// Round trips between regions, in milliseconds (SimBlock 2019).
const ROUND_TRIP_MS: [[u64; 6]; 6] = [
    [32, 124, 184, 198, 151, 189],
    [124, 11, 227, 237, 252, 294],
    [184, 227, 88, 325, 301, 322],
    [198, 237, 325, 85, 58, 198],
    [151, 252, 301, 58, 12, 126],
    [189, 294, 322, 198, 126, 16],
];

/// How long a frame takes between two regions on average, in microseconds.
pub fn mean_one_way_us(from: Region, to: Region) -> u64 {
    ROUND_TRIP_MS[from as usize][to as usize] * 1_000 / 2
}

/// How good the network is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetConfig {
    /// Frames lost among a million, after the first of a connection.
    pub loss_per_million: u32,
    /// Most connections of one node (the link's own bound, both ways together).
    pub connections_max: usize,
    /// How long a dial waits for someone who does not answer, in microseconds (libp2p's handshake limit).
    pub dial_patience_us: u64,
    /// A link asks for a sign of life this often, in microseconds (the default of `mainframe-link`).
    pub ping_interval_us: u64,
    /// It waits this long for one, in microseconds (the same).
    pub ping_patience_us: u64,
}

impl Default for NetConfig {
    fn default() -> Self {
        NetConfig {
            loss_per_million: 10_000,
            connections_max: 1_024,
            dial_patience_us: 10_000_000,
            ping_interval_us: 30_000_000,
            ping_patience_us: 20_000_000,
        }
    }
}

/// One latency value changed at one instant: what must show in the trace hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nudge {
    /// The first frame sent at or after this moment …
    pub at: Moment,
    /// … takes so many microseconds longer.
    pub longer_us: u64,
}

/// The network under the nodes.
#[derive(Clone, Debug)]
pub struct Net {
    config: NetConfig,
    dice: Dice,
    regions: Vec<Region>,
    sides: Vec<u8>,
    nudge: Option<Nudge>,
}

impl Net {
    /// An empty network.
    pub fn new(config: NetConfig, seed: u64, nudge: Option<Nudge>) -> Net {
        Net { config, dice: Dice::new(seed, "net"), regions: Vec::new(), sides: Vec::new(), nudge }
    }

    /// How good it is.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// Places one more node somewhere in the world; nodes are counted from zero.
    pub fn add_node(&mut self) {
        let mut share = self.dice.below(SHARES.iter().sum());
        let index = SHARES.iter().position(|size| {
            let here = share < *size;
            share = share.saturating_sub(*size);
            here
        });
        self.regions.push(Region::ALL[index.expect("the share is below their sum")]);
        self.sides.push(0);
    }

    /// Where a node is.
    pub fn region(&self, node: usize) -> Region {
        self.regions[node]
    }

    /// How long the next frame between two nodes takes, in microseconds.
    pub fn one_way_us(&mut self, now: Moment, from: usize, to: usize) -> u64 {
        let mean_us = mean_one_way_us(self.regions[from], self.regions[to]);
        let latency_us = mean_us * 4 / 5 + self.dice.exponential(mean_us / 5);
        latency_us + self.nudged_us(now)
    }

    fn nudged_us(&mut self, now: Moment) -> u64 {
        match self.nudge.take_if(|nudge| now >= nudge.at) {
            Some(nudge) => nudge.longer_us,
            None => 0,
        }
    }

    /// Whether the next frame is lost.
    pub fn loses(&mut self) -> bool {
        self.dice.happens(self.config.loss_per_million)
    }

    /// How long a node takes to notice that a peer has fallen silent, in microseconds: until its next ping, and then
    /// until it gives up.
    pub fn silence_us(&mut self) -> u64 {
        let until_ping_us = self.dice.below(self.config.ping_interval_us as usize + 1) as u64;
        until_ping_us + self.config.ping_patience_us
    }

    /// Whether bytes get from one to the other at all.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        self.sides[from] == self.sides[to]
    }

    /// Puts a node on one side of a partition; everyone starts on side 0.
    pub fn set_side(&mut self, node: usize, side: u8) {
        self.sides[node] = side;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net_of(nodes: usize) -> Net {
        let mut net = Net::new(NetConfig::default(), 1, None);
        (0..nodes).for_each(|_| net.add_node());
        net
    }

    #[test]
    fn the_round_trip_does_not_depend_on_the_direction() {
        for (row, latencies) in ROUND_TRIP_MS.iter().enumerate() {
            for (column, latency) in latencies.iter().enumerate() {
                assert_eq!(*latency, ROUND_TRIP_MS[column][row]);
            }
        }
    }

    #[test]
    fn half_of_the_nodes_are_in_europe() {
        let net = net_of(10_000);
        let europeans = (0..10_000).filter(|node| net.region(*node) == Region::Europe).count();
        assert!((4_800..=5_200).contains(&europeans), "{europeans}");
    }

    #[test]
    fn a_frame_takes_half_a_round_trip_on_average_and_never_much_less() {
        let mut net = net_of(2);
        net.regions = vec![Region::NorthAmerica, Region::Europe];
        let taken: Vec<u64> = (0..20_000).map(|_| net.one_way_us(Moment(0), 0, 1)).collect();
        assert!(taken.iter().all(|us| *us >= 62_000 * 4 / 5));
        let mean = taken.iter().sum::<u64>() / 20_000;
        assert!((61_000..=63_000).contains(&mean), "{mean}");
    }

    #[test]
    fn a_nudge_delays_one_frame_and_no_other() {
        let nudge = Nudge { at: Moment(10), longer_us: 7 };
        let mut plain = net_of(2);
        let mut nudged = net_of(2);
        nudged.nudge = Some(nudge);
        let later_us = [0, 10, 11].map(|at| nudged.one_way_us(Moment(at), 0, 1) - plain.one_way_us(Moment(at), 0, 1));
        assert_eq!(later_us, [0, 7, 0]);
    }
}
