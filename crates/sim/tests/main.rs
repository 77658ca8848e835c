//! The whole protocol, simulated: small networks, fixed seeds.

mod baselines;
mod crashes;
mod determinism;
mod eavesdroppers;
mod estimating;
mod group_commits;
mod holding;
mod liars;
mod multicast;
mod partitions;
mod routing;
mod scale;
mod sessions;

use mainframe_sim::net::NetConfig;
use mainframe_sim::population::{Growth, Population, PopulationConfig};
use mainframe_sim::progress::Progress;
use mainframe_sim::scenario::{Options, Report, Scenario, run};

/// Plays a scenario without a word.
fn play(options: &Options) -> Report {
    run(options, &mut Progress::new(false))
}

fn number(report: &Report, name: &str) -> f64 {
    report[name].as_f64().unwrap_or_else(|| panic!("{name} is a number, not {}", report[name]))
}

fn options(scenario: Scenario, nodes: usize, packets: usize) -> Options {
    Options { packets, ..Options::new(scenario, nodes, 7) }
}

/// A settled network.
fn grown(nodes: usize) -> Population {
    let config = PopulationConfig { net: NetConfig::default(), relay: Default::default(), seed: 7, nudge: None };
    let mut population = Population::new(config);
    let growth = Growth { rest_s: 10, ..Growth::of(nodes) };
    let complete = growth.run(&mut population, |_| ());
    assert!(complete >= 0.99, "neighbourhoods are complete to {complete}");
    population
}
