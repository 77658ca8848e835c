//! What a cell's body holds once it is opened: a fragment header of 12 bytes, then a piece of a message.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 4 | message: random, the same in all its fragments |
//! | 4 | 2 | index of this fragment |
//! | 6 | 2 | count of fragments |
//! | 8 | 2 | bytes used of what follows |
//! | 10 | 2 | kind: 0 = plain; others come with sessions |
//! | 12 | | the piece, then zeros |

use crate::codec::Reader;
use crate::crypto::BODY_OVERHEAD;
use crate::wire::SizeClass;

const FRAGMENT_HEADER_LENGTH: usize = 12;

/// The longest message that fits one cell of this class: 1,688 or 16,024 bytes.
pub(super) fn message_length_max(size_class: SizeClass) -> usize {
    size_class.body_length() - BODY_OVERHEAD - FRAGMENT_HEADER_LENGTH
}

/// The smallest class one cell of which holds a message of this length.
pub(super) fn size_class_for(length: usize) -> Option<SizeClass> {
    [SizeClass::T, SizeClass::B].into_iter().find(|class| length <= message_length_max(*class))
}

/// The plaintext of a cell that holds the whole message; `None` if it does not fit.
pub(super) fn pack(message: &[u8], size_class: SizeClass, number: u32) -> Option<Vec<u8>> {
    if message.len() > message_length_max(size_class) {
        return None;
    }
    let mut plaintext = Vec::with_capacity(size_class.body_length() - BODY_OVERHEAD);
    plaintext.extend_from_slice(&number.to_be_bytes());
    plaintext.extend_from_slice(&0u16.to_be_bytes());
    plaintext.extend_from_slice(&1u16.to_be_bytes());
    plaintext.extend_from_slice(&u16::try_from(message.len()).ok()?.to_be_bytes());
    plaintext.extend_from_slice(&0u16.to_be_bytes());
    plaintext.extend_from_slice(message);
    plaintext.resize(size_class.body_length() - BODY_OVERHEAD, 0);
    Some(plaintext)
}

/// The message in an opened plaintext; `None` for what we do not understand or what is not made as described.
pub(super) fn unpack(plaintext: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(plaintext);
    let _message = reader.u32().ok()?;
    let (index, count) = (reader.u16().ok()?, reader.u16().ok()?);
    let used = usize::from(reader.u16().ok()?);
    let kind = reader.u16().ok()?;
    if (index, count, kind) != (0, 1, 0) {
        return None;
    }
    let message = reader.bytes(used).ok()?.to_vec();
    reader.zeros(reader.remaining()).ok()?;
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_as_documented() {
        assert_eq!((message_length_max(SizeClass::T), message_length_max(SizeClass::B)), (1_688, 16_024));
        assert_eq!(size_class_for(1_688), Some(SizeClass::T));
        assert_eq!(size_class_for(1_689), Some(SizeClass::B));
        assert_eq!(size_class_for(16_025), None);
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(message in prop::collection::vec(any::<u8>(), 0..1_689), number: u32) {
            let plaintext = pack(&message, SizeClass::T, number).unwrap();
            prop_assert_eq!(unpack(&plaintext), Some(message));
        }

        #[test]
        fn arbitrary_plaintexts_never_panic(plaintext: Vec<u8>) {
            let _ = unpack(&plaintext);
        }
    }
}
