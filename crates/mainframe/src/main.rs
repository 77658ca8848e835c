//! The one binary: node, local network, command line.
//!
//! ```text
//! cli        what can be typed
//! commands   what the commands of one node do
//! devnet     many nodes on this machine, each a process
//! demo       Alice, Bob and a dark message
//! bench      measurements
//! settings  log   from flags to the node's configuration; where log lines go
//! reach  output  failure  signals   how a node is reached, how results are printed, how commands fail and stop
//! somebody   a person of the demo or of a benchmark
//! wall_time  the machine's clock
//! ```

mod bench;
mod cli;
mod commands;
mod demo;
mod devnet;
mod failure;
mod log;
mod output;
mod reach;
mod settings;
mod signals;
mod somebody;
mod wall_time;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough: `mainframe … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            failure::report(&error, json);
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { global, command } = cli;
    let output = Output::new(global.json, global.quiet, global.no_color);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let result = runtime.block_on(async {
        match &command {
            Command::Up(flags) => commands::up::run(&global, flags, &output).await,
            Command::Down => commands::down::run(&global, &output).await,
            Command::Status { watch } => commands::status::run(&global, *watch, &output).await,
            Command::Config(command) => commands::config::run(&global, command, &output),
            Command::Id(command) => commands::id::run(&global, command, &output).await,
            Command::Device(command) => commands::device::run(&global, command, &output).await,
            Command::Account(command) => commands::account::run(&global, command, &output).await,
            Command::Contact(command) => commands::contact::run(&global, command, &output).await,
            Command::Session(command) => commands::session::run(&global, command, &output).await,
            Command::Group(command) => commands::group::run(&global, command, &output).await,
            Command::Person(command) => commands::person::run(&global, command, &output).await,
            Command::Topic(command) => commands::topic::run(&global, command, &output).await,
            Command::Send(flags) => commands::send::run(&global, flags, &output).await,
            Command::Listen(flags) => commands::listen::run(&global, flags, &output).await,
            Command::Net(command) => commands::net::run(&global, command, &output).await,
            Command::Devnet(command) => devnet::run(&global, command, &output).await,
            Command::Bench(command) => bench::run(&global, command, &output).await,
        }
    });
    // A thread may still wait for a line of standard input; nothing else is left to wait for.
    runtime.shutdown_background();
    result
}

/// Threads for sockets and timers; the halves of a node have threads of their own.
const WORKERS: usize = 2;

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref::<std::io::Error>().is_some_and(broken)
}
