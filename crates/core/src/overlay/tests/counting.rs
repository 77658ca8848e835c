//! Counting the relays of a region (docs/protocol/overlay.md §10).

use mainframe_base::{Address, Luminosity, Prefix};

use super::harness::Net;
use crate::overlay::{OverlayConfig, RegionCount};

/// Asks a node to count a region, by itself and without further random look-ups than it needs.
fn count(net: &mut Net, by: usize, region: Prefix) -> RegionCount {
    let ticket = net.nodes[by].estimates.len() as u64;
    net.act(by, |overlay, now, out| overlay.start_estimate(now, 0, Some(region), ticket, out));
    net.run_for(60_000);
    let estimate = net.nodes[by].estimates.last().expect("the estimate is made");
    estimate.region.expect("a region was asked about")
}

fn truth(net: &Net, region: &Prefix) -> u64 {
    net.nodes.iter().filter(|node| region.matches(&node.overlay.record().overlay)).count() as u64
}

#[test]
fn the_relays_of_a_region_are_counted_one_by_one() {
    let mut net = Net::grown(12, 300, 200, OverlayConfig::default());
    net.run_for(60_000);
    for (by, bits) in (0..12).zip([1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 8, 12]) {
        let region = Prefix::of(&Address([by as u8 * 21; 32]), Luminosity::at_most(bits));
        let count = count(&mut net, by, region);
        let truth = truth(&net, &region);
        assert_eq!(count.milli_expected, 0, "{region} is not counted to the end: {count:?}");
        assert!(count.counted <= truth && count.counted * 100 >= truth * 97, "{region}: {count:?}, not {truth}");
    }
}

#[test]
fn nobody_is_asked_who_our_own_neighbours_are() {
    let mut net = Net::grown(13, 100, 200, OverlayConfig::default());
    net.run_for(60_000);
    net.act(5, |overlay, now, out| overlay.start_estimate(now, 4, None, 1, out));
    net.run_for(60_000);
    let (me, depth) = (*net.nodes[5].overlay.neighbours().me(), net.nodes[5].overlay.neighbours().depth());
    let region = Prefix::of(&me, Luminosity::at_most(depth));
    let dials = net.dials;
    net.act(5, |overlay, now, out| overlay.start_estimate(now, 0, Some(region), 2, out));
    let count = net.nodes[5].estimates.last().and_then(|estimate| estimate.region);
    let expected = RegionCount { region, counted: truth(&net, &region), milli_expected: 0 };
    assert_eq!((count, net.dials), (Some(expected), dials), "at once, and without a dial");
}

#[test]
fn whoever_asks_for_another_region_waits_and_whoever_asks_for_less_does_not() {
    let mut net = Net::grown(14, 60, 200, OverlayConfig::default());
    net.run_for(60_000);
    let [zero, one] = ["0", "1"].map(|text| text.parse::<Prefix>().unwrap());
    let asked = [(4, Some(zero)), (4, Some(one)), (2, None), (0, Some(one))];
    for (ticket, (lookups, region)) in (0..).zip(asked) {
        net.act(7, |overlay, now, out| overlay.start_estimate(now, lookups, region, ticket, out));
    }
    net.run_for(120_000);
    let regions: Vec<Option<Prefix>> =
        net.nodes[7].estimates.iter().map(|estimate| estimate.region.map(|count| count.region)).collect();
    assert_eq!(regions, [Some(zero), Some(zero), Some(one), Some(one)]);
}
