//! What follows from a letter that came.

use mainframe_base::{IdentityKey, Time};

use super::invitations;
use super::letters::{About, Accept, Back, Decline, Hello, HelloId, Keys, KeysWanted, Moved, Welcome};
use super::ports::{Fact, Ignored, Output, Standing, Turn, Wish};
use super::row::{Contact, Ending, Stage};
use super::steps::check_card;
use super::{CLOCK_MINUTES, CONTACTS_MAX, Contacts, WAY_MINUTES, Whose};
use crate::crypto::{InvitationId, LetterKind, Opened, Recipient, minutes_of};

/// Who wrote, and when by his clock.
#[derive(Clone, Copy)]
struct Sender {
    peer: IdentityKey,
    minutes: u32,
}

impl Contacts {
    pub(super) fn letter(&mut self, turn: &mut Turn<'_>, letter: Opened) {
        let from = letter.from;
        if let Err(why) = self.read(turn, letter) {
            turn.out.push(Output::Fact(Fact::Ignored { from, why }));
        }
    }

    fn read(&mut self, turn: &mut Turn<'_>, letter: Opened) -> Result<(), Ignored> {
        let sender = Sender { peer: letter.from, minutes: letter.sent_minutes };
        if sender.peer == self.me {
            return Err(Ignored::Ourselves);
        }
        let contact = Contact::load(turn.tx, &self.me, &sender.peer);
        if contact.as_ref().is_some_and(|contact| contact.blocked) {
            return Ok(());
        }
        check_clock(turn.now, sender.minutes)?;
        match letter.kind {
            LetterKind::Hello => self.hello(turn, sender, contact, Hello::decode(&letter.body)?, letter.invitation),
            LetterKind::Accept => self.accept_came(turn, sender, contact, Accept::decode(&letter.body)?),
            LetterKind::Decline => self.decline_came(turn, sender, contact, Decline::decode(&letter.body)?),
            LetterKind::Welcome => self.welcome_came(turn, sender, contact, Welcome::decode(&letter.body)?),
            LetterKind::KeysWanted => self.keys_wanted(turn, sender, contact, KeysWanted::decode(&letter.body)?),
            LetterKind::Keys => keys_came(turn, sender, contact, Keys::decode(&letter.body)?),
            LetterKind::Back => back_came(turn, sender, contact, Back::decode(&letter.body)?),
            LetterKind::Moved => self.moved_came(turn, sender, Moved::decode(&letter.body)?),
            // A new device reads it before it has any contacts.
            LetterKind::Account => Err(Ignored::Unasked),
        }
    }

    fn hello(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: Option<Contact>,
        hello: Hello,
        invitation: Option<InvitationId>,
    ) -> Result<(), Ignored> {
        check_card(turn.now, &sender.peer, &hello.card)?;
        let is_known = contact.is_some();
        let mut contact = contact.unwrap_or_else(|| Contact::new(None, turn.now));
        Contacts::learn_card(turn, &mut contact, hello.card);
        let result = match self.why_not(turn, sender, &mut contact, hello.id) {
            Some(why) => Err(why),
            None => {
                self.greeted(turn, sender, &mut contact, hello.id, hello.text, invitation);
                Ok(())
            }
        };
        if is_known || result.is_ok() {
            self.save(turn, sender.peer, &contact);
        }
        result
    }

    /// Why a greeting changes nothing, and what is answered nevertheless.
    fn why_not(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: &mut Contact,
        hello: HelloId,
    ) -> Option<Ignored> {
        if let Some(remembered) = self.hellos.get(turn.tx, hello) {
            // Once we would not have it, and now we greet ourselves: who still repeats it is answered like any other.
            let wanted_now = matches!(contact.stage, Stage::Saying { .. }) && sender.minutes > contact.heard_minutes;
            if remembered.peer != sender.peer || remembered.whose != Whose::Done {
                return Some(Ignored::Replay);
            }
            self.close(turn, sender.peer, hello);
            if !wanted_now {
                if contact.stage.hello() == Some(hello) {
                    self.answer_again(turn, contact);
                }
                return Some(Ignored::Replay);
            }
        }
        if matches!(contact.stage, Stage::Asked { hello: current, .. } if current == hello) {
            return Some(Ignored::Replay);
        }
        if matches!(contact.stage, Stage::Saying { .. }) && self.me < sender.peer {
            // Both greeted at once. He may not have got ours, and now that he is there he should.
            self.answer_again(turn, contact);
            return Some(Ignored::Crossed);
        }
        (sender.minutes <= contact.heard_minutes).then_some(Ignored::Superseded)
    }

