use mainframe_sim::scenario::{Options, Report, Scenario};

use crate::{number, play};

fn trials(trials: u64, seed: u64) -> Report {
    played(&Options { trials, seed, ..Options::new(Scenario::GroupCommits, 10, seed) })
}

/// A report without what depends on the machine.
fn played(options: &Options) -> Report {
    let mut report = play(options);
    report.retain(|name, _| !["wall_s", "peak_mb"].contains(name));
    report
}

#[test]
fn a_group_whose_members_change_it_at_once_and_cheat_comes_to_one_mind() {
    let report = trials(200, 7);
    let complaints = report.get("complaints").map(ToString::to_string).unwrap_or_default();
    assert_eq!(number(&report, "permanent_forks"), 0.0, "{complaints}");
    assert_eq!(number(&report, "undecided"), 0.0);
    assert_eq!(number(&report, "removed_but_in"), 0.0);
    assert!(number(&report, "removed_commits") > 10.0, "whoever is removed does fight");
    assert!(number(&report, "rollbacks") > 0.0, "there was something to decide");
    let asleep = number(&report, "asleep_pairs") + number(&report, "asleep_groups");
    // Some who are awake may have voted for one commit and some for another: then they hear each other only afterwards
    // (measured: in 3 trials of 24, and of 48).
    assert!(asleep > 20.0 && number(&report, "asleep_heard") >= 0.8 * asleep, "whoever is awake goes on talking");
}

#[test]
fn a_trial_played_alone_is_the_one_among_others() {
    let alone = Options { trial: Some(0), seed: 3, ..Options::new(Scenario::GroupCommits, 10, 3) };
    assert_eq!(played(&alone), trials(1, 3));
}

#[test]
fn the_same_seed_gives_the_same_trials() {
    assert_eq!(trials(6, 3), trials(6, 3));
    assert_ne!(trials(6, 3), trials(6, 4));
}
