//! What the key file holds: the node's own secrets, the key of its store, and the keys of the people and topics it opens
//! messages for, each with the principal it belongs to.
//!
//! Files of earlier versions held of a person the scan secret alone, and no key of the store. They are read, what they
//! lack is drawn, and they are written anew: an address that was given away goes on working.

use mainframe_base::{Address, DeviceKey, IdentityKey, Luminosity, Prefix, ScanKey, Secret, Time, TopicKey};
use mainframe_core::crypto::{Identity, Name, NodeKeys, PersonAddress, Presence, Region, hours_of};
use mainframe_core::session::Persona;
use mainframe_core::session::contact::Account;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{device, random};

/// Bytes of a name on a card: with the longest region there is, a card has room for no more.
const CARD_NAME_MAX: usize = 54;
/// For how long a card says that its person listens where he does: a year, as long as the card holds.
const REGION_HOURS: u32 = 365 * 24;

type IdentitySecrets = Secret<{ Identity::SECRETS_LENGTH }>;

/// A person of this node.
#[derive(Clone)]
pub(crate) struct PersonEntry {
    pub(crate) name: String,
    pub(crate) principal: String,
    pub(crate) identity: IdentityKey,
    pub(crate) scan_key: ScanKey,
    /// How many bits of the node's position their address and card tell.
    pub(crate) luminosity: Luminosity,
    secrets: IdentitySecrets,
    device: Secret<32>,
    device_name: String,
    /// Where the person listens, as another device of theirs chose it; empty for this node's position.
    places: Vec<Prefix>,
}

impl PersonEntry {
    /// A new person.
    pub(crate) fn generate(
        name: String,
        principal: String,
        luminosity: Luminosity,
        device_name: Option<String>,
    ) -> PersonEntry {
        let secrets = Identity::generate(&mut random::generator()).secrets();
        let device = Secret::new(random::bytes());
        PersonEntry::new(name, principal, secrets, device, device_name.unwrap_or_else(device::name), luminosity)
    }

    /// A person who lived elsewhere before, on a device with this key. They go on listening where their card says.
    pub(crate) fn of_account(
        name: String,
        principal: String,
        account: &Account,
        device: Secret<32>,
        device_name: String,
    ) -> PersonEntry {
        let body = account.belongings.card.body();
        let secrets = account.secrets.clone();
        let mut entry = PersonEntry::new(name, principal, secrets, device, device_name, body.luminosity_floor);
        entry.places = body.regions.iter().map(|region| region.prefix).collect();
        entry
    }

    fn new(
        name: String,
        principal: String,
        secrets: IdentitySecrets,
        device: Secret<32>,
        device_name: String,
        luminosity: Luminosity,
    ) -> PersonEntry {
        let person = Identity::from_secrets(&secrets);
        let (identity, scan_key) = (person.key(), person.scan_key());
        let places = Vec::new();
        PersonEntry { name, principal, identity, scan_key, luminosity, secrets, device, device_name, places }
    }

    /// Whether this is the person's identity key or scan key, in digits.
    pub(crate) fn is_called(&self, key: &str) -> bool {
        self.identity.to_string() == key || self.scan_key.to_string() == key
    }

    /// Where the person is written to, telling so many bits of the node's position.
    pub(crate) fn address(&self, overlay: &Address, luminosity: Luminosity) -> PersonAddress {
        let place = self.places.first().map_or(*overlay, Prefix::first_address);
        let darkest = self.places.first().map_or(luminosity, |place| place.luminosity().min(luminosity));
        PersonAddress { scan_key: self.scan_key, region: Prefix::of(&place, darkest) }
    }

    /// The key of this device in sessions.
    pub(crate) fn device_key(&self) -> DeviceKey {
        device::key(&self.device)
    }

    /// What this device is called in sessions.
    pub(crate) fn device_name(&self) -> Name {
        card_name(&self.device_name)
    }

