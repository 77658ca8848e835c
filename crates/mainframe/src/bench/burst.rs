//! `bench burst`: packets between all nodes of a local network while some of them are killed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use mainframe_sdk::{AddPerson, Body, Client, Event, SendRequest};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::{BenchBurst, Global};
use crate::devnet::{Held, Network, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reach;

/// Packets are offered in small bursts, so that the clock's grain does not limit the rate.
const TICK: Duration = Duration::from_millis(50);
/// After so long without another delivery the rest is taken for lost: longer than any retry.
const DRAIN_QUIET: Duration = Duration::from_secs(10);

#[derive(Serialize, Debug)]
struct Report {
    nodes: usize,
    killed: usize,
    /// Processes that ended although nobody killed them.
    died_otherwise: usize,
    /// Packets between nodes that both lived to the end, taken into custody by the sender's node.
    packets: usize,
    delivered: usize,
    delivered_share: f64,
    /// Packets taken into custody in all, those of pairs that lost an end included.
    accepted: usize,
    /// Packets a node refused to take.
    refused: usize,
    rate_per_s: f64,
}

/// One packet's ends.
#[derive(Clone, Copy, Debug)]
struct Pair {
    from: usize,
    to: usize,
}

/// What became of the packets, by number.
#[derive(Default, Debug)]
struct Tally {
    accepted: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    refused: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// If the network does not come up.
pub(crate) async fn run(global: &Global, wanted: &BenchBurst, output: &Output) -> anyhow::Result<()> {
    if wanted.kill + 2 > wanted.nodes {
        bail!(Failure::new(Exit::Usage, "two nodes at least must be left").next("fewer --kill, or more --nodes"));
    }
    let dir = std::env::temp_dir().join(format!("mainframe-burst-{}", std::process::id()));
    let held = Held::take(&dir, false)?;
    let nodes = usize::from(wanted.nodes);
    let patience = Duration::from_secs_f64(global.timeout.max(120.0));
    let mut network = Network::start(Wanted::relays(nodes, held.dir(), patience), output).await?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let addresses = people(&network).await?;
    listen(&network, &tally).await?;
    output.note(format!("  sending {} packets at {} a second", wanted.packets, wanted.rate));
    let began = Instant::now();
    let killed = send_all(wanted, &mut network, &addresses, &tally, output).await?;
    let took_s = began.elapsed().as_secs_f64();
    drain(&tally).await;
    let died_otherwise = (0..nodes)
        .filter(|index| !killed.contains(index))
        .filter(|index| network.nodes[*index].process.check().is_err());
    let died_otherwise = died_otherwise.count();
    let report = report(wanted, &tally, &killed, died_otherwise, took_s);
    for index in &killed {
        network.nodes[*index].process.ask_to_stop();
    }
    // Killed nodes did not leave politely; that is no failure of this benchmark.
    drop(network.stop().await);
    output.result(&report, || {
        format!(
            "{} of {} packets between survivors delivered: {:.4}\n{} of {} nodes killed, {} died otherwise; {:.0} \
             packets a second; {} refused",
            report.delivered,
            report.packets,
            report.delivered_share,
            report.killed,
            report.nodes,
            report.died_otherwise,
            report.rate_per_s,
            report.refused
        )
    })
}

/// One person on every node, at its full address.
async fn people(network: &Network) -> anyhow::Result<Vec<String>> {
    let mut addresses = Vec::new();
    for node in &network.nodes {
        let person = node.client.add_person(&AddPerson::named("receiver")).await.map_err(reach::failure)?;
        addresses.push(person.address);
    }
    Ok(addresses)
}

/// Counts what is opened anywhere. Bodies are the packets' numbers.
async fn listen(network: &Network, tally: &Arc<Mutex<Tally>>) -> anyhow::Result<()> {
    for node in &network.nodes {
        let client = node.client.clone();
        let mut events = client.events(None).await.map_err(reach::failure)?;
        let tally = tally.clone();
        tokio::spawn(async move {
            let mut last = 0;
            while let Some(Ok(event)) = events.next().await {
                match event {
                    Event::Message(message) => {
                        last = message.sequence;
                        deliver(&tally, message.body);
                    }
                    Event::Missed { .. } => last = catch_up(&client, &tally, last).await,
                    Event::Contact(_)
                    | Event::Session(_)
                    | Event::Device(_)
                    | Event::Packet { .. }
                    | Event::Joined { .. }
                    | Event::PeerUp { .. }
                    | Event::PeerDown { .. }
                    | Event::PeerFault { .. }
                    | Event::Trace { .. } => {}
                }
            }
        });
    }
    Ok(())
}

/// Reads from the inbox what the event stream left out.
async fn catch_up(client: &Client, tally: &Mutex<Tally>, mut after: u64) -> u64 {
    while let Ok(page) = client.inbox(after, 1_000).await {
        after = page.next_after;
        page.messages.into_iter().for_each(|message| deliver(tally, message.body));
        if page.end {
            break;
        }
    }
    after
}

fn deliver(tally: &Mutex<Tally>, body: Body) {
    if let Body::Text(text) = body
        && let Ok(number) = text.parse()
    {
        locked(tally).delivered.insert(number);
    }
}

/// Offers every packet at its time; kills in the middle.
async fn send_all(
    wanted: &BenchBurst,
    network: &mut Network,
    addresses: &[String],
    tally: &Arc<Mutex<Tally>>,
    output: &Output,
) -> anyhow::Result<BTreeSet<usize>> {
    let mut killed = BTreeSet::new();
    let mut sends = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // Pairs that have lost an end are passed over, so that as many packets are sent as were asked for.
    let (began, mut number, mut sent) = (Instant::now(), 0, 0);
    while sent < wanted.packets {
        ticks.tick().await;
        if killed.is_empty() && sent >= wanted.packets / 2 {
            killed = victims(network.nodes.len(), usize::from(wanted.kill));
            for index in &killed {
                network.nodes[*index].process.kill().await?;
            }
            output.note(format!("  killed {} nodes", killed.len()));
        }
        let due = (began.elapsed().as_secs_f64() * wanted.rate) as u64;
        while sent < due.min(wanted.packets) {
            let (Pair { from, to }, of) = (pair(number, network.nodes.len()), number);
            number += 1;
            if killed.contains(&from) || killed.contains(&to) {
                continue;
            }
            sent += 1;
            let client = network.nodes[from].client.clone();
            let request = SendRequest::to(addresses[to].as_str(), Body::text(of.to_string()));
            let tally = tally.clone();
            sends.spawn(async move {
                let accepted = client.send(&request).await.is_ok();
                let mut tally = locked(&tally);
                if accepted {
                    tally.accepted.insert(of);
                } else {
                    tally.refused += 1;
                }
            });
        }
        while sends.try_join_next().is_some() {}
    }
    while sends.join_next().await.is_some() {}
    Ok(killed)
}

/// Waits until nothing has been delivered for a while, or everything has.
async fn drain(tally: &Mutex<Tally>) {
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < DRAIN_QUIET {
        let (delivered, missing) = {
            let tally = locked(tally);
            (tally.delivered.len(), tally.accepted.difference(&tally.delivered).count())
        };
        if missing == 0 {
            return;
        }
        if delivered > last {
            (last, since) = (delivered, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn report(
    wanted: &BenchBurst,
    tally: &Mutex<Tally>,
    killed: &BTreeSet<usize>,
    died_otherwise: usize,
    took_s: f64,
) -> Report {
    let nodes = usize::from(wanted.nodes);
    let tally = locked(tally);
    let survives = |number: &&u64| {
        let Pair { from, to } = pair(**number, nodes);
        !killed.contains(&from) && !killed.contains(&to)
    };
    let packets = tally.accepted.iter().filter(survives).count();
    let delivered = tally.accepted.iter().filter(survives).filter(|number| tally.delivered.contains(number)).count();
    Report {
        nodes,
        killed: killed.len(),
        died_otherwise,
        packets,
        delivered,
        delivered_share: if packets == 0 { 0.0 } else { delivered as f64 / packets as f64 },
        accepted: tally.accepted.len(),
        refused: tally.refused,
        rate_per_s: tally.accepted.len() as f64 / took_s,
    }
}

/// Every ordered pair of different nodes in turn.
fn pair(number: u64, nodes: usize) -> Pair {
    let count = nodes as u64;
    let from = number % count;
    let step = 1 + number / count % (count - 1);
    Pair { from: from as usize, to: ((from + step) % count) as usize }
}

/// Nodes spread over the whole network, those others started from among them.
fn victims(nodes: usize, count: usize) -> BTreeSet<usize> {
    (0..count.min(nodes)).map(|index| index * nodes / count.min(nodes)).collect()
}

fn locked(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().expect("no holder of this lock can panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_two_ends_and_all_pairs_come() {
        let pairs: BTreeSet<(usize, usize)> =
            (0..5 * 4).map(|number| pair(number, 5)).map(|p| (p.from, p.to)).collect();
        assert_eq!(pairs.len(), 20);
        assert!(pairs.iter().all(|(from, to)| from != to));
    }

    #[test]
    fn as_many_are_killed_as_asked_for() {
        assert_eq!(victims(50, 10).len(), 10);
        assert!(victims(50, 10).contains(&0));
        assert_eq!(victims(3, 10).len(), 3);
    }
}
