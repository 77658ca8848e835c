//! `send`: seals a message to a person or a topic. Nothing is ever sent that is not sealed.

use std::io::Read;

use anyhow::{Context, bail};
use mainframe_sdk as sdk;
use mainframe_sdk::{Body, SendRequest, Sent};

use crate::cli::{Global, Hold, Send};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reach;

/// Bytes read from standard input: more than the largest cell holds, so that the node can say by how much it is too long.
const INPUT_MAX: u64 = 64 * 1_024;

/// Runs the command.
///
/// # Errors
/// If there is no receiver, or the node refuses.
pub(crate) async fn run(global: &Global, wanted: &Send, output: &Output) -> anyhow::Result<()> {
    let to = receiver(wanted)?;
    let client = reach::client(global)?;
    let request = SendRequest {
        to,
        prefix: wanted.prefix.map(|prefix| prefix.to_string()),
        luminosity: wanted.luminosity,
        hold: hold(wanted.hold),
        budget: None,
        instead_of: wanted.instead_of.clone(),
        body: Body::from_bytes(text(wanted.text.as_deref(), INPUT_MAX)?),
    };
    let sent = reach::answer(global, client.send(&request)).await?;
    output.result(&sent, || describe(&sent))?;
    if wanted.hold != Hold::Live && sent.quote.region_nodes <= 1 {
        output.note(
            "  hardly any relay but the receiver's own is in that region, so nobody may hold it: reveal fewer bits",
        );
    }
    Ok(())
}

/// Whom the flags name.
fn receiver(wanted: &Send) -> anyhow::Result<String> {
    match (&wanted.to, &wanted.topic, wanted.prefix) {
        (Some(person), _, _) => Ok(person.clone()),
        (None, Some(topic), Some(_)) if topic.starts_with("mft:") => Ok(topic.clone()),
        (None, Some(topic), None) if topic.starts_with("mft:") => bail!(
            Failure::new(Exit::Usage, "a topic's key tells nothing about where its readers are")
                .next("add --prefix REGION, such as --prefix 01, or --prefix '*' for everyone (dear)")
        ),
        (None, Some(topic), _) => bail!(
            Failure::new(Exit::Usage, format!("{topic:?} is no topic's key; those begin with mft:"))
                .next("mainframe topic new NAME prints one")
        ),
        (None, None, Some(prefix)) => bail!(
            Failure::new(
                Exit::Usage,
                format!("{prefix} names a region, not a reader: nothing is ever sent that is not sealed to somebody")
            )
            .next("add --to mfp:… (a person's address) or --topic mft:… (a key you share)")
        ),
        (None, None, None) => bail!(
            Failure::new(Exit::Usage, "to whom?")
                .next("--to mfp:… (a person's address) or --topic mft:… --prefix REGION")
        ),
    }
}

/// What to say: the text itself, or standard input, of which at most `length_max` bytes are read.
///
/// # Errors
/// If standard input cannot be read.
pub(super) fn text(given: Option<&str>, length_max: u64) -> anyhow::Result<Vec<u8>> {
    match given {
        None | Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(length_max).read_to_end(&mut bytes).context("cannot read standard input")?;
            Ok(bytes)
        }
        Some(text) => Ok(text.as_bytes().to_vec()),
    }
}

pub(super) fn hold(hold: Hold) -> sdk::Hold {
    match hold {
        Hold::Live => sdk::Hold::Live,
        Hold::Hour => sdk::Hold::Hour,
        Hold::Day => sdk::Hold::Day,
        Hold::ThreeDays => sdk::Hold::ThreeDays,
    }
}

fn describe(sent: &Sent) -> String {
    let quote = &sent.quote;
    format!(
        "sent {}\nregion {} (luminosity {}): {} of about {} nodes could be the receiver; quoted {} transmissions",
        sent.id, sent.region, quote.luminosity, quote.region_nodes, quote.nodes, quote.transmissions
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(to: Option<&str>, topic: Option<&str>, prefix: Option<&str>) -> Send {
        Send {
            to: to.map(str::to_owned),
            topic: topic.map(str::to_owned),
            prefix: prefix.map(|text| text.parse().unwrap()),
            luminosity: None,
            hold: Hold::Live,
            instead_of: None,
            text: None,
        }
    }

    #[test]
    fn a_region_alone_is_no_receiver() {
        let error = receiver(&wanted(None, None, Some("01"))).unwrap_err();
        assert!(error.to_string().contains("sealed"), "{error}");
        assert!(receiver(&wanted(None, None, None)).is_err());
    }

    #[test]
    fn a_topic_needs_its_key_and_a_region() {
        assert!(receiver(&wanted(None, Some("mft:00"), None)).is_err());
        assert!(receiver(&wanted(None, Some("news"), Some("01"))).is_err());
        assert_eq!(receiver(&wanted(None, Some("mft:00"), Some("01"))).unwrap(), "mft:00");
        assert_eq!(receiver(&wanted(Some("mfp:x"), None, None)).unwrap(), "mfp:x");
    }
}
