//! A person as a new device of his gets to know him: secrets, and what he has: devices, sessions, contacts.
//!
//! In a file it is whole; the file is encrypted by whoever writes it. A letter has room for about fifty cards: what does not
//! fit the first one comes in others, which devices of one person write to each other.

use mainframe_base::{DeviceKey, Fault, IdentityKey, Secret, SessionId};
use zeroize::Zeroizing;

use super::CONTACTS_MAX;
use super::letters::{HelloId, whole};
use crate::codec::{Reader, put_list};
use crate::crypto::{Card, DeviceCertificate, Identity, Revocation};

const VERSION: u8 = 1;

/// Sessions of one person (guess).
pub const SESSIONS_MAX: usize = 4_096;
/// Devices of one person, and as many that were revoked (guess: a new telephone every year, and a house full of others).
pub const DEVICES_MAX: usize = 64;
/// Who is asked to let a new device into a session (guess: one of them is awake).
pub const DOORS_MAX: usize = 4;

/// All that makes a person, apart from what was said.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Account {
    /// See [`Identity::secrets`].
    pub secrets: Secret<{ Identity::SECRETS_LENGTH }>,
    /// What the person has.
    pub belongings: Belongings,
}

/// What a person has, or as much of it as there is to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Belongings {
    /// The person's own card.
    pub card: Card,
    /// The person's devices.
    pub devices: Vec<DeviceCertificate>,
    /// Devices the person no longer vouches for.
    pub revoked: Vec<Revocation>,
    /// The sessions the person is in.
    pub sessions: Vec<AccountSession>,
    /// Whom the person knows.
    pub contacts: Vec<AccountContact>,
}

/// A session, as it stands in an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountSession {
    /// Which.
    pub id: SessionId,
    /// Contacts who may let a device of the person in, should none of the person's own be there any more.
    pub doors: Vec<IdentityKey>,
}

/// A contact, as it stands in an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountContact {
    /// Who.
    pub peer: IdentityKey,
    /// Whether nothing of him is listened to.
    pub blocked: bool,
    /// His card, if it is known and there was room.
    pub card: Option<Card>,
    /// The session of two with him, and the greeting it followed from.
    pub shared: Option<(HelloId, SessionId)>,
}

impl Account {
    /// Version 1, secrets 96, belongings.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let belongings = self.belongings.encode();
        let mut out = Zeroizing::new(Vec::with_capacity(1 + Identity::SECRETS_LENGTH + belongings.len()));
        out.push(VERSION);
        out.extend_from_slice(self.secrets.expose());
        out.extend_from_slice(&belongings);
        out
    }

    /// Reads what was encoded.
    ///
    /// # Errors
    /// `UnknownVersion`, `Malformed`, `Oversized`, `Impossible` for what does not belong together, `BadSignature`, and what
    /// [`Card::decode`] says.
    pub fn decode(bytes: &[u8]) -> Result<Account, Fault> {
        let account = whole(bytes, |reader| {
            if reader.u8()? != VERSION {
                return Err(Fault::UnknownVersion);
            }
            Ok(Account { secrets: Secret::new(reader.array()?), belongings: Belongings::read(reader)? })
        })?;
        let is_whole = Identity::from_secrets(&account.secrets).key() == account.belongings.card.identity();
        if is_whole { Ok(account) } else { Err(Fault::Impossible) }
    }
}

impl Belongings {
    /// Of a person with this card, and nothing else yet.
    pub fn of(card: Card) -> Belongings {
        Belongings { card, devices: vec![], revoked: vec![], sessions: vec![], contacts: vec![] }
    }

    /// The person's certificate for a device, if it is there and was not taken back.
    pub fn certificate_of(&self, device: &DeviceKey) -> Option<&DeviceCertificate> {
        let is_revoked = self.revoked.iter().any(|revocation| revocation.device == *device);
        self.devices.iter().find(|certificate| certificate.device == *device && !is_revoked)
    }

