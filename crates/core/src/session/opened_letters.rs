//! Which letters were opened, so that one that is played again is not even answered: whoever recorded its cells would
//! learn from the answer whom they are for.
//!
//! Who sends a letter again seals it anew, and is answered.

use mainframe_base::{IdentityKey, Time};

use super::contact::{Agenda, LETTER_GOOD_MS};
use super::rows_of;
use crate::store::{Table, Tx};

/// Letters kept in mind. When there are more, those go that are too old first anyway: played again, they are answered once
/// more, at most once a minute. At 56 bytes each this is 230 kB (guess: more than strangers write in three days).
const LETTERS_MAX: usize = 4_096;

/// The first bytes of a letter's hash.
type LetterName = [u8; 16];

/// The letters of one person that were opened and could be played again.
pub(super) struct OpenedLetters {
    person: IdentityKey,
    until: Agenda<LetterName>,
}

impl OpenedLetters {
    /// Those that are kept.
    pub(super) fn load(person: IdentityKey, tx: &dyn Tx) -> OpenedLetters {
        let mut until = Agenda::new();
        for (key, row) in rows_of(tx, Table::Letters, &person.0) {
            let name = *key.last_chunk().expect("a key ends in the letter's name");
            let moment = u64::from_be_bytes(row.try_into().expect("our own rows are readable"));
            until.set(name, Some(Time(moment)));
        }
        OpenedLetters { person, until }
    }

    /// Whether a letter, as it came, is opened for the first time; it is kept in mind.
    pub(super) fn is_first(&mut self, now: Time, tx: &mut dyn Tx, letter: &[u8]) -> bool {
        let name: LetterName = *blake3::hash(letter).as_bytes().first_chunk().expect("16 of 32");
        if tx.get(Table::Letters, &self.key(&name)).is_some() {
            return false;
        }
        let until = now + LETTER_GOOD_MS;
        tx.put(Table::Letters, &self.key(&name), &until.0.to_be_bytes());
        self.until.set(name, Some(until));
        self.forget(now, tx);
        true
    }

    fn forget(&mut self, now: Time, tx: &mut dyn Tx) {
        while let Some(name) = self.until.due_or_surplus(now, LETTERS_MAX) {
            tx.delete(Table::Letters, &self.key(&name));
            self.until.set(name, None);
        }
    }

    fn key(&self, name: &LetterName) -> Vec<u8> {
        [&self.person.0[..], name].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn a_letter_counts_once_as_long_as_it_is_good_and_also_after_a_restart() {
        let (me, mut tx) = (IdentityKey([1; 32]), MemoryStore::default());
        let mut letters = OpenedLetters::load(me, &tx);
        assert!(letters.is_first(Time(0), &mut tx, b"a letter"));
        assert!(!letters.is_first(Time(1), &mut tx, b"a letter"));
        assert!(letters.is_first(Time(1), &mut tx, b"another"));
        let mut letters = OpenedLetters::load(me, &tx);
        assert!(!letters.is_first(Time(LETTER_GOOD_MS - 1), &mut tx, b"a letter"));
        assert!(letters.is_first(Time(LETTER_GOOD_MS + 1), &mut tx, b"a third one"));
        assert_eq!(letters.until.len(), 1, "the others are too old to be believed");
    }

    #[test]
    fn of_too_many_letters_the_oldest_are_forgotten() {
        let (me, mut tx) = (IdentityKey([1; 32]), MemoryStore::default());
        let mut letters = OpenedLetters::load(me, &tx);
        let all = (0..=LETTERS_MAX as u64).collect::<Vec<_>>();
        assert!(all.iter().all(|at| letters.is_first(Time(*at), &mut tx, &at.to_be_bytes())));
        assert_eq!(letters.until.len(), LETTERS_MAX);
        assert!(!letters.is_first(Time(5_000), &mut tx, &1_u64.to_be_bytes()));
        assert!(letters.is_first(Time(5_000), &mut tx, &0_u64.to_be_bytes()));
    }
}
