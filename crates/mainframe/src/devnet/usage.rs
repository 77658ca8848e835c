//! What a process uses, as the kernel tells it in /proc.

use std::fs;

use anyhow::Context;

/// Processor time a process has used since it started, in seconds.
///
/// # Errors
/// If there is no such process.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("{path} is not as proc(5) describes it"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// A process's proportional share of memory, in megabytes of 1,048,576 bytes: pages it shares with others count in part.
///
/// # Errors
/// If there is no such process, or it is not ours to look at.
pub(crate) fn pss_mb(pid: u32) -> anyhow::Result<f64> {
    kilobytes(pid, "smaps_rollup", "Pss:").map(|kb| kb / 1_024.0)
}

/// A process's resident memory, in megabytes.
///
/// # Errors
/// As [`pss_mb`].
pub(crate) fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    kilobytes(pid, "status", "VmRSS:").map(|kb| kb / 1_024.0)
}

/// How many threads a process has.
///
/// # Errors
/// If there is no such process.
pub(crate) fn threads(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let count = text.lines().find_map(|line| line.strip_prefix("Threads:"));
    count.and_then(|count| count.trim().parse().ok()).with_context(|| format!("{path} has no Threads:"))
}

/// Whether a process runs. A zombie does not.
pub(crate) fn is_running(pid: u32) -> bool {
    let state = |text: String| text.rsplit_once(')').and_then(|(_, rest)| rest.trim().chars().next());
    fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(state).is_some_and(|state| !"ZX".contains(state))
}

fn kilobytes(pid: u32, file: &str, key: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    value_of(&text, key).with_context(|| format!("{path} has no {key}"))
}

fn value_of(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time, fields 14 and 15 of proc(5); the name in parentheses may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 50 9 0 0 20 0 1 0 99";
        assert_eq!(cpu_ticks(stat), Some(59));
    }

    #[test]
    fn this_process_runs_and_uses_memory() {
        let me = std::process::id();
        assert!(is_running(me));
        assert!(cpu_seconds(me).unwrap() >= 0.0);
        assert!(pss_mb(me).unwrap() > 0.0 && rss_mb(me).unwrap() > 0.0);
        assert!(threads(me).unwrap() >= 1);
    }

    #[test]
    fn no_process_has_number_zero() {
        assert!(!is_running(0));
        assert!(pss_mb(0).is_err());
    }
}