    /// All the endpoint half needs to know.
    pub(crate) fn persona(&self, overlay: &Address, now: Time) -> Persona {
        let until_hours = hours_of(now).saturating_add(REGION_HOURS);
        let here = [Prefix::of(overlay, self.luminosity)];
        let places = if self.places.is_empty() { &here[..] } else { &self.places[..] };
        let region = |prefix: &Prefix| Region { prefix: *prefix, presence: Presence::Resident, until_hours };
        Persona {
            identity: Identity::from_secrets(&self.secrets),
            device: self.device.clone(),
            device_name: self.device_name(),
            name: card_name(&self.name),
            regions: places.iter().map(region).collect(),
            luminosity_floor: self.luminosity,
        }
    }
}

/// The name as a card has room for it: cut where a character ends, and without those a name may not have.
pub(crate) fn card_name(name: &str) -> Name {
    let plain = name.chars().filter(|letter| Name::new(letter.encode_utf8(&mut [0; 4])).is_some());
    let mut short = String::new();
    for letter in plain {
        if short.len() + letter.len_utf8() > CARD_NAME_MAX {
            break;
        }
        short.push(letter);
    }
    Name::new(&short).expect("each of its letters is fit for a name, and it is short")
}

/// A topic this node reads.
#[derive(Clone, Debug)]
pub(crate) struct TopicEntry {
    pub(crate) name: String,
    pub(crate) principal: String,
    pub(crate) key: TopicKey,
}

/// A device of somebody who is not known here yet: it has shown a code, and waits for their account.
#[derive(Clone)]
pub(crate) struct LinkEntry {
    /// What the device would like to be called.
    pub(crate) name: String,
    pub(crate) principal: String,
    pub(crate) luminosity: Luminosity,
    pub(crate) expires_hours: u32,
    /// Keys drawn for the one letter that answers.
    pub(crate) keys: IdentitySecrets,
    pub(crate) device: Secret<32>,
    /// What the code tells.
    pub(crate) secret: Secret<32>,
}

/// Everything the key file holds.
#[derive(Clone)]
pub(crate) struct Keyring {
    pub(crate) chain: Secret<32>,
    pub(crate) link: Secret<32>,
    /// What the endpoint half's store is sealed with.
    pub(crate) store: Secret<32>,
    pub(crate) persons: Vec<PersonEntry>,
    pub(crate) links: Vec<LinkEntry>,
    pub(crate) topics: Vec<TopicEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    chain: String,
    link: String,
    #[serde(default)]
    store: String,
    persons: Vec<WrittenPerson>,
    #[serde(default)]
    links: Vec<WrittenLink>,
    topics: Vec<WrittenTopic>,
}

/// `secret` holds the identity's secrets, or in an earlier version's file the scan secret, and then nothing follows it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPerson {
    name: String,
    principal: String,
    secret: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    device_name: String,
    #[serde(default)]
    luminosity: Option<u16>,
    #[serde(default)]
    places: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLink {
    name: String,
    principal: String,
    luminosity: u16,
    expires_hours: u32,
    keys: String,
    device: String,
    secret: String,
}

impl Drop for WrittenLink {
    fn drop(&mut self) {
        [&mut self.keys, &mut self.device, &mut self.secret].into_iter().for_each(Zeroize::zeroize);
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTopic {
    name: String,
    principal: String,
    secret: String,
}

impl Drop for Written {
    fn drop(&mut self) {
        [&mut self.chain, &mut self.link, &mut self.store].into_iter().for_each(Zeroize::zeroize);
        self.persons.iter_mut().flat_map(|person| [&mut person.secret, &mut person.device]).for_each(Zeroize::zeroize);
        self.topics.iter_mut().for_each(|topic| topic.secret.zeroize());
    }
}

impl Keyring {
    /// A new node with nobody on it.
    pub(crate) fn generate() -> Keyring {
        let keys = NodeKeys::generate(&mut random::generator());
        Keyring {
            chain: keys.chain_secret(),
            link: keys.link_secret(),
            store: Secret::new(random::bytes()),
            persons: Vec::new(),
            links: Vec::new(),
            topics: Vec::new(),
        }
    }

    /// The node's own keys.
    pub(crate) fn node_keys(&self) -> Option<NodeKeys> {
        NodeKeys::from_secrets(self.chain.clone(), self.link.clone())
    }

    /// As the file holds it.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let topic = |entry: &TopicEntry| WrittenTopic {
            name: entry.name.clone(),
            principal: entry.principal.clone(),
            secret: hex::encode(entry.key.0),
        };
        let written = Written {
            chain: hex::encode(self.chain.expose()),
            link: hex::encode(self.link.expose()),
            store: hex::encode(self.store.expose()),
            persons: self.persons.iter().map(WrittenPerson::of).collect(),
            links: self.links.iter().map(WrittenLink::of).collect(),
            topics: self.topics.iter().map(topic).collect(),
        };
        Zeroizing::new(serde_json::to_vec(&written).expect("plain text always has a JSON form"))
    }

