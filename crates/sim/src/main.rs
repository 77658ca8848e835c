//! `sim`: plays scenarios and prints what came out.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use mainframe_base::Luminosity;
use mainframe_core::packet::TRIES_MAX;
use mainframe_sim::advise::Wish;
use mainframe_sim::compare::{CompareOptions, compare, grow};
use mainframe_sim::masks::LiarArguments;
use mainframe_sim::moment::Moment;
use mainframe_sim::node::NodeId;
use mainframe_sim::plot::{self, Picture};
use mainframe_sim::progress::Progress;
use mainframe_sim::scenario::{DEFECTS_PER_MILLION, GROUPS_MAX, Options, Report, Scenario, Tables, run};
use mainframe_sim::suite::{self, Suite};
use mainframe_sim::watch::Watch;

/// Worlds keep and let go of millions of rows: with this one a run takes 8 % less time than with the system's (measured with
/// `group-commits`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A whole Mainframe network in one thread, from one seed.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand)]
enum Order {
    /// List the scenarios
    List,
    /// Play one scenario; the result goes to standard output, progress to standard error
    Run(Box<RunArguments>),
    /// Play one scenario with our protocol and with others; exit code 1 if another is not what it is called
    Compare(CompareArguments),
    /// Ask the advisor which luminosity grants a wish; nothing is played
    Advise(Wish),
    /// Draw a picture of reports, as SVG
    Plot(PlotArguments),
    /// Play many runs, one a line of a file; reports go to a directory, and those that are there are not played again
    Suite(SuiteArguments),
}

#[derive(clap::Args)]
struct SuiteArguments {
    /// One run a line, in the words of `sim run`: dark-routing --nodes 1000 --luminosity 4 --seed 7
    file: PathBuf,
    /// Where the reports go
    #[arg(long)]
    out: PathBuf,
    /// Runs at a time; each needs memory for a network of its own, and one more is kept for those to come
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Say nothing on standard error
    #[arg(long)]
    quiet: bool,
}

/// A line of a suite.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    run: RunArguments,
}

/// Where tables come from, on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum TablesArgument {
    /// Every node joins
    Grown,
    /// Made by the overlay's rules, for networks too large to be grown; churn needs grown ones
    Settled,
}

