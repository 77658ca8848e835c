//! `down`: stops the node in good order, and waits until it has.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reach;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the command.
///
/// # Errors
/// If no node runs there, or it does not stop within `--timeout`.
pub(crate) async fn run(global: &Global, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    reach::answer(global, client.shutdown()).await?;
    let deadline = Instant::now() + Duration::from_secs_f64(global.timeout);
    while client.is_live().await || reach::is_announced(global) {
        if Instant::now() > deadline {
            bail!(Failure::new(Exit::TimedOut, format!("the node has not stopped within {} s", global.timeout)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    output.note("  the node has stopped");
    Ok(())
}
