use mainframe_base::Luminosity;
use mainframe_sim::scenario::{Options, Scenario};

use crate::{number, options, play};

#[test]
fn a_dark_packet_reaches_everyone_who_could_be_the_receiver_and_hardly_anyone_twice() {
    let report = play(&Options { luminosity: Luminosity::at_most(2), ..options(Scenario::DarkRouting, 200, 60) });
    assert_eq!(number(&report, "coverage_min"), 1.0);
    assert!(number(&report, "payload_per_region_node") <= 1.10, "{report:?}");
    assert_eq!(number(&report, "false_accusations"), 0.0);
    assert_eq!(number(&report, "restless"), 0.0);
}

#[test]
fn silent_droppers_and_leavers_do_not_keep_a_packet_from_the_others() {
    let dark = options(Scenario::DarkRouting, 200, 40);
    let report = play(&Options { luminosity: Luminosity::at_most(2), droppers: 0.2, offline: 0.05, ..dark });
    assert!(number(&report, "coverage_mean") >= 0.9995, "{report:?}");
    assert!(number(&report, "payload_per_region_node") <= 2.6, "{report:?}");
}

#[test]
fn the_darkest_packet_reaches_every_relay() {
    let report = play(&Options { luminosity: Luminosity::DARKEST, ..options(Scenario::DarkRouting, 100, 10) });
    assert_eq!(number(&report, "coverage_min"), 1.0);
    assert_eq!(number(&report, "region_nodes"), 100.0);
}

#[test]
fn a_packet_to_one_node_arrives_over_few_hops() {
    let report = play(&options(Scenario::FullAddress, 150, 200));
    assert!(number(&report, "delivery") >= 0.995, "{report:?}");
    assert!(number(&report, "hops_mean") <= 2.0, "{report:?}");
}

#[test]
fn a_packet_to_one_node_arrives_around_silent_droppers() {
    let report = play(&Options { droppers: 0.3, ..options(Scenario::FullAddress, 150, 200) });
    assert!(number(&report, "delivery") >= 0.99, "{report:?}");
}
