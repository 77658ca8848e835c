//! How a device comes into sessions of its person that began without it: it asks, and is let in.
//!
//! It asks the person's other devices, by letters sealed to the person's own keys; when none of them answers, contacts who may
//! add devices (`doors`), by letters to them. Whoever lets it in keeps the Welcome, and sends it again when the same key
//! package comes again. So nobody needs to know whether a letter arrived.
//!
//! In a session of two the other one cannot decide alone: without a device of ours that votes there, it cannot be entered any
//! more. Then the contact is greeted anew, and accepts without a question, as one who has lost the session.

use std::collections::BTreeMap;

use mainframe_base::{IdentityKey, SessionId, Time};
use mainframe_mls::{KeyPackageId, invited};

use super::contact::{
    About, AccountSession, Back, ContactStanding, DOORS_MAX, Input, Keys, SESSIONS_MAX, START_LENGTH_MAX,
    TREE_LENGTH_MAX, WELCOME_LENGTH_MAX,
};
use super::controls::Control;
use super::conversation::{Conversation, Invited, Want};
use super::first_contact::{Entered, Welcome, offers};
use super::sessions::{Call, Sessions};
use crate::codec::{Reader, put_list};
use crate::crypto::{LetterKind, Recipient};
use crate::store::{Table, Tx};

/// When contacts are asked because no device of one's own answered, in milliseconds (guess: a decision among few, twice).
const DOORS_AFTER_MS: u64 = 20_000;
/// When it is asked again after that (guess: after the slowest decision); later twice as long each time.
const ASK_AGAIN_MS: u64 = 120_000;
/// The try at which a contact is greeted anew instead: two minutes after the contacts were asked first (guess: a device of
/// one's own that sleeps for a moment is awake by then).
const GREET_AT: u32 = 2;
/// The try from which on whoever wants to come back offers a new key package each time (guess: what one could do is done after
/// two hours).
const WORN_AT: u32 = 8;
/// And at most so much later (guess).
const ASK_AGAIN_MS_MAX: u64 = 6 * 3_600_000;
/// A Welcome is kept as long as the letter that asks for it may be on its way (docs/protocol/session.md §4).
const WELCOME_KEPT_MS: u64 = 80 * 3_600_000;
/// Bytes of a key package of ours that is kept (crate mls bounds it).
const PACKAGE_LENGTH_MAX: usize = 8_192;

/// The sessions a device has asked to be let into.
#[derive(Default, Debug)]
pub(super) struct Entering(BTreeMap<(IdentityKey, SessionId), Asking>);

#[derive(Clone, Debug)]
struct Asking {
    next: Time,
    tries: u32,
    /// The same each time, so that who has answered knows it.
    package: Vec<u8>,
    doors: Vec<IdentityKey>,
    /// With whom the session is, if it is one of two.
    pair_with: Option<IdentityKey>,
    /// It is in the session, and came to a dead end there.
    is_stranded: bool,
}

impl Asking {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.is_stranded)];
        put_list(&mut out, &self.doors, |out, door| out.extend_from_slice(&door.0));
        put_list(&mut out, self.pair_with.as_slice(), |out, peer| out.extend_from_slice(&peer.0));
        put_list(&mut out, &self.package, |out, byte| out.push(*byte));
        out
    }

    fn decode(row: &[u8], now: Time) -> Option<Asking> {
        let mut reader = Reader::new(row);
        let is_stranded = reader.u8().ok()? == 1;
        let doors = reader.list(DOORS_MAX, |reader| reader.array().map(IdentityKey)).ok()?;
        let pair_with = reader.list(1, |reader| reader.array().map(IdentityKey)).ok()?.pop();
        let package = reader.list(PACKAGE_LENGTH_MAX, Reader::u8).ok()?;
        Some(Asking { next: now, tries: 0, package, doors, pair_with, is_stranded })
    }
}