#[derive(clap::Args)]
struct PlotArguments {
    /// Which picture: cost, coverage, entropy or others
    picture: String,
    /// Reports as `--json` prints them: files, or directories of `.json` files
    #[arg(long = "in", value_name = "PATH", required = true, num_args = 1..)]
    reports: Vec<PathBuf>,
    /// Where the picture goes
    #[arg(long, value_name = "FILE.svg")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct RunArguments {
    /// Which scenario: see `sim list`
    scenario: String,
    /// Nodes in the network
    #[arg(long, default_value_t = 200)]
    nodes: usize,
    /// Everything follows from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Packets to send; each scenario has its own default
    #[arg(long)]
    packets: Option<usize>,
    /// Share of the nodes that silently drop packets, 0 to 0.9
    #[arg(long, default_value_t = 0.0)]
    droppers: f64,
    #[command(flatten)]
    liars: LiarArguments,
    /// Share of the nodes that leave in the last ten virtual minutes before the packets, 0 to 0.9
    #[arg(long, default_value_t = 0.0)]
    offline: f64,
    /// How often a sender that hears nothing tries, the first time included, 1 to 4
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(TRIES_MAX)))]
    tries: u8,
    /// Points at which a dark packet enters its region, 1 or 2
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    entries: u8,
    /// Share of the nodes that are sybils of one owner, 0 to 0.9; `sybil` takes 0.1 if it is 0
    #[arg(long, default_value_t = 0.0)]
    sybils: f64,
    /// Guests that come and go: holding only, three for each relay if it is 0
    #[arg(long, default_value_t = 0)]
    guests: usize,
    /// Receivers of one message, of up to four groups: multicast only
    #[arg(long, value_name = "COUNT,COUNT,…", value_delimiter = ',', default_value = "10,50,100")]
    members: Vec<usize>,
    /// People who talk, each at a node of their own: sessions only, one for each two relays if it is 0
    #[arg(long, default_value_t = 0)]
    persons: usize,
    /// Messages to say: another word for `--packets`
    #[arg(long, conflicts_with = "packets")]
    messages: Option<usize>,
    /// Share of all frames that are lost, 0 to 0.5; 0.01 unless given
    #[arg(long)]
    loss: Option<f64>,
    /// Let nodes of people crash: sessions only
    #[arg(long)]
    crashes: bool,
    /// Let the network break in two from time to time: sessions only
    #[arg(long)]
    partitions: bool,
    /// Minutes that `footprint`, the messages of `holding` and the talk of `sessions` last: 60, or 240 of talk
    #[arg(long)]
    minutes: Option<u64>,
    /// Bits of the destination that are revealed, 0 to 254, or 256: 3 unless given; `estimate` looks at 0 to 12
    #[arg(long)]
    luminosity: Option<u16>,
    /// Share of the relays that compare notes, 0 to 1: eavesdrop only
    #[arg(long, default_value_t = 0.1)]
    colluders: f64,
    /// Packets a second that observers are to tell apart: eavesdrop only
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    packet_rate: u64,
    /// How often a group is changed by several at once: group-commits only
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    trials: u64,
    /// Plays the trial of this number alone: group-commits only
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..1_000_000))]
    trial: Option<u64>,
    /// Where the relays' tables come from
    #[arg(long, value_enum, default_value = "grown")]
    tables: TablesArgument,
    /// Connections within neighbourhoods that are missing in settled tables, among a million
    #[arg(long, default_value_t = DEFECTS_PER_MILLION, value_parser = clap::value_parser!(u32).range(0..=500_000))]
    defects: u32,
    /// Delay one frame by a millisecond at this virtual second: another trace hash shows that it is heard
    #[arg(long, value_name = "SECOND")]
    nudge: Option<u64>,
    /// Read the traffic of two nodes aloud on standard error, from this virtual second on
    #[arg(long, value_name = "NODE,NODE,SECOND", value_delimiter = ',')]
    watch: Option<Vec<u32>>,
    /// Print JSON in one line
    #[arg(long)]
    json: bool,
    /// Say nothing on standard error
    #[arg(long)]
    quiet: bool,
}

#[derive(clap::Args)]
struct CompareArguments {
    /// Which scenario: dark-routing
    #[arg(value_parser = ["dark-routing"])]
    scenario: String,
    /// Nodes in the network
    #[arg(long, default_value_t = 1_000)]
    nodes: usize,
    /// Everything follows from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Packets that each protocol sends
    #[arg(long, default_value_t = 100)]
    packets: usize,
    /// Share of the nodes that silently drop packets in the second half, 0 to 0.9
    #[arg(long, default_value_t = 0.1)]
    droppers: f64,
    /// Bits of the destination that are revealed, 0 to 254; by default as many as leave 400 relays in a region
    #[arg(long)]
    luminosity: Option<u16>,
    /// Print JSON in one line
    #[arg(long)]
    json: bool,
    /// Say nothing on standard error
    #[arg(long)]
    quiet: bool,
}

/// Largest network: more nodes than this have no network address here, nor memory on any machine we know.
const NODES_MAX: usize = 1_000_000;

