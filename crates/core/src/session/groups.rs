//! Groups: whom to add, and everything devices tell each other about it inside other sessions.

use std::collections::BTreeMap;

use mainframe_base::{Address, IdentityKey, Prefix, SessionId, Time};

use super::contact::{ContactStanding, Input};
use super::controls::Control;
use super::conversation::{Conversation, Offered, Want};
use super::epoch::Seat;
use super::first_contact::{Entered, Welcome};
use super::ledger::Message;
use super::ordering::LEAVES_PER_PERSON_MAX;
use super::ports::{Answer, NewGroup, SessionEffect, SessionEvent, Unable};
use super::sessions::{Call, Sessions};
use super::terms::{Amendment, Forbidden, Kind, Place, Terms, is_name};
use crate::store::{Table, Tx};

/// How long keys of several people are waited for, so that one commit adds them all (guess: twice what somebody awake
/// needs to answer).
const GATHER_MS: u64 = 4_000;
/// How long somebody's further devices may answer after the first one did (guess).
const FURTHER_MS: u64 = 600_000;

/// Keys that came for a session, until those of the others come.
#[derive(Default)]
pub(super) struct Gathering {
    pub(super) due: Time,
    /// Who was asked, and what they answered.
    asked: BTreeMap<IdentityKey, Option<Answered>>,
    offered: Vec<Offered>,
}

/// When somebody gave keys first, and how many since.
#[derive(Clone, Copy)]
struct Answered {
    at: Time,
    packages: usize,
}

impl Gathering {
    /// Somebody who was asked gives keys: those of as many devices as a person may have, and of each device the latest.
    fn take(&mut self, now: Time, from: IdentityKey, offered: Vec<Offered>) {
        let Some(answered) = self.asked.get_mut(&from) else { return };
        let answered = answered.get_or_insert(Answered { at: now, packages: 0 });
        let room = LEAVES_PER_PERSON_MAX - answered.packages;
        if offered.len() > room {
            tracing::debug!(?from, "somebody gives more key packages than he may have devices");
        }
        for one in offered.into_iter().take(room) {
            answered.packages += 1;
            let device = one.device();
            self.offered.retain(|other| other.person != from || other.device() != device);
            self.offered.push(one);
        }
    }
}

impl Sessions {
    /// Founds a group and asks everyone for keys.
    pub(super) fn create_group(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        group: NewGroup,
    ) -> Result<Answer, Unable> {
        let NewGroup { name, members, luminosity, hold, shared_topic } = group;
        if !is_name(&name) {
            return Err(Unable::Name);
        }
        if members.iter().any(|member| self.pair_with(call.tx, &person, member).is_none()) {
            return Err(Unable::NotTogether);
        }
        let (mut id, mut address) = ([0; 16], [0; 32]);
        rand_core::Rng::fill_bytes(&mut self.rng, &mut id);
        rand_core::Rng::fill_bytes(&mut self.rng, &mut address);
        let place = Place { region: Prefix::of(&Address(address), luminosity), owner: None };
        let (kind, admins, places) = (Kind::Group, [person].into(), vec![place]);
        let session = SessionId(id);
        self.found(call, person, session, Terms { kind, name, admins, places, hold, shared_topic });
        for member in members {
            self.ask_for_keys(call, person, session, member);
        }
        Ok(Answer::Session(session))
    }

    /// Adds a contact to a group.
    pub(super) fn add_member(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
        member: IdentityKey,
    ) -> Result<Answer, Unable> {
        let conversation = self.session_of(&person, &session)?;
        if !conversation.terms().admins.contains(&person) {
            return Err(Forbidden::Add.into());
        }
        if conversation.terms().kind == Kind::Pair {
            return Err(Forbidden::Pair.into());
        }
        if conversation.has(&member) {
            return Err(Unable::Nothing);
        }
        if self.pair_with(call.tx, &person, &member).is_none() {
            return Err(Unable::NotTogether);
        }
        self.ask_for_keys(call, person, session, member);
        Ok(Answer::Done)
    }

