//! Many nodes of one owner against one region and one victim in it: once at positions drawn like everyone's, as with
//! stakes whose positions follow from later randomness, and once at positions ground to order, as without a chain,
//! where a position follows from a key and keys cost nothing (review P44; protocol research §3.1).

use mainframe_base::{Address, LinkKey, Luminosity, Prefix};
use mainframe_core::neighbours::Neighbour;

use super::Stage;
use super::footprint::coverage;
use super::full_address::DEADLINE_S;
use super::letters::{Letter, Letters, delivery_by_try};
use crate::figures::{mean, ratio};
use crate::masks::{Mask, Plot};
use crate::node::NodeId;
use crate::population::Growth;

/// Sybils among all nodes if no share is asked for.
const SYBILS: f64 = 0.1;
/// How long everyone has to get used to them, in seconds: ten rounds of beliefs.
const SETTLING_S: u64 = 300;
/// How long packets to the region may take, in seconds, as in dark routing.
const SETTLED_S: u64 = 60;
/// One ground sybil in so many stands in the victim's neighbourhood, the others anywhere in the region.
const BESIDE_THE_VICTIM: usize = 3;
/// Draws of positions and regions that the advantage of drawn positions is averaged over.
const DRAWS: usize = 200;

/// What the figures of one way to get positions are called.
struct Names {
    region_share: &'static str,
    advantage: &'static str,
    coverage: &'static str,
    entries_captured: &'static str,
    victim_connections: &'static str,
    victim_neighbourhood: &'static str,
    victim_delivery: &'static str,
    victim_sending: &'static str,
}

const RANDOM: Names = Names {
    region_share: "region_share_random",
    advantage: "advantage_random_here",
    coverage: "coverage_random",
    entries_captured: "entries_captured_random",
    victim_connections: "victim_connections_sybil_share_random",
    victim_neighbourhood: "victim_neighbourhood_sybil_share_random",
    victim_delivery: "victim_delivery_random",
    victim_sending: "victim_sending_random",
};

const GROUND: Names = Names {
    region_share: "region_share_ground",
    advantage: "advantage_ground",
    coverage: "coverage_ground",
    entries_captured: "entries_captured_ground",
    victim_connections: "victim_connections_sybil_share_ground",
    victim_neighbourhood: "victim_neighbourhood_sybil_share_ground",
    victim_delivery: "victim_delivery_ground",
    victim_sending: "victim_sending_ground",
};

pub(super) fn play(stage: &mut Stage<'_>) {
    let share = if stage.options.sybils > 0.0 { stage.options.sybils } else { SYBILS };
    let sybils = (stage.options.nodes as f64 * share).round() as usize;
    stage.put("sybils", sybils);
    stage.put("luminosity", stage.options.luminosity.bits());
    attack(stage, sybils, false).report(stage, sybils, &RANDOM);
    let advantage = advantage_of_drawn(stage, sybils);
    stage.put("advantage_random", advantage);
    let hash = stage.population.world_mut().trace_hash();
    stage.put("trace_hash_random", hash);
    stage.population = super::population(&stage.options);
    attack(stage, sybils, true).report(stage, sybils, &GROUND);
}

/// Kinds of messages, sent by turns.
const KINDS: usize = 3;

/// A network that sybils have joined, and what was sent in it.
struct Attack {
    region: Prefix,
    victim: NodeId,
    letters: Letters,
}

fn attack(stage: &mut Stage<'_>, sybils: usize, ground: bool) -> Attack {
    let growth = Growth::of(stage.options.nodes - sybils);
    let progress = &mut *stage.progress;
    growth.run(&mut stage.population, |population| progress.tell(population, "joining"));
    let victim = stage.random_honest();
    let address = *stage.population.address(victim);
    let region = Prefix::of(&address, stage.options.luminosity);
    let beside = Luminosity::at_most((stage.population.truth().depth(&address) + 1).max(region.luminosity().bits()));
    let world = stage.population.world();
    let plot = Plot::new(region, address, world.key(victim), world.locator(victim));
    stage.population.agree_on(plot);
    for index in 0..sybils {
        let place = match (ground, index % BESIDE_THE_VICTIM) {
            (false, _) => Prefix::EVERYONE,
            (true, 0) => Prefix::of(&address, beside),
            (true, _) => region,
        };
        let id = stage.population.add_within(&place);
        stage.population.disguise(id, Mask::Sybil);
        let next = stage.population.world().now() + growth.interval_us;
        stage.population.world_mut().run_until(next);
        stage.progress.tell(&stage.population, "sybils join");
    }
    stage.run_seconds(SETTLING_S, "sybils settle");
    send_all(stage, region, victim)
}

