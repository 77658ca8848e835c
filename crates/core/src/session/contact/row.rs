//! One contact as it is kept: the card, whether it is blocked, and how far the way to a session has been gone.

use mainframe_base::{Fault, IdentityKey, SessionId, Time};
use zeroize::Zeroizing;

use super::letters::{
    HelloId, TEXT_LENGTH_MAX, TREE_LENGTH_MAX, WELCOME_LENGTH_MAX, put_bytes, put_packages, read_bytes, read_packages,
    whole,
};
use super::ports::Standing;
use crate::codec::Reader;
use crate::crypto::{Card, Invitation, InvitationId, Inviter, Recipient};
use crate::store::{Table, Tx};

/// The flag of a row, in its first byte, that nothing of the contact is listened to.
const BLOCKED: u8 = 0b1;

/// A person who is known, or has asked.
pub(super) struct Contact {
    /// None as long as only a stub of it is known.
    pub(super) card: Option<Card>,
    pub(super) blocked: bool,
    /// Whether the user chose this contact, rather than only being asked.
    pub(super) chosen: bool,
    /// The latest minute, by the peer's clock, of a letter that changed something. What he wrote before is of no account.
    pub(super) heard_minutes: u32,
    /// When a repeated letter was last answered.
    pub(super) answered: Time,
    /// Since when this stage.
    pub(super) since: Time,
    pub(super) stage: Stage,
}

/// How far the way to a session has been gone.
pub(super) enum Stage {
    /// Not begun.
    Known,
    /// We greeted, and wait.
    Saying { hello: HelloId, text: String, invitation: Option<Invitation>, retry: Retry },
    /// We were greeted; the user has not answered.
    Asked { hello: HelloId, text: String, invitation: Option<(InvitationId, Standing)> },
    /// We accept as soon as our key packages are made.
    Accepting { hello: HelloId },
    /// We accepted, and wait for a Welcome.
    Accepted { hello: HelloId, packages: Vec<Vec<u8>>, retry: Retry },
    /// We were accepted; the session is being made.
    Starting { hello: HelloId, packages: Vec<Vec<u8>> },
    /// We said welcome, and wait for a word in the session.
    Welcoming { hello: HelloId, session: SessionId, welcome: Vec<u8>, tree: Option<Vec<u8>>, retry: Retry },
    /// We were welcomed; the session is being joined.
    Joining { hello: HelloId, session: SessionId, welcome: Vec<u8>, tree: Option<Vec<u8>> },
    /// There is a session.
    Together { hello: HelloId, session: SessionId },
    /// The greeting came to nothing.
    Ended { hello: HelloId, ending: Ending },
}

/// How a greeting came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The peer said so.
    ByThem,
    /// We said so.
    ByUs,
    /// We said nothing.
    Silently,
    /// No session could be made.
    Failed,
}

/// When a letter is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Retry {
    pub(super) tries: u8,
    /// None once it was given up.
    pub(super) next: Option<Time>,
    pub(super) until: Time,
}

impl Contact {
    pub(super) fn new(card: Option<Card>, now: Time) -> Contact {
        Contact {
            card,
            blocked: false,
            chosen: false,
            heard_minutes: 0,
            answered: Time(0),
            since: now,
            stage: Stage::Known,
        }
    }

    pub(super) fn load(tx: &dyn Tx, me: &IdentityKey, peer: &IdentityKey) -> Option<Contact> {
        let row = Zeroizing::new(tx.get(Table::Contacts, &key(me, peer))?);
        Some(Contact::decode(&row).expect("our own rows are readable"))
    }

    /// Whether somebody is blocked: a flag at the beginning of the row, for whoever asks at every message.
    pub(super) fn is_blocked(tx: &dyn Tx, me: &IdentityKey, peer: &IdentityKey) -> bool {
        let row = tx.get(Table::Contacts, &key(me, peer)).map(Zeroizing::new);
        row.is_some_and(|row| row.first().is_some_and(|flags| flags & BLOCKED != 0))
    }

    pub(super) fn store(&self, tx: &mut dyn Tx, me: &IdentityKey, peer: &IdentityKey) {
        tx.put(Table::Contacts, &key(me, peer), &self.encode());
    }

