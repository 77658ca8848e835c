//! All sessions of all people of a node, and how they come to be.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{IdentityKey, Prefix, Refusal, ScanKey, SessionId, Tag, Time};
use mainframe_mls::DeviceSecret;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::SessionConfig;
use super::contact::{Contacts, HelloId};
use super::conversation::{Conversation, ConversationFact, Out, Scene, Slot};
use super::devices::Devices;
use super::entering::Entering;
use super::flights::{Flights, Landed};
use super::fragment::Assembly;
use super::groups::Gathering;
use super::linking::Links;
use super::opened_letters::OpenedLetters;
use super::ports::{Persona, SessionEffect, SessionEvent};
use crate::crypto::{Card, CardBody, DeviceCertificate, Identity, SharedTopic, Verifier, hours_of};
use crate::store::{Table, Tx};
use crate::wire::{Cell, CellHeader};

/// How long a card says it holds: a year (guess: how long a printed one may lie about).
const CARD_HOURS: u32 = 365 * 24;
/// Sessions read from the store at once.
const PAGE: usize = 128;

/// One of our people.
pub(super) struct Person {
    pub(super) identity: Identity,
    pub(super) device: DeviceSecret,
    pub(super) certificate: DeviceCertificate,
    pub(super) card: Card,
    pub(super) contacts: Contacts,
    pub(super) letters: OpenedLetters,
}

/// When a call is made, in which transaction, and what it causes.
pub(super) struct Call<'a> {
    pub(super) now: Time,
    pub(super) tx: &'a mut dyn Tx,
    pub(super) out: &'a mut Vec<SessionEffect>,
}

impl Call<'_> {
    /// The same, for one session.
    pub(super) fn scene<'a>(
        &'a mut self,
        rng: &'a mut ChaCha20Rng,
        out: &'a mut Out,
        config: &'a SessionConfig,
        verifier: &'a Verifier,
    ) -> Scene<'a> {
        Scene { now: self.now, rng, tx: self.tx, out, config, verifier }
    }
}

/// All sessions of all people of a node.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Sessions {
    pub(super) config: SessionConfig,
    pub(super) verifier: Verifier,
    pub(super) rng: ChaCha20Rng,
    pub(super) persons: BTreeMap<IdentityKey, Person>,
    pub(super) conversations: BTreeMap<SessionId, Conversation>,
    slots: BTreeMap<Tag, Slot>,
    /// Sessions whose cells have a tag that others use too.
    shared_topics: BTreeMap<SessionId, SharedTopic>,
    has_new_topic: bool,
    new_tags: Vec<Tag>,
    /// When each session wants to be woken.
    due: BTreeMap<SessionId, Time>,
    agenda: BTreeSet<(Time, SessionId)>,
    pub(super) letters: Assembly<ScanKey>,
    flights: Flights,
    attended: BTreeSet<Prefix>,
    /// Sessions of two in which the other one has not been heard yet.
    pub(super) unheard: BTreeMap<SessionId, IdentityKey>,
    /// Sessions that were begun because a greeting was accepted, until the other one is told.
    pub(super) hellos: BTreeMap<SessionId, (IdentityKey, HelloId)>,
    pub(super) gatherings: BTreeMap<SessionId, Gathering>,
    pub(super) entering: Entering,
    pub(super) devices: Devices,
    pub(super) links: Links,
}

impl Sessions {
    /// Nobody is here yet. `rng_seed` must be unpredictable: it makes keys.
    pub fn new(config: SessionConfig, verifier: Verifier, rng_seed: [u8; 32]) -> Sessions {
        Sessions {
            config,
            verifier,
            rng: ChaCha20Rng::from_seed(rng_seed),
            persons: BTreeMap::new(),
            conversations: BTreeMap::new(),
            slots: BTreeMap::new(),
            shared_topics: BTreeMap::new(),
            has_new_topic: false,
            new_tags: Vec::new(),
            due: BTreeMap::new(),
            agenda: BTreeSet::new(),
            letters: Assembly::new(),
            flights: Flights::default(),
            attended: BTreeSet::new(),
            unheard: BTreeMap::new(),
            hellos: BTreeMap::new(),
            gatherings: BTreeMap::new(),
            entering: Entering::default(),
            devices: Devices::default(),
            links: Links::default(),
        }
    }

