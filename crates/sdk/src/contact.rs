//! People one knows, or who would like to be known.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How it stands with a contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Known, and no more.
    Known,
    /// They were greeted and have not answered.
    Greeted,
    /// They greeted, and wait for an answer.
    Asked,
    /// One accepted the other; a session is being made.
    Underway,
    /// There is a session of two.
    Together,
    /// They declined.
    Declined,
    /// They were declined, and told so; or the greeting was taken back.
    DeclinedByUs,
    /// They were declined without a word.
    Ignored,
    /// No session could be made.
    Failed,
}

/// A contact, or a request to become one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// Their identity key, 64 hex digits.
    pub key: String,
    /// The name on their card, if more than a picture of it is known. Nobody checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it stands with them.
    pub standing: Standing,
    /// The session of two, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What they wrote when they asked, until they are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    /// Since when it stands as it stands.
    pub since_ms: u64,
    /// Whether nothing of them is listened to.
    pub blocked: bool,
    /// Whether they were written to so often without an answer that nothing more is sent. Should they answer yet, it goes on.
    pub gave_up: bool,
}

/// Contacts and requests (`GET persons/{person}/contacts?after=&limit=`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Contacts {
    /// In the order of their keys.
    pub contacts: Vec<Contact>,
    /// Pass this as `after` to go on; nothing if these are the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after: Option<String>,
}

/// Greets somebody (`POST persons/{person}/contacts`, scope `persons`). If they have asked already, they are accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddContact {
    /// Their card `mfc:…`, or an invitation of theirs `mfi:…`.
    pub to: String,
    /// What to say first, at most 600 bytes.
    #[serde(default)]
    pub greeting: String,
}

impl AddContact {
    /// Greets whoever's card or invitation it is.
    pub fn by(to: impl Into<String>, greeting: impl Into<String>) -> AddContact {
        AddContact { to: to.into(), greeting: greeting.into() }
    }
}

/// Who was greeted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AddedContact {
    /// Their identity key.
    pub key: String,
}

/// Declines a request (`POST persons/{person}/contacts/{contact}/decline`, scope `persons`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeclineContact {
    /// Whether they are told. If not, they see no difference to somebody who is never there.
    pub told: bool,
}

/// What two people compare, by voice or side by side, to be sure that nobody stands between them
/// (`GET persons/{person}/contacts/{contact}/safety`, scope `persons`). Both read the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Safety {
    /// Twelve words of five letters.
    pub words: String,
    /// Twelve groups of five digits.
    pub digits: String,
}

/// News of a contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ContactEvent {
    /// Which of the node's people: their identity key.
    pub person: String,
    /// The contact's identity key.
    pub contact: String,
    /// What happened.
    pub change: ContactChange,
}

/// What happened with a contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactChange {
    /// They would like to talk.
    Requested {
        /// What they wrote.
        greeting: String,
        /// The invitation of the person's they had, if they had one that still held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invitation: Option<String>,
        /// Whether they were accepted without a question.
        accepted: bool,
    },
    /// They accepted the greeting; a session is being made.
    Accepted,
    /// They declined, or took their own greeting back.
    Declined,
    /// There is a session of two.
    Together {
        /// Which.
        session: String,
    },
    /// They did not answer for so long that nothing more is sent.
    GaveUp,
    /// No session could be made of what they sent.
    Failed,
    /// They have a new card.
    CardChanged,
    /// They have a new identity: safety words have to be compared again.
    Moved {
        /// Their new identity key.
        to: String,
    },
    /// Their request was the oldest of too many, and is forgotten.
    RequestDropped,
    /// A letter of theirs was ignored.
    LetterIgnored {
        /// Why.
        why: String,
    },
}
