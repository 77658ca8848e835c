//! Packets to single nodes: over how many hops, how surely, how soon?

use super::Stage;
use super::letters::{Letter, Letters, delivery_by_try};
use crate::figures::{mean, percentile, ratio};
use crate::packets::{Arrival, Packets};

/// Time between two messages, in microseconds.
const INTERVAL_US: u64 = 20_000;
/// How long a packet may take, in seconds.
pub(super) const DEADLINE_S: u64 = 10;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let honest = stage.population.honest();
    assert!(honest.len() > 1, "a packet needs an origin and a target");
    let mut letters = Letters::default();
    for _ in 0..stage.options.packets {
        letters.send_between(stage, &honest);
        let next = stage.population.world().now() + INTERVAL_US;
        letters.run_until(stage, next, "packets travel");
    }
    letters.settle(stage, DEADLINE_S);
    let packets = stage.population.world().packets();
    let by_try = delivery_by_try(letters.all(), packets, stage.options.tries, DEADLINE_S);
    let journeys = Journeys::of(packets, letters.all());
    stage.put("delivery_by_try", by_try);
    journeys.report(stage);
}

/// What became of messages to single nodes.
#[derive(Default)]
pub(super) struct Journeys {
    sent: u64,
    /// With any try, each packet within [`DEADLINE_S`].
    delivered: u64,
    /// Within [`DEADLINE_S`] of the first try.
    delivered_early: u64,
    hops: Vec<f64>,
    latency_ms: Vec<f64>,
    transmissions: Vec<f64>,
    tries: Vec<f64>,
}

impl Journeys {
    pub(super) fn of<'a>(packets: &Packets, letters: impl IntoIterator<Item = &'a Letter>) -> Journeys {
        let mut journeys = Journeys::default();
        letters.into_iter().for_each(|letter| journeys.add(packets, letter));
        journeys
    }

    fn add(&mut self, packets: &Packets, letter: &Letter) {
        self.sent += 1;
        self.tries.push(letter.tries.len() as f64);
        let transmissions: u64 = letter.packets().map(|index| packets.all()[index as usize].transmissions).sum();
        self.transmissions.push(transmissions as f64);
        self.delivered += u64::from(letter.arrived_with_try(packets, DEADLINE_S).is_some());
        let arrivals = letter.packets().filter_map(|index| packets.arrival(index, letter.receiver.0));
        let Some(first) = arrivals.min_by_key(|arrival: &&Arrival| arrival.at) else { return };
        let early = first.handed_at.is_some_and(|at| at <= letter.sent_at + DEADLINE_S * 1_000_000);
        self.delivered_early += u64::from(early);
        self.hops.push(f64::from(first.hops));
        self.latency_ms.push(first.at.since(letter.sent_at) as f64 / 1e3);
    }

    pub(super) fn report(mut self, stage: &mut Stage<'_>) {
        stage.put("delivery", ratio(self.delivered, self.sent));
        stage.put("delivery_in_10_s", ratio(self.delivered_early, self.sent));
        stage.put("undelivered", self.sent - self.delivered);
        stage.put("tries_mean", mean(&self.tries));
        stage.put("hops_mean", mean(&self.hops));
        stage.put("hops_p99", percentile(&mut self.hops, 99));
        stage.put("latency_ms_p50", percentile(&mut self.latency_ms, 50));
        stage.put("latency_ms_p99", percentile(&mut self.latency_ms, 99));
        stage.put("transmissions_mean", mean(&self.transmissions));
    }
}