    /// A person is here from now on, with everything that is kept of them. False if their card cannot be made.
    pub fn add_person(&mut self, now: Time, persona: Persona, tx: &mut dyn Tx, out: &mut Vec<SessionEffect>) -> bool {
        let call = &mut Call { now, tx, out };
        let Persona { identity, device, device_name, name, regions, luminosity_floor } = persona;
        let key = identity.key();
        if self.persons.contains_key(&key) {
            return true;
        }
        let issued_hours = hours_of(now);
        let places: Vec<Prefix> = regions.iter().map(|region| region.prefix).collect();
        let expires_hours = issued_hours + CARD_HOURS;
        let body = CardBody { luminosity_floor, regions, issued_hours, expires_hours, name };
        let Ok(card) = Card::sign(&identity, body) else { return false };
        let device = DeviceSecret::new(device);
        let fresh = DeviceCertificate::sign(&identity, device.key(), issued_hours, device_name);
        let certificate = Sessions::own_certificate(call.tx, fresh, now, &mut self.devices);
        let mut outputs = Vec::new();
        let turn = &mut super::contact::Turn { now, rng: &mut self.rng, tx: call.tx, out: &mut outputs };
        let contacts = Contacts::load(card.clone(), turn);
        let letters = OpenedLetters::load(key, call.tx);
        self.persons.insert(key, Person { identity, device, certificate, card, contacts, letters });
        places.into_iter().for_each(|place| self.attend(call, place));
        self.load_sessions(call, key);
        self.obey_contacts(call, key, outputs);
        self.resume_gatherings(call, key);
        self.resume_entering(call, key);
        if !self.other_devices(call.tx, &key).is_empty() {
            self.ask_own(call, key);
        }
        true
    }

    /// A person is not here any more. What is kept of them stays.
    pub fn remove_person(&mut self, key: &IdentityKey, out: &mut Vec<SessionEffect>) {
        let Some(person) = self.persons.remove(key) else { return };
        let theirs = |conversation: &&Conversation| conversation.person() == *key;
        let sessions: Vec<SessionId> = self.conversations.values().filter(theirs).map(Conversation::id).collect();
        sessions.iter().for_each(|session| drop(self.drop_conversation(session, out)));
        self.entering.forget_person(key);
        self.devices.forget_person(key);
        person.card.body().regions.iter().for_each(|region| self.unattend(region.prefix, out));
    }

    /// Who has this scan key.
    pub fn person_of(&self, scan_key: &ScanKey) -> Option<IdentityKey> {
        self.persons.iter().find(|(_, person)| person.identity.scan_key() == *scan_key).map(|(key, _)| *key)
    }

    /// A person's scan key.
    pub fn scan_key_of(&self, key: &IdentityKey) -> Option<ScanKey> {
        self.persons.get(key).map(|person| person.identity.scan_key())
    }

    /// Tags that are awaited since the last call: their cells may have come before.
    pub fn take_new_tags(&mut self) -> Vec<Tag> {
        std::mem::take(&mut self.new_tags)
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.conversations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }

    /// Whether sessions began since the last call whose cells, perhaps some that came before, have a tag that others use
    /// too.
    pub fn take_has_new_topic(&mut self) -> bool {
        std::mem::take(&mut self.has_new_topic)
    }

    /// By which tags sessions of ours know this cell, if it is theirs: its own, or where that is a shared one, what each
    /// session of that topic finds in it.
    pub fn names_of(&self, header: &CellHeader) -> impl Iterator<Item = Tag> {
        let topics = self.shared_topics.values().filter(|topic| topic.tag() == header.tag);
        topics.map(|topic| topic.uncover(&header.ephemeral)).chain([header.tag])
    }

    /// Whether this cell is awaited.
    pub fn awaits(&self, header: &CellHeader) -> bool {
        self.slot_of(header).is_some()
    }

    fn slot_of(&self, header: &CellHeader) -> Option<Slot> {
        self.names_of(header).find_map(|tag| self.slots.get(&tag)).copied()
    }

    /// A cell came whose tag is awaited. Whether it was whole.
    pub fn cell_came(&mut self, now: Time, cell: &Cell, tx: &mut dyn Tx, out: &mut Vec<SessionEffect>) -> bool {
        let Some(slot) = self.slot_of(cell.header()) else { return false };
        let call = &mut Call { now, tx, out };
        self.with(call, slot.session, |conversation, scene| {
            let whole = conversation.cell_came(scene, &slot, cell);
            conversation.flush(scene);
            whole
        })
        .unwrap_or(false)
    }

    /// A cell that was posted left, or could not.
    pub fn left(
        &mut self,
        now: Time,
        flight: u64,
        outcome: Result<(), Refusal>,
        tx: &mut dyn Tx,
        out: &mut Vec<SessionEffect>,
    ) {
        let Some(Landed { session, number, hindrance }) = self.flights.left(flight, outcome) else { return };
        self.with(&mut Call { now, tx, out }, session, |conversation, scene| {
            match hindrance {
                None => conversation.sent(scene, number),
                Some(reason) => conversation.not_sent(number, reason),
            }
            conversation.flush(scene);
        });
    }

