//! What arrived, and the form of what is said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a message says: `{"text": "…"}`, or `{"base64": "…"}` for bytes that are no text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Text, carried as UTF-8.
    Text(String),
    /// Any bytes, in base64 with padding.
    Base64(String),
}

impl Body {
    /// A text.
    pub fn text(text: impl Into<String>) -> Body {
        Body::Text(text.into())
    }

    /// Any bytes: as text if they are UTF-8, else in base64.
    pub fn from_bytes(bytes: Vec<u8>) -> Body {
        match String::from_utf8(bytes) {
            Ok(text) => Body::Text(text),
            Err(error) => Body::Base64(STANDARD.encode(error.as_bytes())),
        }
    }

    /// The bytes that travel, or nothing if the base64 is none.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Body::Text(text) => Some(text.into_bytes()),
            Body::Base64(digits) => STANDARD.decode(digits).ok(),
        }
    }
}

/// Which of the node's keys opened a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// A person's.
    Person {
        /// Its scan key, 64 hex digits.
        key: String,
        /// Its name on this node, while it is one of its people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A topic's.
    Topic {
        /// The fingerprint of its key, 16 hex digits.
        fingerprint: String,
        /// Its name on this node, while it reads it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// An opened message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Counts the node's opened messages from 1; a principal sees its own, so there are gaps.
    pub sequence: u64,
    /// The packet it came in, 32 hex digits.
    pub id: String,
    /// Whose key opened it.
    pub reader: Reader,
    /// When it was opened.
    pub at_ms: u64,
    /// What it says.
    pub body: Body,
}

/// A page of opened messages (`GET inbox?after=&limit=`, scope `read`), oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Inbox {
    /// Those of the principal with a greater sequence number than `after`.
    pub messages: Vec<Message>,
    /// Pass this as `after` to go on.
    pub next_after: u64,
    /// Whether there are no more now.
    pub end: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        for bytes in [b"hello".to_vec(), vec![0xFF, 0, 1], "你好".as_bytes().to_vec(), vec![]] {
            assert_eq!(Body::from_bytes(bytes.clone()).into_bytes(), Some(bytes));
        }
        assert_eq!(Body::Base64("§".into()).into_bytes(), None);
    }
}
