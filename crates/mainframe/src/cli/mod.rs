//! The command tree: what can be typed, and nothing about what it does.

mod bench;
mod devices;
mod people;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mainframe_base::{Locator, Prefix};

pub(crate) use bench::{
    Bench, BenchBurst, BenchCrashes, BenchForward, BenchHeldDelivery, BenchHold, BenchOverload, BenchSessions,
    BenchSoak, BenchTiming, BenchTransport,
};
pub(crate) use devices::{Account, AccountCommand, Device, DeviceCommand};
pub(crate) use people::{Contact, ContactCommand, Group, GroupCommand, Id, Me, Progress, Session, SessionCommand};

/// Everything the binary can be told.
#[derive(Parser, Debug)]
#[command(name = "mainframe", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_ABOUT: &str = "\
A communication layer with no servers: every participant runs a node, packets find their way by as many bits of an \
address as the sender cares to reveal, and only the receiver can open them.

Start here:  mainframe devnet demo";

const EXIT_CODES: &str = "\
Exit codes:
  0  done                           4  refused or busy: nothing was kept, try again
  1  failed                         5  not within --timeout
  2  wrong usage or configuration   6  not allowed: wrong password or token
  3  no node is running there       7  there is no such thing";

/// Flags that mean the same everywhere.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Print JSON: one object, or one a line where there are several.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results and errors only.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print without colours (also: NO_COLOR).
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// The node's directory: keys, store, configuration, endpoint.json (also: MAINFRAME_DATA_DIR).
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file, instead of config.toml in the node's directory.
    #[arg(long, global = true, value_name = "FILE", env = "MAINFRAME_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Defaults for the public network (main) or a local one (devnet) (also: MAINFRAME_PROFILE).
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The node's API, instead of the one its endpoint.json names.
    #[arg(long, global = true, value_name = "URL", env = "MAINFRAME_API")]
    pub(crate) api: Option<String>,
    /// The API's token, instead of the one in the node's directory.
    #[arg(long, global = true, value_name = "TOKEN", env = "MAINFRAME_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Give up after so many seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub(crate) timeout: f64,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a node in the foreground; creates its keys the first time.
    Up(Up),
    /// Stop the node in good order.
    Down,
    /// Say how the node is.
    Status {
        /// Repeat every two seconds.
        #[arg(long)]
        watch: bool,
    },
    /// Read the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Who one is: cards and invitations.
    #[command(subcommand)]
    Id(Id),
    /// One's devices: another one by a code, and out with one.
    Device(Device),
    /// A person in an encrypted file.
    Account(Account),
    /// Whom one knows, and who would like to be known.
    Contact(Contact),
    /// What is said, between two or in a group: nothing is lost, nothing comes twice.
    Session(Session),
    /// Groups and their members.
    Group(Group),
    /// Addresses for single packets, below sessions.
    #[command(subcommand)]
    Person(Person),
    /// Keys shared by everyone who reads a topic.
    #[command(subcommand)]
    Topic(Topic),
    /// Seal a message to a person or a topic and send it.
    Send(Send),
    /// Print messages as they are opened.
    Listen(Listen),
    /// The overlay as this node sees it.
    #[command(subcommand)]
    Net(Net),
    /// A whole network of real nodes on this machine.
    #[command(subcommand)]
    Devnet(Devnet),
    /// Measure this machine.
    #[command(subcommand)]
    Bench(Bench),
}

/// Flags of `up`.
#[derive(Args, Debug, Default)]
pub(crate) struct Up {
    /// Listen for nodes here; repeatable; port 0 means any.
    #[arg(long, value_name = "LOCATOR")]
    pub(crate) listen: Vec<Locator>,
    /// A node to start from; repeatable.
    #[arg(long, value_name = "LOCATOR")]
    pub(crate) bootstrap: Vec<Locator>,
    /// Serve the local API here; port 0 means any.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) api_listen: Option<SocketAddr>,
    /// As what the node takes part: relay, guest, or auto, which is a relay if others can dial it.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Cells held on disk for others who are away, in MiB.
    #[arg(long, value_name = "MIB")]
    pub(crate) hold_max_mib: Option<u32>,
    /// File with the key file's password (also: MAINFRAME_PASSWORD_FILE); without one the terminal is asked.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace, or target=level,…
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Stop when standard input closes, so that a supervisor takes its nodes with it.
    #[arg(long, hide = true)]
    pub(crate) parent_pipe: bool,
}

