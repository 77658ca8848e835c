//! `session`: what is said, between two or in a group.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use mainframe_sdk::{
    Body, Event, EventStream, MessageState, Said, Say, Session, SessionChange, SessionEvent, SessionKind,
    SessionMessage,
};
use tokio::time::Instant;

use super::acquaintance::{Acquaintance, Names, short};
use super::listen::printable;
use super::send;
use super::status::duration;
use crate::cli::{self, Global, Progress, SessionCommand};
use crate::failure::{Exit, Failure};
use crate::output::{Output, line, table};
use crate::reach;
use crate::wall_time::now_ms;

/// Bytes read from standard input: more than a message may have, so that the node can say by how much it is too long.
const INPUT_MAX: u64 = 256 * 1_024;
/// Messages asked for at once.
const PAGE: usize = 200;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, refuses, or knows no such session.
pub(crate) async fn run(global: &Global, wanted: &cli::Session, output: &Output) -> anyhow::Result<()> {
    let me = Acquaintance::of(global, &wanted.me).await?;
    match &wanted.command {
        SessionCommand::List => list(&me, output).await,
        SessionCommand::Show { session } => {
            let (session, names) = (me.session(session).await?, me.names().await?);
            output.result(&session, || description(&session, &names))
        }
        SessionCommand::Members { session } => {
            let (session, names) = (me.session(session).await?, me.names().await?);
            output.result(&session.members, || members_text(&session, &names))
        }
        SessionCommand::Say { session, text, wait } => say(&me, session, text.as_deref(), *wait, output).await,
        SessionCommand::Read { session, after, unmarked } => {
            let session = me.session(session).await?;
            let mut reader = SessionReader::new(&me, session, *after, !unmarked, *output).await?;
            reader.catch_up().await
        }
        SessionCommand::Listen { session, count, all, unmarked } => {
            // Before the session is looked at, so that nothing is said between the two.
            let events = reach::answer(global, me.client.events(None)).await?;
            let session = me.session_to_come(session).await?;
            let after = if *all { 0 } else { session.last_sequence };
            let mut reader = SessionReader::new(&me, session, after, !unmarked, *output).await?;
            reader.listen(events, *count).await
        }
        SessionCommand::TakeBack { session, place } => {
            let session = me.session(session).await?;
            reach::answer(global, me.client.take_back(me.identity(), &session.id, *place)).await
        }
        SessionCommand::Renew { session } => {
            let session = me.session(session).await?;
            reach::answer(global, me.client.renew_session(me.identity(), &session.id)).await
        }
    }
}

async fn list(me: &Acquaintance<'_>, output: &Output) -> anyhow::Result<()> {
    let (sessions, names) = (me.sessions().await?, me.names().await?);
    output.result(&sessions, || {
        if sessions.is_empty() {
            return "no session yet: mainframe contact add CARD".to_owned();
        }
        let row = |session: &Session| {
            let kind = match session.kind {
                SessionKind::Pair => "of two".to_owned(),
                SessionKind::Group => format!("group of {}", session.members.len()),
            };
            let said = format!("{} said", session.last_sequence);
            vec![names.of_session(session), short(&session.id), kind, said]
        };
        table(&sessions.iter().map(row).collect::<Vec<_>>())
    })
}

fn description(session: &Session, names: &Names) -> String {
    let members: Vec<String> = session.members.iter().map(|member| names.of(&member.key)).collect();
    let confirmed = match session.unconfirmed_since_ms {
        None => "confirmed by everybody".to_owned(),
        Some(since_ms) => format!("unconfirmed for {}", duration(now_ms().saturating_sub(since_ms))),
    };
    let hold = format!("{:?}", session.hold).to_lowercase();
    let rows = [
        ["session", &session.id],
        ["with", &names.of_session(session)],
        ["members", &members.join(", ")],
        ["written to", &format!("{} (held: {hold})", session.regions.join(" "))],
        ["keys", &format!("epoch {}, {confirmed}", session.epoch)],
        ["said", &format!("{} messages, {} of ours not everybody has", session.last_sequence, session.undelivered)],
    ];
    table(&rows.map(|row| row.map(str::to_owned).to_vec()))
}

fn members_text(session: &Session, names: &Names) -> String {
    let row = |member: &mainframe_sdk::Member| {
        let devices: Vec<&str> = member.devices.iter().map(|device| device.name.as_str()).collect();
        let admin = if member.is_admin { "admin" } else { "" };
        vec![names.of(&member.key), short(&member.key), devices.join(" "), admin.to_owned()]
    };
    table(&session.members.iter().map(row).collect::<Vec<_>>())
}

async fn say(
    me: &Acquaintance<'_>,
    name: &str,
    text: Option<&str>,
    wait: Option<Progress>,
    output: &Output,
) -> anyhow::Result<()> {
    let session = if wait.is_some() { me.session_to_come(name).await? } else { me.session(name).await? };
    let body = Body::from_bytes(send::text(text, INPUT_MAX)?);
    let request = Say { body, stream: 0, kind: 0 };
    let said = reach::answer(me.global, me.client.say(me.identity(), &session.id, &request)).await?;
    if let Some(progress) = wait {
        reached(me, &session.id, said, progress).await?;
    }
    output.result(&said, || format!("said, at place {}", said.sequence))
}

/// Waits until a message is so far.
async fn reached(me: &Acquaintance<'_>, session: &str, said: Said, wanted: Progress) -> anyhow::Result<()> {
    let check = async || {
        let asked = me.client.session_message(me.identity(), session, said.sequence);
        let Some(state) = reach::answer(me.global, asked).await?.message.state else { return Ok(None) };
        if state.is_failure() {
            bail!(Failure::new(Exit::Failed, format!("the message was given up: {state:?}")));
        }
        Ok((rank(state) >= rank_of(wanted)).then_some(()))
    };
    me.wait(&format!("it was not {wanted:?}").to_lowercase(), check).await
}