    /// Reads what [`Keyring::encode`] wrote, of this or an earlier version; and whether it was an earlier one, so that what
    /// was drawn here has to be written before it is used.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Keyring, bool)> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let topic = |topic: &WrittenTopic| {
            let key = TopicKey(*secret::<32>(&topic.secret)?.expose());
            Some(TopicEntry { name: topic.name.clone(), principal: topic.principal.clone(), key })
        };
        let is_earlier = written.store.is_empty() || written.persons.iter().any(WrittenPerson::is_earlier);
        let store = if written.store.is_empty() { Secret::new(random::bytes()) } else { secret(&written.store)? };
        let keyring = Keyring {
            chain: secret(&written.chain)?,
            link: secret(&written.link)?,
            store,
            persons: written.persons.iter().map(WrittenPerson::read).collect::<Option<_>>()?,
            links: written.links.iter().map(WrittenLink::read).collect::<Option<_>>()?,
            topics: written.topics.iter().map(topic).collect::<Option<_>>()?,
        };
        keyring.node_keys().is_some().then_some((keyring, is_earlier))
    }
}

impl WrittenPerson {
    fn of(entry: &PersonEntry) -> WrittenPerson {
        WrittenPerson {
            name: entry.name.clone(),
            principal: entry.principal.clone(),
            secret: hex::encode(entry.secrets.expose()),
            device: hex::encode(entry.device.expose()),
            device_name: entry.device_name.clone(),
            luminosity: Some(entry.luminosity.bits()),
            places: entry.places.iter().map(Prefix::to_string).collect(),
        }
    }

    fn is_earlier(&self) -> bool {
        self.device.is_empty()
    }

    fn read(&self) -> Option<PersonEntry> {
        let (name, principal) = (self.name.clone(), self.principal.clone());
        if self.is_earlier() {
            return Some(PersonEntry::of_scan_secret(name, principal, &secret(&self.secret)?));
        }
        let luminosity = Luminosity::new(self.luminosity?)?;
        let (secrets, device) = (secret(&self.secret)?, secret(&self.device)?);
        let mut entry = PersonEntry::new(name, principal, secrets, device, self.device_name.clone(), luminosity);
        entry.places = self.places.iter().map(|place| place.parse().ok()).collect::<Option<_>>()?;
        Some(entry)
    }
}

impl WrittenLink {
    fn of(entry: &LinkEntry) -> WrittenLink {
        WrittenLink {
            name: entry.name.clone(),
            principal: entry.principal.clone(),
            luminosity: entry.luminosity.bits(),
            expires_hours: entry.expires_hours,
            keys: hex::encode(entry.keys.expose()),
            device: hex::encode(entry.device.expose()),
            secret: hex::encode(entry.secret.expose()),
        }
    }

    fn read(&self) -> Option<LinkEntry> {
        Some(LinkEntry {
            name: self.name.clone(),
            principal: self.principal.clone(),
            luminosity: Luminosity::new(self.luminosity)?,
            expires_hours: self.expires_hours,
            keys: secret(&self.keys)?,
            device: secret(&self.device)?,
            secret: secret(&self.secret)?,
        })
    }
}

impl PersonEntry {
    /// A person of whom an earlier version kept the scan secret only, with an identity that is new. Their addresses told
    /// all of the node's position unless somebody wanted fewer bits, and which they were was not kept.
    fn of_scan_secret(name: String, principal: String, scan: &Secret<32>) -> PersonEntry {
        let drawn = PersonEntry::generate(name, principal, Luminosity::FULL, None);
        let mut secrets = Zeroizing::new(*drawn.secrets.expose());
        secrets[32..64].copy_from_slice(scan.expose());
        let PersonEntry { name, principal, device, device_name, luminosity, .. } = drawn;
        PersonEntry::new(name, principal, Secret::new(*secrets), device, device_name, luminosity)
    }
}

