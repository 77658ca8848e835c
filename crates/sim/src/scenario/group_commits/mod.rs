//! Do groups come to one mind, whatever happens while several change them at once, and does nobody gain by cheating?
//!
//! Real sessions with real MLS in a small network of their own: no overlay and no relays, which other scenarios are about.
//! What is counted, and why it can be believed: docs/protocol/simulator.md.

mod cast;
mod device;
mod fighter;
mod insight;
mod plan;
mod trial;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use self::cast::Cast;
use self::plan::{Attacker, Plan};
use self::trial::{Played, play};
use super::{Options, Report};
use crate::dice::Dice;
use crate::figures::{percentile, ratio};
use crate::progress::Progress;

/// Trials played with the same people.
const TRIALS_PER_CAST: u64 = 50;
/// Mistakes that are told in words.
const COMPLAINTS_MAX: usize = 8;

/// A trial, what came of it, and what came of it where the attacker was honest.
struct Result {
    number: u64,
    plan: Plan,
    played: Played,
    twin: Option<Played>,
}

/// Plays so many trials, in as many threads as there are processors.
pub(super) fn run(options: &Options, progress: &mut Progress) -> Report {
    let (trials, seed) = (options.trials, options.seed);
    let casts = trials.div_ceil(TRIALS_PER_CAST);
    let (next, results) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Mutex::new(progress);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= casts {
                        break;
                    }
                    let numbers = number * TRIALS_PER_CAST..trials.min((number + 1) * TRIALS_PER_CAST);
                    let played = play_all(seed, number, numbers);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.extend(played);
                    let text = format!("{} of {trials} trials are played", results.len());
                    progress.lock().unwrap_or_else(PoisonError::into_inner).mention(&text);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|result| result.number);
    report(options, &results)
}

fn play_all(seed: u64, cast: u64, numbers: std::ops::Range<u64>) -> Vec<Result> {
    let people = Cast::new(Dice::new(seed, &format!("cast {cast}")).bits());
    numbers
        .map(|number| {
            let mut dice = Dice::new(seed, &format!("trial {number}"));
            let plan = Plan::of(number, &mut dice);
            let (troupe, seed) = (people.troupe(plan.members), dice.bits());
            let is_ground = matches!(plan.attacker, Some(Attacker::Grinder(_)));
            let played = play(troupe, &plan, seed, false);
            let twin = is_ground.then(|| play(troupe, &plan, seed, true));
            Result { number, plan, played, twin }
        })
        .collect()
}

fn report(options: &Options, results: &[Result]) -> Report {
    let of =
        |wanted: fn(&Attacker) -> bool| results.iter().filter(move |it| it.plan.attacker.as_ref().is_some_and(wanted));
    let (grinders, fighters) =
        (of(|it| matches!(it, Attacker::Grinder(_))), of(|it| matches!(it, Attacker::Fighter(..))));
    let won = |it: &Result, played: &Played| match it.plan.attacker {
        Some(Attacker::Grinder(who) | Attacker::Fighter(who, _)) => played.winner == Some(who),
        None => false,
    };
    let count = |counted: &dyn Fn(&Result) -> bool| results.iter().filter(|it| counted(it)).count();
    let ground: Vec<&Result> = grinders.collect();
    let fought: Vec<&Result> = fighters.collect();
    let wins = ground.iter().filter(|it| won(it, &it.played)).count();
    let fair = ground.iter().filter(|it| it.twin.as_ref().is_some_and(|twin| won(it, twin))).count();
    let sum = |of: fn(&Played) -> u64| results.iter().map(|it| of(&it.played)).sum::<u64>();
    let decided = sum(|played| played.decided);
    let times = |is_parted: bool| -> Vec<f64> {
        let of = results.iter().filter(|it| it.plan.partition.is_some() == is_parted);
        of.flat_map(|it| it.played.to_final_ms.iter().copied()).collect()
    };
    let (mut calm, mut parted) = (times(false), times(true));
    let forked = |it: &Result| it.played.forked || it.twin.as_ref().is_some_and(|twin| twin.forked);
    let complaints: Vec<String> = results
        .iter()
        .filter_map(|it| {
            let twin = it.twin.as_ref().and_then(|twin| twin.complaint.as_ref());
            let said = it.played.complaint.as_ref().or(twin)?;
            Some(format!("trial {}: {said} ({:?})", it.number, it.plan))
        })
        .take(COMPLAINTS_MAX)
        .collect();
    let mut report: Report = [
        ("trials", json!(results.len())),
        ("permanent_forks", json!(count(&forked))),
        ("undecided", json!(count(&|it| it.played.undecided))),
        ("attacker_trials", json!(ground.len())),
        ("attacker_win_rate", json!(ratio(wins as u64, ground.len() as u64))),
        ("fair_share", json!(ratio(fair as u64, ground.len() as u64))),
        ("attacker_advantage", json!(ratio(wins as u64, fair as u64))),
        ("removed_trials", json!(fought.len())),
        ("removed_commits", json!(sum(|played| played.blows))),
        ("removed_wins", json!(fought.iter().filter(|it| won(it, &it.played)).count())),
        ("removed_but_in", json!(fought.iter().filter(|it| it.played.is_back).count())),
        ("rollbacks", json!(sum(|played| played.rollbacks))),
        ("commits_decided", json!(decided)),
        ("statements_per_commit", json!(ratio(sum(|played| played.statements), decided))),
        ("cells_per_commit", json!(ratio(sum(|played| played.cells), decided))),
        ("final_ms_p50", json!(percentile(&mut calm, 50))),
        ("final_ms_p99", json!(percentile(&mut calm, 99))),
        ("final_parted_ms_p50", json!(percentile(&mut parted, 50))),
        ("final_parted_ms_p99", json!(percentile(&mut parted, 99))),
        ("seed", json!(options.seed)),
        ("scenario", json!(options.scenario.name())),
    ]
    .into();
    if !complaints.is_empty() {
        report.insert("complaints", json!(complaints));
    }
    report
}
