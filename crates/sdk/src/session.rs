//! Sessions: conversations of two or of a group, and what is said in them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Hold};

/// Whether a session is of two persons for ever, or of as many as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// Two persons.
    Pair,
    /// A group.
    Group,
}

/// A device of a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its name in messages, 16 hex digits.
    pub id: String,
    /// Its key, 64 hex digits.
    pub key: String,
    /// What its person calls it.
    pub name: String,
}

/// A member of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Their identity key.
    pub key: String,
    /// Whether they may add and remove others and change what was agreed on.
    pub is_admin: bool,
    /// On which devices they read.
    pub devices: Vec<Device>,
}

/// A session as one of its members sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its name among its members, 32 hex digits.
    pub id: String,
    /// Pair or group.
    pub kind: SessionKind,
    /// What the group is called; empty for a pair.
    pub name: String,
    /// Who is in it, in the order of their keys.
    pub members: Vec<Member>,
    /// The regions it is written to.
    pub regions: Vec<String>,
    /// How long relays keep what is said.
    pub hold: Hold,
    /// How often its keys have changed.
    pub epoch: u64,
    /// Since when a thief of this device could still read the epoch before, because not everybody has confirmed the present
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed_since_ms: Option<u64>,
    /// Its cells have a tag that other sessions use too.
    #[serde(default)]
    pub shared_topic: bool,
    /// This device was restored from an old copy, and only reads here.
    #[serde(default)]
    pub is_outdated: bool,
    /// The place of the last message.
    pub last_sequence: u64,
    /// Own messages that not everybody has yet.
    pub undelivered: u64,
}

/// A person's sessions (`GET persons/{person}/sessions`, scope `read`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// In the order of their names.
    pub sessions: Vec<Session>,
}

/// Founds a group (`POST persons/{person}/sessions`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// What it is called, at most 128 bytes.
    pub name: String,
    /// Whom to add: identity keys of contacts with whom there is a session of two.
    pub members: Vec<String>,
    /// How many bits its region tells, 0..=254 or 256. The region is drawn at random, and all members listen to all of it.
    pub luminosity: u16,
    /// How long relays keep what is said.
    #[serde(default = "a_day")]
    pub hold: Hold,
    /// Whether its cells have a tag that other groups use too, always the same, instead of tags that nobody has seen before.
    #[serde(default)]
    pub shared_topic: bool,
}

fn a_day() -> Hold {
    Hold::Day
}

/// A group that was founded. Members enter it as their keys come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedSession {
    /// Its name, 32 hex digits.
    pub id: String,
}

/// Changes what a group agreed on (`PATCH persons/{person}/sessions/{session}`, scope `persons`): one thing at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeSession {
    /// Another name, at most 128 bytes.
    Name(String),
    /// Makes a member, by their identity key, an admin.
    Admin(String),
    /// Makes an admin an ordinary member.
    NoAdmin(String),
}

/// Adds a contact to a group (`POST persons/{person}/sessions/{session}/members`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// Their identity key.
    pub member: String,
}

/// Says something (`POST persons/{person}/sessions/{session}/messages`, scope `send`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// What; at most 96 KiB.
    pub body: Body,
    /// In which of the session's streams; applications give them meaning.
    #[serde(default)]
    pub stream: u16,
    /// What kind of message it is, 0 to 127; applications give it meaning.
    #[serde(default)]
    #[schema(maximum = 127)]
    pub kind: u8,
}

impl Say {
    /// A text, in the first stream.
    pub fn text(text: impl Into<String>) -> Say {
        Say { body: Body::text(text), stream: 0, kind: 0 }
    }
}

/// A message that is written down and will be sent until everybody has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// Its place in the order of this device.
    pub sequence: u64,
    /// As the how manieth of this device in this session; events about its state name it.
    pub number: u64,
}

/// How far an own message is. It only goes forward.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It is written down here and has not left yet.
    Queued,
    /// It left.
    Sent,
    /// The network holds it for those who are away.
    Held,
    /// Every other person has it on one of their devices.
    Delivered,
    /// Every other person says that they have read it.
    Read,
    /// Not everybody acknowledged it in the time allowed. Whoever asks for it still gets it.
    GaveUp,
    /// Everybody it was meant for left the session first.
    Left,
    /// It was taken back.
    Cancelled,
}

