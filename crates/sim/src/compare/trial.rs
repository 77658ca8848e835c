//! One protocol's run over a grown network: the same packets for everyone, and what became of them.

use mainframe_base::{Address, Luminosity, Prefix};
use mainframe_core::wire::{CELL_LENGTH_T, FRAME_HEADER_LENGTH};
use serde::Serialize;

use crate::dice::Dice;
use crate::figures::{least, mean, percentile, ratio};
use crate::masks::Mask;
use crate::moment::Moment;
use crate::node::NodeId;
use crate::packets::{Packet, PacketIndex, Packets};
use crate::population::Population;
use crate::progress::Progress;
use crate::world::Counts;

/// Time between two packets, in microseconds.
const INTERVAL_US: u64 = 100_000;
/// How long after it was sent a packet may still arrive, in seconds.
const SETTLED_S: u64 = 60;

/// What every protocol of a comparison is given to do.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Origins and destinations, in order.
    pub packets: Vec<(NodeId, Prefix)>,
    /// Who drops packets in silence; no origin is among them.
    pub droppers: Vec<NodeId>,
}

impl Errand {
    /// Draws packets, and droppers among those who run; the same seed draws the same.
    pub fn draw(population: &Population, count: usize, luminosity: Luminosity, droppers: f64, seed: u64) -> Errand {
        let mut dice = Dice::new(seed, "compare");
        let mut online = population.online();
        dice.shuffle(&mut online);
        let origins = online.split_off((online.len() as f64 * droppers).round() as usize);
        let mut packet = || {
            let origin = origins[dice.below(origins.len())];
            (origin, Prefix::of(&Address(dice.bytes()), luminosity))
        };
        Errand { packets: (0..count).map(|_| packet()).collect(), droppers: online }
    }

    /// The same with no more than so many packets.
    pub fn of_at_most(&self, count: usize) -> Errand {
        Errand { packets: self.packets.iter().take(count).copied().collect(), ..self.clone() }
    }

    /// The same among honest nodes only.
    pub fn without_droppers(&self) -> Errand {
        Errand { droppers: Vec::new(), ..self.clone() }
    }

    /// Puts on the masks, sends the packets, lets them settle, and looks.
    pub fn run(&self, population: &mut Population, progress: &mut Progress, name: &str) -> Outcome {
        for id in &self.droppers {
            population.world_mut().mask(*id, Mask::SilentDropper);
        }
        let before = population.world().counts().clone();
        let first = population.world().packets().all().len() as PacketIndex;
        for (origin, destination) in &self.packets {
            population.send(*origin, *destination);
            let next = population.world().now() + INTERVAL_US;
            population.world_mut().run_until(next);
            progress.tell(population, name);
        }
        for _ in 0..SETTLED_S {
            population.run_seconds(1);
            progress.tell(population, name);
        }
        Tally::of(population, first).outcome(population, &before)
    }
}

/// What came out for one protocol. The keys are docs/protocol/simulator.md's.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct Outcome {
    /// Packets sent.
    pub packets: usize,
    /// Honest relays of the region, mean over packets.
    pub region_nodes: f64,
    /// Part of them that got the packet, mean over packets.
    pub coverage_mean: f64,
    /// The same of the worst packet.
    pub coverage_min: f64,
    /// Cell frames on any link for each of them.
    pub payload_per_region_node: f64,
    /// Of these, the cell frames that were not on the way to the region.
    pub copies_per_region_node: f64,
    /// Bytes of all those cell frames, for each of them.
    pub payload_bytes_per_region_node: f64,
    /// Bytes of receipts, digests, pulls and sketches, for each of them.
    pub control_bytes_per_region_node: f64,
    /// Cells and control together.
    pub bytes_per_region_node: f64,
    /// Copies that came to a relay of the region beyond its first, for each of them that got one.
    pub duplicates_per_region_node: f64,
    /// Links crossed by the first copy.
    pub hops_mean: f64,
    /// The same, of the slowest hundredth.
    pub hops_p99: f64,
    /// Time of the first copy, in milliseconds.
    pub latency_ms_p50: f64,
    /// The same, of the slowest hundredth.
    pub latency_ms_p99: f64,
    /// The hash over everything that happened.
    pub trace_hash: String,
}

#[derive(Default)]
struct Tally {
    packets: usize,
    coverage: Vec<f64>,
    region_nodes: u64,
    hops: Vec<f64>,
    latency_ms: Vec<f64>,
    transmissions: u64,
    duplicates: u64,
}

impl Tally {
    /// Of the packets from that one on.
    fn of(population: &Population, first: PacketIndex) -> Tally {
        let packets = population.world().packets();
        let honest: Vec<(NodeId, Address)> =
            population.honest().into_iter().map(|id| (id, *population.address(id))).collect();
        let mut tally = Tally::default();
        for (index, packet) in (first..).zip(&packets.all()[first as usize..]) {
            let region = honest.iter().filter(|(_, address)| packet.destination.matches(address));
            let region: Vec<NodeId> = region.map(|(id, _)| *id).collect();
            tally.add(packets, index, packet, &region);
        }
        tally
    }

    fn add(&mut self, packets: &Packets, index: PacketIndex, packet: &Packet, region: &[NodeId]) {
        let settled = packet.sent_at + SETTLED_S * 1_000_000;
        let is_handed = |at: Option<Moment>| at.is_some_and(|at| at <= settled);
        let mut covered = 0;
        for id in region {
            let is_origin = id.0 == packet.origin;
            let arrival = packets.arrival(index, id.0);
            covered += usize::from(is_origin || is_handed(arrival.and_then(|arrival| arrival.handed_at)));
            let Some(arrival) = arrival else { continue };
            self.duplicates += u64::from(arrival.copies) - u64::from(!is_origin).min(u64::from(arrival.copies));
            if !is_origin {
                self.hops.push(f64::from(arrival.hops));
                self.latency_ms.push(arrival.at.since(packet.sent_at) as f64 / 1e3);
            }
        }
        if !region.is_empty() {
            self.coverage.push(covered as f64 / region.len() as f64);
        }
        self.packets += 1;
        self.region_nodes += region.len() as u64;
        self.transmissions += packet.transmissions;
    }

    fn outcome(mut self, population: &mut Population, before: &Counts) -> Outcome {
        let counts = population.world().counts();
        let copies = counts.cells_shared - before.cells_shared;
        let control_bytes = counts.packet_control_bytes - before.packet_control_bytes;
        let payload_bytes = self.transmissions * (FRAME_HEADER_LENGTH + CELL_LENGTH_T) as u64;
        Outcome {
            packets: self.packets,
            region_nodes: ratio(self.region_nodes, self.packets as u64),
            coverage_mean: mean(&self.coverage),
            coverage_min: least(&self.coverage),
            payload_per_region_node: ratio(self.transmissions, self.region_nodes),
            copies_per_region_node: ratio(copies, self.region_nodes),
            payload_bytes_per_region_node: ratio(payload_bytes, self.region_nodes),
            control_bytes_per_region_node: ratio(control_bytes, self.region_nodes),
            bytes_per_region_node: ratio(payload_bytes + control_bytes, self.region_nodes),
            duplicates_per_region_node: ratio(self.duplicates, self.hops.len() as u64),
            hops_mean: mean(&self.hops),
            hops_p99: percentile(&mut self.hops, 99),
            latency_ms_p50: percentile(&mut self.latency_ms, 50),
            latency_ms_p99: percentile(&mut self.latency_ms, 99),
            trace_hash: population.world_mut().trace_hash(),
        }
    }
}
