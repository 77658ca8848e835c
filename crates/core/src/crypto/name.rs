//! What people call themselves and their devices.

use std::fmt;

use mainframe_base::Fault;

use crate::codec::Reader;

/// A name as others read it: at most 64 bytes of UTF-8, and nothing that moves or hides what stands around it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Name(String);

impl Name {
    /// The longest name, in bytes of UTF-8.
    pub const LENGTH_MAX: usize = 64;

    /// The name, if it is one.
    pub fn new(text: &str) -> Option<Name> {
        let fits = text.len() <= Name::LENGTH_MAX && !text.chars().any(is_treacherous);
        fits.then(|| Name(text.to_owned()))
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the length as one byte, then the text.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).expect("checked when it was made"));
        out.extend_from_slice(self.0.as_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Name, Fault> {
        let length = usize::from(reader.u8()?);
        if length > Name::LENGTH_MAX {
            return Err(Fault::Oversized);
        }
        let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| Fault::Impossible)?;
        Name::new(text).ok_or(Fault::Impossible)
    }
}

/// Control characters, and those that turn the direction of writing (Unicode TR 36 §2.7).
pub(crate) fn is_treacherous(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_turn_or_break_the_text_around_it() {
        assert_eq!(Name::new("李雷 🦅").unwrap().as_str(), "李雷 🦅");
        for text in ["two\nlines", "evil\u{202E}txt.exe", "\u{2066}", "\u{7F}"] {
            assert_eq!(Name::new(text), None, "{text:?}");
        }
        assert_eq!(Name::new(&"a".repeat(65)), None);
    }
}
