//! People who talk in pairs and groups while nodes crash and the network breaks in two.

use mainframe_sim::scenario::{Options, Scenario};

use crate::{number, options, play};

fn stormy(nodes: usize, persons: usize, messages: usize, minutes: u64) -> Options {
    let options = options(Scenario::Sessions, nodes, messages);
    Options { persons, minutes, crashes: true, partitions: true, loss_per_million: Some(50_000), ..options }
}

#[test]
fn what_is_said_while_nodes_crash_and_the_network_breaks_is_heard_by_everyone_once_and_in_order() {
    let report = play(&stormy(40, 12, 400, 60));
    assert!(report["is_sound"].as_bool().unwrap(), "{}", report["checks"]);
    assert!(number(&report, "sent") >= 400.0);
    assert!(number(&report, "crashes") >= 10.0 && number(&report, "partitions") >= 5.0);
    assert!(number(&report, "removals") + number(&report, "leavings") > 0.0 && number(&report, "additions") > 0.0);
    assert!(number(&report, "nn_completeness_at_rest") >= 0.99);
}

#[test]
fn the_same_seed_plays_the_same_conversations() {
    let options = stormy(20, 4, 40, 10);
    let hash = |options: &Options| play(options)["trace_hash"].clone();
    assert_eq!(hash(&options), hash(&options));
    assert_ne!(hash(&options), hash(&Options { seed: 8, ..options }));
}
