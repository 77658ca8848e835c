//! Who a person is: a key that signs, a key that is written to, and a prekey.
//!
//! The three are drawn independently and none is computed from another, so each can be replaced alone: new receiving
//! keys make a new [`Card`](super::Card); a new identity makes a [`Rotation`].

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use mainframe_base::{Fault, IdentityKey, ScanKey, Secret, Signature};
use rand_core::CryptoRng;

use super::person::PersonKeys;
use super::random_secret;
use super::xwing::Prekey;
use crate::codec::Reader;

const ROTATION_DOMAIN: &[u8] = b"mainframe/rotation/1";
const ROTATION_VERSION: u8 = 1;

/// A person's secrets. Every device of the person holds them.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Identity {
    signing: SigningKey,
    scan: PersonKeys,
    prekey: Prekey,
}

impl Identity {
    /// Bytes of [`Identity::secrets`].
    pub const SECRETS_LENGTH: usize = 96;

    /// Draws a new person.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Identity {
            signing: SigningKey::from_bytes(random_secret(rng).expose()),
            scan: PersonKeys::generate(rng),
            prekey: Prekey::generate(rng),
        }
    }

    /// The person with these secrets: of the identity, of the scan key, and the seed of the prekey.
    pub fn from_secrets(secrets: &Secret<{ Identity::SECRETS_LENGTH }>) -> Self {
        let part = |number: usize| {
            let bytes = secrets.expose()[32 * number..].first_chunk().expect("three parts of 32 bytes");
            Secret::new(*bytes)
        };
        Identity {
            signing: SigningKey::from_bytes(part(0).expose()),
            scan: PersonKeys::from_secret(part(1)),
            prekey: Prekey::from_seed(&part(2)),
        }
    }

    /// All secrets, to be stored sealed.
    pub fn secrets(&self) -> Secret<{ Identity::SECRETS_LENGTH }> {
        let mut bytes = zeroize::Zeroizing::new([0; Identity::SECRETS_LENGTH]);
        bytes[..32].copy_from_slice(self.signing.as_bytes());
        bytes[32..64].copy_from_slice(self.scan.secret().expose());
        bytes[64..].copy_from_slice(self.prekey.seed().expose());
        Secret::new(*bytes)
    }

    /// The same person with new receiving keys, for a new card. What was sealed to the old ones opens with the old
    /// ones only: keep those as long as letters may be under way.
    pub fn with_new_receiving_keys(&self, rng: &mut impl CryptoRng) -> Self {
        Identity { signing: self.signing.clone(), scan: PersonKeys::generate(rng), prekey: Prekey::generate(rng) }
    }

    /// Who this is, to everyone.
    pub fn key(&self) -> IdentityKey {
        IdentityKey(self.signing.verifying_key().to_bytes())
    }

    /// The key that letters are sealed to.
    pub fn scan_key(&self) -> ScanKey {
        self.scan.scan_key()
    }

    /// The keys that recognise cells for this person.
    pub fn scan(&self) -> &PersonKeys {
        &self.scan
    }

    /// The prekey.
    pub fn prekey(&self) -> &Prekey {
        &self.prekey
    }

    /// Says that this person is `new` from now on; both sign.
    pub fn rotate_to(&self, new: &Identity, issued_hours: u32) -> Rotation {
        let unsigned = Rotation {
            old: self.key(),
            new: new.key(),
            issued_hours,
            signature_of_old: Signature([0; 64]),
            signature_of_new: Signature([0; 64]),
        };
        let body = unsigned.body();
        Rotation {
            signature_of_old: self.sign(ROTATION_DOMAIN, &body),
            signature_of_new: new.sign(ROTATION_DOMAIN, &body),
            ..unsigned
        }
    }

    /// Signs bytes under a domain, which no other kind of statement shares.
    pub(super) fn sign(&self, domain: &[u8], bytes: &[u8]) -> Signature {
        Signature(self.signing.sign(&[domain, bytes].concat()).to_bytes())
    }
}