fn main() -> ExitCode {
    let result = match Arguments::parse().order {
        Order::List => list().map(|()| true),
        Order::Run(arguments) => play(&arguments).map(|()| true),
        Order::Compare(arguments) => play_beside_others(&arguments),
        Order::Suite(arguments) => play_suite(&arguments).map(|()| true),
        Order::Advise(wish) => advise(&wish).map(|()| true),
        Order::Plot(arguments) => plot(&arguments).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn list() -> anyhow::Result<()> {
    let lines = Scenario::ALL.map(|scenario| format!("{:<14}{}\n", scenario.name(), scenario.question()));
    print(&lines.concat())
}

fn play(arguments: &RunArguments) -> anyhow::Result<()> {
    let options = options(arguments)?;
    let report = run(&options, &mut Progress::new(!arguments.quiet));
    if arguments.json { print(&format!("{}\n", serde_json::to_string(&report)?)) } else { print(&text(&report)) }
}

fn advise(wish: &Wish) -> anyhow::Result<()> {
    let answer = wish.answer()?;
    if wish.json { print(&format!("{}\n", serde_json::to_string(&answer)?)) } else { print(&answer.text()) }
}

fn plot(arguments: &PlotArguments) -> anyhow::Result<()> {
    let Some(picture) = Picture::find(&arguments.picture) else {
        let names = Picture::ALL.map(Picture::name).join(", ");
        bail!("there is no picture `{}`; there are {names}", arguments.picture);
    };
    let drawn = picture.draw(&plot::read(&arguments.reports)?)?;
    std::fs::write(&arguments.out, drawn).with_context(|| format!("cannot write {}", arguments.out.display()))
}

/// Returns whether every self-check passed.
fn play_beside_others(arguments: &CompareArguments) -> anyhow::Result<bool> {
    let options = compare_options(arguments)?;
    let progress = &mut Progress::new(!arguments.quiet);
    let mut population = grow(&options, progress);
    let comparison = compare(&options, &mut population, |_| (), progress);
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string(&comparison)?))?;
    } else {
        print(&comparison.to_string())?;
    }
    Ok(comparison.is_sound())
}

fn compare_options(arguments: &CompareArguments) -> anyhow::Result<CompareOptions> {
    let CompareArguments { nodes, seed, packets, droppers, .. } = *arguments;
    check_nodes(nodes)?;
    check_share("--droppers", droppers)?;
    check_packets(packets)?;
    let luminosity = match arguments.luminosity {
        None => CompareOptions::luminosity_for(nodes),
        Some(bits) => Luminosity::new(bits)
            .filter(|luminosity| *luminosity != Luminosity::FULL)
            .with_context(|| format!("--luminosity is {bits}; a region is told by 0 to 254 bits"))?,
    };
    Ok(CompareOptions { nodes, seed, packets, luminosity, droppers })
}

fn play_suite(arguments: &SuiteArguments) -> anyhow::Result<()> {
    let name = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    let entries =
        suite::read(&text, |words| options(&Line::try_parse_from(words)?.run)).with_context(|| name.to_string())?;
    let suite = Suite { out: arguments.out.clone(), jobs: usize::from(arguments.jobs), talks: !arguments.quiet };
    suite.play(&entries)
}

fn options(arguments: &RunArguments) -> anyhow::Result<Options> {
    let Some(scenario) = Scenario::find(&arguments.scenario) else {
        let names = Scenario::ALL.map(Scenario::name).join(", ");
        bail!("there is no scenario `{}`; there are {names} (see `sim list`)", arguments.scenario);
    };
    if !(0.0..=1.0).contains(&arguments.colluders) {
        bail!("--colluders is {}; it is a share of the relays, 0 to 1, such as 0.1 for a tenth", arguments.colluders);
    }
    check_nodes(arguments.nodes)?;
    check_share("--droppers", arguments.droppers)?;
    check_share("--offline", arguments.offline)?;
    check_share("--sybils", arguments.sybils)?;
    let only = arguments.luminosity.map(luminosity).transpose()?;
    let usual = Options::new(scenario, arguments.nodes, arguments.seed);
    let packets = arguments.packets.or(arguments.messages).unwrap_or(scenario.packets());
    if scenario != Scenario::GroupCommits {
        check_packets(packets)?;
    }
    let loss_per_million = arguments.loss.map(loss_per_million).transpose()?;
    let persons = persons(arguments, scenario)?;
    if arguments.minutes == Some(0) {
        bail!("--minutes is 0; in no time nothing is held");
    }
    let tables = match arguments.tables {
        TablesArgument::Grown => Tables::Grown,
        TablesArgument::Settled => Tables::Settled,
    };
    if !scenario.bears(tables) {
        bail!("{} needs `--tables grown`: there is no overlay at work over settled ones", scenario.name());
    }
    let liars = arguments.liars.shares(arguments.droppers)?;
    if tables == Tables::Settled && !liars.is_empty() {
        bail!("over settled tables there are silent droppers (--droppers) only: other liars need whole relays");
    }
    Ok(Options {
        packets,
        tables,
        defects_per_million: arguments.defects,
        droppers: arguments.droppers,
        liars,
        offline: arguments.offline,
        tries: arguments.tries,
        entries: arguments.entries,
        sybils: arguments.sybils,
        guests: arguments.guests,
        members: members(&arguments.members, scenario, arguments.nodes)?,
        persons,
        crashes: arguments.crashes,
        partitions: arguments.partitions,
        loss_per_million,
        minutes: arguments.minutes.unwrap_or(usual.minutes),
        luminosity: only.unwrap_or(usual.luminosity),
        only,
        colluders: arguments.colluders,
        packet_rate: arguments.packet_rate,
        trials: arguments.trials,
        trial: arguments.trial,
        nudge_s: arguments.nudge,
        watch: watch(arguments),
        ..usual
    })
}

