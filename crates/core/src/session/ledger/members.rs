//! Who is in the session: devices, and whose they are.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceId, IdentityKey};

/// A device in a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Member {
    /// The device.
    pub device: DeviceId,
    /// The person it belongs to.
    pub person: IdentityKey,
}

/// All members but this device.
#[derive(Clone, Default, Debug)]
pub(super) struct Members {
    people: BTreeMap<DeviceId, IdentityKey>,
    /// Persons other than our own, each with her devices.
    others: BTreeMap<IdentityKey, BTreeSet<DeviceId>>,
}

impl Members {
    /// Of these; our own device among them is left out.
    pub(super) fn of(me: &Member, members: &[Member]) -> Members {
        let people: BTreeMap<_, _> =
            members.iter().filter(|member| member.device != me.device).map(|one| (one.device, one.person)).collect();
        let mut others: BTreeMap<IdentityKey, BTreeSet<DeviceId>> = BTreeMap::new();
        for (device, person) in people.iter().filter(|(_, person)| **person != me.person) {
            others.entry(*person).or_default().insert(*device);
        }
        Members { people, others }
    }

    pub(super) fn has(&self, device: &DeviceId) -> bool {
        self.people.contains_key(device)
    }

    pub(super) fn person(&self, device: &DeviceId) -> Option<&IdentityKey> {
        self.people.get(device)
    }

    /// All other devices, our own person's among them.
    pub(super) fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.people.keys()
    }

    /// All other persons and their devices.
    pub(super) fn others(&self) -> &BTreeMap<IdentityKey, BTreeSet<DeviceId>> {
        &self.others
    }

    /// Whether this device is of another person than we are.
    pub(super) fn is_other(&self, device: &DeviceId) -> bool {
        self.people.get(device).is_some_and(|person| self.others.contains_key(person))
    }
}
