//! How well do relays know how many they are, how many stand in a region, and what a packet there will cost; and does the
//! advisor keep its promise?
//!
//! Random honest relays estimate by real look-ups and count regions around random honest relays: the targets. The
//! promise of an honest set is made twice: from the network's size alone, and from the count.

use mainframe_base::{Luminosity, Prefix};
use mainframe_core::cost::{Network, Sight, milli_region, quote_region};
use mainframe_core::switchboard::{Estimate, RelayCommand, RelayReply};
use mainframe_core::wire::SizeClass;
use serde_json::{Value, json};

use super::Stage;
use crate::figures::{mean, percentile};
use crate::node::NodeId;
use crate::packets::PacketIndex;

/// The luminosities looked at, unless one is asked for.
const BITS_MAX: u16 = 12;
/// Relays that estimate.
const ASKERS: usize = 100;
/// Targets of each asker at this luminosity (review of the design §11: 1,000 from 8 bits on, where regions are few
/// relays; 50 below).
const BITS_MANY: u16 = 8;
const TARGETS_MANY: usize = 10;
/// Random look-ups of each estimate (the default of `net estimate`).
const LOOKUPS: u8 = 16;
/// How long an estimate may take, in seconds: sixteen look-ups of half a minute, four at once.
const PATIENCE_S: u64 = 150;
/// How long a packet may take, in seconds.
const SETTLED_S: u64 = 30;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let askers: Vec<NodeId> = (0..ASKERS).map(|_| stage.random_honest()).collect();
    let sizes = estimate_sizes(stage, &askers);
    let all = || (0..=BITS_MAX).map(Luminosity::at_most).collect();
    let luminosities: Vec<Luminosity> = stage.options.only.map_or_else(all, |only| vec![only]);
    let rows: Vec<Row> =
        luminosities.into_iter().map(|luminosity| row_of(stage, &askers, &sizes, luminosity)).collect();
    report_sizes(stage, &sizes);
    report_rows(stage, &rows);
}

/// Every asker's estimate of the whole network.
fn estimate_sizes(stage: &mut Stage<'_>, askers: &[NodeId]) -> Vec<Estimate> {
    let asked: Vec<(NodeId, u8, Option<Prefix>)> = askers.iter().map(|asker| (*asker, LOOKUPS, None)).collect();
    answers(stage, &asked).into_iter().flatten().collect()
}

/// Asks these relays at once and waits; the answers come in the order of the questions.
fn answers(stage: &mut Stage<'_>, asked: &[(NodeId, u8, Option<Prefix>)]) -> Vec<Option<Estimate>> {
    stage.population.world_mut().take_replies();
    let commands: Vec<_> = asked
        .iter()
        .map(|(asker, lookups, region)| {
            stage.population.command(*asker, RelayCommand::Estimate { lookups: *lookups, region: *region })
        })
        .collect();
    let mut answers = vec![None; asked.len()];
    for _ in 0..PATIENCE_S {
        stage.run_seconds(1, "relays estimate");
        for (_, command, reply) in stage.population.world_mut().take_replies() {
            let at = commands.iter().position(|other| *other == command);
            if let (Some(at), RelayReply::Estimate(estimate)) = (at, reply) {
                answers[at] = Some(estimate);
            }
        }
        if answers.iter().all(Option::is_some) {
            break;
        }
    }
    answers
}

/// What came out for one luminosity.
#[derive(Default)]
struct Row {
    bits: u16,
    targets: usize,
    unanswered: usize,
    /// Relative errors of the region's size, by the count and by the network's size alone.
    errors: Vec<f64>,
    errors_by_size: Vec<f64>,
    counted_whole: usize,
    promises: Promises,
    promises_by_size: Promises,
    real: Vec<f64>,
    quote_errors: Vec<f64>,
}

/// Promised honest sets, and how many of them were true.
#[derive(Default)]
struct Promises {
    made: Vec<f64>,
    kept: usize,
}

