//! Whose a cell of a session is. Every member can find the links of every chain, so a cell on a device's link is that device's
//! only if it signed what is in it: else any member could use up another's links, or spoil his frames
//! (docs/decisions/0013-every-cell-is-signed.md).

use mainframe_base::{DeviceKey, SessionId, Signature};
use mainframe_mls::{DeviceSecret, EpochId};

use crate::crypto::Verifier;

/// Bytes of a proof, the last ones of a plaintext: an ed25519 signature.
pub const PROOF_LENGTH: usize = 64;

/// Where a cell stands: what is signed for one link holds on no other.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The session.
    pub session: SessionId,
    /// Its epoch.
    pub epoch: EpochId,
    /// The number of the link in the device's chain.
    pub number: u64,
}

impl Place {
    /// The fragment with its author's proof behind it: a cell's plaintext.
    pub fn sign(&self, device: &DeviceSecret, mut fragment: Vec<u8>) -> Vec<u8> {
        let proof = device.sign(&self.about(&fragment));
        fragment.extend_from_slice(&proof.0);
        fragment
    }

    /// The fragment in a plaintext; `None` if the device did not sign it for this place.
    pub fn check<'a>(&self, verifier: &Verifier, device: &DeviceKey, plaintext: &'a [u8]) -> Option<&'a [u8]> {
        let (fragment, proof) = plaintext.split_last_chunk::<PROOF_LENGTH>()?;
        verifier.cell(device, &self.about(fragment), &Signature(*proof)).then_some(fragment)
    }

    /// What is signed: a hash, which nothing else is that a device signs.
    fn about(&self, fragment: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("mainframe 2026 cell of a session");
        hasher.update(&self.session.0).update(&self.epoch.0).update(&self.number.to_be_bytes()).update(fragment);
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Secret;
    use proptest::prelude::*;

    const PLACE: Place = Place { session: SessionId([1; 16]), epoch: EpochId([2; 16]), number: 3 };

    fn device(seed: u8) -> DeviceSecret {
        DeviceSecret::new(Secret::new([seed; 32]))
    }

    #[test]
    fn a_cell_is_its_authors_on_its_own_link_only() {
        let (author, verifier) = (device(1), Verifier::new(8));
        let plaintext = PLACE.sign(&author, b"a fragment".to_vec());
        assert_eq!(PLACE.check(&verifier, &author.key(), &plaintext), Some(&b"a fragment"[..]));
        assert_eq!(PLACE.check(&verifier, &device(2).key(), &plaintext), None);
        let elsewhere = [
            Place { session: SessionId([9; 16]), ..PLACE },
            Place { epoch: EpochId([9; 16]), ..PLACE },
            Place { number: 4, ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(place.check(&verifier, &author.key(), &plaintext), None);
        }
    }

    proptest! {
        #[test]
        fn a_bent_plaintext_is_nobodys(plaintext: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let (author, verifier) = (device(1), Verifier::new(8));
            prop_assert_eq!(PLACE.check(&verifier, &author.key(), &plaintext), None);
            let mut bent = PLACE.sign(&author, plaintext);
            let at = at.index(bent.len());
            bent[at] ^= 1 << bit;
            prop_assert_eq!(PLACE.check(&verifier, &author.key(), &bent), None);
        }
    }
}
