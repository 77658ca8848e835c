//! `listen`: prints messages as they are opened.

use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use mainframe_base::{Address, Prefix};
use mainframe_sdk::{AddTopic, Body, Client, Event, Message, Reader};

use super::{person, topic};
use crate::cli::{Global, Listen};
use crate::failure::{Exit, Failure};
use crate::output::{Output, line};
use crate::reach;
use crate::signals::Signals;

/// Whose messages are printed.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Wanted {
    Everyones,
    Person(String),
    Topic(String),
}

/// Runs the command.
///
/// # Errors
/// If the node does not answer or goes away, or fewer messages came in time than were asked for.
pub(crate) async fn run(global: &Global, flags: &Listen, output: &Output) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let client = reach::client(global)?;
    let wanted = wanted(global, &client, flags).await?;
    if let Some(prefix) = flags.prefix {
        check_region(global, &client, prefix, &wanted).await?;
    }
    tokio::select! {
        result = print(global, &client, flags, &wanted, output) => result,
        () = signals.stop() => Ok(()),
    }
}

async fn print(
    global: &Global,
    client: &Client,
    flags: &Listen,
    wanted: &Wanted,
    output: &Output,
) -> anyhow::Result<()> {
    let after = if flags.all { Some(0) } else { None };
    let mut events = reach::answer(global, client.events(after)).await?;
    output.note("  listening; Ctrl-C stops");
    let patience = flags.count.map(|_| Duration::from_secs_f64(global.timeout));
    let deadline = patience.map(|patience| tokio::time::Instant::now() + patience);
    let mut printed = 0;
    while flags.count.is_none_or(|count| printed < count) {
        let event = match deadline {
            None => events.next().await,
            Some(deadline) => match tokio::time::timeout_at(deadline, events.next()).await {
                Ok(event) => event,
                Err(_) => {
                    bail!(Failure::new(Exit::TimedOut, format!("{printed} messages within {} s", global.timeout)))
                }
            },
        };
        match event {
            None => bail!(Failure::new(Exit::NotRunning, "the node has stopped")),
            Some(Err(error)) => bail!(reach::failure(error)),
            Some(Ok(Event::Message(message))) if wanted.includes(&message) => {
                show(&message, output)?;
                printed += 1;
            }
            Some(Ok(Event::Missed { events })) => {
                output.note(format!("  {events} events were missed; mainframe listen --all shows what is kept"));
            }
            Some(Ok(_)) => {}
        }
    }
    Ok(())
}

fn show(message: &Message, output: &Output) -> anyhow::Result<()> {
    if output.json {
        return line(&serde_json::to_string(message)?);
    }
    let text = match &message.body {
        Body::Text(text) => printable(text),
        Body::Base64(digits) => format!("(no text; base64) {digits}"),
    };
    line(&format!("{} {text}", output.cyan(format!("[{}]", reader(&message.reader)))))
}

/// Text for a terminal: what others wrote must not steer it.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{FFFD}' } else { c };
    text.chars().map(shown).collect()
}

fn reader(reader: &Reader) -> &str {
    match reader {
        Reader::Person { key, name } => name.as_deref().unwrap_or(&key[..8]),
        Reader::Topic { fingerprint, name } => name.as_deref().unwrap_or(&fingerprint[..8]),
    }
}

impl Wanted {
    fn includes(&self, message: &Message) -> bool {
        match (self, &message.reader) {
            (Wanted::Everyones, _) => true,
            (Wanted::Person(wanted), Reader::Person { key, .. }) => wanted == key,
            (Wanted::Topic(wanted), Reader::Topic { fingerprint, .. }) => wanted == fingerprint,
            (Wanted::Person(_), Reader::Topic { .. }) | (Wanted::Topic(_), Reader::Person { .. }) => false,
        }
    }
}

async fn wanted(global: &Global, client: &Client, flags: &Listen) -> anyhow::Result<Wanted> {
    match (&flags.person, &flags.topic) {
        (Some(name), _) => Ok(Wanted::Person(person::key_of(global, client, name).await?)),
        (None, Some(key)) if key.starts_with("mft:") => {
            let name = format!("listen-{}", std::process::id());
            let added = reach::answer(global, client.add_topic(&AddTopic::with_key(name, key.as_str()))).await?;
            Ok(Wanted::Topic(added.fingerprint))
        }
        (None, Some(name)) => Ok(Wanted::Topic(topic::find(global, client, name).await?.fingerprint)),
        (None, None) => Ok(Wanted::Everyones),
    }
}

/// A node gets the cells of its own regions only.
async fn check_region(global: &Global, client: &Client, prefix: Prefix, wanted: &Wanted) -> anyhow::Result<()> {
    if *wanted == Wanted::Everyones {
        bail!(
            Failure::new(
                Exit::Usage,
                format!("{prefix} names a region, not a reader: without a key nothing can be opened")
            )
            .next("add --person NAME or --topic mft:…")
        );
    }
    let overlay = reach::answer(global, client.status()).await?.relay.overlay;
    if overlay.parse::<Address>().is_ok_and(|overlay| !prefix.matches(&overlay)) {
        bail!(
            Failure::new(
                Exit::Usage,
                format!("this node ({}…) lies outside {prefix}: its packets do not come here", &overlay[..8])
            )
            .next("listen on a node of that region, or let senders use a region this node lies in")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\u{FFFD}[2Jb\nc");
        assert_eq!(printable("你好"), "你好");
    }
}
