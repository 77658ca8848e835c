//! Ours beside the others: the same network, the same packets, the same liars; only the rule differs
//! (docs/protocol/simulator.md, "Beside the others").

pub mod checks;
pub mod model;
pub mod report;
pub mod tables;
pub mod trial;

use std::collections::BTreeMap;

use mainframe_base::Luminosity;

use crate::baselines::{Baseline, undress};
use crate::dice::Dice;
use crate::population::{Growth, Population};
use crate::progress::{Progress, peak_mb};
use crate::scenario;
use checks::{Expectation, SelfCheck};
use report::{Comparison, bars, standings};
use tables::Tables;
use trial::{Errand, Outcome};

/// Our own protocol's name in reports.
pub const OURS: &str = "ours";
/// Flooding costs the whole network some hundred thousand frames for one packet, and hardly varies: so many packets do.
const FLOOD_PACKETS_MAX: usize = 10;
/// A region of a comparison has at least this many relays where the network has: with 10,000 nodes it has 625, for which
/// Kadcast's figures are known (protocol research §0, fact 2).
const REGION_NODES: usize = 400;

/// What to compare.
#[derive(Clone, Copy, Debug)]
pub struct CompareOptions {
    /// Nodes in the network.
    pub nodes: usize,
    /// The seed everything follows from.
    pub seed: u64,
    /// Packets each protocol sends; flooding sends no more than 10.
    pub packets: usize,
    /// Bits of the destination that are revealed.
    pub luminosity: Luminosity,
    /// Share of nodes that silently drop packets in the second half of the comparison.
    pub droppers: f64,
}

impl CompareOptions {
    /// The most bits that leave some 400 relays in a region.
    pub fn luminosity_for(nodes: usize) -> Luminosity {
        Luminosity::at_most((nodes / REGION_NODES).max(1).ilog2() as u16)
    }
}

/// Grows the network a comparison is made in; the same options grow the same one.
pub fn grow(options: &CompareOptions, progress: &mut Progress) -> Population {
    let dark = scenario::Options::new(scenario::Scenario::DarkRouting, options.nodes, options.seed);
    let mut population = scenario::population(&dark);
    Growth::of(options.nodes).run(&mut population, |population| progress.tell(population, "joining"));
    population
}

/// Runs ours and every baseline, first among honest nodes and then among droppers. `renew` is called before each of
/// them; it may put the network back into the state it had at first. If it does not, each finds what the ones before
/// it left, ours the least: it goes first.
pub fn compare(
    options: &CompareOptions,
    population: &mut Population,
    mut renew: impl FnMut(&mut Population),
    progress: &mut Progress,
) -> Comparison {
    let mut self_checks = checks::of_models(options.seed);
    let mut play = |is_honest: bool| {
        let mut outcomes = BTreeMap::new();
        for protocol in std::iter::once(None).chain(Baseline::ALL.map(Some)) {
            renew(population);
            let trial = Trial { options, is_honest, protocol };
            outcomes.insert(trial.name(), trial.run(population, progress, &mut self_checks));
        }
        standings(&outcomes)
    };
    let (honest, among_droppers) = (play(true), play(false));
    Comparison {
        nodes: options.nodes,
        seed: options.seed,
        packets: options.packets,
        luminosity: options.luminosity.bits(),
        droppers: options.droppers,
        bars: bars(&honest, &among_droppers),
        honest,
        among_droppers,
        self_checks,
        wall_s: (progress.wall_s() * 10.0).round() / 10.0,
        peak_mb: peak_mb(),
    }
}

struct Trial<'a> {
    options: &'a CompareOptions,
    is_honest: bool,
    /// None is ours.
    protocol: Option<Baseline>,
}

impl Trial<'_> {
    fn name(&self) -> &'static str {
        self.protocol.map_or(OURS, Baseline::name)
    }

    fn part(&self) -> &'static str {
        if self.is_honest { "honest" } else { "among_droppers" }
    }

    fn errand(&self, population: &Population) -> Errand {
        let CompareOptions { seed, packets, luminosity, droppers, .. } = *self.options;
        let errand = Errand::draw(population, packets, luminosity, droppers, seed);
        let errand = if self.is_honest { errand.without_droppers() } else { errand };
        if self.protocol == Some(Baseline::Flood) { errand.of_at_most(FLOOD_PACKETS_MAX) } else { errand }
    }

    fn run(&self, population: &mut Population, progress: &mut Progress, checks: &mut Vec<SelfCheck>) -> Outcome {
        let errand = self.errand(population);
        let CompareOptions { seed, luminosity, .. } = *self.options;
        match self.protocol {
            None => undress(population),
            Some(baseline) => baseline.dress(population, luminosity, seed),
        }
        let outcome = errand.run(population, progress, self.name());
        if let Some(baseline) = self.protocol {
            let tables = Tables::of(population);
            let loss_per_million = population.world().net().config().loss_per_million;
            let expectation = Expectation { tables: &tables, errand: &errand, part: self.part(), loss_per_million };
            let dice = &mut Dice::new(seed, "compare/walks");
            checks.extend(expectation.checks(baseline, &outcome, dice));
        }
        outcome
    }
}
