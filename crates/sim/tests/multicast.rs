use mainframe_base::Luminosity;
use mainframe_sim::scenario::{Options, Report, Scenario, Tables};

use crate::{number, options, play};

/// A figure of the first group.
fn cells(report: &Report, way: &str) -> f64 {
    report["groups"][0][way]["cells"].as_f64().expect("a number")
}

fn settled() -> Options {
    let members = [30, 0, 0, 0];
    Options { members, tables: Tables::Settled, ..options(Scenario::Multicast, 1_000, 5) }
}

#[test]
fn a_list_reaches_all_of_every_region_for_fewer_cells_than_packets_one_by_one() {
    let report = play(&Options { luminosity: Luminosity::at_most(7), ..settled() });
    assert_eq!(number(&report, "coverage_min"), 1.0);
    let [one_by_one, a_region_each, list, group_region] =
        ["one_by_one", "a_region_each", "list", "group_region"].map(|way| cells(&report, way));
    assert!(list < a_region_each && a_region_each <= one_by_one, "{list}, {a_region_each}, {one_by_one}");
    assert!(group_region < list / 2.0, "{group_region}, {list}");
    assert_eq!((number(&report, "false_accusations"), number(&report, "restless")), (0.0, 0.0));
}

#[test]
fn silent_droppers_keep_a_list_from_nobody() {
    for luminosity in [5, 256].map(Luminosity::at_most) {
        let report = play(&Options { luminosity, droppers: 0.1, ..settled() });
        assert_eq!(number(&report, "coverage_min"), 1.0, "{report:?}");
    }
}

#[test]
fn members_who_listen_to_the_groups_region_are_sent_every_message_once() {
    let members = [12, 0, 0, 0];
    let report = play(&Options { members, ..options(Scenario::Multicast, 120, 3) });
    assert_eq!(number(&report, "coverage_min"), 1.0);
    let (served, group) = (&report["groups"][0]["group_region_served_cells"], cells(&report, "group_region"));
    assert!((8.0..=12.0).contains(&served.as_f64().unwrap()), "{served}");
    assert!(group < 12.0 + 1.3 * 15.0 + 8.0, "{group}: one cell for each who listens, and one spread");
}
