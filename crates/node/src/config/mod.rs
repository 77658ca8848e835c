//! The node's configuration: each value checked once, and knowing who said it.

mod keys;
mod layers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use mainframe_base::{Locator, NetworkId, Role};
use mainframe_sdk::ConfigValue;

pub use keys::{CONFIG_KEYS, ConfigKey};
pub use layers::Sources;
use layers::{Layers, Told};

use crate::error::{ErrorKind, NodeError};

/// A set of defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// The public network.
    Main,
    /// A local network for development.
    Devnet,
}

impl Profile {
    fn parse(text: &str) -> Option<Profile> {
        [Profile::Main, Profile::Devnet].into_iter().find(|profile| profile.name() == text)
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Main => "main",
            Profile::Devnet => "devnet",
        }
    }
}

/// How much work opening the key file takes, whoever tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyDerivation {
    /// argon2id over 64 MiB in three passes: a guess costs a tenth of a second and the memory.
    Strong,
    /// argon2id over 8 KiB in one pass: fifty nodes start at once on one machine. Protects nothing.
    Cheap,
}

/// How logs are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs, a line each.
    Json,
}

/// Everything a node is told. Made by [`Config::load`] only, so that no value in it is unchecked.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) profile: Profile,
    pub(crate) network: NetworkId,
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: Vec<Locator>,
    pub(crate) bootstrap: Vec<Locator>,
    pub(crate) lan_discovery: bool,
    pub(crate) upnp: bool,
    pub(crate) role: Role,
    /// Whether the role follows what is found out about the node.
    pub(crate) role_follows: bool,
    pub(crate) small_network: bool,
    pub(crate) trace: bool,
    pub(crate) api_listen: SocketAddr,
    pub(crate) connections_max: u32,
    pub(crate) key_derivation: KeyDerivation,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) store_max_mib: u32,
    pub(crate) hold_max_mib: u32,
    pub(crate) queue_max_mib: u32,
    log: String,
    log_format: LogFormat,
    values: Vec<ConfigValue>,
    warnings: Vec<String>,
}

impl Config {
    /// Reads every layer and checks every value.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], naming the value, who said it and what would do.
    pub fn load(sources: &Sources) -> Result<Config, NodeError> {
        let layers = Layers::read(sources)?;
        let warnings = layers::unknown_variables(sources).into_iter();
        let roles = [("relay", (Role::Relay, false)), ("guest", (Role::Guest, false)), ("auto", (Role::Relay, true))];
        let (role, role_follows) = choice(&layers, "role", &roles)?;
        let config = Config {
            profile: layers.profile(),
            network: NetworkId(number(&layers, "network", 0..=u32::MAX)?),
            data_dir: layers.get("data_dir").value.into(),
            listen: list(&layers, "listen")?,
            bootstrap: list(&layers, "bootstrap")?,
            lan_discovery: truth(&layers, "lan_discovery")?,
            upnp: truth(&layers, "upnp")?,
            role,
            role_follows,
            small_network: truth(&layers, "small_network")?,
            trace: truth(&layers, "trace")?,
            api_listen: parsed(&layers, "api_listen", "an address and a port such as 127.0.0.1:7400")?,
            connections_max: number(&layers, "connections_max", 8..=10_000)?,
            key_derivation: choice(
                &layers,
                "key_derivation",
                &[("strong", KeyDerivation::Strong), ("cheap", KeyDerivation::Cheap)],
            )?,
            password_file: Some(layers.get("password_file").value).filter(|path| !path.is_empty()).map(PathBuf::from),
            store_max_mib: number(&layers, "store_max_mib", 1..=1_048_576)?,
            hold_max_mib: number(&layers, "hold_max_mib", 1..=1_048_576)?,
            queue_max_mib: number(&layers, "queue_max_mib", 1..=65_536)?,
            log: layers.get("log").value,
            log_format: choice(&layers, "log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            values: CONFIG_KEYS.iter().map(|key| shown(key, layers.get(key.name))).collect(),
            warnings: warnings.map(|name| format!("the variable {name} names no value and is ignored")).collect(),
        };
        config.check_together(&layers)?;
        Ok(config)
    }

    /// What no value can say alone.
    fn check_together(&self, layers: &Layers<'_>) -> Result<(), NodeError> {
        if !self.api_listen.ip().is_loopback() {
            return Err(wrong(
                "api_listen",
                &layers.get("api_listen"),
                "a loopback address: the API has no encryption",
            ));
        }
        if self.trace && self.network != NetworkId::DEV {
            let next = "false, or network 53456: tracing tells who sends to whom";
            return Err(wrong("trace", &layers.get("trace"), next));
        }
        if self.small_network && self.network == NetworkId::MAIN {
            let next = "false: the public network is not small";
            return Err(wrong("small_network", &layers.get("small_network"), next));
        }
        if self.key_derivation == KeyDerivation::Cheap && self.profile != Profile::Devnet {
            let next = "strong: cheap is for the devnet profile, whose keys are worth nothing";
            return Err(wrong("key_derivation", &layers.get("key_derivation"), next));
        }
        Ok(())
    }

    /// Every value and where it comes from, in the order of [`CONFIG_KEYS`].
    pub fn values(&self) -> &[ConfigValue] {
        &self.values
    }

    /// What looks like a slip but is no error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where keys and stores are kept.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// Which defaults hold.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// What is logged, as directives: a level, or `target=level` separated by commas.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// How logs are written.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

fn shown(key: &ConfigKey, told: Told) -> ConfigValue {
    ConfigValue { key: key.name.to_owned(), value: told.value, origin: told.origin }
}

fn wrong(name: &str, told: &Told, wanted: &str) -> NodeError {
    let what = format!("the value of {name} cannot be used");
    let why = format!("\"{}\" (from {}) does not fit", told.value, told.origin);
    NodeError::new(ErrorKind::Configuration, what, why, format!("It must be {wanted}."))
}

fn parsed<T: FromStr>(layers: &Layers<'_>, name: &str, wanted: &str) -> Result<T, NodeError> {
    let told = layers.get(name);
    told.value.parse().map_err(|_| wrong(name, &told, wanted))
}

fn number(layers: &Layers<'_>, name: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, NodeError> {
    let wanted = format!("a whole number from {} to {}", range.start(), range.end());
    let number = parsed(layers, name, &wanted)?;
    if range.contains(&number) { Ok(number) } else { Err(wrong(name, &layers.get(name), &wanted)) }
}

fn truth(layers: &Layers<'_>, name: &str) -> Result<bool, NodeError> {
    parsed(layers, name, "true or false")
}

fn choice<T: Copy>(layers: &Layers<'_>, name: &str, choices: &[(&str, T)]) -> Result<T, NodeError> {
    let told = layers.get(name);
    let found = choices.iter().find(|(word, _)| *word == told.value).map(|(_, choice)| *choice);
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    found.ok_or_else(|| wrong(name, &told, &words.join(" or ")))
}

fn list<T: FromStr>(layers: &Layers<'_>, name: &str) -> Result<Vec<T>, NodeError>
where
    T::Err: std::fmt::Display,
{
    let told = layers.get(name);
    let texts = told.value.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(|text| text.parse().map_err(|error: T::Err| wrong(name, &told, &format!("a list: {error}")))).collect()
}
