use mainframe_core::overlay::OverlayConfig;
use mainframe_core::switchboard::RelayConfig;
use mainframe_sim::net::NetConfig;
use mainframe_sim::node::NodeId;
use mainframe_sim::population::{Growth, Population, PopulationConfig};
use mainframe_sim::world::Stop;

use crate::grown;

#[test]
fn two_halves_that_lost_each_other_grow_together_again() {
    let mut population = grown(100);
    let half: Vec<NodeId> = population.online().into_iter().filter(|id| id.0 % 2 == 0).collect();
    population.world_mut().partition(&half);
    population.run_seconds(120);
    assert!(population.completeness() < 0.9, "each half only knows itself");
    population.world_mut().heal();
    population.run_seconds(600);
    let complete = population.completeness();
    assert!(complete >= 0.99, "complete to {complete}");
}

#[test]
fn two_halves_that_have_forgotten_each_other_grow_together_again() {
    let overlay = OverlayConfig { estimate_interval_ms: 0, ..OverlayConfig::default() };
    let relay = RelayConfig { overlay, ..RelayConfig::default() };
    let config = PopulationConfig { net: NetConfig::default(), relay, seed: 7, nudge: None };
    let mut population = Population::new(config);
    Growth { rest_s: 10, ..Growth::of(100) }.run(&mut population, |_| ());
    let mut half = population.online();
    population.dice().shuffle(&mut half);
    half.truncate(50);
    population.world_mut().partition(&half);
    population.run_seconds(900);
    population.world_mut().heal();
    population.run_seconds(180);
    let complete = population.completeness();
    assert!(complete >= 0.99, "complete to {complete}");
}

#[test]
fn half_of_the_network_vanishes_and_the_other_half_closes_ranks() {
    let mut population = grown(150);
    let half: Vec<NodeId> = population.online().into_iter().filter(|id| id.0 % 2 == 0).collect();
    half.into_iter().for_each(|id| population.stop(id, Stop::Vanished));
    population.run_seconds(60);
    let complete = population.completeness();
    assert!(complete >= 0.99, "complete to {complete}");
}

#[test]
fn a_newcomer_joins_through_any_survivor_when_every_bootstrap_node_is_gone() {
    let mut population = grown(60);
    for id in population.bootstrap().to_vec() {
        population.stop(id, Stop::Vanished);
    }
    population.run_seconds(60);
    let survivor = population.online()[30];
    let newcomer = population.add_through(&[survivor]);
    population.run_seconds(30);
    let truth = population.truth();
    let relay = population.world().machine(newcomer).unwrap().relay();
    assert_eq!(truth.completeness_of(population.address(newcomer), relay.neighbours()), 1.0);
}