    /// A greeting counts: either it is accepted at once, or the user is asked. At once, if we greeted too, if the user
    /// accepted this contact before (so the peer has lost what we shared), or if the invitation says so and there is room
    /// for a contact more: else it waits like the request of a stranger, of which few are kept.
    fn greeted(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: &mut Contact,
        hello: HelloId,
        text: String,
        invitation: Option<InvitationId>,
    ) {
        let peer = sender.peer;
        contact.heard_minutes = sender.minutes;
        let used = invitation.and_then(|id| {
            let (standing, at_once) = invitations::using(turn.tx, &self.me, id, sender.minutes / 60)?;
            Some((id, standing, at_once))
        });
        let was_asked = matches!(contact.stage, Stage::Asked { .. });
        let is_wanted = matches!(contact.stage, Stage::Together { .. }) || contact.stage.is_underway() && !was_asked;
        let has_room = contact.chosen || self.contacts < CONTACTS_MAX;
        let is_let_in = used.is_some_and(|(_, standing, at_once)| standing == Standing::Valid && at_once);
        let accepted = is_wanted || is_let_in && has_room;
        if let Some(before) = contact.stage.hello().filter(|_| was_asked) {
            self.close(turn, peer, before);
        }
        let invitation = used.map(|(id, standing, _)| (id, standing));
        turn.out.push(Output::Fact(Fact::Requested { peer, text: text.clone(), invitation, accepted }));
        if accepted {
            self.begin_accepting(turn, peer, contact, hello);
        } else {
            self.enter(turn, peer, contact, Stage::Asked { hello, text, invitation });
        }
    }

    fn accept_came(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: Option<Contact>,
        accept: Accept,
    ) -> Result<(), Ignored> {
        check_card(turn.now, &sender.peer, &accept.card)?;
        let Some(mut contact) = contact else {
            self.decline_forgotten(turn, sender, &accept);
            return Err(Ignored::Unasked);
        };
        Contacts::learn_card(turn, &mut contact, accept.card);
        let result = match self.why_not_accepted(turn, sender, &mut contact, accept.hello) {
            Some(why) => Err(why),
            None => {
                self.accepted(turn, sender, &mut contact, accept.hello, accept.packages);
                Ok(())
            }
        };
        self.save(turn, sender.peer, &contact);
        result
    }

    /// Tells somebody who was forgotten, and does not know it, that the greeting was taken back.
    fn decline_forgotten(&self, turn: &mut Turn<'_>, sender: Sender, accept: &Accept) {
        let remembered = self.hellos.get(turn.tx, accept.hello);
        if remembered.is_some_and(|what| what.peer == sender.peer && what.whose == Whose::Withdrawn) {
            let decline = Decline { hello: accept.hello };
            Contacts::send(turn, Some(Recipient::of_card(&accept.card, None)), LetterKind::Decline, decline.encode());
        }
    }

    /// Why an acceptance changes nothing, and what is answered nevertheless.
    fn why_not_accepted(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: &mut Contact,
        hello: HelloId,
    ) -> Option<Ignored> {
        let remembered = self.hellos.get(turn.tx, hello).filter(|what| what.peer == sender.peer);
        let whose = remembered.map(|what| what.whose);
        let is_current = contact.stage.hello() == Some(hello);
        match &contact.stage {
            Stage::Saying { .. } if is_current => None,
            Stage::Starting { .. } | Stage::Welcoming { .. } | Stage::Ended { .. } if is_current => {
                self.answer_again(turn, contact);
                Some(Ignored::Replay)
            }
            _ if whose == Some(Whose::Withdrawn) => {
                if Contacts::may_answer(turn, contact) {
                    Contacts::send(turn, contact.recipient(), LetterKind::Decline, Decline { hello }.encode());
                }
                Some(Ignored::Unasked)
            }
            _ if whose != Some(Whose::Ours) => Some(Ignored::Unasked),
            _ if sender.minutes < contact.heard_minutes => Some(Ignored::Superseded),
            Stage::Known | Stage::Saying { .. } | Stage::Asked { .. } | Stage::Ended { .. } => None,
            // Each accepted the other's: the greeting of the lower key counts, on both sides.
            Stage::Accepting { .. } | Stage::Accepted { .. } if self.me < sender.peer => None,
            Stage::Accepting { .. } | Stage::Accepted { .. } => Some(Ignored::Crossed),
            Stage::Starting { .. } | Stage::Welcoming { .. } | Stage::Joining { .. } | Stage::Together { .. } => {
                Some(Ignored::Superseded)
            }
        }
    }

    fn accepted(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: &mut Contact,
        hello: HelloId,
        packages: Vec<Vec<u8>>,
    ) {
        let theirs = matches!(contact.stage, Stage::Asked { .. } | Stage::Accepting { .. } | Stage::Accepted { .. });
        if let Some(theirs) = contact.stage.hello().filter(|_| theirs) {
            self.close(turn, sender.peer, theirs);
        }
        contact.heard_minutes = contact.heard_minutes.max(sender.minutes);
        self.enter(turn, sender.peer, contact, Stage::Starting { hello, packages });
        turn.out.push(Output::Fact(Fact::Accepted(sender.peer)));
        self.wish_again(turn, sender.peer, contact);
    }

    fn decline_came(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: Option<Contact>,
        decline: Decline,
    ) -> Result<(), Ignored> {
        let mut contact = contact.ok_or(Ignored::Unasked)?;
        if contact.stage.hello() != Some(decline.hello) {
            return Err(Ignored::Unasked);
        }
        if matches!(contact.stage, Stage::Ended { .. }) {
            return Err(Ignored::Replay);
        }
        contact.heard_minutes = contact.heard_minutes.max(sender.minutes);
        self.end(turn, sender.peer, &mut contact, Ending::ByThem);
        turn.out.push(Output::Fact(Fact::Declined(sender.peer)));
        Ok(())
    }

