//! Many runs: those that share a join grow it once, and what was written already is not played again.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};

use crate::grown::Grown;
use crate::progress::Progress;
use crate::scenario::{Options, Report, Tables, growth_key, join, play, run};

/// One run of a suite.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its arguments as they were written, words apart by single blanks.
    pub arguments: String,
    /// What they mean.
    pub options: Options,
}

/// How a suite is played.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Where the reports go, one file each.
    pub out: PathBuf,
    /// Runs at a time, each in a thread of its own and with a network of its own.
    pub jobs: usize,
    /// Whether progress is told on standard error.
    pub talks: bool,
}

impl Suite {
    /// Plays every run whose report is not there yet. It may be ended at any moment and begun again.
    ///
    /// # Errors
    /// If a report cannot be written.
    pub fn play(&self, entries: &[Entry]) -> anyhow::Result<()> {
        fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        let pending: Vec<&Entry> = entries.iter().filter(|entry| !self.path_of(entry).exists()).collect();
        self.say(&format!("{} of {} runs are to be played", pending.len(), entries.len()));
        for group in groups(pending) {
            self.play_group(group)?;
        }
        Ok(())
    }

    /// Where the report of a run is written.
    pub fn path_of(&self, entry: &Entry) -> PathBuf {
        let words = entry.arguments.replace("--", "");
        let name: String = words.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
        let hash = blake3::hash(entry.arguments.as_bytes()).to_hex();
        self.out.join(format!("{name}-{}.json", &hash[..8]))
    }

    /// Runs that share a join. The network that grew plays the first of them; the others play in copies.
    fn play_group(&self, group: Vec<&Entry>) -> anyhow::Result<()> {
        let Some((first, others)) = group.split_first() else { return Ok(()) };
        if first.options.tables == Tables::Settled {
            return self.in_threads(group.into(), |entry| run(&entry.options, &mut self.progress(entry)));
        }
        let joined = join(&first.options, &mut self.progress(first));
        if others.is_empty() {
            let report = play(joined, &first.options, &mut self.progress(first));
            return self.write(first, report);
        }
        let grown = Grown::of(growth_key(&first.options), &joined);
        let copies = |entry: &Entry| play(grown.joined(), &entry.options, &mut self.progress(entry));
        if self.jobs < 2 {
            let report = play(joined, &first.options, &mut self.progress(first));
            self.write(first, report)?;
            return self.in_threads(others.iter().copied().collect(), copies);
        }
        drop(joined);
        self.in_threads(group.into(), copies)
    }

    fn in_threads(&self, entries: VecDeque<&Entry>, run: impl Fn(&Entry) -> Report + Sync) -> anyhow::Result<()> {
        let queue = Mutex::new(entries);
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let work = || {
            while let Some(entry) = next() {
                self.write(entry, run(entry))?;
            }
            anyhow::Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// Under another name first, so that an interrupted run leaves no half of a report.
    fn write(&self, entry: &Entry, mut report: Report) -> anyhow::Result<()> {
        report.insert("arguments", serde_json::json!(entry.arguments));
        let path = self.path_of(entry);
        let unfinished = path.with_extension("unfinished");
        write_line(&unfinished, &serde_json::to_string(&report)?)?;
        fs::rename(&unfinished, &path).with_context(|| format!("cannot write {}", path.display()))?;
        self.say(&format!("{} is done", entry.arguments));
        Ok(())
    }

    fn progress(&self, entry: &Entry) -> Progress {
        let progress = Progress::new(self.talks);
        if self.jobs < 2 { progress } else { progress.of(&entry.arguments) }
    }

    fn say(&self, text: &str) {
        if self.talks {
            eprintln!("{text}");
        }
    }
}

/// Reads a list of runs: one a line, in the words of `sim run`; `#` begins a remark.
///
/// # Errors
/// If `parse` does not understand a line, which is named then.
pub fn read(text: &str, parse: impl Fn(&[&str]) -> anyhow::Result<Options>) -> anyhow::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let options = parse(&words).with_context(|| format!("line {number}: `{line}`"))?;
        entries.push(Entry { arguments: words.join(" "), options });
    }
    if entries.is_empty() {
        bail!("there is no run in it; a line is such as `dark-routing --nodes 1000 --luminosity 3 --seed 7`");
    }
    entries.dedup_by(|one, other| one.arguments == other.arguments);
    Ok(entries)
}

/// Runs with one join together, in the order of the first of each.
fn groups(entries: Vec<&Entry>) -> Vec<Vec<&Entry>> {
    let mut groups: Vec<(String, Vec<&Entry>)> = Vec::new();
    for entry in entries {
        let key = growth_key(&entry.options);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(entry),
            None => groups.push((key, vec![entry])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '.'
}

fn write_line(path: &Path, line: &str) -> anyhow::Result<()> {
    fs::write(path, format!("{line}\n")).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn parse(words: &[&str]) -> anyhow::Result<Options> {
        let seed = words[1].parse().context("a seed is a number")?;
        Ok(Options::new(Scenario::find(words[0]).context("no such scenario")?, 20, seed))
    }

    #[test]
    fn a_list_has_one_run_a_line_and_says_which_line_is_wrong() {
        let entries = read("dark-routing 1 # remark\n\n  full-address   2\n", parse).unwrap();
        let arguments: Vec<_> = entries.iter().map(|entry| entry.arguments.as_str()).collect();
        assert_eq!(arguments, ["dark-routing 1", "full-address 2"]);
        assert!(read("dark-routing 1\ndark-routing x", parse).unwrap_err().to_string().contains("line 2"));
        assert!(read("# nothing", parse).is_err());
    }

    #[test]
    fn runs_that_share_a_join_are_played_together() {
        let entries = read("dark-routing 1\ndark-routing 2\nfull-address 1", parse).unwrap();
        let grouped: Vec<Vec<&str>> = groups(entries.iter().collect())
            .into_iter()
            .map(|group| group.into_iter().map(|entry| entry.arguments.as_str()).collect())
            .collect();
        assert_eq!(grouped, [vec!["dark-routing 1", "full-address 1"], vec!["dark-routing 2"]]);
    }
}
