//! People of the demo and of benchmarks: each on a node of its own, contacts of each other.

use std::time::Duration;

use anyhow::{Context, bail};
use mainframe_sdk::{AddContact, AddPerson, Client, Say, Session, SessionMessage, Standing};
use tokio::time::Instant;

use crate::failure::{Exit, Failure};
use crate::reach;

/// How often it is looked whether two people are contacts yet.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long that usually may take: a greeting that is lost is sent again after ten minutes only, and a local network loses
/// none.
pub(crate) const BEFRIENDING_MAX: Duration = Duration::from_secs(60);
/// Messages in one look at a session.
const PAGE: usize = 1_000;

/// A person on a node.
#[derive(Clone, Debug)]
pub(crate) struct Somebody {
    /// Speaks to the node.
    pub(crate) client: Client,
    /// Their identity key.
    pub(crate) key: String,
    /// Where a packet reaches them that belongs to no session.
    pub(crate) address: String,
}

impl Somebody {
    /// A new person whose place tells so many bits.
    ///
    /// # Errors
    /// If the node refuses.
    pub(crate) async fn on(client: &Client, name: &str, luminosity: u16) -> anyhow::Result<Somebody> {
        let request = AddPerson { luminosity: Some(luminosity), ..AddPerson::named(name) };
        let person = client.add_person(&request).await.map_err(reach::failure)?;
        Ok(Somebody { client: client.clone(), key: person.identity, address: person.address })
    }

    /// Becomes another's contact; returns the name of the session of the two.
    ///
    /// # Errors
    /// If a node refuses, or it takes too long.
    pub(crate) async fn befriend(&self, other: &Somebody, patience: Duration) -> anyhow::Result<String> {
        let card = other.client.card(&other.key).await.map_err(reach::failure)?.text;
        self.client.add_contact(&self.key, &AddContact::by(card, "hello")).await.map_err(reach::failure)?;
        let deadline = Instant::now() + patience;
        let mut accepted = false;
        loop {
            let standings = [self.standing(other).await?, other.standing(self).await?];
            if standings == [Some(Standing::Together); 2] {
                return self.session_with(other).await;
            }
            if !accepted && standings[1] == Some(Standing::Asked) {
                other.client.accept_contact(&other.key, &self.key).await.map_err(reach::failure)?;
                accepted = true;
            }
            if Instant::now() > deadline {
                let why = format!("two people share no session after {} s: {standings:?}", patience.as_secs());
                bail!(Failure::new(Exit::TimedOut, why).next("the nodes' logs, with RUST_LOG=debug"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn standing(&self, other: &Somebody) -> anyhow::Result<Option<Standing>> {
        let contacts = self.client.contacts(&self.key).await.map_err(reach::failure)?;
        Ok(contacts.into_iter().find(|contact| contact.key == other.key).map(|contact| contact.standing))
    }

    async fn session_with(&self, other: &Somebody) -> anyhow::Result<String> {
        let contacts = self.client.contacts(&self.key).await.map_err(reach::failure)?;
        let contact = contacts.into_iter().find(|contact| contact.key == other.key);
        contact.and_then(|contact| contact.session).context("two contacts without a session")
    }

    /// Says a text; returns as the how manieth message it is kept.
    ///
    /// # Errors
    /// As the node says.
    pub(crate) async fn say(&self, session: &str, text: String) -> Result<u64, mainframe_sdk::Error> {
        self.client.say(&self.key, session, &Say::text(text)).await.map(|said| said.number)
    }

    /// How a session stands here.
    ///
    /// # Errors
    /// As the node says.
    pub(crate) async fn session(&self, session: &str) -> Result<Session, mainframe_sdk::Error> {
        self.client.session(&self.key, session).await
    }

    /// What stands in a session here after a place, to its end.
    ///
    /// # Errors
    /// As the node says.
    pub(crate) async fn read(
        &self,
        session: &str,
        mut after: u64,
    ) -> Result<Vec<SessionMessage>, mainframe_sdk::Error> {
        let mut messages = Vec::new();
        loop {
            let page = self.client.session_messages(&self.key, session, after, PAGE).await?;
            after = page.next_after;
            messages.extend(page.messages);
            if page.end {
                return Ok(messages);
            }
        }
    }
}