/// Commands about the configuration.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Print every setting.
    Show {
        /// Also where each value came from: flag, environment, file, profile or default.
        #[arg(long)]
        origin: bool,
    },
    /// Print one setting.
    Get {
        /// Its name, as `config show` prints it.
        key: String,
    },
    /// Check the configuration without starting anything.
    Validate,
}

/// Commands about people.
#[derive(Subcommand, Debug)]
pub(crate) enum Person {
    /// Make a person's keys on this node and print the address others send to.
    New {
        /// A name, for this node only.
        name: String,
        /// How many bits of this node's position the address tells; fewer hide it among more nodes.
        #[arg(long, value_name = "BITS")]
        luminosity: Option<u16>,
    },
    /// People on this node.
    List,
    /// One person's address.
    Show {
        /// The name.
        name: String,
        /// How many bits of this node's position it tells.
        #[arg(long, value_name = "BITS")]
        luminosity: Option<u16>,
    },
}

/// Commands about topics.
#[derive(Subcommand, Debug)]
pub(crate) enum Topic {
    /// Read a topic; makes its key, unless you have one, and prints it.
    New {
        /// A name, for this node only.
        name: String,
        /// The key others gave you, to read along; a new one is made if left out.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Topics on this node.
    List,
    /// One topic's fingerprint; its key is told only when it is made.
    Show {
        /// The name.
        name: String,
    },
}

/// Flags of `send`.
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// A person's address (mfp:…).
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Option<String>,
    /// A topic's key (mft:…), together with --prefix.
    #[arg(long, value_name = "KEY", conflicts_with = "to")]
    pub(crate) topic: Option<String>,
    /// Send through this region instead of the one the address names: `*`, binary digits, or HEX/BITS.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<Prefix>,
    /// Reveal only so many bits of the region; fewer is darker and dearer.
    #[arg(long, value_name = "BITS")]
    pub(crate) luminosity: Option<u16>,
    /// How long relays keep it for a receiver who is away.
    #[arg(long, value_enum, default_value_t = Hold::Live)]
    pub(crate) hold: Hold,
    /// The id of a packet that came to nothing: try again, over other first hops.
    #[arg(long, value_name = "ID")]
    pub(crate) instead_of: Option<String>,
    /// What to say; `-` or nothing reads standard input.
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

/// How long relays keep a packet.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// Not at all.
    #[value(name = "none", aliases = ["live", "0"])]
    Live,
    /// One hour.
    #[value(name = "1h")]
    Hour,
    /// A day.
    #[value(name = "24h", alias = "1d")]
    Day,
    /// Three days.
    #[value(name = "72h", alias = "3d")]
    ThreeDays,
}

/// Flags of `listen`.
#[derive(Args, Debug)]
pub(crate) struct Listen {
    /// Only messages to this person of this node.
    #[arg(long, value_name = "NAME")]
    pub(crate) person: Option<String>,
    /// Only messages of this topic: its name on this node, or a key (mft:…) to read from now on.
    #[arg(long, value_name = "KEY", conflicts_with = "person")]
    pub(crate) topic: Option<String>,
    /// Check that packets for this region reach this node at all.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<Prefix>,
    /// Stop after so many messages; --timeout then bounds the wait.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Start with everything still in the inbox instead of what comes from now on.
    #[arg(long)]
    pub(crate) all: bool,
}

