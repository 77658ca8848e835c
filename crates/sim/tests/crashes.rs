use mainframe_core::store::{Table, Tx};
use mainframe_sim::node::NodeId;
use mainframe_sim::population::Population;
use mainframe_sim::world::Stop;

use crate::grown;

fn cached(population: &Population, id: NodeId) -> Vec<Vec<u8>> {
    population.world().store(id).scan(Table::Peers, None, 10_000).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_node_that_crashed_comes_back_from_its_peer_cache_alone() {
    let mut population = grown(60);
    let crashed = NodeId(40);
    let before = cached(&population, crashed);
    assert!(!before.is_empty());
    population.stop(crashed, Stop::Closed);
    for id in population.bootstrap().to_vec() {
        population.stop(id, Stop::Vanished);
    }
    assert_eq!(cached(&population, crashed), before, "what was committed is there");
    population.run_seconds(40);
    population.restart(crashed);
    population.run_seconds(30);
    let truth = population.truth();
    let relay = population.world().machine(crashed).unwrap();
    assert_eq!(truth.completeness_of(population.address(crashed), relay.neighbours()), 1.0);
}

#[test]
fn when_power_fails_in_a_transaction_nothing_of_it_is_left_and_the_node_comes_back() {
    let mut population = grown(60);
    let unlucky = NodeId(20);
    let before = cached(&population, unlucky);
    population.world_mut().fail_power(unlucky);
    // newcomers make it write to its peer cache, and there power fails
    while population.world().is_online(unlucky) {
        population.add_through(&[unlucky]);
        population.run_seconds(5);
        assert!(population.world().ids().count() < 80, "a greeting is written to the peer cache");
    }
    assert_eq!(cached(&population, unlucky), before);
    population.restart(unlucky);
    population.run_seconds(60);
    let complete = population.completeness();
    assert!(complete >= 0.99, "complete to {complete}");
}
