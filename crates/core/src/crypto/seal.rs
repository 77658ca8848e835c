//! What goes into a cell: sealed for a person or a topic, random bytes for everyone else.
//!
//! Three fields of a cell come from here: the ephemeral key E, the tag by which the receiver recognises the cell,
//! and the body. Both ways of sealing give fields that cannot be told from each other or from noise
//! (docs/protocol/crypto.md §5). Suite 1: X25519, BLAKE3, ChaCha20-Poly1305.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use mainframe_base::{ScanKey, Secret, Tag, TopicKey};
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::elligator::{Ephemeral, agree, point_of};
use super::person::PersonKeys;

/// How many bytes a body is longer than its plaintext: the authentication tag in front.
pub const BODY_OVERHEAD: usize = 16;

const PERSON_TAG_CONTEXT: &str = "mainframe 2026 person tag";
const PERSON_BODY_CONTEXT: &str = "mainframe 2026 person body";

/// A sealed plaintext, as the fields of a cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// By which the receiver recognises the cell.
    pub tag: Tag,
    /// The sender's ephemeral key as an Elligator representative, or 32 random bytes.
    pub ephemeral: [u8; 32],
    /// Authentication tag, then as many bytes as the plaintext.
    pub body: Vec<u8>,
}

/// Seals to the owner of a scan key. `associated` is bound to the body without being in it: the receiver must give
/// the same. `None` if the scan key is of low order, so that sealing to it would hide nothing.
pub fn seal_to_person(rng: &mut impl CryptoRng, to: &ScanKey, associated: &[u8], plaintext: &[u8]) -> Option<Sealed> {
    let key = Ephemeral::generate(rng);
    let ephemeral = key.representative();
    let (tag, body_key) = person_secrets(&key.shared(to)?, &ephemeral, to);
    Some(Sealed { tag, ephemeral, body: body_key.seal(associated, &tag, plaintext) })
}

/// Whether a cell with these fields is this person's, and the key to its body if so. Costs one X25519; that it
/// found nothing takes as long as that it found something.
pub fn recognise_person(keys: &PersonKeys, ephemeral: &[u8; 32], tag: &Tag) -> Option<BodyKey> {
    let (shared, usable) = agree(keys.secret(), &point_of(ephemeral));
    let (expected, body_key) = person_secrets(&shared, ephemeral, &keys.scan_key());
    recognised(usable, &expected, tag, body_key)
}

/// Seals to everyone who has the topic's key; `associated` as for [`seal_to_person`].
pub fn seal_to_topic(rng: &mut impl CryptoRng, to: &TopicKey, associated: &[u8], plaintext: &[u8]) -> Sealed {
    let mut ephemeral = [0; 32];
    rng.fill_bytes(&mut ephemeral);
    let (tag, body_key) = topic_secrets(to, &ephemeral);
    Sealed { tag, ephemeral, body: body_key.seal(associated, &tag, plaintext) }
}

/// Whether a cell with these fields is of this topic, and the key to its body if so. Costs two hashes.
pub fn recognise_topic(key: &TopicKey, ephemeral: &[u8; 32], tag: &Tag) -> Option<BodyKey> {
    let (expected, body_key) = topic_secrets(key, ephemeral);
    recognised(Choice::from(1), &expected, tag, body_key)
}

/// The key to one body.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct BodyKey(Secret<32>);

impl BodyKey {
    /// The plaintext of the body, if body, associated data and tag are as they were sealed. `None` means that
    /// someone on the way changed them.
    pub fn open(self, associated: &[u8], tag: &Tag, body: &[u8]) -> Option<Vec<u8>> {
        let (authentication, ciphertext) = body.split_first_chunk::<BODY_OVERHEAD>()?;
        let mut plaintext = ciphertext.to_vec();
        self.cipher()
            .decrypt_inout_detached(
                &Nonce::default(),
                &bound(associated, tag),
                plaintext.as_mut_slice().into(),
                &(*authentication).into(),
            )
            .ok()?;
        Some(plaintext)
    }

    fn seal(self, associated: &[u8], tag: &Tag, plaintext: &[u8]) -> Vec<u8> {
        let mut body = vec![0; BODY_OVERHEAD];
        body.extend_from_slice(plaintext);
        let (authentication, ciphertext) = body.split_at_mut(BODY_OVERHEAD);
        let computed = self
            .cipher()
            .encrypt_inout_detached(&Nonce::default(), &bound(associated, tag), ciphertext.into())
            .expect("a body is far shorter than the cipher's 256 GiB");
        authentication.copy_from_slice(&computed);
        body
    }

    /// The nonce stays zero: every key is used for one body, since E is drawn anew for each.
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(self.0.expose().into())
    }
}

/// What the body is authenticated with besides itself. The tag is of fixed length, so the end is unambiguous.
fn bound(associated: &[u8], tag: &Tag) -> Vec<u8> {
    [associated, &tag.0].concat()
}

fn recognised(usable: Choice, expected: &Tag, tag: &Tag, body_key: BodyKey) -> Option<BodyKey> {
    bool::from(usable & expected.0.ct_eq(&tag.0)).then_some(body_key)
}

/// Tag and body key from the shared secret. E goes in as it travels: were it the point, the free bits and the
/// choice among representatives could be changed on the way, and the same message would arrive under other bytes.
fn person_secrets(shared: &Secret<32>, ephemeral: &[u8; 32], scan_key: &ScanKey) -> (Tag, BodyKey) {
    let mut material = Zeroizing::new([0; 96]);
    material[..32].copy_from_slice(shared.expose());
    material[32..64].copy_from_slice(ephemeral);
    material[64..].copy_from_slice(&scan_key.0);
    let tag = Zeroizing::new(blake3::derive_key(PERSON_TAG_CONTEXT, &*material));
    let body = Zeroizing::new(blake3::derive_key(PERSON_BODY_CONTEXT, &*material));
    (first_16(&tag), BodyKey(Secret::new(*body)))
}

fn topic_secrets(key: &TopicKey, ephemeral: &[u8; 32]) -> (Tag, BodyKey) {
    let prf = |domain: &[u8]| *blake3::keyed_hash(&key.0, &[domain, ephemeral].concat()).as_bytes();
    let (tag, body) = (Zeroizing::new(prf(b"tag")), Zeroizing::new(prf(b"body")));
    (first_16(&tag), BodyKey(Secret::new(*body)))
}

fn first_16(hash: &[u8; 32]) -> Tag {
    Tag(*hash.first_chunk().expect("32 bytes begin with 16"))
}
