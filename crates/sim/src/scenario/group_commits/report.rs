//! What all trials come to.

use serde_json::json;

use super::Outcome;
use super::plan::Attacker;
use super::trial::{Played, Vigil};
use crate::figures::{percentile, ratio};
use crate::scenario::{Options, Report};

/// Mistakes that are told in words.
const COMPLAINTS_MAX: usize = 8;
/// Half an hour, in milliseconds: what can be heard is heard in seconds or minutes; what is heard later came through when
/// something it followed from was given up.
const LATE_MS: u64 = 1_800_000;
/// Standard errors on each side of a mean that hold 95 of a hundred.
const INTERVAL: f64 = 1.96;

/// The report of all trials.
pub(super) fn report(options: &Options, outcomes: &[Outcome]) -> Report {
    let mut report = Report::new();
    report.insert("scenario", json!(options.scenario.name()));
    report.insert("seed", json!(options.seed));
    report.insert("trials", json!(outcomes.len()));
    tell_agreement(&mut report, outcomes);
    tell_grinders(&mut report, outcomes);
    tell_fighters(&mut report, outcomes);
    tell_sleepers(&mut report, outcomes);
    tell_cost(&mut report, outcomes);
    report
}

fn tell_agreement(report: &mut Report, outcomes: &[Outcome]) {
    let count = |is: fn(&Played) -> bool| outcomes.iter().filter(|it| is(&it.played)).count();
    report.insert("permanent_forks", json!(count(|played| played.forked)));
    report.insert("undecided", json!(count(|played| played.undecided)));
    report.insert("laggards", json!(count(|played| played.lagged)));
    report.insert("heard_late", json!(count(|played| played.heard_after_ms > LATE_MS)));
    report.insert("two_device_trials", json!(outcomes.iter().filter(|it| it.plan.company.devices_each > 1).count()));
    let complaint = |it: &Outcome| {
        let said = it.played.complaint.as_ref()?;
        Some(format!("trial {}: {said} ({:?})", it.number, it.plan))
    };
    let complaints: Vec<String> = outcomes.iter().filter_map(complaint).take(COMPLAINTS_MAX).collect();
    if !complaints.is_empty() {
        report.insert("complaints", json!(complaints));
    }
}

/// The grinder beside the honest member in his place, in the same trials.
fn tell_grinders(report: &mut Report, outcomes: &[Outcome]) {
    let pair = |it: &Outcome| {
        let Some(Attacker::Grinder(who)) = it.plan.attacker else { return None };
        Some((it.played.winner == Some(who), it.fair_winner == Some(who)))
    };
    let pairs: Vec<(bool, bool)> = outcomes.iter().filter_map(pair).collect();
    let count = |is: fn(&(bool, bool)) -> bool| pairs.iter().filter(|it| is(it)).count() as u64;
    let (trials, wins, fair) = (pairs.len() as u64, count(|it| it.0), count(|it| it.1));
    let (gained, lost) = (count(|it| it.0 && !it.1), count(|it| it.1 && !it.0));
    let advantage = ratio(wins, fair);
    let error = error_of_ratio(&pairs, advantage);
    report.insert("attacker_trials", json!(trials));
    report.insert("attacker_win_rate", json!(ratio(wins, trials)));
    report.insert("fair_share", json!(ratio(fair, trials)));
    report.insert("attacker_gained", json!(gained));
    report.insert("attacker_lost", json!(lost));
    report.insert("attacker_advantage", json!(advantage));
    report.insert("attacker_advantage_low", json!(advantage - INTERVAL * error));
    report.insert("attacker_advantage_high", json!(advantage + INTERVAL * error));
}

/// The standard error of a ratio of two sums over the same trials (Cochran, Sampling Techniques, 1977, §6.4).
fn error_of_ratio(pairs: &[(bool, bool)], ratio: f64) -> f64 {
    let value = |is: bool| f64::from(u8::from(is));
    let residuals: f64 = pairs.iter().map(|(won, fair)| (value(*won) - ratio * value(*fair)).powi(2)).sum();
    let fair: f64 = pairs.iter().map(|(_, fair)| value(*fair)).sum();
    if fair > 0.0 { residuals.sqrt() / fair } else { 0.0 }
}

