//! What devices of one person tell each other about contacts.

use mainframe_base::IdentityKey;

use super::ports::{Fact, Output, Turn};
use super::row::{Contact, Stage};
use super::steps::check_card;
use super::{AccountContact, CONTACTS_MAX, Contacts, rows_of};
use crate::store::{Table, Tx};

impl Contacts {
    /// All whom the user chose, as another device of the person gets to know them. Requests are not among them: they are
    /// answered on one device.
    pub fn told(&self, tx: &dyn Tx) -> Vec<AccountContact> {
        let peers = rows_of(tx, Table::Contacts, &self.me.0);
        let peers = peers.iter().filter_map(|(key, _)| key.last_chunk().copied().map(IdentityKey));
        peers.filter_map(|peer| self.told_of(tx, &peer)).take(CONTACTS_MAX).collect()
    }

    /// One of them.
    pub fn told_of(&self, tx: &dyn Tx, peer: &IdentityKey) -> Option<AccountContact> {
        let contact = Contact::load(tx, &self.me, peer).filter(|contact| contact.chosen || contact.blocked)?;
        let shared = if let Stage::Together { hello, session } = contact.stage { Some((hello, session)) } else { None };
        Some(AccountContact { peer: *peer, blocked: contact.blocked, card: contact.card, shared })
    }

    /// Another device of the person tells of a contact. What is known better here stays; a session that is shared there ends
    /// what was under way here.
    pub fn learn(&mut self, turn: &mut Turn<'_>, told: AccountContact) {
        let AccountContact { peer, blocked, card, shared } = told;
        let known = Contact::load(turn.tx, &self.me, &peer);
        let is_new = known.is_none();
        if peer == self.me || is_new && self.contacts >= CONTACTS_MAX {
            return;
        }
        let mut contact = known.unwrap_or_else(|| Contact::new(None, turn.now));
        if let Some(card) = card.filter(|card| check_card(turn.now, &peer, card).is_ok()) {
            Contacts::learn_card(turn, &mut contact, card);
        }
        contact.chosen = true;
        contact.blocked |= is_new && blocked;
        match shared {
            Some((hello, session)) if !matches!(contact.stage, Stage::Together { .. }) => {
                if let Some(before) = contact.stage.hello().filter(|_| matches!(contact.stage, Stage::Asked { .. })) {
                    self.close(turn, peer, before);
                }
                self.enter(turn, peer, &mut contact, Stage::Together { hello, session });
                turn.out.push(Output::Fact(Fact::Together(peer, session)));
            }
            Some(_) | None => self.save(turn, peer, &contact),
        }
        self.forget_hellos(turn);
    }
}
