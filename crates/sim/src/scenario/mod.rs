//! What is played out in the world, one file per question.

mod churn;
mod dark_routing;
mod eavesdrop;
mod estimate;
mod full_address;
mod letters;

use std::collections::BTreeMap;

use mainframe_core::overlay::OverlayConfig;
use mainframe_core::packet::PacketConfig;
use mainframe_core::switchboard::RelayConfig;
use serde::Serialize;

use crate::check::{check, false_accusations};
use crate::masks::Mask;
use crate::moment::Moment;
use crate::net::{NetConfig, Nudge};
use crate::node::NodeId;
use crate::population::{Growth, Population, PopulationConfig};
use crate::progress::{Progress, peak_mb};
use crate::watch::Watch;
use crate::world::{Accusation, Stop};

/// The scenarios there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// Packets to whole regions: coverage and its price.
    DarkRouting,
    /// Packets to single nodes: hops, delivery, time.
    FullAddress,
    /// An hour of coming and going, then half the network vanishes, then every bootstrap node.
    Churn,
    /// Estimates of the network, of regions, of costs, and the advisor's promise.
    Estimate,
    /// What eavesdroppers learn: who sends, who may receive, who is who.
    Eavesdrop,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 5] =
        [Scenario::DarkRouting, Scenario::FullAddress, Scenario::Churn, Scenario::Estimate, Scenario::Eavesdrop];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::DarkRouting => "dark-routing",
            Scenario::FullAddress => "full-address",
            Scenario::Churn => "churn",
            Scenario::Estimate => "estimate",
            Scenario::Eavesdrop => "eavesdrop",
        }
    }

    /// What it answers, in one line.
    pub fn question(self) -> &'static str {
        match self {
            Scenario::DarkRouting => "does a packet reach every relay of its region, and for how many transmissions?",
            Scenario::FullAddress => "does a packet reach one node, over how many hops, and how soon?",
            Scenario::Churn => {
                "do the tables stay complete when nodes come and go, and recover when half of them vanish?"
            }
            Scenario::Estimate => "do relays know how many stand in a region, and what a packet there costs?",
            Scenario::Eavesdrop => "who sent a packet, whom is it for, and who stands where, to those who listen?",
        }
    }

    /// The scenario of that name.
    pub fn find(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Packets sent if nothing else is asked for.
    pub fn packets(self) -> usize {
        match self {
            Scenario::DarkRouting => 500,
            Scenario::FullAddress => 5_000,
            Scenario::Churn => 3_600,
            Scenario::Estimate => 50,
            Scenario::Eavesdrop => 1_000,
        }
    }
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which scenario.
    pub scenario: Scenario,
    /// Nodes in the network.
    pub nodes: usize,
    /// The seed everything follows from.
    pub seed: u64,
    /// Packets sent.
    pub packets: usize,
    /// Share of nodes that silently drop packets, 0..1.
    pub droppers: f64,
    /// Share of nodes that leave in the last ten minutes before the packets, 0..1.
    pub offline: f64,
    /// How often a sender that hears nothing tries, the first time included.
    pub tries: u8,
    /// Points at which a dark packet enters its region, 1 or 2.
    pub entries: u8,
    /// Bits of the destination that dark packets reveal.
    pub luminosity: mainframe_base::Luminosity,
    /// The only luminosity looked at, where a scenario looks at many.
    pub only: Option<mainframe_base::Luminosity>,
    /// Share of relays that compare notes, 0..=1.
    pub colluders: f64,
    /// Packets a second that observers are to tell apart.
    pub packet_rate: u64,
    /// Seconds after the start at which one frame takes a millisecond longer, if any.
    pub nudge_s: Option<u64>,
    /// Two nodes whose traffic is read aloud.
    pub watch: Option<Watch>,
}

impl Options {
    /// The scenario with its own number of packets, honest nodes and a luminosity of 3.
    pub fn new(scenario: Scenario, nodes: usize, seed: u64) -> Options {
        Options {
            scenario,
            nodes,
            seed,
            packets: scenario.packets(),
            droppers: 0.0,
            offline: 0.0,
            tries: 1,
            entries: 2,
            luminosity: mainframe_base::Luminosity::at_most(3),
            only: None,
            colluders: 0.1,
            packet_rate: 10,
            nudge_s: None,
            watch: None,
        }
    }
}

/// What came out, by name; the names are docs/protocol/simulator.md's.
pub type Report = BTreeMap<&'static str, serde_json::Value>;

/// Plays a scenario. The same options give the same report, but for `wall_s` and `peak_mb`.
pub fn run(options: &Options, progress: &mut Progress) -> Report {
    let mut stage = Stage { population: population(options), options: *options, progress, report: Report::new() };
    if let Some(watch) = options.watch {
        stage.population.world_mut().watch(watch);
    }
    match options.scenario {
        Scenario::DarkRouting => dark_routing::play(&mut stage),
        Scenario::FullAddress => full_address::play(&mut stage),
        Scenario::Churn => churn::play(&mut stage),
        Scenario::Estimate => estimate::play(&mut stage),
        Scenario::Eavesdrop => eavesdrop::play(&mut stage),
    }
    stage.finish()
}