impl Entering {
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.0.values().map(|asking| asking.next).min()
    }

    pub(super) fn has(&self, person: IdentityKey, session: SessionId) -> bool {
        self.0.contains_key(&(person, session))
    }

    /// Whether somebody may let a device in that asks for it: the person's other devices, and those who were asked.
    pub(super) fn may_answer(&self, person: IdentityKey, session: SessionId, by: &IdentityKey) -> bool {
        *by == person || self.0.get(&(person, session)).is_some_and(|asking| asking.doors.contains(by))
    }

    /// Whether a session a device is in came to a dead end there.
    pub(super) fn is_stranded(&self, person: IdentityKey, session: SessionId) -> bool {
        self.0.get(&(person, session)).is_some_and(|asking| asking.is_stranded)
    }

    /// Asks for nothing of a person any more.
    pub(super) fn forget_person(&mut self, person: &IdentityKey) {
        self.0.retain(|(of, _), _| of != person);
    }
}

impl Sessions {
    /// This device would like to be in these sessions of its person.
    pub(super) fn enter_sessions(&mut self, call: &mut Call<'_>, person: IdentityKey, sessions: Vec<AccountSession>) {
        for AccountSession { id, doors } in sessions {
            let is_asked = self.conversations.contains_key(&id) || self.entering.has(person, id);
            if is_asked || self.entering.0.len() >= SESSIONS_MAX {
                continue;
            }
            let pair_with = doors.iter().find(|door| self.shares(call.tx, person, door) == Some(id)).copied();
            let package = self.make_package(call, person, person);
            let asking = Asking { next: call.now, tries: 0, package, doors, pair_with, is_stranded: false };
            self.begin_asking(call, person, id, asking);
        }
        self.wake_entering(call);
    }

    /// This device may have been left behind in a session, or knows that it came to a dead end there.
    pub(super) fn ask_back(&mut self, call: &mut Call<'_>, session: SessionId, is_stranded: bool) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        let is_asked = self.entering.0.get(&(person, session)).is_some_and(|it| it.is_stranded || !is_stranded);
        if is_asked || self.entering.0.len() >= SESSIONS_MAX {
            return;
        }
        let doors = self.members_to_ask(call.tx, conversation);
        let package = self.make_package_back(call, person, session);
        let asking = Asking { next: call.now, tries: 0, package, doors, pair_with: None, is_stranded };
        self.begin_asking(call, person, session, asking);
        self.wake_entering(call);
    }

    fn begin_asking(&mut self, call: &mut Call<'_>, person: IdentityKey, session: SessionId, asking: Asking) {
        call.tx.put(Table::Entering, &entering_key(&person, &session), &asking.encode());
        self.entering.0.insert((person, session), asking);
    }

    /// Whether it needs not ask any more: it is in the session, and heard the others.
    fn is_in_touch(&self, now: Time, session: &SessionId, is_stranded: bool) -> bool {
        let conversation = self.conversations.get(session).filter(|_| !is_stranded);
        conversation.is_some_and(|it| !it.is_out_of_touch(now, &self.config))
    }

    /// After a restart it asks again.
    pub(super) fn resume_entering(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let rows = call.tx.scan(Table::Entering, Some(&person.0), SESSIONS_MAX);
        for (key, row) in rows.into_iter().filter(|(key, _)| key.starts_with(&person.0)) {
            let session = key[32..].try_into().ok().map(SessionId);
            if let (Some(session), Some(asking)) = (session, Asking::decode(&row, call.now)) {
                self.entering.0.insert((person, session), asking);
            }
        }
        self.wake_entering(call);
    }

    pub(super) fn wake_entering(&mut self, call: &mut Call<'_>) {
        let due = |((person, _), asking): &(&(IdentityKey, SessionId), &mut Asking)| {
            asking.next <= call.now && self.persons.contains_key(person)
        };
        let mut asked = Vec::new();
        for (key, asking) in self.entering.0.iter_mut().filter(due) {
            let doors = if asking.tries == 0 { Vec::new() } else { asking.doors.clone() };
            let lost_with = asking.pair_with.filter(|_| asking.tries >= GREET_AT);
            asked.push(((key.0, key.1, lost_with), asking.clone(), doors));
            asking.next = call.now + pause_ms(asking.tries);
            asking.tries += 1;
        }
        for ((person, session, lost_with), asking, doors) in asked {
            let is_needless = self.is_in_touch(call.now, &session, asking.is_stranded)
                || lost_with.is_some_and(|peer| self.is_replaced(call, person, session, peer));
            if is_needless {
                self.entered(call, person, session);
                continue;
            }
            let is_worn = asking.tries >= WORN_AT && self.conversations.contains_key(&session);
            let package = if is_worn { self.renew_package(call, person, session) } else { asking.package };
            self.ask(call, person, session, package, doors);
        }
    }

