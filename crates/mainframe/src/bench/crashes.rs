//! `bench crashes`: two people talk while their nodes are killed again and again; is anything lost, doubled, out of order, or
//! sealed under a key that was used before?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::bail;
use mainframe_sdk::{Body, SessionMessage};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::scene::{Scene, Stage};
use super::sessions::{body, number};
use super::witness::{Seen, Witness};
use crate::cli::{BenchCrashes, Global};
use crate::output::Output;
use crate::reach;
use crate::somebody::{BEFRIENDING_MAX, Somebody};

/// Requests of one person at a time.
const REQUESTS: u64 = 8;
/// A node is killed at a moment of one of these spans after a burst began: while messages are said and come, or until the last
/// of them was acknowledged (ledger: acknowledgements are held back for 0.3 to 1 s).
const SPANS_MS: [u64; 2] = [120, 1_200];
/// Bytes of a message.
const BYTES: usize = 1_024;
/// How long everything may take to arrive after the last kill: what is unacknowledged is sent again, later each time.
const SETTLING_MAX: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Serialize, Debug)]
struct Report {
    kills: u64,
    /// Messages, half of them by each.
    messages: u64,
    /// Messages whose sender's node was killed before it answered: looked up when it was back, and said then if they were not
    /// kept.
    unanswered: u64,
    /// Of those so many had been kept.
    unanswered_kept: u64,
    /// Messages a node had said it keeps, and did not.
    forgotten: u64,
    lost: u64,
    doubled: u64,
    out_of_order: u64,
    /// Cells of sessions that a relay between the two saw, each counted once.
    cells: u64,
    /// Tags that were on two cells: a link of a chain that was used twice.
    tags_used_twice: u64,
    /// Tags and ephemeral bytes that were on two cells: a key and a nonce that were used twice.
    keys_used_twice: u64,
    /// From the first message until each was acknowledged.
    seconds: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If the network does not come up, or a node does not start again.
pub(crate) async fn run(global: &Global, wanted: &BenchCrashes, output: &Output) -> anyhow::Result<()> {
    let scene = Scene { name: "crashes", relays: 2, guests: 2 };
    let report = scene.play(global, output, async |stage| play(wanted, stage, output).await).await?;
    output.result(&report, || text(&report))
}

/// What one of the two has said so far.
#[derive(Default, Debug)]
struct Said {
    next: u64,
    /// Numbers of messages the node said it keeps.
    kept: BTreeSet<u64>,
    unanswered: u64,
    unanswered_kept: u64,
}

/// One of the two, each on the guest of the same number.
#[derive(Debug)]
struct Speaker {
    person: Somebody,
    said: Said,
    total: u64,
}

async fn play(wanted: &BenchCrashes, stage: &mut Stage<'_>, output: &Output) -> anyhow::Result<Report> {
    let [alice, bob] = stage.guests(["alice", "bob"]).await?;
    let witness = Witness::join(stage.relay_nodes()).await?;
    let session = alice.befriend(&bob, BEFRIENDING_MAX).await?;
    let total = wanted.messages / 2;
    let mut speakers = [alice, bob].map(|person| Speaker { person, said: Said::default(), total });
    let mut rng = ChaCha20Rng::seed_from_u64(wanted.seed);
    let began = Instant::now();
    for kill in 0..wanted.kills {
        let until = total * (kill + 1) / wanted.kills;
        burst(&mut speakers, &session, until, stage, Some(&mut rng)).await?;
        if (kill + 1) % 10 == 0 {
            output.note(format!("  {} of {} kills", kill + 1, wanted.kills));
        }
    }
    // What the last kill left unsaid.
    burst(&mut speakers, &session, total, stage, None).await?;
    settle(&speakers, &session).await?;
    let seconds = began.elapsed().as_secs_f64();
    let seen = witness.seen();
    report(wanted, &speakers, &session, seen, seconds).await
}

/// Both say what they have to say up to a number, while one of the nodes is killed, and started again.
async fn burst(
    speakers: &mut [Speaker; 2],
    session: &str,
    until: u64,
    stage: &mut Stage<'_>,
    rng: Option<&mut ChaCha20Rng>,
) -> anyhow::Result<()> {
    let [first, second] = speakers;
    let (first, second) = (say_up_to(first, session, until), say_up_to(second, session, until));
    let killed = async {
        let Some(rng) = rng else { return Ok(None) };
        let (victim, span) = ((rng.next_u64() % 2) as usize, (rng.next_u64() % 2) as usize);
        let at_ms = rng.next_u64() % SPANS_MS[span];
        tokio::time::sleep(Duration::from_millis(at_ms)).await;
        stage.guest(victim).process.kill().await?;
        anyhow::Ok(Some(victim))
    };
    let (first, second, killed) = tokio::join!(first, second, killed);
    first?;
    second?;
    let Some(victim) = killed? else { return Ok(()) };
    stage.guest(victim).start_again().await?;
    let speaker = &mut speakers[victim];
    speaker.person.client = stage.guest(victim).client.clone();
    look_up(speaker, session).await
}

/// Says the next messages, several at a time, until a number is reached or the node is gone.
async fn say_up_to(speaker: &mut Speaker, session: &str, until: u64) -> anyhow::Result<()> {
    let mut requests = JoinSet::new();
    let mut is_gone = false;
    loop {
        while !is_gone && speaker.said.next < until.min(speaker.total) && (requests.len() as u64) < REQUESTS {
            let (person, session, number) = (speaker.person.clone(), session.to_owned(), speaker.said.next);
            speaker.said.next += 1;
            requests.spawn(async move { (number, person.say(&session, body(number, BYTES)).await) });
        }
        let Some(ended) = requests.join_next().await else { return Ok(()) };
        match ended? {
            (number, Ok(_)) => drop(speaker.said.kept.insert(number)),
            (_, Err(mainframe_sdk::Error::Api(error))) => bail!(error),
            // Whether it was kept is found out when the node is back.
            (_, Err(_)) => is_gone = true,
        }
    }
}

/// Finds out which of the unanswered messages were kept, and says the others.
async fn look_up(speaker: &mut Speaker, session: &str) -> anyhow::Result<()> {
    let unanswered: BTreeSet<u64> =
        (0..speaker.said.next).filter(|number| !speaker.said.kept.contains(number)).collect();
    if unanswered.is_empty() {
        return Ok(());
    }
    let own = own_numbers(&speaker.person.read(session, 0).await.map_err(reach::failure)?);
    speaker.said.unanswered += unanswered.len() as u64;
    for number in unanswered {
        if own.contains(&number) {
            speaker.said.unanswered_kept += 1;
        } else {
            speaker.person.say(session, body(number, BYTES)).await.map_err(reach::failure)?;
        }
        speaker.said.kept.insert(number);
    }
    Ok(())
}

/// Waits until nothing of either is unacknowledged.
async fn settle(speakers: &[Speaker; 2], session: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLING_MAX;
    for Speaker { person, .. } in speakers {
        loop {
            let open = person.session(session).await.map_err(reach::failure)?.undelivered;
            if open == 0 {
                break;
            }
            if Instant::now() > deadline {
                bail!("{open} messages are unacknowledged after {SETTLING_MAX:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

async fn report(
    wanted: &BenchCrashes,
    speakers: &[Speaker; 2],
    session: &str,
    seen: Seen,
    seconds: f64,
) -> anyhow::Result<Report> {
    let mut report = Report {
        kills: wanted.kills,
        messages: speakers.iter().map(|speaker| speaker.total).sum(),
        unanswered: speakers.iter().map(|speaker| speaker.said.unanswered).sum(),
        unanswered_kept: speakers.iter().map(|speaker| speaker.said.unanswered_kept).sum(),
        forgotten: 0,
        lost: 0,
        doubled: 0,
        out_of_order: 0,
        cells: seen.cells,
        tags_used_twice: seen.tags_used_twice,
        keys_used_twice: seen.keys_used_twice,
        seconds,
    };
    for (from, to) in [(0, 1), (1, 0)] {
        let here = speakers[from].person.read(session, 0).await.map_err(reach::failure)?;
        let there = speakers[to].person.read(session, 0).await.map_err(reach::failure)?;
        let own = own_numbers(&here);
        report.forgotten += speakers[from].said.kept.iter().filter(|number| !own.contains(number)).count() as u64;
        let heard = Heard::of(&there, speakers[from].total);
        report.lost += heard.lost;
        report.doubled += heard.doubled;
        report.out_of_order += heard.out_of_order;
    }
    Ok(report)
}

/// What somebody has of what the other one said.
#[derive(PartialEq, Eq, Debug)]
struct Heard {
    lost: u64,
    doubled: u64,
    out_of_order: u64,
}

impl Heard {
    /// Of a session's messages, and how many the other one said.
    fn of(messages: &[SessionMessage], total: u64) -> Heard {
        let theirs = messages.iter().filter(|message| message.state.is_none());
        let (mut times, mut last, mut out_of_order) = (BTreeMap::<u64, u64>::new(), 0, 0);
        for message in theirs {
            if let Some(number) = number_of(message) {
                *times.entry(number).or_default() += 1;
                // In the order in which its author's device said it.
                out_of_order += u64::from(message.number <= last);
                last = message.number;
            }
        }
        let there = times.keys().filter(|number| **number < total).count() as u64;
        Heard { lost: total - there, doubled: times.values().map(|times| times - 1).sum(), out_of_order }
    }
}

/// Numbers of the messages this device itself said.
fn own_numbers(messages: &[SessionMessage]) -> BTreeSet<u64> {
    messages.iter().filter(|message| message.state.is_some()).filter_map(number_of).collect()
}

fn number_of(message: &SessionMessage) -> Option<u64> {
    match &message.body {
        Body::Text(text) => number(text),
        Body::Base64(_) => None,
    }
}

fn text(report: &Report) -> String {
    format!(
        "{} messages while nodes were killed {} times: {} lost, {} doubled, {} out of order, {} forgotten by their sender\n\
         {} had no answer when their node was killed; {} of these had been kept\n\
         {} cells on the way: {} tags and {} keys were used twice\n\
         {:.0} s until everything was acknowledged",
        report.messages,
        report.kills,
        report.lost,
        report.doubled,
        report.out_of_order,
        report.forgotten,
        report.unanswered,
        report.unanswered_kept,
        report.cells,
        report.tags_used_twice,
        report.keys_used_twice,
        report.seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64, said: u64) -> SessionMessage {
        SessionMessage {
            sequence: number,
            author: None,
            device: String::new(),
            number,
            said_ms: 0,
            came_ms: None,
            stream: 0,
            kind: 0,
            withdrawn: false,
            body: Body::text(body(said, 10)),
            state: None,
            hindrance: None,
        }
    }

    #[test]
    fn what_is_missing_double_or_out_of_order_is_counted() {
        let well = [message(1, 0), message(2, 2), message(3, 1)];
        assert_eq!(Heard::of(&well, 3), Heard { lost: 0, doubled: 0, out_of_order: 0 });
        let badly = [message(1, 0), message(3, 2), message(2, 2)];
        assert_eq!(Heard::of(&badly, 3), Heard { lost: 1, doubled: 1, out_of_order: 1 });
    }
}
