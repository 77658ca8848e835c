//! What devices of a session say to each other, as bytes inside an encrypted message.
//!
//! The author of a frame is whoever encrypted it: it is not written down, so nobody can claim to be another.

use mainframe_base::{DeviceId, Fault};

use super::config::DEVICE_BODY_MAX;
use super::message::{Message, MessageId, numbered};
use crate::codec::{Reader, put_list};

/// Acknowledgements in a frame of their own: one for each leaf a session can have.
pub const ACKS_MAX: usize = 128;
/// Acknowledgements that ride on a message: so few that a short message still fits a small cell.
pub const RIDING_ACKS_MAX: usize = 16;
/// Devices a message sent again can ask for an acknowledgement by name.
pub const ASKED_MAX: usize = 16;
/// Ranges one frame can ask for.
pub const RANGES_MAX: usize = 64;
/// Messages one range can ask for.
pub const RANGE_MAX: u16 = 256;
/// The longest encrypted message that is passed on: a body and what encryption adds (guess: 1 KiB for frame and MLS).
pub const ORIGINAL_MAX: usize = DEVICE_BODY_MAX + 2_048;
/// The longest notice, in bytes: several cards.
pub const NOTICE_MAX: usize = 16 * 1_024;

/// Which of an author's messages have come: all up to a number, and some of the 64 behind the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The author.
    pub author: DeviceId,
    /// All up to this number have come.
    pub contiguous: u64,
    /// The mark of the last of them, 0 if it did not come: whoever said another message under that number is an old copy of
    /// the author.
    pub mark: u32,
    /// Bit *i*: number `contiguous + 2 + i` has come. The next one has not, or it would be counted.
    pub beyond: u64,
}

/// Some numbers of one author.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Range {
    /// The author.
    pub author: DeviceId,
    /// The first number, from 1.
    pub first: u64,
    /// How many: 1 to [`RANGE_MAX`].
    pub count: u16,
}

impl Range {
    /// The numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.first..self.first.saturating_add(u64::from(self.count))
    }
}

/// Who acknowledges a message even if he has had it before: its sender does not know that he has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// These, ascending; at most [`ASKED_MAX`]. Nobody when it is sent for the first time.
    Devices(Vec<DeviceId>),
    /// More than can be named.
    Everybody,
}

impl Asked {
    /// Names the devices, if they are not too many.
    pub(super) fn of(devices: Vec<DeviceId>) -> Asked {
        if devices.len() > ASKED_MAX { Asked::Everybody } else { Asked::Devices(devices) }
    }

    /// Whether this device is asked.
    pub(super) fn asks(&self, device: &DeviceId) -> bool {
        match self {
            Asked::Devices(devices) => devices.contains(device),
            Asked::Everybody => true,
        }
    }
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// What was said, with what its author acknowledges on this occasion.
    Message(Message, Vec<Ack>, Asked),
    /// What has come, ascending by author; at most [`ACKS_MAX`].
    Acks(Vec<Ack>),
    /// What has not come, ascending; at most [`RANGES_MAX`].
    Nacks(Vec<Range>),
    /// Up to where was read, ascending by author; at most [`ACKS_MAX`].
    Read(Vec<MessageId>),
    /// Somebody else's message as it was encrypted by its author.
    Relay(MessageId, Vec<u8>),
    /// What its author said up to this number was not for this device, which was not there yet.
    Floor(DeviceId, u64),
    /// Of members, cards and the like: not the ledger's, handed on as it is.
    Notice(Vec<u8>),
}

const MESSAGE: u8 = 1;
const ACKS: u8 = 2;
const NACKS: u8 = 3;
const READ: u8 = 4;
const RELAY: u8 = 5;
const FLOOR: u8 = 6;
const NOTICE: u8 = 7;
const EVERYBODY: u8 = 0xFF;

impl Frame {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Frame::Message(message, acks, asked) => put_message(message, acks, asked),
            Frame::Acks(acks) => put_items(ACKS, acks, put_ack),
            Frame::Nacks(ranges) => put_items(NACKS, ranges, put_range),
            Frame::Read(ids) => put_items(READ, ids, |out, id| id.put(out)),
            Frame::Relay(id, original) => {
                let mut out = vec![RELAY];
                id.put(&mut out);
                out.extend_from_slice(original);
                out
            }
            Frame::Floor(device, number) => [&[FLOOR], &device.0[..], &number.to_be_bytes()].concat(),
            Frame::Notice(bytes) => [&[NOTICE], bytes.as_slice()].concat(),
        }
    }

    /// Reads a frame that this device encrypted.
    ///
    /// # Errors
    /// A fault of the author's: nobody else could have written it.
    pub fn decode(author: DeviceId, bytes: &[u8]) -> Result<Frame, Fault> {
        let mut reader = Reader::new(bytes);
        let frame = match reader.u8()? {
            MESSAGE => read_message(author, &mut reader)?,
            ACKS => Frame::Acks(ascending(reader.list(ACKS_MAX, read_ack)?, |ack| ack.author)?),
            NACKS => {
                Frame::Nacks(ascending(reader.list(RANGES_MAX, read_range)?, |range| (range.author, range.first))?)
            }
            READ => Frame::Read(ascending(reader.list(ACKS_MAX, MessageId::read)?, |id| id.author)?),
            RELAY => Frame::Relay(MessageId::read(&mut reader)?, rest(&mut reader, ORIGINAL_MAX)?),
            FLOOR => Frame::Floor(DeviceId(reader.array()?), reader.u64()?),
            NOTICE => Frame::Notice(rest(&mut reader, NOTICE_MAX)?),
            _ => return Err(Fault::UnknownFrame),
        };
        reader.finish()?;
        Ok(frame)
    }
}

