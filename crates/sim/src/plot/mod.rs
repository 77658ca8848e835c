//! Pictures of reports: what goes in are the lines that `sim run … --json` prints, what comes out is SVG.
//!
//! Reports are read by key, so that a picture can be made of any that has the keys; one that lacks a key says which.

mod axis;
mod chart;
mod pictures;
mod svg;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

pub use chart::{Series, Words, bars, lines};
pub use pictures::Picture;

/// One report, and the file it is from.
#[derive(Clone, Debug)]
pub struct Source {
    /// What to call it when something is wrong with it.
    pub name: String,
    /// The report.
    pub report: Value,
}

impl Source {
    /// The number of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn number(&self, key: &str) -> anyhow::Result<f64> {
        self.report[key].as_f64().with_context(|| format!("{} has no number `{key}`", self.name))
    }

    /// Whether it is a report of that scenario.
    pub fn is_of(&self, scenario: &str) -> bool {
        self.report["scenario"] == scenario
    }
}

/// Reads reports: every `.json` file of a directory by name, or the files themselves; each line of a file is one.
///
/// # Errors
/// If something cannot be read, is no JSON, or there is nothing.
pub fn read(places: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in files(places)? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let name = file.display().to_string();
            let report = serde_json::from_str(line).with_context(|| format!("{name} is no report"))?;
            sources.push(Source { name, report });
        }
    }
    if sources.is_empty() {
        bail!("there are no reports; `sim run … --json > FILE.json` writes one");
    }
    Ok(sources)
}

fn files(places: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for place in places {
        if !place.is_dir() {
            files.push(place.clone());
            continue;
        }
        let entries = std::fs::read_dir(place).with_context(|| format!("cannot read {}", place.display()))?;
        let mut inside: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_json(path)).collect();
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}