    /// Card, certificates, revocations, sessions: name 16 and list of doors 32; contacts: key 32, flags 1 (blocked, card,
    /// session), card, greeting 16 and session 16.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.card.to_bytes().to_vec();
        put_list(&mut out, &self.devices, |out, certificate| certificate.encode(out));
        put_list(&mut out, &self.revoked, |out, revocation| revocation.encode(out));
        put_list(&mut out, &self.sessions, put_session);
        put_list(&mut out, &self.contacts, put_contact);
        out
    }

    /// Reads what was encoded.
    ///
    /// # Errors
    /// As [`Account::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Belongings, Fault> {
        whole(bytes, Belongings::read)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Belongings, Fault> {
        let belongings = Belongings {
            card: Card::decode(reader)?,
            devices: reader.list(DEVICES_MAX, DeviceCertificate::decode)?,
            revoked: reader.list(DEVICES_MAX, Revocation::decode)?,
            sessions: reader.list(SESSIONS_MAX, read_session)?,
            contacts: reader.list(CONTACTS_MAX, read_contact)?,
        };
        let me = belongings.card.identity();
        let are_mine = belongings.devices.iter().all(|certificate| certificate.identity == me)
            && belongings.revoked.iter().all(|revocation| revocation.identity == me);
        if are_mine { Ok(belongings) } else { Err(Fault::Impossible) }
    }

    /// The same in as many parts as are needed for each to be encoded in so many bytes. The devices are in the first.
    pub fn parts(self, length_max: usize) -> Vec<Belongings> {
        let Belongings { card, devices, revoked, sessions, contacts } = self;
        let mut part = Belongings { devices, revoked, ..Belongings::of(card.clone()) };
        let (mut parts, mut length) = (Vec::new(), part.encode().len());
        let mut make_room = |part: &mut Belongings, put: &dyn Fn(&mut Vec<u8>)| {
            let mut item = Vec::new();
            put(&mut item);
            if length + item.len() > length_max {
                parts.push(std::mem::replace(part, Belongings::of(card.clone())));
                length = part.encode().len();
            }
            length += item.len();
        };
        for session in sessions {
            make_room(&mut part, &|out| put_session(out, &session));
            part.sessions.push(session);
        }
        for contact in contacts {
            make_room(&mut part, &|out| put_contact(out, &contact));
            part.contacts.push(contact);
        }
        parts.push(part);
        parts
    }
}

fn put_session(out: &mut Vec<u8>, session: &AccountSession) {
    out.extend_from_slice(&session.id.0);
    put_list(out, &session.doors, |out, door| out.extend_from_slice(&door.0));
}

fn read_session(reader: &mut Reader<'_>) -> Result<AccountSession, Fault> {
    let id = SessionId(reader.array()?);
    Ok(AccountSession { id, doors: reader.list(DOORS_MAX, |reader| reader.array().map(IdentityKey))? })
}

fn put_contact(out: &mut Vec<u8>, contact: &AccountContact) {
    out.extend_from_slice(&contact.peer.0);
    let flags = [contact.blocked, contact.card.is_some(), contact.shared.is_some()];
    out.push((0..).zip(flags).map(|(bit, flag)| u8::from(flag) << bit).sum());
    if let Some(card) = &contact.card {
        out.extend_from_slice(&card.to_bytes());
    }
    if let Some((hello, session)) = &contact.shared {
        out.extend_from_slice(&hello.0);
        out.extend_from_slice(&session.0);
    }
}

fn read_contact(reader: &mut Reader<'_>) -> Result<AccountContact, Fault> {
    let (peer, flags) = (IdentityKey(reader.array()?), reader.u8()?);
    if flags > 0b111 {
        return Err(Fault::Impossible);
    }
    let card = (flags & 0b10 != 0).then(|| Card::decode(reader)).transpose()?;
    if card.as_ref().is_some_and(|card| card.identity() != peer) {
        return Err(Fault::Impossible);
    }
    let mut read_shared = || Ok((HelloId(reader.array()?), SessionId(reader.array()?)));
    let shared = (flags & 0b100 != 0).then(&mut read_shared).transpose()?;
    Ok(AccountContact { peer, blocked: flags & 0b1 != 0, card, shared })
}
