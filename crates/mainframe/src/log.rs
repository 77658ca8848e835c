//! Where log lines go: standard error, as the configuration says.

use mainframe_node::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::failure::{Exit, Failure};

/// From now on what the node logs is printed.
///
/// # Errors
/// If the filter makes no sense.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    // What libraries say is for those who ask for it by name.
    let filter = EnvFilter::try_new(format!("libp2p_swarm=warn,{}", config.log())).map_err(|error| {
        Failure::new(Exit::Usage, format!("the value of log cannot be used: {error}"))
            .next("error, warn, info, debug, trace, or target=level,…")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format() {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
