//! What two people compare, by voice or side by side, to be sure that nobody stands between them.

use std::fmt;

use mainframe_base::IdentityKey;

const CONTEXT: &str = "mainframe 2026 safety number";

/// Groups of five digits in a safety number. Twelve are 199 bits: who stands between two people chooses both keys he
/// shows them, so he looks for a collision, and half of the bits count.
const GROUPS: usize = 12;

/// The number two people share. It is the same on both sides, and another one if somebody stands between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SafetyNumber {
    groups: [[u8; 5]; GROUPS],
}

impl SafetyNumber {
    /// The number of two people, in whichever order.
    pub fn of(one: &IdentityKey, other: &IdentityKey) -> SafetyNumber {
        let (lower, higher) = if one <= other { (one, other) } else { (other, one) };
        let mut reader = blake3::Hasher::new_derive_key(CONTEXT).update(&lower.0).update(&higher.0).finalize_xof();
        let mut groups = [[0; 5]; GROUPS];
        groups.iter_mut().for_each(|group| reader.fill(group));
        SafetyNumber { groups }
    }

    /// Twelve words of five letters, which are easier to say: consonant and vowel in turn (proquints: Wilkerson,
    /// "A proposal for proquints", 2009). They are made of the same bytes as the digits, 192 bits of them.
    pub fn words(&self) -> String {
        let words: Vec<String> =
            self.groups.iter().map(|group| word(u16::from_be_bytes([group[0], group[1]]))).collect();
        words.join(" ")
    }
}

/// Twelve groups of five digits.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.groups.iter().enumerate() {
            let value = group.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            write!(f, "{}{:05}", if number == 0 { "" } else { " " }, value % 100_000)?;
        }
        Ok(())
    }
}

/// Sixteen bits as a word: four, two, four, two, four bits from the top.
fn word(value: u16) -> String {
    let consonant = |shift: u32| char::from(b"bdfghjklmnprstvz"[usize::from(value >> shift & 0xF)]);
    let vowel = |shift: u32| char::from(b"aiou"[usize::from(value >> shift & 0b11)]);
    [consonant(12), vowel(10), consonant(6), vowel(4), consonant(0)].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_read_the_same_and_no_third_does() {
        let (ada, bob, eve) = (IdentityKey([1; 32]), IdentityKey([2; 32]), IdentityKey([3; 32]));
        let number = SafetyNumber::of(&ada, &bob);
        assert_eq!(number, SafetyNumber::of(&bob, &ada));
        assert_ne!(number.to_string(), SafetyNumber::of(&ada, &eve).to_string());
        assert_ne!(number.words(), SafetyNumber::of(&ada, &eve).words());
    }

    #[test]
    fn a_number_is_twelve_groups_of_five() {
        let number = SafetyNumber::of(&IdentityKey([1; 32]), &IdentityKey([2; 32]));
        for text in [number.to_string(), number.words()] {
            assert_eq!(text.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12], "{text}");
        }
    }

    /// 127.0.0.1, as in the proposal.
    #[test]
    fn words_are_proquints() {
        assert_eq!((word(0x7F00), word(0x0001)), ("lusab".to_owned(), "babad".to_owned()));
    }
}
