//! Where a ledger is kept: every key begins with the session's name, so that sessions share tables.
//!
//! | table | key behind the session | value |
//! |---|---|---|
//! | `SessionMessages` | place in the order, 8 bytes | when it came, author, head, body |
//! | `SessionSent` | own number, 8 bytes | place in the order, when it was said, state |
//! | `SessionWaiting` | author, number | when to give up its causes, head, body |
//! | `SessionProgress` | 0 | what we are and how far |
//! | | 1, device | how far we are with an author |
//! | | 2, device | how far a device is with us |
//! | | 3, device | whose it is |

use mainframe_base::{DeviceId, Fault, IdentityKey, SessionId, Time};

use super::members::Member;
use super::message::{Message, MessageId};
use super::peer::{Peer, Reach};
use super::state::MessageState;
use crate::codec::{Reader, put_list};
use crate::store::{Table, Tx};

/// Rows read at a time.
const PAGE: usize = 64;
const HEAD: u8 = 0;
const AUTHOR: u8 = 1;
const PEER: u8 = 2;
const MEMBER: u8 = 3;

/// What we are in this session, and how far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) me: Member,
    /// Our last message.
    pub(super) number: u64,
    pub(super) lamport: u64,
    /// The last place in the order of messages.
    pub(super) sequence: u64,
    /// Our first message that not everybody has.
    pub(super) open_from: u64,
    /// Up to where everybody has read us.
    pub(super) read_through: u64,
    /// Messages of others that nobody answered yet as far as we heard, with their Lamport times.
    pub(super) heads: Vec<(u64, MessageId)>,
}

/// How far we are with an author.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Author {
    /// All up to this number were delivered, or given up.
    pub(super) contiguous: u64,
    /// The mark of the last of these, 0 if it did not come.
    pub(super) mark: u32,
    /// Up to where they were read here.
    pub(super) read: u64,
    /// First and last of the numbers given up.
    pub(super) gaps: Vec<(u64, u64)>,
    /// Whether how far we are was told by who let us in, who may not have heard the author's latest by then.
    pub(super) by_hearsay: bool,
    /// Whether something of theirs was waited for in vain since they left.
    pub(super) is_given_up: bool,
}

impl Author {
    pub(super) fn gave_up(&self, number: u64) -> bool {
        self.gaps.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

/// An own message: where it stands and how far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) said: Time,
    pub(super) state: MessageState,
}

/// The rows of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows(pub(super) SessionId);

impl Rows {
    fn key(self, tail: &[u8]) -> Vec<u8> {
        [&self.0.0, tail].concat()
    }

    fn device_key(self, kind: u8, device: &DeviceId) -> Vec<u8> {
        [&self.0.0[..], &[kind], &device.0].concat()
    }

    fn id_key(self, id: MessageId) -> Vec<u8> {
        let mut tail = Vec::with_capacity(16);
        id.put(&mut tail);
        self.key(&tail)
    }

    /// Rows whose keys begin with the session and `within`, those after `after`: what follows the session, and the value.
    fn page(self, tx: &dyn Tx, table: Table, within: &[u8], after: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let prefix = self.key(within);
        let rows = tx.scan(table, Some(&self.key(after)), limit).into_iter();
        let rows = rows.take_while(|(key, _)| key.starts_with(&prefix));
        rows.map(|(key, value)| (key[16..].to_vec(), value)).collect()
    }

    fn each(self, tx: &dyn Tx, table: Table, within: &[u8], mut take: impl FnMut(&[u8], &[u8])) {
        let mut after = within.to_vec();
        loop {
            let rows = self.page(tx, table, within, &after, PAGE);
            rows.iter().for_each(|(tail, value)| take(tail, value));
            match rows.last() {
                Some((tail, _)) if rows.len() == PAGE => after.clone_from(tail),
                _ => return,
            }
        }
    }

    /// Devices under a kind of progress, each with what is kept of it.
    fn devices<T>(
        self,
        tx: &dyn Tx,
        kind: u8,
        read: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
    ) -> Vec<(DeviceId, T)> {
        let mut devices = Vec::new();
        self.each(tx, Table::SessionProgress, &[kind], |tail, value| {
            let device = ours(&tail[1..], |reader| reader.array().map(DeviceId));
            devices.push((device, ours(value, &read)));
        });
        devices
    }

    pub(super) fn head(self, tx: &dyn Tx) -> Option<Head> {
        tx.get(Table::SessionProgress, &self.key(&[HEAD])).map(|row| ours(&row, read_head))
    }

