//! `net`: the overlay as this node sees it.

use std::collections::BTreeMap;

use mainframe_sdk::{EstimateRequest, Peer, Peers, Quote, SizeEstimate};
use serde::Serialize;

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
        Net::Estimate { luminosity, lookups } => {
            let estimate = reach::answer(global, client.estimate(&EstimateRequest { lookups: *lookups })).await?;
            let quote = match luminosity {
                Some(bits) => Some(reach::answer(global, client.quote(*bits)).await?),
                None => None,
            };
            let answer = Answer { estimate, quote };
            output.result(&answer, || answer.text())
        }
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    estimate: SizeEstimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<Quote>,
}

impl Answer {
    fn text(&self) -> String {
        let SizeEstimate { nodes, lookups, .. } = self.estimate;
        let mut text = format!("about {nodes} relays, by {lookups} random look-ups");
        if let Some(quote) = &self.quote {
            text.push_str(&format!(
                "\nat luminosity {}: hidden among {} relays, {} transmissions",
                quote.luminosity, quote.region_nodes, quote.transmissions
            ));
        }
        text
    }
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