    /// The moment of `next_wake` has come.
    pub fn wake(&mut self, now: Time, tx: &mut dyn Tx, out: &mut Vec<SessionEffect>) {
        let call = &mut Call { now, tx, out };
        let due: Vec<SessionId> =
            self.agenda.iter().take_while(|(at, _)| *at <= now).map(|(_, session)| *session).collect();
        for session in due {
            self.with(call, session, |conversation, scene| conversation.wake(scene));
        }
        self.wake_contacts(call);
        self.wake_gatherings(call);
        self.wake_entering(call);
        self.wake_devices(call);
        self.wake_links(call);
    }

    /// When `wake` is due.
    pub fn next_wake(&self) -> Option<Time> {
        let sessions = self.agenda.first().map(|(at, _)| *at);
        let contacts = self.persons.values().filter_map(|person| person.contacts.next_wake());
        let gatherings = self.gatherings.values().map(|gathering| gathering.due);
        let devices =
            self.entering.next_wake().into_iter().chain(self.devices.next_wake()).chain(self.links.next_wake());
        contacts.chain(sessions).chain(gatherings).chain(devices).min()
    }

    /// Calls a session, and does what follows. `None` if there is none.
    pub(super) fn with<R>(
        &mut self,
        call: &mut Call<'_>,
        session: SessionId,
        work: impl FnOnce(&mut Conversation, &mut Scene<'_>) -> R,
    ) -> Option<R> {
        let conversation = self.conversations.get_mut(&session)?;
        let mut out = Out::default();
        let scene = &mut call.scene(&mut self.rng, &mut out, &self.config, &self.verifier);
        let result = work(conversation, scene);
        let due = conversation.next_wake(scene.config);
        self.plan(session, due);
        self.settle(call, session, out);
        Some(result)
    }

    fn plan(&mut self, session: SessionId, due: Option<Time>) {
        if let Some(before) = self.due.remove(&session) {
            self.agenda.remove(&(before, session));
        }
        if let Some(due) = due {
            self.due.insert(session, due);
            self.agenda.insert((due, session));
        }
    }

    /// Does what a session's call left behind.
    pub(super) fn settle(&mut self, call: &mut Call<'_>, session: SessionId, out: Out) {
        for tag in out.forgotten {
            self.slots.remove(&tag);
        }
        self.new_tags.extend(out.awaited.iter().map(|(tag, _)| *tag));
        self.slots.extend(out.awaited);
        for post in out.posts {
            let flight = self.flights.start(post.session, post.number, post.parcels.len());
            call.out.extend(post.parcels.into_iter().map(|parcel| SessionEffect::Post(flight, parcel)));
        }
        for fact in out.facts {
            self.fact(call, session, fact);
        }
    }

    fn fact(&mut self, call: &mut Call<'_>, session: SessionId, fact: ConversationFact) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        let event = match fact {
            ConversationFact::Said { sequence, message, late } => {
                let Some(author) = conversation.person_of(&message.id.author) else { return };
                if self.is_blocked(call.tx, &person, &author) {
                    return;
                }
                self.was_heard(call, session, author);
                SessionEvent::Said { session, sequence, author, message, late }
            }
            ConversationFact::Controlled { from, .. } if self.is_blocked(call.tx, &person, &from.person) => return,
            ConversationFact::Controlled { from, message } => {
                self.was_heard(call, session, from.person);
                return self.controlled(call, session, &from, &message);
            }
            ConversationFact::GaveUp(gap) => SessionEvent::GaveUp(session, gap),
            ConversationFact::State { number, state } => SessionEvent::State(session, number, state),
            ConversationFact::ReadThrough(number) => SessionEvent::ReadThrough(session, number),
            ConversationFact::ReadElsewhere(id) => SessionEvent::ReadElsewhere(session, id),
            ConversationFact::Changed { by, added, removed, terms } => {
                self.attend_places(call, session);
                if added.contains(&person) {
                    self.learn_seated(call, session);
                    self.put_out_revoked(call, session);
                }
                SessionEvent::Changed { session, by, added, removed, terms }
            }
            ConversationFact::Invite(invited) => return self.invite(call, session, invited),
            ConversationFact::Left { by } => {
                self.drop_conversation(&session, call.out);
                Conversation::delete(call.tx, &session);
                self.entered(call, person, session);
                SessionEvent::Left { session, by }
            }
            ConversationFact::Stranded => {
                self.begin_anew(call, session);
                SessionEvent::Stranded(session)
            }
            ConversationFact::OutOfTouch => return self.ask_back(call, session, false),
            ConversationFact::Outdated => SessionEvent::Outdated(session),
            ConversationFact::Equivocated(device) => SessionEvent::Equivocated(session, device),
            ConversationFact::Unwanted(why) => SessionEvent::Unwanted(session, why),
        };
        call.out.push(SessionEffect::Tell(person, event));
    }

