use mainframe_base::{Luminosity, NetworkId};
use mainframe_core::crypto::overlay_address;
use mainframe_sim::eavesdrop::coalition::Coalition;
use mainframe_sim::eavesdrop::crawler::{Crawler, Notebook, Reach};
use mainframe_sim::eavesdrop::global::GlobalObserver;
use mainframe_sim::population::Population;
use mainframe_sim::scenario::{Options, Scenario};

use crate::{grown, number, options, play};

fn eavesdrop(colluders: f64, nodes: usize, packets: usize) -> Options {
    Options { colluders, luminosity: Luminosity::at_most(2), ..options(Scenario::Eavesdrop, nodes, packets) }
}

#[test]
fn if_everyone_else_listens_the_sender_is_certain_and_they_say_so() {
    let report = play(&eavesdrop(1.0, 80, 80));
    assert_eq!(number(&report, "packets_seen"), 80.0);
    assert!(number(&report, "attribution_stated") >= 0.95, "{report:?}");
    assert!(number(&report, "attribution_true") >= 0.95, "{report:?}");
}

#[test]
fn if_nobody_listens_nothing_is_seen() {
    let report = play(&eavesdrop(0.0, 60, 40));
    assert_eq!(number(&report, "packets_seen"), 0.0);
    assert_eq!(number(&report, "attributed"), 0.0);
}

#[test]
fn a_coalition_is_right_as_often_as_it_says() {
    let report = play(&eavesdrop(0.2, 150, 1_000));
    let (stated, right) = (number(&report, "attribution_stated"), number(&report, "attribution_true"));
    assert!((stated - right).abs() <= 0.05, "stated {stated}, true {right}");
    assert!((0.2..0.8).contains(&right), "neither blind nor all-seeing: {right}");
}

#[test]
fn whoever_sees_all_links_finds_every_sender_in_light_traffic_and_the_region() {
    let report = play(&eavesdrop(0.1, 100, 40));
    let light = &report["global_observer"]["light"];
    assert!(light["sender_found"].as_f64().unwrap() >= 0.95, "{light}");
    assert!(light["region_right"].as_f64().unwrap() >= 0.9, "{light}");
}

fn crawled(reach: Reach) -> (Population, Notebook) {
    let mut population = grown(120);
    let notebook = Notebook::default();
    let id = population.add();
    let begin = population.world().now() + 10_000_000;
    let crawler = Crawler::new(begin.time(), reach, notebook.clone());
    population.world_mut().machine_mut(id).expect("it was just started").wear(Box::new(crawler));
    population.run_seconds(60);
    assert!(notebook.read().is_done);
    (population, notebook)
}

#[test]
fn gossip_tells_where_relays_are_but_never_whose_they_are() {
    let (_, notebook) = crawled(Reach::Peers);
    let findings = notebook.read();
    assert_eq!(findings.addresses.len(), 120);
    assert!(findings.met.len() < 100, "it is connected to a part of them: {}", findings.met.len());
    assert!(findings.accounts.keys().all(|key| findings.met.contains(key)));
}

#[test]
fn whoever_dials_everyone_learns_every_account_with_its_proof_and_no_relay_takes_offence() {
    let (population, notebook) = crawled(Reach::Everyone);
    let findings = notebook.read();
    assert_eq!(findings.accounts.len(), 120);
    for (key, binding) in &findings.accounts {
        let address = overlay_address(NetworkId::MAIN, &binding.account, &binding.seed);
        assert_eq!(findings.addresses.get(key), Some(&address));
    }
    assert!(population.world().counts().accusations.is_empty());
}

#[test]
fn listening_changes_nothing() {
    let hash = |listens: bool| {
        let mut population = grown(40);
        if listens {
            let everyone = population.online();
            let taps = population.world_mut().taps_mut();
            taps.coalition = Some(Coalition::new(everyone));
            taps.global = Some(GlobalObserver::default());
        }
        let (origin, target) = (population.online()[3], population.online()[30]);
        population.send_to(origin, target);
        population.run_seconds(10);
        population.world_mut().trace_hash()
    };
    assert_eq!(hash(true), hash(false));
}
