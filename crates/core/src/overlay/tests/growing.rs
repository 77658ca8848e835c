//! Joining, healing, estimating.

use mainframe_base::{Locator, Role};

use super::harness::Net;
use crate::overlay::{OverlayConfig, OverlayWish};

/// What a network shows of itself, for reading.
fn show(net: &Net, label: &str) {
    let size = net.alive().count() as u64;
    let wakes: u64 = net.alive().map(|node| node.wakes).sum();
    println!(
        "{label}: at {} s: {size} nodes, completeness {:.4}, balance {:.4}, degree {:.1}, each: frames {} (hello, ask, answer, belief: {:?}), bytes {}, dials {}, wakes {}; faults {:?}",
        net.now.0 / 1_000 - 1_000,
        net.completeness(),
        net.balance(),
        net.mean_degree(),
        net.frames / size,
        net.frames_by_kind.map(|count| count / size),
        net.bytes / size,
        net.dials / size,
        wakes / size,
        net.faults
    );
}

fn bootstrap(net: &Net) -> Vec<Locator> {
    vec![net.nodes[0].locator]
}

#[test]
fn three_hundred_nodes_join_through_one_and_know_their_neighbourhoods() {
    let mut net = Net::grown(1, 300, 200, OverlayConfig::default());
    net.run_for(15_000);
    show(&net, "300 nodes, 15 s after the last joined");
    println!("joining took {:?} ms (mean, longest)", net.joining_ms());
    assert!(net.completeness() >= 0.99);
    assert!(net.balance() >= 0.95);
    assert!(net.relays().all(|node| node.joined_at.is_some()));
    assert!(net.faults.is_empty(), "{:?}", net.faults);
    assert!(net.relays().all(|node| node.overlay.neighbours().all().len() <= 120));
}

#[test]
fn neighbourhoods_are_complete_again_within_a_minute_after_half_of_the_network_vanished() {
    let mut net = Net::grown(2, 300, 200, OverlayConfig::default());
    net.run_for(60_000);
    for index in (0..300).step_by(2) {
        net.kill(index);
    }
    for step in 1..=12 {
        net.run_for(5_000);
        show(&net, &format!("{} s after half vanished", 5 * step));
    }
    assert!(net.completeness() >= 0.99);
}

#[test]
fn neighbourhoods_stay_complete_while_a_fifth_of_the_nodes_changes_every_hour() {
    let mut net = Net::grown(3, 200, 200, OverlayConfig::default());
    net.run_for(60_000);
    let mut worst: f64 = 1.0;
    for round in 0..40 {
        // 40 departures and 40 arrivals in an hour: one pair every 90 s.
        let gone = net.nodes.iter().position(|node| node.alive && node.address.0[31] as usize % 7 == round % 7);
        gone.into_iter().for_each(|index| net.kill(index));
        let someone = net.alive().next().map(|node| node.locator);
        net.join(Role::Relay, Vec::new(), someone.into_iter().collect());
        let mut sum = 0.0;
        for _ in 0..9 {
            net.run_for(10_000);
            sum += net.completeness() / 9.0;
        }
        worst = worst.min(sum);
    }
    show(&net, &format!("an hour of churn, worst minute and a half {worst:.4}"));
    assert!(worst >= 0.99);
    assert!(net.faults.keys().all(|fault| *fault == mainframe_base::Fault::Silent), "{:?}", net.faults);
}

#[test]
fn a_newcomer_joins_through_its_cache_when_the_bootstrap_node_is_dead() {
    let mut net = Net::grown(4, 60, 200, OverlayConfig::default());
    net.run_for(30_000);
    let cached: Vec<_> = net.nodes[17].cache.values().cloned().collect();
    assert!(cached.len() >= 20);
    let dead = bootstrap(&net);
    net.kill(0);
    let newcomer = net.join(Role::Relay, cached, dead.clone());
    net.run_for(30_000);
    assert!(net.nodes[newcomer].overlay.has_joined());
    assert!(net.completeness() >= 0.99);
    let hinted = net.join(Role::Relay, Vec::new(), dead);
    net.run_for(30_000);
    assert!(!net.nodes[hinted].overlay.has_joined());
    let survivor = net.nodes[30].locator;
    net.act(hinted, |overlay, now, out| overlay.connect(now, vec![survivor], out));
    net.run_for(30_000);
    assert!(net.nodes[hinted].overlay.has_joined());
    assert!(net.completeness() >= 0.99);
}

#[test]
fn a_node_started_before_its_bootstrap_node_joins_once_it_is_there() {
    let mut net = Net::new(5, OverlayConfig::small_network());
    let other = Net::grown(5, 1, 0, OverlayConfig::small_network()).nodes[0].locator;
    let place = Locator { port: other.port, ip: std::net::IpAddr::from([10, 0, 1, 1]), ..other };
    let early = net.join(Role::Relay, Vec::new(), vec![place]);
    net.run_for(20_000);
    assert!(!net.nodes[early].overlay.has_joined());
    net.join(Role::Relay, Vec::new(), Vec::new());
    net.run_for(70_000);
    assert!(net.nodes[early].overlay.has_joined());
    assert_eq!(net.nodes[1].overlay.neighbours().all().len(), 1);
}

#[test]
fn fifty_nodes_of_a_small_network_have_depth_and_do_not_all_know_each_other() {
    let mut net = Net::grown(6, 50, 100, OverlayConfig::small_network());
    net.run_for(30_000);
    show(&net, "50 nodes of a small network");
    assert!(net.completeness() >= 0.99);
    assert!(net.relays().all(|node| (1..=5).contains(&node.overlay.neighbours().depth())));
    assert!(net.mean_degree() < 30.0);
}

