//! One message: said, followed, answered, and told about.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use mainframe_sdk::{Body, Event, MessageState, Quote, SessionChange, SessionEvent, Status, TraceStep};
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
/// What Bob answers.
const ANSWER: &str = "I will be there. 我会在那里。";

/// A message that arrived and was answered.
#[derive(Debug)]
pub(crate) struct Letter {
    /// The figures.
    pub(crate) result: Result,
    journey: Journey,
    said: String,
    answer: String,
    looks: Vec<Look>,
}

/// What became of a message, for programs.
#[derive(Serialize, Debug)]
pub(crate) struct Result {
    /// The packet that carried it.
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
    /// From saying it to Bob's reading.
    pub(crate) opened_ms: u64,
    /// Names of the nodes of the region that opened something.
    pub(crate) opened_by: Vec<String>,
    /// From saying it to Alice's reading of Bob's answer.
    pub(crate) answered_ms: u64,
    /// From saying it to Alice's knowing that Bob has it.
    pub(crate) delivered_ms: u64,
}

/// What a node of the region did with its copy.
#[derive(Debug)]
struct Look {
    node: String,
    scanned: u64,
    opened: u64,
}

/// What is known of a message under way.
#[derive(Default)]
struct Course {
    journeys: BTreeMap<String, Journey>,
    /// The packet it travels in: the first that Alice's node sends.
    packet: Option<String>,
    opened: Option<Heard>,
    answered: Option<Heard>,
    delivered: Option<Instant>,
}

/// What somebody read, and when.
struct Heard {
    said: String,
    at: Instant,
}

impl Stage {
    /// Alice says a text to Bob, who answers; all of it is followed until it is quiet.
    ///
    /// # Errors
    /// If the node refuses it, or it does not arrive.
    pub(crate) async fn send(&mut self, text: &str) -> anyhow::Result<Letter> {
        while self.events.try_recv().is_ok() {}
        let before = self.statuses().await?;
        let began = Instant::now();
        let said = self.alice_person.say(&self.session, text.to_owned()).await;
        let number = said.map_err(reach::failure)?;
        let mut course = Course::default();
        self.follow(&mut course, number).await?;
        let (Some(id), Some(opened), Some(answered), Some(delivered)) =
            (course.packet, course.opened, course.answered, course.delivered)
        else {
            bail!(late("Bob's answer did not come"))
        };
        let journey = course.journeys.remove(&id).unwrap_or_default();
        let looks = self.looks(&before, &self.statuses().await?);
        let quote = self.alice().client.quote(self.luminosity).await.map_err(reach::failure)?;
        let Quote { transmissions: quoted, region_nodes: quoted_nodes, .. } = quote;
        let since_ms = |moment: Instant| u64::try_from(moment.duration_since(began).as_millis());
        let result = Result {
            id,
            region: self.region().to_string(),
            region_nodes: self.region_nodes().len(),
            arrived: journey.arrived().len(),
            transmissions: journey.transmissions(),
            quoted,
            quoted_nodes,
            opened_ms: since_ms(opened.at)?,
            opened_by: looks.iter().filter(|look| look.opened > 0).map(|look| look.node.clone()).collect(),
            answered_ms: since_ms(answered.at)?,
            delivered_ms: since_ms(delivered)?,
        };
        Ok(Letter { result, journey, said: opened.said, answer: answered.said, looks })
    }

    /// Collects what all nodes tell, until Bob has read the message and Alice his answer, and no more is told for a while.
    async fn follow(&mut self, course: &mut Course, number: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + ARRIVAL_MAX;
        loop {
            let is_over = course.answered.is_some() && course.delivered.is_some();
            let until = if is_over { deadline.min(Instant::now() + QUIET) } else { deadline };
            let Ok(Some((index, event))) = tokio::time::timeout_at(until, self.events.recv()).await else {
                if is_over {
                    return Ok(());
                }
                bail!(late("Bob did not get the message, or his answer did not come"))
            };
            if let Event::Trace { id, node, peer, step, at_ms } = event {
                if step == TraceStep::Originated && index == self.alice_index() && course.packet.is_none() {
                    course.packet = Some(id.clone());
                }
                course.journeys.entry(id).or_default().add(Step { at_ms, node, peer, step });
            } else if let Event::Session(SessionEvent { person, change, .. }) = event {
                self.heard(course, &person, change, number).await?;
            }
        }
    }

    /// Something happened in the session: Bob answers what he hears.
    async fn heard(&self, course: &mut Course, person: &str, change: SessionChange, number: u64) -> anyhow::Result<()> {
        let is_alice = person == self.alice_person.key;
        if let SessionChange::Said { message, .. } = change {
            if is_alice {
                course.answered = Some(Heard::now(message.body));
            } else if person == self.bob_person.key {
                course.opened = Some(Heard::now(message.body));
                let answered = self.bob_person.say(&self.session, ANSWER.to_owned()).await;
                answered.map_err(reach::failure)?;
            }
        } else if let SessionChange::State { number: of, state: MessageState::Delivered } = change
            && is_alice
            && of == number
        {
            course.delivered = Some(Instant::now());
        }
        Ok(())
    }

    /// What each node of the region, apart from Alice's own, did between two looks at it.
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
        let others = self.region_nodes().into_iter().filter(|index| *index != self.alice_index());
        others.map(look).filter(|look| look.scanned > 0 || look.opened > 0).collect()
    }
}

impl Heard {
    fn now(body: Body) -> Heard {
        let said = match body {
            Body::Text(text) => text,
            Body::Base64(digits) => digits,
        };
        Heard { said, at: Instant::now() }
    }
}

fn late(what: &str) -> Failure {
    Failure::new(Exit::TimedOut, format!("{what} within {ARRIVAL_MAX:?}")).next("the nodes' logs, with RUST_LOG=debug")
}

impl Letter {
    /// The story, for people.
    pub(crate) fn tell(&self, stage: &Stage, output: &Output) -> String {
        let Result { region_nodes, arrived, transmissions, quoted, quoted_nodes, opened_ms, answered_ms, .. } =
            &self.result;
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
             {opened_ms} ms, {verdict}: {}\n  {}    heard Bob's answer after {answered_ms} ms, and with it that he has her \
             message: {}",
            output.bold("cost"),
            output.bold("spread"),
            self.journey.spread_ms(),
            output.bold("others"),
            if others.is_empty() { "nobody else".to_owned() } else { others.join(", ") },
            if others.len() == 1 { "its copy" } else { "their copies" },
            output.bold("Bob "),
            output.green(format!("“{}”", printable(&self.said))),
            output.bold("Alice "),
            output.green(format!("“{}”", printable(&self.answer))),
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
