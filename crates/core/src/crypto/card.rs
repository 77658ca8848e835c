//! A person's card: all that somebody needs who wants to write to him for the first time.
//!
//! | length | field |
//! |---|---|
//! | 1 | version 1 |
//! | 2 | cipher suite of the person's sessions: 0x004F |
//! | 32 | identity key |
//! | 32 | scan key |
//! | 1,216 | X-Wing prekey |
//! | 1 | luminosity floor |
//! | 1 | number of regions, 1 to 4 |
//! | 6 to 37 each | regions: luminosity 1, its bits in whole bytes, drop bit and hours until which it holds 4 |
//! | 4 | issued, hours since 1970; of two cards of a person the later holds |
//! | 4 | expires, hours since 1970 |
//! | 1 to 65 | display name: length 1, UTF-8 |
//! | 64 | ed25519 signature by the identity over "mainframe/card/1" and all bytes before |

use std::fmt;
use std::str::FromStr;

use mainframe_base::{Address, Fault, IdentityKey, Luminosity, Prefix, ScanKey, Secret, Signature, Time};

use super::code::{CodeKind, ParseCodeError, from_text, to_text};
use super::elligator::agree;
use super::identity::{Identity, verify};
use super::name::Name;
use super::xwing::PublicPrekey;
use crate::codec::Reader;

/// The MLS cipher suite of all sessions: X-Wing, AES-128-GCM, SHA-256, Ed25519 (docs/protocol/session.md).
pub const SUITE: u16 = 0x004F;

const DOMAIN: &[u8] = b"mainframe/card/1";
const VERSION: u8 = 1;
const HOUR_MS: u64 = 3_600_000;

/// The bit of a region's hours that says it is a drop.
const DROP_BIT: u32 = 1 << 31;

/// Regions on a card: where one lives, where one lived before, and two to spare (guess).
const REGIONS_MAX: usize = 4;

/// The hour, counted from 1970, of a moment.
pub fn hours_of(now: Time) -> u32 {
    (now.0 / HOUR_MS) as u32
}

/// The moment at which an hour, counted from 1970, begins.
pub fn beginning_of(hours: u32) -> Time {
    Time(u64::from(hours) * HOUR_MS)
}

/// How a person listens to a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// A node of the person's stands in it.
    Resident,
    /// It is attended from elsewhere: what is sent there must be held.
    Drop,
}

/// Where a person listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The region.
    pub prefix: Prefix,
    /// How the person listens to it.
    pub presence: Presence,
    /// Until when, in hours since 1970; below 2^31.
    pub until_hours: u32,
}

impl Region {
    fn encode(&self, out: &mut Vec<u8>) {
        put_prefix(out, &self.prefix);
        let drop = if self.presence == Presence::Drop { DROP_BIT } else { 0 };
        out.extend_from_slice(&(self.until_hours | drop).to_be_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Region, Fault> {
        let prefix = read_prefix(reader)?;
        let hours = reader.u32()?;
        let presence = if hours & DROP_BIT == 0 { Presence::Resident } else { Presence::Drop };
        Ok(Region { prefix, presence, until_hours: hours & !DROP_BIT })
    }
}

/// What a person says on a card; the keys follow from the identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardBody {
    /// No sender needs to reveal more bits of the person's place than these.
    pub luminosity_floor: Luminosity,
    /// Where the person listens, one to four regions, the best first.
    pub regions: Vec<Region>,
    /// When it is signed, in hours since 1970. Later than any card before: of two of one hour neither replaces the other.
    pub issued_hours: u32,
    /// From when on nobody should use it, in hours since 1970.
    pub expires_hours: u32,
    /// What the person wants to be called. Nobody checks it.
    pub name: Name,
}

/// Why no card can be made of this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnsuitableCard {
    /// None or more than four.
    #[error("a card names one to four regions")]
    Regions,
    /// It expires before it is issued, or a region's hours are beyond 2^31.
    #[error("a card expires after it is issued, and its hours count from 1970")]
    Hours,
    /// Name and regions together are too long.
    #[error("name and regions are too long for one card; shorten the name, or name fewer or darker regions")]
    TooLong,
}