/// Commands about the overlay.
#[derive(Subcommand, Debug)]
pub(crate) enum Net {
    /// Connected peers by bin.
    Topology,
    /// Listen to a region: get what relays hold of what was sent there, and what comes from now on.
    Attend(Attend),
    /// Listen to a region no more.
    Leave {
        /// The region, as `net regions` prints it.
        #[arg(value_name = "REGION")]
        region: Prefix,
    },
    /// The regions this node listens to, and from whom it hears of them.
    Regions,
    /// How many nodes there are, and how many share so many bits with you.
    Estimate {
        /// Say among how many nodes a message that reveals so many bits of your position hides you, what it costs
        /// and how long it takes.
        #[arg(long, value_name = "BITS")]
        luminosity: Option<u16>,
        /// Say the same about this region; the relays there learn that someone is interested in it.
        #[arg(long, value_name = "PREFIX")]
        prefix: Option<Prefix>,
        /// How many in a thousand relays you expect to misbehave, and so to hide nobody.
        #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=900))]
        droppers: u16,
        /// Random look-ups to average over; with 0 the node's latest estimate will do.
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(0..=64))]
        lookups: u8,
    },
}

/// Flags of `net attend`.
#[derive(Args, Debug)]
pub(crate) struct Attend {
    /// The region: `*`, binary digits, or HEX/BITS.
    #[arg(value_name = "REGION")]
    pub(crate) region: Prefix,
    /// Also what was sent in so long a time before now, such as 24h; relays hold cells for three days at most.
    #[arg(long, value_name = "TIME", value_parser = period_ms)]
    pub(crate) since: Option<u64>,
    /// A tag you seek: fetch the cells of its bucket only, instead of all.
    #[arg(long, value_name = "HEX")]
    pub(crate) tag: Option<String>,
    /// How many cells of an hour are to be left as candidates for the one you seek; decides the bucket's width.
    #[arg(long, value_name = "N", requires = "tag")]
    pub(crate) candidates: Option<u64>,
}

/// Commands about local networks.
#[derive(Subcommand, Debug)]
pub(crate) enum Devnet {
    /// Start N nodes; they end with this command.
    Up(DevnetUp),
    /// How the nodes are, and what they use.
    Status {
        #[command(flatten)]
        place: Place,
        /// Seconds over which CPU use is measured.
        #[arg(long, default_value_t = 3.0, value_parser = seconds)]
        window: f64,
    },
    /// Stop a network that was started with --detach, or by another terminal.
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Twelve nodes, Alice, Bob, and a dark message you type.
    Demo(Demo),
}

/// Where a local network keeps its files.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// The network's directory, if not the usual one.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Flags of `devnet up`.
#[derive(Args, Debug)]
pub(crate) struct DevnetUp {
    /// How many nodes.
    #[arg(short = 'n', long = "nodes", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) nodes: u16,
    /// How many guests besides: nodes that relays serve, that route and hold nothing for others.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    pub(crate) guests: u16,
    /// Leave it running in the background; `devnet down` stops it.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Keep the directory with the nodes' logs when it ends.
    #[arg(long)]
    pub(crate) keep: bool,
    /// First port of the nodes' APIs, one each, instead of any free one.
    #[arg(long, value_name = "PORT")]
    pub(crate) api_port: Option<u16>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Flags of `devnet demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// How many nodes.
    #[arg(short = 'n', long = "nodes", default_value_t = 12, value_parser = clap::value_parser!(u16).range(3..=100))]
    pub(crate) nodes: u16,
    /// Stop after the first message.
    #[arg(long, env = "ONCE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) once: bool,
    /// How many bits of Bob's position the message reveals; the darkest that still hides him among a few if left out.
    #[arg(long, value_name = "BITS")]
    pub(crate) luminosity: Option<u16>,
}

/// A number and one of s, m, h, d.
fn period_ms(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number and s, m, h or d, such as 24h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let unit_ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).ok_or_else(wrong)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e7 => Ok(seconds),
        _ => Err("expected a number of seconds above zero".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(period_ms("24h"), Ok(86_400_000));
        assert_eq!((period_ms("3d"), period_ms("90s"), period_ms("5m")), (Ok(259_200_000), Ok(90_000), Ok(300_000)));
        for text in ["", "24", "h", "1.5h", "1é", "-1h", "99999999999999999d"] {
            assert!(period_ms(text).is_err(), "{text}");
        }
    }
}
