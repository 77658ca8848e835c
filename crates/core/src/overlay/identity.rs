//! What we say of ourselves, and checking what others say.

use std::sync::Arc;

use mainframe_base::{Address, Fault, LinkKey, Locator, NetworkId, Role, Time};

use super::Myself;
use super::whereabouts::Whereabouts;
use crate::crypto::{Binding, NodeKeys, NodeRecord, RecordBody, Verifier};
use crate::wire::{Frame, Hello};

#[derive(Clone)]
pub(super) struct Identity {
    keys: NodeKeys,
    seed: [u8; 32],
    binding: Binding,
    record: Arc<NodeRecord>,
    places: Whereabouts,
    verifier: Verifier,
}

impl Identity {
    pub(super) fn new(now: Time, myself: Myself) -> Identity {
        let Myself { network, role, keys, seed, verifier } = myself;
        let body = RecordBody { network, role, seed, sequence: now.0, locators: Vec::new() };
        let record = Arc::new(keys.sign_record(body));
        Identity { binding: keys.binding(network, &seed), keys, seed, record, places: Whereabouts::default(), verifier }
    }

    pub(super) fn record(&self) -> &Arc<NodeRecord> {
        &self.record
    }

    pub(super) fn address(&self) -> Address {
        self.record.overlay
    }

    pub(super) fn network(&self) -> NetworkId {
        self.record.network
    }

    pub(super) fn hello(&self) -> Frame {
        let record = (*self.record).clone();
        Frame::Hello(Box::new(Hello { network: self.network(), record, binding: self.binding.clone() }))
    }

    /// Signs a record that tells of this place too, if it is among the best. Says whether that is news.
    pub(super) fn add_place(&mut self, now: Time, locator: Locator, proved: bool) -> bool {
        self.places.add(locator, proved);
        self.sign(now)
    }

    /// Signs a record without this place. Says whether that is news.
    pub(super) fn remove_place(&mut self, now: Time, locator: &Locator) -> bool {
        self.places.remove(locator);
        self.sign(now)
    }

    fn sign(&mut self, now: Time) -> bool {
        let record = self.signed(now, self.record.role, self.places.best());
        if record.locators == self.record.locators {
            return false;
        }
        self.record = Arc::new(record);
        true
    }

    /// Signs a record that tells another role.
    pub(super) fn take_role(&mut self, now: Time, role: Role) {
        self.record = Arc::new(self.signed(now, role, self.record.locators.clone()));
    }

    fn signed(&self, now: Time, role: Role, locators: Vec<Locator>) -> NodeRecord {
        let sequence = now.0.max(self.record.sequence + 1);
        let body = RecordBody { network: self.network(), role, seed: self.seed, sequence, locators };
        self.keys.sign_record(body)
    }

    /// A record told by someone else: of our network, and signed by its link key.
    pub(super) fn check_record(&self, record: NodeRecord) -> Result<Arc<NodeRecord>, Fault> {
        if record.network != self.network() {
            return Err(Fault::WrongNetwork);
        }
        self.verifier.record(record)
    }

    /// A `Hello` on the link of `key`: of our network, about the link's owner, and its position proved.
    pub(super) fn check_hello(&self, key: &LinkKey, hello: Hello) -> Result<(Arc<NodeRecord>, Binding), Fault> {
        if hello.network != self.network() {
            return Err(Fault::WrongNetwork);
        }
        if hello.record.link_key != *key {
            return Err(Fault::WrongPeer);
        }
        let record = self.check_record(hello.record)?;
        self.verifier.hello(&record, &hello.binding)?;
        if record.overlay == self.address() {
            return Err(Fault::WrongAddress);
        }
        Ok((record, hello.binding))
    }

    pub(super) fn role_is(&self, role: Role) -> bool {
        self.record.role == role
    }
}
