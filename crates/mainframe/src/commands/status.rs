//! `status`: how the node is, in a few lines.

use std::time::Duration;

use mainframe_sdk::{EndpointStatus, HoldRefusal, HoldStatus, Reach, RelayStatus, Role, RoleReason, Status};

use crate::cli::Global;
use crate::output::{Output, table};
use crate::reach;

/// What is for administrators only.
const NOT_TOLD: &str = "(not told to this token)";
/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// If the node does not answer.
pub(crate) async fn run(global: &Global, watch: bool, output: &Output) -> anyhow::Result<()> {
    loop {
        let client = reach::client(global)?;
        let status = reach::answer(global, client.status()).await?;
        output.result(&status, || text(&status, output))?;
        if !watch {
            return Ok(());
        }
        output.say("")?;
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn text(status: &Status, output: &Output) -> String {
    let relay = &status.relay;
    let joined = if relay.joined { output.green("joined") } else { output.bold("not joined yet") };
    let small = if status.small_network { ", small bins" } else { "" };
    let faults: u64 = relay.faults.values().sum();
    let mut rows = vec![
        ("node", format!("{joined}, process {}, up {}", status.pid, duration(status.uptime_ms))),
        ("role", role(relay)),
        ("network", format!("{}{small}", network(relay.network))),
        ("overlay", relay.overlay.clone()),
        ("listens", status.locators.join(" ")),
        ("reach", reach(relay.reach).to_owned()),
        (
            "peers",
            format!(
                "{} connected, {} in the neighbourhood (depth {}), {} known",
                relay.peers, relay.neighbourhood, relay.depth, relay.known
            ),
        ),
        ("waiting", format!("{} bytes for custody, at most {} so far", relay.pending_bytes, relay.pending_bytes_max)),
        ("holding", holding(&relay.hold)),
        ("opened", opened(status.endpoint.as_ref())),
        ("faults", format!("{faults} of peers")),
    ];
    if let Some(HoldRefusal { what, why, next }) = &relay.hold.refusing {
        rows.push(("", output.bold(format!("{what}: {why}. {next}"))));
    }
    table(&rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}

fn role(relay: &RelayStatus) -> String {
    let role = match relay.role {
        Role::Relay => "relay",
        Role::Guest => "guest",
    };
    let why = match relay.role_reason {
        RoleReason::Configured => "configured",
        RoleReason::NotTested => "not tested yet",
        RoleReason::NobodyCouldDial => "nobody could dial it",
        RoleReason::DialledBack => "dialled back by others",
    };
    format!("{role} ({why})")
}

/// What is held for others, and what is heard of.
fn holding(hold: &HoldStatus) -> String {
    let HoldStatus { cells, bytes, bytes_max, attending, missing, .. } = hold;
    if attending.is_empty() {
        return NOT_TOLD.to_owned();
    }
    let mib = |bytes: &u64| format!("{:.1}", *bytes as f64 / f64::from(1 << 20));
    let regions = match attending.len() {
        1 => "its own region".to_owned(),
        regions => format!("{regions} regions"),
    };
    format!(
        "{cells} cells for others, {} of {} MiB; listening to {regions}, {missing} cells to come",
        mib(bytes),
        mib(bytes_max)
    )
}

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Unknown => "not known yet: nobody has been asked to dial this node",
        Reach::Reachable => "others can dial this node",
        Reach::Unreachable => "others cannot dial this node: it is behind a router or a firewall",
    }
}

/// Told to administrators only.
fn opened(endpoint: Option<&EndpointStatus>) -> String {
    endpoint.map_or_else(
        || NOT_TOLD.to_owned(),
        |endpoint| {
            let EndpointStatus { opened, scanned, persons, topics, sessions, .. } = endpoint;
            format!("{opened} of {scanned} cells, for {persons} persons, {sessions} sessions and {topics} topics")
        },
    )
}

/// A network's number, or its name.
fn network(number: u32) -> String {
    match mainframe_base::NetworkId(number) {
        mainframe_base::NetworkId::MAIN => "main".to_owned(),
        mainframe_base::NetworkId::DEV => "development".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration(59_999), "59 s");
        assert_eq!(duration(61_000), "1 min 1 s");
        assert_eq!(duration(3 * 3_600_000 + 60_000), "3 h 1 min");
    }
}
