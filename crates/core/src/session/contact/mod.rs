//! First contact: how two people who have never talked come to share a session.
//!
//! One [`Contacts`] for each person: who is known, who has asked, which invitations are out. It decides which letter
//! follows from which; others seal letters and cut them into cells, and make and join sessions. It sees neither keys nor
//! cells nor MLS, whose KeyPackages and Welcomes are bytes to it.
//!
//! ```text
//! Ada: Saying ──HELLO──► Bob: Asked ─(accepts)─ Accepting ─(keys)─ Accepted
//! Ada: Starting ◄──ACCEPT── Bob
//! Ada: Welcoming ──WELCOME──► Bob: Joining ─ Together ──a word in the session──► Ada: Together
//! ```
//!
//! Every letter is sent again, sealed anew, until the next one answers it; each is ignored the second time, or answered as
//! the first time. Rules and reasons: docs/protocol/session.md §2.
//!
//! - `letters`: what stands in them
//! - `orders`: what the user wants
//! - `arriving`, `steps`: what follows from letters, and from what was wished for
//! - `sending`: sending and sending again
//! - `row`, `hellos`, `invitations`: what is kept
//! - `account`, `sharing`: what a new device of the same person is given, and what devices of one person tell each other

mod account;
mod agenda;
mod arriving;
mod hellos;
mod invitations;
mod letters;
mod orders;
mod ports;
mod row;
mod sending;
mod sharing;
mod steps;
#[cfg(test)]
mod tests;

use mainframe_base::{Held, IdentityKey, SessionId, Time};

pub use account::{Account, AccountContact, AccountSession, Belongings, DEVICES_MAX, DOORS_MAX, SESSIONS_MAX};
pub(super) use agenda::Agenda;
pub(super) use arriving::check_clock;
use hellos::{HELLOS_MAX, Hellos, Remembered, Whose};
pub use invitations::{InvitationView, Terms};
pub use letters::{
    About, Accept, Back, Decline, Hello, HelloId, KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGES_MAX, Keys, KeysWanted, Moved,
    START_LENGTH_MAX, TEXT_LENGTH_MAX, TREE_LENGTH_MAX, WELCOME_LENGTH_MAX, Welcome,
};
pub use orders::Whom;
pub use ports::{Fact, Ignored, Input, NotDone, Output, Standing, Turn, Wish};
pub use row::Ending;
use row::{Contact, Stage};

use super::rows_of;
use crate::crypto::{Card, InvitationId, InvitationSecret, hours_of};
use crate::store::{Table, Tx};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Clocks may differ by this (review P27: hold and some hours; the rest is for delivery).
pub(super) const CLOCK_MINUTES: u32 = 60;
/// Letters are held on their way for this long at most (docs/protocol/holding.md).
const WAY_MINUTES: u32 = 72 * 60;
/// How long a letter that came may still be believed, in milliseconds: it may have been sent an hour ahead of our clock.
pub(super) const LETTER_GOOD_MS: u64 = (WAY_MINUTES + 2 * CLOCK_MINUTES) as u64 * MINUTE_MS;

/// Contacts of one person (guess; at most 1.5 kB each when nothing is under way).
const CONTACTS_MAX: usize = 4_096;
/// Requests that wait for the user. At 2 kB each, a flood of them takes a megabyte, and pushes out the oldest.
const REQUESTS_MAX: usize = 512;

/// A person's contacts, requests and invitations.
///
/// What is kept in memory is which rows are due when; all else is in the store. After a transaction that failed, load anew.
#[derive(Debug)]
pub struct Contacts {
    me: IdentityKey,
    card: Card,
    contacts: usize,
    retries: Agenda<IdentityKey>,
    requests: Agenda<IdentityKey>,
    hellos: Hellos,
}

/// A contact as the user sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContactView {
    /// Who.
    pub peer: IdentityKey,
    /// His card, if more than a stub is known.
    pub card: Option<Card>,
    /// Whether nothing of him is listened to.
    pub blocked: bool,
    /// Since when it stands as it stands.
    pub since: Time,
    /// How it stands.
    pub standing: ContactStanding,
    /// Whether what we said is not sent again any more. An answer still counts.
    pub gave_up: bool,
}

/// How it stands with a contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContactStanding {
    /// Known, and no more.
    Known,
    /// We greeted.
    Greeted,
    /// He greeted, with this text.
    Asked(String),
    /// One accepted the other; a session is being made.
    Underway,
    /// We share this session.
    Together(SessionId),
    /// The greeting came to nothing.
    Ended(Ending),
}

impl Contacts {
    /// The contacts of the person of this card, as they are kept. Wishes that may not have been carried out are in
    /// `turn.out` again.
    pub fn load(card: Card, turn: &mut Turn<'_>) -> Contacts {
        let me = card.identity();
        let hellos = Hellos::load(me, turn.tx);
        let mut contacts = Contacts { me, card, contacts: 0, retries: Agenda::new(), requests: Agenda::new(), hellos };
        for (key, _) in rows_of(turn.tx, Table::Contacts, &me.0) {
            let peer = IdentityKey(*key.last_chunk().expect("a key ends in the peer's"));
            let contact = Contact::load(turn.tx, &me, &peer).expect("just read");
            contacts.contacts += 1;
            contacts.schedule(peer, Some(&contact));
            contacts.wish_again(turn, peer, &contact);
        }
        contacts
    }

