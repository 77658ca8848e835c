//! What can be said to `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::seconds;

/// Benchmarks.
#[derive(Subcommand, Debug)]
pub(crate) enum Bench {
    /// Cells through A→B→C over real sockets, beside a plain relay of the same transport.
    Forward(BenchForward),
    /// Ten times what can be carried, then nothing.
    Overload(BenchOverload),
    /// Full load both ways between two nodes, for minutes.
    Soak(BenchSoak),
    /// Packets across a local network while nodes are killed.
    Burst(BenchBurst),
    /// Messages to guests who are away while relays are killed; every one is to be in its inbox once.
    HeldDelivery(BenchHeldDelivery),
    /// Cells held on disk: kept, read, found again and dropped, beside the same in SQLite.
    Hold(BenchHold),
    /// Two people who talk, each on a node of their own behind two relays: how fast, and how long a word takes.
    Sessions(BenchSessions),
    /// Two people who talk while their nodes are killed: is anything lost, doubled, or sealed under a key used before?
    Crashes(BenchCrashes),
    /// Whether it shows in the timing of a node's links which cells it opens.
    Timing(BenchTiming),
    /// One of the processes of a benchmark.
    #[command(hide = true)]
    Part(BenchPart),
}

/// Which transports to measure.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BenchTransport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC version 1.
    Quic,
    /// One after the other.
    Both,
}

/// Flags of `bench forward`.
#[derive(Args, Debug)]
pub(crate) struct BenchForward {
    /// Pairs of runs, ours and the plain relay's in turn.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) pairs: u32,
    /// Seconds each run is measured for.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Which transports.
    #[arg(long, value_enum, default_value_t = BenchTransport::Both)]
    pub(crate) transport: BenchTransport,
}

/// Flags of `bench overload`.
#[derive(Args, Debug)]
pub(crate) struct BenchOverload {
    /// Seconds of overload.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How many times the sustainable rate is offered.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) times: f64,
}

/// Flags of `bench soak`.
#[derive(Args, Debug)]
pub(crate) struct BenchSoak {
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) minutes: f64,
    /// Over which transport.
    #[arg(long, value_enum, default_value_t = BenchTransport::Tcp)]
    pub(crate) transport: BenchTransport,
}

/// Flags of `bench burst`.
#[derive(Args, Debug)]
pub(crate) struct BenchBurst {
    /// How many nodes.
    #[arg(short = 'n', long = "nodes", default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub(crate) nodes: u16,
    /// How many packets in all.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) packets: u64,
    /// Packets a second.
    #[arg(long, default_value_t = 250.0)]
    pub(crate) rate: f64,
    /// How many nodes are killed in the middle; two others must be left.
    #[arg(long, default_value_t = 10)]
    pub(crate) kill: u16,
}

/// Flags of `bench held-delivery`.
#[derive(Args, Debug)]
pub(crate) struct BenchHeldDelivery {
    /// How many relays.
    #[arg(short = 'n', long = "nodes", default_value_t = 30, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub(crate) nodes: u16,
    /// How many guests.
    #[arg(long, default_value_t = 10)]
    pub(crate) guests: u16,
    /// How many of them go away before the messages are sent, and come back after.
    #[arg(long, default_value_t = 5)]
    pub(crate) away: u16,
    /// How many messages in all, held for 24 hours.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) messages: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) rate: f64,
    /// How many relays are killed when everything is sent.
    #[arg(long, default_value_t = 3)]
    pub(crate) kill: u16,
    /// How many relays the region of a message has at least.
    #[arg(long, default_value_t = 6)]
    pub(crate) region: u16,
}

/// Flags of `bench hold`.
#[derive(Args, Debug)]
pub(crate) struct BenchHold {
    /// Pairs of runs, ours and SQLite's in turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) pairs: u32,
    /// Seconds each run of keeping and reading is measured for.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Cells in the store that is opened and read.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) cells: u32,
    /// Where to write, if not the usual directory for temporary files; it should be on the disk that is meant.
    #[arg(long, value_name = "DIR")]
    pub(crate) place: Option<PathBuf>,
}

/// Flags of `bench sessions`.
#[derive(Args, Debug)]
pub(crate) struct BenchSessions {
    /// Messages in a row.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) messages: u64,
    /// How many of them may be unacknowledged.
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(1..=16_000))]
    pub(crate) window: u64,
    /// Single words that are timed.
    #[arg(long, default_value_t = 500)]
    pub(crate) words: u32,
    /// Bytes of a message.
    #[arg(long, default_value_t = 1_024)]
    pub(crate) bytes: usize,
}

/// Flags of `bench crashes`.
#[derive(Args, Debug)]
pub(crate) struct BenchCrashes {
    /// Messages of both together.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) messages: u64,
    /// How often one of the two nodes is killed, at a random moment, and started again.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) kills: u64,
    /// Draws whose node is killed and when.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Flags of `bench timing`.
#[derive(Args, Debug)]
pub(crate) struct BenchTiming {
    /// Cells that are looked at, half of them for the node.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) cells: u64,
    /// Cells a second.
    #[arg(long, default_value_t = 150.0)]
    pub(crate) rate: f64,
    /// Draws for whom each cell is, when it leaves, and from which the observer learns.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Flags of the hidden processes.
#[derive(Args, Debug)]
pub(crate) struct BenchPart {
    /// The part's description, as JSON.
    pub(crate) description: String,
}