fn tell_fighters(report: &mut Report, outcomes: &[Outcome]) {
    let who = |it: &Outcome| match it.plan.attacker {
        Some(Attacker::Fighter(who, _)) => Some(who),
        Some(Attacker::Grinder(_)) | None => None,
    };
    let fought: Vec<&Outcome> = outcomes.iter().filter(|it| who(it).is_some()).collect();
    let wins = fought.iter().filter(|it| it.played.winner.is_some() && it.played.winner == who(it)).count();
    report.insert("removed_trials", json!(fought.len()));
    report.insert("removed_commits", json!(fought.iter().map(|it| it.played.blows).sum::<u64>()));
    report.insert("removed_wins", json!(wins));
    report.insert("removed_but_in", json!(fought.iter().filter(|it| it.played.is_back).count()));
}

/// Exactly half of all devices sleep: what the others can do, in sessions of two persons and in groups.
fn tell_sleepers(report: &mut Report, outcomes: &[Outcome]) {
    let vigils = |persons: std::ops::RangeInclusive<usize>| -> Vec<&Vigil> {
        let of = outcomes.iter().filter(|it| persons.contains(&it.plan.company.persons));
        of.filter_map(|it| it.played.vigil.as_ref()).collect()
    };
    let (pairs, groups) = (vigils(2..=2), vigils(3..=usize::MAX));
    let count = |of: &[&Vigil], is: fn(&Vigil) -> bool| of.iter().filter(|it| is(it)).count();
    let all = || pairs.iter().chain(&groups);
    let mut late: Vec<f64> = all().flat_map(|it| it.after_waking_ms.iter().copied()).collect();
    report.insert("asleep_pairs", json!(pairs.len()));
    report.insert("asleep_pairs_decided", json!(count(&pairs, |it| it.decided)));
    report.insert("asleep_groups", json!(groups.len()));
    report.insert("asleep_groups_decided", json!(count(&groups, |it| it.decided)));
    report.insert("asleep_heard", json!(all().filter(|it| it.heard).count()));
    let mut cells: Vec<f64> = all().map(|it| it.cells_per_hour).collect();
    report.insert("asleep_cells_per_hour", json!(percentile(&mut cells, 50)));
    report.insert("after_waking_ms_p50", json!(percentile(&mut late, 50)));
    report.insert("after_waking_ms_p99", json!(percentile(&mut late, 99)));
}

fn tell_cost(report: &mut Report, outcomes: &[Outcome]) {
    let sum = |of: fn(&Played) -> u64| outcomes.iter().map(|it| of(&it.played)).sum::<u64>();
    let decided = sum(|played| played.decided);
    let times = |is_parted: bool| -> Vec<f64> {
        let of = outcomes.iter().filter(|it| it.plan.partition.is_some() == is_parted && it.plan.asleep.is_none());
        of.flat_map(|it| it.played.to_final_ms.iter().copied()).collect()
    };
    let (mut calm, mut parted) = (times(false), times(true));
    report.insert("rollbacks", json!(sum(|played| played.rollbacks)));
    report.insert("commits_decided", json!(decided));
    report.insert("statements_per_commit", json!(ratio(sum(|played| played.statements), decided)));
    report.insert("cells_per_commit", json!(ratio(sum(|played| played.cells), decided)));
    report.insert("final_ms_p50", json!(percentile(&mut calm, 50)));
    report.insert("final_ms_p99", json!(percentile(&mut calm, 99)));
    report.insert("final_parted_ms_p50", json!(percentile(&mut parted, 50)));
    report.insert("final_parted_ms_p99", json!(percentile(&mut parted, 99)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advantage_is_the_surer_the_fewer_trials_come_out_otherwise() {
        let pairs = |gained: usize| -> Vec<(bool, bool)> {
            let same = std::iter::repeat_n((true, true), 300).chain(std::iter::repeat_n((false, false), 700 - gained));
            same.chain(std::iter::repeat_n((true, false), gained)).collect()
        };
        assert!(error_of_ratio(&pairs(0), 1.0).abs() < 1e-9);
        // Thirty of a thousand: a standard deviation of √30 in 300.
        let error = error_of_ratio(&pairs(30), 1.1);
        assert!((0.017..0.020).contains(&error), "{error}");
        assert!(error < error_of_ratio(&pairs(60), 1.2));
    }
}
