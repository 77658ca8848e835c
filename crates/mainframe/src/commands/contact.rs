//! `contact`: whom one knows, and who would like to be known.

use std::io::Read;

use anyhow::{Context, bail};
use mainframe_sdk::{AddContact, AddedContact, Contact, Standing};

use super::acquaintance::{Acquaintance, one_contact, short};
use super::listen::printable;
use crate::cli::{self, ContactCommand, Global};
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::reach;

/// Letters of a card or an invitation, with room for what is around it.
const CARD_LENGTH_MAX: u64 = 16 * 1_024;
/// Digits of an identity key.
const KEY_DIGITS: usize = 64;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, refuses, or knows nobody of that name.
pub(crate) async fn run(global: &Global, wanted: &cli::Contact, output: &Output) -> anyhow::Result<()> {
    let me = Acquaintance::of(global, &wanted.me).await?;
    match &wanted.command {
        ContactCommand::List => {
            let contacts = me.contacts().await?;
            output.result(&contacts, || contacts_text(&contacts))
        }
        ContactCommand::Requests => {
            let contacts = me.contacts().await?;
            let asking = contacts.into_iter().filter(|contact| contact.standing == Standing::Asked && !contact.blocked);
            let requests: Vec<Contact> = asking.collect();
            output.result(&requests, || requests_text(&requests))
        }
        ContactCommand::Add { to, greeting, wait } => add(&me, to, greeting, *wait, output).await,
        ContactCommand::Accept { contact, wait } => accept(&me, contact, *wait, output).await,
        ContactCommand::Decline { contact, tell } => {
            let key = me.contact(contact).await?;
            reach::answer(global, me.client.decline_contact(me.identity(), &key, *tell)).await
        }
        ContactCommand::Block { contact } => {
            // Somebody unknown can be blocked too, by the whole key.
            let is_key = contact.len() == KEY_DIGITS && contact.bytes().all(|byte| byte.is_ascii_hexdigit());
            let key = if is_key { contact.to_lowercase() } else { me.contact(contact).await? };
            reach::answer(global, me.client.block_contact(me.identity(), &key)).await
        }
        ContactCommand::Unblock { contact } => {
            let key = me.contact(contact).await?;
            reach::answer(global, me.client.unblock_contact(me.identity(), &key)).await
        }
        ContactCommand::Remove { contact } => {
            let key = me.contact(contact).await?;
            reach::answer(global, me.client.remove_contact(me.identity(), &key)).await
        }
        ContactCommand::Verify { contact } => {
            let key = me.contact(contact).await?;
            let safety = reach::answer(global, me.client.safety(me.identity(), &key)).await?;
            output.result(&safety, || format!("{}\n{}", safety.words, safety.digits))?;
            output.note(
                "  read it to each other, by voice or side by side: if both read the same, nobody stands between",
            );
            Ok(())
        }
    }
}

async fn add(me: &Acquaintance<'_>, to: &str, greeting: &str, wait: bool, output: &Output) -> anyhow::Result<()> {
    let to = if to == "-" { from_input()? } else { to.to_owned() };
    let added = reach::answer(me.global, me.client.add_contact(me.identity(), &AddContact::by(to, greeting))).await?;
    if wait {
        let contact = together(me, &added.key).await?;
        return output.result(&contact, || format!("together with {}", called(&contact)));
    }
    output.result(&added, || format!("greeted {}; they have to accept", added.key))
}

fn from_input() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(CARD_LENGTH_MAX);
    input.read_to_string(&mut text).context("cannot read the card from standard input")?;
    Ok(text.trim().to_owned())
}

async fn accept(me: &Acquaintance<'_>, name: &str, wait: bool, output: &Output) -> anyhow::Result<()> {
    let key = if wait { asking(me, name).await? } else { me.contact(name).await? };
    reach::answer(me.global, me.client.accept_contact(me.identity(), &key)).await?;
    if wait {
        let contact = together(me, &key).await?;
        return output.result(&contact, || format!("together with {}", called(&contact)));
    }
    output.result(&AddedContact { key: key.clone() }, || format!("accepted {}; a session is being made", short(&key)))
}

/// Waits until somebody of that name asks.
async fn asking(me: &Acquaintance<'_>, name: &str) -> anyhow::Result<String> {
    let check = async || {
        let contacts = me.contacts().await?;
        let found = one_contact(&contacts, name);
        Ok(found.ok().filter(|contact| contact.standing == Standing::Asked).map(|contact| contact.key.clone()))
    };
    me.wait(&format!("nobody called {name:?} asked"), check).await
}

/// Waits until there is a session of two, or until there will be none.
async fn together(me: &Acquaintance<'_>, key: &str) -> anyhow::Result<Contact> {
    let check = async || {
        let contacts = me.contacts().await?;
        let found = contacts.into_iter().find(|contact| contact.key == key);
        let Some(contact) = found else { return Ok(None) };
        match contact.standing {
            Standing::Together => Ok(Some(contact)),
            Standing::Declined | Standing::DeclinedByUs | Standing::Ignored | Standing::Failed => {
                bail!(Failure::new(Exit::Failed, format!("it came to nothing: {}", standing(&contact))))
            }
            Standing::Known | Standing::Greeted | Standing::Asked | Standing::Underway => Ok(None),
        }
    };
    me.wait("no session was made", check).await
}

fn called(contact: &Contact) -> String {
    contact.name.clone().unwrap_or_else(|| short(&contact.key))
}

fn standing(contact: &Contact) -> &'static str {
    if contact.blocked {
        return "blocked";
    }
    match contact.standing {
        Standing::Known => "known",
        Standing::Greeted if contact.gave_up => "greeted, no answer",
        Standing::Greeted => "greeted",
        Standing::Asked => "asks (mainframe contact accept)",
        Standing::Underway => "a session is being made",
        Standing::Together => "together",
        Standing::Declined => "they declined",
        Standing::DeclinedByUs => "declined",
        Standing::Ignored => "ignored",
        Standing::Failed => "no session could be made",
    }
}

fn contacts_text(contacts: &[Contact]) -> String {
    if contacts.is_empty() {
        return "nobody yet: mainframe contact add CARD".to_owned();
    }
    let row = |contact: &Contact| vec![called(contact), short(&contact.key), standing(contact).to_owned()];
    table(&contacts.iter().map(row).collect::<Vec<_>>())
}

fn requests_text(requests: &[Contact]) -> String {
    if requests.is_empty() {
        return "nobody asks".to_owned();
    }
    let row = |contact: &Contact| {
        let greeting = contact.greeting.as_deref().map(printable).unwrap_or_default();
        vec![called(contact), short(&contact.key), greeting]
    };
    table(&requests.iter().map(row).collect::<Vec<_>>())
}
