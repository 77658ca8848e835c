//! The network of the demo, and where Alice and Bob are in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use mainframe_base::{Address, Luminosity, Prefix};
use mainframe_sdk::{Event, Status};
use tokio::sync::mpsc;

use crate::cli::{Demo, Global};
use crate::devnet::{Held, Network, Node, State, Wanted};
use crate::output::Output;
use crate::reach;
use crate::somebody::Somebody;

/// Bob hides among at least so many, himself included: "several", and few enough to print.
const HIDDEN_AMONG: usize = 4;
/// The place of Bob's node in the cast.
const BOB: usize = 1;
/// Events of all nodes waiting to be looked at; a message of this network makes some dozens.
const EVENTS_MAX: usize = 4_096;

/// Everything the demo needs.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The nodes; the second is Bob's.
    pub(crate) network: Network,
    /// The place of Alice's.
    alice: usize,
    /// Who she is.
    pub(crate) alice_person: Somebody,
    /// Who Bob is.
    pub(crate) bob_person: Somebody,
    /// The session the two share.
    pub(crate) session: String,
    /// How many bits of his position Bob's card tells.
    pub(crate) luminosity: u16,
    /// What all nodes tell, each with its place in the network.
    pub(crate) events: mpsc::Receiver<(usize, Event)>,
    small: bool,
    depths: (u64, u64),
    peers: (u64, u64),
    held: Held,
}

impl Stage {
    /// Starts the network, puts Alice and Bob on their nodes, and lets them meet.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) async fn set(global: &Global, wanted: &Demo, output: &Output) -> anyhow::Result<Stage> {
        output.say(output.bold(format!("Mainframe: a local network of {} real nodes", wanted.nodes)))?;
        let dir = std::env::temp_dir().join(format!("mainframe-demo-{}", std::process::id()));
        let held = Held::take(&dir, false)?;
        let patience = Duration::from_secs_f64(global.timeout.max(60.0));
        let network = Network::start(Wanted::relays(usize::from(wanted.nodes), &dir, patience), output).await?;
        let nodes = network.nodes.iter().map(Node::state).collect();
        held.write(&State { pid: std::process::id(), ready_s: Some(network.ready_s), nodes })?;

        let overlays = network.nodes.iter().map(overlay).collect::<anyhow::Result<Vec<Address>>>()?;
        let luminosity = wanted.luminosity.unwrap_or_else(|| several(&overlays, BOB));
        let alice = outside(&overlays, BOB, luminosity);
        let alice_luminosity = several(&overlays, alice);
        let alice_person = Somebody::on(&network.nodes[alice].client, "alice", alice_luminosity).await?;
        let bob_person = Somebody::on(&network.nodes[BOB].client, "bob", luminosity).await?;
        let session = alice_person.befriend(&bob_person, patience).await?;
        let events = merge(&network).await?;
        let statuses = statuses(&network).await?;
        let range = |of: fn(&Status) -> u64| {
            let values = statuses.iter().map(of);
            (values.clone().min().unwrap_or(0), values.max().unwrap_or(0))
        };
        Ok(Stage {
            alice_person,
            bob_person,
            session,
            luminosity,
            events,
            small: statuses.iter().all(|status| status.small_network),
            depths: range(|status| u64::from(status.relay.depth)),
            peers: range(|status| status.relay.peers),
            held,
            alice,
            network,
        })
    }

    /// Alice's node.
    pub(crate) fn alice(&self) -> &Node {
        &self.network.nodes[self.alice]
    }

    /// Bob's node.
    pub(crate) fn bob(&self) -> &Node {
        &self.network.nodes[BOB]
    }

    /// The network's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.held.dir()
    }

    /// Names by overlay address.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        let name = |node: &Node| (node.endpoint.overlay.clone(), node.process.name.clone());
        self.network.nodes.iter().map(name).collect()
    }

    /// The place of Alice's node in the network.
    pub(crate) fn alice_index(&self) -> usize {
        self.alice
    }

    /// The region Bob's card names.
    pub(crate) fn region(&self) -> Prefix {
        let bob = overlay(self.bob()).unwrap_or(Address([0; 32]));
        Prefix::of(&bob, Luminosity::at_most(self.luminosity))
    }

    /// The places of the nodes that match it.
    pub(crate) fn region_nodes(&self) -> Vec<usize> {
        let region = self.region();
        let inside = |index: &usize| overlay(&self.network.nodes[*index]).is_ok_and(|node| region.matches(&node));
        (0..self.network.nodes.len()).filter(inside).collect()
    }

    /// What every node says about itself now.
    ///
    /// # Errors
    /// If one does not answer.
    pub(crate) async fn statuses(&self) -> anyhow::Result<Vec<Status>> {
        statuses(&self.network).await
    }

    /// What the audience should know before the curtain rises.
    pub(crate) fn introduce(&self, output: &Output) -> String {
        let region = self.region_nodes();
        let count = self.network.nodes.len();
        let small = if self.small {
            "The network is small, and its bins and neighbourhoods are forced small: half of the public network's."
        } else {
            "Bins and neighbourhoods have their usual size."
        };
        let range = |(least, most): (u64, u64)| {
            if least == most { most.to_string() } else { format!("{least} to {most}") }
        };
        let bob = overlay(self.bob()).map_or_else(|_| String::new(), |bob| first_bits(&bob));
        let alice = overlay(self.alice()).map_or_else(|_| String::new(), |alice| first_bits(&alice));
        format!(
            "  {count} processes on 127.77.0.0/16, no server; ready in {:.1} s; {} peers each, depth {}.\n  \
             {small}\n\n  \
             Alice is a person on node {} (at {alice}…), Bob one on node {} (at {bob}…).\n  \
             Bob's card tells {} of those bits, {}: {} of {count} nodes match. Any of them could be his.\n  \
             They have exchanged cards and share a session: keys that change, for these two alone.\n",
            self.network.ready_s,
            range(self.peers),
            range(self.depths),
            output.cyan(&self.alice().process.name),
            output.cyan(&self.bob().process.name),
            self.luminosity,
            output.bold(self.region().to_string()),
            output.bold(region.len().to_string()),
        )
    }

    /// What to try next.
    pub(crate) fn hints(&self, output: &Output) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "mainframe".to_owned());
        let (dir, alice) = (self.dir().display(), self.alice().process.data_dir.display());
        let commands = [
            ("read along as Bob", format!("{program} --data-dir {dir}/bob session listen alice --all")),
            ("answer as Bob", format!("{program} --data-dir {dir}/bob session say alice hi")),
            (
                "one packet without a session, and darker: everyone could be Bob",
                format!("{program} --data-dir {alice} send --luminosity 0 --to {} hi", self.bob_person.address),
            ),
            ("Alice's peers, by bin", format!("{program} --data-dir {alice} net topology")),
            ("all nodes and what they use", format!("{program} devnet status --dir {dir}")),
        ];
        let hints = commands.map(|(what, command)| format!("  {}\n    {command}", output.dim(format!("# {what}"))));
        format!("\nType more lines, or try in another terminal:\n{}\nCtrl-C stops everything.\n", hints.join("\n"))
    }

    /// Stops the nodes and removes their files.
    ///
    /// # Errors
    /// If a node had to be killed.
    pub(crate) async fn clear(self) -> anyhow::Result<()> {
        self.network.stop().await
    }
}

