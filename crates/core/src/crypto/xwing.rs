//! Prekeys: what makes first contact safe from those who record today and compute later.
//!
//! X-Wing is X25519 and ML-KEM-768 in one (draft-connolly-cfrg-xwing-kem-06): who breaks one of them still knows
//! nothing. It is the key agreement of the suite sessions use, so a person trusts no more than that.

use std::fmt;

use mainframe_base::Secret;
use rand_core::CryptoRng;
use x_wing::kem::{Decapsulate, Decapsulator, KeyExport};
use x_wing::{DecapsulationKey, Encapsulate, EncapsulationKey};

use super::random_secret;

/// Bytes of a public prekey.
pub const PUBLIC_PREKEY_LENGTH: usize = x_wing::ENCAPSULATION_KEY_SIZE;

/// Bytes of what the sender of a secret sends along, from which the prekey's owner gets it.
pub(super) const ENCAPSULATED_LENGTH: usize = x_wing::CIPHERTEXT_SIZE;

/// The secret half of a prekey, kept as the 32 bytes it is computed from.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Prekey(DecapsulationKey);

impl Prekey {
    /// Draws a new prekey.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Prekey::from_seed(&random_secret(rng))
    }

    /// The prekey of this seed; every 32 bytes are one.
    pub fn from_seed(seed: &Secret<32>) -> Self {
        Prekey(DecapsulationKey::from(*seed.expose()))
    }

    /// The seed, to be stored sealed.
    pub fn seed(&self) -> Secret<32> {
        Secret::new(*self.0.as_bytes())
    }

    /// The half that stands in the card.
    pub fn public(&self) -> PublicPrekey {
        let bytes: [u8; PUBLIC_PREKEY_LENGTH] = self.0.encapsulation_key().to_bytes().into();
        PublicPrekey(Box::new(bytes))
    }

    /// The secret that was sent in these bytes. Bytes that were not made for this prekey give a secret that nobody
    /// else has, so that what was sealed with another does not open.
    pub(super) fn decapsulate(&self, encapsulated: &[u8; ENCAPSULATED_LENGTH]) -> Secret<32> {
        Secret::new(self.0.decapsulate(&(*encapsulated).into()).into())
    }
}

/// The public half of a prekey.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicPrekey(Box<[u8; PUBLIC_PREKEY_LENGTH]>);

impl PublicPrekey {
    /// The prekey these bytes encode; `None` if they encode none (a coefficient of ML-KEM's is not reduced).
    pub fn from_bytes(bytes: &[u8; PUBLIC_PREKEY_LENGTH]) -> Option<Self> {
        EncapsulationKey::try_from(&bytes[..]).ok()?;
        Some(PublicPrekey(Box::new(*bytes)))
    }

    /// The bytes that stand in a card.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_PREKEY_LENGTH] {
        &self.0
    }

    /// Draws a secret, and what to send so that the prekey's owner has it too.
    pub(super) fn encapsulate(&self, rng: &mut impl CryptoRng) -> ([u8; ENCAPSULATED_LENGTH], Secret<32>) {
        let key = EncapsulationKey::try_from(&self.0[..]).expect("checked when it was made");
        let (encapsulated, secret) = key.encapsulate_with_rng(rng);
        (encapsulated.into(), Secret::new(secret.into()))
    }
}

impl fmt::Debug for PublicPrekey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn only_the_owner_of_a_prekey_gets_the_secret() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (owner, other) = (Prekey::generate(&mut rng), Prekey::generate(&mut rng));
        let (sent, secret) = owner.public().encapsulate(&mut rng);
        assert_eq!(owner.decapsulate(&sent).expose(), secret.expose());
        assert_ne!(other.decapsulate(&sent).expose(), secret.expose());
        assert_eq!(Prekey::from_seed(&owner.seed()).public(), owner.public());
    }

    #[test]
    fn bytes_that_are_no_prekey_are_refused() {
        let mut bytes = *Prekey::from_seed(&Secret::new([7; 32])).public().as_bytes();
        assert!(PublicPrekey::from_bytes(&bytes).is_some());
        bytes[..3].fill(0xFF); // coefficients of 4,095 where at most 3,328 stands for anything
        assert!(PublicPrekey::from_bytes(&bytes).is_none());
    }
}
