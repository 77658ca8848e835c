//! `net`: the overlay as this node sees it.

use std::collections::BTreeMap;

use mainframe_sdk::{EstimateRequest, Peer, Peers, RegionEstimate, SizeEstimate};

use crate::cli::{Global, Net};
use crate::output::{Output, table};
use crate::reach;

/// Runs the command.
///
/// # Errors
/// If the node does not answer.
pub(crate) async fn run(global: &Global, command: &Net, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    match command {
        Net::Topology => {
            let peers = reach::answer(global, client.peers()).await?;
            output.result(&peers, || topology(&peers))
        }
        Net::Estimate { luminosity, prefix, droppers, lookups } => {
            let request = EstimateRequest {
                lookups: *lookups,
                luminosity: *luminosity,
                prefix: prefix.map(|prefix| prefix.to_string()),
                droppers_per_mille: *droppers,
            };
            let estimate = reach::answer(global, client.estimate(&request)).await?;
            output.result(&estimate, || text(&estimate))
        }
    }
}

fn text(estimate: &SizeEstimate) -> String {
    let SizeEstimate { nodes, lookups, .. } = estimate;
    let size = format!("about {nodes} relays, by {lookups} random look-ups");
    match &estimate.region {
        Some(region) => format!("{size}\n{}", region_text(region)),
        None => size,
    }
}

fn region_text(of: &RegionEstimate) -> String {
    let counted = if of.counted == of.relays { "all" } else { "of them" };
    let rows = [
        ["region", &format!("{} (luminosity {})", of.region, of.luminosity)],
        ["relays", &format!("{}, {counted} {} counted one by one", of.relays, of.counted)],
        ["hidden among", &format!("{} honest relays at least (99 %), {} in the median", of.set_p01, of.set_median)],
        ["cost", &format!("{} transmissions, {} bytes", of.transmissions, of.bytes)],
        ["latency", &format!("{} ms to half of them, {} ms to 99 %", of.latency_ms_p50, of.latency_ms_p99)],
    ];
    table(&rows.map(|row| row.map(str::to_owned).to_vec()))
}

fn topology(peers: &Peers) -> String {
    let mut bins: BTreeMap<u16, Vec<&Peer>> = BTreeMap::new();
    for peer in &peers.peers {
        bins.entry(peer.proximity).or_default().push(peer);
    }
    let mut rows = vec![["BIN", "PEERS", "", ""].map(str::to_owned).to_vec()];
    for (bin, peers_of_bin) in bins {
        let names: Vec<String> = peers_of_bin.iter().map(|peer| format!("{}…", &peer.overlay[..8])).collect();
        let near = if bin >= peers.depth { "neighbourhood" } else { "" };
        rows.push(vec![bin.to_string(), names.len().to_string(), near.to_owned(), names.join(" ")]);
    }
    format!("{}…, depth {}\n{}", &peers.overlay[..16], peers.depth, table(&rows))
}