/// A card as its person signed it. There is no other: what does not verify is not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    identity: IdentityKey,
    scan_key: ScanKey,
    prekey: PublicPrekey,
    body: CardBody,
    signature: Signature,
}

impl Card {
    /// The longest card, in bytes: two cells hold a greeting with the longest card and the longest text.
    pub const LENGTH_MAX: usize = 1_450;

    /// Signs a card.
    ///
    /// # Errors
    /// See [`UnsuitableCard`].
    pub fn sign(identity: &Identity, body: CardBody) -> Result<Card, UnsuitableCard> {
        if body.regions.is_empty() || body.regions.len() > REGIONS_MAX {
            return Err(UnsuitableCard::Regions);
        }
        let in_range = body.regions.iter().all(|region| region.until_hours < DROP_BIT);
        if body.expires_hours <= body.issued_hours || !in_range {
            return Err(UnsuitableCard::Hours);
        }
        let (scan_key, prekey) = (identity.scan_key(), identity.prekey().public());
        let mut card = Card { identity: identity.key(), scan_key, prekey, body, signature: Signature([0; 64]) };
        let bytes = card.signed_bytes();
        if bytes.len() + 64 > Card::LENGTH_MAX {
            return Err(UnsuitableCard::TooLong);
        }
        card.signature = identity.sign(DOMAIN, &bytes);
        Ok(card)
    }

    /// Whose card it is.
    pub fn identity(&self) -> IdentityKey {
        self.identity
    }

    /// The key that letters are sealed to.
    pub fn scan_key(&self) -> ScanKey {
        self.scan_key
    }

    /// The prekey.
    pub fn prekey(&self) -> &PublicPrekey {
        &self.prekey
    }

    /// What the person says.
    pub fn body(&self) -> &CardBody {
        &self.body
    }

    /// Whether nobody should use it any more.
    pub fn is_expired(&self, now: Time) -> bool {
        hours_of(now) >= self.body.expires_hours
    }

    /// BLAKE3 of all bytes.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.to_bytes()).as_bytes()
    }

    /// The card as it stands in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed_bytes();
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// Reads what [`Card::to_bytes`] wrote, and verifies it. Whether it is expired is not looked at.
    ///
    /// # Errors
    /// `UnknownVersion` for another version or suite, `Malformed`, `Oversized`, `Impossible` for keys that hide nothing
    /// and fields that mean nothing, `BadSignature`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Card, Fault> {
        let card = Card::decode_kept(reader)?;
        verify(&card.identity, DOMAIN, &card.signed_bytes(), &card.signature)?;
        if is_usable(&card.scan_key) { Ok(card) } else { Err(Fault::Impossible) }
    }

    /// Reads a card that was verified before it was kept in our own store, and does not verify it again.
    ///
    /// # Errors
    /// As [`Card::decode`], except for what takes curve arithmetic to find out.
    pub fn decode_kept(reader: &mut Reader<'_>) -> Result<Card, Fault> {
        let length_before = reader.remaining();
        if reader.u8()? != VERSION || reader.u16()? != SUITE {
            return Err(Fault::UnknownVersion);
        }
        let card = Card {
            identity: IdentityKey(reader.array()?),
            scan_key: ScanKey(reader.array()?),
            prekey: PublicPrekey::from_bytes(&reader.array()?).ok_or(Fault::Impossible)?,
            body: decode_body(reader)?,
            signature: Signature(reader.array()?),
        };
        if length_before - reader.remaining() > Card::LENGTH_MAX { Err(Fault::Oversized) } else { Ok(card) }
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Card::LENGTH_MAX);
        out.push(VERSION);
        out.extend_from_slice(&SUITE.to_be_bytes());
        out.extend_from_slice(&self.identity.0);
        out.extend_from_slice(&self.scan_key.0);
        out.extend_from_slice(self.prekey.as_bytes());
        out.push(self.body.luminosity_floor.to_byte());
        out.push(u8::try_from(self.body.regions.len()).expect("at most four"));
        self.body.regions.iter().for_each(|region| region.encode(&mut out));
        out.extend_from_slice(&self.body.issued_hours.to_be_bytes());
        out.extend_from_slice(&self.body.expires_hours.to_be_bytes());
        self.body.name.encode(&mut out);
        out
    }
}