    /// Where to write, if it is known: to the card, unless an invitation names a newer key.
    pub(super) fn recipient(&self) -> Option<Recipient> {
        let Some(invitation) = self.stage.invitation() else {
            return self.card.as_ref().map(|card| Recipient::of_card(card, None));
        };
        match (&self.card, &invitation.inviter) {
            (Some(card), Inviter::Card(_)) => Some(Recipient::of_card(card, Some(invitation.secret.clone()))),
            (Some(card), Inviter::Stub(stub)) if card.scan_key() == stub.scan_key => {
                Some(Recipient::of_card(card, Some(invitation.secret.clone())))
            }
            _ => Some(Recipient::of_invitation(invitation)),
        }
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::new());
        out.push((u8::from(self.blocked) * BLOCKED) | u8::from(self.card.is_some()) << 1 | u8::from(self.chosen) << 2);
        out.extend_from_slice(&self.heard_minutes.to_be_bytes());
        out.extend_from_slice(&self.answered.0.to_be_bytes());
        out.extend_from_slice(&self.since.0.to_be_bytes());
        if let Some(card) = &self.card {
            out.extend_from_slice(&card.to_bytes());
        }
        self.stage.encode(&mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Contact, Fault> {
        whole(bytes, |reader| {
            let flags = reader.u8()?;
            let heard_minutes = reader.u32()?;
            let (answered, since) = (Time(reader.u64()?), Time(reader.u64()?));
            let card = (flags & 0b10 != 0).then(|| Card::decode_kept(reader)).transpose()?;
            let stage = Stage::decode(reader)?;
            let (blocked, chosen) = (flags & BLOCKED != 0, flags & 0b100 != 0);
            Ok(Contact { card, blocked, chosen, heard_minutes, answered, since, stage })
        })
    }
}

impl Stage {
    /// The greeting it is about.
    pub(super) fn hello(&self) -> Option<HelloId> {
        match self {
            Stage::Known => None,
            Stage::Together { hello, .. }
            | Stage::Saying { hello, .. }
            | Stage::Asked { hello, .. }
            | Stage::Accepting { hello }
            | Stage::Accepted { hello, .. }
            | Stage::Starting { hello, .. }
            | Stage::Welcoming { hello, .. }
            | Stage::Joining { hello, .. }
            | Stage::Ended { hello, .. } => Some(*hello),
        }
    }

    /// Whether both sides may still be on the way to a session by it.
    pub(super) fn is_underway(&self) -> bool {
        !matches!(self, Stage::Known | Stage::Together { .. } | Stage::Ended { .. })
    }

    pub(super) fn retry_mut(&mut self) -> Option<&mut Retry> {
        match self {
            Stage::Saying { retry, .. } | Stage::Accepted { retry, .. } | Stage::Welcoming { retry, .. } => Some(retry),
            Stage::Known
            | Stage::Asked { .. }
            | Stage::Accepting { .. }
            | Stage::Starting { .. }
            | Stage::Joining { .. }
            | Stage::Together { .. }
            | Stage::Ended { .. } => None,
        }
    }

    pub(super) fn retry(&self) -> Option<Retry> {
        match self {
            Stage::Saying { retry, .. } | Stage::Accepted { retry, .. } | Stage::Welcoming { retry, .. } => {
                Some(*retry)
            }
            Stage::Known
            | Stage::Asked { .. }
            | Stage::Accepting { .. }
            | Stage::Starting { .. }
            | Stage::Joining { .. }
            | Stage::Together { .. }
            | Stage::Ended { .. } => None,
        }
    }

