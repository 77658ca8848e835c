//! Packets to whole regions (whitepaper, 暗路由): does everyone who could be the receiver get them, and at what cost?

use mainframe_base::{Address, Prefix};

use super::Stage;
use super::letters::{Letter, Letters, delivery_by_try};
use crate::figures::{least, mean, percentile, ratio};
use crate::node::NodeId;
use crate::packets::{Arrival, Packet, PacketIndex, Packets};

/// Time between two messages, in microseconds.
const INTERVAL_US: u64 = 100_000;
/// How long after it was sent a packet may still arrive, in seconds: twelve rounds of anti-entropy.
const SETTLED_S: u64 = 60;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let honest = stage.population.honest();
    let mut letters = Letters::default();
    for _ in 0..stage.options.packets {
        let origin = honest[stage.population.dice().below(honest.len())];
        let anywhere = Address(stage.population.dice().bytes());
        let destination = Prefix::of(&anywhere, stage.options.luminosity);
        let region: Vec<NodeId> =
            honest.iter().copied().filter(|id| destination.matches(stage.population.address(*id))).collect();
        let receiver = stage.population.dice().pick(&region).copied().unwrap_or(origin);
        letters.send(stage, origin, destination, receiver);
        let next = stage.population.world().now() + INTERVAL_US;
        letters.run_until(stage, next, "packets travel");
    }
    letters.settle(stage, SETTLED_S);
    let tally = Tally::of(stage, &letters);
    tally.report(stage);
    let packets = stage.population.world().packets();
    let by_try = delivery_by_try(letters.all(), packets, stage.options.tries, SETTLED_S);
    stage.put("delivery", by_try.last());
    stage.put("delivery_by_try", &by_try);
}

/// What all messages together did.
#[derive(Default)]
struct Tally {
    coverage: Vec<f64>,
    region_nodes: Vec<f64>,
    hops: Vec<f64>,
    latency_ms: Vec<f64>,
    tries: Vec<f64>,
    transmissions: u64,
    lied: u64,
    digests: u64,
    pulls: u64,
    spurious_pulls: u64,
    missed: u64,
}

impl Tally {
    fn of(stage: &Stage<'_>, letters: &Letters) -> Tally {
        let population = &stage.population;
        let packets = population.world().packets();
        let honest: Vec<(NodeId, Address)> =
            population.honest().into_iter().map(|id| (id, *population.address(id))).collect();
        let mut tally = Tally::default();
        for letter in letters.all() {
            let matches = |address: &Address| letter.destination.matches(address);
            let region: Vec<NodeId> =
                honest.iter().filter(|(_, address)| matches(address)).map(|(id, _)| *id).collect();
            tally.add(packets, letter, &region);
            for index in letter.packets() {
                let packet = &packets.all()[index as usize];
                tally.spurious_pulls += honest.iter().map(|(id, _)| spurious(packets, index, packet, *id)).sum::<u64>();
            }
        }
        tally
    }

    /// A relay counts as covered if any packet of the message was handed to its endpoint half in time.
    fn add(&mut self, packets: &Packets, letter: &Letter, region: &[NodeId]) {
        let mut covered = 0;
        for id in region.iter().filter(|id| **id != letter.origin) {
            let arrivals = || letter.packets().filter_map(|index| Some((index, packets.arrival(index, id.0)?)));
            let in_time = |(index, arrival): (PacketIndex, &Arrival)| {
                let settled = packets.all()[index as usize].sent_at + SETTLED_S * 1_000_000;
                arrival.handed_at.is_some_and(|at| at <= settled)
            };
            covered += usize::from(arrivals().any(in_time));
            if let Some((_, first)) = arrivals().min_by_key(|(_, arrival)| arrival.at) {
                self.hops.push(f64::from(first.hops));
                self.latency_ms.push(first.at.since(letter.sent_at) as f64 / 1e3);
            }
        }
        covered += usize::from(region.contains(&letter.origin));
        self.missed += (region.len() - covered) as u64;
        if !region.is_empty() {
            self.coverage.push(covered as f64 / region.len() as f64);
        }
        self.region_nodes.push(region.len() as f64);
        self.tries.push(letter.tries.len() as f64);
        for packet in letter.packets().map(|index| &packets.all()[index as usize]) {
            self.transmissions += packet.transmissions;
            self.lied += packet.lied;
            self.digests += packet.digests;
            self.pulls += packet.pulls;
        }
    }

    fn report(mut self, stage: &mut Stage<'_>) {
        let region_nodes = self.region_nodes.iter().sum::<f64>() as u64;
        stage.put("luminosity", stage.options.luminosity.bits());
        stage.put("coverage_mean", mean(&self.coverage));
        stage.put("coverage_min", least(&self.coverage));
        stage.put("missed", self.missed);
        stage.put("payload_per_region_node", ratio(self.transmissions, region_nodes));
        stage.put("honest_payload_per_region_node", ratio(self.transmissions - self.lied, region_nodes));
        stage.put("digests_per_region_node", ratio(self.digests, region_nodes));
        stage.put("hops_mean", mean(&self.hops));
        stage.put("hops_p99", percentile(&mut self.hops, 99));
        stage.put("latency_ms_p50", percentile(&mut self.latency_ms, 50));
        stage.put("latency_ms_p99", percentile(&mut self.latency_ms, 99));
        stage.put("region_nodes", mean(&self.region_nodes));
        stage.put("tries_mean", mean(&self.tries));
        stage.put("pulls", self.pulls);
        stage.put("spurious_pulls", self.spurious_pulls);
    }
}

/// Answers to pulls that brought a node what it had, or got, by other means.
fn spurious(packets: &Packets, index: PacketIndex, packet: &Packet, id: NodeId) -> u64 {
    let Some(arrival) = packets.arrival(index, id.0) else { return 0 };
    let had_it = u16::from(packet.origin == id.0);
    u64::from(arrival.pulled.min((arrival.copies + had_it).saturating_sub(1)))
}
