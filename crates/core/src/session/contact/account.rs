//! A person as a new device of his gets to know him: secrets, contacts, sessions.
//!
//! In a file it is whole; the file is encrypted by whoever writes it. In a letter there is room for about fifty cards; the
//! rest comes in the session of the person's devices.

use mainframe_base::{Fault, IdentityKey, Secret, SessionId};
use zeroize::Zeroizing;

use super::CONTACTS_MAX;
use super::letters::whole;
use crate::codec::{Reader, put_list};
use crate::crypto::{Card, Identity, LETTER_LENGTH_MAX, LETTER_OVERHEAD_MAX};

const VERSION: u8 = 1;

/// Sessions of one person (guess).
const SESSIONS_MAX: usize = 4_096;

/// All that makes a person, apart from what was said.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Account {
    /// See [`Identity::secrets`].
    pub secrets: Secret<{ Identity::SECRETS_LENGTH }>,
    /// The person's own card.
    pub card: Card,
    /// The sessions the person is in.
    pub sessions: Vec<SessionId>,
    /// Whom the person knows.
    pub contacts: Vec<AccountContact>,
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
}

impl Account {
    /// Version 1, secrets 96, card, sessions, contacts: key 32, flags 1 (blocked, card), card.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(self.head());
        put_list(&mut out, &self.contacts, put_contact);
        out
    }

    /// The same with as many cards, and then as many contacts, as fit one letter, the first ones first.
    pub fn encode_for_letter(&self) -> Zeroizing<Vec<u8>> {
        let mut room = (LETTER_LENGTH_MAX - LETTER_OVERHEAD_MAX).saturating_sub(self.head().len() + 2);
        let fitting = self.contacts.iter().take(room / 33).cloned().collect::<Vec<_>>();
        room -= fitting.len() * 33;
        let shortened = fitting.into_iter().map(|mut contact| {
            let length = contact.card.as_ref().map_or(0, |card| card.to_bytes().len());
            if length <= room {
                room -= length;
            } else {
                contact.card = None;
            }
            contact
        });
        let mut out = Zeroizing::new(self.head());
        put_list(&mut out, &shortened.collect::<Vec<_>>(), put_contact);
        out
    }

    /// Reads what was encoded.
    ///
    /// # Errors
    /// `UnknownVersion`, `Malformed`, `Oversized`, `Impossible` for what does not belong together, and what [`Card::decode`]
    /// says.
    pub fn decode(bytes: &[u8]) -> Result<Account, Fault> {
        let account = whole(bytes, |reader| {
            if reader.u8()? != VERSION {
                return Err(Fault::UnknownVersion);
            }
            Ok(Account {
                secrets: Secret::new(reader.array()?),
                card: Card::decode(reader)?,
                sessions: reader.list(SESSIONS_MAX, |reader| reader.array().map(SessionId))?,
                contacts: reader.list(CONTACTS_MAX, read_contact)?,
            })
        })?;
        let is_whole = Identity::from_secrets(&account.secrets).key() == account.card.identity();
        if is_whole { Ok(account) } else { Err(Fault::Impossible) }
    }

    fn head(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(self.secrets.expose());
        out.extend_from_slice(&self.card.to_bytes());
        put_list(&mut out, &self.sessions, |out, session| out.extend_from_slice(&session.0));
        out
    }
}

fn put_contact(out: &mut Vec<u8>, contact: &AccountContact) {
    out.extend_from_slice(&contact.peer.0);
    out.push(u8::from(contact.blocked) | u8::from(contact.card.is_some()) << 1);
    if let Some(card) = &contact.card {
        out.extend_from_slice(&card.to_bytes());
    }
}

fn read_contact(reader: &mut Reader<'_>) -> Result<AccountContact, Fault> {
    let (peer, flags) = (IdentityKey(reader.array()?), reader.u8()?);
    if flags > 0b11 {
        return Err(Fault::Impossible);
    }
    let card = (flags & 0b10 != 0).then(|| Card::decode(reader)).transpose()?;
    if card.as_ref().is_some_and(|card| card.identity() != peer) {
        return Err(Fault::Impossible);
    }
    Ok(AccountContact { peer, blocked: flags & 0b1 != 0, card })
}