    /// Somebody may have let this device back, and not said how: with another package others can.
    fn renew_package(&mut self, call: &mut Call<'_>, person: IdentityKey, session: SessionId) -> Vec<u8> {
        let package = self.make_package_back(call, person, session);
        if let Some(asking) = self.entering.0.get_mut(&(person, session)) {
            asking.package = package.clone();
            call.tx.put(Table::Entering, &entering_key(&person, &session), &asking.encode());
        }
        package
    }

    fn ask(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
        package: Vec<u8>,
        doors: Vec<IdentityKey>,
    ) {
        let (kind, body) = match self.conversations.get(&session).map(Conversation::epoch_id) {
            Some(epoch) => {
                let (body, own) = (Back { session, epoch, package }.encode(), self.persons[&person].card.clone());
                self.send_letter(call, person, &Recipient::of_card(&own, None), LetterKind::Back, &body);
                (LetterKind::Back, body)
            }
            None => {
                let packages = vec![package];
                let keys = Control::Keys { session, packages: packages.clone() };
                self.write_to_own(call, person, LetterKind::Keys, &keys);
                (LetterKind::Keys, Keys { session, packages }.encode())
            }
        };
        for door in doors {
            let contact = self.persons[&person].contacts.contact(call.tx, &door);
            if let Some(card) = contact.and_then(|contact| contact.card) {
                self.send_letter(call, person, &Recipient::of_card(&card, None), kind, &body);
            }
        }
    }

    /// Nobody let us into a session of two: whether there is another one by now. If it was not asked for yet, it is.
    fn is_replaced(&mut self, call: &mut Call<'_>, person: IdentityKey, session: SessionId, peer: IdentityKey) -> bool {
        let shared = self.shares(call.tx, person, &peer);
        if shared == Some(session) {
            let greeted = self.with_contacts(call, person, |contacts, turn| contacts.greet(turn, peer, ""));
            tracing::info!(%session, ?greeted, "a session of two was lost with the devices in it");
        }
        shared.is_some_and(|shared| shared != session)
    }

    /// The session of two a person has with a contact, be it entered or not.
    fn shares(&self, tx: &dyn Tx, person: IdentityKey, peer: &IdentityKey) -> Option<SessionId> {
        let standing = self.persons[&person].contacts.contact(tx, peer)?.standing;
        let ContactStanding::Together(session) = standing else { return None };
        Some(session)
    }

    /// Another device of the person let us in.
    pub(super) fn welcomed_by_own(&mut self, call: &mut Call<'_>, person: IdentityKey, came: Welcome<'_>) {
        let is_asked = self.entering.has(person, came.session);
        if is_asked && self.enter(call, person, person, None, came) == Entered::Now {
            self.control(call, came.session, &Control::Here);
        }
    }

    /// It was revoked, and would be let in nowhere.
    pub(super) fn give_up_entering(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let asked: Vec<SessionId> =
            self.entering.0.keys().filter(|(of, _)| *of == person).map(|(_, session)| *session).collect();
        asked.into_iter().for_each(|session| self.entered(call, person, session));
    }

    /// It is in: it asks no more.
    pub(super) fn entered(&mut self, call: &mut Call<'_>, person: IdentityKey, session: SessionId) {
        if self.entering.0.remove(&(person, session)).is_some() {
            call.tx.delete(Table::Entering, &entering_key(&person, &session));
        }
    }

    /// Lets devices in whose person is in the session already: one of our own, or of a contact who asked us. Whether the
    /// session's terms allow that is judged like any other commit.
    pub(super) fn let_in(
        &mut self,
        call: &mut Call<'_>,
        (person, session): (IdentityKey, SessionId),
        peer: IdentityKey,
        packages: &[Vec<u8>],
    ) {
        let Ok(conversation) = self.session_of(&person, &session) else { return };
        let (present, is_there) = (conversation.devices_of(&peer), conversation.has(&peer));
        let Some(offered) = offers(&peer, packages).filter(|_| is_there) else { return };
        let mut wanted = Vec::new();
        for one in offered {
            let device = one.device();
            if device.is_none_or(|device| self.is_revoked(call.tx, &peer, &device)) {
                tracing::debug!(%session, "a device that was revoked asks to be let in");
            } else if let Some(invited) = welcome_of(call.tx, &session, &one.id, peer) {
                self.tell_welcome(call, person, session, invited);
            } else if device.is_some_and(|device| !present.contains(&device)) {
                wanted.push(one);
            }
        }
        if !wanted.is_empty() {
            self.with(call, session, |conversation, scene| conversation.want(scene, Want::Add(wanted)));
        }
    }

