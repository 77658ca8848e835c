//! A person's devices: which there are, how another one is added by the code it shows, and how one is put out.
//!
//! A device that was revoked is let in nowhere under its key any more. It still knows the person's own secrets: whoever holds
//! it could make another device key. Against a thief only a new identity helps (docs/protocol/session.md, "Devices").

use std::collections::BTreeMap;

use mainframe_base::{DeviceKey, Fault, IdentityKey, SessionId, Time};

use super::contact::{Account, Belongings, DEVICES_MAX};
use super::controls::Control;
use super::conversation::{Conversation, Want};
use super::ports::{Answer, DeviceFact, DeviceStanding, OwnDevice, SessionEffect, SessionEvent, Unable};
use super::sessions::{Call, Sessions};
use super::telling::Telling;
use crate::codec::Reader;
use crate::crypto::{
    DeviceCertificate, LETTER_LENGTH_MAX, LETTER_OVERHEAD_MAX, LetterKind, LinkCode, Name, Recipient, Revocation,
    hours_of,
};
use crate::store::{Table, Tx};

/// When the account is sent again to a new device that was not heard, in milliseconds; then twice as long each time, until
/// its code expires. Its cells are held for days, so it is rarely lost (guess).
const SEND_AGAIN_MS: u64 = 60_000;
/// Room for what belongs to a person in the first letter.
const FIRST_LETTER_MAX: usize = LETTER_LENGTH_MAX - LETTER_OVERHEAD_MAX - 1 - crate::crypto::Identity::SECRETS_LENGTH;

/// What is under way with the devices of our people.
#[derive(Default, Debug)]
pub(super) struct Devices {
    /// New devices that were sent the account and were not heard yet.
    adding: BTreeMap<(IdentityKey, DeviceKey), Adding>,
    /// Sessions the other devices are told of until they are in.
    pub(super) telling: BTreeMap<(IdentityKey, SessionId), Telling>,
    /// When a device was last answered that asked what there is; as many as may be kept rows of.
    pub(super) answered: BTreeMap<(IdentityKey, DeviceKey), Time>,
}

#[derive(Clone, Copy, Debug)]
struct Adding {
    next: Time,
    pause_ms: u64,
}

impl Devices {
    pub(super) fn next_wake(&self) -> Option<Time> {
        let adding = self.adding.values().map(|adding| adding.next);
        adding.chain(self.telling.values().map(|telling| telling.next)).min()
    }

    pub(super) fn forget_person(&mut self, person: &IdentityKey) {
        self.adding.retain(|(of, _), _| of != person);
        self.telling.retain(|(of, _), _| of != person);
        self.answered.retain(|(of, _), _| of != person);
    }
}

/// What is known of a device.
#[derive(Default)]
pub(super) struct Row {
    certificate: Option<DeviceCertificate>,
    /// The code by which it is being added.
    code: Option<LinkCode>,
    revocation: Option<Revocation>,
}

impl Row {
    /// Flags 1 (certificate, code, revocation), and what they say is there.
    fn encode(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let flags = [self.certificate.is_some(), self.code.is_some(), self.revocation.is_some()];
        let mut out = zeroize::Zeroizing::new(vec![(0..).zip(flags).map(|(bit, flag)| u8::from(flag) << bit).sum()]);
        if let Some(certificate) = &self.certificate {
            certificate.encode(&mut out);
        }
        if let Some(code) = &self.code {
            out.extend_from_slice(&code.to_bytes());
        }
        if let Some(revocation) = &self.revocation {
            revocation.encode(&mut out);
        }
        out
    }

    fn decode(row: &[u8]) -> Result<Row, Fault> {
        let mut reader = Reader::new(row);
        let flags = reader.u8()?;
        Ok(Row {
            certificate: (flags & 0b1 != 0).then(|| DeviceCertificate::decode(&mut reader)).transpose()?,
            code: (flags & 0b10 != 0).then(|| LinkCode::decode(&mut reader)).transpose()?,
            revocation: (flags & 0b100 != 0).then(|| Revocation::decode(&mut reader)).transpose()?,
        })
    }
}

