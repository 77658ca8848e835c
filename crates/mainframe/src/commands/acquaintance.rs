//! How people and sessions are named on the command line, and how they are waited for.

use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use mainframe_sdk::{Client, Contact, Event, EventStream, Person, Session, SessionKind, Standing};
use tokio::time::Instant;

use crate::cli::{Global, Me};
use crate::failure::{Exit, Failure};
use crate::reach;

/// Beginnings of keys as short as that are no use: any name of hexadecimal digits would be one.
const BEGINNING_MIN: usize = 4;

/// A person of the node, at the command line.
pub(crate) struct Acquaintance<'a> {
    pub(crate) global: &'a Global,
    pub(crate) client: Client,
    pub(crate) person: Person,
}

impl<'a> Acquaintance<'a> {
    /// The person the flag names, or the only one there is.
    pub(crate) async fn of(global: &'a Global, me: &Me) -> anyhow::Result<Acquaintance<'a>> {
        Acquaintance::named(global, me.name.as_deref()).await
    }

    /// The person of that name, or the only one there is.
    pub(crate) async fn named(global: &'a Global, name: Option<&str>) -> anyhow::Result<Acquaintance<'a>> {
        let client = reach::client(global)?;
        let persons = reach::answer(global, client.persons(None)).await?.persons;
        Ok(Acquaintance { global, client, person: choose(persons, name)? })
    }

    /// The person's identity key.
    pub(crate) fn identity(&self) -> &str {
        &self.person.identity
    }

    /// Everybody the person knows, or who would like to be known.
    pub(crate) async fn contacts(&self) -> anyhow::Result<Vec<Contact>> {
        reach::answer(self.global, self.client.contacts(self.identity())).await
    }

    /// The key of the contact that is named so.
    pub(crate) async fn contact(&self, name: &str) -> anyhow::Result<String> {
        let contacts = self.contacts().await?;
        Ok(one_contact(&contacts, name)?.key.clone())
    }

    /// The person's sessions.
    pub(crate) async fn sessions(&self) -> anyhow::Result<Vec<Session>> {
        Ok(reach::answer(self.global, self.client.sessions(self.identity())).await?.sessions)
    }

    /// The session that is named so.
    pub(crate) async fn session(&self, name: &str) -> anyhow::Result<Session> {
        let (sessions, contacts) = (self.sessions().await?, self.contacts().await?);
        match one_session(&sessions, &contacts, name)? {
            Some(session) => Ok(session.clone()),
            None => bail!(unknown_session(name)),
        }
    }

    /// The same, waited for if it is not there yet.
    pub(crate) async fn session_to_come(&self, name: &str) -> anyhow::Result<Session> {
        let check = async || {
            let (sessions, contacts) = (self.sessions().await?, self.contacts().await?);
            Ok(one_session(&sessions, &contacts, name)?.cloned())
        };
        self.wait(&format!("no session is called {name:?}"), check).await
    }

    /// Waits until there is something, looking again with every event, at most `--timeout`.
    pub(crate) async fn wait<T>(
        &self,
        missing: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + Duration::from_secs_f64(self.global.timeout);
        let mut events = reach::answer(self.global, self.client.events(None)).await?;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if tokio::time::timeout_at(deadline, next_of_people(&mut events)).await.is_err() {
                let why = format!("{missing} within {} s", self.global.timeout);
                bail!(Failure::new(Exit::TimedOut, why).next("a longer --timeout; the other one may be away"));
            }
        }
    }

    /// How people are called here: by the names on their cards, as far as they are known.
    pub(crate) async fn names(&self) -> anyhow::Result<Names> {
        Ok(Names { me: self.person.clone(), contacts: self.contacts().await? })
    }
}

/// Waits for news of contacts and sessions. After the end of the stream there is none, and the deadline ends the wait.
async fn next_of_people(events: &mut EventStream) {
    loop {
        match events.next().await {
            Some(Ok(Event::Contact(_) | Event::Session(_) | Event::Device(_) | Event::Missed { .. })) => return,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => std::future::pending().await,
        }
    }
}

/// What people are called.
pub(crate) struct Names {
    me: Person,
    contacts: Vec<Contact>,
}

impl Names {
    /// The name of somebody, or the beginning of the key.
    pub(crate) fn of(&self, key: &str) -> String {
        if key == self.me.identity {
            return self.me.name.clone();
        }
        let contact = self.contacts.iter().find(|contact| contact.key == key);
        contact.and_then(|contact| contact.name.clone()).unwrap_or_else(|| short(key))
    }