/// How many people talk.
fn persons(arguments: &RunArguments, scenario: Scenario) -> anyhow::Result<usize> {
    let RunArguments { nodes, persons, .. } = *arguments;
    match (scenario, persons) {
        (Scenario::Sessions, 0) => Ok(nodes / 2),
        (Scenario::Sessions, 4..) if persons <= nodes => Ok(persons),
        (Scenario::Sessions, _) => bail!("--persons is {persons}; 4 to {nodes} people talk in a network of that size"),
        (_, persons) => Ok(persons),
    }
}

fn loss_per_million(share: f64) -> anyhow::Result<u32> {
    if !(0.0..=0.5).contains(&share) {
        bail!("--loss is {share}; it is a share of all frames, 0 to 0.5, such as 0.05 for one in twenty");
    }
    Ok((share * 1e6).round() as u32)
}

fn luminosity(bits: u16) -> anyhow::Result<Luminosity> {
    Luminosity::new(bits).with_context(|| format!("--luminosity is {bits}; it is 0 to 254 bits, or 256"))
}

fn members(counts: &[usize], scenario: Scenario, nodes: usize) -> anyhow::Result<[usize; GROUPS_MAX]> {
    let fits = |count: &usize| scenario != Scenario::Multicast || (2..=nodes / 2).contains(count);
    if counts.len() > GROUPS_MAX || !counts.iter().all(fits) {
        bail!(
            "--members is {counts:?}; it is up to {GROUPS_MAX} groups of 2 receivers to half of the nodes, such as 10,50"
        );
    }
    let mut members = [0; GROUPS_MAX];
    members[..counts.len()].copy_from_slice(counts);
    Ok(members)
}

fn check_nodes(nodes: usize) -> anyhow::Result<()> {
    if !(10..=NODES_MAX).contains(&nodes) {
        bail!("--nodes is {nodes}; a network has 10 to {NODES_MAX} nodes here");
    }
    Ok(())
}

fn check_share(name: &str, share: f64) -> anyhow::Result<()> {
    if !(0.0..=0.9).contains(&share) {
        bail!("{name} is {share}; it is a share of the nodes, 0 to 0.9, such as 0.1 for a tenth");
    }
    Ok(())
}

fn check_packets(packets: usize) -> anyhow::Result<()> {
    if packets == 0 {
        bail!("--packets is 0; without packets there is nothing to measure");
    }
    Ok(())
}

fn watch(arguments: &RunArguments) -> Option<Watch> {
    let [one, other, from] = arguments.watch.as_deref()? else { return None };
    Some(Watch { one: NodeId(*one), other: NodeId(*other), from: Moment::seconds(u64::from(*from)) })
}

fn text(report: &Report) -> String {
    report.iter().map(|(name, value)| format!("{name:<28}{value}\n")).collect()
}

/// In one write, so that an interrupted run leaves nothing half said.
fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write to standard output")
}
