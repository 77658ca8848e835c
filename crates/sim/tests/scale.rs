use std::fs;
use std::path::PathBuf;

use mainframe_base::{Luminosity, Time};
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{Relay, RelayEffect, RelayInput};
use mainframe_sim::actor::Guise;
use mainframe_sim::grown::Grown;
use mainframe_sim::node::NodeId;
use mainframe_sim::progress::Progress;
use mainframe_sim::scenario::{Options, Report, Scenario, Tables, grow, growth_key, join, run_from};
use mainframe_sim::suite::{Entry, Suite};

use crate::{number, options, play};

fn dark(nodes: usize, packets: usize) -> Options {
    Options { luminosity: Luminosity::at_most(2), ..options(Scenario::DarkRouting, nodes, packets) }
}

fn settled(options: Options) -> Options {
    Options { tables: Tables::Settled, ..options }
}

/// What a report says of the run, and not of the machine it ran on.
fn lasting(mut report: Report) -> Report {
    for name in ["wall_s", "growth_wall_s", "peak_mb"] {
        assert!(report.remove(name).is_some());
    }
    report
}

fn is_near(one: f64, other: f64, tolerance: f64) -> bool {
    (one - other).abs() <= tolerance * one.max(other)
}

#[test]
fn a_run_in_a_copy_of_a_network_is_the_run_in_the_network_itself() {
    let usual = dark(60, 10);
    let lying = Options { droppers: 0.2, packets: 20, ..usual };
    let grown = grow(&usual, &mut Progress::new(false));
    for options in [usual, lying, usual] {
        let copied = run_from(&grown, &options, &mut Progress::new(false));
        assert_eq!(lasting(copied), lasting(play(&options)));
    }
}

#[test]
fn networks_are_told_apart_by_what_their_growth_depends_on_alone() {
    let key = growth_key(&dark(60, 10));
    assert_eq!(key, growth_key(&Options { droppers: 0.1, ..options(Scenario::FullAddress, 60, 5) }));
    assert_ne!(key, growth_key(&dark(61, 10)));
    assert_ne!(key, growth_key(&Options { seed: 8, ..dark(60, 10) }));
    assert_ne!(key, growth_key(&Options { nudge_s: Some(30), ..dark(60, 10) }));
}

#[test]
#[should_panic(expected = "in a guise")]
fn a_guise_is_not_copied() {
    struct Deaf;
    impl Guise for Deaf {
        fn handle(&mut self, _: Time, _: RelayInput, _: &mut Relay, _: &mut dyn Tx, _: &mut Vec<RelayEffect>) {}
    }
    let mut joined = join(&dark(10, 1), &mut Progress::new(false));
    joined.population.world_mut().machine_mut(NodeId(3)).unwrap().wear(Box::new(Deaf));
    Grown::of(String::new(), &joined);
}

#[test]
fn a_suite_writes_each_report_once_and_the_same_as_a_single_run() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("suite");
    fs::remove_dir_all(&out).ok();
    let suite = Suite { out, jobs: 2, talks: false };
    let entry = |name: &str, options| Entry { arguments: name.to_owned(), options };
    let entries = [entry("one", dark(60, 10)), entry("two", dark(60, 5)), entry("three", settled(dark(60, 5)))];
    suite.play(&entries).unwrap();
    for Entry { arguments, options } in &entries {
        let text = fs::read_to_string(suite.path_of(&entry(arguments, *options))).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["arguments"], *arguments);
        assert_eq!(report["trace_hash"], play(options)["trace_hash"]);
    }
    let (kept, lost) = (suite.path_of(&entries[0]), suite.path_of(&entries[1]));
    fs::write(&kept, "kept").unwrap();
    fs::remove_file(&lost).unwrap();
    suite.play(&entries).unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept", "what is there is not played again");
    assert!(lost.exists());
}

#[test]
fn over_settled_tables_dark_packets_travel_as_over_grown_ones() {
    let options = dark(150, 60);
    let (grown, settled) = (play(&options), play(&settled(options)));
    for report in [&grown, &settled] {
        assert_eq!(number(report, "coverage_min"), 1.0);
    }
    assert_eq!(number(&grown, "region_nodes"), number(&settled, "region_nodes"), "addresses are the same");
    // Places in the world are not the same, so times cannot be compared in so small a network.
    for (name, tolerance) in [("payload_per_region_node", 0.03), ("hops_mean", 0.06)] {
        let (one, other) = (number(&grown, name), number(&settled, name));
        assert!(is_near(one, other, tolerance), "{name}: {one} grown, {other} settled");
    }
    let relays = |report: &Report| report["tables"]["relays_mean"].as_f64().unwrap();
    assert!(is_near(relays(&grown), relays(&settled), 0.05), "{} and {}", relays(&grown), relays(&settled));
}

#[test]
fn over_settled_tables_droppers_and_leavers_do_not_keep_a_packet_from_the_others() {
    let report = play(&settled(Options { droppers: 0.2, offline: 0.05, ..dark(300, 40) }));
    assert!(number(&report, "coverage_mean") >= 0.9995, "{report:?}");
    assert_eq!(play(&settled(dark(60, 5)))["trace_hash"], play(&settled(dark(60, 5)))["trace_hash"]);
}

#[test]
fn over_settled_tables_a_packet_to_one_node_arrives() {
    let report = play(&settled(options(Scenario::FullAddress, 300, 200)));
    assert!(number(&report, "delivery") >= 0.995, "{report:?}");
    assert!(number(&report, "hops_mean") <= 2.5, "{report:?}");
}

#[test]
#[should_panic(expected = "needs grown tables")]
fn churn_is_not_played_over_settled_tables() {
    play(&settled(options(Scenario::Churn, 20, 1)));
}
