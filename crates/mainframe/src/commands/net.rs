//! `net`: the overlay as this node sees it.

use std::collections::BTreeMap;

use mainframe_sdk::{
    AttendRequest, AttendanceSource, Attended, EstimateRequest, Hearing, Peer, Peers, RegionEstimate, Regions,
    SizeEstimate,
};

use super::status::duration;
use crate::cli::{Attend, Global, Net};
use crate::output::{Output, table};
use crate::reach;
use crate::wall_time::now_ms;

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
        Net::Attend(wanted) => {
            let attended = reach::answer(global, client.attend(&attend_request(wanted))).await?;
            output.result(&attended, || attended_text(&attended))
        }
        Net::Leave { region } => reach::answer(global, client.leave(&region.to_string())).await,
        Net::Regions => {
            let regions = reach::answer(global, client.regions()).await?;
            output.result(&regions, || regions_text(&regions))
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

fn attend_request(wanted: &Attend) -> AttendRequest {
    let since_ms = wanted.since.map(|period_ms| now_ms().saturating_sub(period_ms));
    let (tag, candidates_min) = (wanted.tag.clone(), wanted.candidates);
    AttendRequest { since_ms, tag, candidates_min, ..AttendRequest::to(wanted.region.to_string()) }
}

fn attended_text(attended: &Attended) -> String {
    let Attended { region, bucket_bits, cells_per_hour, candidates } = attended;
    let what = match bucket_bits {
        0 => "all its cells are fetched".to_owned(),
        bits => format!("cells of one bucket in {} are fetched", 1_u64 << bits),
    };
    let left = match cells_per_hour {
        0 => "nothing is held here yet, so how many there are is not known".to_owned(),
        cells => format!("of about {cells} an hour, at least {candidates} could be the one you seek (99 %)"),
    };
    format!("listening to {region}: {what}; {left}")
}

fn regions_text(regions: &Regions) -> String {
    let mut rows = vec![["REGION", "BUCKET", "COMPLETE UNTIL", "HEARD FROM"].map(str::to_owned).to_vec()];
    for region in &regions.regions {
        let behind_ms = now_ms().saturating_sub(region.complete_until_ms);
        rows.push(vec![
            region.region.clone(),
            format!("{} bits", region.bucket_bits),
            format!("{} ago", duration(behind_ms)),
            sources(&region.sources),
        ]);
    }
    table(&rows).trim_end().to_owned()
}

fn sources(sources: &[AttendanceSource]) -> String {
    let source = |source: &AttendanceSource| {
        let how = match source.hearing {
            Hearing::Not => "asked",
            Hearing::Digests => "names",
            Hearing::Cells => "cells",
        };
        format!("{}… ({how})", source.link_key.get(..8).unwrap_or_default())
    };
    if sources.is_empty() { "nobody yet".to_owned() } else { sources.iter().map(source).collect::<Vec<_>>().join(" ") }
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
