//! People and topics whose messages the node opens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Makes a person on this node (`POST persons`, scope `persons`); it belongs to the token's principal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddPerson {
    /// A name of 1 to 64 characters. It stands on the person's card, as far as there is room (54 bytes).
    pub name: String,
    /// How many bits of this node's position the person's address and card tell: 0..=254 or 256. By default all, and on a guest as
    /// many as the relays near it cover: nobody would hand it what is sent to more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub luminosity: Option<u16>,
    /// What this node is called among the person's devices, 1 to 64 characters, told to everyone they share a session with;
    /// the host's name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

impl AddPerson {
    /// A person of that name whose address tells this node's whole position.
    pub fn named(name: impl Into<String>) -> AddPerson {
        AddPerson { name: name.into(), luminosity: None, device_name: None }
    }
}

/// A person of this node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Its name on this node, and on its card.
    pub name: String,
    /// Its identity key, 64 hex digits: who it is to everyone it talks to.
    pub identity: String,
    /// Its scan key, 64 hex digits.
    pub key: String,
    /// What to give to others: `mfp:…`, the key and a region.
    pub address: String,
    /// Whose it is.
    pub principal: String,
    /// The key of this node among their devices, 64 hex digits.
    pub device: String,
    /// And what it is called.
    pub device_name: String,
}

/// The principal's people; for scope `admin` everyone's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Persons {
    /// In the order of their names.
    pub persons: Vec<Person>,
}

/// Reads a topic on this node (`POST topics`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTopic {
    /// A name of 1 to 64 characters, known on this node only.
    pub name: String,
    /// The topic's key as others gave it, `mft:` and 64 hex digits; without one, a new key is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl AddTopic {
    /// A new topic of that name.
    pub fn named(name: impl Into<String>) -> AddTopic {
        AddTopic { name: name.into(), key: None }
    }

    /// The topic with that key, under that name.
    pub fn with_key(name: impl Into<String>, key: impl Into<String>) -> AddTopic {
        AddTopic { name: name.into(), key: Some(key.into()) }
    }
}

/// A topic this node reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Topic {
    /// Its name on this node.
    pub name: String,
    /// The fingerprint of its key, 16 hex digits; tells nothing about the key.
    pub fingerprint: String,
    /// The key, `mft:` and 64 hex digits: whoever has it can read and write. Only in the answer that adds the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whose it is.
    pub principal: String,
}

/// The principal's topics; for scope `admin` everyone's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Topics {
    /// In the order of their names.
    pub topics: Vec<Topic>,
}
