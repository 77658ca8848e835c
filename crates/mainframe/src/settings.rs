//! From flags to the node's configuration: what was typed is one layer, the environment another; the node knows the
//! rest.

use std::collections::BTreeMap;

use mainframe_node::{Config, ErrorKind, NodeError, Sources};

use crate::cli::{Global, Up};
use crate::failure::{Exit, Failure};

/// Variables that are for this program, not for the node.
const OURS: [&str; 3] = ["MAINFRAME_API", "MAINFRAME_CONFIG", "MAINFRAME_TOKEN"];

/// Reads every layer.
///
/// # Errors
/// A value that cannot be used, by name and origin.
pub(crate) fn load(global: &Global, up: &Up) -> anyhow::Result<Config> {
    let mut sources = Sources::of_process(flags(global, up), global.config.clone());
    sources.variables.retain(|name, _| !OURS.contains(&name.as_str()));
    Ok(Config::load(&sources).map_err(failure)?)
}

/// What keeps a node from starting, with the exit code it deserves.
pub(crate) fn failure(error: NodeError) -> Failure {
    let exit = match error.kind() {
        ErrorKind::Configuration => Exit::Usage,
        ErrorKind::Password => Exit::Denied,
        ErrorKind::Keys
        | ErrorKind::Store
        | ErrorKind::StoreFailed
        | ErrorKind::InUse
        | ErrorKind::Listen
        | ErrorKind::System => Exit::Failed,
    };
    Failure::new(exit, format!("{}: {}", error.what(), error.why())).next(error.next())
}

fn flags(global: &Global, up: &Up) -> BTreeMap<String, String> {
    let texts = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
    let list = |locators: &[mainframe_base::Locator]| texts(locators.iter().map(ToString::to_string).collect());
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let told = [
        ("data_dir", path(&global.data_dir)),
        ("profile", global.profile.clone()),
        ("listen", list(&up.listen)),
        ("bootstrap", list(&up.bootstrap)),
        ("api_listen", up.api_listen.map(|address| address.to_string())),
        ("role", up.role.clone()),
        ("hold_max_mib", up.hold_max_mib.map(|mib| mib.to_string())),
        ("password_file", path(&up.password_file)),
        ("log", up.log.clone()),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn only_what_was_typed_is_a_flag() {
        let typed = ["mainframe", "up", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"];
        let Cli { global, command } = Cli::try_parse_from(typed).unwrap();
        let crate::cli::Command::Up(up) = command else { panic!("that is up") };
        let flags = flags(&global, &up);
        assert_eq!(flags.keys().collect::<Vec<_>>(), ["listen"]);
        assert_eq!(flags["listen"], "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1");
    }
}
