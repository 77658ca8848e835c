//! What people ask for, one by one.

use std::collections::BTreeMap;

use mainframe_base::{IdentityKey, SessionId, Time};

use super::contact::{Account, Contacts, NotDone, Turn};
use super::conversation::{CONTROL_KIND, Conversation, Scene, Want};
use super::ports::{Answer, Order, SessionEffect, Unable};
use super::sessions::{Call, Sessions};
use super::terms::Amendment;
use crate::store::Tx;

impl Sessions {
    /// Carries out what a person asks for.
    ///
    /// # Errors
    /// Why it was not done; nothing has changed then.
    pub fn order(
        &mut self,
        now: Time,
        person: IdentityKey,
        order: Order,
        tx: &mut dyn Tx,
        out: &mut Vec<SessionEffect>,
    ) -> Result<Answer, Unable> {
        let call = &mut Call { now, tx, out };
        if !self.persons.contains_key(&person) {
            return Err(Unable::NoPerson);
        }
        match order {
            Order::Card => Ok(Answer::Card(Box::new(self.persons[&person].card.clone()))),
            Order::Invite(terms) => self.contact(call, person, |contacts, turn| {
                contacts.invite(turn, terms).map(|invitation| Answer::Invitation(Box::new(invitation)))
            }),
            Order::Invitations => {
                self.contact(call, person, |contacts, turn| Ok(Answer::Invitations(contacts.invitations(turn.tx))))
            }
            Order::WithdrawInvitation(id) => self.contact(call, person, |contacts, turn| {
                contacts.withdraw_invitation(turn, id);
                Ok(Answer::Done)
            }),
            Order::AddContact(whom, text) => {
                self.contact(call, person, |contacts, turn| contacts.add(turn, whom, &text).map(Answer::Contact))
            }
            Order::AcceptContact(peer) => {
                self.contact(call, person, |contacts, turn| contacts.accept(turn, peer).into_done())
            }
            Order::DeclineContact { peer, told } => {
                self.contact(call, person, |contacts, turn| contacts.decline(turn, peer, told).into_done())
            }
            Order::RemoveContact(peer) => {
                self.contact(call, person, |contacts, turn| contacts.remove(turn, peer).into_done())
            }
            Order::BlockContact(peer) => {
                self.contact(call, person, |contacts, turn| contacts.block(turn, peer).into_done())
            }
            Order::UnblockContact(peer) => {
                self.contact(call, person, |contacts, turn| contacts.unblock(turn, peer).into_done())
            }
            Order::Contacts { after, limit } => self.contact(call, person, |contacts, turn| {
                Ok(Answer::Contacts(contacts.contacts(turn.tx, after.as_ref(), limit)))
            }),
            Order::CreateGroup(group) => self.create_group(call, person, group),
            Order::AddMember(session, member) => self.add_member(call, person, session, member),
            Order::RemoveMember(session, member) => self.remove_member(call, person, session, member),
            Order::SetAdmin(session, member, is_admin) => {
                self.agree(call, person, session, Amendment::Admin(member, is_admin))
            }
            Order::Rename(session, name) => self.agree(call, person, session, Amendment::Name(name)),
            Order::Leave(session) => self.leave(call, person, session),
            Order::Renew(session) => {
                self.session_of(&person, &session)?;
                self.want(call, session, Want::Refresh)
            }
            Order::Say { session, kind, .. } if kind >= CONTROL_KIND => {
                self.session_of(&person, &session)?;
                Err(Unable::Kind)
            }
            Order::Say { session, .. } if self.session_of(&person, &session)?.is_outdated() => Err(Unable::Outdated),
            Order::Say { session, stream, kind, body } => {
                let said = self.in_session(call, person, session, |it, scene| it.say(scene, stream, kind, body))??;
                Ok(Answer::Said(said.id, said.sequence))
            }
            Order::Cancel(session, number) => {
                let in_time = self.in_session(call, person, session, |it, scene| it.cancel(scene, number))?;
                if in_time { Ok(Answer::Done) } else { Err(Unable::Nothing) }
            }
            Order::Read(session, id) => {
                self.in_session(call, person, session, |it, scene| it.read(scene, id))?;
                Ok(Answer::Done)
            }
            Order::Messages { session, after, limit } => {
                let conversation = self.session_of(&person, &session)?;
                let mut blocked = BTreeMap::new();
                let entries = conversation.messages(call.tx, after, limit, |author| {
                    let asked =
                        || conversation.person_of(author).is_some_and(|it| self.is_blocked(call.tx, &person, &it));
                    !*blocked.entry(*author).or_insert_with(asked)
                });
                Ok(Answer::Messages(entries))
            }
            Order::Progress(session, number) => {
                Ok(Answer::Progress(self.session_of(&person, &session)?.progress(number)))
            }
            Order::Devices => Ok(Answer::Devices(self.own_devices(call.tx, &person))),
            Order::AddDevice(code, name) => self.add_device(call, person, code, name),
            Order::RevokeDevice(device) => self.revoke_device(call, person, device),
            Order::Account => {
                let (secrets, belongings) =
                    (self.persons[&person].identity.secrets(), self.belongings(call.tx, person));
                Ok(Answer::Account(std::sync::Arc::new(Account { secrets, belongings })))
            }
            Order::Receive(belongings) => self.receive(call, person, *belongings),
            Order::Sessions => {
                let theirs = self.conversations.values().filter(|it| it.person() == person);
                Ok(Answer::Sessions(theirs.map(Conversation::view).collect()))
            }
        }
    }

    fn contact(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        work: impl FnOnce(&mut Contacts, &mut Turn<'_>) -> Result<Answer, NotDone>,
    ) -> Result<Answer, Unable> {
        self.with_contacts(call, person, work).ok_or(Unable::NoPerson)?.map_err(Unable::Contact)
    }

    fn in_session<R>(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        session: SessionId,
        work: impl FnOnce(&mut Conversation, &mut Scene<'_>) -> R,
    ) -> Result<R, Unable> {
        self.session_of(&person, &session)?;
        self.with(call, session, work).ok_or(Unable::NoSession)
    }
}

/// What is answered when there is nothing to tell.
trait IntoDone {
    fn into_done(self) -> Result<Answer, NotDone>;
}

impl IntoDone for Result<(), NotDone> {
    fn into_done(self) -> Result<Answer, NotDone> {
        self.map(|()| Answer::Done)
    }
}
