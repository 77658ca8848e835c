//! Crawlers at work.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::eavesdrop::attribution::Atlas;
use crate::eavesdrop::crawler::{Crawler, Findings, Notebook, Reach};
use crate::figures::ratio;
use crate::node::NodeId;
use crate::scenario::Stage;
use crate::world::Stop;

/// How long crawlers settle like other nodes before they crawl, in seconds.
const CRAWLER_SETTLES_S: u64 = 30;
/// How long they crawl at most, in seconds.
const CRAWL_S_MAX: u64 = 3_600;
/// What counts as having found everyone.
const FOUND: f64 = 0.99;

/// Two crawlers join: one dials everyone, the other asks only its peers. Returns what the first found, without those
/// two: who stands where.
pub(super) fn crawl(stage: &mut Stage<'_>) -> Atlas {
    let relays = stage.population.online().len();
    let [(one, everyone), (other, peers)] = [Reach::Everyone, Reach::Peers].map(|reach| send_out(stage, reach));
    stage.run_seconds(CRAWLER_SETTLES_S, "crawlers settle");
    let (mut addresses_s, mut accounts_s, mut crawl_s) = (None, None, 0);
    let enough = (relays as f64 * FOUND) as usize;
    while crawl_s < CRAWL_S_MAX && !everyone.read().is_done {
        stage.run_seconds(1, "crawlers crawl");
        crawl_s += 1;
        let findings = everyone.read();
        if findings.addresses.len() >= enough {
            addresses_s.get_or_insert(crawl_s);
        }
        if findings.accounts.len() >= enough {
            accounts_s.get_or_insert(crawl_s);
        }
    }
    let crawlers: Vec<_> = [one, other].map(|id| *stage.population.address(id)).into();
    for id in [one, other] {
        stage.population.stop(id, Stop::Closed);
    }
    stage.run_seconds(CRAWLER_SETTLES_S, "crawlers are gone");
    for notebook in [&everyone, &peers] {
        notebook.read().forget(&crawlers);
    }
    let mut report = yields(&everyone.read(), relays, crawl_s);
    report["all_addresses_s"] = json!(addresses_s);
    report["all_accounts_s"] = json!(accounts_s);
    stage.put("crawler", report);
    stage.put("crawler_that_dials_nobody", yields(&peers.read(), relays, crawl_s));
    let findings = everyone.read();
    let world = stage.population.world();
    findings.addresses.iter().filter_map(|(key, address)| Some((world.find(key)?, *address))).collect()
}

/// A node joins that will crawl.
fn send_out(stage: &mut Stage<'_>, reach: Reach) -> (NodeId, Notebook) {
    let notebook = Notebook::default();
    let begin = stage.population.world().now() + CRAWLER_SETTLES_S * 1_000_000;
    let id = stage.population.add();
    let crawler = Crawler::new(begin.time(), reach, notebook.clone());
    let actor = stage.population.world_mut().machine_mut(id).expect("it was just started");
    actor.wear(Box::new(crawler));
    (id, notebook)
}

/// What a crawler found, as shares of the network, and per hour at the pace of the crawl.
fn yields(findings: &Findings, relays: usize, crawl_s: u64) -> Value {
    let places: BTreeSet<_> = findings.locators.values().flatten().collect();
    let share = |found: usize| ratio(found as u64, relays as u64);
    let per_hour = |found: usize| ratio(found as u64 * 3_600, crawl_s);
    json!({
        "crawl_s": crawl_s,
        "questions": findings.asked,
        "dials": findings.dialled,
        "addresses": findings.addresses.len(),
        "addresses_share": share(findings.addresses.len()),
        "addresses_per_hour": per_hour(findings.addresses.len()),
        "locations": places.len(),
        "locations_share": share(places.len()),
        "locations_per_hour": per_hour(places.len()),
        "accounts": findings.accounts.len(),
        "accounts_share": share(findings.accounts.len()),
        "accounts_per_hour": per_hour(findings.accounts.len()),
    })
}
