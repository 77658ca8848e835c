use mainframe_base::Luminosity;
use mainframe_sim::masks::{Mask, Shares};
use mainframe_sim::node::NodeId;
use mainframe_sim::scenario::{Options, Scenario};
use mainframe_sim::world::Stop;

use crate::{grown, number, options, play};

fn dark(liars: Shares) -> Options {
    Options { luminosity: Luminosity::at_most(1), liars, ..options(Scenario::DarkRouting, 120, 20) }
}

#[test]
fn whoever_pretends_that_all_are_served_keeps_no_packet_from_anyone() {
    let report = play(&dark(Shares::of(Mask::Preseeder, 0.1)));
    assert!(number(&report, "coverage_mean") >= 0.999, "{report:?}");
    assert!(number(&report, "honest_payload_per_region_node") <= 2.0, "{report:?}");
    assert_eq!(number(&report, "false_accusations"), 0.0);
}

#[test]
fn whoever_asks_for_more_than_is_needed_makes_nobody_spread_a_packet_again() {
    let report = play(&dark(Shares::of(Mask::Widener, 0.1)));
    assert_eq!(number(&report, "coverage_mean"), 1.0, "{report:?}");
    assert!(number(&report, "honest_payload_per_region_node") <= 1.25, "{report:?}");
    let all = number(&report, "payload_per_region_node");
    assert!(all > 2.0, "the wideners were at work: {report:?}");
}

#[test]
fn liars_of_every_kind_at_once_make_nobody_hold_more_than_the_bounds_nor_accuse_an_honest_node() {
    let footprint = Options { minutes: 2, ..options(Scenario::Footprint, 80, 60) };
    let report = play(&footprint);
    assert_eq!(report["liars"].as_object().unwrap().len(), Mask::LIARS.len(), "{report:?}");
    assert_eq!(number(&report, "exceeded"), 0.0, "{report:?}");
    assert_eq!(number(&report, "false_accusations"), 0.0, "{report:?}");
    assert!(report["footprint"]["wanted"]["max"].as_u64().unwrap() > 500, "someone was flooded: {report:?}");
    assert_eq!(report["trace_hash"], play(&footprint)["trace_hash"], "one seed, one trace");
}

#[test]
fn sybils_gain_nothing_from_drawn_positions_and_much_from_ground_ones() {
    let report = play(&Options { luminosity: Luminosity::at_most(2), ..options(Scenario::Sybil, 80, 30) });
    let drawn = number(&report, "advantage_random");
    assert!((0.85..=1.15).contains(&drawn), "{report:?}");
    let ground = number(&report, "advantage_ground");
    assert!(ground >= 2.0, "{report:?}");
    assert_eq!(number(&report, "false_accusations"), 0.0, "{report:?}");
}

#[test]
fn a_liar_that_starts_again_is_a_liar_still() {
    let mut population = grown(40);
    let liar = NodeId(20);
    population.disguise(liar, Mask::AckDropper);
    population.stop(liar, Stop::Closed);
    population.run_seconds(5);
    population.restart(liar);
    assert_eq!(population.world().mask_of(liar), Mask::AckDropper);
    assert_eq!(format!("{:?}", population.world().machine(liar).unwrap()), "Actor(in a guise)");
    assert!(!population.honest().contains(&liar));
    assert_eq!(population.liars().get("ack-droppers"), Some(&1));
}
