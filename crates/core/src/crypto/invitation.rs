//! Invitations: an address given to somebody together with a secret, by which he is known when he writes.
//!
//! A link or a file holds the whole card. A picture to be scanned holds a stub, which is short because it leaves out the
//! prekey: what is sealed to a stub rests on the secret instead. The secret comes from hand to hand, so no quantum computer
//! that sees only the wire gets at it.

use mainframe_base::{DeviceKey, Fault, IdentityKey, Luminosity, Prefix, ScanKey, Secret, Time};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::card::{Card, beginning_of, hours_of, is_usable, put_prefix, read_prefix};
use super::code::{CodeKind, ParseCodeError, from_text, to_text};
use super::name::Name;
use super::random_secret;
use crate::codec::Reader;

const ID_CONTEXT: &str = "mainframe 2026 invitation id";
const STUB_VERSION: u8 = 1;
const CARD_VERSION: u8 = 2;
const LINK_VERSION: u8 = 1;

/// The most bits of its region that a stub tells, so that it stays short. A region of fewer bits holds one of more,
/// and no network has two nodes that share 128.
const STUB_LUMINOSITY_MAX: u16 = 128;

/// By which an invitation is found again without telling its secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct InvitationId(pub [u8; 8]);

/// What inviter and invited share.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct InvitationSecret(Secret<32>);

impl InvitationSecret {
    /// Draws a new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        InvitationSecret(random_secret(rng))
    }

    /// The secret of these bytes, as they were stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        InvitationSecret(Secret::new(bytes))
    }

    /// The bytes, to be stored sealed.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The name of the invitation, from which nobody gets the secret.
    pub fn id(&self) -> InvitationId {
        let hash = Zeroizing::new(blake3::derive_key(ID_CONTEXT, self.expose()));
        InvitationId(*hash.first_chunk().expect("32 bytes begin with 8"))
    }
}

/// As much of a card as a picture holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stub {
    /// Whose it is.
    pub identity: IdentityKey,
    /// The key that letters are sealed to.
    pub scan_key: ScanKey,
    /// Where the person listens, at most 128 bits of it.
    pub region: Prefix,
    /// BLAKE3 of the card's bytes: pins the prekey of the card, should it come another way.
    pub card_hash: [u8; 32],
}

impl Stub {
    /// The stub of a card.
    pub fn of(card: &Card) -> Stub {
        let region = card.body().regions.first().expect("a card has a region").prefix;
        let luminosity = Luminosity::at_most(region.luminosity().bits().min(STUB_LUMINOSITY_MAX));
        Stub {
            identity: card.identity(),
            scan_key: card.scan_key(),
            region: Prefix::of(&region.first_address(), luminosity),
            card_hash: card.hash(),
        }
    }
}

/// Who invites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inviter {
    /// All of the card, in a link or a file.
    Card(Card),
    /// As much as a picture holds.
    Stub(Stub),
}

/// An invitation as it is handed over. Whether it may be used once or often is the inviter's knowledge.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct Invitation {
    /// Who invites.
    pub inviter: Inviter,
    /// What both share.
    pub secret: InvitationSecret,
    /// From when on it is worth nothing, in hours since 1970.
    pub expires_hours: u32,
}

impl Invitation {
    /// Who invites.
    pub fn identity(&self) -> IdentityKey {
        match &self.inviter {
            Inviter::Card(card) => card.identity(),
            Inviter::Stub(stub) => stub.identity,
        }
    }

    /// Whether it is worth nothing any more.
    pub fn is_expired(&self, now: Time) -> bool {
        hours_of(now) >= self.expires_hours
    }

    /// The same, short enough for a picture.
    pub fn shortened(&self) -> Invitation {
        match &self.inviter {
            Inviter::Card(card) => Invitation { inviter: Inviter::Stub(Stub::of(card)), ..self.clone() },
            Inviter::Stub(_) => self.clone(),
        }
    }

