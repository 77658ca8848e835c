//! Where a node stands in the overlay.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Number of bits in an [`Address`].
pub const ADDRESS_BITS: u16 = 256;

/// How many leading bits two addresses share, 0..=256; 256 means they are equal.
pub type Proximity = u16;

/// A node's 32-byte position in the overlay (whitepaper 节点地址). Positions say nothing about places.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(pub [u8; 32]);

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_random(&self.0, &other.0)
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The usual order of bytes, found out fast if the first eight differ: so they do in nearly all keys and addresses.
pub(crate) fn compare_random(one: &[u8], other: &[u8]) -> Ordering {
    let first = |bytes: &[u8]| bytes.first_chunk().map(|first| u64::from_be_bytes(*first));
    match (first(one), first(other)) {
        (Some(of_one), Some(of_other)) if of_one != of_other => of_one.cmp(&of_other),
        _ => one.cmp(other),
    }
}

impl Address {
    /// Number of leading bits shared with `other`.
    pub fn proximity(&self, other: &Address) -> Proximity {
        let mut bits = 0;
        for (mine, theirs) in self.0.iter().zip(other.0.iter()) {
            let difference = mine ^ theirs;
            if difference != 0 {
                return bits + difference.leading_zeros() as Proximity;
            }
            bits += 8;
        }
        bits
    }

    /// The bit at `index`, counted from the most significant; `index` < 256.
    pub fn bit(&self, index: u16) -> bool {
        self.0[usize::from(index / 8)] & (0x80 >> (index % 8)) != 0
    }

    /// The same address with the bit at `index` flipped; `index` < 256.
    pub fn with_bit_flipped(mut self, index: u16) -> Address {
        self.0[usize::from(index / 8)] ^= 0x80 >> (index % 8);
        self
    }

    /// XOR distance to `other`, comparable as a big-endian number.
    pub fn distance(&self, other: &Address) -> [u8; 32] {
        let mut distance = self.0;
        for (byte, theirs) in distance.iter_mut().zip(other.0.iter()) {
            *byte ^= theirs;
        }
        distance
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..4]))
    }
}

impl FromStr for Address {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Address(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn proximity_counts_leading_equal_bits() {
        let zero = Address([0; 32]);
        assert_eq!(zero.proximity(&zero), ADDRESS_BITS);
        assert_eq!(zero.proximity(&zero.with_bit_flipped(0)), 0);
        assert_eq!(zero.proximity(&zero.with_bit_flipped(13)), 13);
        assert_eq!(zero.proximity(&zero.with_bit_flipped(255)), 255);
    }

    proptest! {
        #[test]
        fn addresses_are_ordered_as_their_bytes_are(a: [u8; 32], b: [u8; 32], same in 0_usize..=32) {
            let mut b = b;
            b[..same].copy_from_slice(&a[..same]);
            prop_assert_eq!(Address(a).cmp(&Address(b)), a.cmp(&b));
        }

        #[test]
        fn proximity_is_symmetric_and_text_round_trips(a: [u8; 32], b: [u8; 32]) {
            let (a, b) = (Address(a), Address(b));
            prop_assert_eq!(a.proximity(&b), b.proximity(&a));
            prop_assert_eq!(a.to_string().parse::<Address>().unwrap(), a);
        }
    }
}
