//! Letters: what people say to each other before they share a session, and when a session cannot be used.
//!
//! A letter is sealed for one person, signed by another, and cut over as many cells as it needs; each of these is sealed to
//! the receiver's scan key in addition ([`seal_to_person`](super::seal_to_person)), so that nothing of what stands here in
//! the clear is ever seen on the wire.
//!
//! | length | field |
//! |---|---|
//! | 1 | version 1 |
//! | 1 | kind |
//! | 1 | sealing: 0 to the prekey, 1 to the prekey and under an invitation, 2 under an invitation alone |
//! | 8 | name of the invitation, if there is one |
//! | 1,120 or 32 | X-Wing encapsulation, or for sealing 2 an X25519 key (as a representative) to the scan key |
//! | 16 | authentication tag |
//! | | encrypted: sender's identity 32, minute sent 4, body, signature 64 |

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use mainframe_base::{Fault, IdentityKey, Luminosity, Refusal, ScanKey, Secret, Signature, Time};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::card::{Card, Presence, Region};
use super::elligator::{Ephemeral, point_of};
use super::identity::{Identity, verify};
use super::invitation::{Invitation, InvitationId, InvitationSecret, Inviter, LinkCode};
use super::xwing::{ENCAPSULATED_LENGTH, PublicPrekey};
use crate::codec::Reader;

const KEY_CONTEXT: &str = "mainframe 2026 letter key";
const SIGNATURE_DOMAIN: &[u8] = b"mainframe/letter/1";
const VERSION: u8 = 1;
const MINUTE_MS: u64 = 60_000;
const AUTHENTICATION_LENGTH: usize = 16;

/// The longest letter, in bytes: five cells of the larger class. Larger things are told inside a session.
pub const LETTER_LENGTH_MAX: usize = 80_000;

/// How many bytes a letter is at most longer than its body.
pub const LETTER_OVERHEAD_MAX: usize = 3 + 8 + ENCAPSULATED_LENGTH + AUTHENTICATION_LENGTH + 32 + 4 + 64;

/// What a letter says; `session::contact` knows what follows from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LetterKind {
    /// I would like to talk with you.
    Hello,
    /// Gladly: here are keys for a session.
    Accept,
    /// This greeting comes to nothing. Said by either side.
    Decline,
    /// Here is our session.
    Welcome,
    /// Give me keys, so that I can add you to a session.
    KeysWanted,
    /// Here they are.
    Keys,
    /// I have a new identity.
    Moved,
    /// An account, for a new device of the same person.
    Account,
    /// I may have been left behind in a session: let me in again.
    Back,
}

impl LetterKind {
    /// Every kind, in the order of their numbers on the wire, which begin with 1.
    pub const ALL: [LetterKind; 9] = [
        LetterKind::Hello,
        LetterKind::Accept,
        LetterKind::Decline,
        LetterKind::Welcome,
        LetterKind::KeysWanted,
        LetterKind::Keys,
        LetterKind::Moved,
        LetterKind::Account,
        LetterKind::Back,
    ];

    fn to_byte(self) -> u8 {
        let index = LetterKind::ALL.iter().position(|kind| *kind == self).expect("listed");
        index as u8 + 1
    }

