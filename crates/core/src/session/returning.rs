//! How a device comes back into a session that went on without it: it was away for longer than anything is held and kept, or
//! came to a dead end. It asks as one does that was never in ([`entering`](super::entering)), and says in which epoch it is;
//! whoever does not know that epoch puts it out and in again by one commit.

use mainframe_base::{IdentityKey, Time};

use super::contact::{Back, CLOCK_MINUTES};
use super::conversation::Conversation;
use super::entering::welcome_of;
use super::first_contact::offers;
use super::sessions::{Call, Sessions};
use crate::crypto::minutes_of;

/// How old the question may be, in minutes: the device may have heard the others again meanwhile, and if not it asks again. An
/// hour, and one by which clocks may differ.
const ASKED_MINUTES_MAX: u32 = 60 + CLOCK_MINUTES;

impl Sessions {
    /// A device asks to be let into a session again in which it may have been left behind.
    pub(super) fn asked_back(
        &mut self,
        call: &mut Call<'_>,
        person: IdentityKey,
        peer: IdentityKey,
        back: &Back,
        sent_minutes: u32,
    ) {
        let now_minutes = minutes_of(call.now);
        let (session, packages) = (back.session, std::slice::from_ref(&back.package));
        let Some(offered) = offers(&peer, packages).and_then(|mut offered| offered.pop()) else { return };
        let Some(credential) = offered.credential() else { return };
        let (device, asked_minutes) = (credential.certificate.device, credential.asked_minutes(&session));
        if now_minutes.saturating_sub(sent_minutes) > ASKED_MINUTES_MAX
            || asked_minutes > now_minutes.saturating_add(CLOCK_MINUTES)
            || self.is_revoked(call.tx, &peer, &device)
        {
            return;
        }
        let Ok(conversation) = self.session_of(&person, &session) else { return };
        let this = self.persons[&person].device.key();
        if device == this || self.is_behind(call.now, conversation, peer != person || device < this) {
            return;
        }
        if !conversation.devices_of(&peer).contains(&device)
            || welcome_of(call.tx, &session, &offered.id, peer).is_some()
        {
            return self.let_in(call, (person, session), peer, packages);
        }
        self.with(call, session, |conversation, scene| conversation.let_back(scene, offered, &credential, back.epoch));
    }

    /// Whether we would ask to be let in ourselves. Of two devices of a person that lost each other, each of which could let
    /// the other one in, the one with the lower key does so although it asks itself.
    fn is_behind(&self, now: Time, conversation: &Conversation, is_to_wait: bool) -> bool {
        let (person, session) = (conversation.person(), conversation.id());
        self.entering.is_stranded(person, session) || is_to_wait && conversation.is_out_of_touch(now, &self.config)
    }
}
