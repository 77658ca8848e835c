//! What people ask of their sessions, and what they are told.

use mainframe_base::{DeviceId, DeviceKey, IdentityKey, Luminosity, Prefix, Refusal, Secret, SessionId};

use super::contact::{
    Account, Belongings, ContactView, Fact as ContactFact, InvitationView, NotDone, Terms as InvitationTerms, Whom,
};
use super::conversation::SessionView;
use super::ledger::{Entry, Gap, Message, MessageId, MessageState, PersonProgress};
use super::terms::{Forbidden, Terms};
use crate::crypto::{Card, Identity, Invitation, InvitationId, LinkCode, Name, Region};
use crate::wire::{HoldClass, Parcel};

/// One of our people, as the endpoint half is told of them at every start.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Persona {
    /// Their keys.
    pub identity: Identity,
    /// The seed of this device's key.
    pub device: Secret<32>,
    /// What they call this device.
    pub device_name: Name,
    /// What they want to be called.
    pub name: Name,
    /// Where they listen, the best first.
    pub regions: Vec<Region>,
    /// No sender needs to reveal more bits of their place than these.
    pub luminosity_floor: Luminosity,
}

/// A group that is to be founded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewGroup {
    /// What it is called.
    pub name: String,
    /// Whom to add: contacts one has a session with.
    pub members: Vec<IdentityKey>,
    /// How dark its region is, in bits.
    pub luminosity: Luminosity,
    /// How long relays keep what is said.
    pub hold: HoldClass,
    /// Whether its cells have a tag that other groups use too, instead of tags of their own (docs/protocol/session.md §4).
    pub shared_topic: bool,
}

/// What a person asks for.
#[expect(missing_debug_implementations, reason = "may hold secrets and what people say")]
pub enum Order {
    /// Their card.
    Card,
    /// A new invitation.
    Invite(InvitationTerms),
    /// The invitations that are out.
    Invitations,
    /// Takes an invitation back.
    WithdrawInvitation(InvitationId),
    /// Greets somebody with a text of at most 600 bytes.
    AddContact(Whom, String),
    /// Accepts a request.
    AcceptContact(IdentityKey),
    /// Declines a request, and says so if `told`.
    DeclineContact {
        /// Whose.
        peer: IdentityKey,
        /// Whether they are told.
        told: bool,
    },
    /// Forgets a contact.
    RemoveContact(IdentityKey),
    /// Listens to nothing of somebody any more.
    BlockContact(IdentityKey),
    /// Listens to them again.
    UnblockContact(IdentityKey),
    /// Contacts and requests, in the order of their keys.
    Contacts {
        /// Those after this one.
        after: Option<IdentityKey>,
        /// At most so many.
        limit: usize,
    },
    /// Founds a group.
    CreateGroup(NewGroup),
    /// Adds a contact to a group.
    AddMember(SessionId, IdentityKey),
    /// Removes a member from a group.
    RemoveMember(SessionId, IdentityKey),
    /// Makes a member an admin, or not any more.
    SetAdmin(SessionId, IdentityKey, bool),
    /// Gives a group another name.
    Rename(SessionId, String),
    /// Leaves a group.
    Leave(SessionId),
    /// Renews this device's keys in a session now.
    Renew(SessionId),
    /// Says something.
    Say {
        /// Where.
        session: SessionId,
        /// In which of the session's streams.
        stream: u16,
        /// What kind of message it is: below 128.
        kind: u8,
        /// What.
        body: Vec<u8>,
    },
    /// Takes a message back that not everybody has yet.
    Cancel(SessionId, u64),
    /// A message was read, and all its author said before.
    Read(SessionId, MessageId),
    /// What was said in a session.
    Messages {
        /// Where.
        session: SessionId,
        /// After this place; 0 from the beginning.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// How far an own message is with each other person.
    Progress(SessionId, u64),
    /// The person's devices.
    Devices,
    /// Adds the device that shows this code, under this name instead of the one the code tells.
    AddDevice(LinkCode, Option<Name>),
    /// Puts another device of the person out of every session, and vouches for it no more.
    RevokeDevice(DeviceKey),
    /// All that makes the person, apart from what was said.
    Account,
    /// This device knows from now on what another one knew: it asks to be let into the sessions until it is.
    Receive(Box<Belongings>),
    /// All sessions.
    Sessions,
}

/// What a person is answered.
#[derive(Clone)]
pub enum Answer {
    /// It was done, or will be when it can.
    Done,
    /// To `Card`.
    Card(Box<Card>),
    /// To `Invite`.
    Invitation(Box<Invitation>),
    /// To `Invitations`.
    Invitations(Vec<InvitationView>),
    /// To `AddContact`: whom it was.
    Contact(IdentityKey),
    /// To `Contacts`.
    Contacts(Vec<ContactView>),
    /// To `CreateGroup`.
    Session(SessionId),
    /// To `Say`: the message's name, and its place in the order of this device.
    Said(MessageId, u64),
    /// To `Messages`.
    Messages(Vec<Entry>),
    /// To `Progress`.
    Progress(Vec<PersonProgress>),
    /// To `Sessions`.
    Sessions(Vec<SessionView>),
    /// To `Devices`, the one that answers first.
    Devices(Vec<OwnDevice>),
    /// To `AddDevice`.
    Device(OwnDevice),
    /// To `Account`.
    Account(std::sync::Arc<Account>),
}

/// What people say and the secrets of invitations are for nobody else to read.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Answer::Done => "Done",
            Answer::Card(_) => "Card(…)",
            Answer::Invitation(_) => "Invitation(…)",
            Answer::Invitations(_) => "Invitations(…)",
            Answer::Contact(_) => "Contact(…)",
            Answer::Contacts(_) => "Contacts(…)",
            Answer::Session(_) => "Session(…)",
            Answer::Said(..) => "Said(…)",
            Answer::Messages(_) => "Messages(…)",
            Answer::Progress(_) => "Progress(…)",
            Answer::Sessions(_) => "Sessions(…)",
            Answer::Devices(_) => "Devices(…)",
            Answer::Device(_) => "Device(…)",
            Answer::Account(_) => "Account(…)",
        })
    }
}

