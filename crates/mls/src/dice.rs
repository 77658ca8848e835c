//! Randomness for one call, spread from 32 bytes that came in with it.
//!
//! openmls encrypts a commit's path on several threads. What each of them draws must not depend on which was first, so
//! that nothing is drawn from a stream there: the randomness of a seal follows from the call's seed and from all that
//! is sealed. What openmls draws itself it draws in one thread, in order.

use std::cell::Cell;

use openmls_traits::random::OpenMlsRand;
use rand_core::{CryptoRng, TryCryptoRng, TryRng};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const OWN_CONTEXT: &str = "mainframe mls 2026 what openmls draws";
const SEAL_CONTEXT: &str = "mainframe mls 2026 what a seal draws";

/// The seed of what a call's seals draw.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SealSeed([u8; 32]);

impl SealSeed {
    /// The randomness of the seal of these parts.
    pub(crate) fn for_parts(&self, parts: &[&[u8]]) -> Stream {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        Stream(hasher.finalize_xof())
    }
}

/// What openmls draws during one call: nothing, in a call that needs no randomness.
pub(crate) struct Dice {
    seed: Option<Zeroizing<[u8; 32]>>,
    drawn: Cell<u64>,
}

impl Dice {
    pub(crate) fn none() -> Self {
        Dice { seed: None, drawn: Cell::new(0) }
    }

    /// Draws a call's seed and divides it among what openmls draws and what seals draw.
    pub(crate) fn draw(rng: &mut impl CryptoRng) -> (Self, SealSeed) {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let own = Zeroizing::new(blake3::derive_key(OWN_CONTEXT, &*seed));
        (Dice { seed: Some(own), drawn: Cell::new(0) }, SealSeed(blake3::derive_key(SEAL_CONTEXT, &*seed)))
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let seed = self.seed.as_ref().ok_or(NoRandomness)?;
        let turn = self.drawn.replace(self.drawn.get() + 1);
        blake3::Hasher::new_keyed(seed).update(&turn.to_be_bytes()).finalize_xof().fill(bytes);
        Ok(())
    }
}

impl OpenMlsRand for Dice {
    type Error = NoRandomness;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, NoRandomness> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// Randomness was drawn in a call that was given none.
#[derive(Debug, thiserror::Error)]
#[error("this call was given no randomness")]
pub(crate) struct NoRandomness;

/// A stream of bytes that follow from what they are for.
pub(crate) struct Stream(blake3::OutputReader);

impl TryRng for Stream {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}
