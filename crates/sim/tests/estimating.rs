//! Relays know how many hide in a region, and the advisor keeps its promise.

use mainframe_base::Luminosity;
use mainframe_sim::scenario::{Options, Scenario};

use super::{number, options, play};

#[test]
fn a_region_is_counted_and_the_promise_made_of_it_is_kept() {
    let only = Some(Luminosity::at_most(2));
    let report = play(&Options { only, droppers: 0.1, ..options(Scenario::Estimate, 60, 10) });
    assert_eq!(number(&report, "unanswered"), 0.0);
    assert!(number(&report, "error_mean_max") <= 0.02, "{report:?}");
    assert!(number(&report, "promise_kept") >= 0.99 && number(&report, "promise_share_min") >= 0.6, "{report:?}");
    assert!(number(&report, "promise_by_size_kept") >= 0.99, "{report:?}");
}