    /// Removes a member; everyone is warned first, so that nobody follows a commit of theirs.
    pub(super) fn remove_member(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
        member: IdentityKey,
    ) -> Result<Answer, Unable> {
        let conversation = self.session_of(&person, &session)?;
        if !conversation.terms().admins.contains(&person) {
            return Err(Forbidden::Remove.into());
        }
        if conversation.terms().kind == Kind::Pair {
            return Err(Forbidden::Pair.into());
        }
        if !conversation.has(&member) || member == person {
            return Err(Unable::Nothing);
        }
        for device in conversation.devices_of(&member) {
            self.control(call, session, &Control::Removing(device));
        }
        self.want(call, session, Want::RemovePerson(member))
    }

    /// Changes the terms.
    pub(super) fn agree(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
        amendment: Amendment,
    ) -> Result<Answer, Unable> {
        let conversation = self.session_of(&person, &session)?;
        if !conversation.terms().admins.contains(&person) || conversation.terms().kind == Kind::Pair {
            return Err(Forbidden::Terms.into());
        }
        let terms = amendment.to(conversation.terms());
        if !is_name(&terms.name) {
            return Err(Unable::Name);
        }
        if terms == *conversation.terms() || terms.admins.is_empty() {
            return Err(Unable::Nothing);
        }
        self.want(call, session, Want::Agree(amendment))
    }

    /// Asks to be removed by an admin.
    pub(super) fn leave(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
    ) -> Result<Answer, Unable> {
        let conversation = self.session_of(&person, &session)?;
        if conversation.terms().kind == Kind::Pair {
            return Err(Forbidden::Pair.into());
        }
        let others = conversation.terms().admins.iter().any(|admin| *admin != person);
        if !others && conversation.is_with_others() {
            return Err(Unable::LastAdmin);
        }
        self.control(call, session, &Control::Leaving);
        Ok(Answer::Done)
    }

    pub(super) fn want(&mut self, call: &mut Call<'_>, session: SessionId, want: Want) -> Result<Answer, Unable> {
        if self.conversations.get(&session).is_some_and(Conversation::is_outdated) {
            return Err(Unable::Outdated);
        }
        match self.with(call, session, |conversation, scene| conversation.want(scene, want)) {
            Some(true) => Ok(Answer::Done),
            Some(false) => Err(mainframe_base::Refusal::Busy.into()),
            None => Err(Unable::NoSession),
        }
    }

    pub(super) fn session_of(&self, person: &IdentityKey, session: &SessionId) -> Result<&Conversation, Unable> {
        self.conversations.get(session).filter(|it| it.person() == *person).ok_or(Unable::NoSession)
    }

    /// The session of two that a person has with a contact.
    pub(super) fn pair_with(&self, tx: &dyn Tx, person: &IdentityKey, peer: &IdentityKey) -> Option<SessionId> {
        let contact = self.persons.get(person)?.contacts.contact(tx, peer)?;
        let ContactStanding::Together(session) = contact.standing else { return None };
        self.conversations.contains_key(&session).then_some(session)
    }

    /// Says something to the devices of a session.
    pub(super) fn control(&mut self, call: &mut Call<'_>, session: SessionId, control: &Control) {
        let (kind, body) = control.encode();
        let said = self.with(call, session, |conversation, scene| conversation.say(scene, 0, kind, body));
        if let Some(Err(refusal)) = said {
            tracing::warn!(%refusal, "a session takes no more for now; what was to be told to its devices is lost");
        }
    }

    fn ask_for_keys(&mut self, call: &mut Call<'_>, person: IdentityKey, session: SessionId, member: IdentityKey) {
        let Some(pair) = self.pair_with(call.tx, &person, &member) else { return };
        call.tx.put(Table::Invited, &invited_key(&session, &member), &[]);
        let gathering = self.gatherings.entry(session).or_default();
        gathering.asked.insert(member, None);
        gathering.due = call.now + GATHER_MS;
        self.control(call, pair, &Control::KeysWanted(session));
    }

    /// After a restart whoever did not answer is asked again.
    pub(super) fn resume_gatherings(&mut self, call: &mut Call<'_>, person: IdentityKey) {
        let sessions: Vec<SessionId> =
            self.conversations.values().filter(|it| it.person() == person).map(Conversation::id).collect();
        for session in sessions {
            for (key, _) in super::rows_of(call.tx, Table::Invited, &session.0) {
                if let Some(member) = key[16..].try_into().ok().map(IdentityKey) {
                    self.ask_for_keys(call, person, session, member);
                }
            }
        }
    }

