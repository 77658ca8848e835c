//! The regions we listen to, as they are kept over a restart: one row each.

use mainframe_base::{Address, Luminosity, Prefix, Time};

use crate::hold::{ATTENDANCES_MAX, Completeness};
use crate::store::{Table, Tx};
use crate::wire::TagBucket;

const KEY_LENGTH: usize = 34;
/// Bytes of a step: a luminosity and the moment until which everything up to it has come.
const STEP_LENGTH: usize = 10;

/// Notes that we listen to a region and bucket, and until when everything sent there has come.
pub(super) fn put(tx: &mut dyn Tx, region: &Prefix, bucket: TagBucket, complete: &Completeness) {
    let mut value = bucket.to_bytes().to_vec();
    for (luminosity, until) in complete.steps() {
        value.extend_from_slice(&luminosity.to_be_bytes());
        value.extend_from_slice(&until.0.to_be_bytes());
    }
    tx.put(Table::Attended, &key(region), &value);
}

/// Notes that we listen to a region no more.
pub(super) fn delete(tx: &mut dyn Tx, region: &Prefix) {
    tx.delete(Table::Attended, &key(region));
}

/// Until when everything that was sent to a region had come when this was noted last.
pub(super) fn until(tx: &dyn Tx, region: &Prefix) -> Option<Completeness> {
    read_value(&tx.get(Table::Attended, &key(region))?).map(|(_, complete)| complete)
}

/// Every region that is noted, as many as can be listened to; rows that are damaged are passed over.
pub(super) fn rows(tx: &dyn Tx) -> impl Iterator<Item = (Prefix, TagBucket, Completeness)> {
    tx.scan(Table::Attended, None, ATTENDANCES_MAX).into_iter().filter_map(|(key, value)| {
        let (bucket, complete) = read_value(&value)?;
        Some((read_key(&key)?, bucket, complete))
    })
}

fn key(region: &Prefix) -> [u8; KEY_LENGTH] {
    let mut key = [0; KEY_LENGTH];
    key[..2].copy_from_slice(&region.luminosity().bits().to_be_bytes());
    key[2..].copy_from_slice(&region.first_address().0);
    key
}

fn read_key(key: &[u8]) -> Option<Prefix> {
    let (bits, address) = key.split_first_chunk()?;
    let luminosity = Luminosity::new(u16::from_be_bytes(*bits))?;
    Some(Prefix::of(&Address(address.try_into().ok()?), luminosity))
}

fn read_value(value: &[u8]) -> Option<(TagBucket, Completeness)> {
    let (bucket, steps) = value.split_first_chunk()?;
    let mut chunks = steps.chunks_exact(STEP_LENGTH);
    let read = |step: &[u8]| {
        let (luminosity, until) = step.split_first_chunk()?;
        Some((u16::from_be_bytes(*luminosity), Time(u64::from_be_bytes(until.try_into().ok()?))))
    };
    let steps: Option<Vec<_>> = chunks.by_ref().map(read).collect();
    let complete = Completeness::of_steps(steps?).filter(|_| chunks.remainder().is_empty())?;
    Some((TagBucket::from_bytes(*bucket)?, complete))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{NodeKeys, Verifier};
    use crate::overlay::Myself;
    use crate::store::MemoryStore;
    use crate::switchboard::{CommandId, Relay, RelayCommand, RelayConfig, RelayInput};
    use mainframe_base::{NetworkId, Role, Secret, Tag};

    const NOW: Time = Time(1_800_000_000_000);

    fn relay(store: &MemoryStore) -> Relay {
        let keys = NodeKeys::from_secrets(Secret::new([1; 32]), Secret::new([2; 32])).unwrap();
        let (network, role, verifier) = (NetworkId::DEV, Role::Relay, Verifier::new(8));
        let myself = Myself { network, role, keys, seed: [0; 32], verifier };
        Relay::new(NOW, RelayConfig::default(), myself, Vec::new(), [3; 32], Vec::new(), store)
    }

    fn tell(relay: &mut Relay, store: &mut MemoryStore, command: RelayCommand) {
        relay.handle(NOW, RelayInput::Command(CommandId(1), command), store, &mut Vec::new());
    }

    fn attended(relay: &Relay) -> Vec<(String, u8, Time)> {
        let attending = relay.status().hold.attending;
        let mut all: Vec<_> =
            attending.iter().map(|view| (view.region.to_string(), view.bucket.bits(), view.complete_until)).collect();
        all.sort();
        all
    }

    #[test]
    fn regions_listened_to_outlive_a_restart_and_those_left_do_not() {
        let mut store = MemoryStore::default();
        let mut first = relay(&store);
        let bucket = TagBucket::of(&Tag([0xAB; 16]), 5);
        for (region, bucket) in [("01", bucket), ("110", TagBucket::ALL), ("*", TagBucket::ALL)] {
            let (region, since) = (region.parse().unwrap(), Time(NOW.0 - 3_600_000));
            tell(&mut first, &mut store, RelayCommand::Attend { region, bucket, since });
        }
        tell(&mut first, &mut store, RelayCommand::Unattend("110".parse().unwrap()));
        let before = attended(&first);
        let told: Vec<_> = before.iter().map(|(region, bits, _)| (region.as_str(), *bits)).collect();
        assert!(told.contains(&("01", 5)) && told.contains(&("*", 0)) && told.len() == 3, "{told:?}");
        let again = relay(&store);
        assert_eq!(attended(&again), before);
        assert_eq!(rows(&store).find(|(region, ..)| region.to_string() == "01").map(|row| row.1), Some(bucket));
    }

    #[test]
    fn damaged_rows_are_passed_over() {
        let mut store = MemoryStore::default();
        put(&mut store, &"01".parse().unwrap(), TagBucket::ALL, &Completeness::since(NOW));
        store.put(Table::Attended, &[0, 1], &[0; 13]);
        store.put(Table::Attended, &key(&"10".parse().unwrap()), &[0; 8]);
        store.put(Table::Attended, &key(&"11".parse().unwrap()), &[0xFF; 13]);
        let regions: Vec<String> = rows(&store).map(|(region, ..)| region.to_string()).collect();
        assert_eq!(regions, ["01"]);
    }
}