/// Why something was not done. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unable {
    /// It is no person of this node.
    #[error("no such person on this node")]
    NoPerson,
    /// They are in no such session.
    #[error("no such conversation")]
    NoSession,
    /// There is no session of two with them yet, in which keys could be asked for.
    #[error(
        "they are no contact of yours with whom a conversation has begun; add them first, and wait until they accept"
    )]
    NotTogether,
    /// The terms forbid it.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// Somebody has to be left who can let others in.
    #[error("you are the only admin of this group; make somebody else one first")]
    LastAdmin,
    /// They are in it already, or not at all.
    #[error("nothing would change by that")]
    Nothing,
    /// An old copy of this device was put back.
    #[error(
        "others have heard more from this device here than it remembers: it was restored from an old copy, so it only \
         reads; link it anew as another device"
    )]
    Outdated,
    /// A name is too long, or none.
    #[error("a name has at most 128 bytes, and no line breaks or other control characters")]
    Name,
    /// The kind is not a person's.
    #[error("kinds from 128 on are for devices")]
    Kind,
    /// It is about a contact.
    #[error("{0}")]
    Contact(#[from] NotDone),
    /// A new device's code is too old.
    #[error("this code has expired; make a new one on the new device")]
    CodeExpired,
    /// A device's key was revoked, which holds for ever.
    #[error("this device was revoked under that key, which holds for ever; make a new code on it, with a new key")]
    Revoked,
    /// A device cannot revoke itself.
    #[error("this is the device you speak from; revoke it from another one")]
    ThisDevice,
    /// The person has no such device.
    #[error("no device of yours has this key")]
    NoDevice,
    /// There are as many as are kept.
    #[error("there are as many devices as can be kept; revoke some first")]
    TooManyDevices,
    /// Nobody did wrong.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// How it stands with a device of a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceStanding {
    /// It was sent the account, and was not heard yet.
    Adding,
    /// It is one of the person's devices.
    Added,
    /// The person does not vouch for it any more.
    Revoked,
}

/// A device of a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnDevice {
    /// Its key.
    pub key: DeviceKey,
    /// What the person calls it.
    pub name: Name,
    /// Since when, in hours since 1970.
    pub since_hours: u32,
    /// Whether it is the one that answers.
    pub is_this: bool,
    /// How it stands with it.
    pub standing: DeviceStanding,
}

/// What happened to devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceFact {
    /// A device of the person was heard for the first time.
    Added(DeviceKey, Name),
    /// A device that was to be added was not heard before its code expired.
    NotAdded(DeviceKey),
    /// The person does not vouch for a device any more.
    Revoked(DeviceKey),
    /// Told to a link: its account is here, and can be taken.
    Linked,
    /// Told to a link: a letter came that does not answer its code, for this reason.
    NotLinked(String),
    /// Told to a link: its code has expired, and nothing is awaited any more.
    LinkExpired,
}

/// What a person is told, or a link that is to become one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// About a contact.
    Contact(ContactFact),
    /// About the person's devices.
    Device(DeviceFact),
    /// A session is there: founded, or entered.
    Began(SessionId, Terms),
    /// Somebody said something.
    Said {
        /// Where.
        session: SessionId,
        /// Its place in the order of this device.
        sequence: u64,
        /// Whose device says it.
        author: IdentityKey,
        /// The message.
        message: Message,
        /// Whether its place had been given up.
        late: bool,
    },
    /// Messages are given up.
    GaveUp(SessionId, Gap),
    /// An own message got further.
    State(SessionId, u64, MessageState),
    /// Everybody has read up to that own message.
    ReadThrough(SessionId, u64),
    /// Another device of the person read up to this message.
    ReadElsewhere(SessionId, MessageId),
    /// Members or terms changed.
    Changed {
        /// Where.
        session: SessionId,
        /// Who changed them.
        by: IdentityKey,
        /// Whose devices came.
        added: Vec<IdentityKey>,
        /// Whose devices went.
        removed: Vec<IdentityKey>,
        /// The terms, if they changed.
        terms: Option<Terms>,
    },
    /// The person is not in the session any more.
    Left {
        /// Which.
        session: SessionId,
        /// Who removed them.
        by: IdentityKey,
    },
    /// The session came to a dead end here, and waits to be entered again.
    Stranded(SessionId),
    /// This is an old copy of the device: others have heard more of it than it remembers. It only reads in this session.
    Outdated(SessionId),
    /// A device provably lied about which commit counts.
    Equivocated(SessionId, DeviceId),
    /// What was wanted cannot be, for this reason.
    Unwanted(SessionId, String),
}

/// What sessions cause.
#[derive(Clone, Debug)]
pub enum SessionEffect {
    /// A parcel to be sent; what becomes of it is to be told under this number.
    Post(u64, Parcel),
    /// Listen to a region, for what was sent there within the last three days too.
    Attend(Prefix),
    /// Listen to it no more.
    Unattend(Prefix),
    /// Tell a person something.
    Tell(IdentityKey, SessionEvent),
}
