//! What devices of one person tell each other, by letters sealed to the person's own keys: devices, sessions, and contacts
//! that come with them.
//!
//! A device tells of a session that began with it until the others are in. A device that starts asks the others what it
//! lacks, and says what it has. Not told: who is blocked or removed, requests, invitations, and what was said before.

use mainframe_base::{IdentityKey, SessionId, Time};

use super::contact::{
    AccountContact, AccountSession, Back, Belongings, ContactStanding, DOORS_MAX, SESSIONS_MAX, check_clock,
};
use super::controls::Control;
use super::conversation::Conversation;
use super::first_contact::Welcome;
use super::ports::{Answer, Unable};
use super::sessions::{Call, Sessions};
use super::terms::Kind;
use crate::crypto::{LETTER_LENGTH_MAX, LETTER_OVERHEAD_MAX, LetterKind, Opened, Recipient};
use crate::store::Tx;

/// When the others are told of a session again in which they are not yet, in milliseconds; then twice as long each time
/// (guess: after they had the time to come in).
const TELL_AGAIN_MS: u64 = 120_000;
/// How often they are told: for four hours. Who was away for longer asks when he is back.
const TELLS: u32 = 7;
/// Whoever asks what he lacks is answered once in so many milliseconds: nobody gets more out of us than he puts in.
const ANSWER_AGAIN_MS: u64 = 60_000;
/// Room in a letter for what is told.
const PART_MAX: usize = LETTER_LENGTH_MAX - LETTER_OVERHEAD_MAX - 1;

/// A session the other devices are told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    pub(super) next: Time,
    tells: u32,
}

impl Sessions {
    /// A letter of another device of the same person.
    pub(super) fn own_letter_came(&mut self, call: &mut Call<'_>, person: IdentityKey, letter: &Opened) {
        let this = self.persons[&person].device.key();
        if check_clock(call.now, letter.sent_minutes).is_err() || self.is_revoked(call.tx, &person, &this) {
            return;
        }
        if letter.kind == LetterKind::Back {
            let Ok(back) = Back::decode(&letter.body) else { return };
            return self.asked_back(call, person, person, &back, letter.sent_minutes);
        }
        let Some((first, body)) = letter.body.split_first() else { return };
        match (letter.kind, *first) {
            (LetterKind::Account, asks @ (0 | 1)) => match Belongings::decode(body) {
                Ok(told) if told.card.identity() == person => self.told(call, person, told, asks == 1),
                Ok(_) => tracing::debug!("a letter of another device tells of somebody else"),
                Err(fault) => tracing::debug!(%fault, "a letter of another device cannot be read"),
            },
            (LetterKind::Keys, kind) => {
                if let Ok(Control::Keys { session, packages }) = Control::decode(kind, body) {
                    self.let_in(call, (person, session), person, &packages);
                }
            }
            (LetterKind::Welcome, kind) => {
                if let Ok(Control::Welcome { session, welcome, tree, start }) = Control::decode(kind, body) {
                    let came = Welcome { session, welcome: &welcome, tree: tree.as_deref(), start: &start };
                    self.welcomed_by_own(call, person, came);
                }
            }
            _ => tracing::debug!("a letter of another device says nothing that devices write to each other"),
        }
    }

    pub(super) fn write_to_own(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        kind: LetterKind,
        control: &Control,
    ) {
        let (number, body) = control.encode();
        let to = Recipient::of_card(&self.persons[&person].card, None);
        self.send_letter(call, person, &to, kind, &[&[number], &body[..]].concat());
    }

    /// Tells the person's other devices; asks them what is not told here if it `asks`.
    pub(super) fn tell_own(&mut self, call: &mut Call<'_>, person: IdentityKey, news: Belongings, asks: bool) {
        for part in news.parts(PART_MAX) {
            let to = Recipient::of_card(&self.persons[&person].card, None);
            let body = [&[u8::from(asks)], &part.encode()[..]].concat();
            self.send_letter(call, person, &to, LetterKind::Account, &body);
        }
    }

    /// Says what this device has, and asks the others what it lacks.
    pub(super) fn ask_own(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let mut mine = self.belongings(call.tx, person);
        let this = self.persons[&person].certificate.clone();
        mine.devices.retain(|certificate| *certificate != this);
        // Whoever asks stands first.
        mine.devices.insert(0, this);
        mine.contacts.retain(|contact| contact.card.is_some());
        mine.contacts.iter_mut().for_each(|contact| contact.card = None);
        self.tell_own(call, person, mine, true);
    }

    /// All a person has, as this device knows it.
    pub(super) fn belongings(&self, tx: &dyn Tx, person: IdentityKey) -> Belongings {
        let of = &self.persons[&person];
        let (devices, revoked) = self.certificates(tx, &person);
        let mine = self.conversations.values().filter(|it| it.person() == person);
        let sessions = mine.map(|it| self.told_session(tx, it)).take(SESSIONS_MAX).collect();
        Belongings { card: of.card.clone(), devices, revoked, sessions, contacts: of.contacts.told(tx) }
    }

    fn told_session(&self, tx: &dyn Tx, conversation: &Conversation) -> AccountSession {
        let person = conversation.person();
        let may_add = conversation.terms().admins.iter().filter(|admin| **admin != person && conversation.has(admin));
        let doors = may_add.filter(|admin| self.is_together(tx, &person, admin)).copied().take(DOORS_MAX);
        AccountSession { id: conversation.id(), doors: doors.collect() }
    }

