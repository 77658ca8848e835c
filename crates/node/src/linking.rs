//! How a person comes to this node from another device: by a code that another device answers, or from a file.
//!
//! The steps of both are written down one after the other, and each can be done twice: first the key file knows the person,
//! then the endpoint half gets to know what they have, and only then is the link forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainframe_base::{IdentityKey, Luminosity, Prefix, Secret, Time};
use mainframe_core::crypto::{Identity, InvitationSecret, LinkCode, hours_of};
use mainframe_core::session::contact::Account;
use mainframe_core::session::{self, DeviceFact, Order, SessionEvent, Waiting};
use mainframe_core::switchboard::{EndpointCommand, EndpointReply};
use mainframe_sdk::{Link, Person};
use tokio::sync::broadcast::error::RecvError;

use crate::api::{Api, Failure};
use crate::desk::{Answer, News};
use crate::keyring::{Keyring, LinkEntry, PersonEntry, card_name};
use crate::people::{People, check_name};
use crate::{device, random};

/// For how many hours a code holds: one at least, since it ends with an hour.
const CODE_HOURS: u32 = 2;
const HOUR_MS: u64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(10);
const NOT_LINKED: &str = "the device was not linked";

/// Why the last letter to a link did not answer its code.
pub(crate) type Refusals = std::sync::Mutex<BTreeMap<IdentityKey, String>>;

impl LinkEntry {
    /// The name of the link.
    pub(crate) fn id(&self) -> IdentityKey {
        Identity::from_secrets(&self.keys).key()
    }

    /// What the endpoint half needs to know.
    pub(crate) fn waiting(&self, overlay: &mainframe_base::Address) -> Waiting {
        Waiting {
            keys: Identity::from_secrets(&self.keys),
            device: device::key(&self.device),
            secret: InvitationSecret::from_bytes(*self.secret.expose()),
            expires_hours: self.expires_hours,
            region: Prefix::of(overlay, self.luminosity),
        }
    }

    fn code(&self, overlay: &mainframe_base::Address) -> LinkCode {
        let Waiting { keys, device, secret, expires_hours, region } = self.waiting(overlay);
        LinkCode { scan_key: keys.scan_key(), region, device, name: card_name(&self.name), secret, expires_hours }
    }
}

