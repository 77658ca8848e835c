//! What the user wants.

use mainframe_base::IdentityKey;

use super::letters::is_text;
use super::ports::{NotDone, Turn};
use super::row::{Contact, Ending, Stage};
use super::{CONTACTS_MAX, Contacts, Terms, invitations};
use crate::crypto::{Card, Invitation, InvitationId, InvitationSecret, Inviter};

/// By what somebody is found.
#[expect(missing_debug_implementations, reason = "an invitation holds a secret")]
#[derive(Clone)]
pub enum Whom {
    /// His card.
    Card(Card),
    /// An invitation of his.
    Invitation(Invitation),
}

impl Contacts {
    /// Greets somebody. If he has asked already, he is accepted instead.
    ///
    /// # Errors
    /// See [`NotDone`].
    pub fn add(&mut self, turn: &mut Turn<'_>, whom: Whom, text: &str) -> Result<IdentityKey, NotDone> {
        let (peer, card, invitation) = match whom {
            Whom::Card(card) => (card.identity(), Some(card), None),
            Whom::Invitation(invitation) if invitation.is_expired(turn.now) => return Err(NotDone::InvitationExpired),
            Whom::Invitation(invitation) => {
                let card = match &invitation.inviter {
                    Inviter::Card(card) => Some(card.clone()),
                    Inviter::Stub(_) => None,
                };
                (invitation.identity(), card, Some(invitation))
            }
        };
        if peer == self.me {
            return Err(NotDone::Ourselves);
        }
        if card.as_ref().is_some_and(|card| card.is_expired(turn.now)) {
            return Err(NotDone::CardExpired);
        }
        let known = Contact::load(turn.tx, &self.me, &peer);
        if known.is_none() && self.contacts >= CONTACTS_MAX {
            return Err(NotDone::Full);
        }
        let mut contact = known.unwrap_or_else(|| Contact::new(None, turn.now));
        if let Some(card) = card {
            Contacts::learn_card(turn, &mut contact, card);
        }
        if matches!(contact.stage, Stage::Together { .. }) {
            return Err(NotDone::Underway);
        }
        self.greet_contact(turn, peer, contact, text, invitation).map(|()| peer)
    }

    /// Greets a contact anew: after he declined, or because a session with him is lost.
    ///
    /// # Errors
    /// See [`NotDone`].
    pub fn greet(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, text: &str) -> Result<(), NotDone> {
        let contact = Contact::load(turn.tx, &self.me, &peer).ok_or(NotDone::Unknown)?;
        if contact.recipient().is_none() {
            return Err(NotDone::Unknown);
        }
        self.greet_contact(turn, peer, contact, text, None)
    }

    fn greet_contact(
        &mut self,
        turn: &mut Turn<'_>,
        peer: IdentityKey,
        mut contact: Contact,
        text: &str,
        invitation: Option<Invitation>,
    ) -> Result<(), NotDone> {
        if contact.blocked {
            return Err(NotDone::Blocked);
        }
        if !is_text(text) {
            return Err(NotDone::Text);
        }
        match contact.stage {
            Stage::Asked { hello, .. } => self.begin_accepting(turn, peer, &mut contact, hello),
            Stage::Known | Stage::Saying { .. } | Stage::Together { .. } | Stage::Ended { .. } => {
                contact.chosen = true;
                self.say(turn, peer, &mut contact, text.to_owned(), invitation);
            }
            Stage::Accepting { .. }
            | Stage::Accepted { .. }
            | Stage::Starting { .. }
            | Stage::Welcoming { .. }
            | Stage::Joining { .. } => return Err(NotDone::Underway),
        }
        Ok(())
    }

    /// Accepts who asked.
    ///
    /// # Errors
    /// `Unknown`, `NoRequest`.
    pub fn accept(&mut self, turn: &mut Turn<'_>, peer: IdentityKey) -> Result<(), NotDone> {
        let mut contact = Contact::load(turn.tx, &self.me, &peer).ok_or(NotDone::Unknown)?;
        let Stage::Asked { hello, .. } = contact.stage else { return Err(NotDone::NoRequest) };
        self.begin_accepting(turn, peer, &mut contact, hello);
        Ok(())
    }

    /// Declines who asked. If he is not told, he sees no difference to somebody who is never there.
    ///
    /// # Errors
    /// `Unknown`, `NoRequest`.
    pub fn decline(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, told: bool) -> Result<(), NotDone> {
        let mut contact = Contact::load(turn.tx, &self.me, &peer).ok_or(NotDone::Unknown)?;
        if !matches!(contact.stage, Stage::Asked { .. }) {
            return Err(NotDone::NoRequest);
        }
        self.end(turn, peer, &mut contact, if told { Ending::ByUs } else { Ending::Silently });
        Ok(())
    }

    /// Takes back what is under way with a contact, and says so; or forgets one with whom nothing is. A session is left by
    /// other means.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn remove(&mut self, turn: &mut Turn<'_>, peer: IdentityKey) -> Result<(), NotDone> {
        let mut contact = Contact::load(turn.tx, &self.me, &peer).ok_or(NotDone::Unknown)?;
        if contact.stage.is_underway() {
            self.end(turn, peer, &mut contact, Ending::ByUs);
        } else {
            self.delete(turn, peer);
        }
        Ok(())
    }

    /// Ignores somebody from now on, without telling. What is under way with him ends as silently.
    ///
    /// # Errors
    /// `Full` if he is not known and there is no room, `Ourselves`.
    pub fn block(&mut self, turn: &mut Turn<'_>, peer: IdentityKey) -> Result<(), NotDone> {
        if peer == self.me {
            return Err(NotDone::Ourselves);
        }
        let known = Contact::load(turn.tx, &self.me, &peer);
        if known.is_none() && self.contacts >= CONTACTS_MAX {
            return Err(NotDone::Full);
        }
        let mut contact = known.unwrap_or_else(|| Contact::new(None, turn.now));
        contact.blocked = true;
        if contact.stage.is_underway() {
            self.end(turn, peer, &mut contact, Ending::Silently);
        }
        self.save(turn, peer, &contact);
        Ok(())
    }

    /// Listens to somebody again.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn unblock(&mut self, turn: &mut Turn<'_>, peer: IdentityKey) -> Result<(), NotDone> {
        let mut contact = Contact::load(turn.tx, &self.me, &peer).ok_or(NotDone::Unknown)?;
        contact.blocked = false;
        self.save(turn, peer, &contact);
        Ok(())
    }

    /// Makes an invitation with our card, to be handed over whole or [shortened](Invitation::shortened).
    ///
    /// # Errors
    /// `InvitationExpired`, `Full`.
    pub fn invite(&mut self, turn: &mut Turn<'_>, terms: Terms) -> Result<Invitation, NotDone> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        turn.rng.fill_bytes(&mut *bytes);
        let secret = InvitationSecret::from_bytes(*bytes);
        invitations::keep(turn.tx, &self.me, &secret, terms, turn.now)?;
        Ok(Invitation { inviter: Inviter::Card(self.card.clone()), secret, expires_hours: terms.expires_hours })
    }

    /// Takes an invitation back: what is sealed under it is not even opened any more.
    pub fn withdraw_invitation(&mut self, turn: &mut Turn<'_>, id: InvitationId) {
        invitations::withdraw(turn.tx, &self.me, id);
    }
}
