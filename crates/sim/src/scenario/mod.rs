//! What is played out in the world, one file per question.

mod churn;
mod dark_routing;
mod eavesdrop;
mod estimate;
mod footprint;
mod full_address;
mod group_commits;
mod holding;
mod letters;
mod multicast;
mod sessions;
mod sybil;

use std::collections::BTreeMap;

use mainframe_core::hold::HoldConfig;
use mainframe_core::overlay::OverlayConfig;
use mainframe_core::packet::{Keeping, PacketConfig, Shelf};
use mainframe_core::switchboard::RelayConfig;
use serde::Serialize;

use crate::check::{check, false_accusations};
use crate::grown::{Grown, GrowthKey, Joined};
use crate::masks::{Mask, Shares};
use crate::moment::Moment;
use crate::net::{NetConfig, Nudge};
use crate::node::NodeId;
use crate::one_thread::in_one_thread;
use crate::population::{Growth, Population, PopulationConfig};
use crate::progress::{Progress, peak_mb};
use crate::tables::look_at;
use crate::watch::Watch;
use crate::world::{Accusation, Stop};
pub use multicast::GROUPS_MAX;

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
    /// An hour among liars: what can they make a node hold?
    Footprint,
    /// Many nodes of one owner against one region and one node.
    Sybil,
    /// Guests who come and go, and what was held for them.
    Holding,
    /// One message for many receivers, sent in several ways.
    Multicast,
    /// People who talk in pairs and groups while nodes crash and the network breaks in two.
    Sessions,
    /// Several members change a group at once, and some of them cheat.
    GroupCommits,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 11] = [
        Scenario::DarkRouting,
        Scenario::FullAddress,
        Scenario::Churn,
        Scenario::Estimate,
        Scenario::Eavesdrop,
        Scenario::Footprint,
        Scenario::Sybil,
        Scenario::Holding,
        Scenario::Multicast,
        Scenario::Sessions,
        Scenario::GroupCommits,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::DarkRouting => "dark-routing",
            Scenario::FullAddress => "full-address",
            Scenario::Churn => "churn",
            Scenario::Estimate => "estimate",
            Scenario::Eavesdrop => "eavesdrop",
            Scenario::Footprint => "footprint",
            Scenario::Sybil => "sybil",
            Scenario::Holding => "holding",
            Scenario::Multicast => "multicast",
            Scenario::Sessions => "sessions",
            Scenario::GroupCommits => "group-commits",
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
            Scenario::Footprint => "how much can an hour of liars of every kind make an honest node hold?",
            Scenario::Holding => "does a guest who was away get everything that was held for it, once?",
            Scenario::Multicast => "what does one message for many receivers cost, one by one, as a list, by a region?",
            Scenario::Sessions => {
                "is everything said in pairs and groups heard by everyone, once, causes before effects?"
            }
            Scenario::GroupCommits => "does a group whose members change it at once, and cheat, come to one mind?",
            Scenario::Sybil => "what do many nodes of one owner gain, at drawn and at ground positions?",
        }
    }

    /// Whether it can be played over such tables.
    pub fn bears(self, tables: Tables) -> bool {
        match self {
            Scenario::DarkRouting | Scenario::FullAddress | Scenario::Multicast => true,
            Scenario::Churn
            | Scenario::Estimate
            | Scenario::Eavesdrop
            | Scenario::Footprint
            | Scenario::Sybil
            | Scenario::Holding
            | Scenario::Sessions
            | Scenario::GroupCommits => tables == Tables::Grown,
        }
    }

    /// Whether what is held for those who are away is part of it.
    fn is_about_holding(self) -> bool {
        matches!(self, Scenario::Holding | Scenario::Sessions)
    }

    /// The scenario of that name.
    pub fn find(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// How long it lasts if nothing else is asked for, in minutes.
    pub fn minutes(self) -> u64 {
        if self == Scenario::Sessions { 240 } else { 60 }
    }

    /// Packets sent, or messages said, if nothing else is asked for.
    pub fn packets(self) -> usize {
        match self {
            Scenario::DarkRouting => 500,
            Scenario::FullAddress => 5_000,
            Scenario::Estimate => 50,
            Scenario::Eavesdrop => 1_000,
            Scenario::Churn | Scenario::Footprint => 3_600,
            Scenario::Sybil => 300,
            Scenario::Holding => 20_200,
            Scenario::Multicast => 20,
            Scenario::Sessions => 20_000,
            Scenario::GroupCommits => 0,
        }
    }
}

