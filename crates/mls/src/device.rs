//! A device's key: it signs for the device's leaf in every group, and what the session says outside of MLS.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use mainframe_base::{DeviceKey, Secret, Signature};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Stands before everything a device signs beside MLS. What MLS has signed begins with the length of a label shorter
/// than 64 bytes, so that one can never be taken for the other.
const OWN_LABEL: &[u8] = b"mainframe session statement 1\0";

/// The secret of a device: the seed of an ed25519 key.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct DeviceSecret {
    seed: Secret<32>,
    /// What follows from the seed, so that it is not computed for every signature; wiped when dropped, as the seed is.
    signing: SigningKey,
}

impl DeviceSecret {
    /// Makes a new device.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        DeviceSecret::new(Secret::new(*seed))
    }

    /// The device of a stored seed.
    pub fn new(seed: Secret<32>) -> Self {
        DeviceSecret { signing: SigningKey::from_bytes(seed.expose()), seed }
    }

    /// The seed, to be stored.
    pub fn expose(&self) -> &Secret<32> {
        &self.seed
    }

    /// The device's public key.
    pub fn key(&self) -> DeviceKey {
        DeviceKey(self.signing.verifying_key().to_bytes())
    }

    /// Signs what is no message of MLS; checked by [`verify`].
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.signing.sign(&[OWN_LABEL, bytes].concat()).to_bytes())
    }
}

/// Whether the device of this key has [signed](DeviceSecret::sign) the bytes.
pub fn verify(key: &DeviceKey, bytes: &[u8], signature: &Signature) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&key.0) else { return false };
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(&[OWN_LABEL, bytes].concat(), &signature).is_ok()
}

pub(crate) fn sign_with(seed: &[u8; 32], bytes: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(seed).sign(bytes).to_bytes()
}

impl Signer for DeviceSecret {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.signing.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
