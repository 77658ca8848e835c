//! Every value the configuration has: its name, what it means, and what it is if nobody says.

use super::Profile;

/// One value that can be set by a flag, the environment, the file or a profile.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Its name in the file; the flag is the same with `-` for `_`, the variable is `MAINFRAME_` and capitals.
    pub name: &'static str,
    /// What it means, in one line.
    pub help: &'static str,
    /// Its value on the public network; lists are written with commas.
    pub main: &'static str,
    /// Its value on a local network, where it differs.
    pub devnet: Option<&'static str>,
}

impl ConfigKey {
    /// The command line's name for it.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// The environment's name for it.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase())
    }

    pub(super) fn of_profile(&self, profile: Profile) -> Option<&'static str> {
        match profile {
            Profile::Main => None,
            Profile::Devnet => self.devnet,
        }
    }
}

/// What the names of our environment variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "MAINFRAME_";

const fn key(name: &'static str, main: &'static str, devnet: Option<&'static str>, help: &'static str) -> ConfigKey {
    ConfigKey { name, help, main, devnet }
}

/// Every value, in the order they are shown.
pub const CONFIG_KEYS: [ConfigKey; 19] = [
    key("profile", "main", None, "defaults for the public network (main) or a local one (devnet)"),
    key("network", "1", Some("53456"), "the network's number: 1 is the public one, 53456 for development"),
    key("data_dir", "", None, "where keys and stores are kept"),
    key(
        "listen",
        "/ip4/0.0.0.0/tcp/0,/ip4/0.0.0.0/udp/0/quic-v1",
        Some("/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1"),
        "where other nodes reach this one; port 0 takes any",
    ),
    key("bootstrap", "", None, "nodes to ask first when no known peer answers"),
    key("lan_discovery", "true", Some("false"), "find nodes on the local network, and be found there (mDNS)"),
    key("upnp", "false", None, "ask the router to let other nodes in (UPnP), in builds that can"),
    key(
        "role",
        "auto",
        Some("relay"),
        "relay: routes for others; guest: is served by relays; auto: a relay if others can dial it",
    ),
    key("small_network", "false", Some("true"), "small bins and no limit per subnet; never on the public network"),
    key("trace", "false", Some("true"), "publish each packet's steps; only on development networks"),
    key("api_listen", "127.0.0.1:0", None, "where this machine's programs reach the node; loopback only"),
    // guess: 18 peers in each of 16 bins each way, and as many guests again.
    key("connections_max", "512", None, "connections others may open, and as many that we open; 8 to 10000"),
    key("key_derivation", "strong", Some("cheap"), "work to open the key file; cheap only in the devnet profile"),
    key("password_file", "", None, "file with the key file's password; without one the terminal is asked"),
    // The endpoint half keeps 10,000 messages, 160 MB if all are as long as they can be; more is damage.
    key("store_max_mib", "1024", Some("256"), "the largest the message store may grow, in MiB; 1 to 1048576"),
    // crates/core: `HoldConfig::bytes_max`
    key("hold_max_mib", "1024", None, "cells held on disk for others who are away, in MiB; 1 to 1048576"),
    key("queue_max_mib", "64", Some("16"), "cells that may wait for slow neighbours, in MiB; 1 to 65536"),
    key("log", "info", Some("warn"), "what is logged: error, warn, info, debug, trace, or target=level,…"),
    key("log_format", "text", None, "text or json"),
];

/// The name closest to a mistyped one, if any comes close.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let scored = CONFIG_KEYS.iter().map(|key| (edits(name, key.name), key.name));
    scored.min().filter(|(edits, _)| *edits <= name.len() / 2).map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<u8> = to.bytes().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..to.len() {
            let kept = diagonal + usize::from(letter != to[column]);
            diagonal = row[column + 1];
            row[column + 1] = kept.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        assert_eq!(nearest("bootstap"), Some("bootstrap"));
        assert_eq!(nearest("data-dir"), Some("data_dir"));
        assert_eq!(nearest("frobnicate"), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
