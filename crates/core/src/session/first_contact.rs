//! Where first contact meets sessions: letters are sealed and opened, key packages made, sessions begun and entered.

use mainframe_base::{IdentityKey, ScanKey, SessionId, Tag, Time};
use mainframe_mls::{KeyPackage, KeyPackageId, Rows, invited, offered};
use zeroize::Zeroizing;

use super::contact::{About, Contacts, Fact, HelloId, Input, Output, Turn, Wish};
use super::controls::Control;
use super::conversation::{Beginning, Conversation, Invited, Offered, Out, Want};
use super::credential::Credential;
use super::fragment::{Fragment, FrameKind, split};
use super::ledger::Start;
use super::ports::{SessionEffect, SessionEvent};
use super::sessions::{Call, Sessions};
use super::terms::{Kind, Place, Terms};
use crate::codec::Reader;
use crate::crypto::{Card, LetterKind, Recipient, hours_of, minutes_of, open_letter, seal_letter, seal_to_person};
use crate::store::{Table, Tx};
use crate::wire::{Cell, CellHeader, ExpiryBucket, HoldClass};

/// Unused key packages of one person (guess: what is asked for while we sleep). The oldest is the first to go.
const PACKAGES_MAX: usize = 1_024;
/// And so many of them that one peer asked for (guess: an admin who adds us to many groups while we sleep): whoever asks for
/// more loses the oldest of his own, and nobody else's.
const PACKAGES_PER_ASKER_MAX: usize = 64;
/// What stands before the secrets of a key package: when it was made 8, who asked for it 32.
const PACKAGE_HEAD_LENGTH: usize = 8 + 32;
/// How long relays keep what is said in a session of two.
const PAIR_HOLD: HoldClass = HoldClass::Day;
/// How long relays keep a letter (review P7: the longest there is).
const LETTER_HOLD: HoldClass = HoldClass::ThreeDays;

/// A Welcome as it came.
#[derive(Clone, Copy)]
pub(super) struct Welcome<'a> {
    pub(super) session: SessionId,
    pub(super) welcome: &'a [u8],
    /// The tree, if it came beside it.
    pub(super) tree: Option<&'a [u8]>,
    /// Where our ledger begins.
    pub(super) start: &'a Start,
}

/// What came of a Welcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entered {
    /// Nothing.
    No,
    /// The person was in that session before.
    Before,
    /// The person is in it from now on.
    Now,
}

impl Sessions {
    /// A piece of a letter to one of our people was opened.
    pub fn letter_came(
        &mut self,
        now: Time,
        scan_key: ScanKey,
        fragment: Fragment,
        tx: &mut dyn Tx,
        out: &mut Vec<SessionEffect>,
    ) {
        let Some((FrameKind::Letter, bytes)) = self.letters.add(now, scan_key, fragment) else { return };
        if let Some(link) = self.links.name_of(&scan_key) {
            return self.link_letter_came(&mut Call { now, tx, out }, link, &bytes);
        }
        let Some(key) = self.person_of(&scan_key) else { return };
        let person = &self.persons[&key];
        if self.is_revoked(tx, &key, &person.device.key()) {
            return tracing::debug!("a letter is not for this device any more: it was revoked");
        }
        let secret_of = |id| person.contacts.secret_of(tx, id);
        let opened = open_letter(&person.identity, secret_of, &bytes);
        let is_played_again = opened.is_ok() && !self.is_first(now, key, tx, &bytes);
        match opened {
            Ok(_) if is_played_again => tracing::debug!("a letter was played again"),
            Ok(letter) if letter.from == key => self.own_letter_came(&mut Call { now, tx, out }, key, &letter),
            Ok(letter) => self.tell_contacts(&mut Call { now, tx, out }, key, Input::LetterOpened(letter)),
            Err(why) => tracing::debug!(%why, "a letter was not opened"),
        }
    }

    fn is_first(&mut self, now: Time, person: IdentityKey, tx: &mut dyn Tx, letter: &[u8]) -> bool {
        self.persons.get_mut(&person).is_some_and(|person| person.letters.is_first(now, tx, letter))
    }

