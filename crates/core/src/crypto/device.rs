//! A person's devices: each has a key of its own, for which the identity vouches until it says otherwise.

use mainframe_base::{DeviceId, DeviceKey, Fault, IdentityKey, Signature};

use super::identity::{Identity, verify};
use super::name::Name;
use crate::codec::Reader;

const CERTIFICATE_DOMAIN: &[u8] = b"mainframe/device/1";
const REVOCATION_DOMAIN: &[u8] = b"mainframe/revocation/1";
const VERSION: u8 = 1;

/// A device's short name inside a session.
pub fn device_id(key: &DeviceKey) -> DeviceId {
    let hash = blake3::hash(&key.0);
    DeviceId(*hash.as_bytes().first_chunk().expect("32 bytes begin with 8"))
}

/// The identity vouches for a device. It is the credential of the device's leaf in every session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceCertificate {
    /// The person whose device it is.
    pub identity: IdentityKey,
    /// The device's key: the signature key of its leaf.
    pub device: DeviceKey,
    /// When it was signed, in hours since 1970.
    pub issued_hours: u32,
    /// What the person calls the device.
    pub name: Name,
    signature: Signature,
}

impl DeviceCertificate {
    /// The longest, in bytes.
    pub const LENGTH_MAX: usize = 1 + 32 + 32 + 4 + 1 + Name::LENGTH_MAX + 64;

    /// Vouches for a device.
    pub fn sign(identity: &Identity, device: DeviceKey, issued_hours: u32, name: Name) -> Self {
        let unsigned =
            DeviceCertificate { identity: identity.key(), device, issued_hours, name, signature: Signature([0; 64]) };
        DeviceCertificate { signature: identity.sign(CERTIFICATE_DOMAIN, &unsigned.body()), ..unsigned }
    }

    /// Appends the certificate: version 1, identity 32, device 32, issued 4, name, signature 64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.body());
        out.extend_from_slice(&self.signature.0);
    }

    /// Reads what [`DeviceCertificate::encode`] wrote, and verifies it.
    ///
    /// # Errors
    /// `Malformed`, `UnknownVersion`, `Oversized` or `Impossible` for a bad name, `BadSignature`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let certificate = DeviceCertificate::decode_verified(reader)?;
        certificate.verify()?;
        Ok(certificate)
    }

    /// Reads one that was verified before it was kept.
    ///
    /// # Errors
    /// As [`DeviceCertificate::decode`], without `BadSignature`.
    pub fn decode_verified(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.u8()? != VERSION {
            return Err(Fault::UnknownVersion);
        }
        Ok(DeviceCertificate {
            identity: IdentityKey(reader.array()?),
            device: DeviceKey(reader.array()?),
            issued_hours: reader.u32()?,
            name: Name::decode(reader)?,
            signature: Signature(reader.array()?),
        })
    }

    /// Whether the identity does vouch.
    ///
    /// # Errors
    /// `BadSignature`.
    pub fn verify(&self) -> Result<(), Fault> {
        verify(&self.identity, CERTIFICATE_DOMAIN, &self.body(), &self.signature)
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.identity.0);
        bytes.extend_from_slice(&self.device.0);
        bytes.extend_from_slice(&self.issued_hours.to_be_bytes());
        self.name.encode(&mut bytes);
        bytes
    }
}

/// The identity no longer vouches for a device: it was lost, or sold. Holds for ever; a device that is found again
/// draws a new key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// The person whose device it was.
    pub identity: IdentityKey,
    /// The device's key.
    pub device: DeviceKey,
    /// When it was signed, in hours since 1970.
    pub issued_hours: u32,
    signature: Signature,
}

impl Revocation {
    /// Length in bytes.
    pub const LENGTH: usize = 1 + 32 + 32 + 4 + 64;

    /// Takes a device's certificate back.
    pub fn sign(identity: &Identity, device: DeviceKey, issued_hours: u32) -> Self {
        let unsigned = Revocation { identity: identity.key(), device, issued_hours, signature: Signature([0; 64]) };
        Revocation { signature: identity.sign(REVOCATION_DOMAIN, &unsigned.body()), ..unsigned }
    }

    /// Appends the statement: version 1, identity 32, device 32, issued 4, signature 64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.body());
        out.extend_from_slice(&self.signature.0);
    }

    /// Reads what [`Revocation::encode`] wrote, and verifies it.
    ///
    /// # Errors
    /// `Malformed`, `UnknownVersion`, `BadSignature`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.u8()? != VERSION {
            return Err(Fault::UnknownVersion);
        }
        let revocation = Revocation {
            identity: IdentityKey(reader.array()?),
            device: DeviceKey(reader.array()?),
            issued_hours: reader.u32()?,
            signature: Signature(reader.array()?),
        };
        verify(&revocation.identity, REVOCATION_DOMAIN, &revocation.body(), &revocation.signature)?;
        Ok(revocation)
    }

    fn body(&self) -> Vec<u8> {
        [&[VERSION][..], &self.identity.0, &self.device.0, &self.issued_hours.to_be_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn identity() -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(5))
    }

    fn fails_with_each_bit_flipped<T>(bytes: &mut [u8], decode: impl Fn(&mut Reader<'_>) -> Result<T, Fault>) {
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut reader = Reader::new(bytes);
            assert!(decode(&mut reader).and_then(|_| reader.finish()).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_certificate_holds_as_it_was_signed_and_no_bit_otherwise() {
        let name = Name::new("Ada's telephone").unwrap();
        let certificate = DeviceCertificate::sign(&identity(), DeviceKey([9; 32]), 500_000, name);
        let mut bytes = Vec::new();
        certificate.encode(&mut bytes);
        assert!(bytes.len() <= DeviceCertificate::LENGTH_MAX);
        assert_eq!(DeviceCertificate::decode(&mut Reader::new(&bytes)), Ok(certificate));
        fails_with_each_bit_flipped(&mut bytes, DeviceCertificate::decode);
    }

    #[test]
    fn a_revocation_holds_as_it_was_signed_and_no_bit_otherwise() {
        let revocation = Revocation::sign(&identity(), DeviceKey([9; 32]), 500_000);
        let mut bytes = Vec::new();
        revocation.encode(&mut bytes);
        assert_eq!(bytes.len(), Revocation::LENGTH);
        assert_eq!(Revocation::decode(&mut Reader::new(&bytes)), Ok(revocation));
        fails_with_each_bit_flipped(&mut bytes, Revocation::decode);
    }

    #[test]
    fn a_revocation_is_not_a_certificate_under_another_name() {
        let identity = identity();
        let revocation = Revocation::sign(&identity, DeviceKey([9; 32]), 7);
        let body = revocation.body();
        assert!(verify(&identity.key(), CERTIFICATE_DOMAIN, &body, &revocation.signature).is_err());
    }
}
