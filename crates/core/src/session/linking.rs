//! A new device waits for the account of the person it is to belong to.
//!
//! It has shown a code (`LinkCode`) to a device the person uses already. The letter that answers is opened only with the
//! code's secret and scan key, once, and before the code expires; it must hold a certificate for this device. Whoever runs
//! the device takes the account, keeps its secrets, and says when that is done; until then it is kept here.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{DeviceKey, IdentityKey, Prefix, ScanKey, Time};

use super::contact::{Account, check_clock};
use super::ports::{DeviceFact, SessionEffect, SessionEvent};
use super::sessions::{Call, Sessions};
use crate::crypto::{Identity, InvitationSecret, LetterKind, Opened, beginning_of, open_letter};
use crate::store::{Table, Tx};

/// A device that waits for its person, as the endpoint half is told of it at every start.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Waiting {
    /// Keys drawn for this one letter. The link is named by the identity key among them, which signs nothing.
    pub keys: Identity,
    /// The key this device will have in sessions.
    pub device: DeviceKey,
    /// What the code tells.
    pub secret: InvitationSecret,
    /// From when on the code is worth nothing, in hours since 1970.
    pub expires_hours: u32,
    /// Where the code says that this device listens.
    pub region: Prefix,
}

impl Waiting {
    fn ends(&self) -> Time {
        beginning_of(self.expires_hours)
    }
}

/// Devices that wait, by the names of their links, and whose account is here already.
#[derive(Default)]
pub(super) struct Links {
    waiting: BTreeMap<IdentityKey, Waiting>,
    answered: BTreeSet<IdentityKey>,
    ended: Vec<ScanKey>,
}

impl Links {
    pub(super) fn name_of(&self, scan_key: &ScanKey) -> Option<IdentityKey> {
        self.waiting.iter().find(|(_, waiting)| waiting.keys.scan_key() == *scan_key).map(|(name, _)| *name)
    }

    pub(super) fn listens_to(&self, region: Prefix) -> bool {
        self.waiting.values().any(|waiting| waiting.region == region)
    }

    /// When the first code ends that was not answered.
    pub(super) fn next_wake(&self) -> Option<Time> {
        let open = self.waiting.iter().filter(|(name, _)| !self.answered.contains(name));
        open.map(|(_, waiting)| waiting.ends()).min()
    }
}

impl Sessions {
    /// A device waits here from now on. Should its account be here already, that is told again.
    pub fn await_account(&mut self, now: Time, waiting: Waiting, tx: &mut dyn Tx, out: &mut Vec<SessionEffect>) {
        let call = &mut Call { now, tx, out };
        let (name, region) = (waiting.keys.key(), waiting.region);
        self.links.waiting.insert(name, waiting);
        self.attend(call, region);
        if call.tx.get(Table::Accounts, &name.0).is_some() {
            self.links.answered.insert(name);
            tell(call, name, DeviceFact::Linked);
        }
    }

    /// It waits no more. The account is forgotten, if it came.
    pub fn stop_awaiting(&mut self, name: &IdentityKey, tx: &mut dyn Tx, out: &mut Vec<SessionEffect>) {
        tx.delete(Table::Accounts, &name.0);
        self.links.answered.remove(name);
        if let Some(waiting) = self.links.waiting.remove(name) {
            self.links.ended.push(waiting.keys.scan_key());
            self.unattend(waiting.region, out);
        }
    }

    /// Keys of links that ended since the last call: what is sealed to them is not looked for any more.
    pub fn take_ended_links(&mut self) -> Vec<ScanKey> {
        std::mem::take(&mut self.links.ended)
    }

    /// The account that came for a link.
    pub fn account_for(&self, name: &IdentityKey, tx: &dyn Tx) -> Option<Account> {
        let row = zeroize::Zeroizing::new(tx.get(Table::Accounts, &name.0)?);
        Account::decode(&row).ok()
    }

    /// A letter to a key that a code showed.
    pub(super) fn link_letter_came(&mut self, call: &mut Call<'_>, name: IdentityKey, letter: &[u8]) {
        if self.links.answered.contains(&name) {
            return tracing::debug!("a code was answered again, and counts once");
        }
        let Some(waiting) = self.links.waiting.get(&name) else { return };
        let secret_of = |id| (id == waiting.secret.id()).then(|| waiting.secret.clone());
        let opened = open_letter(&waiting.keys, secret_of, letter).map_err(|why| why.to_string());
        match opened.and_then(|letter| accept(waiting, call.now, &letter)) {
            Ok(account) => {
                call.tx.put(Table::Accounts, &name.0, &account.encode());
                self.links.answered.insert(name);
                tell(call, name, DeviceFact::Linked);
            }
            Err(why) => tell(call, name, DeviceFact::NotLinked(why)),
        }
    }

    /// Codes that have expired unanswered are worth nothing.
    pub(super) fn wake_links(&mut self, call: &mut Call<'_>) {
        let links = self.links.waiting.iter().filter(|(name, _)| !self.links.answered.contains(name));
        let expired: Vec<IdentityKey> =
            links.filter(|(_, waiting)| waiting.ends() <= call.now).map(|(name, _)| *name).collect();
        for name in expired {
            self.stop_awaiting(&name, call.tx, call.out);
            tell(call, name, DeviceFact::LinkExpired);
        }
    }
}

/// The account in a letter that was opened, if this device can begin with it.
fn accept(waiting: &Waiting, now: Time, letter: &Opened) -> Result<Account, String> {
    if waiting.ends() <= now {
        return Err("the code had expired when its answer came; make a new one".to_owned());
    }
    check_clock(now, letter.sent_minutes).map_err(|why| why.to_string())?;
    if letter.kind != LetterKind::Account {
        return Err("the letter is none that answers a code".to_owned());
    }
    let account = Account::decode(&letter.body).map_err(|fault| format!("the account cannot be read: {fault}"))?;
    if letter.from != account.belongings.card.identity() {
        return Err("the account is somebody else's than the letter".to_owned());
    }
    match account.belongings.certificate_of(&waiting.device) {
        Some(_) => Ok(account),
        None => Err("the person does not vouch for this device; add it by the code it shows".to_owned()),
    }
}

fn tell(call: &mut Call<'_>, name: IdentityKey, fact: DeviceFact) {
    call.out.push(SessionEffect::Tell(name, SessionEvent::Device(fact)));
}