    pub(super) fn tell_contacts(&mut self, call: &mut Call<'_>, person: IdentityKey, input: Input) {
        self.with_contacts(call, person, |contacts, turn| contacts.handle(turn, input));
    }

    /// Calls a person's contacts, and does what follows.
    pub(super) fn with_contacts<R>(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        work: impl FnOnce(&mut Contacts, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let contacts = &mut self.persons.get_mut(&person)?.contacts;
        let mut outputs = Vec::new();
        let turn = &mut Turn { now: call.now, rng: &mut self.rng, tx: call.tx, out: &mut outputs };
        let result = work(contacts, turn);
        self.obey_contacts(call, person, outputs);
        Some(result)
    }

    pub(super) fn wake_contacts(&mut self, call: &mut Call<'_>) {
        let due = |person: &super::sessions::Person| person.contacts.next_wake().is_some_and(|at| at <= call.now);
        let persons: Vec<IdentityKey> =
            self.persons.iter().filter(|(_, person)| due(person)).map(|(key, _)| *key).collect();
        for person in persons {
            self.tell_contacts(call, person, Input::Wake);
        }
    }

    pub(super) fn obey_contacts(&mut self, call: &mut Call<'_>, person: IdentityKey, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Fact(fact) => {
                    if let Fact::Together(peer, session) = fact {
                        self.tell_of(call, session);
                        self.tell_revocations(call, session);
                        self.leave_stranded(call, person, peer, session);
                    }
                    call.out.push(SessionEffect::Tell(person, SessionEvent::Contact(fact)));
                }
                Output::Wish(wish) => self.obey_contact_wish(call, person, wish),
            }
        }
    }

    fn obey_contact_wish(&mut self, call: &mut Call<'_>, person: IdentityKey, wish: Wish) {
        match wish {
            Wish::SealAndSend { to, kind, body } => self.send_letter(call, person, &to, kind, &body),
            Wish::MakeKeyPackages { peer, about } => {
                let packages = vec![self.make_package(call, person, peer)];
                self.tell_contacts(call, person, Input::KeyPackagesMade { peer, about, packages });
            }
            Wish::StartSession { peer, hello, packages } => self.start_pair(call, person, &peer, hello, &packages),
            Wish::JoinSession { peer, about, session, welcome, tree, start } => {
                let start = if start.is_empty() { Some(Start::default()) } else { Start::decode(&start).ok() };
                let is_ours = self.package_for(call.tx, &person, &welcome).is_some();
                let is_of_greeting = match about {
                    About::Hello(hello) => session == pair_id(&peer, &person, &hello),
                    About::Session(_) => true,
                };
                let entered = start.filter(|_| is_of_greeting).map_or(Entered::No, |start| {
                    let came = Welcome { session, welcome: &welcome, tree: tree.as_deref(), start: &start };
                    let pair_with = matches!(about, About::Hello(_)).then_some(peer);
                    self.enter(call, person, peer, pair_with, came)
                });
                let input = match (entered, about) {
                    (Entered::Now, About::Session(_)) => return self.control(call, session, &Control::Here),
                    (Entered::Now | Entered::Before, About::Hello(_)) => Input::SessionJoined { peer, session },
                    // It is for another device of the person, which answered the same greeting.
                    (Entered::No, About::Hello(_)) if !is_ours && !self.other_devices(call.tx, &person).is_empty() => {
                        return;
                    }
                    (Entered::No, About::Hello(hello)) => Input::SessionFailed { peer, hello },
                    (Entered::No | Entered::Before, About::Session(_)) => return,
                };
                self.tell_contacts(call, person, input);
            }
            Wish::Confirm { session, .. } => self.control(call, session, &Control::Here),
            Wish::UseKeys { peer, session, packages } => self.let_in(call, (person, session), peer, &packages),
            Wish::LetBack { peer, back, sent_minutes } => self.asked_back(call, person, peer, &back, sent_minutes),
        }
    }

    pub(super) fn send_letter(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        to: &Recipient,
        kind: LetterKind,
        body: &[u8],
    ) {
        let identity = &self.persons[&person].identity;
        let Ok(letter) = seal_letter(&mut self.rng, identity, to, kind, call.now, body) else { return };
        let now_hours = hours_of(call.now);
        let regions = to.regions().iter().filter(|region| region.until_hours > now_hours);
        let places: Vec<_> = regions.map(|region| region.prefix).collect();
        for place in places {
            for cell in self.letter_cells(call, to.scan_key(), place, &letter) {
                call.out.push(SessionEffect::Post(0, cell.into()));
            }
        }
    }

    fn letter_cells(
        &mut self,
        call: &Call<'_>,
        to: ScanKey,
        destination: mainframe_base::Prefix,
        letter: &[u8],
    ) -> Vec<Cell> {
        let rng = &mut self.rng;
        let frame = rand_core::Rng::next_u32(rng);
        let Some((size_class, plaintexts)) = split(FrameKind::Letter, letter, frame) else { return Vec::new() };
        let cell = |plaintext: &Vec<u8>| {
            let header = CellHeader {
                size_class,
                hold_class: LETTER_HOLD,
                acknowledge: false,
                destination,
                expiry: ExpiryBucket::of_new_cell(call.now, rng),
                tag: Tag([0; 16]),
                ephemeral: [0; 32],
            };
            let sealed = seal_to_person(rng, &to, &header.associated(), plaintext)?;
            Some(super::posting::build(rng, header, sealed))
        };
        plaintexts.iter().filter_map(cell).collect()
    }

    /// Makes a key package of this device for a person, because somebody asked: a peer, or the person itself.
    pub(super) fn make_package(&mut self, call: &mut Call<'_>, person: IdentityKey, asker: IdentityKey) -> Vec<u8> {
        let credential = Credential::of(self.persons[&person].certificate.clone());
        self.make_package_with(call, person, asker, &credential)
    }

    /// Makes one by which this device can only come back into a session.
    pub(super) fn make_package_back(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
    ) -> Vec<u8> {
        let certificate = self.persons[&person].certificate.clone();
        let credential = Credential::back(certificate, session, minutes_of(call.now));
        self.make_package_with(call, person, person, &credential)
    }

    fn make_package_with(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        asker: IdentityKey,
        credential: &Credential,
    ) -> Vec<u8> {
        let device = &self.persons[&person].device;
        let KeyPackage { id, bytes, secrets } = KeyPackage::generate(&mut self.rng, device, &credential.encode());
        make_room(call.tx, &person, &asker);
        let head = [&call.now.0.to_be_bytes()[..], &asker.0].concat();
        call.tx.put(Table::KeyPackages, &package_key(&person, &id), &package_row(&head, &secrets));
        bytes
    }

    /// Begins the session that follows from a greeting.
    fn start_pair(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        peer: &Card,
        hello: HelloId,
        packages: &[Vec<u8>],
    ) {
        let them = peer.identity();
        let session = pair_id(&person, &them, &hello);
        let failed = Input::SessionFailed { peer: them, hello };
        let Some(wanted) = self.vouched_offers(call.tx, &them, packages) else {
            return self.tell_contacts(call, person, failed);
        };
        if self.conversations.contains_key(&session) {
            return;
        }
        let me = &self.persons[&person];
        let place = |card: &Card| {
            let region = card.body().regions.first().expect("a card names at least one region").prefix;
            Place { region, owner: Some(card.identity()) }
        };
        let terms = Terms {
            kind: Kind::Pair,
            name: String::new(),
            admins: [person, them].into(),
            places: vec![place(peer), place(&me.card)],
            hold: PAIR_HOLD,
            shared_topic: false,
        };
        self.found(call, person, session, terms);
        self.unheard.insert(session, them);
        self.hellos.insert(session, (them, hello));
        self.with(call, session, |conversation, scene| conversation.want(scene, Want::Add(wanted)));
    }

    /// Founds a session in which a person is alone.
    pub(super) fn found(&mut self, call: &mut Call<'_>, person: IdentityKey, session: SessionId, terms: Terms) {
        let of = &self.persons[&person];
        let mut out = Out::default();
        let scene = &mut call.scene(&mut self.rng, &mut out, &self.config, &self.verifier);
        let conversation = Conversation::found(scene, session, &of.device, &of.certificate, &terms);
        self.take_up(call, conversation, out);
        if self.is_group(&session) {
            self.tell_of(call, session);
        }
        call.out.push(SessionEffect::Tell(person, SessionEvent::Began(session, terms)));
    }

    /// Enters a session by a Welcome for a key package that was never used: the one of two with somebody, if that is what it
    /// must be. Who is in it already stays, unless he was removed without hearing of it before he was let in again.
    pub(super) fn enter(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        let_in_by: IdentityKey,
        pair_with: Option<IdentityKey>,
        came: Welcome<'_>,
    ) -> Entered {
        let Welcome { session, welcome, tree, start } = came;
        let present = self.conversations.get(&session);
        let is_theirs =
            |it: &&Conversation| it.person() == person && pair_with.is_none_or(|peer| it.other_person() == Some(peer));
        let before = present.filter(is_theirs).map_or(Entered::No, |_| Entered::Before);
        let is_anothers = Conversation::owner(call.tx, &session).is_some_and(|owner| owner != person);
        if before == Entered::No && (present.is_some() || is_anothers) {
            return Entered::No;
        }
        let Some((key, secrets)) = self.package_for(call.tx, &person, welcome) else { return before };
        let device = &self.persons[&person].device;
        let beginning = Beginning::welcomed(call.now, &self.config, device, &secrets, welcome, tree);
        let fits = |it: &Beginning| {
            let is_pair = pair_with.is_none_or(|peer| it.is_pair_with(&peer));
            it.id() == session && it.person() == person && is_pair
        };
        let Some(beginning) = beginning.filter(fits) else { return before };
        let asks = self.entering.has(person, session);
        let comes_back = asks && present.is_some_and(|present| present.may_come_back(&beginning, &let_in_by));
        let is_let_in = match present {
            Some(present) => comes_back || present.is_left_behind(beginning.epoch(), &let_in_by),
            None => !asks || self.entering.may_answer(person, session, &let_in_by),
        };
        if !is_let_in {
            return before;
        }
        if comes_back {
            self.drop_conversation(&session, call.out);
        } else {
            self.leave_behind(call, session);
        }
        let start = (!comes_back).then_some(start);
        call.tx.delete(Table::KeyPackages, &key);
        // Another device of the person may have been in it on this node.
        Conversation::delete(call.tx, &session);
        let mut out = Out::default();
        let scene = &mut call.scene(&mut self.rng, &mut out, &self.config, &self.verifier);
        let conversation = Conversation::begin(scene, beginning, &self.persons[&person].device, start);
        let terms = conversation.terms().clone();
        if let Some(peer) = conversation.other_person() {
            self.unheard.insert(session, peer);
        }
        self.take_up(call, conversation, out);
        self.learn_seated(call, session);
        if self.is_group(&session) && !self.entering.has(person, session) {
            self.tell_of(call, session);
        }
        self.entered(call, person, session);
        call.out.push(SessionEffect::Tell(person, SessionEvent::Began(session, terms)));
        self.put_out_revoked(call, session);
        Entered::Now
    }

    /// Forgets the keys of a session we are in without knowing that we are not any more.
    pub(super) fn leave_behind(&mut self, call: &mut Call<'_>, session: SessionId) {
        self.with(call, session, Conversation::leave);
        self.drop_conversation(&session, call.out);
        Conversation::delete(call.tx, &session);
    }

    fn package_for(&self, tx: &dyn Tx, person: &IdentityKey, welcome: &[u8]) -> Option<(Vec<u8>, Rows)> {
        let ids = invited(welcome).ok()?;
        ids.iter().find_map(|id| {
            let key = package_key(person, id);
            let row = Zeroizing::new(tx.get(Table::KeyPackages, &key)?);
            let rows = bytes_to_rows(row.get(PACKAGE_HEAD_LENGTH..)?)?;
            Some((key, rows))
        })
    }

    /// Key packages of devices that their person vouches for, as far as is known here.
    pub(super) fn vouched_offers(
        &self,
        tx: &dyn Tx,
        person: &IdentityKey,
        packages: &[Vec<u8>],
    ) -> Option<Vec<Offered>> {
        let mut offered = offers(person, packages)?;
        offered.retain(|one| one.device().is_some_and(|device| !self.is_revoked(tx, person, &device)));
        (!offered.is_empty()).then_some(offered)
    }

    /// Somebody was added, and the commit counts: they are told.
    pub(super) fn invite(&mut self, call: &mut Call<'_>, session: SessionId, invitation: Invited) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        if invitation.is_back || conversation.devices_of(&invitation.person).len() > 1 {
            return self.welcome_device(call, session, invitation);
        }
        let Invited { person: peer, welcome, tree, start, is_back } = invitation;
        if let Some((_, hello)) = self.hellos.get(&session).filter(|(of, _)| *of == peer).copied() {
            let about = About::Hello(hello);
            let start = Vec::new();
            return self.tell_contacts(call, person, Input::WelcomeMade { peer, about, session, welcome, tree, start });
        }
        match self.pair_with(call.tx, &person, &peer) {
            Some(pair) => self.control(call, pair, &Control::Welcome { session, welcome, tree, start }),
            None => self.tell_welcome(call, person, session, Invited { person: peer, welcome, tree, start, is_back }),
        }
    }

    /// A member was heard: if we did not know yet that he is in the session, contacts do now.
    pub(super) fn was_heard(&mut self, call: &mut Call<'_>, session: SessionId, author: IdentityKey) {
        if self.unheard.get(&session) == Some(&author) {
            self.unheard.remove(&session);
            let Some(person) = self.conversations.get(&session).map(Conversation::person) else { return };
            self.tell_contacts(call, person, Input::SessionHeard { peer: author, session });
        }
    }
}