    /// Contacts in a session, those who may add devices first: anybody there may let a device of ours back to its place.
    pub(super) fn members_to_ask(&self, tx: &dyn Tx, conversation: &Conversation) -> Vec<IdentityKey> {
        let person = conversation.person();
        let admins = self.told_session(tx, conversation).doors;
        let others = conversation.persons().into_iter().filter(|peer| *peer != person && !admins.contains(peer));
        let others: Vec<_> = others.filter(|peer| self.is_together(tx, &person, peer)).collect();
        admins.into_iter().chain(others).take(DOORS_MAX).collect()
    }

    fn is_together(&self, tx: &dyn Tx, person: &IdentityKey, peer: &IdentityKey) -> bool {
        let contact = self.persons[person].contacts.contact(tx, peer);
        contact.is_some_and(|contact| matches!(contact.standing, ContactStanding::Together(_)))
    }

    /// The person becomes known here as another device knows them: what a linked or restored device begins with.
    pub(super) fn receive(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        belongings: Belongings,
    ) -> Result<Answer, Unable> {
        if belongings.card.identity() != person {
            return Err(Unable::NoPerson);
        }
        let this = self.persons[&person].device.key();
        if let Some(certificate) = belongings.certificate_of(&this).cloned() {
            self.take_certificate(call, certificate);
        }
        self.learn(call, person, belongings);
        self.ask_own(call, person);
        Ok(Answer::Done)
    }

    fn learn(&mut self, call: &mut Call<'_>, person: IdentityKey, told: Belongings) {
        let Belongings { devices, revoked, sessions, contacts, .. } = told;
        for revocation in revoked {
            self.learn_revocation(call, revocation);
        }
        for certificate in devices {
            self.learn_device(call, certificate, false);
        }
        for contact in contacts {
            self.with_contacts(call, person, |contacts, turn| contacts.learn(turn, contact));
        }
        let this = self.persons[&person].device.key();
        if !self.is_revoked(call.tx, &person, &this) {
            self.enter_sessions(call, person, sessions);
        }
    }

    fn told(&mut self, call: &mut Call<'_>, person: IdentityKey, told: Belongings, asks: bool) {
        let asking = told.devices.first().filter(|_| asks).cloned();
        let is_new = asking.clone().is_some_and(|certificate| self.learn_device(call, certificate, true));
        let (theirs, known) = (told.sessions.clone(), told.contacts.clone());
        let contacts = told.contacts.into_iter().filter(|contact| self.is_news(call.tx, person, contact)).collect();
        self.learn(call, person, Belongings { contacts, ..told });
        let Some(device) = asking.map(|certificate| certificate.device) else { return };
        let last = self.devices.answered.get(&(person, device));
        let is_early = last.is_some_and(|last| call.now.since_ms(*last) < ANSWER_AGAIN_MS);
        let is_revoked = self.is_revoked(call.tx, &person, &device);
        if is_early || !is_revoked && !self.other_devices(call.tx, &person).contains(&device) {
            return;
        }
        let mut news = self.belongings(call.tx, person);
        if is_revoked {
            // It does not know yet, and learns nothing else.
            (news.sessions, news.contacts) = (Vec::new(), Vec::new());
        }
        news.sessions.retain(|session| theirs.iter().all(|other| other.id != session.id));
        let is_lacking = |contact: &AccountContact| {
            let is_of_session =
                contact.shared.is_some_and(|(_, id)| news.sessions.iter().any(|session| session.id == id));
            is_of_session || is_new && known.iter().all(|other| other.peer != contact.peer)
        };
        news.contacts = news.contacts.iter().filter(|contact| is_lacking(contact)).cloned().collect();
        if is_revoked || is_new || !news.sessions.is_empty() || !news.contacts.is_empty() {
            self.devices.answered.insert((person, device), call.now);
            self.tell_own(call, person, news, false);
        }
    }

    /// Whether a contact who is told of is to be known here: not if the user removed him here, for then his session is still
    /// here, and not if his card is only left out.
    fn is_news(&self, tx: &dyn Tx, person: IdentityKey, contact: &AccountContact) -> bool {
        let is_known = self.persons[&person].contacts.contact(tx, &contact.peer).is_some();
        match contact.shared {
            Some((_, session)) => is_known || !self.conversations.contains_key(&session),
            None => contact.card.is_some(),
        }
    }

    /// A session is there in which other devices of the person may not be: they are told.
    pub(super) fn tell_of(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(person) = self.conversations.get(&session).map(Conversation::person) else { return };
        if !self.other_devices(call.tx, &person).is_empty() {
            self.devices.telling.insert((person, session), Telling { next: call.now, tells: 0 });
        }
    }

    pub(super) fn wake_telling(&mut self, call: &mut Call<'_>) {
        let due: Vec<(IdentityKey, SessionId)> =
            self.devices.telling.iter().filter(|(_, telling)| telling.next <= call.now).map(|(key, _)| *key).collect();
        for (person, session) in due {
            let is_missing = self.conversations.get(&session).filter(|it| it.person() == person).is_some_and(|it| {
                let present = it.devices_of(&person);
                self.other_devices(call.tx, &person).iter().any(|device| !present.contains(device))
            });
            let Some(telling) = self.devices.telling.get_mut(&(person, session)) else { continue };
            if !is_missing || telling.tells >= TELLS {
                self.devices.telling.remove(&(person, session));
                continue;
            }
            telling.next = call.now + (TELL_AGAIN_MS << telling.tells);
            telling.tells += 1;
            let mut news = self.belongings(call.tx, person);
            news.sessions.retain(|told| told.id == session);
            news.contacts.retain(|contact| contact.shared.is_some_and(|(_, shared)| shared == session));
            self.tell_own(call, person, news, false);
        }
    }

    /// Whether a session is a group: those of two are told of when both are in.
    pub(super) fn is_group(&self, session: &SessionId) -> bool {
        self.conversations.get(session).is_some_and(|it| it.terms().kind == Kind::Group)
    }
}