    /// From now on this card is told to others. Contacts with whom we share a session are told in it, by others.
    pub fn set_card(&mut self, card: Card) {
        assert_eq!(card.identity(), self.me, "a person's cards are of one identity");
        self.card = card;
    }

    /// Takes in what happened.
    pub fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        match input {
            Input::LetterOpened(letter) => self.letter(turn, letter),
            Input::KeyPackagesMade { peer, about, packages } => self.key_packages_made(turn, peer, about, packages),
            Input::WelcomeMade { peer, about, session, welcome, tree, start } => {
                self.welcome_made(turn, peer, Welcome { about, session, welcome, tree, start });
            }
            Input::SessionJoined { peer, session } => self.session_joined(turn, peer, session),
            Input::SessionFailed { peer, hello } => self.session_failed(turn, peer, hello),
            Input::SessionHeard { peer, session } => self.session_heard(turn, peer, session),
            Input::CardTold(card) => self.card_told(turn, card),
            Input::MoveTold(moved) => self.moved(turn, moved),
            Input::KeysNeeded { peer, session } => self.keys_needed(turn, peer, session),
            Input::Wake => self.wake(turn),
        }
    }

    /// When [`Input::Wake`] is due.
    pub fn next_wake(&self) -> Option<Time> {
        [self.retries.first().map(|(moment, _)| moment), self.hellos.next_wake()].into_iter().flatten().min()
    }

    /// The secret of an invitation of ours, to open a letter that names it.
    pub fn secret_of(&self, tx: &dyn Tx, id: InvitationId) -> Option<InvitationSecret> {
        invitations::secret_of(tx, &self.me, id)
    }

    /// All invitations that are out.
    pub fn invitations(&self, tx: &dyn Tx) -> Vec<InvitationView> {
        invitations::views(tx, &self.me)
    }

    /// Whether somebody is not listened to any more.
    pub fn is_blocked(&self, tx: &dyn Tx, peer: &IdentityKey) -> bool {
        Contact::is_blocked(tx, &self.me, peer)
    }

    /// One contact.
    pub fn contact(&self, tx: &dyn Tx, peer: &IdentityKey) -> Option<ContactView> {
        let contact = Contact::load(tx, &self.me, peer)?;
        Some(ContactView {
            peer: *peer,
            blocked: contact.blocked,
            since: contact.since,
            gave_up: contact.stage.retry().is_some_and(|retry| retry.next.is_none()),
            standing: match contact.stage {
                Stage::Known => ContactStanding::Known,
                Stage::Saying { .. } => ContactStanding::Greeted,
                Stage::Asked { text, .. } => ContactStanding::Asked(text),
                Stage::Accepting { .. }
                | Stage::Accepted { .. }
                | Stage::Starting { .. }
                | Stage::Welcoming { .. }
                | Stage::Joining { .. } => ContactStanding::Underway,
                Stage::Together { session, .. } => ContactStanding::Together(session),
                Stage::Ended { ending, .. } => ContactStanding::Ended(ending),
            },
            card: contact.card,
        })
    }

    /// All contacts and requests, in the order of their keys, those after `after` if given.
    pub fn contacts(&self, tx: &dyn Tx, after: Option<&IdentityKey>, limit: usize) -> Vec<ContactView> {
        let after = after.map_or(self.me.0.to_vec(), |peer| row::key(&self.me, peer));
        let rows = tx.scan(Table::Contacts, Some(&after), limit).into_iter();
        rows.filter(|(key, _)| key.starts_with(&self.me.0))
            .filter_map(|(key, _)| self.contact(tx, &IdentityKey(*key.last_chunk()?)))
            .collect()
    }

    /// How much is kept that others can make grow.
    pub fn footprint(&self) -> [Held; 2] {
        [
            Held { name: "requests of strangers", now: self.requests.len(), bound: REQUESTS_MAX },
            Held { name: "greetings in mind", now: self.hellos.len(), bound: HELLOS_MAX },
        ]
    }

    /// Keeps a contact, and in mind when it is due.
    fn save(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, contact: &Contact) {
        if turn.tx.get(Table::Contacts, &row::key(&self.me, &peer)).is_none() {
            self.contacts += 1;
        }
        contact.store(turn.tx, &self.me, &peer);
        self.schedule(peer, Some(contact));
    }

    fn delete(&mut self, turn: &mut Turn<'_>, peer: IdentityKey) {
        turn.tx.delete(Table::Contacts, &row::key(&self.me, &peer));
        self.contacts = self.contacts.saturating_sub(1);
        self.schedule(peer, None);
    }

    fn schedule(&mut self, peer: IdentityKey, contact: Option<&Contact>) {
        let stage = contact.filter(|contact| !contact.blocked).map(|contact| (&contact.stage, contact.since));
        self.retries.set(peer, stage.and_then(|(stage, _)| stage.retry()?.next));
        let asked = stage.filter(|(stage, _)| matches!(stage, Stage::Asked { .. }));
        self.requests.set(peer, asked.map(|(_, since)| since));
    }
}