/// A third of the messages goes to the region, a third to the victim, a third leaves it.
fn send_all(stage: &mut Stage<'_>, region: Prefix, victim: NodeId) -> Attack {
    let mut letters = Letters::default();
    let honest: Vec<NodeId> = stage.population.honest().into_iter().filter(|id| *id != victim).collect();
    for number in 0..stage.options.packets {
        let other = honest[stage.population.dice().below(honest.len())];
        let bright = |stage: &Stage<'_>, id| Prefix::of(stage.population.address(id), Luminosity::FULL);
        match number % KINDS {
            0 => letters.send(stage, other, region, victim),
            1 => letters.send(stage, other, bright(stage, victim), victim),
            _ => letters.send(stage, victim, bright(stage, other), other),
        }
        let next = stage.population.world().now() + 100_000;
        letters.run_until(stage, next, "packets travel");
    }
    letters.settle(stage, SETTLED_S.max(DEADLINE_S));
    Attack { region, victim, letters }
}

impl Attack {
    fn report(&self, stage: &mut Stage<'_>, sybils: usize, names: &Names) {
        let everywhere = ratio(sybils as u64, stage.options.nodes as u64);
        let in_region = sybil_share(stage, |address| self.region.matches(address));
        stage.put(names.region_share, in_region);
        stage.put(names.advantage, in_region / everywhere);
        let to_region = self.sent(0);
        let covered: Vec<f64> = to_region.iter().filter_map(|letter| coverage(stage, letter)).collect();
        stage.put(names.coverage, mean(&covered));
        let captured = to_region.iter().filter(|letter| self.is_captured(stage, letter)).count();
        stage.put(names.entries_captured, ratio(captured as u64, to_region.len() as u64));
        self.report_victim(stage, names);
    }

    fn report_victim(&self, stage: &mut Stage<'_>, names: &Names) {
        let world = stage.population.world();
        let neighbours = world.machine(self.victim).map(|actor| actor.relay().neighbours()).expect("it stays");
        let is_sybil = |key: &LinkKey| world.find(key).is_some_and(|id| world.mask_of(id) == Mask::Sybil);
        let share = |relays: &[Neighbour]| {
            let sybils = relays.iter().filter(|relay| is_sybil(&relay.key)).count();
            ratio(sybils as u64, relays.len() as u64)
        };
        let (all, near) = (share(neighbours.all()), share(neighbours.within(neighbours.depth())));
        let arrived = |kind| {
            let by_try = delivery_by_try(&self.sent(kind), world.packets(), stage.options.tries, DEADLINE_S);
            by_try.last().copied().unwrap_or(0.0)
        };
        let (delivery, sending) = (arrived(1), arrived(2));
        stage.put(names.victim_connections, all);
        stage.put(names.victim_neighbourhood, near);
        stage.put(names.victim_delivery, delivery);
        stage.put(names.victim_sending, sending);
    }

    /// The messages of one kind.
    fn sent(&self, kind: usize) -> Vec<Letter> {
        self.letters.all().iter().skip(kind).step_by(KINDS).cloned().collect()
    }

    /// Whether the first node of the region that its first packet came to is a sybil.
    fn is_captured(&self, stage: &Stage<'_>, letter: &Letter) -> bool {
        let world = stage.population.world();
        let inside = |id: &NodeId| self.region.matches(stage.population.address(*id));
        let Some(packet) = letter.packets().next() else { return false };
        let arrivals = world
            .ids()
            .filter(inside)
            .filter_map(|id| world.packets().arrival(packet, id.0).map(|arrival| (arrival.at, id)));
        arrivals.min().is_some_and(|(_, first)| world.mask_of(first) == Mask::Sybil)
    }
}

fn sybil_share(stage: &Stage<'_>, holds: impl Fn(&Address) -> bool) -> f64 {
    let population = &stage.population;
    let inside: Vec<NodeId> = population.online().into_iter().filter(|id| holds(population.address(*id))).collect();
    let sybils = inside.iter().filter(|id| population.world().mask_of(**id) == Mask::Sybil).count();
    ratio(sybils as u64, inside.len() as u64)
}

/// What drawn positions give in one region of many, over many draws of both: one region of one run tells little.
fn advantage_of_drawn(stage: &mut Stage<'_>, sybils: usize) -> f64 {
    let honest: Vec<Address> = stage.population.honest().into_iter().map(|id| *stage.population.address(id)).collect();
    let everywhere = ratio(sybils as u64, (honest.len() + sybils) as u64);
    let shares: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let region = Prefix::of(&Address(stage.population.dice().bytes()), stage.options.luminosity);
            let drawn = (0..sybils).filter(|_| region.matches(&stage.population.draw_address())).count();
            let honest = honest.iter().filter(|address| region.matches(address)).count();
            ratio(drawn as u64, (drawn + honest) as u64)
        })
        .collect();
    mean(&shares) / everywhere
}
