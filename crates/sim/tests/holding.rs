//! Guests who sleep, relays that leave, and what was held meanwhile.

use mainframe_base::Luminosity;
use mainframe_sim::scenario::{Options, Scenario};

use crate::{number, options, play};

#[test]
fn guests_who_slept_get_everything_once_though_a_fifth_of_the_relays_leaves_and_a_tenth_drops() {
    let small = Options { guests: 200, minutes: 20, droppers: 0.1, ..options(Scenario::Holding, 120, 300) };
    let report = play(&Options { luminosity: Luminosity::at_most(2), ..small });
    assert_eq!(number(&report, "held"), 300.0);
    assert_eq!((number(&report, "lost"), number(&report, "duplicated")), (0.0, 0.0));
    assert!(number(&report, "receivers_asleep") > 0.3);
    assert!(number(&report, "relay_held_bytes_max") <= number(&report, "relay_quota_bytes"));
    assert_eq!(number(&report, "false_accusations"), 0.0);
    assert!(number(&report, "guests_per_relay_max") <= 16.0, "8 guests and 8 visitors");
    let (region, fetching) = (number(&report, "candidates_in_region"), number(&report, "candidates_by_fetching"));
    assert!(fetching >= 0.95 * region, "{fetching} of {region} have fetched all that the receiver has");
}