    /// Whether a person listens to somebody no more.
    pub(super) fn is_blocked(&self, tx: &dyn Tx, person: &IdentityKey, peer: &IdentityKey) -> bool {
        self.persons.get(person).is_some_and(|of| of.contacts.is_blocked(tx, peer))
    }

    /// Takes a session up: its tags are awaited and its places listened to.
    pub(super) fn take_up(&mut self, call: &mut Call<'_>, conversation: Conversation, out: Out) {
        let (session, due) = (conversation.id(), conversation.next_wake(&self.config));
        if conversation.terms().shared_topic {
            self.shared_topics.insert(session, SharedTopic::of(session));
            self.has_new_topic = true;
        }
        self.conversations.insert(session, conversation);
        self.plan(session, due);
        self.attend_places(call, session);
        self.settle(call, session, out);
    }

    fn load_sessions(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = call.tx.scan(Table::Sessions, after.as_deref(), PAGE);
            for (key, _) in &rows {
                if let Some(id) = key.as_slice().try_into().ok().map(SessionId) {
                    self.load_session(call, person, id);
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == PAGE => after = Some(key.clone()),
                _ => return,
            }
        }
    }

    fn load_session(&mut self, call: &mut Call<'_>, person: IdentityKey, id: SessionId) {
        if Conversation::owner(call.tx, &id) != Some(person) {
            return;
        }
        let mut seed = [0; 32];
        rand_core::Rng::fill_bytes(&mut self.rng, &mut seed);
        let device = &self.persons[&person].device;
        match Conversation::load(call.tx, id, device, call.now, &self.config, seed) {
            Some(conversation) => {
                let out = Out { awaited: conversation.tags().collect(), ..Out::default() };
                if let Some(peer) = conversation.other_person() {
                    self.unheard.insert(id, peer);
                }
                self.take_up(call, conversation, out);
                self.with(call, id, |conversation, scene| conversation.resume(scene));
            }
            None => tracing::error!(session = %id, "a kept session is damaged; it has to be begun anew"),
        }
    }

    /// Forgets a session, but not what is kept of it.
    pub(super) fn drop_conversation(
        &mut self,
        session: &SessionId,
        out: &mut Vec<SessionEffect>,
    ) -> Option<Conversation> {
        let conversation = self.conversations.remove(session)?;
        for (tag, _) in conversation.tags() {
            self.slots.remove(&tag);
        }
        self.shared_topics.remove(session);
        self.plan(*session, None);
        let person = conversation.person();
        let places = conversation.terms().places.iter().filter(|place| place.owner.is_none_or(|of| of == person));
        places.for_each(|place| self.unattend(place.region, out));
        self.unheard.remove(session);
        self.gatherings.remove(session);
        Some(conversation)
    }

    /// Listens where a session is written to.
    fn attend_places(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        let mine = conversation.terms().places.iter().filter(|place| place.owner.is_none_or(|of| of == person));
        let regions: Vec<Prefix> = mine.map(|place| place.region).collect();
        regions.into_iter().for_each(|region| self.attend(call, region));
    }

    pub(super) fn attend(&mut self, call: &mut Call<'_>, region: Prefix) {
        if self.attended.insert(region) {
            call.out.push(SessionEffect::Attend(region));
        }
    }

    /// A region cannot be listened to for now: whoever is in a session that is written to there is told.
    pub fn cannot_listen(&self, region: &Prefix, refusal: Refusal, out: &mut Vec<SessionEffect>) {
        for conversation in self.conversations.values().filter(|it| listens_to(it, region)) {
            let why =
                format!("what is said here is not heard for now: {refusal}; it is tried again when another is left");
            let event = SessionEvent::Unwanted(conversation.id(), why);
            out.push(SessionEffect::Tell(conversation.person(), event));
        }
    }

    /// Listens to a region no more, unless somebody here still needs it.
    pub(super) fn unattend(&mut self, region: Prefix, out: &mut Vec<SessionEffect>) {
        let by_person = |person: &Person| person.card.body().regions.iter().any(|other| other.prefix == region);
        let by_session = |conversation: &Conversation| listens_to(conversation, &region);
        let is_needed = self.persons.values().any(by_person)
            || self.conversations.values().any(by_session)
            || self.links.listens_to(region);
        if !is_needed && self.attended.remove(&region) {
            out.push(SessionEffect::Unattend(region));
        }
    }
}

/// Whether a person is written to in a region because of a session.
fn listens_to(conversation: &Conversation, region: &Prefix) -> bool {
    let mut places = conversation.terms().places.iter();
    places.any(|place| place.region == *region && place.owner.is_none_or(|of| of == conversation.person()))
}