    /// A device was let in whose person is in the session already: it is told by letter, and again should it ask again.
    pub(super) fn welcome_device(&mut self, call: &mut Call<'_>, session: SessionId, invitation: Invited) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        keep_welcome(call, &session, &invitation);
        self.tell_welcome(call, person, session, invitation);
    }

    pub(super) fn tell_welcome(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
        invited: Invited,
    ) {
        let Invited { person: peer, welcome, tree, start, .. } = invited;
        let fits =
            welcome.len() <= WELCOME_LENGTH_MAX && tree.as_ref().is_none_or(|tree| tree.len() <= TREE_LENGTH_MAX);
        if fits && peer == person {
            let control = Control::Welcome { session, welcome, tree, start };
            return self.write_to_own(call, person, LetterKind::Welcome, &control);
        }
        let bytes = start.encode();
        if fits && bytes.len() <= START_LENGTH_MAX {
            let about = About::Session(session);
            let made = Input::WelcomeMade { peer, about, session, welcome, tree, start: bytes };
            return self.tell_contacts(call, person, made);
        }
        // The tree of a large group fits no letter, but a session of two in which the device is already.
        let with =
            if peer == person { self.any_pair_of(&person, &session) } else { self.pair_with(call.tx, &person, &peer) };
        match with {
            Some(pair) => self.control(call, pair, &Control::Welcome { session, welcome, tree, start }),
            None => {
                tracing::warn!(%session, "a device cannot be told of a large group: there is no session of two with it")
            }
        }
    }

    /// Some session of two of a person in which more devices of theirs are than ours.
    fn any_pair_of(&self, person: &IdentityKey, except: &SessionId) -> Option<SessionId> {
        let mut theirs = self.conversations.values().filter(|it| it.person() == *person && it.id() != *except);
        theirs.find(|it| it.other_person().is_some() && it.devices_of(person).len() > 1).map(|it| it.id())
    }
}

/// How long after the try of this number the next one is made.
fn pause_ms(tries: u32) -> u64 {
    match tries {
        0 => DOORS_AFTER_MS,
        tries => (ASK_AGAIN_MS << (tries - 1).min(16)).min(ASK_AGAIN_MS_MAX),
    }
}

fn entering_key(person: &IdentityKey, session: &SessionId) -> Vec<u8> {
    [&person.0[..], &session.0].concat()
}

fn welcome_key(session: &SessionId, package: &KeyPackageId) -> Vec<u8> {
    [&session.0[..], &package.0].concat()
}

/// Keeps a Welcome under the key package it is for; forgets those nobody can ask for any more.
fn keep_welcome(call: &mut Call<'_>, session: &SessionId, invited_device: &Invited) {
    for (key, row) in super::rows_of(call.tx, Table::Welcomes, &session.0) {
        let kept = row.first_chunk().map_or(Time(0), |moment| Time(u64::from_be_bytes(*moment)));
        if call.now.since_ms(kept) > WELCOME_KEPT_MS {
            call.tx.delete(Table::Welcomes, &key);
        }
    }
    let Invited { welcome, tree, start, .. } = invited_device.clone();
    let (_, body) = Control::Welcome { session: *session, welcome, tree, start }.encode();
    let row = [&call.now.0.to_be_bytes()[..], &body].concat();
    for package in invited(&invited_device.welcome).unwrap_or_default() {
        call.tx.put(Table::Welcomes, &welcome_key(session, &package), &row);
    }
}

/// The Welcome that was sent for a key package.
pub(super) fn welcome_of(
    tx: &dyn Tx,
    session: &SessionId,
    package: &KeyPackageId,
    person: IdentityKey,
) -> Option<Invited> {
    let row = tx.get(Table::Welcomes, &welcome_key(session, package))?;
    let decoded = Control::decode(Control::WELCOME, row.get(8..)?).ok()?;
    let Control::Welcome { welcome, tree, start, .. } = decoded else { return None };
    Some(Invited { person, welcome, tree, start, is_back: false })
}
