//! What a comparison says.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::OURS;
use super::checks::SelfCheck;
use super::trial::Outcome;
use crate::baselines::Baseline;

/// What one protocol came to, and how many times ours that is.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct Standing {
    /// Its figures.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Its cells for each relay of the region, divided by ours.
    pub payload_over_ours: f64,
    /// Its bytes, divided by ours.
    pub bytes_over_ours: f64,
    /// Its median latency, divided by ours.
    pub latency_over_ours: f64,
}

/// Each protocol's standing, by its name.
pub type Standings = BTreeMap<&'static str, Standing>;

/// How much cheaper than another protocol ours has to be, covering no less.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct Bar {
    /// The other.
    pub than: &'static str,
    /// In which part of the comparison: `honest` or `among_droppers`.
    pub part: &'static str,
    /// The least its payloads have to be, divided by ours.
    pub payload_over_ours_min: f64,
    /// What they are.
    pub payload_over_ours: f64,
    /// Our coverage, less the other's.
    pub coverage_gained: f64,
    /// Whether both are as they have to be.
    pub met: bool,
}

/// What came out; the keys are docs/protocol/simulator.md's.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct Comparison {
    /// Nodes in the network.
    pub nodes: usize,
    /// The run's seed.
    pub seed: u64,
    /// Packets each protocol sent.
    pub packets: usize,
    /// Bits of the destination that were revealed.
    pub luminosity: u16,
    /// Share of nodes that dropped packets in `among_droppers`.
    pub droppers: f64,
    /// Everyone honest.
    pub honest: Standings,
    /// Some drop packets in silence.
    pub among_droppers: Standings,
    /// How far ours has to be ahead.
    pub bars: Vec<Bar>,
    /// Whether the baselines are what they are called.
    pub self_checks: Vec<SelfCheck>,
    /// Real seconds it took.
    pub wall_s: f64,
    /// The most memory it took, in MB.
    pub peak_mb: u64,
}

impl Comparison {
    /// Whether every self-check passed.
    pub fn is_sound(&self) -> bool {
        self.self_checks.iter().all(|check| check.pass)
    }
}

/// Sets every outcome beside ours.
pub(super) fn standings(outcomes: &BTreeMap<&'static str, Outcome>) -> Standings {
    let ours = &outcomes[OURS];
    let over = |theirs: f64, ours: f64| if ours == 0.0 { 0.0 } else { theirs / ours };
    let standing = |outcome: &Outcome| Standing {
        payload_over_ours: over(outcome.payload_per_region_node, ours.payload_per_region_node),
        bytes_over_ours: over(outcome.bytes_per_region_node, ours.bytes_per_region_node),
        latency_over_ours: over(outcome.latency_ms_p50, ours.latency_ms_p50),
        outcome: outcome.clone(),
    };
    outcomes.iter().map(|(name, outcome)| (*name, standing(outcome))).collect()
}

/// How far ours has to be ahead (requirements of the simulator).
const BARS: [(Baseline, f64); 2] = [(Baseline::Pss, 8.0), (Baseline::KadcastThree, 2.5)];

pub(super) fn bars(honest: &Standings, among_droppers: &Standings) -> Vec<Bar> {
    let parts = [("honest", honest), ("among_droppers", among_droppers)];
    let bar = |(part, standings): (&'static str, &Standings), (baseline, least): (Baseline, f64)| {
        let other = &standings[baseline.name()];
        let coverage_gained = standings[OURS].outcome.coverage_mean - other.outcome.coverage_mean;
        Bar {
            than: baseline.name(),
            part,
            payload_over_ours_min: least,
            payload_over_ours: other.payload_over_ours,
            coverage_gained,
            met: other.payload_over_ours >= least && coverage_gained >= 0.0,
        }
    };
    parts.into_iter().flat_map(|part| BARS.map(|baseline| bar(part, baseline))).collect()
}

/// Tables, for people.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, standings) in [("honest", &self.honest), ("among_droppers", &self.among_droppers)] {
            let [coverage, least, payloads, over] = ["coverage", "least", "payloads", "/ ours"];
            write!(f, "{part:<16}{coverage:>9}{least:>9}{payloads:>10}{over:>9}")?;
            writeln!(f, "{:>11}{:>11}{:>6}{:>8}{:>8}", "bytes", "control", "hops", "p50 ms", "p99 ms")?;
            for (name, standing) in standings {
                let of = &standing.outcome;
                write!(f, "  {name:<14}{:>9.4}{:>9.4}", of.coverage_mean, of.coverage_min)?;
                write!(f, "{:>10.3}{:>9.2}", of.payload_per_region_node, standing.payload_over_ours)?;
                write!(f, "{:>11.0}{:>11.0}", of.bytes_per_region_node, of.control_bytes_per_region_node)?;
                writeln!(f, "{:>6.2}{:>8.0}{:>8.0}", of.hops_mean, of.latency_ms_p50, of.latency_ms_p99)?;
            }
        }
        for bar in &self.bars {
            let verdict = if bar.met { "met" } else { "NOT MET" };
            write!(f, "{:<16}{:<36}", bar.part, format!("payloads of {} / ours", bar.than))?;
            write!(f, "{:>10.2}, at least {:.1}; ", bar.payload_over_ours, bar.payload_over_ours_min)?;
            writeln!(f, "coverage {:+.4}: {verdict}", bar.coverage_gained)?;
        }
        for check in &self.self_checks {
            let verdict = if check.pass { "as expected" } else { "NOT AS EXPECTED" };
            write!(f, "{:<16}{:<36}{:>10.3}", check.part, check.name, check.measured)?;
            writeln!(f, " in {:.3} to {:.3}: {verdict}", check.expected_min, check.expected_max)?;
        }
        Ok(())
    }
}