/// Where the relays' tables come from.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Tables {
    /// Every node joins.
    #[default]
    Grown,
    /// They are made by the overlay's rules, for networks too large to be grown.
    Settled,
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
    /// Shares of nodes that lie, besides those.
    pub liars: Shares,
    /// Share of nodes that leave in the last ten minutes before the packets, 0..1.
    pub offline: f64,
    /// How often a sender that hears nothing tries, the first time included.
    pub tries: u8,
    /// Points at which a dark packet enters its region, 1 or 2.
    pub entries: u8,
    /// Share of nodes that are sybils of one owner, 0..1; the scenario's own if it is zero.
    pub sybils: f64,
    /// Guests among the nodes, besides the relays.
    pub guests: usize,
    /// Receivers of one message, of each group; zero is no group.
    pub members: [usize; GROUPS_MAX],
    /// People who talk, each at a node of their own.
    pub persons: usize,
    /// Whether nodes of people crash.
    pub crashes: bool,
    /// Whether the network breaks in two from time to time.
    pub partitions: bool,
    /// Frames lost among a million, if not as many as usual.
    pub loss_per_million: Option<u32>,
    /// How long a footprint is watched, messages are held or people talk, in minutes.
    pub minutes: u64,
    /// Bits of the destination that dark packets reveal.
    pub luminosity: mainframe_base::Luminosity,
    /// The only luminosity looked at, where a scenario looks at many.
    pub only: Option<mainframe_base::Luminosity>,
    /// Share of relays that compare notes, 0..=1.
    pub colluders: f64,
    /// Packets a second that observers are to tell apart.
    pub packet_rate: u64,
    /// How often a group is changed by several at once.
    pub trials: u64,
    /// The number of the one trial that is played alone.
    pub trial: Option<u64>,
    /// Seconds after the start at which one frame takes a millisecond longer, if any.
    pub nudge_s: Option<u64>,
    /// Where tables come from.
    pub tables: Tables,
    /// Connections within neighbourhoods that are missing in settled tables, among a million.
    pub defects_per_million: u32,
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
            liars: Shares::NONE,
            offline: 0.0,
            tries: 1,
            entries: 2,
            sybils: 0.0,
            guests: 0,
            members: multicast::GROUPS,
            persons: 0,
            crashes: false,
            partitions: false,
            loss_per_million: None,
            minutes: scenario.minutes(),
            luminosity: mainframe_base::Luminosity::at_most(3),
            only: None,
            colluders: 0.1,
            packet_rate: 10,
            trials: 200,
            trial: None,
            nudge_s: None,
            tables: Tables::Grown,
            defects_per_million: DEFECTS_PER_MILLION,
            watch: None,
        }
    }
}

/// Connections within neighbourhoods that are missing in settled tables. More than were found, which is none among
/// 10,000 grown nodes (docs/protocol/simulator.md §4); a guess for larger networks.
pub const DEFECTS_PER_MILLION: u32 = 100;

/// What came out, by name; the names are docs/protocol/simulator.md's.
pub type Report = BTreeMap<&'static str, serde_json::Value>;

/// Plays a scenario. The same options give the same report, but for `wall_s`, `growth_wall_s` and `peak_mb`.
///
/// # Panics
/// If a scenario that changes tables is to be played over settled ones.
pub fn run(options: &Options, progress: &mut Progress) -> Report {
    if options.scenario == Scenario::GroupCommits {
        return group_commits::run(options, progress);
    }
    in_one_thread(|| play(join(options, progress), options, progress))
}

