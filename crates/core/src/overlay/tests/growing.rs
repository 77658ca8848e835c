//! Joining, healing, estimating.

use super::harness::Net;
use crate::overlay::OverlayConfig;

#[test]
fn three_hundred_nodes_join_through_one_and_know_their_neighbourhoods() {
    let mut net = Net::grown(1, 300, 200, OverlayConfig::default());
    for step in 0..12 {
        println!(
            "{step}: completeness {:.4} balance {:.4} degree {:.1} frames/node {} {:?} bytes/node {} dials/node {} faults {:?} wakes/node {}",
            net.completeness(),
            net.balance(),
            net.mean_degree(),
            net.frames / 300,
            net.frames_by_kind.map(|n| n / 300),
            net.bytes / 300,
            net.dials / 300,
            net.faults,
            net.nodes.iter().map(|n| n.wakes).sum::<u64>() / 300
        );
        net.run_for(10_000);
    }
}