fn decode_body(reader: &mut Reader<'_>) -> Result<CardBody, Fault> {
    let luminosity_floor = Luminosity::from_byte(reader.u8()?);
    let regions = match usize::from(reader.u8()?) {
        0 => return Err(Fault::Impossible),
        count if count > REGIONS_MAX => return Err(Fault::Oversized),
        count => (0..count).map(|_| Region::decode(reader)).collect::<Result<_, _>>()?,
    };
    let (issued_hours, expires_hours) = (reader.u32()?, reader.u32()?);
    if expires_hours <= issued_hours {
        return Err(Fault::Impossible);
    }
    Ok(CardBody { luminosity_floor, regions, issued_hours, expires_hours, name: Name::decode(reader)? })
}

/// Whether sealing to the key hides anything: any X25519 secret tells.
pub(super) fn is_usable(scan_key: &ScanKey) -> bool {
    let (_, usable) = agree(&Secret::new([0; 32]), &scan_key.0);
    usable.into()
}

/// Appends a prefix: its luminosity, then its bits in whole bytes, zeros behind them.
pub(super) fn put_prefix(out: &mut Vec<u8>, prefix: &Prefix) {
    out.push(prefix.luminosity().to_byte());
    out.extend_from_slice(&prefix.first_address().0[..usize::from(prefix.luminosity().bits().div_ceil(8))]);
}

/// Reads what [`put_prefix`] wrote.
pub(super) fn read_prefix(reader: &mut Reader<'_>) -> Result<Prefix, Fault> {
    let luminosity = Luminosity::from_byte(reader.u8()?);
    let bits = reader.bytes(usize::from(luminosity.bits().div_ceil(8)))?;
    let mut address = Address([0; 32]);
    address.0[..bits.len()].copy_from_slice(bits);
    let prefix = Prefix::of(&address, luminosity);
    if prefix.first_address() == address { Ok(prefix) } else { Err(Fault::Impossible) }
}

/// `mfc:` and the card's bytes in base64url.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(CodeKind::Card, &self.to_bytes()))
    }
}

impl FromStr for Card {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_text(CodeKind::Card, text, Card::decode)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    pub(crate) fn person(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    pub(crate) fn body() -> CardBody {
        let prefix = "0110".parse().unwrap();
        CardBody {
            luminosity_floor: Luminosity::at_most(4),
            regions: vec![Region { prefix, presence: Presence::Resident, until_hours: 500_100 }],
            issued_hours: 500_000,
            expires_hours: 510_000,
            name: Name::new("Ada").unwrap(),
        }
    }

    /// The longest card there is with four regions: dark ones, as regions on cards should be.
    fn longest() -> CardBody {
        let region =
            |text: &str| Region { prefix: text.parse().unwrap(), presence: Presence::Drop, until_hours: 500_200 };
        CardBody {
            regions: ["a3f0/16", "a4f0/16", "a5f0/16", "a6f0/16"].map(region).to_vec(),
            name: Name::new(&"a".repeat(64)).unwrap(),
            ..body()
        }
    }

    fn decode(bytes: &[u8]) -> Result<Card, Fault> {
        let mut reader = Reader::new(bytes);
        let card = Card::decode(&mut reader)?;
        reader.finish()?;
        Ok(card)
    }

    #[test]
    fn a_card_comes_back_from_its_bytes_and_its_text() {
        for body in [body(), longest()] {
            let card = Card::sign(&person(1), body).unwrap();
            assert_eq!(decode(&card.to_bytes()), Ok(card.clone()));
            assert_eq!(card.to_string().parse::<Card>(), Ok(card.clone()));
            let broken_into_lines: String =
                card.to_string().chars().flat_map(|letter| [letter, '\n']).skip(8).collect();
            assert_eq!(format!("  mfc:{broken_into_lines}").parse::<Card>(), Ok(card));
        }
    }

    #[test]
    fn the_longest_name_and_four_dark_regions_fit_one_card() {
        let card = Card::sign(&person(1), longest()).unwrap();
        assert_eq!(card.to_bytes().len(), Card::LENGTH_MAX);
        assert_eq!(Card::sign(&person(1), body()).unwrap().to_bytes().len(), 1_367);
    }

    #[test]
    fn what_is_no_card_is_not_signed() {
        let sign = |body| Card::sign(&person(1), body).unwrap_err();
        assert_eq!(sign(CardBody { regions: vec![], ..body() }), UnsuitableCard::Regions);
        assert_eq!(sign(CardBody { regions: body().regions.repeat(5), ..body() }), UnsuitableCard::Regions);
        assert_eq!(sign(CardBody { expires_hours: 500_000, ..body() }), UnsuitableCard::Hours);
        let full = Prefix::of(&Address([7; 32]), Luminosity::FULL);
        let bright = Region { prefix: full, ..body().regions[0] };
        assert_eq!(sign(CardBody { regions: vec![bright], ..longest() }), UnsuitableCard::TooLong);
        assert!(Card::sign(&person(1), CardBody { regions: vec![bright], ..body() }).is_ok());
    }

    #[test]
    fn no_bit_of_a_card_can_be_changed() {
        let mut bytes = Card::sign(&person(1), body()).unwrap().to_bytes();
        // The prekey's bits are tried in steps, since each try that reaches the signature takes its time.
        let steps = |bit: &usize| !(67 * 8..1_283 * 8).contains(bit) || bit.is_multiple_of(97);
        for bit in (0..bytes.len() * 8).filter(steps) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decode(&bytes).is_ok());
    }

