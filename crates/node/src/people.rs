//! The people and topics of this node: their keys in the key file, their owners in memory.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use mainframe_base::{Address, IdentityKey, Luminosity, Time};
use mainframe_core::crypto::{parse_topic_key, reveal_topic_key};
use mainframe_core::switchboard::{EndpointCommand, EndpointReply, OpenedBy, topic_fingerprint};
use mainframe_sdk::{Person, Topic};

use crate::api::Failure;
use crate::clock::Clock;
use crate::desk::{Answer, Desk};
use crate::key_file::KeyFile;
use crate::keyring::{Keyring, PersonEntry, TopicEntry};
use crate::linking::Refusals;
use crate::random;

/// Characters of a name.
const NAME_MAX: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);

/// Shared by the interfaces.
pub(crate) struct People {
    pub(crate) overlay: Address,
    pub(crate) clock: Arc<Clock>,
    pub(crate) desk: Arc<Desk>,
    file: KeyFile,
    keyring: RwLock<Keyring>,
    pub(crate) refusals: Refusals,
    /// One change at a time: file first, then memory, then the endpoint half.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl People {
    pub(crate) fn new(overlay: Address, clock: Arc<Clock>, desk: Arc<Desk>, file: KeyFile, keyring: Keyring) -> People {
        let (keyring, refusals, changing) = (RwLock::new(keyring), Refusals::default(), tokio::sync::Mutex::new(()));
        People { overlay, clock, desk, file, keyring, refusals, changing }
    }

    /// What the endpoint half is told before anything else.
    pub(crate) fn commands(keyring: &Keyring, overlay: &Address, now: Time) -> Vec<EndpointCommand> {
        let persons =
            keyring.persons.iter().map(|entry| EndpointCommand::AddPersona(Box::new(entry.persona(overlay, now))));
        let links = keyring.links.iter().map(|entry| EndpointCommand::AwaitAccount(Box::new(entry.waiting(overlay))));
        let topics = keyring.topics.iter().map(|entry| EndpointCommand::AddTopic(entry.key.clone()));
        persons.chain(links).chain(topics).collect()
    }

    /// The people of a principal, or everyone's; their addresses at this luminosity, or at that they were made with.
    pub(crate) fn persons(&self, principal: Option<&str>, luminosity: Option<Luminosity>) -> Vec<Person> {
        let keyring = self.read();
        let mine = keyring.persons.iter().filter(|entry| principal.is_none_or(|name| name == entry.principal));
        let mut persons: Vec<Person> =
            mine.map(|entry| self.person(entry, luminosity.unwrap_or(entry.luminosity))).collect();
        persons.sort_by(|a, b| a.name.cmp(&b.name));
        persons
    }

    /// The person of a principal, or anybody's, who has this identity key or scan key.
    pub(crate) fn identity_of(&self, key: &str, principal: Option<&str>) -> Result<IdentityKey, Failure> {
        let keyring = self.read();
        let mut mine = keyring.persons.iter().filter(|entry| principal.is_none_or(|name| name == entry.principal));
        let entry = mine.find(|entry| entry.is_called(key)).ok_or_else(unknown_person)?;
        Ok(entry.identity)
    }

    /// Whether a person is this principal's, or on this node at all.
    pub(crate) fn has(&self, identity: &IdentityKey, principal: Option<&str>) -> bool {
        let mine = |entry: &PersonEntry| principal.is_none_or(|name| name == entry.principal);
        self.read().persons.iter().any(|entry| entry.identity == *identity && mine(entry))
    }

    /// The topics of a principal, or everyone's.
    pub(crate) fn topics(&self, principal: Option<&str>) -> Vec<Topic> {
        let keyring = self.read();
        let mine = keyring.topics.iter().filter(|entry| principal.is_none_or(|name| name == entry.principal));
        let mut topics: Vec<Topic> = mine.map(|entry| topic(entry, None)).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics
    }

    /// What a key is called by a principal, or by anyone; nothing if it is none of theirs.
    pub(crate) fn name_of(&self, opened_by: &OpenedBy, principal: Option<&str>) -> Option<String> {
        let keyring = self.read();
        let mine = |owner: &str| principal.is_none_or(|name| name == owner);
        match opened_by {
            OpenedBy::Person(key) => {
                let mut mine = keyring.persons.iter().filter(|entry| mine(&entry.principal));
                mine.find(|entry| entry.scan_key == *key).map(|entry| entry.name.clone())
            }
            OpenedBy::Topic(wanted) => {
                let mut mine = keyring.topics.iter().filter(|entry| mine(&entry.principal));
                mine.find(|entry| topic_fingerprint(&entry.key) == *wanted).map(|entry| entry.name.clone())
            }
        }
    }