fn put_items<T>(kind: u8, items: &[T], put: impl FnMut(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = vec![kind];
    put_list(&mut out, items, put);
    out
}

fn put_message(message: &Message, acks: &[Ack], asked: &Asked) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + message.body.len());
    out.push(MESSAGE);
    message.put_head(&mut out);
    out.push(acks.len() as u8);
    acks.iter().for_each(|ack| put_ack(&mut out, ack));
    match asked {
        Asked::Everybody => out.push(EVERYBODY),
        Asked::Devices(devices) => {
            out.push(devices.len() as u8);
            devices.iter().for_each(|device| out.extend_from_slice(&device.0));
        }
    }
    out.extend_from_slice(&message.body);
    out
}

fn read_message(author: DeviceId, reader: &mut Reader<'_>) -> Result<Frame, Fault> {
    let mut message = Message::read_head(author, reader)?;
    let acks = match reader.u8()? {
        count if usize::from(count) > RIDING_ACKS_MAX => return Err(Fault::Oversized),
        count => (0..count).map(|_| read_ack(reader)).collect::<Result<Vec<_>, _>>()?,
    };
    let asked = match reader.u8()? {
        EVERYBODY => Asked::Everybody,
        count if usize::from(count) > ASKED_MAX => return Err(Fault::Oversized),
        count => {
            let devices = (0..count).map(|_| reader.array().map(DeviceId)).collect::<Result<Vec<_>, _>>()?;
            Asked::Devices(ascending(devices, |device| *device)?)
        }
    };
    message.read_body(reader)?;
    Ok(Frame::Message(message, ascending(acks, |ack| ack.author)?, asked))
}

fn put_ack(out: &mut Vec<u8>, ack: &Ack) {
    out.extend_from_slice(&ack.author.0);
    out.extend_from_slice(&ack.contiguous.to_be_bytes());
    out.extend_from_slice(&ack.mark.to_be_bytes());
    out.extend_from_slice(&ack.beyond.to_be_bytes());
}

fn read_ack(reader: &mut Reader<'_>) -> Result<Ack, Fault> {
    let author = DeviceId(reader.array()?);
    Ok(Ack { author, contiguous: reader.u64()?, mark: reader.u32()?, beyond: reader.u64()? })
}

fn put_range(out: &mut Vec<u8>, range: &Range) {
    out.extend_from_slice(&range.author.0);
    out.extend_from_slice(&range.first.to_be_bytes());
    out.extend_from_slice(&range.count.to_be_bytes());
}

fn read_range(reader: &mut Reader<'_>) -> Result<Range, Fault> {
    let range = Range { author: DeviceId(reader.array()?), first: numbered(reader.u64()?)?, count: reader.u16()? };
    let bounded = (1..=RANGE_MAX).contains(&range.count) && range.first.checked_add(u64::from(range.count)).is_some();
    if bounded { Ok(range) } else { Err(Fault::Impossible) }
}

/// Items in strictly ascending order: one encoding for one set.
fn ascending<T, K: Ord>(items: Vec<T>, key: impl Fn(&T) -> K) -> Result<Vec<T>, Fault> {
    let ordered = items.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]));
    if ordered { Ok(items) } else { Err(Fault::Impossible) }
}

