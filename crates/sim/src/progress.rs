//! News on the way to a result, for whoever waits at a terminal; never on standard output.

use std::time::Instant;

use crate::population::Population;

/// Tells how far a run has come, no more than once in a while.
#[derive(Debug)]
pub struct Progress {
    is_wanted: bool,
    /// Which of several runs it is about.
    of: String,
    started: Instant,
    told: Instant,
}

/// Seconds between two lines.
const PAUSE_S: u64 = 5;

impl Progress {
    /// Starts the watch.
    pub fn new(is_wanted: bool) -> Progress {
        let now = Instant::now();
        Progress { is_wanted, of: String::new(), started: now, told: now }
    }

    /// Names the run in every line, because there are several.
    pub fn of(self, run: &str) -> Progress {
        Progress { of: format!("  {run}"), ..self }
    }

    /// Says where the run is, if nothing was said for a while.
    pub fn tell(&mut self, population: &Population, doing: &str) {
        if self.told.elapsed().as_secs() >= PAUSE_S {
            self.told = Instant::now();
            self.say(population, doing);
        }
    }

    /// Says how far a run without a network has come, if nothing was said for a while.
    pub fn mention(&mut self, text: &str) {
        if self.is_wanted && self.told.elapsed().as_secs() >= PAUSE_S {
            self.told = Instant::now();
            eprintln!("{:5.0} s  {text}{}", self.wall_s(), self.of);
        }
    }

    /// Says where the run is.
    pub fn say(&self, population: &Population, doing: &str) {
        if self.is_wanted {
            let world = population.world();
            eprintln!(
                "{:5.0} s  virtual {:>10}  {:>5} nodes  {:>9} events  {doing}{}",
                self.wall_s(),
                world.now().to_string(),
                world.ids().filter(|id| world.is_online(*id)).count(),
                world.counts().inputs,
                self.of,
            );
        }
    }

    /// Says that something is wrong.
    pub fn warn(&self, text: &str) {
        if self.is_wanted {
            eprintln!("warning: {text}");
        }
    }

    /// Real seconds since the start.
    pub fn wall_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// The most memory this process ever had, in MB; zero where the system does not tell.
pub fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}