    /// The invitation as it stands in a file. Whoever sees it is invited.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(Card::LENGTH_MAX + 37));
        out.push(if matches!(self.inviter, Inviter::Stub(_)) { STUB_VERSION } else { CARD_VERSION });
        out.extend_from_slice(self.secret.expose());
        out.extend_from_slice(&self.expires_hours.to_be_bytes());
        match &self.inviter {
            Inviter::Card(card) => out.extend_from_slice(&card.to_bytes()),
            Inviter::Stub(stub) => {
                out.extend_from_slice(&stub.identity.0);
                out.extend_from_slice(&stub.scan_key.0);
                out.extend_from_slice(&stub.card_hash);
                put_prefix(&mut out, &stub.region);
            }
        }
        out
    }

    /// Reads what [`Invitation::to_bytes`] wrote; verifies the card, if it holds one.
    ///
    /// # Errors
    /// As [`Card::decode`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Invitation, Fault> {
        let version = reader.u8()?;
        let secret = InvitationSecret::from_bytes(reader.array()?);
        let expires_hours = reader.u32()?;
        let inviter = match version {
            STUB_VERSION => Inviter::Stub(decode_stub(reader)?),
            CARD_VERSION => Inviter::Card(Card::decode(reader)?),
            _ => return Err(Fault::UnknownVersion),
        };
        Ok(Invitation { inviter, secret, expires_hours })
    }

    /// `mfi:` and the bytes in base64url. Whoever sees it is invited.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(to_text(CodeKind::Invitation, &self.to_bytes()))
    }

    /// Reads what [`Invitation::reveal`] wrote.
    ///
    /// # Errors
    /// See [`ParseCodeError`].
    pub fn parse(text: &str) -> Result<Invitation, ParseCodeError> {
        from_text(CodeKind::Invitation, text, Invitation::decode)
    }
}

fn decode_stub(reader: &mut Reader<'_>) -> Result<Stub, Fault> {
    let stub = Stub {
        identity: IdentityKey(reader.array()?),
        scan_key: ScanKey(reader.array()?),
        card_hash: reader.array()?,
        region: read_prefix(reader)?,
    };
    let is_dark = stub.region.luminosity().bits() <= STUB_LUMINOSITY_MAX;
    if is_dark && is_usable(&stub.scan_key) { Ok(stub) } else { Err(Fault::Impossible) }
}

/// What a new device shows to one that its person already uses: where to send the account, and under which secret.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct LinkCode {
    /// A key drawn for this one letter.
    pub scan_key: ScanKey,
    /// Where the new device listens.
    pub region: Prefix,
    /// The key the new device will have in sessions, so that the old one can certify it.
    pub device: DeviceKey,
    /// What the new device would like to be called.
    pub name: Name,
    /// What both share.
    pub secret: InvitationSecret,
    /// From when on it is worth nothing, in hours since 1970.
    pub expires_hours: u32,
}

impl LinkCode {
    /// The moment from which on it is worth nothing.
    pub fn ends(&self) -> Time {
        beginning_of(self.expires_hours)
    }

    /// Whether it is worth nothing any more.
    pub fn is_expired(&self, now: Time) -> bool {
        now >= self.ends()
    }