pub(crate) fn population(options: &Options) -> Population {
    Population::new(PopulationConfig {
        net: NetConfig::default(),
        relay: RelayConfig {
            // An estimate visits dozens of nodes and changes no table: it would double the time of a run.
            overlay: OverlayConfig { estimate_interval_ms: 0, ..OverlayConfig::default() },
            packet: PacketConfig { copy_kept: false, entries: options.entries, ..PacketConfig::default() },
            ..RelayConfig::default()
        },
        seed: options.seed,
        nudge: options.nudge_s.map(|seconds| Nudge { at: Moment::seconds(seconds), longer_us: 1_000 }),
    })
}

/// A scenario being played.
struct Stage<'a> {
    population: Population,
    options: Options,
    progress: &'a mut Progress,
    report: Report,
}

/// How long before the packets nodes leave, in seconds (review of the design, "measuring honestly").
const LEAVING_S: u64 = 600;

impl Stage<'_> {
    fn put(&mut self, name: &'static str, value: impl Serialize) {
        self.report.insert(name, serde_json::json!(value));
    }

    fn run_seconds(&mut self, seconds: u64, doing: &str) {
        for _ in 0..seconds {
            self.population.run_seconds(1);
            self.progress.tell(&self.population, doing);
        }
    }

    /// Joins the network, then lets some of it lie and some of it leave.
    fn prepare(&mut self) {
        let growth = Growth::of(self.options.nodes);
        let progress = &mut *self.progress;
        let complete = growth.run(&mut self.population, |population| progress.tell(population, "joining"));
        let joined_s = self.population.world().now().0 / 1_000_000;
        self.put("joined_s", joined_s);
        self.progress.say(&self.population, &format!("joined; neighbourhoods are complete to {complete:.4}"));
        check(&self.population);
        self.mask_droppers();
        self.let_leave();
        let complete = self.population.completeness();
        self.put("nn_completeness", complete);
        self.progress.say(&self.population, &format!("ready; neighbourhoods are complete to {complete:.4}"));
    }

    fn mask_droppers(&mut self) {
        for id in self.choose(self.options.droppers) {
            self.population.world_mut().mask(id, Mask::SilentDropper);
        }
    }

    /// Some nodes vanish, each at a random moment of the last ten minutes.
    fn let_leave(&mut self) {
        let leaving = self.choose(self.options.offline);
        if leaving.is_empty() {
            return;
        }
        let start = self.population.world().now();
        let mut times: Vec<(Moment, NodeId)> = leaving
            .into_iter()
            .map(|id| (start + self.population.dice().below(LEAVING_S as usize * 1_000_000) as u64, id))
            .collect();
        times.sort();
        for (at, id) in times {
            self.population.world_mut().run_until(at);
            self.population.stop(id, Stop::Vanished);
            self.progress.tell(&self.population, "nodes leave");
        }
        self.population.world_mut().run_until(start + LEAVING_S * 1_000_000);
    }

    /// A random share of the nodes that run.
    fn choose(&mut self, share: f64) -> Vec<NodeId> {
        let mut online = self.population.online();
        let count = (online.len() as f64 * share).round() as usize;
        self.population.dice().shuffle(&mut online);
        online.truncate(count);
        online
    }

    fn random_honest(&mut self) -> NodeId {
        let honest = self.population.honest();
        *self.population.dice().pick(&honest).expect("someone honest is online")
    }

    fn report_false_accusations(&mut self) {
        let accusations = false_accusations(&self.population);
        for said in &accusations {
            let Accusation { at, by, of, fault, .. } = said;
            self.progress.warn(&format!("at {at} node {} accused node {} though both are honest: {fault}", by.0, of.0));
        }
        self.put("false_accusations", accusations.len());
    }

    /// What every report says.
    fn finish(mut self) -> Report {
        check(&self.population);
        self.report_false_accusations();
        let counters = self.population.counters();
        let counts = self.population.world().counts().clone();
        let faults: BTreeMap<String, u64> =
            counts.faults.iter().map(|(fault, count)| (format!("{fault:?}"), *count)).collect();
        self.put("scenario", self.options.scenario.name());
        self.put("nodes", self.options.nodes);
        self.put("seed", self.options.seed);
        self.put("packets", self.options.packets);
        self.put("droppers", self.options.droppers);
        self.put("offline", self.options.offline);
        self.put("tries", self.options.tries);
        self.put("entries", self.options.entries);
        self.put("events", counts.inputs);
        self.put("frames", counts.frames);
        self.put("frames_lost", counts.lost);
        self.put("connections", counts.connections);
        self.put("handed_over", counts.handed_over);
        self.put("given_up", counts.given_up);
        self.put("restless", counts.restless);
        self.put("faults", faults);
        self.put("counters", counters);
        self.put("virtual_s", self.population.world().now().0 / 1_000_000);
        self.put("wall_s", (self.progress.wall_s() * 10.0).round() / 10.0);
        self.put("peak_mb", peak_mb());
        let hash = self.population.world_mut().trace_hash();
        self.put("trace_hash", hash);
        self.report
    }
}
