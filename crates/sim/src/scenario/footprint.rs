//! How much can peers make a relay hold (ARCHITECTURE.md, invariant 5)? An hour among liars of every kind.

use std::collections::BTreeMap;

use mainframe_base::{Luminosity, Prefix};
use mainframe_core::store::{Table, Tx};
use serde::Serialize;

use super::Stage;
use super::full_address::{DEADLINE_S, Journeys};
use super::letters::{Letter, Letters};
use crate::figures::mean;
use crate::masks::Shares;
use crate::node::NodeId;

/// Share of the nodes that lie if nothing else is asked for.
const LIARS: f64 = 0.3;

/// The most of one thing that any honest node held, beside what it may hold.
#[derive(Clone, Copy, Serialize)]
struct Most {
    max: usize,
    bound: usize,
}

/// By name.
#[derive(Default)]
struct Footprint(BTreeMap<&'static str, Most>);

impl Footprint {
    fn see(&mut self, name: &'static str, now: usize, bound: usize) {
        let most = self.0.entry(name).or_insert(Most { max: 0, bound });
        most.max = most.max.max(now);
    }

    /// Looks at what every honest node holds.
    fn look(&mut self, stage: &Stage<'_>) {
        for id in stage.population.honest() {
            let Some(actor) = stage.population.world().machine(id) else { continue };
            for held in actor.relay().footprint() {
                self.see(held.name, held.now, held.bound);
            }
        }
    }

    /// The peer cache is to hold what the address book holds, give or take the peers connected without room in it.
    fn look_at_stores(&mut self, stage: &Stage<'_>) {
        let Some(known) = self.0.get("known").copied() else { return };
        for id in stage.population.honest() {
            let rows = stage.population.world().store(id).scan(Table::Peers, None, 2 * known.bound).len();
            self.see("cached_records", rows, known.bound);
        }
    }

    fn exceeded(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, most)| most.max > most.bound).map(|(name, _)| *name).collect()
    }
}

pub(super) fn play(stage: &mut Stage<'_>) {
    if stage.options.liars == Shares::NONE && stage.options.droppers == 0.0 {
        stage.options.liars = Shares::mixed(LIARS);
    }
    stage.prepare();
    let mut footprint = Footprint::default();
    let letters = live(stage, &mut footprint);
    footprint.look_at_stores(stage);
    let (bright, dark): (Vec<&Letter>, Vec<&Letter>) =
        letters.all().iter().partition(|letter| letter.destination.luminosity() == Luminosity::FULL);
    Journeys::of(stage.population.world().packets(), bright).report(stage);
    let covered: Vec<f64> = dark.into_iter().filter_map(|letter| coverage(stage, letter)).collect();
    stage.put("coverage_mean", mean(&covered));
    stage.put("minutes", stage.options.minutes);
    let exceeded = footprint.exceeded();
    stage.put("exceeded", exceeded.len());
    stage.put("exceeded_names", exceeded);
    stage.put("footprint", footprint.0);
}

/// Messages travel, to one node and to a whole region by turns; everyone is looked at each second.
fn live(stage: &mut Stage<'_>, footprint: &mut Footprint) -> Letters {
    let mut letters = Letters::default();
    let honest = stage.population.honest();
    let seconds = stage.options.minutes * 60;
    for second in 1..=seconds {
        let due = stage.options.packets as u64 * second / seconds;
        while (letters.all().len() as u64) < due {
            if letters.all().len().is_multiple_of(2) {
                letters.send_between(stage, &honest);
            } else {
                send_dark(stage, &mut letters, &honest);
            }
        }
        let next = stage.population.world().now() + 1_000_000;
        letters.run_until(stage, next, "liars are at work");
        footprint.look(stage);
    }
    letters.settle(stage, DEADLINE_S);
    letters
}

fn send_dark(stage: &mut Stage<'_>, letters: &mut Letters, honest: &[NodeId]) {
    let dice = stage.population.dice();
    let (origin, receiver) = (honest[dice.below(honest.len())], honest[dice.below(honest.len())]);
    let destination = Prefix::of(stage.population.address(receiver), stage.options.luminosity);
    letters.send(stage, origin, destination, receiver);
}

/// Which part of the honest nodes of its region a message reached with any try; none if there are none.
pub(super) fn coverage(stage: &Stage<'_>, letter: &Letter) -> Option<f64> {
    let packets = stage.population.world().packets();
    let handed =
        |index: u32, id: NodeId| packets.arrival(index, id.0).is_some_and(|arrival| arrival.handed_at.is_some());
    let reached = |id: NodeId| id == letter.origin || letter.packets().any(|index| handed(index, id));
    let inside = |id: &NodeId| letter.destination.matches(stage.population.address(*id));
    let region: Vec<NodeId> = stage.population.honest().into_iter().filter(inside).collect();
    let covered = region.iter().filter(|id| reached(**id)).count();
    (!region.is_empty()).then(|| covered as f64 / region.len() as f64)
}
