//! `bench held-delivery`: messages to guests who are away while relays are killed; do they get each of them, once?

use std::time::Duration;

use anyhow::{Context, bail};
use mainframe_base::{Address, Luminosity, Prefix};
use mainframe_sdk::{AddPerson, AddTopic, Client, Message};
use serde::Serialize;
use tokio::time::Instant;

use super::held_letters::{Away, count, is_to_person, send_all};
use crate::cli::{BenchHeldDelivery, Global};
use crate::devnet::{Held, Network, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reach;

/// How often the nodes are looked at while something is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long what was sent may take until it is held or has failed: all retries of a packet, twice.
const SETTLING_MAX: Duration = Duration::from_secs(60);
/// Nothing has come for so long: the rest is taken for lost. A relay that was killed is given up after 9 s, what was told of
/// and does not come is asked for again within a minute.
const QUIET: Duration = Duration::from_secs(90);
/// How long is waited for what should not come twice.
const SECOND_COPIES: Duration = Duration::from_secs(5);
/// Messages in one look at an inbox.
const PAGE: usize = 1_000;

#[derive(Serialize, Debug)]
struct Report {
    relays: usize,
    guests: usize,
    guests_away: usize,
    relays_killed: usize,
    /// Messages the senders' nodes took into custody, to people and to topics of guests who were away.
    sent: usize,
    to_persons: usize,
    to_topics: usize,
    /// Messages no node would take.
    refused: usize,
    /// Messages in the inbox of their receiver after his return.
    delivered: usize,
    lost: usize,
    /// Messages that are there twice, or with someone else.
    duplicated: usize,
    misdelivered: usize,
    /// Cells that the relays left alive hold, for each message.
    copies_held: f64,
    send_s: f64,
    /// From the start of the first guest until the last message was there.
    fetch_s: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If the network does not come up, or nodes end that should not.
pub(crate) async fn run(global: &Global, wanted: &BenchHeldDelivery, output: &Output) -> anyhow::Result<()> {
    if wanted.away == 0 || wanted.away > wanted.guests || wanted.kill + wanted.region > wanted.nodes {
        let why = "some of the guests must go away, and enough relays be left";
        bail!(Failure::new(Exit::Usage, why).next("fewer --away, --kill or --region, or more --nodes and --guests"));
    }
    let dir = std::env::temp_dir().join(format!("mainframe-held-delivery-{}", std::process::id()));
    let held = Held::take(&dir, false)?;
    let patience = Duration::from_secs_f64(global.timeout.max(180.0));
    let guests = usize::from(wanted.guests);
    let wanted_network = Wanted { guests, ..Wanted::relays(usize::from(wanted.nodes), held.dir(), patience) };
    let mut network = Network::start(wanted_network, output).await?;
    let report = play(wanted, &mut network, output).await;
    // Killed relays did not leave politely; that is no failure of this benchmark.
    drop(network.stop().await);
    let report = report?;
    output.result(&report, || text(&report))
}

async fn play(wanted: &BenchHeldDelivery, network: &mut Network, output: &Output) -> anyhow::Result<Report> {
    let relays = usize::from(wanted.nodes);
    let away = readers(wanted, network).await?;
    for guest in &away {
        network.nodes[guest.index].process.halt().await?;
    }
    output.note(format!("  {} guests are away; sending {} messages", away.len(), wanted.messages));
    let began = Instant::now();
    let clients: Vec<Client> = network.nodes[..relays].iter().map(|relay| relay.client.clone()).collect();
    let outcomes = send_all(wanted, &clients, &away).await?;
    let send_s = began.elapsed().as_secs_f64();
    settle(&network.nodes[..relays]).await?;
    let killed: Vec<usize> =
        (0..usize::from(wanted.kill)).map(|kill| kill * relays / usize::from(wanted.kill)).collect();
    for index in &killed {
        network.nodes[*index].process.kill().await?;
    }
    let alive: Vec<Client> =
        (0..relays).filter(|index| !killed.contains(index)).map(|index| network.nodes[index].client.clone()).collect();
    let copies = held_by(&alive).await?;
    output.note(format!("  killed {} relays; the guests come back", killed.len()));
    let began = Instant::now();
    for guest in &away {
        network.nodes[guest.index].start_again().await?;
    }
    let clients: Vec<Client> = away.iter().map(|guest| network.nodes[guest.index].client.clone()).collect();
    let came = gather(&clients, outcomes.sent.len(), output).await?;
    let counted = count(&outcomes.sent, &came.messages);
    let to_persons = outcomes.sent.iter().filter(|number| is_to_person(**number, away.len())).count();
    Ok(Report {
        relays,
        guests: usize::from(wanted.guests),
        guests_away: away.len(),
        relays_killed: killed.len(),
        sent: outcomes.sent.len(),
        to_persons,
        to_topics: outcomes.sent.len() - to_persons,
        refused: outcomes.refused,
        delivered: counted.delivered,
        lost: outcomes.sent.len() - counted.delivered,
        duplicated: counted.duplicated,
        misdelivered: counted.misdelivered,
        copies_held: copies as f64 / (outcomes.sent.len() as f64).max(1.0),
        send_s,
        fetch_s: came.last_at.duration_since(began).as_secs_f64(),
    })
}

/// A person and a topic on every guest that will go away, in the smallest region around it that has enough relays.
async fn readers(wanted: &BenchHeldDelivery, network: &Network) -> anyhow::Result<Vec<Away>> {
    let overlay = |index: usize| network.nodes[index].endpoint.overlay.parse::<Address>().context("no overlay address");
    let relays: Vec<Address> = (0..usize::from(wanted.nodes)).map(overlay).collect::<anyhow::Result<_>>()?;
    let mut away = Vec::new();
    for guest in 0..usize::from(wanted.away) {
        let index = relays.len() + guest;
        let region = smallest_region(&overlay(index)?, &relays, usize::from(wanted.region));
        let client = &network.nodes[index].client;
        let person = AddPerson { luminosity: Some(region.luminosity().bits()), ..AddPerson::named("reader") };
        let person = client.add_person(&person).await.map_err(reach::failure)?.address;
        let topic = client.add_topic(&AddTopic::named("news")).await.map_err(reach::failure)?.key;
        away.push(Away { index, region, person, topic: topic.context("a new topic without a key")? });
    }
    Ok(away)
}

fn smallest_region(around: &Address, relays: &[Address], count: usize) -> Prefix {
    let region = |bits| Prefix::of(around, Luminosity::at_most(bits));
    let has_enough = |region: &Prefix| relays.iter().filter(|relay| region.matches(relay)).count() >= count;
    (0..=16).map(region).take_while(has_enough).last().unwrap_or(region(0))
}

/// Waits until nothing is under way any more: no relay waits for custody, and none takes another cell.
async fn settle(relays: &[crate::devnet::Node]) -> anyhow::Result<()> {
    let clients: Vec<Client> = relays.iter().map(|relay| relay.client.clone()).collect();
    let (began, mut before) = (Instant::now(), None);
    while began.elapsed() < SETTLING_MAX {
        let mut pending = 0;
        for client in &clients {
            pending += client.status().await.map_err(reach::failure)?.relay.pending_bytes;
        }
        let held = held_by(&clients).await?;
        if pending == 0 && before == Some(held) {
            return Ok(());
        }
        before = Some(held);
        tokio::time::sleep(4 * LOOK_EVERY).await;
    }
    Ok(())
}

/// Cells these relays hold together.
async fn held_by(relays: &[Client]) -> anyhow::Result<u64> {
    let mut cells = 0;
    for relay in relays {
        cells += relay.status().await.map_err(reach::failure)?.relay.hold.cells;
    }
    Ok(cells)
}

/// What came, and when the last of it.
struct Came {
    /// Of each guest that was away, in their order.
    messages: Vec<Vec<Message>>,
    last_at: Instant,
}

/// Reads the inboxes until everything has come, or nothing for a while.
async fn gather(guests: &[Client], expected: usize, output: &Output) -> anyhow::Result<Came> {
    let mut came = Came { messages: guests.iter().map(|_| Vec::new()).collect(), last_at: Instant::now() };
    let mut complete_at = None;
    loop {
        let before = came.messages.iter().map(Vec::len).sum::<usize>();
        for (guest, messages) in guests.iter().zip(&mut came.messages) {
            read_on(guest, messages).await?;
        }
        let now = came.messages.iter().map(Vec::len).sum::<usize>();
        if now > before {
            came.last_at = Instant::now();
        }
        if now >= expected && complete_at.is_none() {
            output.note(format!("  {now} messages have come"));
            complete_at = Some(Instant::now());
        }
        let is_over = complete_at.is_some_and(|at: Instant| at.elapsed() > SECOND_COPIES);
        if is_over || came.last_at.elapsed() > QUIET {
            return Ok(came);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn read_on(guest: &Client, messages: &mut Vec<Message>) -> anyhow::Result<()> {
    loop {
        let after = messages.last().map_or(0, |message| message.sequence);
        let page = guest.inbox(after, PAGE).await.map_err(reach::failure)?;
        messages.extend(page.messages);
        if page.end {
            return Ok(());
        }
    }
}

fn text(report: &Report) -> String {
    format!(
        "{} of {} messages to {} guests who were away are there: {} lost, {} twice, {} with someone else\n{} of {} \
         relays killed; each message held by {:.1} of the others; sent in {:.1} s, fetched in {:.1} s; {} refused",
        report.delivered,
        report.sent,
        report.guests_away,
        report.lost,
        report.duplicated,
        report.misdelivered,
        report.relays_killed,
        report.relays,
        report.copies_held,
        report.send_s,
        report.fetch_s,
        report.refused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_the_smallest_that_has_enough_relays() {
        let address = |first: u8| Address([first; 32]);
        let relays = [0x00, 0x01, 0x20, 0x40, 0x80, 0xC0].map(address);
        let region = |count| smallest_region(&address(0), &relays, count).luminosity().bits();
        assert_eq!((region(6), region(4), region(3), region(2)), (0, 1, 2, 7));
        assert_eq!(region(7), 0, "there is no larger one");
    }
}
