//! Our own invitations: what was promised to whoever has the secret, and how often it was used.

use mainframe_base::{Fault, IdentityKey, Time};
use zeroize::Zeroizing;

use super::letters::whole;
use super::ports::{NotDone, Standing};
use super::rows_of;
use crate::crypto::{InvitationId, InvitationSecret, hours_of};
use crate::store::{Table, Tx};

/// Invitations of one person at a time (guess).
pub(super) const INVITATIONS_MAX: usize = 64;

/// Hours for which an expired invitation is kept, so that letters under way can be opened: as long as cells are held,
/// an hour of clocks, and some.
const KEPT_HOURS: u32 = 80;

/// What an inviter says of an invitation, to himself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Whether it is for one person, or for all who have it.
    pub once: bool,
    /// Whether who has it is accepted without asking the user.
    pub accept_at_once: bool,
    /// From when on it is worth nothing, in hours since 1970.
    pub expires_hours: u32,
}

/// An invitation of ours, without its secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvitationView {
    /// Its name.
    pub id: InvitationId,
    /// What was promised.
    pub terms: Terms,
    /// How many people used it.
    pub used: u32,
}

struct Row {
    secret: InvitationSecret,
    terms: Terms,
    used: u32,
}

/// Keeps a new invitation.
pub(super) fn keep(
    tx: &mut dyn Tx,
    me: &IdentityKey,
    secret: &InvitationSecret,
    terms: Terms,
    now: Time,
) -> Result<(), NotDone> {
    forget_expired(tx, me, now);
    if terms.expires_hours <= hours_of(now) {
        return Err(NotDone::InvitationExpired);
    }
    if rows_of(tx, Table::Invitations, &me.0).len() >= INVITATIONS_MAX {
        return Err(NotDone::Full);
    }
    Row { secret: secret.clone(), terms, used: 0 }.store(tx, me);
    Ok(())
}

/// Takes an invitation back: nobody is let in by it any more, and what was sealed under it is not even opened.
pub(super) fn withdraw(tx: &mut dyn Tx, me: &IdentityKey, id: InvitationId) {
    tx.delete(Table::Invitations, &key(me, id));
}

/// The secret of an invitation.
pub(super) fn secret_of(tx: &dyn Tx, me: &IdentityKey, id: InvitationId) -> Option<InvitationSecret> {
    Row::load(tx, me, id).map(|row| row.secret)
}

/// How an invitation stands for somebody who wrote at this hour, counted as used if it holds; and whether he is accepted at
/// once. None if there is no such invitation.
pub(super) fn using(tx: &mut dyn Tx, me: &IdentityKey, id: InvitationId, hours: u32) -> Option<(Standing, bool)> {
    let mut row = Row::load(tx, me, id)?;
    if hours >= row.terms.expires_hours {
        return Some((Standing::Expired, false));
    }
    if row.terms.once && row.used > 0 {
        return Some((Standing::UsedUp, false));
    }
    row.used = row.used.saturating_add(1);
    row.store(tx, me);
    Some((Standing::Valid, row.terms.accept_at_once))
}

/// All of them.
pub(super) fn views(tx: &dyn Tx, me: &IdentityKey) -> Vec<InvitationView> {
    let rows = rows_of(tx, Table::Invitations, &me.0).into_iter();
    rows.map(|(_, row)| Row::decode(&Zeroizing::new(row)))
        .map(|row| InvitationView { id: row.secret.id(), terms: row.terms, used: row.used })
        .collect()
}

fn forget_expired(tx: &mut dyn Tx, me: &IdentityKey, now: Time) {
    for view in views(tx, me) {
        if view.terms.expires_hours.saturating_add(KEPT_HOURS) <= hours_of(now) {
            withdraw(tx, me, view.id);
        }
    }
}

fn key(me: &IdentityKey, id: InvitationId) -> Vec<u8> {
    [&me.0[..], &id.0].concat()
}

impl Row {
    fn load(tx: &dyn Tx, me: &IdentityKey, id: InvitationId) -> Option<Row> {
        tx.get(Table::Invitations, &key(me, id)).map(|row| Row::decode(&Zeroizing::new(row)))
    }

    fn store(&self, tx: &mut dyn Tx, me: &IdentityKey) {
        let mut row = Zeroizing::new(self.secret.expose().to_vec());
        row.push(u8::from(self.terms.once) | u8::from(self.terms.accept_at_once) << 1);
        row.extend_from_slice(&self.terms.expires_hours.to_be_bytes());
        row.extend_from_slice(&self.used.to_be_bytes());
        tx.put(Table::Invitations, &key(me, self.secret.id()), &row);
    }

    fn decode(row: &[u8]) -> Row {
        let read = whole(row, |reader| {
            let (secret, flags) = (InvitationSecret::from_bytes(reader.array()?), reader.u8()?);
            let terms =
                Terms { once: flags & 0b1 != 0, accept_at_once: flags & 0b10 != 0, expires_hours: reader.u32()? };
            Ok::<_, Fault>(Row { secret, terms, used: reader.u32()? })
        });
        read.expect("our own rows are readable")
    }
}