/// Key packages as they can be wanted; `None` if one of them is not of a device of that person.
pub(super) fn offers(person: &IdentityKey, packages: &[Vec<u8>]) -> Option<Vec<Offered>> {
    let offer = |bytes: &Vec<u8>| {
        let (id, newcomer) = offered(bytes).ok()?;
        let certificate = Credential::verified(&newcomer.credential)?.certificate;
        let fits = certificate.identity == *person && certificate.device == newcomer.key;
        fits.then(|| Offered { person: *person, id, bytes: bytes.clone() })
    };
    packages.iter().map(offer).collect::<Option<Vec<_>>>().filter(|offers| !offers.is_empty())
}

/// The name of the session that follows from a greeting: the same however often it is begun.
fn pair_id(one: &IdentityKey, other: &IdentityKey, hello: &HelloId) -> SessionId {
    let material = [&one.0[..], &other.0, &hello.0].concat();
    let hash = blake3::derive_key("mainframe 2026 session of two", &material);
    SessionId(*hash.first_chunk().expect("32 bytes begin with 16"))
}

fn package_key(person: &IdentityKey, id: &KeyPackageId) -> Vec<u8> {
    [person.0, id.0].concat()
}

/// Makes room for a key package: whoever asked for many loses his oldest one, and if there are many of all the oldest goes.
fn make_room(tx: &mut dyn Tx, person: &IdentityKey, asker: &IdentityKey) {
    let rows = super::rows_of(tx, Table::KeyPackages, &person.0);
    let aged = |(key, row): &(Vec<u8>, Vec<u8>)| Some((*row.first_chunk::<PACKAGE_HEAD_LENGTH>()?, key.clone()));
    let mut kept: Vec<_> = rows.iter().filter_map(aged).collect();
    kept.sort_unstable();
    // What a person's own device asks to be let in by is not pushed out by others, nor the other way round.
    kept.retain(|(head, _)| (head[8..] == person.0) == (asker == person));
    let mut theirs = kept.iter().filter(|(head, _)| head[8..] == asker.0);
    let is_many = asker != person && theirs.clone().count() >= PACKAGES_PER_ASKER_MAX;
    let oldest = if is_many { theirs.next() } else { kept.first().filter(|_| kept.len() >= PACKAGES_MAX) };
    if let Some((_, key)) = oldest {
        tx.delete(Table::KeyPackages, key);
    }
}