    fn invitation(&self) -> Option<&Invitation> {
        match self {
            Stage::Saying { invitation, .. } => invitation.as_ref(),
            Stage::Known
            | Stage::Asked { .. }
            | Stage::Accepting { .. }
            | Stage::Accepted { .. }
            | Stage::Starting { .. }
            | Stage::Welcoming { .. }
            | Stage::Joining { .. }
            | Stage::Together { .. }
            | Stage::Ended { .. } => None,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Stage::Known => out.push(0),
            Stage::Saying { hello, text, invitation, retry } => {
                begin(out, 1, hello);
                put_bytes(out, text.as_bytes());
                retry.encode(out);
                out.push(u8::from(invitation.is_some()));
                if let Some(invitation) = invitation {
                    out.extend_from_slice(&invitation.to_bytes());
                }
            }
            Stage::Asked { hello, text, invitation } => {
                begin(out, 2, hello);
                put_bytes(out, text.as_bytes());
                out.push(u8::from(invitation.is_some()));
                if let Some((id, standing)) = invitation {
                    out.extend_from_slice(&id.0);
                    out.push(*standing as u8);
                }
            }
            Stage::Accepting { hello } => begin(out, 3, hello),
            Stage::Accepted { hello, packages, retry } => {
                begin(out, 4, hello);
                put_packages(out, packages);
                retry.encode(out);
            }
            Stage::Starting { hello, packages } => {
                begin(out, 5, hello);
                put_packages(out, packages);
            }
            Stage::Welcoming { hello, session, welcome, tree, retry } => {
                begin(out, 6, hello);
                retry.encode(out);
                put_welcome(out, session, welcome, tree.as_deref());
            }
            Stage::Joining { hello, session, welcome, tree } => {
                begin(out, 7, hello);
                put_welcome(out, session, welcome, tree.as_deref());
            }
            Stage::Together { hello, session } => {
                begin(out, 8, hello);
                out.extend_from_slice(&session.0);
            }
            Stage::Ended { hello, ending } => {
                begin(out, 9, hello);
                out.push(*ending as u8);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Stage, Fault> {
        let number = reader.u8()?;
        Ok(match number {
            0 => return Ok(Stage::Known),
            1 => Stage::Saying {
                hello: HelloId(reader.array()?),
                text: read_greeting(reader)?,
                retry: Retry::decode(reader)?,
                invitation: (reader.u8()? == 1).then(|| Invitation::decode(reader)).transpose()?,
            },
            2 => Stage::Asked {
                hello: HelloId(reader.array()?),
                text: read_greeting(reader)?,
                invitation: (reader.u8()? == 1).then(|| read_standing(reader)).transpose()?,
            },
            3 => Stage::Accepting { hello: HelloId(reader.array()?) },
            4 => Stage::Accepted {
                hello: HelloId(reader.array()?),
                packages: read_packages(reader)?,
                retry: Retry::decode(reader)?,
            },
            5 => Stage::Starting { hello: HelloId(reader.array()?), packages: read_packages(reader)? },
            6 => {
                let (hello, retry) = (HelloId(reader.array()?), Retry::decode(reader)?);
                let (session, welcome, tree) = read_welcome(reader)?;
                Stage::Welcoming { hello, session, welcome, tree, retry }
            }
            7 => {
                let hello = HelloId(reader.array()?);
                let (session, welcome, tree) = read_welcome(reader)?;
                Stage::Joining { hello, session, welcome, tree }
            }
            8 => Stage::Together { hello: HelloId(reader.array()?), session: SessionId(reader.array()?) },
            9 => Stage::Ended { hello: HelloId(reader.array()?), ending: Ending::decode(reader)? },
            _ => return Err(Fault::Impossible),
        })
    }
}

impl Ending {
    fn decode(reader: &mut Reader<'_>) -> Result<Ending, Fault> {
        let all = [Ending::ByThem, Ending::ByUs, Ending::Silently, Ending::Failed];
        all.get(usize::from(reader.u8()?)).copied().ok_or(Fault::Impossible)
    }
}

impl Retry {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tries);
        out.extend_from_slice(&self.next.map_or(u64::MAX, |next| next.0).to_be_bytes());
        out.extend_from_slice(&self.until.0.to_be_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Retry, Fault> {
        let (tries, next) = (reader.u8()?, reader.u64()?);
        Ok(Retry { tries, next: (next != u64::MAX).then_some(Time(next)), until: Time(reader.u64()?) })
    }
}

/// The key of a contact's row: whose contact, then who.
pub(super) fn key(me: &IdentityKey, peer: &IdentityKey) -> Vec<u8> {
    [me.0, peer.0].concat()
}

fn begin(out: &mut Vec<u8>, number: u8, hello: &HelloId) {
    out.push(number);
    out.extend_from_slice(&hello.0);
}

fn read_greeting(reader: &mut Reader<'_>) -> Result<String, Fault> {
    String::from_utf8(read_bytes(reader, TEXT_LENGTH_MAX)?).map_err(|_| Fault::Impossible)
}

fn read_standing(reader: &mut Reader<'_>) -> Result<(InvitationId, Standing), Fault> {
    let id = InvitationId(reader.array()?);
    let all = [Standing::Valid, Standing::Expired, Standing::UsedUp];
    Ok((id, all.get(usize::from(reader.u8()?)).copied().ok_or(Fault::Impossible)?))
}

fn put_welcome(out: &mut Vec<u8>, session: &SessionId, welcome: &[u8], tree: Option<&[u8]>) {
    out.extend_from_slice(&session.0);
    put_bytes(out, welcome);
    out.push(u8::from(tree.is_some()));
    if let Some(tree) = tree {
        put_bytes(out, tree);
    }
}

type WelcomeParts = (SessionId, Vec<u8>, Option<Vec<u8>>);

fn read_welcome(reader: &mut Reader<'_>) -> Result<WelcomeParts, Fault> {
    let session = SessionId(reader.array()?);
    let welcome = read_bytes(reader, WELCOME_LENGTH_MAX)?;
    let tree = (reader.u8()? == 1).then(|| read_bytes(reader, TREE_LENGTH_MAX)).transpose()?;
    Ok((session, welcome, tree))
}