    pub(super) fn put_head(self, tx: &mut dyn Tx, head: &Head) {
        let mut row = [&head.me.device.0[..], &head.me.person.0].concat();
        for number in [head.number, head.lamport, head.sequence, head.open_from, head.read_through] {
            row.extend_from_slice(&number.to_be_bytes());
        }
        put_list(&mut row, &head.heads, |row, (lamport, id)| {
            row.extend_from_slice(&lamport.to_be_bytes());
            id.put(row);
        });
        tx.put(Table::SessionProgress, &self.key(&[HEAD]), &row);
    }

    pub(super) fn authors(self, tx: &dyn Tx) -> Vec<(DeviceId, Author)> {
        self.devices(tx, AUTHOR, read_author)
    }

    pub(super) fn put_author(self, tx: &mut dyn Tx, device: &DeviceId, author: &Author) {
        let mut row = [author.contiguous.to_be_bytes(), author.read.to_be_bytes()].concat();
        put_list(&mut row, &author.gaps, |row, (first, last)| {
            row.extend_from_slice(&first.to_be_bytes());
            row.extend_from_slice(&last.to_be_bytes());
        });
        row.push(u8::from(author.by_hearsay) | u8::from(author.is_given_up) << 1);
        row.extend_from_slice(&author.mark.to_be_bytes());
        tx.put(Table::SessionProgress, &self.device_key(AUTHOR, device), &row);
    }

    pub(super) fn delete_author(self, tx: &mut dyn Tx, device: &DeviceId) {
        tx.delete(Table::SessionProgress, &self.device_key(AUTHOR, device));
    }

    pub(super) fn peers(self, tx: &dyn Tx) -> Vec<(DeviceId, Peer)> {
        self.devices(tx, PEER, |reader| {
            let mut peer = Peer::new(reader.u64()?, Time(0));
            peer.reach = Reach { contiguous: reader.u64()?, beyond: reader.u64()? };
            peer.read = reader.u64()?;
            Ok(peer)
        })
    }

    pub(super) fn put_peer(self, tx: &mut dyn Tx, device: &DeviceId, peer: &Peer) {
        let row = [peer.since, peer.reach.contiguous, peer.reach.beyond, peer.read].map(u64::to_be_bytes).concat();
        tx.put(Table::SessionProgress, &self.device_key(PEER, device), &row);
    }

    pub(super) fn members(self, tx: &dyn Tx) -> Vec<Member> {
        let members = self.devices(tx, MEMBER, |reader| reader.array().map(IdentityKey)).into_iter();
        members.map(|(device, person)| Member { device, person }).collect()
    }

    pub(super) fn put_member(self, tx: &mut dyn Tx, member: &Member) {
        tx.put(Table::SessionProgress, &self.device_key(MEMBER, &member.device), &member.person.0);
    }

    /// Forgets a device as a member and as a receiver; as an author it is remembered.
    pub(super) fn delete_member(self, tx: &mut dyn Tx, device: &DeviceId) {
        tx.delete(Table::SessionProgress, &self.device_key(MEMBER, device));
        tx.delete(Table::SessionProgress, &self.device_key(PEER, device));
    }

    pub(super) fn put_message(self, tx: &mut dyn Tx, sequence: u64, came: Time, message: &Message) {
        let mut row = Vec::with_capacity(96 + message.body.len());
        row.extend_from_slice(&came.0.to_be_bytes());
        row.extend_from_slice(&message.id.author.0);
        message.put_head(&mut row);
        row.extend_from_slice(&message.body);
        tx.put(Table::SessionMessages, &self.key(&sequence.to_be_bytes()), &row);
    }

    pub(super) fn message(self, tx: &dyn Tx, sequence: u64) -> Option<(Time, Message)> {
        tx.get(Table::SessionMessages, &self.key(&sequence.to_be_bytes())).map(|row| ours(&row, read_logged))
    }

    /// At most `limit` messages after a place in the order: their places, when they came, and they.
    pub(super) fn messages(self, tx: &dyn Tx, after: u64, limit: usize) -> Vec<(u64, Time, Message)> {
        let rows = self.page(tx, Table::SessionMessages, &[], &after.to_be_bytes(), limit).into_iter();
        rows.map(|(tail, row)| {
            let (came, message) = ours(&row, read_logged);
            (ours(&tail, |reader| reader.u64()), came, message)
        })
        .collect()
    }

    pub(super) fn sent(self, tx: &dyn Tx, number: u64) -> Option<Sent> {
        tx.get(Table::SessionSent, &self.key(&number.to_be_bytes())).map(|row| ours(&row, read_sent))
    }

    pub(super) fn put_sent(self, tx: &mut dyn Tx, number: u64, sent: Sent) {
        let mut row = [sent.sequence.to_be_bytes(), sent.said.0.to_be_bytes()].concat();
        row.push(sent.state.to_byte());
        tx.put(Table::SessionSent, &self.key(&number.to_be_bytes()), &row);
    }