impl Sessions {
    /// The certificate of this device of a person: the one that is kept, unless the device was given another name.
    pub(super) fn own_certificate(
        tx: &mut dyn Tx,
        fresh: DeviceCertificate,
        now: Time,
        devices: &mut Devices,
    ) -> DeviceCertificate {
        let me = fresh.identity;
        let rows = rows(tx, &me);
        for code in rows.iter().filter_map(|(_, row)| row.code.as_ref()) {
            devices.adding.insert((me, code.device), Adding { next: now, pause_ms: SEND_AGAIN_MS });
        }
        let row = rows.into_iter().find(|(key, _)| *key == fresh.device).map(|(_, row)| row).unwrap_or_default();
        if let Some(kept) = row.certificate.clone().filter(|kept| kept.name == fresh.name) {
            return kept;
        }
        put(tx, &me, &fresh.device, &Row { certificate: Some(fresh.clone()), ..row });
        fresh
    }

    /// This device has a certificate that another one signed.
    pub(super) fn take_certificate(&mut self, call: &mut Call<'_>, certificate: DeviceCertificate) {
        let (person, device) = (certificate.identity, certificate.device);
        put(call.tx, &person, &device, &Row { certificate: Some(certificate.clone()), ..Row::default() });
        if let Some(person) = self.persons.get_mut(&person) {
            person.certificate = certificate;
        }
    }

    /// Adds the device that shows a code: it is sent all that makes the person, until it is heard.
    pub(super) fn add_device(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        code: LinkCode,
        name: Option<Name>,
    ) -> Result<Answer, Unable> {
        if code.is_expired(call.now) {
            return Err(Unable::CodeExpired);
        }
        let known = get(call.tx, &person, &code.device);
        if known.as_ref().is_some_and(|row| row.revocation.is_some()) {
            return Err(Unable::Revoked);
        }
        if known.is_some_and(|row| row.code.is_none()) || self.persons[&person].device.key() == code.device {
            return Err(Unable::Nothing);
        }
        if rows(call.tx, &person).iter().filter(|(_, row)| row.revocation.is_none()).count() >= DEVICES_MAX {
            return Err(Unable::TooManyDevices);
        }
        let (device, name) = (code.device, name.unwrap_or_else(|| code.name.clone()));
        let certificate =
            DeviceCertificate::sign(&self.persons[&person].identity, device, hours_of(call.now), name.clone());
        let row = Row { certificate: Some(certificate), code: Some(code), revocation: None };
        put(call.tx, &person, &device, &row);
        self.devices.adding.insert((person, device), Adding { next: call.now, pause_ms: SEND_AGAIN_MS });
        self.wake_adding(call);
        let since_hours = hours_of(call.now);
        let standing = DeviceStanding::Adding;
        Ok(Answer::Device(OwnDevice { key: device, name, since_hours, is_this: false, standing }))
    }

    fn wake_adding(&mut self, call: &mut Call<'_>) {
        let due: Vec<(IdentityKey, DeviceKey)> =
            self.devices.adding.iter().filter(|(_, adding)| adding.next <= call.now).map(|(key, _)| *key).collect();
        for (person, device) in due {
            let row = get(call.tx, &person, &device);
            let Some(code) = row.and_then(|row| row.code).filter(|_| self.persons.contains_key(&person)) else {
                self.devices.adding.remove(&(person, device));
                continue;
            };
            if code.is_expired(call.now) {
                self.devices.adding.remove(&(person, device));
                call.tx.delete(Table::Devices, &key(&person, &device));
                self.tell_person(call, person, DeviceFact::NotAdded(device));
                continue;
            }
            let letter = Account {
                secrets: self.persons[&person].identity.secrets(),
                belongings: self.belongings(call.tx, person).parts(FIRST_LETTER_MAX).swap_remove(0),
            };
            self.send_letter(call, person, &Recipient::of_link(&code), LetterKind::Account, &letter.encode());
            let Some(adding) = self.devices.adding.get_mut(&(person, device)) else { continue };
            adding.next = (call.now + adding.pause_ms).min(code.ends());
            adding.pause_ms *= 2;
        }
    }

    pub(super) fn wake_devices(&mut self, call: &mut Call<'_>) {
        self.wake_adding(call);
        self.wake_telling(call);
    }

