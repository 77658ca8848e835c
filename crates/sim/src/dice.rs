//! Chance, from the run's seed alone and in integers alone, so that every machine throws the same.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of a seed for one purpose; streams of different purposes do not disturb each other.
    pub fn new(seed: u64, purpose: &str) -> Dice {
        let mut hasher = blake3::Hasher::new_derive_key("mainframe/sim/dice/1");
        hasher.update(&seed.to_be_bytes()).update(purpose.as_bytes());
        Dice(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which is not zero. The bias is under 2⁻⁴⁰ for any bound a network has.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is something to choose from");
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Whether something happens that happens so many times in a million.
    pub fn happens(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < per_million as usize
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.below(from.len())]) }
    }

    /// Puts them into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }

    /// An exponentially distributed number with this mean.
    ///
    /// −log₂ of a uniform number is its count of leading zeros and a fraction, here taken as linear inside the octave;
    /// that makes the mean 3/2 in place of 1/ln 2, and no more than 0.09 off anywhere.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let bits = self.bits() | 1;
        let octave = u64::from(bits.leading_zeros());
        let fraction = (bits << octave << 1) >> 48;
        let scaled = u128::from((octave + 1) << 16) - u128::from(fraction);
        (u128::from(mean) * scaled * 2 / (3 << 16)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_for_each_purpose() {
        let throw = |seed, purpose| Dice::new(seed, purpose).bits();
        assert_eq!(throw(1, "net"), throw(1, "net"));
        assert_ne!(throw(1, "net"), throw(2, "net"));
        assert_ne!(throw(1, "net"), throw(1, "keys"));
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_their_tail() {
        let mut dice = Dice::new(1, "test");
        let throws: Vec<u64> = (0..100_000).map(|_| dice.exponential(1_000)).collect();
        let mean = throws.iter().sum::<u64>() / 100_000;
        assert!((980..=1_020).contains(&mean), "mean {mean}");
        let beyond = throws.iter().filter(|throw| **throw > 3_000).count();
        assert!((4_000..=6_000).contains(&beyond), "e⁻³ is 5 %: {beyond}");
    }

    #[test]
    fn a_choice_is_fair_enough() {
        let mut dice = Dice::new(2, "test");
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[dice.below(6)] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..=10_400).contains(count)), "{counts:?}");
    }
}
