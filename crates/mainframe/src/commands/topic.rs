//! `topic`: keys shared by everyone who reads a topic.

use anyhow::bail;
use mainframe_sdk::{AddTopic, Client, Topic};

use crate::cli::{self, Global};
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::reach;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, or knows no such topic.
pub(crate) async fn run(global: &Global, command: &cli::Topic, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    match command {
        cli::Topic::New { name, key } => {
            let wanted = AddTopic { name: name.clone(), key: key.clone() };
            let topic = reach::answer(global, client.add_topic(&wanted)).await?;
            output.result(&topic, || topic.key.clone().unwrap_or_default())?;
            if !output.json {
                output.note("  whoever has this key reads and writes the topic; the node tells it only now");
            }
            Ok(())
        }
        cli::Topic::List => {
            let topics = reach::answer(global, client.topics()).await?.topics;
            output.result(&topics, || {
                let row = |topic: &Topic| vec![topic.name.clone(), topic.fingerprint.clone()];
                table(&topics.iter().map(row).collect::<Vec<_>>())
            })
        }
        cli::Topic::Show { name } => {
            let topic = find(global, &client, name).await?;
            output.result(&topic, || format!("{}  fingerprint {}", topic.name, topic.fingerprint))
        }
    }
}

/// The topic of that name.
///
/// # Errors
/// If the node reads none.
pub(crate) async fn find(global: &Global, client: &Client, name: &str) -> anyhow::Result<Topic> {
    let topics = reach::answer(global, client.topics()).await?.topics;
    match topics.into_iter().find(|topic| topic.name == name) {
        Some(topic) => Ok(topic),
        None => bail!(
            Failure::new(Exit::NotFound, format!("this node reads no topic called {name:?}"))
                .next("mainframe topic list, or mainframe topic new NAME [--key mft:…]")
        ),
    }
}