/// Finishes links as their accounts come, until the node stops.
pub(crate) async fn follow(api: Arc<Api>) {
    let (mut news, mut stopping) = (api.desk.listen(), api.stopping.subscribe());
    api.people.settle_links().await;
    loop {
        let heard = tokio::select! {
            heard = news.recv() => heard,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match heard {
            Ok(news) => {
                if let News::Person(link, event) = &*news
                    && let SessionEvent::Device(fact) = &**event
                {
                    api.people.link_told(*link, fact).await;
                }
            }
            Err(RecvError::Lagged(_)) => api.people.settle_links().await,
            Err(RecvError::Closed) => return,
        }
    }
}

impl People {
    /// Makes a code for a person of another device, and waits for them.
    pub(crate) async fn start_link(
        &self,
        name: Option<String>,
        principal: String,
        luminosity: Luminosity,
    ) -> Result<Link, Failure> {
        let name = name.unwrap_or_else(device::name);
        check_name(&name)?;
        let entry = LinkEntry {
            name,
            principal,
            luminosity,
            expires_hours: hours_of(self.clock.now()) + CODE_HOURS,
            keys: Identity::generate(&mut random::generator()).secrets(),
            device: Secret::new(random::bytes()),
            secret: Secret::new(random::bytes()),
        };
        let _alone = self.changing.lock().await;
        let mut keyring = self.read().clone();
        keyring.links.push(entry.clone());
        let waiting = Box::new(entry.waiting(&self.overlay));
        self.change(keyring, Some(EndpointCommand::AwaitAccount(waiting))).await?;
        let code = entry.code(&self.overlay).reveal().to_string();
        Ok(Link { code: Some(code), ..self.link(&entry) })
    }

    /// The links of a principal that wait, or everyone's.
    pub(crate) fn links(&self, principal: Option<&str>) -> Vec<Link> {
        let keyring = self.read();
        let mine = keyring.links.iter().filter(|entry| principal.is_none_or(|name| name == entry.principal));
        mine.map(|entry| self.link(entry)).collect()
    }

    /// Takes a code back.
    pub(crate) async fn stop_link(&self, id: &str, principal: Option<&str>) -> Result<(), Failure> {
        let _alone = self.changing.lock().await;
        let keyring = self.read().clone();
        let mut mine = keyring.links.iter().filter(|entry| principal.is_none_or(|name| name == entry.principal));
        let found = mine.find(|entry| entry.id().to_string() == id).map(LinkEntry::id);
        let id = found.ok_or_else(|| Failure::not_found("there is no such code, or it was answered"))?;
        self.forget_link(keyring, id).await
    }

    fn link(&self, entry: &LinkEntry) -> Link {
        let refusals = self.refusals.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Link {
            id: entry.id().to_string(),
            device: device::key(&entry.device).to_string(),
            device_name: card_name(&entry.name).to_string(),
            code: None,
            expires_ms: u64::from(entry.expires_hours) * HOUR_MS,
            refused: refusals.get(&entry.id()).cloned(),
        }
    }

    async fn link_told(&self, link: IdentityKey, fact: &DeviceFact) {
        match fact {
            DeviceFact::Linked | DeviceFact::LinkExpired => self.settle_links().await,
            DeviceFact::NotLinked(why) => {
                let mut refusals = self.refusals.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if self.read().links.iter().any(|entry| entry.id() == link) {
                    refusals.insert(link, why.clone());
                }
            }
            DeviceFact::Added(..) | DeviceFact::NotAdded(_) | DeviceFact::Revoked(_) => {}
        }
    }

    /// Goes on with every link whose account is here, and forgets those whose code has expired.
    pub(crate) async fn settle_links(&self) {
        let _alone = self.changing.lock().await;
        let links = self.read().links.clone();
        for entry in links {
            let settled = match self.account_for(entry.id()).await {
                Ok(Some(account)) => self.finish_link(&entry, &account).await,
                Ok(None) if is_over(&entry, self.clock.now()) => {
                    let keyring = self.read().clone();
                    self.forget_link(keyring, entry.id()).await
                }
                Ok(None) => Ok(()),
                Err(failure) => Err(failure),
            };
            if let Err(Failure(error)) = settled {
                tracing::warn!(%error, "a new device could not be linked");
            }
        }
    }

    async fn account_for(&self, link: IdentityKey) -> Result<Option<Arc<Account>>, Failure> {
        let asked = self.desk.ask_endpoint(EndpointCommand::AccountFor(link), None, PATIENCE).await;
        let reply = asked.map_err(|none| Failure::no_answer(NOT_LINKED, none))?;
        let Answer::Endpoint(EndpointReply::Person(Ok(answer))) = reply else { return Ok(None) };
        let session::Answer::Account(account) = *answer else { return Ok(None) };
        Ok(Some(account))
    }

    async fn finish_link(&self, entry: &LinkEntry, account: &Account) -> Result<(), Failure> {
        let key = device::key(&entry.device);
        let identity = account.belongings.card.identity();
        let lives_here = {
            let keyring = self.read();
            keyring.persons.iter().find(|person| person.identity == identity).map(PersonEntry::device_key)
        };
        match lives_here {
            Some(other) if other != key => {
                let why = "the person lives on this node already".to_owned();
                tracing::warn!(why, "{NOT_LINKED}");
            }
            Some(_) => self.receive(account).await?,
            None => {
                let certificate = account.belongings.certificate_of(&key);
                let name = certificate.map_or_else(|| entry.name.clone(), |it| it.name.to_string());
                let device = entry.device.clone();
                self.settle(account, entry.principal.clone(), device, name).await?;
            }
        }
        let keyring = self.read().clone();
        self.forget_link(keyring, entry.id()).await
    }

    async fn forget_link(&self, mut keyring: Keyring, id: IdentityKey) -> Result<(), Failure> {
        keyring.links.retain(|entry| entry.id() != id);
        self.refusals.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&id);
        self.change(keyring, Some(EndpointCommand::StopAwaiting(id))).await
    }

    /// A person of a file lives here from now on, on a new device of theirs.
    pub(crate) async fn restore(
        &self,
        account: &Account,
        principal: String,
        device_name: Option<String>,
    ) -> Result<Person, Failure> {
        let name = device_name.unwrap_or_else(device::name);
        check_name(&name)?;
        let _alone = self.changing.lock().await;
        let identity = account.belongings.card.identity();
        let found = self.read().persons.iter().find(|person| person.identity == identity).cloned();
        match found {
            // What was begun before power failed is gone on with.
            Some(entry) if entry.principal == principal => {
                self.receive(account).await?;
                Ok(self.person(&entry, entry.luminosity))
            }
            Some(_) => Err(Failure::conflict("this person lives on this node already, with somebody else".to_owned())),
            None => self.settle(account, principal, Secret::new(random::bytes()), name).await,
        }
    }

    async fn settle(
        &self,
        account: &Account,
        principal: String,
        device: Secret<32>,
        device_name: String,
    ) -> Result<Person, Failure> {
        let mut keyring = self.read().clone();
        let name = free_name(&keyring, account.belongings.card.body().name.as_str(), &principal);
        let entry = PersonEntry::of_account(name, principal, account, device, device_name);
        keyring.persons.push(entry.clone());
        let persona = Box::new(entry.persona(&self.overlay, self.clock.now()));
        self.change(keyring, Some(EndpointCommand::AddPersona(persona))).await?;
        self.receive(account).await?;
        Ok(self.person(&entry, entry.luminosity))
    }

    async fn receive(&self, account: &Account) -> Result<(), Failure> {
        let belongings = Box::new(account.belongings.clone());
        let order = EndpointCommand::Order(belongings.card.identity(), Order::Receive(belongings));
        match self.desk.ask_endpoint(order, None, PATIENCE).await {
            Ok(Answer::Endpoint(EndpointReply::Person(Err(unable)))) => Err(Failure::unable(unable)),
            Ok(_) => Ok(()),
            Err(none) => Err(Failure::no_answer("the person is here, but not their sessions yet", none)),
        }
    }
}

fn is_over(entry: &LinkEntry, now: Time) -> bool {
    hours_of(now) >= entry.expires_hours
}

/// The name on the card, as it can be used here: one principal calls no two people alike.
fn free_name(keyring: &Keyring, name: &str, principal: &str) -> String {
    let wanted = if check_name(name).is_ok() { name } else { "somebody" };
    let is_taken = |name: &str| keyring.persons.iter().any(|it| it.name == name && it.principal == principal);
    let numbered = (2..).map(|number| format!("{wanted} {number}"));
    std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !is_taken(name)).expect("numbers do not end")
}
