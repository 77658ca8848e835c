//! A person's key, and where to write to them.

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::montgomery::MontgomeryPoint;
use mainframe_base::{ParsePrefixError, Prefix, ScanKey, Secret};
use rand_core::CryptoRng;

use super::elligator::agree;
use super::random_secret;

/// A person's X25519 key, to which first contact is sealed. Never a node's.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct PersonKeys {
    secret: Secret<32>,
    scan_key: ScanKey,
}

impl PersonKeys {
    /// Draws a new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        PersonKeys::from_secret(random_secret(rng))
    }

    /// The key with this secret; every 32 bytes are one.
    pub fn from_secret(secret: Secret<32>) -> Self {
        let scan_key = ScanKey(MontgomeryPoint::mul_base_clamped(*secret.expose()).to_bytes());
        PersonKeys { secret, scan_key }
    }

    /// The secret, to be stored sealed.
    pub fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    /// The public half, given to whoever may write.
    pub fn scan_key(&self) -> ScanKey {
        self.scan_key
    }

    /// The secret shared with the owner of the X25519 key `point`; `None` if that key is of low order.
    pub fn shared(&self, point: &[u8; 32]) -> Option<Secret<32>> {
        let (shared, usable) = agree(&self.secret, point);
        bool::from(usable).then_some(shared)
    }
}

/// Where to write to a person: the key to seal to and the region to send to. As text:
/// `mfp:` then 64 hexadecimal digits, `@`, and a prefix, as in `mfp:8520…4e6a@0110`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PersonAddress {
    /// The person's scan key.
    pub scan_key: ScanKey,
    /// The region whose nodes get what is sent.
    pub region: Prefix,
}

const SCHEME: &str = "mfp:";

impl fmt::Display for PersonAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}@{}", self.scan_key, self.region)
    }
}

/// Why a text is no person's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParsePersonAddressError {
    /// It does not begin with `mfp:`.
    #[error("a person's address begins with `mfp:`; copy the whole of it, from `mfp:` to the end")]
    Scheme,
    /// There is no `@`.
    #[error("the region after `@` is missing; a person's address reads mfp:KEY@REGION, where REGION may be `*`")]
    NoRegion,
    /// What follows `mfp:` is not 64 hexadecimal digits.
    #[error("the key between `mfp:` and `@` must be 64 hexadecimal digits; part of it may be missing, copy it again")]
    Key,
    /// The key is of low order: everyone could read what is sealed to it.
    #[error("this key protects nothing: anyone could read what is sent to it; ask for a new address")]
    UnusableKey,
    /// What follows `@` is no prefix.
    #[error("the region after `@` cannot be read: {0}")]
    Region(#[source] ParsePrefixError),
}

impl FromStr for PersonAddress {
    type Err = ParsePersonAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(SCHEME).ok_or(ParsePersonAddressError::Scheme)?;
        let (key, region) = rest.split_once('@').ok_or(ParsePersonAddressError::NoRegion)?;
        let scan_key: ScanKey = key.parse().map_err(|_| ParsePersonAddressError::Key)?;
        if !is_usable(&scan_key) {
            return Err(ParsePersonAddressError::UnusableKey);
        }
        let region = region.parse().map_err(ParsePersonAddressError::Region)?;
        Ok(PersonAddress { scan_key, region })
    }
}

/// Whether a key is more than a point of low order: any X25519 secret tells.
fn is_usable(scan_key: &ScanKey) -> bool {
    let (_, usable) = agree(&Secret::new([0; 32]), &scan_key.0);
    usable.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 7748 §6.1.
    #[test]
    fn a_shared_secret_agrees_with_rfc_7748() {
        let bytes = |digits: &str| -> [u8; 32] { hex::decode(digits).unwrap().try_into().unwrap() };
        let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        let bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        let alice = PersonKeys::from_secret(Secret::new(bytes(alice)));
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        assert_eq!(alice.scan_key().to_string(), public);
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        assert_eq!(alice.shared(&bytes(bob)).unwrap().expose(), &bytes(shared));
        assert!(alice.shared(&[0; 32]).is_none());
    }

    #[test]
    fn a_text_that_is_no_address_says_what_is_wrong() {
        use ParsePersonAddressError as Error;
        let key = "85".repeat(32);
        let parse = |text: String| text.parse::<PersonAddress>().unwrap_err();
        assert_eq!(parse(format!("{key}@0110")), Error::Scheme);
        assert_eq!(parse(format!("mfp:{key}")), Error::NoRegion);
        assert_eq!(parse(format!("mfp:{}@0110", &key[2..])), Error::Key);
        assert_eq!(parse(format!("mfp:{}@0110", "0".repeat(64))), Error::UnusableKey);
        assert_eq!(parse(format!("mfp:{key}@012")), Error::Region(ParsePrefixError::Form));
    }

    proptest! {
        #[test]
        fn an_address_comes_back_from_its_text(secret: [u8; 32], address: [u8; 32], byte: u8) {
            let luminosity = mainframe_base::Luminosity::from_byte(byte);
            let region = Prefix::of(&mainframe_base::Address(address), luminosity);
            let address = PersonAddress { scan_key: PersonKeys::from_secret(Secret::new(secret)).scan_key(), region };
            prop_assert_eq!(address.to_string().parse::<PersonAddress>().unwrap(), address);
        }
    }
}