impl MessageState {
    /// Whether it will not change any more by itself.
    pub fn is_failure(self) -> bool {
        matches!(self, MessageState::GaveUp | MessageState::Left | MessageState::Cancelled)
    }
}

/// A message of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionMessage {
    /// Its place in the order of this device: causes before effects, from 1. There may be gaps.
    pub sequence: u64,
    /// Whose device says it, by their identity key; nothing if they have left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The device, 16 hex digits.
    pub device: String,
    /// As the how manieth of that device.
    pub number: u64,
    /// When it was said, by its author's clock.
    pub said_ms: u64,
    /// When it came here, or was said here; not told in events, which are of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_ms: Option<u64>,
    /// In which stream.
    pub stream: u16,
    /// Of which kind.
    pub kind: u8,
    /// Whether its author took it back before it arrived; then the body is empty.
    #[serde(default)]
    pub withdrawn: bool,
    /// What it says.
    pub body: Body,
    /// How far it is, if this device said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<MessageState>,
    /// Why it could not leave the last time, if this device said it and it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindrance: Option<ErrorCode>,
}

/// A page of what was said (`GET persons/{person}/sessions/{session}/messages?after=&limit=`, scope `read`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionMessages {
    /// In order.
    pub messages: Vec<SessionMessage>,
    /// Pass this as `after` to go on.
    pub next_after: u64,
    /// Whether there are no more now.
    pub end: bool,
}

/// How far an own message is with one person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonProgress {
    /// Their identity key.
    pub key: String,
    /// Whether one of their devices has it.
    pub delivered: bool,
    /// Whether they say that they have read it.
    pub read: bool,
}

/// A message, and how far it is with everybody it was meant for
/// (`GET persons/{person}/sessions/{session}/messages/{sequence}`, scope `read`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MessageProgress {
    /// The message.
    pub message: SessionMessage,
    /// Empty if another device said it.
    pub persons: Vec<PersonProgress>,
}

/// Says that a message was read, and all its author said before
/// (`POST persons/{person}/sessions/{session}/read`, scope `send`): its author is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// The message's place.
    pub sequence: u64,
}

/// News of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionEvent {
    /// Which of the node's people: their identity key.
    pub person: String,
    /// The session, 32 hex digits.
    pub session: String,
    /// What happened.
    pub change: SessionChange,
}

/// What happened in a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionChange {
    /// It is there: founded, or entered.
    Began {
        /// Pair or group.
        kind: SessionKind,
        /// What it is called.
        name: String,
    },
    /// Somebody said something.
    Said {
        /// The message.
        message: SessionMessage,
        /// Whether its place had been given up.
        late: bool,
    },
    /// Messages of a device did not come and are not waited for any more.
    Lost {
        /// The device.
        device: String,
        /// The first one's number.
        first: u64,
        /// The last one's number.
        last: u64,
    },
    /// An own message got further.
    State {
        /// Its number.
        number: u64,
        /// How far it is.
        state: MessageState,
    },
    /// Everybody has read up to that own message.
    ReadThrough {
        /// Its number.
        number: u64,
    },
    /// Another device of the person read up to that message.
    ReadElsewhere {
        /// Its author's device.
        device: String,
        /// Its number there.
        number: u64,
    },
    /// Members or what they agreed on changed.
    Members {
        /// Who changed it.
        by: String,
        /// Whose devices came.
        added: Vec<String>,
        /// Whose devices went.
        removed: Vec<String>,
        /// The group's name, if what was agreed on changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its admins, if what was agreed on changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admins: Option<Vec<String>>,
    },
    /// The person is not in it any more. What was said there is deleted.
    Left {
        /// Who removed them; themselves, if they left.
        by: String,
    },
    /// It came to a dead end on this device, and waits to be entered again.
    Stranded,
    /// This device was restored from an old copy: others have heard more from it than it remembers. It only reads here.
    Outdated,
    /// A device provably lied to the others.
    Equivocated {
        /// Which.
        device: String,
    },
    /// What was wanted cannot be.
    Refused {
        /// Why.
        why: String,
    },
}