impl Promises {
    fn add(&mut self, promised: u64, real: u64) {
        self.made.push(promised as f64);
        self.kept += usize::from(real >= promised);
    }
}

fn row_of(stage: &mut Stage<'_>, askers: &[NodeId], sizes: &[Estimate], luminosity: Luminosity) -> Row {
    let rounds = if luminosity.bits() >= BITS_MANY { TARGETS_MANY } else { 1 };
    let mut row = Row { bits: luminosity.bits(), ..Row::default() };
    for round in 0..rounds {
        let targets: Vec<Prefix> = askers.iter().map(|_| random_region(stage, luminosity)).collect();
        let asked: Vec<_> = askers.iter().zip(&targets).map(|(asker, region)| (*asker, 0, Some(*region))).collect();
        let answers = answers(stage, &asked);
        row.unanswered += answers.iter().filter(|answer| answer.is_none()).count();
        for ((answer, size), region) in answers.iter().zip(sizes).zip(&targets) {
            if let Some(estimate) = answer {
                row.add(stage, estimate, size, region);
            }
        }
        if round == 0 {
            row.quote_errors = quote_errors(stage, askers, &targets, &answers);
        }
    }
    row
}

fn droppers_per_mille(stage: &Stage<'_>) -> u64 {
    (stage.options.droppers * 1e3).round() as u64
}

/// The region around a random honest relay, who would be the receiver.
fn random_region(stage: &mut Stage<'_>, luminosity: Luminosity) -> Prefix {
    let target = stage.random_honest();
    Prefix::of(stage.population.address(target), luminosity)
}

fn sight_of(estimate: &Estimate) -> Option<Sight> {
    let region = estimate.region?;
    Some(Sight { counted: region.counted, milli_expected: region.milli_expected, records: estimate.records })
}

impl Row {
    fn add(&mut self, stage: &Stage<'_>, estimate: &Estimate, size: &Estimate, region: &Prefix) {
        let Some(sight) = sight_of(estimate) else { return };
        let matching = |ids: Vec<NodeId>| {
            ids.into_iter().filter(|id| region.matches(stage.population.address(*id))).count() as u64
        };
        let (relays, honest) = (matching(stage.population.online()), matching(stage.population.honest()));
        let luminosity = region.luminosity();
        let by_size = Sight::by_size(size.nodes, size.records, luminosity);
        let error = |milli: u64| (milli as f64 / 1e3 - relays as f64).abs() / relays as f64;
        self.targets += 1;
        self.counted_whole += usize::from(sight.milli_expected == 0);
        self.errors.push(error(sight.milli_relays()));
        self.errors_by_size.push(error(milli_region(size.nodes, luminosity)));
        let droppers_per_mille = droppers_per_mille(stage);
        self.promises.add(sight.honest(droppers_per_mille).p01, honest);
        self.promises_by_size.add(by_size.honest(droppers_per_mille).p01, honest);
        self.real.push(honest as f64);
    }

    fn value(&self) -> Value {
        let mut real = self.real.clone();
        let median = percentile(&mut real, 50);
        let (mut errors, mut quotes) = (self.errors.clone(), self.quote_errors.clone());
        let mut promised = self.promises.made.clone();
        let mut promised_by_size = self.promises_by_size.made.clone();
        let share = |kept: usize| kept as f64 / self.targets.max(1) as f64;
        json!({
            "luminosity": self.bits,
            "targets": self.targets,
            "unanswered": self.unanswered,
            "counted_whole": share(self.counted_whole),
            "error_mean": mean(&self.errors),
            "error_p95": percentile(&mut errors, 95),
            "error_by_size_mean": mean(&self.errors_by_size),
            "real_median": median,
            "promise_median": percentile(&mut promised, 50),
            "promise_kept": share(self.promises.kept),
            "promise_share": percentile(&mut promised, 50) / median.max(1.0),
            "promise_by_size_median": percentile(&mut promised_by_size, 50),
            "promise_by_size_kept": share(self.promises_by_size.kept),
            "promise_by_size_share": percentile(&mut promised_by_size, 50) / median.max(1.0),
            "quote_error_p50": percentile(&mut quotes, 50),
            "quote_error_p95": percentile(&mut quotes, 95),
        })
    }
}

