//! A whole network of real nodes on this machine, each a process of its own on a loopback address of its own.

mod cast;
mod child;
mod network;
mod place;
mod status;
mod up;
mod usage;

pub(crate) use cast::{guest_name, name as node_name};
pub(crate) use network::{Network, Node, Wanted};
pub(crate) use place::{Held, State};
pub(crate) use usage::{cpu_seconds, rss_mb, threads};

use crate::cli::{Devnet, Global};
use crate::output::Output;

/// Runs one of the commands about local networks.
///
/// # Errors
/// As the command says.
pub(crate) async fn run(global: &Global, command: &Devnet, output: &Output) -> anyhow::Result<()> {
    match command {
        Devnet::Up(wanted) => up::run(global, wanted, output).await,
        Devnet::Status { place, window } => status::run(place, *window, output).await,
        Devnet::Down { place } => status::down(global, place, output).await,
        Devnet::Demo(wanted) => crate::demo::run(global, wanted, output).await,
    }
}
