use mainframe_base::{Luminosity, Prefix, Secret};
use mainframe_core::crypto::PersonKeys;
use mainframe_core::store::{Table, Tx};
use mainframe_core::switchboard::{
    CommandId, Endpoint, EndpointCommand, EndpointConfig, EndpointReply, Letter, Message, Recipient,
};
use mainframe_core::wire::{BudgetClass, HoldClass};
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
    population.run_seconds(60);
    population.restart(crashed);
    population.run_seconds(30);
    let truth = population.truth();
    let relay = population.world().machine(crashed).unwrap().relay();
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

const ALICE: NodeId = NodeId(10);
const BOB: NodeId = NodeId(20);

fn bob() -> PersonKeys {
    PersonKeys::from_secret(Secret::new([7; 32]))
}

/// Bob's endpoint half, as it is after every start.
fn seat_bob(population: &mut Population) {
    let world = population.world_mut();
    world.seat(BOB, Endpoint::new(EndpointConfig::default(), [2; 32]));
    world.ask(BOB, CommandId(1), EndpointCommand::AddPerson(bob()));
}

/// Alice writes to Bob; what is published at Bob's within some seconds.
fn write_to_bob(population: &mut Population, body: &str) -> Vec<String> {
    let destination = Prefix::of(population.address(BOB), Luminosity::at_most(2));
    let send = EndpointCommand::Send(Letter {
        to: Recipient::Person(bob().scan_key()),
        destination,
        hold: HoldClass::Live,
        budget: BudgetClass::MAX,
        instead_of: None,
        body: body.as_bytes().to_vec(),
    });
    population.world_mut().ask(ALICE, CommandId(2), send);
    population.run_seconds(5);
    population.world_mut().take_heard().opened.iter().map(|(_, message)| text(message)).collect()
}

fn inbox(population: &mut Population) -> Vec<String> {
    population.world_mut().take_heard();
    population.world_mut().ask(BOB, CommandId(3), EndpointCommand::Inbox { after: 0, limit: 10 });
    let replies = population.world_mut().take_heard().replies;
    let Some((_, _, EndpointReply::Inbox(messages))) = replies.first() else { panic!("no inbox in {replies:?}") };
    messages.iter().map(text).collect()
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

#[test]
fn what_was_published_survives_a_crash_and_what_was_not_committed_was_never_published() {
    let mut population = grown(60);
    population.world_mut().seat(ALICE, Endpoint::new(EndpointConfig::default(), [1; 32]));
    seat_bob(&mut population);
    assert_eq!(write_to_bob(&mut population, "first"), ["first"]);
    population.world_mut().fail_power(BOB);
    assert_eq!(write_to_bob(&mut population, "second"), [""; 0], "power fails while it is being kept");
    assert!(!population.world().is_online(BOB));
    population.restart(BOB);
    population.run_seconds(60);
    seat_bob(&mut population);
    assert_eq!(inbox(&mut population), ["first"]);
    assert_eq!(write_to_bob(&mut population, "third"), ["third"]);
    assert_eq!(inbox(&mut population), ["first", "third"]);
}