    /// What a session is called: the group's name, or the other one's.
    pub(crate) fn of_session(&self, session: &Session) -> String {
        match session.kind {
            SessionKind::Group => session.name.clone(),
            SessionKind::Pair => {
                let other = session.members.iter().find(|member| member.key != self.me.identity);
                other.map_or_else(|| "(nobody yet)".to_owned(), |member| self.of(&member.key))
            }
        }
    }
}

/// The beginning of a key, for people.
pub(crate) fn short(key: &str) -> String {
    key.get(..8).unwrap_or(key).to_owned()
}

fn choose(mut persons: Vec<Person>, name: Option<&str>) -> anyhow::Result<Person> {
    match (name, persons.len()) {
        (Some(name), _) => match persons.into_iter().find(|person| person.name == name || person.identity == name) {
            Some(person) => Ok(person),
            None => bail!(
                Failure::new(Exit::NotFound, format!("nobody on this node is called {name:?}"))
                    .next("mainframe id list, or mainframe id new NAME")
            ),
        },
        (None, 0) => bail!(Failure::new(Exit::NotFound, "nobody lives on this node yet").next("mainframe id new NAME")),
        (None, 1) => Ok(persons.remove(0)),
        (None, _) => {
            let names: Vec<String> = persons.into_iter().map(|person| person.name).collect();
            bail!(
                Failure::new(Exit::Usage, format!("several people live on this node: {}", names.join(", ")))
                    .next("say which one speaks: --as NAME (or NAME after `id …`)")
            )
        }
    }
}

/// Those of whom a text is the key, else the name, else the beginning of the key.
pub(super) fn matching<'a, T>(
    all: &'a [T],
    text: &str,
    key: impl Fn(&T) -> &str,
    name: impl Fn(&T) -> Option<&str>,
) -> Vec<&'a T> {
    let of = |test: &dyn Fn(&T) -> bool| all.iter().filter(|one| test(one)).collect::<Vec<_>>();
    let (exact, named) = (of(&|one| key(one) == text), of(&|one| name(one) == Some(text)));
    let begins = |one: &T| text.len() >= BEGINNING_MIN && key(one).starts_with(text);
    [exact, named].into_iter().find(|found| !found.is_empty()).unwrap_or_else(|| of(&begins))
}

/// The only contact that is named so.
pub(crate) fn one_contact<'a>(contacts: &'a [Contact], name: &str) -> anyhow::Result<&'a Contact> {
    match matching(contacts, name, |contact| &contact.key, |contact| contact.name.as_deref())[..] {
        [contact] => Ok(contact),
        [] => bail!(
            Failure::new(Exit::NotFound, format!("nobody you know is called {name:?}, and no key begins so"))
                .next("mainframe contact list, or mainframe contact add CARD")
        ),
        ref several => bail!(ambiguous(name, several.iter().map(|contact| short(&contact.key)))),
    }
}

fn one_session<'a>(sessions: &'a [Session], contacts: &[Contact], name: &str) -> anyhow::Result<Option<&'a Session>> {
    let group = |session: &'a Session| (session.kind == SessionKind::Group).then_some(session.name.as_str());
    let named: Vec<&Session> = sessions.iter().filter(|session| group(session) == Some(name)).collect();
    // Whoever founds a group chooses its name, and might call it as a contact of ours.
    let namesakes: Vec<&Contact> = contacts.iter().filter(|contact| contact.name.as_deref() == Some(name)).collect();
    if !named.is_empty() && !namesakes.is_empty() {
        let keys = named.iter().map(|session| short(&session.id));
        bail!(ambiguous(name, keys.chain(namesakes.iter().map(|contact| short(&contact.key)))));
    }
    let found = if named.is_empty() { matching(sessions, name, |session| &session.id, |_| None) } else { named };
    match found[..] {
        [session] => return Ok(Some(session)),
        [] => {}
        ref several => bail!(ambiguous(name, several.iter().map(|session| short(&session.id)))),
    }
    let with: Vec<&Contact> = matching(contacts, name, |contact| &contact.key, |contact| contact.name.as_deref());
    let [contact] = with[..] else {
        if with.is_empty() {
            return Ok(None);
        }
        bail!(ambiguous(name, with.iter().map(|contact| short(&contact.key))))
    };
    let pair = contact.session.as_deref().filter(|_| contact.standing == Standing::Together);
    Ok(sessions.iter().find(|session| Some(session.id.as_str()) == pair))
}

