//! Opened messages, kept until they are many: `Table::Inbox` and `Table::Opened`.

use mainframe_base::{PacketId, ScanKey, Time};

use super::{Message, OpenedBy};
use crate::codec::Reader;
use crate::store::{Table, Tx};

/// Messages kept; the oldest go first. A bound for the disk: 160 MB if all are as long as they can be (guess).
const MESSAGES_MAX: u64 = 10_000;

const OPENED_BY_PERSON: u8 = 0;
const OPENED_BY_TOPIC: u8 = 1;

/// Whether a packet was opened before: after a restart it may come again.
pub(super) fn has(tx: &dyn Tx, id: &PacketId) -> bool {
    tx.get(Table::Opened, &id.0).is_some()
}

/// Keeps a message; returns it with its sequence number.
pub(super) fn put(tx: &mut dyn Tx, now: Time, id: PacketId, opened_by: OpenedBy, body: Vec<u8>) -> Message {
    let last = tx.last(Table::Inbox).map_or(0, |(key, _)| sequence_of(&key));
    let message = Message { sequence: last + 1, id, opened_by, at: now, body };
    let key = message.sequence.to_be_bytes();
    tx.put(Table::Inbox, &key, &encode(&message));
    tx.put(Table::Opened, &id.0, &key);
    if let Some(old) = message.sequence.checked_sub(MESSAGES_MAX) {
        forget(tx, old);
    }
    message
}

/// Messages after a sequence number, oldest first.
pub(super) fn after(tx: &dyn Tx, sequence: u64, limit: usize) -> Vec<Message> {
    let rows = tx.scan(Table::Inbox, Some(&sequence.to_be_bytes()), limit);
    rows.iter().filter_map(|(key, value)| decode(sequence_of(key), value)).collect()
}

fn forget(tx: &mut dyn Tx, sequence: u64) {
    let key = sequence.to_be_bytes();
    if let Some(message) = tx.get(Table::Inbox, &key).and_then(|value| decode(sequence, &value)) {
        tx.delete(Table::Opened, &message.id.0);
    }
    tx.delete(Table::Inbox, &key);
}

fn sequence_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

/// id 16 | opened by 1 + 32 (a topic's fingerprint, then zeros) | at 8 | body.
fn encode(message: &Message) -> Vec<u8> {
    let mut value = Vec::with_capacity(57 + message.body.len());
    value.extend_from_slice(&message.id.0);
    let mut key = [0; 32];
    match &message.opened_by {
        OpenedBy::Person(scan_key) => {
            value.push(OPENED_BY_PERSON);
            key = scan_key.0;
        }
        OpenedBy::Topic(fingerprint) => {
            value.push(OPENED_BY_TOPIC);
            key[..8].copy_from_slice(fingerprint);
        }
    }
    value.extend_from_slice(&key);
    value.extend_from_slice(&message.at.0.to_be_bytes());
    value.extend_from_slice(&message.body);
    value
}

fn decode(sequence: u64, value: &[u8]) -> Option<Message> {
    let mut reader = Reader::new(value);
    let id = PacketId(reader.array().ok()?);
    let kind = reader.u8().ok()?;
    let key: [u8; 32] = reader.array().ok()?;
    let opened_by = match kind {
        OPENED_BY_PERSON => OpenedBy::Person(ScanKey(key)),
        _ => OpenedBy::Topic(*key.first_chunk()?),
    };
    let at = Time(reader.u64().ok()?);
    let body = reader.bytes(reader.remaining()).ok()?.to_vec();
    Some(Message { sequence, id, opened_by, at, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn id(number: u64) -> PacketId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        PacketId(bytes)
    }

    #[test]
    fn messages_are_read_back_in_order_from_where_one_stopped() {
        let mut store = MemoryStore::default();
        let person = OpenedBy::Person(ScanKey([7; 32]));
        let topic = OpenedBy::Topic([9; 8]);
        let first = put(&mut store, Time(5), id(1), person, b"one".to_vec());
        let second = put(&mut store, Time(6), id(2), topic, Vec::new());
        assert_eq!(after(&store, 0, 9), [first, second.clone()]);
        assert_eq!(after(&store, 1, 9), [second]);
        assert!(has(&store, &id(1)) && !has(&store, &id(3)));
    }

    #[test]
    fn the_oldest_message_goes_when_there_are_too_many() {
        let mut store = MemoryStore::default();
        for number in 0..MESSAGES_MAX + 3 {
            put(&mut store, Time(0), id(number), OpenedBy::Topic([0; 8]), Vec::new());
        }
        assert_eq!(after(&store, 0, usize::MAX).len() as u64, MESSAGES_MAX);
        assert!(!has(&store, &id(2)) && has(&store, &id(3)));
    }
}