    fn from_byte(byte: u8) -> Option<LetterKind> {
        LetterKind::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// To whom a letter goes: at least one of prekey and secret is there.
#[expect(missing_debug_implementations, reason = "may hold a secret")]
#[derive(Clone)]
pub struct Recipient {
    scan_key: ScanKey,
    regions: Vec<Region>,
    luminosity_floor: Luminosity,
    prekey: Option<PublicPrekey>,
    secret: Option<InvitationSecret>,
}

impl Recipient {
    /// The owner of a card; under the secret of an invitation too, if one is given.
    pub fn of_card(card: &Card, secret: Option<InvitationSecret>) -> Recipient {
        Recipient {
            scan_key: card.scan_key(),
            regions: card.body().regions.clone(),
            luminosity_floor: card.body().luminosity_floor,
            prekey: Some(card.prekey().clone()),
            secret,
        }
    }

    /// Who sent an invitation.
    pub fn of_invitation(invitation: &Invitation) -> Recipient {
        let secret = Some(invitation.secret.clone());
        match &invitation.inviter {
            Inviter::Card(card) => Recipient::of_card(card, secret),
            Inviter::Stub(stub) => Recipient {
                scan_key: stub.scan_key,
                regions: vec![Region {
                    prefix: stub.region,
                    presence: Presence::Drop,
                    until_hours: invitation.expires_hours,
                }],
                luminosity_floor: stub.region.luminosity(),
                prekey: None,
                secret,
            },
        }
    }

    /// A new device that showed its code.
    pub fn of_link(link: &LinkCode) -> Recipient {
        let region = Region { prefix: link.region, presence: Presence::Resident, until_hours: link.expires_hours };
        Recipient {
            scan_key: link.scan_key,
            regions: vec![region],
            luminosity_floor: link.region.luminosity(),
            prekey: None,
            secret: Some(link.secret.clone()),
        }
    }

    /// The key to seal the letter's cells to.
    pub fn scan_key(&self) -> ScanKey {
        self.scan_key
    }

    /// Where to send them, the best first. Whether a stub's region is one where the person's node stands is not told.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// No sender needs to reveal more bits of the person's place than these.
    pub fn luminosity_floor(&self) -> Luminosity {
        self.luminosity_floor
    }

    fn sealing(&self) -> Sealing {
        match (&self.prekey, &self.secret) {
            (Some(_), None) => Sealing::Prekey,
            (Some(_), Some(_)) => Sealing::Both,
            (None, _) => Sealing::Invitation,
        }
    }
}

/// A letter that was sealed for us, and signed by who it says it is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// What kind of letter it is.
    pub kind: LetterKind,
    /// Who signed it.
    pub from: IdentityKey,
    /// The minute, counted from 1970, at which it was sealed by the sender's clock.
    pub sent_minutes: u32,
    /// The invitation whose secret the sender had.
    pub invitation: Option<InvitationId>,
    /// What it says.
    pub body: Vec<u8>,
}

/// Why a letter was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotOpened {
    /// It is no letter, or its signature does not fit.
    #[error("the letter breaks the protocol: {0}")]
    Broken(#[from] Fault),
    /// It was sealed under an invitation that is not, or no longer, ours.
    #[error("the letter answers an invitation that is unknown here, or was withdrawn")]
    UnknownInvitation(InvitationId),
    /// It was sealed with other keys, perhaps those of an old card, or changed on the way.
    #[error("the letter was sealed with other keys, perhaps those of an old card")]
    OtherKeys,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sealing {
    Prekey,
    Both,
    Invitation,
}

impl Sealing {
    fn from_byte(byte: u8) -> Result<Sealing, Fault> {
        [Sealing::Prekey, Sealing::Both, Sealing::Invitation].get(usize::from(byte)).copied().ok_or(Fault::Impossible)
    }
}

/// The minute, counted from 1970, of a moment.
pub fn minutes_of(now: Time) -> u32 {
    (now.0 / MINUTE_MS) as u32
}

/// Seals and signs a letter.
///
/// # Errors
/// `TooLong`, or `WeakKey` if the receiver's scan key is of low order.
pub fn seal_letter(
    rng: &mut impl CryptoRng,
    from: &Identity,
    to: &Recipient,
    kind: LetterKind,
    now: Time,
    body: &[u8],
) -> Result<Vec<u8>, Refusal> {
    if body.len() + LETTER_OVERHEAD_MAX > LETTER_LENGTH_MAX {
        return Err(Refusal::TooLong);
    }
    let mut letter = vec![VERSION, kind.to_byte(), to.sealing() as u8];
    if let Some(secret) = &to.secret {
        letter.extend_from_slice(&secret.id().0);
    }
    let agreed = agree_on_secret(rng, to, &mut letter)?;
    let mut content = Zeroizing::new(content(from.key(), minutes_of(now), body));
    let signature = from.sign(SIGNATURE_DOMAIN, &signed(kind, &to.scan_key, &content));
    content.extend_from_slice(&signature.0);
    let tag = encrypt(&cipher(&agreed, to.secret.as_ref(), &to.scan_key), &letter, &mut content);
    letter.extend_from_slice(&tag);
    letter.extend_from_slice(&content);
    Ok(letter)
}

/// Draws a secret that the receiver gets from what is appended to the letter.
fn agree_on_secret(rng: &mut impl CryptoRng, to: &Recipient, letter: &mut Vec<u8>) -> Result<Secret<32>, Refusal> {
    let Some(prekey) = &to.prekey else {
        let ephemeral = Ephemeral::generate(rng);
        letter.extend_from_slice(&ephemeral.representative());
        return ephemeral.shared(&to.scan_key).ok_or(Refusal::WeakKey);
    };
    let (encapsulated, agreed) = prekey.encapsulate(rng);
    letter.extend_from_slice(&encapsulated);
    Ok(agreed)
}

fn encrypt(cipher: &ChaCha20Poly1305, header: &[u8], content: &mut [u8]) -> [u8; AUTHENTICATION_LENGTH] {
    let tag = cipher.encrypt_inout_detached(&Nonce::default(), header, content.into());
    tag.expect("a letter is far shorter than the cipher's 256 GiB").into()
}

/// Opens a letter sealed for this person. `secret_of` finds the secret of an invitation.
///
/// # Errors
/// See [`NotOpened`].
pub fn open_letter(
    keys: &Identity,
    secret_of: impl FnOnce(InvitationId) -> Option<InvitationSecret>,
    letter: &[u8],
) -> Result<Opened, NotOpened> {
    if letter.len() > LETTER_LENGTH_MAX {
        return Err(Fault::Oversized.into());
    }
    let mut reader = Reader::new(letter);
    if reader.u8()? != VERSION {
        return Err(Fault::UnknownVersion.into());
    }
    let kind = LetterKind::from_byte(reader.u8()?).ok_or(Fault::UnknownFrame)?;
    let sealing = Sealing::from_byte(reader.u8()?)?;
    let invitation = (sealing != Sealing::Prekey).then(|| reader.array()).transpose()?.map(InvitationId);
    let secret = match invitation {
        Some(id) => Some(secret_of(id).ok_or(NotOpened::UnknownInvitation(id))?),
        None => None,
    };
    let agreed = match sealing {
        Sealing::Prekey | Sealing::Both => keys.prekey().decapsulate(&reader.array()?),
        Sealing::Invitation => keys.scan().shared(&point_of(&reader.array()?)).ok_or(Fault::Impossible)?,
    };
    let header = &letter[..letter.len() - reader.remaining()];
    let tag: [u8; AUTHENTICATION_LENGTH] = reader.array()?;
    let mut content = Zeroizing::new(reader.bytes(reader.remaining())?.to_vec());
    cipher(&agreed, secret.as_ref(), &keys.scan_key())
        .decrypt_inout_detached(&Nonce::default(), header, content.as_mut_slice().into(), &tag.into())
        .map_err(|_| NotOpened::OtherKeys)?;
    let (from, sent_minutes, body) = verified(kind, &keys.scan_key(), &content)?;
    Ok(Opened { kind, from, sent_minutes, invitation, body })
}

fn verified(kind: LetterKind, to: &ScanKey, content: &[u8]) -> Result<(IdentityKey, u32, Vec<u8>), Fault> {
    let (content, signature) = content.split_last_chunk().ok_or(Fault::Malformed)?;
    let mut reader = Reader::new(content);
    let (from, sent_minutes) = (IdentityKey(reader.array()?), reader.u32()?);
    verify(&from, SIGNATURE_DOMAIN, &signed(kind, to, content), &Signature(*signature))?;
    Ok((from, sent_minutes, reader.bytes(reader.remaining())?.to_vec()))
}

fn content(from: IdentityKey, sent_minutes: u32, body: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(32 + 4 + body.len() + 64);
    content.extend_from_slice(&from.0);
    content.extend_from_slice(&sent_minutes.to_be_bytes());
    content.extend_from_slice(body);
    content
}

/// What the sender signs. The receiver's key goes in, so that nobody passes a letter on as one to someone else.
fn signed(kind: LetterKind, to: &ScanKey, content: &[u8]) -> Vec<u8> {
    [&[kind.to_byte()][..], &to.0, content].concat()
}

/// The nonce is zero, for each key seals one letter: what was agreed is drawn anew for each. Kind, sealing and
/// encapsulation are bound as associated data.
fn cipher(agreed: &Secret<32>, secret: Option<&InvitationSecret>, to: &ScanKey) -> ChaCha20Poly1305 {
    let mut material = Zeroizing::new([0; 96]);
    material[..32].copy_from_slice(agreed.expose());
    if let Some(secret) = secret {
        material[32..64].copy_from_slice(secret.expose());
    }
    material[64..].copy_from_slice(&to.0);
    let key = Zeroizing::new(blake3::derive_key(KEY_CONTEXT, &*material));
    ChaCha20Poly1305::new((&*key).into())
}

#[cfg(test)]
mod tests {
    use super::super::card::tests::{body, person};
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const NOW: Time = Time(1_800_000_000_000);

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(9)
    }

    fn secret() -> InvitationSecret {
        InvitationSecret::from_bytes([5; 32])
    }

    /// The three ways to seal a letter to person 2.
    fn recipients() -> [Recipient; 3] {
        let card = Card::sign(&person(2), body()).unwrap();
        let invitation = Invitation { inviter: Inviter::Card(card.clone()), secret: secret(), expires_hours: 1 };
        [
            Recipient::of_card(&card, None),
            Recipient::of_invitation(&invitation),
            Recipient::of_invitation(&invitation.shortened()),
        ]
    }

    fn sealed(to: &Recipient) -> Vec<u8> {
        seal_letter(&mut rng(), &person(1), to, LetterKind::Hello, NOW, b"good morning").unwrap()
    }

    fn open(keys: &Identity, letter: &[u8]) -> Result<Opened, NotOpened> {
        open_letter(keys, |id| (id == secret().id()).then(secret), letter)
    }

    #[test]
    fn the_receiver_reads_what_was_written_and_by_whom() {
        for to in recipients() {
            let letter = sealed(&to);
            assert!(letter.len() <= b"good morning".len() + LETTER_OVERHEAD_MAX);
            let opened = open(&person(2), &letter).unwrap();
            assert_eq!(
                (opened.kind, opened.from, &opened.body[..]),
                (LetterKind::Hello, person(1).key(), &b"good morning"[..])
            );
            assert_eq!(opened.sent_minutes, 30_000_000);
            assert_eq!(opened.invitation, to.secret.map(|secret| secret.id()));
        }
    }

    #[test]
    fn nobody_else_reads_it_whatever_he_knows_of_the_invitation() {
        for to in recipients() {
            assert_eq!(open(&person(3), &sealed(&to)), Err(NotOpened::OtherKeys));
        }
    }

    #[test]
    fn without_the_invitation_the_receivers_keys_are_not_enough() {
        let [_, with_card, stub] = recipients();
        for to in [with_card, stub] {
            let other = open_letter(&person(2), |_| Some(InvitationSecret::from_bytes([6; 32])), &sealed(&to));
            assert_eq!(other, Err(NotOpened::OtherKeys));
            let none = open_letter(&person(2), |_| None, &sealed(&to));
            assert_eq!(none, Err(NotOpened::UnknownInvitation(secret().id())));
        }
    }

    #[test]
    fn an_old_prekey_opens_only_what_was_sealed_to_it() {
        let renewed = person(2).with_new_receiving_keys(&mut rng());
        let [to, ..] = recipients();
        assert_eq!(open(&renewed, &sealed(&to)), Err(NotOpened::OtherKeys));
    }

    #[test]
    fn a_letter_cannot_be_passed_on_as_one_to_somebody_else() {
        let [to, ..] = recipients();
        let content = content(person(1).key(), minutes_of(NOW), b"good morning");
        let signature = person(1).sign(SIGNATURE_DOMAIN, &signed(LetterKind::Hello, &to.scan_key, &content));
        let whole = [&content[..], &signature.0].concat();
        assert!(verified(LetterKind::Hello, &to.scan_key, &whole).is_ok());
        assert_eq!(verified(LetterKind::Hello, &person(3).scan_key(), &whole), Err(Fault::BadSignature));
        assert_eq!(verified(LetterKind::Decline, &to.scan_key, &whole), Err(Fault::BadSignature));
    }

    #[test]
    fn what_is_too_long_is_refused_on_both_sides() {
        let [to, ..] = recipients();
        let longest = vec![0; LETTER_LENGTH_MAX - LETTER_OVERHEAD_MAX];
        let mut letter = seal_letter(&mut rng(), &person(1), &to, LetterKind::Welcome, NOW, &longest).unwrap();
        assert!(open(&person(2), &letter).is_ok());
        let too_long =
            seal_letter(&mut rng(), &person(1), &to, LetterKind::Welcome, NOW, &[&longest[..], &[0]].concat());
        assert_eq!(too_long, Err(Refusal::TooLong));
        letter.resize(LETTER_LENGTH_MAX + 1, 0);
        assert_eq!(open(&person(2), &letter), Err(NotOpened::Broken(Fault::Oversized)));
    }

    #[test]
    fn two_letters_of_the_same_words_share_nothing() {
        let mut rng = rng();
        for to in recipients() {
            let mut seal = || seal_letter(&mut rng, &person(1), &to, LetterKind::Hello, NOW, b"good morning").unwrap();
            let (one, other) = (seal(), seal());
            let header = if to.secret.is_some() { 11 } else { 3 };
            assert!(one[header..].windows(8).all(|part| !other[header..].windows(8).any(|window| window == part)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_changed_cut_or_invented_letter_is_opened(
            noise: Vec<u8>, way in 0_usize..3, at: prop::sample::Index, with in 1_u8.., cut: prop::sample::Index,
        ) {
            prop_assert!(open(&person(2), &noise).is_err());
            let mut letter = sealed(&recipients()[way]);
            prop_assert!(open(&person(2), &letter[..cut.index(letter.len())]).is_err());
            let at = at.index(letter.len());
            letter[at] ^= with;
            prop_assert!(open(&person(2), &letter).is_err());
        }
    }
}
