use mainframe_sim::scenario::{Options, Scenario};

use crate::{options, play};

fn hash_of(options: &Options) -> String {
    play(options)["trace_hash"].to_string()
}

fn usual() -> Options {
    options(Scenario::DarkRouting, 60, 10)
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    assert_eq!(hash_of(&usual()), hash_of(&usual()));
    assert_ne!(hash_of(&usual()), hash_of(&Options { seed: 8, ..usual() }));
}

#[test]
fn one_latency_value_changed_at_one_instant_gives_another_trace() {
    assert_ne!(hash_of(&usual()), hash_of(&Options { nudge_s: Some(30), ..usual() }));
}
