//! One message: sent, followed, and told about.

use std::time::Duration;

use anyhow::bail;
use mainframe_sdk::{Body, Event, Quote, SendRequest, Status};
use serde::Serialize;
use tokio::time::Instant;

use super::journey::{Journey, Step};
use super::stage::Stage;
use crate::commands::listen::printable;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::reach;

/// A message that takes longer than this on one machine is lost.
const ARRIVAL_MAX: Duration = Duration::from_secs(15);
/// After so long without news the journey is over: twice the time after which a digest is pulled.
const QUIET: Duration = Duration::from_millis(800);
/// Lines of the journey that are shown.
const LINES_MAX: usize = 10;

/// A message that arrived.
#[derive(Debug)]
pub(crate) struct Letter {
    /// The figures.
    pub(crate) result: Result,
    journey: Journey,
    said: String,
    looks: Vec<Look>,
}

/// What became of a message, for programs.
#[derive(Serialize, Debug)]
pub(crate) struct Result {
    pub(crate) id: String,
    pub(crate) region: String,
    /// Nodes that match the region.
    pub(crate) region_nodes: usize,
    /// Those of them that got it.
    pub(crate) arrived: usize,
    pub(crate) transmissions: u64,
    pub(crate) quoted: u64,
    /// Nodes the quote expected in the region.
    pub(crate) quoted_nodes: u64,
    /// From sending to Bob's reading.
    pub(crate) opened_ms: u64,
    /// Names of the nodes that opened something.
    pub(crate) opened_by: Vec<String>,
}

/// What a node of the region did with its copy.
#[derive(Debug)]
struct Look {
    node: String,
    scanned: u64,
    opened: u64,
}

impl Stage {
    /// Sends a text from Alice to Bob, and follows it until all is quiet.
    ///
    /// # Errors
    /// If the node refuses it, or it does not arrive.
    pub(crate) async fn send(&mut self, text: &str) -> anyhow::Result<Letter> {
        while self.events.try_recv().is_ok() {}
        let before = self.statuses().await?;
        let began = Instant::now();
        let request = SendRequest::to(self.bob_address.as_str(), Body::text(text));
        let sent = self.alice().client.send(&request).await.map_err(reach::failure)?;
        let (journey, opened) = self.follow(&sent.id).await?;
        let opened_ms = u64::try_from(opened.at.duration_since(began).as_millis())?;
        let looks = self.looks(&before, &self.statuses().await?);
        let Quote { transmissions: quoted, region_nodes: quoted_nodes, .. } = sent.quote;
        let result = Result {
            id: sent.id,
            region: sent.region,
            region_nodes: self.region_nodes().len(),
            arrived: journey.arrived().len(),
            transmissions: journey.transmissions(),
            quoted,
            quoted_nodes,
            opened_ms,
            opened_by: looks.iter().filter(|look| look.opened > 0).map(|look| look.node.clone()).collect(),
        };
        Ok(Letter { result, journey, said: opened.said, looks })
    }

    /// Collects what all nodes tell of a packet.
    async fn follow(&mut self, id: &str) -> anyhow::Result<(Journey, Opened)> {
        let mut journey = Journey::default();
        let mut opened = None;
        let deadline = Instant::now() + ARRIVAL_MAX;
        loop {
            let until = if opened.is_some() { deadline.min(Instant::now() + QUIET) } else { deadline };
            match (tokio::time::timeout_at(until, self.events.recv()).await, opened.take()) {
                (Ok(Some((_, Event::Trace { id: of, node, peer, step, at_ms }))), so_far) => {
                    if of == id {
                        journey.add(Step { at_ms, node, peer, step });
                    }
                    opened = so_far;
                }
                (Ok(Some((_, Event::Message(message)))), so_far) => {
                    let said = match message.body {
                        Body::Text(text) => text,
                        Body::Base64(digits) => digits,
                    };
                    opened = if message.id == id { Some(Opened { said, at: Instant::now() }) } else { so_far };
                }
                (Ok(Some(_)), so_far) => opened = so_far,
                (Ok(None) | Err(_), Some(opened)) => return Ok((journey, opened)),
                (Ok(None) | Err(_), None) => bail!(
                    Failure::new(Exit::TimedOut, format!("Bob did not get the message within {ARRIVAL_MAX:?}"))
                        .next("the nodes' logs, with RUST_LOG=debug")
                ),
            }
        }
    }

    /// What each node of the region did between two looks at it.
    fn looks(&self, before: &[Status], after: &[Status]) -> Vec<Look> {
        let counts = |status: &Status| status.endpoint.as_ref().map_or((0, 0), |half| (half.scanned, half.opened));
        let look = |index: usize| {
            let ((scanned_before, opened_before), (scanned, opened)) = (counts(&before[index]), counts(&after[index]));
            Look {
                node: self.network.nodes[index].process.name.clone(),
                scanned: scanned.saturating_sub(scanned_before),
                opened: opened.saturating_sub(opened_before),
            }
        };
        (0..before.len()).map(look).filter(|look| look.scanned > 0 || look.opened > 0).collect()
    }
}

/// When Bob read it, and what it said.
#[derive(Debug)]
struct Opened {
    said: String,
    at: Instant,
}

impl Letter {
    /// The story, for people.
    pub(crate) fn tell(&self, stage: &Stage, output: &Output) -> String {
        let Result { region_nodes, arrived, transmissions, quoted, quoted_nodes, opened_ms, .. } = &self.result;
        let mut story = format!("\n{}\n", output.bold("  Where it went"));
        let mut rows: Vec<Vec<String>> = self.journey.lines(&stage.names()).into_iter().map(row).collect();
        let more = rows.len().saturating_sub(LINES_MAX);
        rows.truncate(LINES_MAX);
        story.push_str(&indent(&table(&rows)));
        if more > 0 {
            story.push_str(&format!("    … and {more} more\n"));
        }
        let others: Vec<&str> =
            self.looks.iter().filter(|look| look.opened == 0).map(|look| look.node.as_str()).collect();
        let bob_alone = self.result.opened_by == [stage.bob().process.name.as_str()];
        let verdict = if bob_alone { output.green("only Bob opened it") } else { output.bold("opened elsewhere too!") };
        story.push_str(&format!(
            "\n  {}      {transmissions} transmissions; quoted {quoted}, for the {quoted_nodes} nodes such a region has on \
             average\n  {}    {arrived} of the {region_nodes} nodes \
             that could be Bob's have it, within {} ms\n  {}    {} looked at {} and opened nothing\n  {}      after \
             {opened_ms} ms, {verdict}: {}",
            output.bold("cost"),
            output.bold("spread"),
            self.journey.spread_ms(),
            output.bold("others"),
            if others.is_empty() { "nobody else".to_owned() } else { others.join(", ") },
            if others.len() == 1 { "its copy" } else { "their copies" },
            output.bold("Bob "),
            output.green(format!("“{}”", printable(&self.said))),
        ));
        story
    }
}

fn row([at, node, peers, why]: [String; 4]) -> Vec<String> {
    vec![format!("{at:>6}"), format!("{node} ──▶ {peers}"), why]
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