#[test]
fn five_nodes_are_all_neighbours_at_depth_zero() {
    let mut net = Net::grown(7, 5, 100, OverlayConfig::default());
    net.run_for(10_000);
    assert!(net.relays().all(|node| node.overlay.neighbours().all().len() == 4));
    assert!(net.relays().all(|node| node.overlay.neighbours().depth() == 0));
}

#[test]
fn guests_are_served_and_never_counted() {
    let mut net = Net::grown(8, 40, 200, OverlayConfig::default());
    let start = bootstrap(&net);
    let guests: Vec<usize> = (0..20).map(|_| net.join(Role::Guest, Vec::new(), start.clone())).collect();
    net.run_for(90_000);
    let keys: Vec<_> = guests.iter().map(|guest| net.nodes[*guest].key).collect();
    let access: Vec<usize> = guests.iter().map(|guest| net.nodes[*guest].overlay.neighbours().all().len()).collect();
    assert!(access.iter().all(|count| (2..=4).contains(count)), "two, and visits: {access:?}");
    for relay in net.relays() {
        assert!(relay.overlay.neighbours().all().iter().all(|other| !keys.contains(&other.key)));
        assert!(relay.cache.values().all(|record| record.role == Role::Relay));
        assert!(relay.overlay.peers().filter(|peer| peer.role == Role::Guest).count() <= 8);
    }
    assert!(net.completeness() >= 0.99);
}

#[test]
fn the_estimate_of_three_hundred_is_good_to_a_fifth() {
    let mut net = Net::grown(9, 300, 200, OverlayConfig::default());
    net.run_for(60_000);
    let (dials, frames, start) = (net.dials, net.frames, net.now);
    for index in 0..20 {
        net.act(index * 15, |overlay, now, out| overlay.start_estimate(now, 8, None, index as u64, out));
    }
    net.run_for(60_000);
    let estimates: Vec<_> = net.nodes.iter().flat_map(|node| &node.estimates).collect();
    let sizes: Vec<u64> = estimates.iter().map(|estimate| estimate.nodes).collect();
    let longest = estimates.iter().map(|estimate| estimate.at.since_ms(start)).max();
    println!(
        "estimates of 300: {sizes:?}, longest {longest:?} ms, dials {}, frames {}",
        net.dials - dials,
        net.frames - frames
    );
    assert_eq!(sizes.len(), 20);
    let mean = sizes.iter().sum::<u64>() / 20;
    assert!((270..=330).contains(&mean), "{mean}");
    assert!(sizes.iter().filter(|size| (240..=360).contains(*size)).count() >= 18, "{sizes:?}");
}

#[test]
fn a_small_network_is_counted() {
    let mut net = Net::grown(10, 12, 200, OverlayConfig::default());
    net.run_for(20_000);
    net.act(3, |overlay, now, out| overlay.start_estimate(now, 4, None, 1, out));
    net.run_for(40_000);
    assert_eq!(net.nodes[3].estimates.iter().map(|estimate| estimate.nodes).collect::<Vec<_>>(), [12]);
    assert_eq!(net.nodes[3].overlay.estimate(), net.nodes[3].estimates.first().copied());
}

#[test]
fn an_idle_network_hardly_wakes() {
    let mut net = Net::grown(11, 50, 200, OverlayConfig::small_network());
    net.run_for(1_800_000);
    let (wakes, frames) = (net.nodes.iter().map(|node| node.wakes).sum::<u64>(), net.frames);
    net.run_for(600_000);
    let wakes = net.nodes.iter().map(|node| node.wakes).sum::<u64>() - wakes;
    println!("50 idle nodes: {} wakes and {} frames per node and minute", wakes / 500, (net.frames - frames) / 500);
    assert!(wakes / 50 <= 600, "{wakes}");
}

#[test]
fn the_same_seed_grows_the_same_network() {
    let story = |seed| {
        let net = Net::grown(seed, 30, 100, OverlayConfig::default());
        let tables: Vec<_> = net.nodes.iter().map(|node| node.overlay.neighbours().clone()).collect();
        (net.frames, net.bytes, tables)
    };
    assert!(story(12) == story(12));
    assert!(story(12) != story(13));
}

#[test]
fn a_new_listener_is_told_to_those_already_greeted() {
    let mut net = Net::grown(13, 3, 200, OverlayConfig::default());
    net.loss_percent = 0;
    net.run_for(10_000);
    let further = "/ip4/10.9.9.9/udp/4001/quic-v1".parse().unwrap();
    net.act(1, |overlay, now, out| overlay.listening(now, further, out));
    net.run_for(1_000);
    let key = net.nodes[1].key;
    assert!(net.nodes[2].overlay.record_of(&key).unwrap().locators.contains(&further));
    assert!(net.nodes[0].cache[&net.nodes[1].address].locators.contains(&further));
}

#[test]
fn a_node_that_dials_itself_lets_go_and_strikes_the_place_out() {
    let mut net = Net::new(14, OverlayConfig::default());
    let node = net.join(Role::Relay, Vec::new(), Vec::new());
    let (key, locator) = (net.nodes[node].key, net.nodes[node].locator);
    let mut out = crate::overlay::OverlayOut::default();
    net.nodes[node].overlay.connect(net.now, vec![locator], &mut out);
    net.nodes[node].overlay.peer_up(net.now, key, true, locator, &mut out);
    assert!(matches!(out.wishes.last(), Some(OverlayWish::Hangup(other, _)) if *other == key));
    assert!(net.nodes[node].overlay.peers().next().is_none());
}