fn secret<const N: usize>(digits: &str) -> Option<Secret<N>> {
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode_to_slice(digits, &mut *bytes).ok()?;
    Some(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::crypto::PersonKeys;

    fn person(name: &str) -> PersonEntry {
        PersonEntry::generate(name.into(), "owner".into(), Luminosity::at_most(3), None)
    }

    #[test]
    fn a_keyring_comes_back_from_its_bytes() {
        let mut keyring = Keyring::generate();
        keyring.persons.push(person("bob"));
        keyring.persons[0].places = vec!["0110".parse().unwrap()];
        let secrets = || Identity::generate(&mut random::generator()).secrets();
        keyring.links.push(LinkEntry {
            name: "tablet".into(),
            principal: "owner".into(),
            luminosity: Luminosity::at_most(3),
            expires_hours: 500_000,
            keys: secrets(),
            device: Secret::new([1; 32]),
            secret: Secret::new([2; 32]),
        });
        keyring.topics.push(TopicEntry { name: "news".into(), principal: "p".into(), key: TopicKey([7; 32]) });
        let (again, is_earlier) = Keyring::decode(&keyring.encode()).unwrap();
        assert!(!is_earlier);
        let of = |keyring: &Keyring| {
            let bob = &keyring.persons[0];
            (bob.identity, bob.scan_key, bob.luminosity, bob.places.clone())
        };
        assert_eq!(of(&again), of(&keyring));
        assert_eq!(again.topics[0].key, TopicKey([7; 32]));
        assert_eq!(*again.encode(), *keyring.encode());
        assert!(Keyring::decode(b"{}").is_none());
    }

    #[test]
    fn a_file_of_the_first_version_keeps_its_scan_keys_and_gets_what_it_lacks() {
        let (keys, scan) = (NodeKeys::generate(&mut random::generator()), Secret::new([9; 32]));
        let first = serde_json::json!({
            "chain": hex::encode(keys.chain_secret().expose()), "link": hex::encode(keys.link_secret().expose()),
            "persons": [{"name": "bob", "principal": "owner", "secret": hex::encode(scan.expose())}], "topics": [],
        });
        let (keyring, is_earlier) = Keyring::decode(first.to_string().as_bytes()).unwrap();
        assert!(is_earlier);
        assert_eq!(keyring.persons[0].scan_key, PersonKeys::from_secret(scan).scan_key());
        let (again, is_earlier) = Keyring::decode(&keyring.encode()).unwrap();
        assert!(!is_earlier, "what was drawn is kept");
        assert_eq!(again.persons[0].identity, keyring.persons[0].identity);
        assert_eq!(again.store.expose(), keyring.store.expose());
    }

    #[test]
    fn a_person_whose_secrets_are_cut_short_is_not_read() {
        let mut keyring = Keyring::generate();
        keyring.persons.push(person("bob"));
        let text = String::from_utf8(keyring.encode().to_vec()).unwrap();
        let secret = hex::encode(keyring.persons[0].secrets.expose());
        assert!(Keyring::decode(text.replace(&secret, &secret[..64]).as_bytes()).is_none());
    }

    #[test]
    fn every_name_finds_room_on_a_card() {
        let names = [("李雷", "李雷"), ("evil\u{202E}txt", "eviltxt")];
        for (name, expected) in names {
            assert_eq!(card_name(name).as_str(), expected);
        }
        let long = PersonEntry::generate("é".repeat(64), "owner".into(), Luminosity::FULL, None);
        let persona = long.persona(&Address([7; 32]), Time(1_795_334_400_000));
        let (issued_hours, regions) = (hours_of(Time(1_795_334_400_000)), persona.regions);
        let body = mainframe_core::crypto::CardBody {
            luminosity_floor: persona.luminosity_floor,
            regions,
            issued_hours,
            expires_hours: issued_hours + 1,
            name: persona.name,
        };
        assert!(mainframe_core::crypto::Card::sign(&persona.identity, body).is_ok());
    }
}
