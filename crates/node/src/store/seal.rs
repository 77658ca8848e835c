//! Rows as they lie on the disk: each value sealed by itself, bound to its table and its key.
//!
//! What is sealed is what rows say. Their keys lie open, for they are searched and ordered: whoever has the disk sees how
//! many rows there are, of which sessions and contacts by their public names, and how long they are.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use mainframe_base::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::random;

/// Bytes of a nonce: so long that random ones never meet.
const NONCE_LENGTH: usize = 24;

/// Seals and opens rows.
pub(super) struct RowSeal {
    cipher: XChaCha20Poly1305,
    rng: ChaCha20Rng,
}

impl RowSeal {
    /// A seal with the key of a store.
    pub(super) fn new(key: &Secret<32>) -> RowSeal {
        RowSeal { cipher: XChaCha20Poly1305::new(key.expose().into()), rng: random::generator() }
    }

    /// The value as it lies on the disk: a nonce, then the sealed bytes.
    pub(super) fn seal(&mut self, table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LENGTH];
        self.rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: value, aad: &place(table, key) };
        let sealed = self.cipher.encrypt(&nonce.into(), payload).expect("values are far below 256 GiB");
        [&nonce[..], &sealed].concat()
    }

    /// The value; `None` if it was not sealed with this key at this place.
    pub(super) fn open(&self, table: &str, key: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        self.cipher.decrypt(&(*nonce).into(), Payload { msg: sealed, aad: &place(table, key) }).ok()
    }
}

/// What a value is bound to. No table's name begins with another's and a zero.
fn place(table: &str, key: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
        let mut seal = RowSeal::new(&Secret::new([1; 32]));
        let sealed = seal.seal("inbox", b"key", b"hello");
        assert_eq!(seal.open("inbox", b"key", &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(seal.open("opened", b"key", &sealed), None);
        assert_eq!(seal.open("inbox", b"other", &sealed), None);
        assert_eq!(RowSeal::new(&Secret::new([2; 32])).open("inbox", b"key", &sealed), None);
        assert_ne!(seal.seal("inbox", b"key", b"hello"), sealed, "no nonce comes twice");
    }

    proptest! {
        #[test]
        fn no_bit_can_be_changed_and_no_noise_opens(value: Vec<u8>, at: prop::sample::Index, noise: Vec<u8>) {
            let mut seal = RowSeal::new(&Secret::new([1; 32]));
            let mut sealed = seal.seal("inbox", b"", &value);
            sealed[at.index(value.len() + 40)] ^= 1;
            prop_assert_eq!(seal.open("inbox", b"", &sealed), None);
            prop_assert_eq!(seal.open("inbox", b"", &noise), None);
        }
    }
}
