//! What becomes of a session of two in which a device came to a dead end: it followed one commit, was alone for more than a
//! day, burnt its way back, and then another commit turned out to count (docs/protocol/session.md §7).
//!
//! Nobody in it could let the device in again: that needs its vote. So the contact is greeted anew, and accepts without a
//! question. When the new session is there, the old one ends on both sides, and who said something in it that was not heard
//! is told that it failed.

use mainframe_base::{IdentityKey, SessionId};

use super::controls::Control;
use super::conversation::Conversation;
use super::epoch::Seat;
use super::ports::{SessionEffect, SessionEvent};
use super::sessions::{Call, Sessions};

impl Sessions {
    /// A session came to a dead end here. Where another device of the person is in it, or a group, these are asked to let this
    /// one in again.
    pub(super) fn begin_anew(&mut self, call: &mut Call<'_>, session: SessionId) {
        let Some(conversation) = self.conversations.get(&session) else { return };
        let person = conversation.person();
        let is_alone = conversation.devices_of(&person).len() == 1;
        let Some(peer) = conversation.other_person().filter(|_| is_alone) else {
            return self.ask_back(call, session, true);
        };
        let greeted = self.with_contacts(call, person, |contacts, turn| contacts.greet(turn, peer, ""));
        tracing::info!(%session, ?greeted, "a session of two came to a dead end; another one is asked for");
    }

    /// There is a session with a contact: where another one came to a dead end, it is in its place.
    pub(super) fn leave_stranded(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        peer: IdentityKey,
        session: SessionId,
    ) {
        let is_replaced = |it: &&Conversation| {
            it.person() == person && it.other_person() == Some(peer) && it.id() != session && it.is_stranded()
        };
        let replaced: Vec<SessionId> = self.conversations.values().filter(is_replaced).map(Conversation::id).collect();
        for old in replaced {
            self.control(call, session, &Control::Stranded(old));
            self.end(call, old, person);
        }
    }

    /// The only device of the other one came to a dead end in a session of two.
    pub(super) fn peer_stranded(&mut self, call: &mut Call<'_>, old: SessionId, from: &Seat) {
        let Some(conversation) = self.conversations.get(&old) else { return };
        let is_theirs = conversation.other_person() == Some(from.person);
        if is_theirs && conversation.devices_of(&from.person) == [from.device] {
            self.end(call, old, from.person);
        }
    }

    fn end(&mut self, call: &mut Call<'_>, session: SessionId, by: IdentityKey) {
        let Some(person) = self.conversations.get(&session).map(Conversation::person) else { return };
        self.leave_behind(call, session);
        self.entered(call, person, session);
        call.out.push(SessionEffect::Tell(person, SessionEvent::Left { session, by }));
    }
}