    /// Another device of the person vouches for itself, or is vouched for. Whether it was not known to be there before.
    pub(super) fn learn_device(&mut self, call: &mut Call<'_>, certificate: DeviceCertificate, speaks: bool) -> bool {
        let (person, device) = (certificate.identity, certificate.device);
        let known = get(call.tx, &person, &device);
        let is_added = known.as_ref().is_some_and(|row| row.code.is_some());
        if known.is_some() && !(is_added && speaks)
            || known.is_none() && rows(call.tx, &person).len() >= 2 * DEVICES_MAX
        {
            return false;
        }
        let kept = known.and_then(|row| row.certificate).unwrap_or(certificate);
        let name = kept.name.clone();
        put(call.tx, &person, &device, &Row { certificate: Some(kept), ..Row::default() });
        self.devices.adding.remove(&(person, device));
        self.tell_person(call, person, DeviceFact::Added(device, name));
        true
    }

    /// A device of the person was revoked elsewhere. Nothing if that is known.
    pub(super) fn learn_revocation(&mut self, call: &mut Call<'_>, revocation: Revocation) {
        let (person, device) = (revocation.identity, revocation.device);
        let known = get(call.tx, &person, &device).unwrap_or_default();
        if known.revocation.is_some() || rows(call.tx, &person).len() >= 2 * DEVICES_MAX {
            return;
        }
        put(call.tx, &person, &device, &Row { code: None, revocation: Some(revocation), ..known });
        self.devices.adding.remove(&(person, device));
        if self.persons[&person].device.key() == device {
            self.give_up_entering(call, person);
        }
        self.tell_person(call, person, DeviceFact::Revoked(device));
        self.put_out_everywhere(call, person);
    }

    fn put_out_everywhere(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let mine = self.conversations.values().filter(|it| it.person() == person).map(Conversation::id);
        for session in mine.collect::<Vec<_>>() {
            self.put_out_revoked(call, session);
        }
    }

    /// Own devices that are in a session although the person vouches for them no more are put out of it: they may have been
    /// revoked before this device came in, or let in by somebody who did not know.
    pub(super) fn put_out_revoked(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        let mut seated = conversation.devices_of(&person);
        let this = self.persons[&person].device.key();
        seated.retain(|device| self.is_revoked(call.tx, &person, device));
        if self.is_revoked(call.tx, &person, &this) {
            return;
        }
        for device in seated {
            self.control(call, session, &Control::Removing(device));
            if let Err(why) = self.want(call, session, Want::RemoveDevice(device)) {
                tracing::warn!(%session, %why, "a revoked device is not put out of a session");
            }
        }
    }

    /// Puts a device of a person out of every session, and vouches for it no more.
    pub(super) fn revoke_device(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        device: DeviceKey,
    ) -> Result<Answer, Unable> {
        let has_it = |it: &Conversation| it.person() == person && it.devices_of(&person).contains(&device);
        let is_seated = self.conversations.values().any(has_it);
        if self.persons[&person].device.key() == device {
            return Err(Unable::ThisDevice);
        }
        if !is_seated && get(call.tx, &person, &device).is_none() {
            return Err(Unable::NoDevice);
        }
        let revocation = Revocation::sign(&self.persons[&person].identity, device, hours_of(call.now));
        if self.is_revoked(call.tx, &person, &device) {
            // Whoever revokes it once more sees it still there.
            self.put_out_everywhere(call, person);
        }
        self.learn_revocation(call, revocation.clone());
        for pair in self.pairs_of(&person) {
            self.control(call, pair, &Control::Revoked(revocation.clone()));
        }
        let news = Belongings { sessions: vec![], contacts: vec![], ..self.belongings(call.tx, person) };
        self.tell_own(call, person, news, false);
        Ok(Answer::Done)
    }

    /// Somebody says inside a session that he does not vouch for a device of his any more: nobody here lets it in.
    pub(super) fn revocation_told(&mut self, call: &mut Call<'_>, revocation: Revocation) {
        let (person, device) = (revocation.identity, revocation.device);
        if self.persons.contains_key(&person) {
            return self.learn_revocation(call, revocation);
        }
        let known = get(call.tx, &person, &device);
        if known.is_none() && rows(call.tx, &person).len() < DEVICES_MAX {
            put(call.tx, &person, &device, &Row { revocation: Some(revocation), ..Row::default() });
        }
    }

