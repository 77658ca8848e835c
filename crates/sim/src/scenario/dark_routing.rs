//! Packets to whole regions (whitepaper, 暗路由): does everyone who could be the receiver get them, and at what cost?

use mainframe_base::{Address, Prefix};

use super::Stage;
use crate::figures::{least, mean, percentile, ratio};
use crate::moment::Moment;
use crate::node::NodeId;
use crate::packets::{Packet, PacketIndex, Packets};

/// Time between two packets, in microseconds.
const INTERVAL_US: u64 = 100_000;
/// How long after it was sent a packet may still arrive, in seconds: twelve rounds of anti-entropy.
const SETTLED_S: u64 = 60;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    for _ in 0..stage.options.packets {
        let origin = stage.random_honest();
        let anywhere = Address(stage.population.dice().bytes());
        let destination = Prefix::of(&anywhere, stage.options.luminosity);
        stage.population.send(origin, destination);
        let next = stage.population.world().now() + INTERVAL_US;
        stage.population.world_mut().run_until(next);
        stage.progress.tell(&stage.population, "packets travel");
    }
    stage.run_seconds(SETTLED_S, "packets settle");
    let tally = Tally::of(stage);
    tally.report(stage);
}

/// What all packets together did.
#[derive(Default)]
struct Tally {
    coverage: Vec<f64>,
    region_nodes: Vec<f64>,
    hops: Vec<f64>,
    latency_ms: Vec<f64>,
    transmissions: u64,
    digests: u64,
    pulls: u64,
    spurious_pulls: u64,
    missed: u64,
}

impl Tally {
    fn of(stage: &Stage<'_>) -> Tally {
        let population = &stage.population;
        let packets = population.world().packets();
        let honest: Vec<(NodeId, Address)> =
            population.honest().into_iter().map(|id| (id, *population.address(id))).collect();
        let mut tally = Tally::default();
        for (index, packet) in (0..).zip(packets.all()) {
            let region: Vec<NodeId> =
                honest.iter().filter(|(_, address)| packet.destination.matches(address)).map(|(id, _)| *id).collect();
            tally.add(packets, index, packet, &region);
            tally.spurious_pulls += honest.iter().map(|(id, _)| spurious(packets, index, packet, *id)).sum::<u64>();
        }
        tally
    }

    fn add(&mut self, packets: &Packets, index: PacketIndex, packet: &Packet, region: &[NodeId]) {
        let settled = packet.sent_at + SETTLED_S * 1_000_000;
        let mut covered = 0;
        for id in region {
            let origin = id.0 == packet.origin;
            let arrival = packets.arrival(index, id.0);
            let in_time = |at: Moment| at <= settled;
            if origin || arrival.and_then(|arrival| arrival.handed_at).is_some_and(in_time) {
                covered += 1;
            }
            if let Some(arrival) = arrival.filter(|_| !origin) {
                self.hops.push(f64::from(arrival.hops));
                self.latency_ms.push(arrival.at.since(packet.sent_at) as f64 / 1e3);
            }
        }
        self.missed += (region.len() - covered) as u64;
        if !region.is_empty() {
            self.coverage.push(covered as f64 / region.len() as f64);
        }
        self.region_nodes.push(region.len() as f64);
        self.transmissions += packet.transmissions;
        self.digests += packet.digests;
        self.pulls += packet.pulls;
    }

    fn report(mut self, stage: &mut Stage<'_>) {
        let region_nodes = self.region_nodes.iter().sum::<f64>() as u64;
        stage.put("luminosity", stage.options.luminosity.bits());
        stage.put("coverage_mean", mean(&self.coverage));
        stage.put("coverage_min", least(&self.coverage));
        stage.put("missed", self.missed);
        stage.put("payload_per_region_node", ratio(self.transmissions, region_nodes));
        stage.put("digests_per_region_node", ratio(self.digests, region_nodes));
        stage.put("hops_mean", mean(&self.hops));
        stage.put("hops_p99", percentile(&mut self.hops, 99));
        stage.put("latency_ms_p50", percentile(&mut self.latency_ms, 50));
        stage.put("latency_ms_p99", percentile(&mut self.latency_ms, 99));
        stage.put("region_nodes", mean(&self.region_nodes));
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