    fn welcome_came(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: Option<Contact>,
        came: Welcome,
    ) -> Result<(), Ignored> {
        let Some(mut contact) = contact else { return Err(Ignored::Stranger) };
        let Welcome { about, session, welcome, tree, start } = came;
        let hello = match about {
            About::Hello(hello) => hello,
            About::Session(_) if matches!(contact.stage, Stage::Together { .. }) => {
                turn.out.push(Output::Wish(Wish::JoinSession {
                    peer: sender.peer,
                    about,
                    session,
                    welcome,
                    tree,
                    start,
                }));
                return Ok(());
            }
            About::Session(_) => return Err(Ignored::Stranger),
        };
        let is_current = contact.stage.hello() == Some(hello);
        let result = match contact.stage {
            Stage::Accepted { .. } if is_current || self.was_answered(turn, sender.peer, hello) => {
                contact.heard_minutes = contact.heard_minutes.max(sender.minutes);
                self.enter(turn, sender.peer, &mut contact, Stage::Joining { hello, session, welcome, tree });
                self.wish_again(turn, sender.peer, &contact);
                return Ok(());
            }
            Stage::Together { session: shared, .. } if shared == session => {
                if Contacts::may_answer(turn, &mut contact) {
                    turn.out.push(Output::Wish(Wish::Confirm { peer: sender.peer, session }));
                }
                Err(Ignored::Replay)
            }
            Stage::Joining { .. } if is_current => Err(Ignored::Replay),
            Stage::Ended { .. } if is_current => {
                self.answer_again(turn, &mut contact);
                Err(Ignored::Replay)
            }
            Stage::Known
            | Stage::Saying { .. }
            | Stage::Asked { .. }
            | Stage::Accepting { .. }
            | Stage::Accepted { .. }
            | Stage::Starting { .. }
            | Stage::Welcoming { .. }
            | Stage::Joining { .. }
            | Stage::Together { .. }
            | Stage::Ended { .. } => Err(Ignored::Unasked),
        };
        self.save(turn, sender.peer, &contact);
        result
    }

    fn was_answered(&self, turn: &Turn<'_>, peer: IdentityKey, hello: HelloId) -> bool {
        self.hellos.get(turn.tx, hello).is_some_and(|what| what.peer == peer && what.whose == Whose::Done)
    }

    fn keys_wanted(
        &mut self,
        turn: &mut Turn<'_>,
        sender: Sender,
        contact: Option<Contact>,
        wanted: KeysWanted,
    ) -> Result<(), Ignored> {
        let mut contact = contact.filter(is_together).ok_or(Ignored::Stranger)?;
        if Contacts::may_answer(turn, &mut contact) {
            let about = About::Session(wanted.session);
            turn.out.push(Output::Wish(Wish::MakeKeyPackages { peer: sender.peer, about }));
            self.save(turn, sender.peer, &contact);
        }
        Ok(())
    }

    fn moved_came(&mut self, turn: &mut Turn<'_>, sender: Sender, moved: Moved) -> Result<(), Ignored> {
        check_card(turn.now, &sender.peer, &moved.card)?;
        if Contact::load(turn.tx, &self.me, &moved.rotation.old).is_none() {
            return Err(Ignored::Stranger);
        }
        self.moved(turn, moved);
        Ok(())
    }
}

fn keys_came(turn: &mut Turn<'_>, sender: Sender, contact: Option<Contact>, keys: Keys) -> Result<(), Ignored> {
    contact.filter(is_together).ok_or(Ignored::Stranger)?;
    let Keys { session, packages } = keys;
    turn.out.push(Output::Wish(Wish::UseKeys { peer: sender.peer, session, packages }));
    Ok(())
}

fn back_came(turn: &mut Turn<'_>, sender: Sender, contact: Option<Contact>, back: Back) -> Result<(), Ignored> {
    contact.filter(is_together).ok_or(Ignored::Stranger)?;
    let Sender { peer, minutes } = sender;
    turn.out.push(Output::Wish(Wish::LetBack { peer, back, sent_minutes: minutes }));
    Ok(())
}

fn is_together(contact: &Contact) -> bool {
    matches!(contact.stage, Stage::Together { .. })
}

/// Whether a letter can have been written when it says, by a clock that is at most an hour off.
pub(in crate::session) fn check_clock(now: Time, sent_minutes: u32) -> Result<(), Ignored> {
    let now_minutes = minutes_of(now);
    let (ahead, age) = (sent_minutes.saturating_sub(now_minutes), now_minutes.saturating_sub(sent_minutes));
    if ahead > CLOCK_MINUTES {
        Err(Ignored::Ahead { minutes: ahead })
    } else if age > WAY_MINUTES + CLOCK_MINUTES {
        Err(Ignored::TooOld { minutes: age })
    } else {
        Ok(())
    }
}