/// The greatest luminosity at which at least [`HIDDEN_AMONG`] of these addresses match that of `receiver`, or all do.
fn several(overlays: &[Address], receiver: usize) -> u16 {
    let mut shared: Vec<u16> = overlays.iter().map(|other| other.proximity(&overlays[receiver])).collect();
    shared.sort_unstable_by(|a, b| b.cmp(a));
    shared.get(HIDDEN_AMONG - 1).copied().unwrap_or(0).min(254)
}

/// The first node from which a message has to travel to the receiver's region; the first of all if there is none.
fn outside(overlays: &[Address], receiver: usize, luminosity: u16) -> usize {
    overlays.iter().position(|other| other.proximity(&overlays[receiver]) < luminosity).unwrap_or(0)
}

fn overlay(node: &Node) -> anyhow::Result<Address> {
    node.endpoint.overlay.parse().context("a node told an overlay address that is none")
}

/// The first bits of an address, as many as matter in a small network.
fn first_bits(address: &Address) -> String {
    Prefix::of(address, Luminosity::at_most(8)).to_string()
}

async fn statuses(network: &Network) -> anyhow::Result<Vec<Status>> {
    let asked = network.nodes.iter().map(|node| node.client.status());
    Ok(futures::future::try_join_all(asked).await.map_err(reach::failure)?)
}

/// The event streams of all nodes in one channel.
async fn merge(network: &Network) -> anyhow::Result<mpsc::Receiver<(usize, Event)>> {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    for (index, node) in network.nodes.iter().enumerate() {
        let mut events = node.client.events(None).await.map_err(reach::failure)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                if sender.send((index, event)).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_luminosity_leaves_several_possible_receivers() {
        let at = |first: u8| Address([first; 32]);
        let overlays = [at(0b0000_0000), at(0b1100_0000), at(0b1101_0000), at(0b1111_0000), at(0b1000_0000)];
        assert_eq!(several(&overlays, BOB), 1);
        assert_eq!(several(&overlays[..3], 1), 0);
    }

    #[test]
    fn alice_is_outside_the_region_if_anybody_is() {
        let overlays = [0b1000_0000, 0b1100_0000, 0b0100_0000].map(|first| Address([first; 32]));
        assert_eq!(outside(&overlays, 1, 2), 0);
        assert_eq!(outside(&overlays, 1, 1), 2);
        assert_eq!(outside(&overlays, 1, 0), 0);
    }
}
