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
    pub(super) fn new(key: Secret<32>) -> BodyKey {
        BodyKey(key)
    }

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

    pub(super) fn seal(self, associated: &[u8], tag: &Tag, plaintext: &[u8]) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn person(number: u8) -> PersonKeys {
        PersonKeys::from_secret(Secret::new([number; 32]))
    }

    fn open_as_person(keys: &PersonKeys, associated: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        recognise_person(keys, &sealed.ephemeral, &sealed.tag)?.open(associated, &sealed.tag, &sealed.body)
    }

    fn open_as_topic(key: &TopicKey, associated: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        recognise_topic(key, &sealed.ephemeral, &sealed.tag)?.open(associated, &sealed.tag, &sealed.body)
    }

    /// The sealed fields with one bit flipped, for every bit there is, the free bits of E among them.
    fn with_each_bit_flipped(sealed: &Sealed) -> impl Iterator<Item = Sealed> {
        (0..(16 + 32 + sealed.body.len()) * 8).map(|bit| {
            let (mut changed, flip) = (sealed.clone(), 1 << (bit % 8));
            match bit / 8 {
                index @ 0..16 => changed.tag.0[index] ^= flip,
                index @ 16..48 => changed.ephemeral[index - 16] ^= flip,
                index => changed.body[index - 48] ^= flip,
            }
            changed
        })
    }

    #[test]
    fn no_bit_of_a_cell_for_a_person_can_be_changed() {
        let keys = person(1);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let sealed = seal_to_person(&mut rng, &keys.scan_key(), b"header", b"hello").unwrap();
        assert_eq!(open_as_person(&keys, b"header", &sealed).as_deref(), Some(&b"hello"[..]));
        for changed in with_each_bit_flipped(&sealed) {
            assert_eq!(open_as_person(&keys, b"header", &changed), None);
        }
    }

    #[test]
    fn no_bit_of_a_cell_for_a_topic_can_be_changed() {
        let key = TopicKey([1; 32]);
        let sealed = seal_to_topic(&mut ChaCha20Rng::seed_from_u64(1), &key, b"header", b"hello");
        assert_eq!(open_as_topic(&key, b"header", &sealed).as_deref(), Some(&b"hello"[..]));
        for changed in with_each_bit_flipped(&sealed) {
            assert_eq!(open_as_topic(&key, b"header", &changed), None);
        }
    }

    #[test]
    fn nothing_is_sealed_to_a_key_that_hides_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        assert_eq!(seal_to_person(&mut rng, &ScanKey([0; 32]), b"", b"hello"), None);
    }

    /// Whoever sends a low-order E knows the shared secret is zero; it must not be taken for a cell all the same.
    #[test]
    fn a_cell_with_a_low_order_key_is_nobodys() {
        let keys = person(1);
        let (tag, _) = person_secrets(&Secret::new([0; 32]), &[0; 32], &keys.scan_key());
        assert_eq!(point_of(&[0; 32]), [0; 32]);
        assert!(recognise_person(&keys, &[0; 32], &tag).is_none());
    }

    #[test]
    fn a_body_shorter_than_its_authentication_is_refused() {
        let key = TopicKey([1; 32]);
        let mut sealed = seal_to_topic(&mut ChaCha20Rng::seed_from_u64(1), &key, b"", b"");
        assert_eq!(sealed.body.len(), BODY_OVERHEAD);
        sealed.body.pop();
        assert_eq!(open_as_topic(&key, b"", &sealed), None);
        sealed.body.clear();
        assert_eq!(open_as_topic(&key, b"", &sealed), None);
    }

    /// 2,000 cells each with the same receiver and plaintext: every bit of tag, E and body is set in half of them,
    /// within five standard deviations.
    #[test]
    fn cells_for_people_and_topics_look_like_random_bytes() {
        let (keys, topic) = (person(1), TopicKey([1; 32]));
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut ones = [[0u32; (16 + 32 + 16 + 16) * 8]; 2];
        for _ in 0..2_000 {
            let for_person = seal_to_person(&mut rng, &keys.scan_key(), b"", &[0; 16]).unwrap();
            let for_topic = seal_to_topic(&mut rng, &topic, b"", &[0; 16]);
            for (sealed, ones) in [for_person, for_topic].iter().zip(&mut ones) {
                let bytes = [&sealed.tag.0[..], &sealed.ephemeral, &sealed.body].concat();
                ones.iter_mut()
                    .enumerate()
                    .for_each(|(bit, count)| *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1));
            }
        }
        for ones in ones {
            assert!(ones.iter().all(|count| (888..=1_112).contains(count)), "{ones:?}");
        }
    }

    proptest! {
        #[test]
        fn a_person_opens_what_was_sealed_to_them(
            seed: u64, secret: [u8; 32], associated in vec(any::<u8>(), 0..64), plaintext in vec(any::<u8>(), 0..2_000),
        ) {
            let keys = PersonKeys::from_secret(Secret::new(secret));
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let sealed = seal_to_person(&mut rng, &keys.scan_key(), &associated, &plaintext).unwrap();
            prop_assert_eq!(sealed.body.len(), plaintext.len() + BODY_OVERHEAD);
            prop_assert_eq!(open_as_person(&keys, &associated, &sealed), Some(plaintext));
            let other = [&associated[..], b"."].concat();
            prop_assert_eq!(open_as_person(&keys, &other, &sealed), None);
        }

        #[test]
        fn everyone_with_the_topic_key_opens_what_was_sealed_to_it(
            seed: u64, key: [u8; 32], associated in vec(any::<u8>(), 0..64), plaintext in vec(any::<u8>(), 0..2_000),
        ) {
            let key = TopicKey(key);
            let sealed = seal_to_topic(&mut ChaCha20Rng::seed_from_u64(seed), &key, &associated, &plaintext);
            prop_assert_eq!(sealed.body.len(), plaintext.len() + BODY_OVERHEAD);
            prop_assert_eq!(open_as_topic(&key, &associated, &sealed), Some(plaintext));
            let other = [&associated[..], b"."].concat();
            prop_assert_eq!(open_as_topic(&key, &other, &sealed), None);
        }

        #[test]
        fn a_stranger_recognises_nothing(seed: u64, receiver: [u8; 32], stranger: [u8; 32]) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let scan_key = PersonKeys::from_secret(Secret::new(receiver)).scan_key();
            let other = PersonKeys::from_secret(Secret::new(stranger));
            prop_assume!(scan_key != other.scan_key());
            let for_person = seal_to_person(&mut rng, &scan_key, b"", b"hello").unwrap();
            let for_topic = seal_to_topic(&mut rng, &TopicKey(receiver), b"", b"hello");
            for sealed in [for_person, for_topic] {
                prop_assert!(recognise_person(&other, &sealed.ephemeral, &sealed.tag).is_none());
                prop_assert!(recognise_topic(&TopicKey(stranger), &sealed.ephemeral, &sealed.tag).is_none());
            }
        }

        #[test]
        fn arbitrary_fields_are_nobodys(ephemeral: [u8; 32], tag: [u8; 16], body in vec(any::<u8>(), 0..64)) {
            let sealed = Sealed { tag: Tag(tag), ephemeral, body };
            prop_assert_eq!(open_as_person(&person(1), b"", &sealed), None);
            prop_assert_eq!(open_as_topic(&TopicKey([1; 32]), b"", &sealed), None);
        }
    }
}
