//! Packets to single nodes: over how many hops, how surely, how soon?

use super::Stage;
use crate::figures::{mean, percentile, ratio};
use crate::node::NodeId;
use crate::packets::{PacketIndex, Packets};

/// Time between two packets, in microseconds.
const INTERVAL_US: u64 = 20_000;
/// How long a packet may take, in seconds.
pub(super) const DEADLINE_S: u64 = 10;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let honest = stage.population.honest();
    assert!(honest.len() > 1, "a packet needs an origin and a target");
    let mut sent = Vec::with_capacity(stage.options.packets);
    for _ in 0..stage.options.packets {
        sent.push(send_between(stage, &honest));
        let next = stage.population.world().now() + INTERVAL_US;
        stage.population.world_mut().run_until(next);
        stage.progress.tell(&stage.population, "packets travel");
    }
    stage.run_seconds(DEADLINE_S, "packets settle");
    let journeys = Journeys::of(stage.population.world().packets(), &sent);
    journeys.report(stage);
}

/// A packet between two random nodes of these; returns it and its target.
pub(super) fn send_between(stage: &mut Stage<'_>, nodes: &[NodeId]) -> (PacketIndex, NodeId) {
    let origin = nodes[stage.population.dice().below(nodes.len())];
    loop {
        let target = nodes[stage.population.dice().below(nodes.len())];
        if target != origin {
            return (stage.population.send_to(origin, target), target);
        }
    }
}

/// What became of packets to single nodes.
pub(super) struct Journeys {
    pub(super) sent: u64,
    pub(super) delivered: u64,
    hops: Vec<f64>,
    latency_ms: Vec<f64>,
    transmissions: Vec<f64>,
}

impl Journeys {
    pub(super) fn of(packets: &Packets, sent: &[(PacketIndex, NodeId)]) -> Journeys {
        let mut journeys = Journeys {
            sent: sent.len() as u64,
            delivered: 0,
            hops: Vec::new(),
            latency_ms: Vec::new(),
            transmissions: Vec::new(),
        };
        for (index, target) in sent {
            let packet = &packets.all()[*index as usize];
            journeys.transmissions.push(packet.transmissions as f64);
            let Some(arrival) = packets.arrival(*index, target.0) else { continue };
            let deadline = packet.sent_at + DEADLINE_S * 1_000_000;
            journeys.delivered += u64::from(arrival.handed_at.is_some_and(|at| at <= deadline));
            journeys.hops.push(f64::from(arrival.hops));
            journeys.latency_ms.push(arrival.at.since(packet.sent_at) as f64 / 1e3);
        }
        journeys
    }

    pub(super) fn report(mut self, stage: &mut Stage<'_>) {
        stage.put("delivery", ratio(self.delivered, self.sent));
        stage.put("undelivered", self.sent - self.delivered);
        stage.put("hops_mean", mean(&self.hops));
        stage.put("hops_p99", percentile(&mut self.hops, 99));
        stage.put("latency_ms_p50", percentile(&mut self.latency_ms, 50));
        stage.put("latency_ms_p99", percentile(&mut self.latency_ms, 99));
        stage.put("transmissions_mean", mean(&self.transmissions));
    }
}
