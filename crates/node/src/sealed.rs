//! Contents sealed with XChaCha20-Poly1305, and a header that is bound to them: one JSON object.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use mainframe_base::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::files;

/// A header, and contents that open only together with it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed<H> {
    pub(crate) header: H,
    contents: String,
}

impl<H: Serialize> Sealed<H> {
    /// Seals contents under a key and a nonce that never served before.
    pub(crate) fn seal(header: H, key: &Secret<32>, nonce: &[u8; 24], contents: &[u8]) -> Sealed<H> {
        let payload = Payload { msg: contents, aad: &files::json(&header) };
        let sealed = cipher(key).encrypt(nonce.into(), payload).expect("contents are far below 256 GiB");
        Sealed { header, contents: hex::encode(sealed) }
    }

    /// The sealed contents; nothing if they are no hexadecimal digits.
    pub(crate) fn ciphertext(&self) -> Option<Vec<u8>> {
        hex::decode(&self.contents).ok()
    }

    /// Opens them; nothing if the key is another one, or something was changed.
    pub(crate) fn open(&self, key: &Secret<32>, nonce: &[u8; 24], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload { msg: ciphertext, aad: &files::json(&self.header) };
        cipher(key).decrypt(nonce.into(), payload).map(Zeroizing::new).ok()
    }
}

fn cipher(key: &Secret<32>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

/// The bytes of so many hexadecimal digits.
pub(crate) fn array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    hex::decode(digits).ok()?.try_into().ok()
}