    /// Version 1, secret 32, expires 4, scan key 32, device key 32, region, name.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(134 + 1 + Name::LENGTH_MAX));
        out.push(LINK_VERSION);
        out.extend_from_slice(self.secret.expose());
        out.extend_from_slice(&self.expires_hours.to_be_bytes());
        out.extend_from_slice(&self.scan_key.0);
        out.extend_from_slice(&self.device.0);
        put_prefix(&mut out, &self.region);
        self.name.encode(&mut out);
        out
    }

    /// `mfl:` and the bytes in base64url. Whoever sees it can pretend to be the person's old device.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(to_text(CodeKind::Link, &self.to_bytes()))
    }

    /// Reads what [`LinkCode::reveal`] wrote.
    ///
    /// # Errors
    /// See [`ParseCodeError`].
    pub fn parse(text: &str) -> Result<LinkCode, ParseCodeError> {
        from_text(CodeKind::Link, text, LinkCode::decode)
    }

    /// Reads what [`LinkCode::to_bytes`] wrote.
    ///
    /// # Errors
    /// `Malformed`, `UnknownVersion`, `Oversized` or `Impossible`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<LinkCode, Fault> {
        if reader.u8()? != LINK_VERSION {
            return Err(Fault::UnknownVersion);
        }
        let secret = InvitationSecret::from_bytes(reader.array()?);
        let expires_hours = reader.u32()?;
        let (scan_key, device) = (ScanKey(reader.array()?), DeviceKey(reader.array()?));
        let (region, name) = (read_prefix(reader)?, Name::decode(reader)?);
        let link = LinkCode { scan_key, region, device, name, secret, expires_hours };
        if is_usable(&link.scan_key) { Ok(link) } else { Err(Fault::Impossible) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::card::tests::{body, person};
    use super::super::card::{CardBody, Presence, Region};
    use super::*;
    use mainframe_base::Address;
    use proptest::prelude::*;

    fn invitation(body: CardBody) -> Invitation {
        let card = Card::sign(&person(1), body).unwrap();
        let secret = InvitationSecret::from_bytes([5; 32]);
        Invitation { inviter: Inviter::Card(card), secret, expires_hours: 500_024 }
    }

    #[test]
    fn an_invitation_comes_back_from_its_text_whole_and_shortened() {
        for invitation in [invitation(body()), invitation(body()).shortened()] {
            let again = Invitation::parse(&invitation.reveal()).unwrap();
            assert_eq!(again.inviter, invitation.inviter);
            assert_eq!(again.secret.expose(), invitation.secret.expose());
            assert_eq!(again.expires_hours, invitation.expires_hours);
        }
    }

    #[test]
    fn a_picture_holds_the_longest_stub() {
        let prefix = Prefix::of(&Address([7; 32]), Luminosity::FULL);
        let bright = Region { prefix, presence: Presence::Resident, until_hours: 1 };
        let stub = invitation(CardBody { regions: vec![bright], ..body() }).shortened();
        assert_eq!((stub.to_bytes().len(), stub.reveal().len()), (150, 204));
        assert!(Invitation::parse(&stub.reveal()).is_ok());
        assert_eq!(invitation(body()).shortened().reveal().len(), 184);
    }

    #[test]
    fn an_invitation_holds_until_its_hour() {
        let invitation = invitation(body());
        assert!(!invitation.is_expired(Time(500_024 * 3_600_000 - 1)));
        assert!(invitation.is_expired(Time(500_024 * 3_600_000)));
    }

    #[test]
    fn a_link_comes_back_from_its_text() {
        let link = LinkCode {
            scan_key: person(1).scan_key(),
            region: "0110".parse().unwrap(),
            device: DeviceKey([3; 32]),
            name: Name::new("tablet").unwrap(),
            secret: InvitationSecret::from_bytes([5; 32]),
            expires_hours: 500_001,
        };
        let again = LinkCode::parse(&link.reveal()).unwrap();
        assert_eq!((again.scan_key, again.region, again.device), (link.scan_key, link.region, link.device));
        assert_eq!((again.secret.expose(), &again.name), (link.secret.expose(), &link.name));
        assert!(link.reveal().len() <= 210);
        assert!(!link.is_expired(Time(500_001 * 3_600_000 - 1)) && link.is_expired(Time(500_001 * 3_600_000)));
        let of_low_order = LinkCode { scan_key: ScanKey([0; 32]), ..link };
        let error = ParseCodeError::Unreadable(CodeKind::Link, Fault::Impossible);
        assert_eq!(LinkCode::parse(&of_low_order.reveal()).err(), Some(error));
    }

    proptest! {
        #[test]
        fn arbitrary_and_mutated_codes_never_panic(noise: Vec<u8>, text: String, at in 0_usize..138, with: u8) {
            let _ = Invitation::decode(&mut Reader::new(&noise));
            let _ = LinkCode::decode(&mut Reader::new(&noise));
            let _ = Invitation::parse(&format!("mfi:{text}"));
            let mut bytes = invitation(body()).shortened().to_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= with;
            if let Ok(read) = Invitation::decode(&mut Reader::new(&bytes)) {
                prop_assert!(bytes.starts_with(&read.to_bytes()));
            }
        }
    }
}
