//! What the key file holds: the node's own secrets, and the keys of the people and topics it opens messages for, each
//! with the principal it belongs to.

use mainframe_base::{ScanKey, Secret, TopicKey};
use mainframe_core::crypto::{NodeKeys, PersonKeys};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::random;

/// A person of this node.
#[derive(Clone)]
pub(crate) struct PersonEntry {
    pub(crate) name: String,
    pub(crate) principal: String,
    pub(crate) scan_key: ScanKey,
    pub(crate) secret: Secret<32>,
}

impl PersonEntry {
    /// A person with these keys.
    pub(crate) fn new(name: String, principal: String, keys: &PersonKeys) -> PersonEntry {
        PersonEntry { name, principal, scan_key: keys.scan_key(), secret: keys.secret().clone() }
    }

    /// The person's keys, for the endpoint half.
    pub(crate) fn keys(&self) -> PersonKeys {
        PersonKeys::from_secret(self.secret.clone())
    }
}

/// A topic this node reads.
#[derive(Clone, Debug)]
pub(crate) struct TopicEntry {
    pub(crate) name: String,
    pub(crate) principal: String,
    pub(crate) key: TopicKey,
}

/// Everything the key file holds.
#[derive(Clone)]
pub(crate) struct Keyring {
    pub(crate) chain: Secret<32>,
    pub(crate) link: Secret<32>,
    pub(crate) persons: Vec<PersonEntry>,
    pub(crate) topics: Vec<TopicEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    chain: String,
    link: String,
    persons: Vec<WrittenKey>,
    topics: Vec<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    name: String,
    principal: String,
    secret: String,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.chain.zeroize();
        self.link.zeroize();
        self.persons.iter_mut().chain(&mut self.topics).for_each(|key| key.secret.zeroize());
    }
}

impl Keyring {
    /// A new node with nobody on it.
    pub(crate) fn generate() -> Keyring {
        let keys = NodeKeys::generate(&mut random::generator());
        Keyring { chain: keys.chain_secret(), link: keys.link_secret(), persons: Vec::new(), topics: Vec::new() }
    }

    /// The node's own keys.
    pub(crate) fn node_keys(&self) -> Option<NodeKeys> {
        NodeKeys::from_secrets(self.chain.clone(), self.link.clone())
    }

    /// As the file holds it.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let person = |entry: &PersonEntry| written(&entry.name, &entry.principal, entry.secret.expose());
        let topic = |entry: &TopicEntry| written(&entry.name, &entry.principal, &entry.key.0);
        let written = Written {
            chain: hex::encode(self.chain.expose()),
            link: hex::encode(self.link.expose()),
            persons: self.persons.iter().map(person).collect(),
            topics: self.topics.iter().map(topic).collect(),
        };
        Zeroizing::new(serde_json::to_vec(&written).expect("plain text always has a JSON form"))
    }

    /// Reads what [`Keyring::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Keyring> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let person = |key: &WrittenKey| {
            let keys = PersonKeys::from_secret(secret(&key.secret)?);
            Some(PersonEntry::new(key.name.clone(), key.principal.clone(), &keys))
        };
        let topic = |key: &WrittenKey| {
            let secret = TopicKey(*secret(&key.secret)?.expose());
            Some(TopicEntry { name: key.name.clone(), principal: key.principal.clone(), key: secret })
        };
        let keyring = Keyring {
            chain: secret(&written.chain)?,
            link: secret(&written.link)?,
            persons: written.persons.iter().map(person).collect::<Option<_>>()?,
            topics: written.topics.iter().map(topic).collect::<Option<_>>()?,
        };
        keyring.node_keys().is_some().then_some(keyring)
    }
}

fn written(name: &str, principal: &str, secret: &[u8; 32]) -> WrittenKey {
    WrittenKey { name: name.to_owned(), principal: principal.to_owned(), secret: hex::encode(secret) }
}

fn secret(digits: &str) -> Option<Secret<32>> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *bytes).ok()?;
    Some(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_comes_back_from_its_bytes() {
        let mut keyring = Keyring::generate();
        let keys = PersonKeys::generate(&mut random::generator());
        keyring.persons.push(PersonEntry::new("bob".into(), "owner".into(), &keys));
        keyring.topics.push(TopicEntry { name: "news".into(), principal: "p".into(), key: TopicKey([7; 32]) });
        let again = Keyring::decode(&keyring.encode()).unwrap();
        assert_eq!(again.persons[0].scan_key, keys.scan_key());
        assert_eq!(again.topics[0].key, TopicKey([7; 32]));
        assert_eq!(*again.encode(), *keyring.encode());
        assert!(Keyring::decode(b"{}").is_none());
    }
}