    pub(super) fn delete_sent(self, tx: &mut dyn Tx, number: u64) {
        tx.delete(Table::SessionSent, &self.key(&number.to_be_bytes()));
    }

    /// Every own message from a number on.
    pub(super) fn each_sent(self, tx: &dyn Tx, from: u64, mut take: impl FnMut(u64, Sent)) {
        let mut after = from.saturating_sub(1);
        loop {
            let rows = self.page(tx, Table::SessionSent, &[], &after.to_be_bytes(), PAGE);
            for (tail, row) in &rows {
                after = ours(tail, |reader| reader.u64());
                take(after, ours(row, read_sent));
            }
            if rows.len() < PAGE {
                return;
            }
        }
    }

    pub(super) fn put_waiting(self, tx: &mut dyn Tx, until: Time, message: &Message) {
        let mut row = Vec::with_capacity(96 + message.body.len());
        row.extend_from_slice(&until.0.to_be_bytes());
        message.put_head(&mut row);
        row.extend_from_slice(&message.body);
        tx.put(Table::SessionWaiting, &self.id_key(message.id), &row);
    }

    /// A waiting message's causes are given up at another time.
    pub(super) fn put_waiting_until(self, tx: &mut dyn Tx, id: MessageId, until: Time) {
        let key = self.id_key(id);
        if let Some(mut row) = tx.get(Table::SessionWaiting, &key) {
            row[..8].copy_from_slice(&until.0.to_be_bytes());
            tx.put(Table::SessionWaiting, &key, &row);
        }
    }

    /// Takes a message that waited.
    pub(super) fn take_waiting(self, tx: &mut dyn Tx, id: MessageId) -> Option<Message> {
        let key = self.id_key(id);
        let row = tx.get(Table::SessionWaiting, &key)?;
        tx.delete(Table::SessionWaiting, &key);
        Some(ours(&row, |reader| read_waiting(id.author, reader)).1)
    }

    /// Every message that waits, and when its causes are given up.
    pub(super) fn each_waiting(self, tx: &dyn Tx, mut take: impl FnMut(Time, Message)) {
        self.each(tx, Table::SessionWaiting, &[], |tail, row| {
            let id = ours(tail, MessageId::read);
            let (until, message) = ours(row, |reader| read_waiting(id.author, reader));
            take(until, message);
        });
    }
}

/// Reads what we wrote ourselves.
///
/// # Panics
/// If it is not what we write: the store is broken, and going on would lose or double messages.
fn ours<T>(bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, Fault>) -> T {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader).expect("a row reads as it was written");
    reader.finish().expect("a row ends where it was ended");
    value
}

fn read_head(reader: &mut Reader<'_>) -> Result<Head, Fault> {
    let me = Member { device: DeviceId(reader.array()?), person: IdentityKey(reader.array()?) };
    let (number, lamport, sequence) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let (open_from, read_through) = (reader.u64()?, reader.u64()?);
    let heads = reader.list(usize::MAX, |reader| Ok((reader.u64()?, MessageId::read(reader)?)))?;
    Ok(Head { me, number, lamport, sequence, open_from, read_through, heads })
}

fn read_author(reader: &mut Reader<'_>) -> Result<Author, Fault> {
    let (contiguous, read) = (reader.u64()?, reader.u64()?);
    let gaps = reader.list(usize::MAX, |reader| Ok((reader.u64()?, reader.u64()?)))?;
    let flags = reader.u8()?;
    let (by_hearsay, is_given_up) = (flags & 1 != 0, flags & 2 != 0);
    Ok(Author { contiguous, read, gaps, by_hearsay, is_given_up, mark: reader.u32()? })
}

fn read_sent(reader: &mut Reader<'_>) -> Result<Sent, Fault> {
    let (sequence, said) = (reader.u64()?, Time(reader.u64()?));
    Ok(Sent { sequence, said, state: MessageState::from_byte(reader.u8()?)? })
}

fn read_logged(reader: &mut Reader<'_>) -> Result<(Time, Message), Fault> {
    let came = Time(reader.u64()?);
    let author = DeviceId(reader.array()?);
    Ok((came, read_whole(author, reader)?))
}

fn read_waiting(author: DeviceId, reader: &mut Reader<'_>) -> Result<(Time, Message), Fault> {
    Ok((Time(reader.u64()?), read_whole(author, reader)?))
}

fn read_whole(author: DeviceId, reader: &mut Reader<'_>) -> Result<Message, Fault> {
    let mut message = Message::read_head(author, reader)?;
    message.read_body(reader)?;
    Ok(message)
}