fn rest(reader: &mut Reader<'_>, length_max: usize) -> Result<Vec<u8>, Fault> {
    match reader.remaining() {
        0 => Err(Fault::Malformed),
        length if length > length_max => Err(Fault::Oversized),
        length => Ok(reader.bytes(length)?.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mainframe_base::Time;
    use proptest::prelude::*;

    use super::super::config::BODY_MAX;
    use super::*;

    fn any_device() -> impl Strategy<Value = DeviceId> {
        any::<[u8; 8]>().prop_map(DeviceId)
    }

    fn any_id() -> impl Strategy<Value = MessageId> {
        (any_device(), 1u64..).prop_map(|(author, number)| MessageId { author, number })
    }

    fn any_acks(count_max: usize) -> impl Strategy<Value = Vec<Ack>> {
        prop::collection::btree_map(any_device(), any::<(u64, u32, u64)>(), 0..=count_max).prop_map(|acks| {
            acks.into_iter()
                .map(|(author, (contiguous, mark, beyond))| Ack { author, contiguous, mark, beyond })
                .collect()
        })
    }

    fn any_asked() -> impl Strategy<Value = Asked> {
        prop::collection::btree_set(any_device(), 0..=ASKED_MAX + 1)
            .prop_map(|devices| Asked::of(devices.into_iter().collect()))
    }

    prop_compose! {
        fn any_message(author: DeviceId)(
            number in 1u64.., lamport in 1u64.., follows: u32, said: u64, stream: u16, kind: u8, withdrawn: bool,
            parents in prop::collection::btree_map(any_device(), 1u64.., 0..=2),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) -> Message {
            let parents: BTreeMap<DeviceId, u64> = parents;
            let parents = parents.into_iter().filter(|(of, _)| *of != author);
            let parents = parents.map(|(author, number)| MessageId { author, number }).collect();
            let body = if withdrawn { Vec::new() } else { body };
            let id = MessageId { author, number };
            Message { id, lamport, parents, follows, said: Time(said), stream, kind, withdrawn, body }
        }
    }

    fn any_frame(author: DeviceId) -> impl Strategy<Value = Frame> {
        let ranges = prop::collection::btree_map((any_device(), 1u64..u64::MAX / 2), 1..=RANGE_MAX, 0..RANGES_MAX);
        let ranges = ranges.prop_map(|ranges| {
            ranges.into_iter().map(|((author, first), count)| Range { author, first, count }).collect()
        });
        let reads = prop::collection::btree_map(any_device(), 1u64.., 0..ACKS_MAX);
        let reads =
            reads.prop_map(|reads| reads.into_iter().map(|(author, number)| MessageId { author, number }).collect());
        let bytes = prop::collection::vec(any::<u8>(), 1..300);
        prop_oneof![
            (any_message(author), any_acks(RIDING_ACKS_MAX), any_asked())
                .prop_map(|(message, acks, asked)| Frame::Message(message, acks, asked)),
            any_acks(ACKS_MAX).prop_map(Frame::Acks),
            ranges.prop_map(Frame::Nacks),
            reads.prop_map(Frame::Read),
            (any_id(), bytes.clone()).prop_map(|(id, original)| Frame::Relay(id, original)),
            (any_device(), any::<u64>()).prop_map(|(device, number)| Frame::Floor(device, number)),
            bytes.prop_map(Frame::Notice),
        ]
    }

    const AUTHOR: DeviceId = DeviceId([7; 8]);

    #[test]
    fn a_message_longer_than_its_bound_or_numbered_nought_is_refused() {
        let id = MessageId { author: AUTHOR, number: 1 };
        let (parents, body) = (Vec::new(), vec![0; BODY_MAX]);
        let mut message =
            Message { id, lamport: 1, parents, follows: 0, said: Time(0), stream: 0, kind: 0, withdrawn: false, body };
        let bytes = |message: &Message| Frame::Message(message.clone(), Vec::new(), Asked::Everybody).encode();
        assert!(Frame::decode(AUTHOR, &bytes(&message)).is_ok());
        message.body.push(0);
        assert_eq!(Frame::decode(AUTHOR, &bytes(&message)), Err(Fault::Oversized));
        message.body.clear();
        message.id.number = 0;
        assert_eq!(Frame::decode(AUTHOR, &bytes(&message)), Err(Fault::Impossible));
    }

    #[test]
    fn what_is_not_in_ascending_order_is_refused() {
        let ack = |author: u8| Ack { author: DeviceId([author; 8]), contiguous: 1, mark: 0, beyond: 0 };
        assert!(Frame::decode(AUTHOR, &Frame::Acks(vec![ack(1), ack(2)]).encode()).is_ok());
        assert_eq!(Frame::decode(AUTHOR, &Frame::Acks(vec![ack(2), ack(1)]).encode()), Err(Fault::Impossible));
        assert_eq!(Frame::decode(AUTHOR, &Frame::Acks(vec![ack(1), ack(1)]).encode()), Err(Fault::Impossible));
    }

    proptest! {
        #[test]
        fn a_frame_reads_as_it_was_written(frame in any_frame(AUTHOR)) {
            prop_assert_eq!(Frame::decode(AUTHOR, &frame.encode()), Ok(frame));
        }

        #[test]
        fn whatever_reads_as_a_frame_is_its_only_encoding(
            frame in any_frame(AUTHOR), at: prop::sample::Index, flip: u8, cut in 0usize..4,
        ) {
            let mut bytes = frame.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            if let Ok(read) = Frame::decode(AUTHOR, &bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Frame::decode(AUTHOR, &bytes);
        }
    }
}