    /// A contact with whom a session begins gets to know which devices not to let in.
    pub(super) fn tell_revocations(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(person) = self.conversations.get(&session).map(Conversation::person) else { return };
        for revocation in self.certificates(call.tx, &person).1 {
            self.control(call, session, &Control::Revoked(revocation));
        }
    }

    fn pairs_of(&self, person: &IdentityKey) -> Vec<SessionId> {
        let theirs = self.conversations.values().filter(|it| it.person() == *person && it.other_person().is_some());
        theirs.map(Conversation::id).collect()
    }

    /// Whether the person does not vouch for a device any more.
    pub(super) fn is_revoked(&self, tx: &dyn Tx, person: &IdentityKey, device: &DeviceKey) -> bool {
        get(tx, person, device).is_some_and(|row| row.revocation.is_some())
    }

    /// A person's devices, this one first.
    pub(super) fn own_devices(&self, tx: &dyn Tx, person: &IdentityKey) -> Vec<OwnDevice> {
        let this = self.persons[person].device.key();
        let view = |(key, row): (DeviceKey, Row)| {
            let standing = match (&row.revocation, &row.code) {
                (Some(_), _) => DeviceStanding::Revoked,
                (None, Some(_)) => DeviceStanding::Adding,
                (None, None) => DeviceStanding::Added,
            };
            let issued = row.certificate.as_ref().map(|certificate| certificate.issued_hours);
            let since_hours = issued.or(row.revocation.map(|revocation| revocation.issued_hours)).unwrap_or_default();
            let name = row.certificate.map(|certificate| certificate.name).unwrap_or_default();
            OwnDevice { key, name, since_hours, is_this: key == this, standing }
        };
        let mut devices: Vec<OwnDevice> = rows(tx, person).into_iter().map(view).collect();
        devices.sort_by_key(|device| !device.is_this);
        devices
    }

    /// The person's other devices that were added and not revoked.
    pub(super) fn other_devices(&self, tx: &dyn Tx, person: &IdentityKey) -> Vec<DeviceKey> {
        let devices = self.own_devices(tx, person).into_iter();
        devices.filter(|it| !it.is_this && it.standing == DeviceStanding::Added).map(|it| it.key).collect()
    }

    /// The person's devices as they are told to others.
    pub(super) fn certificates(&self, tx: &dyn Tx, person: &IdentityKey) -> (Vec<DeviceCertificate>, Vec<Revocation>) {
        let (mut devices, mut revoked) = (Vec::new(), Vec::new());
        for (_, row) in rows(tx, person) {
            match (row.certificate, row.revocation) {
                (_, Some(revocation)) => revoked.push(revocation),
                (Some(certificate), None) => devices.push(certificate),
                (None, None) => {}
            }
        }
        devices.truncate(DEVICES_MAX);
        revoked.truncate(DEVICES_MAX);
        (devices, revoked)
    }

    /// Devices of the person that came into a session are known from then on.
    pub(super) fn learn_seated(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        for certificate in conversation.certificates_of(&conversation.person()) {
            self.learn_device(call, certificate, true);
        }
    }

    fn tell_person(&mut self, call: &mut Call<'_>, person: IdentityKey, fact: DeviceFact) {
        call.out.push(SessionEffect::Tell(person, SessionEvent::Device(fact)));
    }
}

fn key(person: &IdentityKey, device: &DeviceKey) -> Vec<u8> {
    [person.0, device.0].concat()
}

fn get(tx: &dyn Tx, person: &IdentityKey, device: &DeviceKey) -> Option<Row> {
    let row = zeroize::Zeroizing::new(tx.get(Table::Devices, &key(person, device))?);
    Some(Row::decode(&row).expect("our own rows are readable"))
}

fn put(tx: &mut dyn Tx, person: &IdentityKey, device: &DeviceKey, row: &Row) {
    tx.put(Table::Devices, &key(person, device), &row.encode());
}

fn rows(tx: &dyn Tx, person: &IdentityKey) -> Vec<(DeviceKey, Row)> {
    let all = tx.scan(Table::Devices, Some(&person.0), 2 * DEVICES_MAX + 1);
    let mine = all.into_iter().filter(|(key, _)| key.starts_with(&person.0));
    mine.filter_map(|(key, row)| Some((DeviceKey(*key.last_chunk()?), Row::decode(&row).ok()?))).collect()
}
