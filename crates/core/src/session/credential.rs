//! What a device says of itself in a session, and signs with its key package: its person's certificate, and if it asks to
//! come back, where and when. By that everyone can see that a commit which puts it out and in again is its own wish.

use mainframe_base::{IdentityKey, SessionId};

use super::epoch::Seat;
use crate::codec::Reader;
use crate::crypto::DeviceCertificate;

/// Between two times at which a device comes back to a session, in minutes: each costs the others a decision (guess).
const PAUSE_MINUTES: u32 = 60;

/// A leaf's credential: the certificate | if it asks to come back: session 16, minutes since 1970 4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Credential {
    pub(crate) certificate: DeviceCertificate,
    asked: Option<(SessionId, u32)>,
}

impl Credential {
    /// Of a device that comes in somewhere.
    pub(crate) fn of(certificate: DeviceCertificate) -> Credential {
        Credential { certificate, asked: None }
    }

    /// Of a device that asks to come back into a session, at this minute.
    pub(crate) fn back(certificate: DeviceCertificate, session: SessionId, minutes: u32) -> Credential {
        Credential { certificate, asked: Some((session, minutes)) }
    }

    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.certificate.encode(&mut out);
        if let Some((session, minutes)) = self.asked {
            out.extend_from_slice(&session.0);
            out.extend_from_slice(&minutes.to_be_bytes());
        }
        out
    }

    /// Reads a credential, whoever signed the certificate in it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Credential> {
        let mut reader = Reader::new(bytes);
        let certificate = DeviceCertificate::decode_verified(&mut reader).ok()?;
        let asked = match reader.remaining() {
            0 => None,
            _ => Some((SessionId(reader.array().ok()?), reader.u32().ok()?)),
        };
        reader.finish().ok()?;
        Some(Credential { certificate, asked })
    }

    /// Reads a credential whose certificate its person signed.
    pub(crate) fn verified(bytes: &[u8]) -> Option<Credential> {
        Credential::read(bytes).filter(|credential| credential.certificate.verify().is_ok())
    }

    /// Whose it is.
    pub(crate) fn person(&self) -> IdentityKey {
        self.certificate.identity
    }

    /// When it asked to come back into a session, in minutes since 1970; 0 if it never did.
    pub(crate) fn asked_minutes(&self, session: &SessionId) -> u32 {
        self.asked.filter(|(of, _)| of == session).map_or(0, |(_, minutes)| minutes)
    }

    /// Whether it asked for its own seat, and later than it did when it took that one: a key package serves once.
    pub(super) fn comes_back_to(&self, seat: &Seat, session: &SessionId) -> bool {
        let is_same = (self.certificate.identity, self.certificate.device) == (seat.person, seat.device);
        let earliest = seat.asked_minutes.saturating_add(PAUSE_MINUTES);
        is_same && self.asked_minutes(session) >= earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Identity, Name};
    use mainframe_base::DeviceKey;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const SESSION: SessionId = SessionId([5; 16]);

    fn certificate() -> DeviceCertificate {
        let identity = Identity::generate(&mut ChaCha20Rng::from_seed([1; 32]));
        DeviceCertificate::sign(&identity, DeviceKey([2; 32]), 9, Name::new("phone").unwrap())
    }

    #[test]
    fn a_credential_comes_back_from_its_bytes() {
        for credential in [Credential::of(certificate()), Credential::back(certificate(), SESSION, 7)] {
            assert_eq!(Credential::verified(&credential.encode()), Some(credential));
        }
    }

    #[test]
    fn a_device_comes_back_to_its_own_seat_in_that_session_and_once() {
        let certificate = certificate();
        let (device, person) = (certificate.device, certificate.identity);
        let seat = |asked_minutes| Seat { leaf: 3, device, person, asked_minutes };
        let credential = Credential::back(certificate.clone(), SESSION, 700);
        assert!(credential.comes_back_to(&seat(0), &SESSION) && credential.comes_back_to(&seat(640), &SESSION));
        assert!(
            !credential.comes_back_to(&seat(641), &SESSION) && !credential.comes_back_to(&seat(u32::MAX), &SESSION)
        );
        assert!(!credential.comes_back_to(&seat(0), &SessionId([6; 16])));
        assert!(!credential.comes_back_to(&Seat { device: DeviceKey([3; 32]), ..seat(0) }, &SESSION));
        assert!(!Credential::of(certificate).comes_back_to(&seat(0), &SESSION));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_credential_or_none(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = Credential::read(&bytes);
            let mut longer = Credential::of(certificate()).encode();
            longer.extend_from_slice(&tail);
            if let Some(read) = Credential::verified(&longer) {
                prop_assert_eq!(read.encode(), longer);
            }
        }
    }
}