fn rank(state: MessageState) -> u8 {
    match state {
        MessageState::Queued | MessageState::GaveUp | MessageState::Left | MessageState::Cancelled => 0,
        MessageState::Sent | MessageState::Held => 1,
        MessageState::Delivered => 2,
        MessageState::Read => 3,
    }
}

fn rank_of(progress: Progress) -> u8 {
    match progress {
        Progress::Sent => 1,
        Progress::Delivered => 2,
        Progress::Read => 3,
    }
}

/// Prints what is said in a session, each message once and in order.
struct SessionReader<'a> {
    me: &'a Acquaintance<'a>,
    session: Session,
    names: Names,
    seen: u64,
    /// Messages of others that were printed.
    heard: u64,
    marks: bool,
    output: Output,
}

impl<'a> SessionReader<'a> {
    async fn new(
        me: &'a Acquaintance<'a>,
        session: Session,
        after: u64,
        marks: bool,
        output: Output,
    ) -> anyhow::Result<SessionReader<'a>> {
        let names = me.names().await?;
        Ok(SessionReader { me, session, names, seen: after, heard: 0, marks, output })
    }

    /// Prints everything that was said since.
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let mut last_of: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            let asked = self.me.client.session_messages(self.me.identity(), &self.session.id, self.seen, PAGE);
            let page = reach::answer(self.me.global, asked).await?;
            for message in &page.messages {
                self.show(message)?;
                if self.is_of_another(message) {
                    last_of.insert(message.device.clone(), message.sequence);
                }
            }
            self.seen = page.next_after;
            if page.end {
                break;
            }
        }
        for sequence in last_of.into_values() {
            self.mark(sequence).await?;
        }
        Ok(())
    }

    /// Prints what is said, until there were so many messages of others.
    async fn listen(&mut self, mut events: EventStream, count: Option<u64>) -> anyhow::Result<()> {
        let deadline = count.map(|_| Instant::now() + Duration::from_secs_f64(self.me.global.timeout));
        self.catch_up().await?;
        while count.is_none_or(|count| self.heard < count) {
            let event = match deadline {
                None => events.next().await,
                Some(deadline) => tokio::time::timeout_at(deadline, events.next()).await.map_err(|_| {
                    let why = format!("{} messages within {} s", self.heard, self.me.global.timeout);
                    Failure::new(Exit::TimedOut, why)
                })?,
            };
            match event {
                None => bail!(Failure::new(Exit::NotRunning, "the node has stopped")),
                Some(Err(error)) => bail!(reach::failure(error)),
                Some(Ok(Event::Missed { .. })) => self.catch_up().await?,
                Some(Ok(Event::Session(event))) if event.session == self.session.id => self.take(event).await?,
                Some(Ok(_)) => {}
            }
        }
        Ok(())
    }

    async fn take(&mut self, event: SessionEvent) -> anyhow::Result<()> {
        match event.change {
            SessionChange::Said { message, .. } if message.sequence > self.seen => {
                self.seen = message.sequence;
                self.show(&message)?;
                if self.is_of_another(&message) {
                    self.mark(message.sequence).await?;
                }
            }
            SessionChange::Left { by } => {
                let by = self.names.of(&by);
                bail!(Failure::new(Exit::NotFound, format!("this is no session of yours any more: {by} ended it")))
            }
            SessionChange::Members { .. } => self.names = self.me.names().await?,
            SessionChange::Lost { first, last, device } => {
                self.output.note(format!("  messages {first} to {last} of device {device} did not come"));
            }
            SessionChange::Stranded => {
                self.output.note(
                    "  this device was alone for too long and was left behind; a conversation of two begins anew by itself, into a group an admin lets you by removing and adding you",
                );
            }
            SessionChange::Outdated => self.output.note(
                "  this device was restored from an old copy: others have heard more from it than it remembers, so it only reads here",
            ),
            SessionChange::Equivocated { device } => {
                self.output.note(format!("  device {device} told some one thing and others another"));
            }
            SessionChange::Began { .. }
            | SessionChange::Said { .. }
            | SessionChange::State { .. }
            | SessionChange::ReadThrough { .. }
            | SessionChange::ReadElsewhere { .. }
            | SessionChange::Refused { .. } => {}
        }
        Ok(())
    }

    fn show(&mut self, message: &SessionMessage) -> anyhow::Result<()> {
        self.heard += u64::from(self.is_of_another(message));
        if self.output.json {
            return line(&serde_json::to_string(message)?);
        }
        let author = message.author.as_ref().map_or_else(|| short(&message.device), |author| self.names.of(author));
        let text = match &message.body {
            _ if message.withdrawn => "(taken back)".to_owned(),
            // No line of it looks like somebody else's.
            Body::Text(text) => printable(text).replace('\n', "\n    "),
            Body::Base64(digits) => format!("(no text; base64) {digits}"),
        };
        line(&format!("{} {text}", self.output.cyan(format!("[{author}]"))))
    }

    fn is_of_another(&self, message: &SessionMessage) -> bool {
        message.author.as_deref() != Some(self.me.identity())
    }

    async fn mark(&self, sequence: u64) -> anyhow::Result<()> {
        if !self.marks {
            return Ok(());
        }
        reach::answer(self.me.global, self.me.client.mark_read(self.me.identity(), &self.session.id, sequence)).await
    }
}
