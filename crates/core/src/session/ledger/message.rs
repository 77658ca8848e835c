//! A message: what somebody said, under a name of its own, and what he had heard before.

use std::fmt;

use mainframe_base::{DeviceId, Fault, Time};

use super::config::{BODY_MAX, DEVICE_BODY_MAX};
use crate::codec::Reader;

/// Causes a message names beside its author's message before it, which is always one (SDS names two).
pub const PARENTS_MAX: usize = 2;

/// From this kind on a message is for devices and no person reads it.
pub const DEVICE_KIND: u8 = 0x80;
/// Nobody begins at this number or a higher one: there would be no room to go on.
pub(super) const NUMBER_END: u64 = u64::MAX / 2;

const WITHDRAWN: u8 = 1;

/// A message's name: who said it, and as his how manieth. Numbers count from 1 over the life of the session, whatever
/// epochs it goes through; what is sent again keeps its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MessageId {
    /// The device that said it.
    pub author: DeviceId,
    /// Its number there, from 1.
    pub number: u64,
}

impl MessageId {
    /// The message its author said before, if there is one.
    pub(super) fn previous(self) -> Option<MessageId> {
        let number = self.number.checked_sub(1).filter(|number| *number > 0)?;
        Some(MessageId { number, ..self })
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.author.0);
        out.extend_from_slice(&self.number.to_be_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<MessageId, Fault> {
        let author = DeviceId(reader.array()?);
        Ok(MessageId { author, number: numbered(reader.u64()?)? })
    }
}

/// A number of a message, which is never 0.
pub(super) fn numbered(number: u64) -> Result<u64, Fault> {
    if number == 0 { Err(Fault::Impossible) } else { Ok(number) }
}

/// The longest body of a message of this kind, in bytes.
pub(super) fn body_max(kind: u8) -> usize {
    if kind < DEVICE_KIND { BODY_MAX } else { DEVICE_BODY_MAX }
}

/// What somebody said.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// Greater than that of anything its author had heard: sorts what nobody knows the order of.
    pub lamport: u64,
    /// The latest messages of others its author had heard and nobody had answered, ascending; at most [`PARENTS_MAX`].
    pub parents: Vec<MessageId>,
    /// The mark of its author's message before it; 0 for the first. Whoever has another one under that number hears an old
    /// copy of the author.
    pub follows: u32,
    /// When it was said, by its author's clock.
    pub said: Time,
    /// Which of the session's streams it belongs to; the application gives them meaning.
    pub stream: u16,
    /// What sort of message it is; the application gives it meaning.
    pub kind: u8,
    /// Whether its author took it back before it arrived: it stands in the order, and its body is empty.
    pub withdrawn: bool,
    /// What was said: at most [`BODY_MAX`] bytes, or [`DEVICE_BODY_MAX`] if it is for devices.
    pub body: Vec<u8>,
}

/// What people say does not go to logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?} {}, {} bytes)", self.id.author, self.id.number, self.body.len())
    }
}

impl Message {
    /// By which it is told from another message of the same name, which an old copy of its author may say: when it was said.
    /// Never 0.
    pub(crate) fn mark(said: Time) -> u32 {
        (said.0 as u32).max(1)
    }

    /// Everything but its author and its body, which ends what it is part of.
    pub(super) fn put_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.number.to_be_bytes());
        out.extend_from_slice(&self.lamport.to_be_bytes());
        out.extend_from_slice(&self.said.0.to_be_bytes());
        out.extend_from_slice(&self.follows.to_be_bytes());
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&[self.kind, u8::from(self.withdrawn) * WITHDRAWN, self.parents.len() as u8]);
        self.parents.iter().for_each(|parent| parent.put(out));
    }

    /// Reads what [`Message::put_head`] wrote; the body is still empty.
    pub(super) fn read_head(author: DeviceId, reader: &mut Reader<'_>) -> Result<Message, Fault> {
        let id = MessageId { author, number: numbered(reader.u64()?)? };
        let (lamport, said) = (numbered(reader.u64()?)?, Time(reader.u64()?));
        let (follows, stream, kind) = (reader.u32()?, reader.u16()?, reader.u8()?);
        let withdrawn = match reader.u8()? {
            0 => false,
            WITHDRAWN => true,
            _ => return Err(Fault::Impossible),
        };
        let parents = read_parents(author, reader)?;
        Ok(Message { id, lamport, parents, follows, said, stream, kind, withdrawn, body: Vec::new() })
    }

    /// Takes what is left as the body.
    pub(super) fn read_body(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        if reader.remaining() > body_max(self.kind) {
            return Err(Fault::Oversized);
        }
        self.body = reader.bytes(reader.remaining())?.to_vec();
        if self.withdrawn && !self.body.is_empty() { Err(Fault::Impossible) } else { Ok(()) }
    }
}

fn read_parents(author: DeviceId, reader: &mut Reader<'_>) -> Result<Vec<MessageId>, Fault> {
    let count = usize::from(reader.u8()?);
    if count > PARENTS_MAX {
        return Err(Fault::Oversized);
    }
    let parents = (0..count).map(|_| MessageId::read(reader)).collect::<Result<Vec<_>, _>>()?;
    let ascending = parents.windows(2).all(|pair| pair[0] < pair[1]);
    let by_others = parents.iter().all(|parent| parent.author != author);
    if ascending && by_others { Ok(parents) } else { Err(Fault::Impossible) }
}
