//! Sending letters, and sending them again until they are answered.

use mainframe_base::{IdentityKey, Time};

use super::letters::{About, Accept, Decline, Hello, Welcome};
use super::ports::{Fact, Output, Turn, Wish};
use super::row::{Contact, Ending, Retry, Stage};
use super::{Contacts, DAY_MS, HOUR_MS, MINUTE_MS, Whose};
use crate::crypto::{LetterKind, Recipient};
use crate::jitter::jittered;

/// Until the first repetition. Cells are held for days, so a letter is rarely lost; the wait doubles each time (guess).
const RETRY_FIRST_MS: u64 = 10 * MINUTE_MS;
/// The longest wait: below the 73 hours for which a greeting is remembered, so that one who declined goes on remembering.
const RETRY_MAX_MS: u64 = 24 * HOUR_MS;
/// How long a letter is sent again: some twenty times in all.
const GIVE_UP_MS: u64 = 14 * DAY_MS;
/// A repeated letter is answered again only after this: copies of one cell arrive within it, and nobody gets more out of us
/// than he puts in.
const ANSWER_AGAIN_MS: u64 = MINUTE_MS;

impl Retry {
    /// For a letter that is sent now.
    pub(super) fn begin(turn: &mut Turn<'_>) -> Retry {
        let mut retry = Retry { tries: 0, next: None, until: turn.now + GIVE_UP_MS };
        retry.sent(turn);
        retry
    }

    fn sent(&mut self, turn: &mut Turn<'_>) {
        let wait_ms = (RETRY_FIRST_MS << self.tries.min(16)).min(RETRY_MAX_MS);
        self.tries = self.tries.saturating_add(1);
        self.next = Some(turn.now + jittered(wait_ms, turn.rng.next_u64()));
    }
}

impl Contacts {
    pub(super) fn send(turn: &mut Turn<'_>, to: Option<Recipient>, kind: LetterKind, body: Vec<u8>) {
        // Nothing is known of where to write to somebody whose invitation was a stub that is not used any more.
        turn.out.extend(to.map(|to| Output::Wish(Wish::SealAndSend { to, kind, body })));
    }

    /// Sends what is to be said to a contact at its stage, if something is.
    pub(super) fn send_current(&self, turn: &mut Turn<'_>, contact: &Contact) {
        if let Some((kind, body)) = self.current_letter(contact) {
            Contacts::send(turn, contact.recipient(), kind, body);
        }
    }

    fn current_letter(&self, contact: &Contact) -> Option<(LetterKind, Vec<u8>)> {
        match &contact.stage {
            Stage::Saying { hello, text, .. } => {
                let hello = Hello { id: *hello, text: text.clone(), card: self.card.clone() };
                Some((LetterKind::Hello, hello.encode()))
            }
            Stage::Accepted { hello, packages, .. } => {
                let accept = Accept { hello: *hello, packages: packages.clone(), card: self.card.clone() };
                Some((LetterKind::Accept, accept.encode()))
            }
            Stage::Welcoming { hello, session, welcome, tree, .. } => {
                let (about, session) = (About::Hello(*hello), *session);
                let (welcome, tree) = (welcome.clone(), tree.clone());
                let welcome = Welcome { about, session, welcome, tree, start: Vec::new() };
                Some((LetterKind::Welcome, welcome.encode()))
            }
            Stage::Ended { hello, ending: Ending::ByUs | Ending::Failed } => {
                Some((LetterKind::Decline, Decline { hello: *hello }.encode()))
            }
            Stage::Known
            | Stage::Asked { .. }
            | Stage::Accepting { .. }
            | Stage::Starting { .. }
            | Stage::Joining { .. }
            | Stage::Together { .. }
            | Stage::Ended { .. } => None,
        }
    }

    /// Whether a repeated letter of this contact may be answered again; if so, it counts as answered.
    pub(super) fn may_answer(turn: &Turn<'_>, contact: &mut Contact) -> bool {
        let may = contact.answered == Time(0) || turn.now.since_ms(contact.answered) >= ANSWER_AGAIN_MS;
        if may {
            contact.answered = turn.now;
        }
        may
    }

    /// Answers a letter that came again as it was answered before. Somebody is there, so what was given up goes on.
    pub(super) fn answer_again(&self, turn: &mut Turn<'_>, contact: &mut Contact) {
        if !Contacts::may_answer(turn, contact) {
            return;
        }
        self.send_current(turn, contact);
        if let Some(retry) = contact.stage.retry_mut().filter(|retry| retry.next.is_none()) {
            *retry = Retry::begin(turn);
        }
    }

    pub(super) fn wake(&mut self, turn: &mut Turn<'_>) {
        while let Some(peer) = self.retries.due(turn.now) {
            let mut contact = Contact::load(turn.tx, &self.me, &peer).expect("what is due is kept");
            self.try_again(turn, peer, &mut contact);
            self.save(turn, peer, &contact);
        }
        self.forget_hellos(turn);
    }

    fn try_again(&self, turn: &mut Turn<'_>, peer: IdentityKey, contact: &mut Contact) {
        let retry = contact.stage.retry_mut().expect("only stages with a retry are due");
        if turn.now < retry.until {
            retry.sent(turn);
            self.send_current(turn, contact);
        } else {
            retry.next = None;
            turn.out.push(Output::Fact(Fact::GaveUp(peer)));
        }
    }

    /// Forgets greetings that cannot be replayed any more, and with them those who only asked, and were declined.
    pub(super) fn forget_hellos(&mut self, turn: &mut Turn<'_>) {
        while let Some((hello, what)) = self.hellos.forget_one(turn.tx, turn.now) {
            let contact = Contact::load(turn.tx, &self.me, &what.peer);
            let is_over = |contact: &Contact| {
                let ended = matches!(contact.stage, Stage::Ended { hello: ended, .. } if ended == hello);
                ended && !contact.chosen && !contact.blocked
            };
            if what.whose == Whose::Done && contact.as_ref().is_some_and(is_over) {
                self.delete(turn, what.peer);
            }
        }
    }
}