/// Plays a scenario in a copy of a network that has joined: the same report as [`run`] gives.
///
/// # Panics
/// If the network is another than these options ask for.
pub fn run_from(grown: &Grown, options: &Options, progress: &mut Progress) -> Report {
    assert_eq!(*grown.key(), growth_key(options), "it is the network that was asked for");
    play(grown.joined(), options, progress)
}

/// Joins the network of these options and keeps it for several runs.
pub fn grow(options: &Options, progress: &mut Progress) -> Grown {
    Grown::of(growth_key(options), &join(options, progress))
}

/// All that a join depends on.
pub fn growth_key(options: &Options) -> GrowthKey {
    let defects = Some(options.defects_per_million).filter(|_| options.tables == Tables::Settled);
    format!("{:?} {} {defects:?} {:?}", options.tables, options.nodes, population_config(options))
}

/// Joins the network of these options. Over settled tables nobody runs yet when this returns.
pub fn join(options: &Options, progress: &mut Progress) -> Joined {
    let start = progress.wall_s();
    let mut population = population(options);
    if let Some(watch) = options.watch {
        population.world_mut().watch(watch);
    }
    let mut complete = 0.0;
    if options.tables == Tables::Grown && options.scenario != Scenario::GroupCommits {
        let growth = Growth::of(options.nodes);
        complete = growth.run(&mut population, |population| progress.tell(population, "joining"));
    }
    Joined { population, complete, wall_s: progress.wall_s() - start }
}

/// Plays a scenario in a network that has just joined.
pub fn play(joined: Joined, options: &Options, progress: &mut Progress) -> Report {
    assert!(
        options.scenario.bears(options.tables),
        "this scenario needs grown tables: over settled ones there is no overlay"
    );
    if options.scenario == Scenario::GroupCommits {
        return group_commits::run(options, progress);
    }
    let Joined { population, complete, wall_s } = joined;
    let mut stage = Stage { population, options: *options, progress, report: Report::new(), complete };
    stage.put("growth_wall_s", (wall_s * 10.0).round() / 10.0);
    if let Some(watch) = options.watch {
        stage.population.world_mut().watch(watch);
    }
    match options.scenario {
        Scenario::DarkRouting => dark_routing::play(&mut stage),
        Scenario::FullAddress => full_address::play(&mut stage),
        Scenario::Churn => churn::play(&mut stage),
        Scenario::Estimate => estimate::play(&mut stage),
        Scenario::Eavesdrop => eavesdrop::play(&mut stage),
        Scenario::Footprint => footprint::play(&mut stage),
        Scenario::Sybil => sybil::play(&mut stage),
        Scenario::Holding => holding::play(&mut stage),
        Scenario::Multicast => multicast::play(&mut stage),
        Scenario::Sessions => sessions::play(&mut stage),
        Scenario::GroupCommits => unreachable!("it needs no network, and was played above"),
    }
    stage.finish()
}

/// The population of these options, before anyone has joined.
pub(crate) fn population(options: &Options) -> Population {
    Population::new(population_config(options))
}

fn population_config(options: &Options) -> PopulationConfig {
    let usual = NetConfig::default();
    PopulationConfig {
        net: NetConfig { loss_per_million: options.loss_per_million.unwrap_or(usual.loss_per_million), ..usual },
        relay: RelayConfig {
            // An estimate visits dozens of nodes and changes no table: it would double the time of a run.
            overlay: OverlayConfig { estimate_interval_ms: 0, ..OverlayConfig::default() },
            packet: PacketConfig {
                keeping: Keeping::Shared(Shelf::new(SHELF_MAX)),
                entries: options.entries,
                ..PacketConfig::default()
            },
            // Relays that ask each other what they hold add frames to every run; only these are about that.
            hold: HoldConfig { attends_home: options.scenario.is_about_holding(), ..HoldConfig::default() },
            ..RelayConfig::default()
        },
        seed: options.seed,
        nudge: options.nudge_s.map(|seconds| Nudge { at: Moment::seconds(seconds), longer_us: 1_000 }),
    }
}