/// What stands before, then rows one after another: key and value, each after its length.
fn package_row(head: &[u8], rows: &Rows) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(head.to_vec());
    for (key, value) in rows.iter() {
        for part in [key, value] {
            bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

fn bytes_to_rows(bytes: &[u8]) -> Option<Rows> {
    let mut reader = Reader::new(bytes);
    let mut rows = Rows::new();
    while reader.remaining() > 0 {
        let mut part = || {
            let length = reader.u32().ok()? as usize;
            reader.bytes(length).ok()
        };
        let (key, value) = (part()?.to_vec(), Zeroizing::new(part()?.to_vec()));
        rows.insert(key, value);
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Identity, Name, Presence, Region, Verifier};
    use crate::session::{Persona, SessionConfig};
    use crate::store::MemoryStore;
    use mainframe_base::{Luminosity, Secret};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const START: Time = Time(1_800_000_000_000);

    /// Sessions of one person, and what is kept of them.
    fn somebody() -> (Sessions, MemoryStore, IdentityKey) {
        let mut sessions = Sessions::new(SessionConfig::default(), Verifier::new(8), [1; 32]);
        let (identity, mut store) = (Identity::generate(&mut ChaCha20Rng::from_seed([2; 32])), MemoryStore::default());
        let (key, name, until_hours) = (identity.key(), Name::new("somebody").unwrap(), hours_of(START) + 99);
        let persona = Persona {
            identity,
            device: Secret::new([3; 32]),
            device_name: name.clone(),
            name,
            regions: vec![Region { prefix: "01".parse().unwrap(), presence: Presence::Resident, until_hours }],
            luminosity_floor: Luminosity::new(2).unwrap(),
        };
        assert!(sessions.add_person(START, persona, &mut store, &mut Vec::new()));
        (sessions, store, key)
    }

    /// Each of these asks for a key package, a minute after the one before; says which are left.
    fn asked_by(askers: impl Iterator<Item = u32>) -> Vec<bool> {
        let (mut sessions, mut store, person) = somebody();
        let mut given = Vec::new();
        for (minute, asker) in askers.enumerate() {
            let now = START + 60_000 * minute as u64;
            let call = &mut Call { now, tx: &mut store, out: &mut Vec::new() };
            let key = IdentityKey([asker.to_be_bytes(); 8].concat().try_into().expect("8 times 4"));
            let bytes = sessions.make_package(call, person, key);
            given.push(package_key(&person, &offered(&bytes).unwrap().0));
        }
        given.iter().map(|key| store.get(Table::KeyPackages, key).is_some()).collect()
    }

    #[test]
    fn the_oldest_key_package_is_the_first_to_go() {
        const SURPLUS: usize = 9;
        let left = asked_by(0..(PACKAGES_MAX + SURPLUS) as u32);
        assert!(left[..SURPLUS].iter().all(|is_left| !is_left) && left[SURPLUS..].iter().all(|is_left| *is_left));
    }

    #[test]
    fn whoever_asks_for_keys_again_and_again_uses_up_no_others() {
        let left = asked_by((1..=3).chain(std::iter::repeat_n(9, PACKAGES_MAX)));
        assert!(left[..3].iter().all(|is_left| *is_left), "what others were given is gone");
        assert_eq!(left[3..].iter().filter(|is_left| **is_left).count(), PACKAGES_PER_ASKER_MAX);
        assert_eq!(left.last(), Some(&true), "he was given one nobody can use");
    }
}
