//! A topic's key as text. It is a secret, so writing it down has a name of its own.

use mainframe_base::TopicKey;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::random_secret;

const SCHEME: &str = "mft:";

/// Draws a new topic key.
pub fn generate_topic_key(rng: &mut impl CryptoRng) -> TopicKey {
    TopicKey(*random_secret(rng).expose())
}

/// Why a text is no topic key. The text itself is never repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseTopicKeyError {
    /// It does not begin with `mft:`.
    #[error("a topic key begins with `mft:`; copy the whole of it, from `mft:` to the end")]
    Scheme,
    /// What follows `mft:` is not 64 hexadecimal digits.
    #[error("a topic key has 64 hexadecimal digits after `mft:`; part of it may be missing, copy it again")]
    Key,
}

/// Reads `mft:` and 64 hexadecimal digits.
///
/// # Errors
/// See [`ParseTopicKeyError`].
pub fn parse_topic_key(text: &str) -> Result<TopicKey, ParseTopicKeyError> {
    let digits = text.strip_prefix(SCHEME).ok_or(ParseTopicKeyError::Scheme)?;
    let mut key = TopicKey([0; 32]);
    hex::decode_to_slice(digits, &mut key.0).map_err(|_| ParseTopicKeyError::Key)?;
    Ok(key)
}

/// The key as text, for those who shall read and write the topic. Whoever sees it can.
pub fn reveal_topic_key(key: &TopicKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{SCHEME}{}", *Zeroizing::new(hex::encode(key.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text() {
        let key = TopicKey([0x5A; 32]);
        assert_eq!(parse_topic_key(&reveal_topic_key(&key)).unwrap(), key);
        assert_eq!(parse_topic_key("5a5a"), Err(ParseTopicKeyError::Scheme));
        assert_eq!(parse_topic_key("mft:5a5a"), Err(ParseTopicKeyError::Key));
    }
}
