//! People who talk in pairs and groups while nodes crash and the network breaks in two.

use mainframe_sim::scenario::{Options, Report, Scenario};

use crate::{number, options, play};

fn small() -> Options {
    let options = options(Scenario::Sessions, 40, 400);
    Options { persons: 12, minutes: 60, crashes: true, partitions: true, loss_per_million: Some(50_000), ..options }
}

fn played() -> Report {
    play(&small())
}

#[test]
fn what_is_heard_while_nodes_crash_and_the_network_breaks_is_heard_once_and_in_order() {
    let report = played();
    for (check, holds) in report["checks"].as_object().unwrap() {
        // Some of what is said to a group while members come and go is not heard by everyone yet (docs/protocol/simulator.md).
        assert!(holds.as_bool().unwrap() || check == "lost", "{check} does not hold");
    }
    assert!(number(&report, "sent") >= 400.0);
    assert!(number(&report, "crashes") >= 10.0 && number(&report, "partitions") >= 5.0);
    assert!(number(&report, "removals") + number(&report, "leavings") > 0.0 && number(&report, "additions") > 0.0);
}
