//! Which greetings are done with, so that none counts twice; and which are ours, so that nobody accepts what was not said.

use mainframe_base::{Fault, IdentityKey, Time};

use super::agenda::Agenda;
use super::letters::{HelloId, whole};
use super::rows_of;
use crate::store::{Table, Tx};

/// Greetings kept in mind, of everyone. When there are more, those that are forgotten first anyway go: a greeting replayed
/// after that is at worst a request once more. At 100 bytes each this is 400 kB.
pub(super) const HELLOS_MAX: usize = 4_096;

/// What is remembered of a greeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Remembered {
    pub(super) peer: IdentityKey,
    pub(super) whose: Whose,
}

/// Whose greeting, and how it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// We said it, and whoever was greeted may accept.
    Ours,
    /// We said it and took it back.
    Withdrawn,
    /// The peer said it, and it was answered or came to nothing.
    Done,
}

/// The greetings in mind.
#[derive(Debug)]
pub(super) struct Hellos {
    me: IdentityKey,
    until: Agenda<HelloId>,
}

impl Hellos {
    pub(super) fn load(me: IdentityKey, tx: &dyn Tx) -> Hellos {
        let mut until = Agenda::new();
        for (key, row) in rows_of(tx, Table::Hellos, &me.0) {
            let id = key.last_chunk().expect("a key ends in the greeting's name");
            let (_, moment) = decode(&row).expect("our own rows are readable");
            until.set(HelloId(*id), Some(moment));
        }
        Hellos { me, until }
    }

    pub(super) fn get(&self, tx: &dyn Tx, hello: HelloId) -> Option<Remembered> {
        let row = tx.get(Table::Hellos, &self.key(hello))?;
        Some(decode(&row).expect("our own rows are readable").0)
    }

    /// Remembers until the later of `until` and what was said before.
    pub(super) fn remember(&mut self, tx: &mut dyn Tx, hello: HelloId, what: Remembered, until: Time) {
        let before =
            tx.get(Table::Hellos, &self.key(hello)).map(|row| decode(&row).expect("our own rows are readable").1);
        let until = before.map_or(until, |before| before.max(until));
        tx.put(Table::Hellos, &self.key(hello), &encode(what, until));
        self.until.set(hello, Some(until));
    }

    /// Forgets one that is due, or one too many, and says which.
    pub(super) fn forget_one(&mut self, tx: &mut dyn Tx, now: Time) -> Option<(HelloId, Remembered)> {
        let hello = self.until.due_or_surplus(now, HELLOS_MAX)?;
        let what = self.get(tx, hello);
        self.until.set(hello, None);
        tx.delete(Table::Hellos, &self.key(hello));
        what.map(|what| (hello, what))
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        self.until.first().map(|(moment, _)| moment)
    }

    pub(super) fn len(&self) -> usize {
        self.until.len()
    }

    fn key(&self, hello: HelloId) -> Vec<u8> {
        [&self.me.0[..], &hello.0].concat()
    }
}

fn encode(what: Remembered, until: Time) -> Vec<u8> {
    [&what.peer.0[..], &[what.whose as u8], &until.0.to_be_bytes()].concat()
}

fn decode(row: &[u8]) -> Result<(Remembered, Time), Fault> {
    whole(row, |reader| {
        let peer = IdentityKey(reader.array()?);
        let all = [Whose::Ours, Whose::Withdrawn, Whose::Done];
        let whose = all.get(usize::from(reader.u8()?)).copied().ok_or(Fault::Impossible)?;
        Ok((Remembered { peer, whose }, Time(reader.u64()?)))
    })
}