/// A scenario being played.
struct Stage<'a> {
    /// How complete the tables were when the last node had joined.
    complete: f64,
    population: Population,
    options: Options,
    progress: &'a mut Progress,
    report: Report,
}

/// Over settled tables, who left earlier than this before the packets is missed nowhere any more, in seconds: pings
/// miss a node after 20 to 50 s, and half of the network is replaced 40 s after it vanished (overlay.md §11).
const HEALING_S: u64 = 90;

/// Cells that are kept once for all relays: more than are under way in ten minutes.
const SHELF_MAX: usize = 1 << 15;

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

    /// The network has joined, or its tables are made; lets some of it lie and some of it leave.
    fn prepare(&mut self) {
        match self.options.tables {
            Tables::Grown => {
                let joined_s = self.population.world().now().0 / 1_000_000;
                self.put("joined_s", joined_s);
                let text = format!("joined; neighbourhoods are complete to {:.4}", self.complete);
                self.progress.say(&self.population, &text);
                check(&self.population);
                self.disguise_liars();
                self.let_leave();
            }
            Tables::Settled => self.settle(),
        }
        let complete = self.population.completeness();
        self.put("nn_completeness", complete);
        let tables = look_at(&self.population, &self.population.truth());
        self.put("tables", tables);
        self.progress.say(&self.population, &format!("ready; neighbourhoods are complete to {complete:.4}"));
    }

    /// Nodes begin to lie: for each kind another part of all nodes in random order.
    fn disguise_liars(&mut self) {
        let nodes = self.population.online().len();
        let shares = self.options.liars.and(Mask::SilentDropper, self.options.droppers);
        let counts = shares.counts(nodes);
        if counts.is_empty() {
            return;
        }
        let mut drawn = self.choose(1.0).into_iter();
        for (mask, count) in counts {
            for id in drawn.by_ref().take(count) {
                self.population.disguise(id, mask);
            }
        }
    }

    /// Makes tables among those who stayed, or left so late that tables would not have healed yet.
    fn settle(&mut self) {
        let mut nodes = self.population.enrol_all(self.options.nodes);
        let leaving = (nodes.len() as f64 * self.options.offline).round() as usize;
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        self.population.dice().shuffle(&mut order);
        let mut late = Vec::new();
        let mut early = vec![false; nodes.len()];
        for index in order.into_iter().take(leaving) {
            let before_us = self.population.dice().below(LEAVING_S as usize * 1_000_000) as u64;
            match (HEALING_S * 1_000_000).checked_sub(before_us) {
                Some(at_us) => late.push((Moment(at_us), nodes[index].0)),
                None => early[index] = true,
            }
        }
        nodes.retain(|(id, _)| !early[id.index()]);
        self.population.settle(&nodes, self.options.defects_per_million, self.options.seed);
        self.disguise_liars();
        if leaving > 0 {
            self.leave_at(late, Moment(HEALING_S * 1_000_000));
        }
    }

    /// Some nodes vanish, each at a random moment of the last ten minutes.
    fn let_leave(&mut self) {
        let leaving = self.choose(self.options.offline);
        if leaving.is_empty() {
            return;
        }
        let start = self.population.world().now();
        let times: Vec<(Moment, NodeId)> = leaving
            .into_iter()
            .map(|id| (start + self.population.dice().below(LEAVING_S as usize * 1_000_000) as u64, id))
            .collect();
        self.leave_at(times, start + LEAVING_S * 1_000_000);
    }

    fn leave_at(&mut self, mut times: Vec<(Moment, NodeId)>, end: Moment) {
        times.sort();
        for (at, id) in times {
            self.population.world_mut().run_until(at);
            self.population.stop(id, Stop::Vanished);
            self.progress.tell(&self.population, "nodes leave");
        }
        self.population.world_mut().run_until(end);
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
        let liars = self.population.liars();
        self.put("liars", liars);
        self.put("offline", self.options.offline);
        self.put("tries", self.options.tries);
        self.put("entries", self.options.entries);
        self.put("settled", self.options.tables == Tables::Settled);
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
