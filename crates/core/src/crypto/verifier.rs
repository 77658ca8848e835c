//! Checks signatures and remembers which were good, because the same record or statement arrives many times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainframe_base::{DeviceKey, Fault, Signature};

use super::binding::Binding;
use super::record::NodeRecord;

/// Hash of every byte of what was verified, signatures included.
type Key = [u8; 32];

/// Verifies records, bindings, what devices say of a session and the cells they say it in, each only once while it is
/// remembered.
///
/// Clones share the memory: in the simulator thousands of nodes have one verifier. That puts
/// a lock into a core that otherwise has none, and it does no harm: whether a signature is good depends on nothing
/// but the bytes, so what is remembered changes when an answer comes, never which; no order of calls can be seen
/// from outside. The lock is held for a look-up or an insertion, never during a check, and a memory left behind by
/// a panic is as true as any other.
///
/// Only good signatures are remembered, so a peer that sends bad ones cannot push others out.
#[derive(Clone, Debug)]
pub struct Verifier {
    memory: Arc<Mutex<Memory>>,
}

impl Verifier {
    /// A verifier that remembers up to `capacity` records, as many bindings, statements and cells, the recently used ones
    /// for sure up to half of it.
    pub fn new(capacity: usize) -> Self {
        let memory = Memory {
            records: Generations::new(capacity),
            hellos: Generations::new(capacity),
            statements: Generations::new(capacity),
            cells: Generations::new(capacity),
        };
        Verifier { memory: Arc::new(Mutex::new(memory)) }
    }

    /// The record, if its link key signed it; equal records share one allocation.
    ///
    /// # Errors
    /// `BadSignature`.
    pub fn record(&self, record: NodeRecord) -> Result<Arc<NodeRecord>, Fault> {
        let key = key_of(&record, None);
        if let Some(known) = self.memory().records.get(&key) {
            return Ok(known);
        }
        record.verify()?;
        Ok(self.memory().records.insert(key, Arc::new(record)))
    }

    /// Whether the overlay address and the link key of a record belong to the binding's account. The record itself
    /// must have come from [`Verifier::record`].
    ///
    /// # Errors
    /// `WrongAddress` if the address does not follow from account and seed, `BadSignature` if the account did not
    /// sign.
    pub fn hello(&self, record: &NodeRecord, binding: &Binding) -> Result<(), Fault> {
        let key = key_of(record, Some(binding));
        if self.memory().hellos.get(&key).is_some() {
            return Ok(());
        }
        binding.verify(record.network, &record.overlay, &record.link_key)?;
        self.memory().hellos.insert(key, ());
        Ok(())
    }

    /// Whether a device [signed](mainframe_mls::verify) a statement.
    pub fn statement(&self, device: &DeviceKey, statement: &[u8], signature: &Signature) -> bool {
        self.signed(|memory| &mut memory.statements, device, statement, signature)
    }

    /// Whether a device signed what a cell of a session holds, by its hash. Cells do not push statements out.
    pub fn cell(&self, device: &DeviceKey, hash: &[u8; 32], signature: &Signature) -> bool {
        self.signed(|memory| &mut memory.cells, device, hash, signature)
    }

    fn signed(
        &self,
        of: impl Fn(&mut Memory) -> &mut Generations<()>,
        device: &DeviceKey,
        bytes: &[u8],
        signature: &Signature,
    ) -> bool {
        let key = *blake3::hash(&[&device.0, &signature.0[..], bytes].concat()).as_bytes();
        if of(&mut self.memory()).get(&key).is_some() {
            return true;
        }
        let is_good = mainframe_mls::verify(device, bytes, signature);
        if is_good {
            of(&mut self.memory()).insert(key, ());
        }
        is_good
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(record: &NodeRecord, binding: Option<&Binding>) -> Key {
    let mut bytes = Vec::with_capacity(NodeRecord::LENGTH_MAX + Binding::LENGTH);
    record.encode(&mut bytes);
    if let Some(binding) = binding {
        binding.encode(&mut bytes);
    }
    *blake3::hash(&bytes).as_bytes()
}

#[derive(Debug)]
struct Memory {
    records: Generations<Arc<NodeRecord>>,
    hellos: Generations<()>,
    statements: Generations<()>,
    cells: Generations<()>,
}

/// A bounded map: when the young half is full, it becomes the old half and the old half is forgotten. What is used
/// moves back to the young half.
#[derive(Debug)]
struct Generations<T> {
    half: usize,
    young: BTreeMap<Key, T>,
    old: BTreeMap<Key, T>,
}

impl<T: Clone> Generations<T> {
    fn new(capacity: usize) -> Self {
        Generations { half: capacity.div_ceil(2).max(1), young: BTreeMap::new(), old: BTreeMap::new() }
    }

    fn get(&mut self, key: &Key) -> Option<T> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        Some(self.insert(*key, value))
    }

    /// Keeps the value, or returns the one that is there already.
    fn insert(&mut self, key: Key, value: T) -> T {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert(value).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Secret;
    use mainframe_mls::DeviceSecret;

    fn key(number: u8) -> Key {
        [number; 32]
    }

    #[test]
    fn the_memory_stays_within_its_capacity_and_keeps_what_is_used() {
        let mut memory = Generations::new(10);
        for number in 0..=255u8 {
            memory.insert(key(number), number);
            assert!(memory.young.len() + memory.old.len() <= 10);
            assert_eq!(memory.get(&key(0)), Some(0));
        }
        assert_eq!(memory.get(&key(100)), None);
        assert_eq!(memory.get(&key(253)), Some(253));
    }

    #[test]
    fn a_statement_that_was_good_once_is_good_only_as_it_was() {
        let device = DeviceSecret::new(Secret::new([1; 32]));
        let (verifier, signature) = (Verifier::new(8), device.sign(b"yes"));
        for _ in 0..2 {
            assert!(verifier.statement(&device.key(), b"yes", &signature));
            assert!(!verifier.statement(&device.key(), b"no", &signature));
            assert!(!verifier.statement(&DeviceSecret::new(Secret::new([2; 32])).key(), b"yes", &signature));
            assert!(!verifier.statement(&device.key(), b"yes", &device.sign(b"no")));
        }
    }

    #[test]
    fn a_value_that_is_there_is_not_replaced() {
        let mut memory = Generations::new(10);
        memory.insert(key(1), 1);
        assert_eq!(memory.insert(key(1), 2), 1);
    }
}
