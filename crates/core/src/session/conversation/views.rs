//! A session as its person looks at it.

use std::collections::BTreeMap;

use mainframe_base::{DeviceKey, IdentityKey, SessionId, Time};

use super::Conversation;
use crate::crypto::Name;
use crate::session::credential::Credential;
use crate::session::ledger::{LedgerCounts, PersonProgress};
use crate::session::terms::Terms;

/// A device of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceView {
    /// Its key.
    pub key: DeviceKey,
    /// What its person calls it.
    pub name: Name,
}

/// A member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberView {
    /// Who it is.
    pub person: IdentityKey,
    /// On which devices.
    pub devices: Vec<DeviceView>,
    /// Whether they may add and remove others.
    pub is_admin: bool,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Its name among its members.
    pub id: SessionId,
    /// Which of our persons is in it.
    pub person: IdentityKey,
    /// What was agreed on.
    pub terms: Terms,
    /// Who is in it, in the order of their keys.
    pub members: Vec<MemberView>,
    /// The epoch's number.
    pub epoch: u64,
    /// Since when the epoch before could still be read by a thief of this device, because not everybody has confirmed the
    /// present one.
    pub unconfirmed_since: Option<Time>,
    /// This is an old copy of the device, put back: it only reads here.
    pub is_outdated: bool,
    /// The place of the last message.
    pub last_sequence: u64,
    /// Counts.
    pub counts: LedgerCounts,
}

impl Conversation {
    /// All there is to see.
    pub(in crate::session) fn view(&self) -> SessionView {
        let mut members: BTreeMap<IdentityKey, Vec<DeviceView>> = BTreeMap::new();
        let credentials = self.group.members().into_iter().filter_map(|member| Credential::read(&member.credential));
        for certificate in credentials.map(|credential| credential.certificate) {
            let device = DeviceView { key: certificate.device, name: certificate.name };
            members.entry(certificate.identity).or_default().push(device);
        }
        let is_admin = |person| self.terms.admins.contains(&person);
        let member = |(person, devices)| MemberView { person, devices, is_admin: is_admin(person) };
        SessionView {
            id: self.id,
            person: self.me.person,
            terms: self.terms.clone(),
            members: members.into_iter().map(member).collect(),
            epoch: self.present().number,
            unconfirmed_since: self.branch.as_ref().map(|_| self.present().began),
            is_outdated: self.is_outdated,
            last_sequence: self.ledger.last_sequence(),
            counts: self.ledger.counts(),
        }
    }

    /// How far an own message is with each other person.
    pub(in crate::session) fn progress(&self, number: u64) -> Vec<PersonProgress> {
        self.ledger.progress(number)
    }
}