    #[test]
    fn a_card_that_would_hide_nothing_is_refused_though_it_is_signed() {
        let identity = person(1);
        let mut card = Card::sign(&identity, body()).unwrap();
        card.scan_key = ScanKey([0; 32]);
        card.signature = identity.sign(DOMAIN, &card.signed_bytes());
        assert_eq!(decode(&card.to_bytes()), Err(Fault::Impossible));
    }

    #[test]
    fn a_text_that_is_no_card_says_what_is_wrong() {
        let text = Card::sign(&person(1), body()).unwrap().to_string();
        let parse = |text: &str| text.parse::<Card>().unwrap_err();
        let kind = CodeKind::Card;
        assert_eq!(parse(&text[4..]), ParseCodeError::Scheme(kind));
        assert_eq!(parse(&text.replace("mfc:", "mfc:+")), ParseCodeError::Letters(kind));
        assert_eq!(parse(&text[..400]), ParseCodeError::Unreadable(kind, Fault::Malformed));
        assert_eq!(parse(&text.replacen("mfc:A", "mfc:B", 1)), ParseCodeError::Later(kind));
        let (rest, last) = text.split_at(text.len() - 4);
        assert_eq!(
            parse(&format!("{rest}{}", if last == "AAAA" { "AAAB" } else { "AAAA" })),
            ParseCodeError::Forged(kind)
        );
        assert!(parse("mfc").to_string().contains("from `mfc:` to the end"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn arbitrary_and_mutated_cards_never_panic_and_are_never_accepted(
            noise: Vec<u8>, at in 0_usize..1_367, with in 1_u8.., cut in 0_usize..1_367,
        ) {
            let _ = decode(&noise);
            let mut bytes = Card::sign(&person(1), body()).unwrap().to_bytes();
            prop_assert!(decode(&bytes[..cut]).is_err());
            bytes[at] ^= with;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn prefixes_have_one_encoding(address: [u8; 32], byte: u8, noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let prefix = Prefix::of(&Address(address), Luminosity::from_byte(byte));
            let mut bytes = Vec::new();
            put_prefix(&mut bytes, &prefix);
            prop_assert_eq!(read_prefix(&mut Reader::new(&bytes)), Ok(prefix));
            if let Ok(prefix) = read_prefix(&mut Reader::new(&noise)) {
                let mut again = Vec::new();
                put_prefix(&mut again, &prefix);
                prop_assert!(noise.starts_with(&again));
            }
        }
    }
}
