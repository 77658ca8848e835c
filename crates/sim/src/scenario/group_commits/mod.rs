//! Do groups come to one mind, whatever happens while several change them at once, and does nobody gain by cheating?
//!
//! Real sessions with real MLS in a small network of their own: no overlay and no relays, which other scenarios are about.
//! What is counted, and why it can be believed: docs/protocol/simulator.md.

mod cast;
mod device;
mod fighter;
mod insight;
mod plan;
mod report;
mod trial;
mod verdict;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use self::cast::Cast;
use self::plan::{Attacker, Plan};
use self::report::report;
use self::trial::{Played, play};
use super::{Options, Report};
use crate::dice::Dice;
use crate::progress::{Progress, peak_mb};

/// Trials played with the same people.
const TRIALS_PER_CAST: u64 = 100;

/// A trial, what came of it, and what came of it where the attacker was honest.
struct Outcome {
    number: u64,
    plan: Plan,
    played: Played,
    twin: Option<Played>,
}

/// Plays so many trials, in as many threads as there are processors.
pub(super) fn run(options: &Options, progress: &mut Progress) -> Report {
    let seed = options.seed;
    let Range { start, end } = options.trial.map_or(0..options.trials, |alone| alone..alone + 1);
    let (next, results) = (AtomicU64::new(start / TRIALS_PER_CAST), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Mutex::new(progress);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let cast = next.fetch_add(1, Ordering::Relaxed);
                    let numbers = start.max(cast * TRIALS_PER_CAST)..end.min((cast + 1) * TRIALS_PER_CAST);
                    if numbers.is_empty() {
                        break;
                    }
                    let played = play_all(seed, cast, numbers);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.extend(played);
                    let text = format!("{} of {} trials are played", results.len(), end - start);
                    progress.lock().unwrap_or_else(PoisonError::into_inner).mention(&text);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|result| result.number);
    let mut report = report(options, &results);
    let progress = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.insert("wall_s", json!((progress.wall_s() * 10.0).round() / 10.0));
    report.insert("peak_mb", json!(peak_mb()));
    report
}

fn play_all(seed: u64, cast: u64, numbers: Range<u64>) -> Vec<Outcome> {
    let people = Cast::new(Dice::new(seed, &format!("cast {cast}")).bits());
    numbers
        .map(|number| {
            let mut dice = Dice::new(seed, &format!("trial {number}"));
            let plan = Plan::of(number, &mut dice);
            let (troupe, seed) = (people.troupe(plan.company), dice.bits());
            let is_ground = matches!(plan.attacker, Some(Attacker::Grinder(_)));
            let played = play(troupe, &plan, seed, false);
            let twin = is_ground.then(|| play(troupe, &plan, seed, true));
            Outcome { number, plan, played, twin }
        })
        .collect()
}