    /// Whoever answered is added; the others when they answer.
    pub(super) fn wake_gatherings(&mut self, call: &mut Call<'_>) {
        let due: Vec<SessionId> =
            self.gatherings.iter().filter(|(_, it)| it.due <= call.now).map(|(session, _)| *session).collect();
        for session in due {
            self.add_gathered(call, session);
        }
    }

    fn add_gathered(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(gathering) = self.gatherings.get_mut(&session) else { return };
        let offered = std::mem::take(&mut gathering.offered);
        let over = |answered: &Option<Answered>| answered.is_some_and(|it| call.now.since_ms(it.at) > FURTHER_MS);
        gathering.asked.retain(|_, answered| !over(answered));
        gathering.due = call.now + FURTHER_MS;
        if gathering.asked.is_empty() {
            self.gatherings.remove(&session);
        }
        for one in &offered {
            call.tx.delete(Table::Invited, &invited_key(&session, &one.person));
        }
        if offered.is_empty() {
            return;
        }
        let wanted = self.with(call, session, |conversation, scene| {
            let is_wanted = conversation.want(scene, Want::Add(offered));
            (!is_wanted).then(|| conversation.person())
        });
        if let Some(person) = wanted.flatten() {
            let why = "too many changes wait already; add them again when these are made".to_owned();
            call.out.push(SessionEffect::Tell(person, SessionEvent::Unwanted(session, why)));
        }
    }

    fn keys_came(&mut self, call: &mut Call<'_>, session: SessionId, from: IdentityKey, packages: &[Vec<u8>]) {
        let offered = self.vouched_offers(call.tx, &from, packages);
        let Some(gathering) = self.gatherings.get_mut(&session) else { return };
        let Some(offered) = offered.filter(|_| gathering.asked.contains_key(&from)) else { return };
        gathering.take(call.now, from, offered);
        gathering.due = gathering.due.min(call.now + GATHER_MS);
        if gathering.asked.values().all(Option::is_some) {
            self.add_gathered(call, session);
        }
    }

    /// A device said something that no person reads.
    pub(super) fn controlled(&mut self, call: &mut Call<'_>, session: SessionId, from: &Seat, message: &Message) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        let (kind, is_admin) = (conversation.terms().kind, conversation.terms().admins.contains(&from.person));
        let (we_are_admin, is_other) = (conversation.terms().admins.contains(&person), from.person != person);
        let Ok(control) = Control::decode(message.kind, &message.body) else { return };
        match control {
            Control::Here => {}
            Control::KeysWanted(group) if kind == Kind::Pair && is_other => {
                let packages = vec![self.make_package(call, person, from.person)];
                self.control(call, session, &Control::Keys { session: group, packages });
            }
            Control::Keys { session: group, packages } if kind == Kind::Pair => {
                self.keys_came(call, group, from.person, &packages);
            }
            Control::Welcome { session: group, welcome, tree, start }
                if kind == Kind::Pair && (is_other || self.entering.has(person, group)) =>
            {
                let came = Welcome { session: group, welcome: &welcome, tree: tree.as_deref(), start: &start };
                if self.enter(call, person, from.person, None, came) == Entered::Now {
                    self.control(call, group, &Control::Here);
                }
            }
            Control::Leaving if kind == Kind::Group && we_are_admin && is_other => {
                self.with(call, session, |it, scene| it.want(scene, Want::RemovePerson(from.person)));
            }
            Control::Removing(device) if kind == Kind::Group && is_admin => {
                let by = from.leaf;
                self.with(call, session, |it, scene| it.removal_proposed(scene, by, device));
            }
            Control::Card(card) if card.identity() == from.person => {
                self.tell_contacts(call, person, Input::CardTold(card));
            }
            Control::Revoked(revocation) if revocation.identity == from.person => {
                self.revocation_told(call, revocation);
            }
            Control::Stranded(old) if kind == Kind::Pair && is_other => self.peer_stranded(call, old, from),
            Control::KeysWanted(_)
            | Control::Keys { .. }
            | Control::Welcome { .. }
            | Control::Leaving
            | Control::Removing(_)
            | Control::Card(_)
            | Control::Revoked(_)
            | Control::Stranded(_) => tracing::debug!(%session, "a device says what does not belong there"),
        }
    }
}

fn invited_key(session: &SessionId, member: &IdentityKey) -> Vec<u8> {
    [&session.0[..], &member.0].concat()
}