fn unknown_session(name: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("no session is called {name:?}, and with nobody of that name is there one"))
        .next("mainframe session list, or mainframe contact list")
}

pub(super) fn ambiguous(name: &str, keys: impl Iterator<Item = String>) -> Failure {
    let keys: Vec<String> = keys.collect();
    Failure::new(Exit::Usage, format!("{name:?} may be any of {}", keys.join(", "))).next("name it by its key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(key: &str, name: &str) -> Contact {
        Contact {
            key: key.repeat(32),
            name: Some(name.into()),
            standing: Standing::Together,
            session: Some("5e".repeat(16)),
            greeting: None,
            since_ms: 0,
            blocked: false,
            gave_up: false,
        }
    }

    #[test]
    fn somebody_is_named_by_key_by_its_beginning_or_by_a_name_only_one_has() {
        let contacts = [contact("ab", "alice"), contact("cd", "bob"), contact("ce", "bob"), contact("0a", "abab")];
        let found = |name: &str| one_contact(&contacts, name).map(|contact| contact.key[..2].to_owned());
        assert_eq!(found("alice").unwrap(), "ab");
        assert_eq!(found(&"cd".repeat(32)).unwrap(), "cd");
        assert_eq!(found("cdcd").unwrap(), "cd");
        assert_eq!(found("abab").unwrap(), "0a", "a name goes before the beginning of a key");
        let exit = |name: &str| crate::failure::exit_code(&found(name).unwrap_err());
        assert_eq!((exit("bob"), exit("carol"), exit("cd")), (2, 7, 7));
        assert!(found("bob").unwrap_err().to_string().contains("cdcdcdcd, cececece"));
    }

    #[test]
    fn a_group_that_is_called_as_a_contact_does_not_take_his_place() {
        let session = |id: &str, kind, name: &str| Session {
            id: id.repeat(16),
            kind,
            name: name.into(),
            members: Vec::new(),
            regions: Vec::new(),
            hold: mainframe_sdk::Hold::Day,
            epoch: 0,
            unconfirmed_since_ms: None,
            shared_topic: false,
            is_outdated: false,
            last_sequence: 0,
            undelivered: 0,
        };
        let sessions = [session("5e", SessionKind::Pair, ""), session("9f", SessionKind::Group, "alice")];
        let contacts = [contact("ab", "alice")];
        let found = |name: &str| one_session(&sessions, &contacts, name).map(|it| it.map(|it| it.id.clone()));
        assert_eq!(crate::failure::exit_code(&found("alice").unwrap_err()), 2);
        assert_eq!(found("abab").unwrap(), Some("5e".repeat(16)));
        assert_eq!(found("9f9f").unwrap(), Some("9f".repeat(16)));
    }

    #[test]
    fn who_speaks_must_be_said_where_several_live() {
        let person = |name: &str| Person {
            name: name.into(),
            identity: String::new(),
            key: String::new(),
            address: String::new(),
            principal: String::new(),
            device: String::new(),
            device_name: String::new(),
        };
        let both = vec![person("alice"), person("bob")];
        assert_eq!(choose(both.clone(), Some("bob")).unwrap().name, "bob");
        assert_eq!(choose(both[..1].to_vec(), None).unwrap().name, "alice");
        let exit = |persons, name| crate::failure::exit_code(&choose(persons, name).unwrap_err());
        assert_eq!((exit(both.clone(), None), exit(vec![], None), exit(both, Some("carol"))), (2, 7, 7));
    }
}
