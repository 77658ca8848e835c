//! A person's devices: another one that holds the same identity is let into the sessions it asks for by those that are in
//! them, and a lost one is put out of all.
//!
//! Devices that share no session yet write each other letters, sealed to the person's own keys.

use std::collections::BTreeMap;

use mainframe_base::{DeviceKey, IdentityKey, SessionId, Time};

use super::controls::Control;
use super::conversation::{Conversation, Invited, Want};
use super::ports::{Answer, Unable};
use super::sessions::{Call, Sessions};
use crate::crypto::{LetterKind, Opened, Recipient};
use crate::store::Table;

/// When a device that was not let in asks for the second time, in milliseconds (guess: after the slowest decision); later
/// twice as long each time.
const ASK_AGAIN_MS: u64 = 120_000;
/// And at most so much later (guess).
const ASK_AGAIN_MS_MAX: u64 = 6 * 3_600_000;
/// Sessions a device asks for at a time (as many as an account tells of).
const ENTERING_MAX: usize = 4_096;

/// The sessions a device has asked to be let into.
#[derive(Default, Debug)]
pub(super) struct Entering(BTreeMap<(IdentityKey, SessionId), Asking>);

#[derive(Clone, Copy, Debug)]
struct Asking {
    next: Time,
    pause_ms: u64,
}

impl Entering {
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.0.values().map(|asking| asking.next).min()
    }
}

impl Sessions {
    /// This device would like to be in these sessions of its person.
    pub(super) fn enter_sessions(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        sessions: Vec<SessionId>,
    ) -> Result<Answer, Unable> {
        if self.entering.0.len() + sessions.len() > ENTERING_MAX {
            return Err(mainframe_base::Refusal::Busy.into());
        }
        for session in sessions.into_iter().filter(|session| !self.conversations.contains_key(session)) {
            call.tx.put(Table::Entering, &entering_key(&person, &session), &[]);
            self.entering.0.insert((person, session), Asking { next: call.now, pause_ms: ASK_AGAIN_MS });
        }
        self.wake_entering(call);
        Ok(Answer::Done)
    }

    /// After a restart it asks again.
    pub(super) fn resume_entering(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let rows = call.tx.scan(Table::Entering, Some(&person.0), ENTERING_MAX);
        for (key, _) in rows.into_iter().filter(|(key, _)| key.starts_with(&person.0)) {
            if let Some(session) = key[32..].try_into().ok().map(SessionId) {
                self.entering.0.insert((person, session), Asking { next: call.now, pause_ms: ASK_AGAIN_MS });
            }
        }
        self.wake_entering(call);
    }

    pub(super) fn wake_entering(&mut self, call: &mut Call<'_>) {
        let due: Vec<(IdentityKey, SessionId)> =
            self.entering.0.iter().filter(|(_, asking)| asking.next <= call.now).map(|(key, _)| *key).collect();
        for (person, session) in due {
            let Some(asking) = self.entering.0.get_mut(&(person, session)) else { continue };
            asking.next = call.now + asking.pause_ms;
            asking.pause_ms = (asking.pause_ms * 2).min(ASK_AGAIN_MS_MAX);
            if self.persons.contains_key(&person) {
                let packages = vec![self.make_package(call, person)];
                self.write_to_own(call, person, LetterKind::Keys, &Control::Keys { session, packages });
            }
        }
    }

    /// A letter of another device of the same person.
    pub(super) fn own_letter_came(&mut self, call: &mut Call<'_>, person: IdentityKey, letter: &Opened) {
        let Some((kind, body)) = letter.body.split_first() else { return };
        match (letter.kind, Control::decode(*kind, body)) {
            (LetterKind::Keys, Ok(Control::Keys { session, packages })) => {
                if self.session_of(&person, &session).is_ok() {
                    self.use_keys(call, session, person, &packages);
                }
            }
            (LetterKind::Welcome, Ok(Control::Welcome { session, welcome, tree, start })) => {
                let asked = self.entering.0.contains_key(&(person, session));
                if asked && self.enter(call, person, session, &welcome, tree.as_deref(), &start) {
                    self.entering.0.remove(&(person, session));
                    call.tx.delete(Table::Entering, &entering_key(&person, &session));
                    self.control(call, session, &Control::Here);
                }
            }
            _ => tracing::debug!("a letter of another device says nothing that devices write to each other"),
        }
    }

    /// Another device of the person was let in: it is told.
    pub(super) fn invite_own(&mut self, call: &mut Call<'_>, session: SessionId, invited: Invited) {
        let Invited { person, welcome, tree, start } = invited;
        self.write_to_own(call, person, LetterKind::Welcome, &Control::Welcome { session, welcome, tree, start });
    }

    /// Puts a device of a person out of every session.
    pub(super) fn revoke_device(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        device: DeviceKey,
    ) -> Result<Answer, Unable> {
        let with_it = |it: &&Conversation| it.person() == person && it.devices_of(&person).contains(&device);
        let sessions: Vec<SessionId> = self.conversations.values().filter(with_it).map(Conversation::id).collect();
        if sessions.is_empty() || self.persons[&person].device.key() == device {
            return Err(Unable::Nothing);
        }
        for session in sessions {
            self.control(call, session, &Control::Removing(device));
            self.want(call, session, Want::RemoveDevice(device))?;
        }
        Ok(Answer::Done)
    }

    fn write_to_own(&mut self, call: &mut Call<'_>, person: IdentityKey, kind: LetterKind, control: &Control) {
        let (number, body) = control.encode();
        let to = Recipient::of_card(&self.persons[&person].card, None);
        self.send_letter(call, person, &to, kind, &[&[number], &body[..]].concat());
    }
}

fn entering_key(person: &IdentityKey, session: &SessionId) -> Vec<u8> {
    [&person.0[..], &session.0].concat()
}