/// Some askers send a packet to the region they counted. By what share of what it cost was its quote wrong?
fn quote_errors(
    stage: &mut Stage<'_>,
    askers: &[NodeId],
    regions: &[Prefix],
    answers: &[Option<Estimate>],
) -> Vec<f64> {
    let droppers_per_mille = droppers_per_mille(stage);
    let mut sent: Vec<(PacketIndex, f64)> = Vec::new();
    for ((asker, region), answer) in askers.iter().zip(regions).zip(answers).take(stage.options.packets) {
        let Some((estimate, sight)) = answer.and_then(|estimate| Some((estimate, sight_of(&estimate)?))) else {
            continue;
        };
        let network = Network { relays: estimate.nodes, droppers_per_mille };
        let quote = quote_region(&network, region.luminosity(), sight.milli_relays(), SizeClass::T);
        let packet = stage.population.send(*asker, *region);
        sent.push((packet, quote.milli_transmissions as f64 / 1e3));
        stage.run_seconds(1, "packets travel");
    }
    stage.run_seconds(SETTLED_S, "packets settle");
    let packets = stage.population.world().packets().all();
    let error = |(packet, quoted): &(PacketIndex, f64)| {
        let cost = packets[*packet as usize].transmissions as f64;
        (quoted - cost).abs() / cost.max(1.0)
    };
    sent.iter().map(error).collect()
}

fn report_sizes(stage: &mut Stage<'_>, sizes: &[Estimate]) {
    let relays = stage.population.online().len() as f64;
    let mut ratios: Vec<f64> = sizes.iter().map(|size| size.nodes as f64 / relays).collect();
    let errors: Vec<f64> = ratios.iter().map(|ratio| (ratio - 1.0).abs()).collect();
    stage.put("size_estimates", sizes.len());
    stage.put("size_ratio_mean", mean(&ratios));
    stage.put("size_ratio_p05", percentile(&mut ratios, 5));
    stage.put("size_ratio_p95", percentile(&mut ratios, 95));
    stage.put("size_error_mean", mean(&errors));
}

/// Each luminosity, and the worst of them.
fn report_rows(stage: &mut Stage<'_>, rows: &[Row]) {
    let worst = |figure: &dyn Fn(&Value) -> f64, of: fn(f64, f64) -> f64| {
        rows.iter().map(|row| figure(&row.value())).reduce(of).unwrap_or(0.0)
    };
    let number = |name: &'static str| move |row: &Value| row[name].as_f64().unwrap_or(0.0);
    stage.put("error_mean_max", worst(&number("error_mean"), f64::max));
    stage.put("promise_share_min", worst(&number("promise_share"), f64::min));
    let kept: usize = rows.iter().map(|row| row.promises.kept).sum();
    let made: usize = rows.iter().map(|row| row.targets).sum();
    stage.put("promise_kept", kept as f64 / made.max(1) as f64);
    let kept_by_size: usize = rows.iter().map(|row| row.promises_by_size.kept).sum();
    stage.put("promise_by_size_kept", kept_by_size as f64 / made.max(1) as f64);
    let mut quotes: Vec<f64> = rows.iter().flat_map(|row| row.quote_errors.iter().copied()).collect();
    stage.put("quote_error_p50", percentile(&mut quotes, 50));
    stage.put("quote_error_p95", percentile(&mut quotes, 95));
    stage.put("unanswered", rows.iter().map(|row| row.unanswered).sum::<usize>());
    stage.put("regions", rows.iter().map(Row::value).collect::<Vec<_>>());
}
