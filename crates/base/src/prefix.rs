//! How much of a destination is told, and which addresses fit what was told.

use std::fmt;
use std::str::FromStr;

use crate::{ADDRESS_BITS, Address, Proximity};

/// How many leading bits of the destination are revealed (whitepaper 亮度): 0 is darkest, everyone matches; 256
/// names one node. 255 does not exist: on the wire one byte says 0..=254 literally and 0xFF for 256, and a region
/// of two addresses has no use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Luminosity(u16);

impl Luminosity {
    /// Everyone matches.
    pub const DARKEST: Luminosity = Luminosity(0);
    /// One node matches.
    pub const FULL: Luminosity = Luminosity(ADDRESS_BITS);

    /// A luminosity of `bits`, if there is one: 0..=254 or 256.
    pub const fn new(bits: u16) -> Option<Luminosity> {
        if bits <= 254 || bits == ADDRESS_BITS { Some(Luminosity(bits)) } else { None }
    }

    /// The brightest luminosity of at most `bits`.
    pub const fn at_most(bits: u16) -> Luminosity {
        match bits {
            0..=254 => Luminosity(bits),
            255 => Luminosity(254),
            _ => Luminosity::FULL,
        }
    }

    /// Reads the wire's byte: 0..=254 literally, 0xFF = 256.
    pub const fn from_byte(byte: u8) -> Luminosity {
        if byte == 0xFF { Luminosity::FULL } else { Luminosity(byte as u16) }
    }

    /// The wire's byte for this luminosity.
    pub const fn to_byte(self) -> u8 {
        if self.0 == ADDRESS_BITS { 0xFF } else { self.0 as u8 }
    }

    /// The number of revealed bits, 0..=254 or 256.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Luminosity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The revealed leading bits of a destination; the nodes that match it are its *region*.
///
/// Bits past the luminosity are zero, so equal prefixes are equal values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: Address,
    luminosity: Luminosity,
}

impl Prefix {
    /// The prefix every address matches.
    pub const EVERYONE: Prefix = Prefix { address: Address([0; 32]), luminosity: Luminosity::DARKEST };

    /// The first `luminosity` bits of `address`.
    pub fn of(address: &Address, luminosity: Luminosity) -> Prefix {
        let mut bytes = address.0;
        let bits = usize::from(luminosity.bits());
        for (index, byte) in bytes.iter_mut().enumerate() {
            let revealed = bits.saturating_sub(index * 8).min(8);
            *byte &= !(0xFFu16 >> revealed) as u8;
        }
        Prefix { address: Address(bytes), luminosity }
    }

    /// How many bits are revealed.
    pub fn luminosity(&self) -> Luminosity {
        self.luminosity
    }

    /// The lowest address of the region: the revealed bits followed by zeros.
    pub fn first_address(&self) -> Address {
        self.address
    }

    /// Whether `address` lies in the region.
    pub fn matches(&self, address: &Address) -> bool {
        self.address.proximity(address) >= self.luminosity.bits()
    }

    /// Whether some address lies in both regions: one of two prefixes that meet holds the other.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.address.proximity(&other.address) >= self.luminosity.bits().min(other.luminosity.bits())
    }

    /// How close `address` comes: shared leading bits, at most the luminosity. Equal to it inside the region.
    pub fn proximity(&self, address: &Address) -> Proximity {
        self.address.proximity(address).min(self.luminosity.bits())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({self})")
    }
}

/// `*` for no bits, binary digits up to 16 bits, else `hex/bits`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.luminosity.bits() {
            0 => f.write_str("*"),
            bits @ 1..=16 => {
                (0..bits).try_for_each(|index| f.write_str(if self.address.bit(index) { "1" } else { "0" }))
            }
            bits => write!(f, "{}/{bits}", hex::encode(&self.address.0[..usize::from(bits.div_ceil(8))])),
        }
    }
}

/// Why a text is no prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParsePrefixError {
    /// Neither `*`, nor binary digits, nor `hex/bits`.
    #[error("a prefix is `*`, binary digits such as 0110, or hex/bits such as a3f0/12")]
    Form,
    /// The number of bits is not 0..=254 or 256, or more than the digits given.
    #[error("a prefix has 0 to 254 or 256 bits, no more than its digits")]
    Bits,
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Prefix::EVERYONE);
        }
        let mut address = Address([0; 32]);
        let Some((digits, bits)) = text.split_once('/') else {
            if text.is_empty() || !text.bytes().all(|digit| matches!(digit, b'0' | b'1')) {
                return Err(ParsePrefixError::Form);
            }
            let luminosity = u16::try_from(text.len()).ok().and_then(Luminosity::new).ok_or(ParsePrefixError::Bits)?;
            for (index, digit) in (0..luminosity.bits()).zip(text.bytes()) {
                if digit == b'1' {
                    address = address.with_bit_flipped(index);
                }
            }
            return Ok(Prefix::of(&address, luminosity));
        };
        let luminosity = bits.parse().ok().and_then(Luminosity::new).ok_or(ParsePrefixError::Bits)?;
        let bytes = hex::decode(digits).map_err(|_| ParsePrefixError::Form)?;
        if bytes.len() > 32 || usize::from(luminosity.bits()) > bytes.len() * 8 {
            return Err(ParsePrefixError::Bits);
        }
        address.0[..bytes.len()].copy_from_slice(&bytes);
        Ok(Prefix::of(&address, luminosity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_luminosity() -> impl Strategy<Value = Luminosity> {
        any::<u8>().prop_map(Luminosity::from_byte)
    }

    #[test]
    fn luminosity_255_does_not_exist() {
        assert_eq!(Luminosity::new(255), None);
        assert_eq!(Luminosity::from_byte(0xFF), Luminosity::FULL);
        assert_eq!(Luminosity::at_most(255).bits(), 254);
    }

    #[test]
    fn a_prefix_reads_as_people_write_it() {
        assert_eq!("0110".parse::<Prefix>().unwrap().to_string(), "0110");
        assert_eq!("a3f0/12".parse::<Prefix>().unwrap().to_string(), "101000111111");
        assert_eq!("*".parse::<Prefix>().unwrap(), Prefix::EVERYONE);
        assert_eq!("012".parse::<Prefix>(), Err(ParsePrefixError::Form));
        assert_eq!("".parse::<Prefix>(), Err(ParsePrefixError::Form));
        assert_eq!("a3/12".parse::<Prefix>(), Err(ParsePrefixError::Bits));
    }

    proptest! {
        #[test]
        fn the_byte_and_the_text_round_trip(address: [u8; 32], luminosity in any_luminosity()) {
            prop_assert_eq!(Luminosity::from_byte(luminosity.to_byte()), luminosity);
            let prefix = Prefix::of(&Address(address), luminosity);
            prop_assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
        }

        #[test]
        fn an_address_matches_its_own_prefix_and_no_flipped_one(address: [u8; 32], luminosity in any_luminosity()) {
            let address = Address(address);
            let prefix = Prefix::of(&address, luminosity);
            prop_assert!(prefix.matches(&address));
            for index in 0..luminosity.bits() {
                prop_assert!(!prefix.matches(&address.with_bit_flipped(index)));
                prop_assert_eq!(prefix.proximity(&address.with_bit_flipped(index)), index);
            }
        }
    }
}
