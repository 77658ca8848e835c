//! What stands in letters, as bytes. All fields are bounded; a list is preceded by its length, a text or an opaque part by
//! its bytes' number in two.

use std::fmt;

use mainframe_base::{Fault, SessionId};
use mainframe_mls::EpochId;

use crate::codec::{Reader, put_list};
use crate::crypto::{Card, LETTER_LENGTH_MAX, LETTER_OVERHEAD_MAX, Rotation};

/// The longest text in a greeting, in bytes of UTF-8: with the longest card it fits two cells.
pub const TEXT_LENGTH_MAX: usize = 600;

/// The longest key package, in bytes. With suite 0x004F they are 2,714 and a credential.
pub const KEY_PACKAGE_LENGTH_MAX: usize = 4_096;

/// Key packages in one letter, one for each device of a person (guess).
pub const KEY_PACKAGES_MAX: usize = 8;

/// The longest MLS Welcome in a letter, in bytes.
pub const WELCOME_LENGTH_MAX: usize = 40_000;

/// The longest tree in a letter, in bytes; longer ones are fetched inside the session's region.
pub const TREE_LENGTH_MAX: usize = 32_000;
/// Bytes that say where a newcomer's ledger begins (16 for each of 128 devices, with room).
pub const START_LENGTH_MAX: usize = 4_096;

const _: () = assert!(
    1 + 16 + 16 + 2 + WELCOME_LENGTH_MAX + 1 + 2 + TREE_LENGTH_MAX + 2 + START_LENGTH_MAX
        <= LETTER_LENGTH_MAX - LETTER_OVERHEAD_MAX
);
const _: () = assert!(
    16 + Card::LENGTH_MAX + 2 + KEY_PACKAGES_MAX * (2 + KEY_PACKAGE_LENGTH_MAX)
        <= LETTER_LENGTH_MAX - LETTER_OVERHEAD_MAX
);

/// A greeting's name: random, the same each time the greeting is sent again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelloId(pub [u8; 16]);

impl fmt::Debug for HelloId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..4]))
    }
}

/// What keys or a Welcome are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// The session that follows from a greeting.
    Hello(HelloId),
    /// A session that exists: somebody is added to it, again or for the first time.
    Session(SessionId),
}

/// I would like to talk with you. Under an invitation, that the letter can be opened proves that the sender had it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Its name.
    pub id: HelloId,
    /// What the user wrote.
    pub text: String,
    /// Where to answer.
    pub card: Card,
}

impl Hello {
    /// Name 16, text, card.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.id.0.to_vec();
        put_bytes(&mut out, self.text.as_bytes());
        out.extend_from_slice(&self.card.to_bytes());
        out
    }

    /// Reads what [`Hello::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`, `Oversized`, `Impossible` for a text that is none, and what [`Card::decode`] says.
    pub fn decode(bytes: &[u8]) -> Result<Hello, Fault> {
        whole(bytes, |reader| {
            let id = HelloId(reader.array()?);
            let text = read_text(reader)?;
            Ok(Hello { id, text, card: Card::decode(reader)? })
        })
    }
}

/// Gladly: keys for a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accept {
    /// The greeting that is answered.
    pub hello: HelloId,
    /// One MLS KeyPackage for each device.
    pub packages: Vec<Vec<u8>>,
    /// The card of who accepts; who greeted perhaps knew only a stub.
    pub card: Card,
}

impl Accept {
    /// Greeting 16, key packages, card.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.hello.0.to_vec();
        put_packages(&mut out, &self.packages);
        out.extend_from_slice(&self.card.to_bytes());
        out
    }

    /// Reads what [`Accept::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`, `Oversized`, `Impossible` without a key package, and what [`Card::decode`] says.
    pub fn decode(bytes: &[u8]) -> Result<Accept, Fault> {
        whole(bytes, |reader| {
            let hello = HelloId(reader.array()?);
            Ok(Accept { hello, packages: read_packages(reader)?, card: Card::decode(reader)? })
        })
    }
}

/// The greeting comes to nothing. Said by either side, at any time before there is a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decline {
    /// The greeting.
    pub hello: HelloId,
}

impl Decline {
    /// Greeting 16.
    pub fn encode(&self) -> Vec<u8> {
        self.hello.0.to_vec()
    }

    /// Reads what [`Decline::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn decode(bytes: &[u8]) -> Result<Decline, Fault> {
        whole(bytes, |reader| Ok(Decline { hello: HelloId(reader.array()?) }))
    }
}

/// Here is our session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// What it is about.
    pub about: About,
    /// The session.
    pub session: SessionId,
    /// The MLS Welcome.
    pub welcome: Vec<u8>,
    /// The MLS tree, if it is not in the Welcome.
    pub tree: Option<Vec<u8>>,
    /// Where the newcomer's ledger begins; empty in a session that begins with him.
    pub start: Vec<u8>,
}

impl Welcome {
    /// What it is about 1 + 16 (0 a greeting, 1 a session), session 16, Welcome, whether there is a tree 1, tree, where to
    /// begin.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_about(&mut out, self.about);
        out.extend_from_slice(&self.session.0);
        put_bytes(&mut out, &self.welcome);
        out.push(u8::from(self.tree.is_some()));
        if let Some(tree) = &self.tree {
            put_bytes(&mut out, tree);
        }
        put_bytes(&mut out, &self.start);
        out
    }

    /// Reads what [`Welcome::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`, `Oversized`, `Impossible` for flags that mean nothing.
    pub fn decode(bytes: &[u8]) -> Result<Welcome, Fault> {
        whole(bytes, |reader| {
            Ok(Welcome {
                about: read_about(reader)?,
                session: SessionId(reader.array()?),
                welcome: read_bytes(reader, WELCOME_LENGTH_MAX)?,
                tree: match reader.u8()? {
                    0 => None,
                    1 => Some(read_bytes(reader, TREE_LENGTH_MAX)?),
                    _ => return Err(Fault::Impossible),
                },
                start: read_bytes(reader, START_LENGTH_MAX)?,
            })
        })
    }
}