/// Whether `key` signed the bytes under the domain. Strictly, as everywhere (docs/protocol/crypto.md §3).
pub(super) fn verify(key: &IdentityKey, domain: &[u8], bytes: &[u8], signature: &Signature) -> Result<(), Fault> {
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_| Fault::BadSignature)?;
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(&[domain, bytes].concat(), &signature).map_err(|_| Fault::BadSignature)
}

/// A person has a new identity key. The old key signs, so that the person said it; the new one too, so that nobody
/// claims to have become someone else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// Who the person was.
    pub old: IdentityKey,
    /// Who the person is.
    pub new: IdentityKey,
    /// When it was said, in hours since 1970.
    pub issued_hours: u32,
    signature_of_old: Signature,
    signature_of_new: Signature,
}

impl Rotation {
    /// Length in bytes.
    pub const LENGTH: usize = 1 + 32 + 32 + 4 + 64 + 64;

    /// Appends the statement: version 1, old 32, new 32, issued 4, two signatures of 64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.body());
        out.extend_from_slice(&self.signature_of_old.0);
        out.extend_from_slice(&self.signature_of_new.0);
    }

    /// Reads what [`Rotation::encode`] wrote, and verifies both signatures.
    ///
    /// # Errors
    /// `Malformed`, `UnknownVersion`, `Impossible` if old and new are one, `BadSignature`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Rotation, Fault> {
        if reader.u8()? != ROTATION_VERSION {
            return Err(Fault::UnknownVersion);
        }
        let rotation = Rotation {
            old: IdentityKey(reader.array()?),
            new: IdentityKey(reader.array()?),
            issued_hours: reader.u32()?,
            signature_of_old: Signature(reader.array()?),
            signature_of_new: Signature(reader.array()?),
        };
        if rotation.old == rotation.new {
            return Err(Fault::Impossible);
        }
        let body = rotation.body();
        verify(&rotation.old, ROTATION_DOMAIN, &body, &rotation.signature_of_old)?;
        verify(&rotation.new, ROTATION_DOMAIN, &body, &rotation.signature_of_new)?;
        Ok(rotation)
    }

    fn body(&self) -> Vec<u8> {
        [&[ROTATION_VERSION][..], &self.old.0, &self.new.0, &self.issued_hours.to_be_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn two() -> (Identity, Identity) {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        (Identity::generate(&mut rng), Identity::generate(&mut rng))
    }

    #[test]
    fn a_person_comes_back_from_the_secrets() {
        let (person, _) = two();
        let again = Identity::from_secrets(&person.secrets());
        assert_eq!((again.key(), again.scan_key()), (person.key(), person.scan_key()));
        assert_eq!(again.prekey().public(), person.prekey().public());
    }

    #[test]
    fn new_receiving_keys_leave_the_person_who_he_was() {
        let (person, _) = two();
        let renewed = person.with_new_receiving_keys(&mut ChaCha20Rng::seed_from_u64(4));
        assert_eq!(renewed.key(), person.key());
        assert_ne!(renewed.scan_key(), person.scan_key());
        assert_ne!(renewed.prekey().public(), person.prekey().public());
    }

    #[test]
    fn a_rotation_holds_as_it_was_signed_and_no_bit_otherwise() {
        let (old, new) = two();
        let rotation = old.rotate_to(&new, 500_000);
        let mut bytes = Vec::new();
        rotation.encode(&mut bytes);
        assert_eq!(bytes.len(), Rotation::LENGTH);
        assert_eq!(Rotation::decode(&mut Reader::new(&bytes)), Ok(rotation));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Rotation::decode(&mut Reader::new(&bytes)).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn nobody_can_say_alone_that_he_became_someone_else() {
        let (thief, victim) = two();
        let mut claimed = thief.rotate_to(&victim, 1);
        claimed.signature_of_new = claimed.signature_of_old;
        let mut bytes = Vec::new();
        claimed.encode(&mut bytes);
        assert_eq!(Rotation::decode(&mut Reader::new(&bytes)), Err(Fault::BadSignature));
    }
}
