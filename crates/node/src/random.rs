//! Randomness of the operating system, for keys and seeds.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Fresh random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("a machine without randomness can keep no secret");
    bytes
}

/// A generator for drawing keys.
pub(crate) fn generator() -> ChaCha20Rng {
    ChaCha20Rng::from_seed(bytes())
}