/// Give me keys, so that I can add you to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeysWanted {
    /// The session.
    pub session: SessionId,
}

impl KeysWanted {
    /// Session 16.
    pub fn encode(&self) -> Vec<u8> {
        self.session.0.to_vec()
    }

    /// Reads what [`KeysWanted::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn decode(bytes: &[u8]) -> Result<KeysWanted, Fault> {
        whole(bytes, |reader| Ok(KeysWanted { session: SessionId(reader.array()?) }))
    }
}

/// Keys for a session that exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// The session.
    pub session: SessionId,
    /// One MLS KeyPackage for each device to be added.
    pub packages: Vec<Vec<u8>>,
}

impl Keys {
    /// Session 16, key packages.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.session.0.to_vec();
        put_packages(&mut out, &self.packages);
        out
    }

    /// Reads what [`Keys::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`, `Oversized`, `Impossible` without a key package.
    pub fn decode(bytes: &[u8]) -> Result<Keys, Fault> {
        whole(bytes, |reader| Ok(Keys { session: SessionId(reader.array()?), packages: read_packages(reader)? }))
    }
}

/// A device may have been left behind in a session: it asks to be let in again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Back {
    /// The session.
    pub session: SessionId,
    /// The epoch it is in.
    pub epoch: EpochId,
    /// An MLS KeyPackage of that device.
    pub package: Vec<u8>,
}

impl Back {
    /// Session 16, epoch 16, key package.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = [self.session.0, self.epoch.0].concat();
        put_packages(&mut out, std::slice::from_ref(&self.package));
        out
    }

    /// Reads what [`Back::encode`] wrote.
    ///
    /// # Errors
    /// `Malformed`, `Oversized`, `Impossible` unless there is one key package.
    pub fn decode(bytes: &[u8]) -> Result<Back, Fault> {
        whole(bytes, |reader| {
            let (session, epoch) = (SessionId(reader.array()?), EpochId(reader.array()?));
            let [package] = <[_; 1]>::try_from(read_packages(reader)?).map_err(|_| Fault::Impossible)?;
            Ok(Back { session, epoch, package })
        })
    }
}

/// I have a new identity. The letter is signed by the new one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// What both identities signed.
    pub rotation: Rotation,
    /// The card of the new one.
    pub card: Card,
}

impl Moved {
    /// Rotation, card.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Rotation::LENGTH + Card::LENGTH_MAX);
        self.rotation.encode(&mut out);
        out.extend_from_slice(&self.card.to_bytes());
        out
    }

    /// Reads what [`Moved::encode`] wrote.
    ///
    /// # Errors
    /// `Impossible` if the card is not the new identity's, and what [`Rotation::decode`] and [`Card::decode`] say.
    pub fn decode(bytes: &[u8]) -> Result<Moved, Fault> {
        let moved =
            whole(bytes, |reader| Ok(Moved { rotation: Rotation::decode(reader)?, card: Card::decode(reader)? }))?;
        if moved.rotation.new == moved.card.identity() { Ok(moved) } else { Err(Fault::Impossible) }
    }
}

/// A text that a greeting may carry: not too long, and without control characters other than the end of a line.
pub(super) fn is_text(text: &str) -> bool {
    text.len() <= TEXT_LENGTH_MAX && !text.chars().any(|letter| letter.is_control() && letter != '\n')
}

/// Reads a value and nothing behind it.
pub(super) fn whole<T>(bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("bounded where it is made");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn read_bytes(reader: &mut Reader<'_>, length_max: usize) -> Result<Vec<u8>, Fault> {
    let length = usize::from(reader.u16()?);
    if length > length_max {
        return Err(Fault::Oversized);
    }
    Ok(reader.bytes(length)?.to_vec())
}

pub(super) fn read_text(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let text = String::from_utf8(read_bytes(reader, TEXT_LENGTH_MAX)?).map_err(|_| Fault::Impossible)?;
    if is_text(&text) { Ok(text) } else { Err(Fault::Impossible) }
}

pub(super) fn put_packages(out: &mut Vec<u8>, packages: &[Vec<u8>]) {
    put_list(out, packages, |out, package| put_bytes(out, package));
}

pub(super) fn read_packages(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let packages = reader.list(KEY_PACKAGES_MAX, |reader| read_bytes(reader, KEY_PACKAGE_LENGTH_MAX))?;
    if packages.is_empty() { Err(Fault::Impossible) } else { Ok(packages) }
}

fn put_about(out: &mut Vec<u8>, about: About) {
    let (number, id) = match about {
        About::Hello(hello) => (0, hello.0),
        About::Session(session) => (1, session.0),
    };
    out.push(number);
    out.extend_from_slice(&id);
}

fn read_about(reader: &mut Reader<'_>) -> Result<About, Fault> {
    match reader.u8()? {
        0 => Ok(About::Hello(HelloId(reader.array()?))),
        1 => Ok(About::Session(SessionId(reader.array()?))),
        _ => Err(Fault::Impossible),
    }
}