    /// Makes a person with a new key.
    pub(crate) async fn add_person(
        &self,
        name: String,
        principal: String,
        luminosity: Luminosity,
        device_name: Option<String>,
    ) -> Result<Person, Failure> {
        check_name(&name)?;
        device_name.as_deref().map_or(Ok(()), check_name)?;
        let _alone = self.changing.lock().await;
        let mut keyring = self.read().clone();
        if keyring.persons.iter().any(|other| other.name == name && other.principal == principal) {
            return Err(Failure::conflict(format!("a person named {name} is there already")));
        }
        let entry = PersonEntry::generate(name, principal, luminosity, device_name);
        keyring.persons.push(entry.clone());
        let persona = Box::new(entry.persona(&self.overlay, self.clock.now()));
        self.change(keyring, Some(EndpointCommand::AddPersona(persona))).await?;
        Ok(self.person(&entry, luminosity))
    }

    /// Forgets a person and its key.
    pub(crate) async fn remove_person(&self, key: &str, principal: Option<&str>) -> Result<(), Failure> {
        let _alone = self.changing.lock().await;
        let mut keyring = self.read().clone();
        let found = keyring
            .persons
            .iter()
            .position(|entry| entry.is_called(key) && principal.is_none_or(|name| name == entry.principal));
        let entry = keyring.persons.remove(found.ok_or_else(unknown_person)?);
        self.change(keyring, Some(EndpointCommand::RemovePersona(entry.identity))).await
    }

    /// Reads a topic, with the key others gave or a new one.
    pub(crate) async fn add_topic(
        &self,
        name: String,
        principal: String,
        key: Option<String>,
    ) -> Result<Topic, Failure> {
        check_name(&name)?;
        let key = match key {
            Some(text) => parse_topic_key(&text).map_err(|error| Failure::bad_request("cannot read the key", error))?,
            None => mainframe_core::crypto::generate_topic_key(&mut random::generator()),
        };
        let _alone = self.changing.lock().await;
        let mut keyring = self.read().clone();
        let mut mine = keyring.topics.iter().filter(|other| other.principal == principal);
        if mine.any(|other| other.name == name || other.key == key) {
            return Err(Failure::conflict(format!("a topic named {name}, or with that key, is there already")));
        }
        let is_first = keyring.topics.iter().all(|other| other.key != key);
        let entry = TopicEntry { name, principal, key };
        keyring.topics.push(entry.clone());
        self.change(keyring, is_first.then(|| EndpointCommand::AddTopic(entry.key.clone()))).await?;
        Ok(topic(&entry, Some(reveal_topic_key(&entry.key).to_string())))
    }

    /// Stops reading a topic and forgets its key.
    pub(crate) async fn remove_topic(&self, wanted: &str, principal: Option<&str>) -> Result<(), Failure> {
        let _alone = self.changing.lock().await;
        let mut keyring = self.read().clone();
        let found = keyring.topics.iter().position(|entry| {
            hex::encode(topic_fingerprint(&entry.key)) == wanted && principal.is_none_or(|name| name == entry.principal)
        });
        let entry = keyring.topics.remove(found.ok_or_else(|| Failure::not_found("there is no such topic"))?);
        let was_last = keyring.topics.iter().all(|other| other.key != entry.key);
        self.change(keyring, was_last.then(|| EndpointCommand::RemoveTopic(entry.key.clone()))).await
    }

    /// Writes the file, tells the endpoint half, and takes both back if it refuses.
    pub(crate) async fn change(&self, keyring: Keyring, command: Option<EndpointCommand>) -> Result<(), Failure> {
        self.write(&keyring)?;
        let told = match command {
            Some(command) => self.tell(command).await,
            None => Ok(()),
        };
        match told {
            Ok(()) => *self.keyring.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = keyring,
            Err(_) => self.write(&self.read().clone())?,
        }
        told
    }

    async fn tell(&self, command: EndpointCommand) -> Result<(), Failure> {
        match self.desk.ask_endpoint(command, None, PATIENCE).await {
            Ok(Answer::Endpoint(EndpointReply::Refused(refusal))) => {
                Err(Failure::refused("nothing was changed", refusal))
            }
            Ok(_) => Ok(()),
            Err(none) => Err(Failure::no_answer("nothing was changed", none)),
        }
    }

    fn write(&self, keyring: &Keyring) -> Result<(), Failure> {
        self.file.write(&keyring.encode()).map_err(|error| Failure::of_store(&error))
    }

    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Keyring> {
        self.keyring.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn person(&self, entry: &PersonEntry, luminosity: Luminosity) -> Person {
        Person {
            name: entry.name.clone(),
            identity: entry.identity.to_string(),
            key: entry.scan_key.to_string(),
            address: entry.address(&self.overlay, luminosity).to_string(),
            principal: entry.principal.clone(),
            device: entry.device_key().to_string(),
            device_name: entry.device_name().to_string(),
        }
    }
}

fn unknown_person() -> Failure {
    Failure::not_found("there is no such person")
}

fn topic(entry: &TopicEntry, key: Option<String>) -> Topic {
    let fingerprint = hex::encode(topic_fingerprint(&entry.key));
    Topic { name: entry.name.clone(), fingerprint, key, principal: entry.principal.clone() }
}

/// Names are shown in lists and logs: no control characters, not empty, not endless.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Failure::bad_request(
            "cannot use the name",
            format!("it must have 1 to {NAME_MAX} printable characters"),
        ));
    }
    Ok(())
}
