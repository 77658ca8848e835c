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

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use self::cast::Cast;
use self::plan::{Attacker, Plan};
use self::report::report;
use self::trial::{Played, play, play_fairly};
use super::{Options, Report};
use crate::dice::Dice;
use crate::one_thread::in_one_thread;
use crate::progress::{Progress, peak_mb};

/// Trials played with the same people: to make them costs as much as five trials.
const TRIALS_PER_CAST: u64 = 400;
/// Trials that a thread takes on at once: few enough that all threads are busy to the end.
const TRIALS_AT_ONCE: u64 = 50;

/// A trial and what came of it.
struct Outcome {
    number: u64,
    plan: Plan,
    played: Played,
    /// Where there is a grinder: whose commit ends the first epoch if he is honest.
    fair_winner: Option<usize>,
}

/// Plays so many trials, in as many threads as there are processors.
pub(super) fn run(options: &Options, progress: &mut Progress) -> Report {
    let numbers = options.trial.map_or(0..options.trials, |alone| alone..alone + 1);
    let (next, results) = (AtomicU64::new(numbers.start), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Mutex::new(progress);
    let hand_over = |played: Vec<Outcome>| {
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.extend(played);
        let text = format!("{} of {} trials are played", results.len(), numbers.end - numbers.start);
        progress.lock().unwrap_or_else(PoisonError::into_inner).mention(&text);
    };
    let play = || in_one_thread(|| play_next(options.seed, numbers.end, &next, hand_over));
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(play))));
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|result| result.number);
    let mut report = report(options, &results);
    let progress = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.insert("wall_s", json!((progress.wall_s() * 10.0).round() / 10.0));
    report.insert("peak_mb", json!(peak_mb()));
    report
}

/// Plays trials as long as there are any that nobody has taken on.
fn play_next(seed: u64, end: u64, next: &AtomicU64, hand_over: impl Fn(Vec<Outcome>)) {
    let mut people: Option<(u64, Cast)> = None;
    loop {
        let first = next.fetch_add(TRIALS_AT_ONCE, Ordering::Relaxed);
        if first >= end {
            return;
        }
        let numbers = first..end.min(first + TRIALS_AT_ONCE);
        hand_over(numbers.map(|number| play_one(seed, number, &mut people)).collect());
    }
}

/// Plays one trial with its people, whom the trial before may have had, too.
fn play_one(seed: u64, number: u64, people: &mut Option<(u64, Cast)>) -> Outcome {
    let which = number / TRIALS_PER_CAST;
    let make = || (which, Cast::new(Dice::new(seed, &format!("cast {which}")).bits()));
    let known = people.take().filter(|(cast, _)| *cast == which);
    let (_, cast) = people.insert(known.unwrap_or_else(make));
    let mut dice = Dice::new(seed, &format!("trial {number}"));
    let plan = Plan::of(number, &mut dice);
    let (troupe, seed) = (cast.troupe(plan.company), dice.bits());
    let is_ground = matches!(plan.attacker, Some(Attacker::Grinder(_)));
    let played = play(troupe, &plan, seed);
    let fair_winner = if is_ground { play_fairly(troupe, &plan, seed) } else { None };
    Outcome { number, plan, played, fair_winner }
}
