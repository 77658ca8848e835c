//! What letters weigh, and that no bytes from outside do harm.

use mainframe_base::{DeviceKey, Fault, SessionId};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::*;
use super::world::{START, card_of};
use crate::crypto::{
    CardBody, DeviceCertificate, Identity, Invitation, InvitationSecret, Inviter, LetterKind, Name, Presence,
    Recipient, Region, Revocation, seal_letter,
};

/// What one cell of the smaller class carries of a letter (docs/protocol/packet.md).
const CELL: usize = 1_688;

fn person(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn longest_card(identity: &Identity) -> Card {
    let region = Region { prefix: "a3f0/16".parse().unwrap(), presence: Presence::Drop, until_hours: 600_000 };
    let body = CardBody {
        regions: vec![region; 4],
        name: Name::new(&"a".repeat(64)).unwrap(),
        ..card_of(identity, START).body().clone()
    };
    let card = Card::sign(identity, body).unwrap();
    assert_eq!(card.to_bytes().len(), Card::LENGTH_MAX);
    card
}

/// Bytes of a letter to somebody known by a card under an invitation: of the three ways to seal, the longest.
fn sealed_length(kind: LetterKind, body: &[u8]) -> usize {
    let invitation = Invitation {
        inviter: Inviter::Card(longest_card(&person(2))),
        secret: InvitationSecret::from_bytes([5; 32]),
        expires_hours: 1,
    };
    let (mut rng, to) = (ChaCha20Rng::seed_from_u64(3), Recipient::of_invitation(&invitation));
    seal_letter(&mut rng, &person(1), &to, kind, START, body).unwrap().len()
}

fn hello() -> Hello {
    Hello { id: HelloId([1; 16]), text: "a".repeat(TEXT_LENGTH_MAX), card: longest_card(&person(1)) }
}

fn accept() -> Accept {
    Accept { hello: HelloId([1; 16]), packages: vec![vec![7; 2_714]], card: longest_card(&person(1)) }
}

fn welcome() -> Welcome {
    let about = About::Session(SessionId([2; 16]));
    Welcome { about, session: SessionId([2; 16]), welcome: vec![1; 40], tree: Some(vec![2; 10]), start: vec![3; 10] }
}

fn account(contacts: usize) -> Account {
    let known = person(4);
    let contact = AccountContact {
        peer: known.key(),
        blocked: false,
        card: Some(card_of(&known, START)),
        shared: Some((HelloId([6; 16]), SessionId([3; 16]))),
    };
    let name = Name::new("phone").unwrap();
    Account {
        secrets: person(1).secrets(),
        belongings: Belongings {
            devices: vec![DeviceCertificate::sign(&person(1), DeviceKey([7; 32]), 5, name)],
            revoked: vec![Revocation::sign(&person(1), DeviceKey([8; 32]), 6)],
            sessions: vec![AccountSession { id: SessionId([3; 16]), doors: vec![known.key()] }; 10],
            contacts: vec![contact; contacts],
            ..Belongings::of(card_of(&person(1), START))
        },
    }
}

#[test]
fn the_longest_greeting_takes_two_cells_and_an_acceptance_four() {
    let hello = sealed_length(LetterKind::Hello, &hello().encode());
    let accept = sealed_length(LetterKind::Accept, &accept().encode());
    assert_eq!((hello, hello.div_ceil(CELL)), (3_315, 2));
    assert_eq!((accept, accept.div_ceil(CELL)), (5_431, 4));
}

#[test]
fn letters_come_back_from_their_bytes() {
    assert_eq!(Hello::decode(&hello().encode()), Ok(hello()));
    assert_eq!(Accept::decode(&accept().encode()), Ok(accept()));
    assert_eq!(Welcome::decode(&welcome().encode()), Ok(welcome()));
    let decline = Decline { hello: HelloId([1; 16]) };
    assert_eq!(Decline::decode(&decline.encode()), Ok(decline));
    let wanted = KeysWanted { session: SessionId([2; 16]) };
    assert_eq!(KeysWanted::decode(&wanted.encode()), Ok(wanted));
    let keys = Keys { session: SessionId([2; 16]), packages: vec![vec![1; 10]; KEY_PACKAGES_MAX] };
    assert_eq!(Keys::decode(&keys.encode()), Ok(keys));
    let moved = Moved { rotation: person(1).rotate_to(&person(2), 7), card: card_of(&person(2), START) };
    assert_eq!(Moved::decode(&moved.encode()), Ok(moved));
}

#[test]
fn a_letter_that_says_too_much_or_nothing_is_refused() {
    let none = Accept { packages: vec![], ..accept() };
    assert_eq!(Accept::decode(&none.encode()), Err(Fault::Impossible));
    let many = Accept { packages: vec![vec![1]; KEY_PACKAGES_MAX + 1], ..accept() };
    assert_eq!(Accept::decode(&many.encode()), Err(Fault::Oversized));
    let long = Accept { packages: vec![vec![1; KEY_PACKAGE_LENGTH_MAX + 1]], ..accept() };
    assert_eq!(Accept::decode(&long.encode()), Err(Fault::Oversized));
    let verbose = Hello { text: "a".repeat(TEXT_LENGTH_MAX + 1), ..hello() };
    assert_eq!(Hello::decode(&verbose.encode()), Err(Fault::Oversized));
    let ringing = Hello { text: "\u{7}".to_owned(), ..hello() };
    assert_eq!(Hello::decode(&ringing.encode()), Err(Fault::Impossible));
    let other = Moved { rotation: person(1).rotate_to(&person(2), 7), card: card_of(&person(3), START) };
    assert_eq!(Moved::decode(&other.encode()), Err(Fault::Impossible));
}

#[test]
fn an_account_comes_back_whole_from_a_file_and_in_parts_from_letters() {
    let few = account(3);
    let again = Account::decode(&few.encode()).unwrap();
    assert_eq!((again.secrets.expose(), &again.belongings), (few.secrets.expose(), &few.belongings));
    let many = account(4_000);
    assert_eq!(Account::decode(&many.encode()).unwrap().belongings.contacts.len(), 4_000);
    let parts = many.belongings.clone().parts(70_000);
    assert!(parts.len() > 50 && parts.iter().all(|part| part.encode().len() <= 70_000));
    assert!(parts[0].devices == many.belongings.devices && parts[1].devices.is_empty());
    let contacts: usize = parts.iter().map(|part| part.contacts.len()).sum();
    assert_eq!((parts[0].sessions.len(), contacts), (10, 4_000));
    let again: Vec<Belongings> = parts.iter().map(|part| Belongings::decode(&part.encode()).unwrap()).collect();
    assert_eq!(again, parts);
}

#[test]
fn an_account_with_anothers_secrets_is_refused() {
    let stolen = Account { secrets: person(9).secrets(), ..account(1) };
    assert_eq!(Account::decode(&stolen.encode()).err(), Some(Fault::Impossible));
    let mut strange = account(1);
    strange.belongings.devices[0] =
        DeviceCertificate::sign(&person(9), DeviceKey([7; 32]), 5, Name::new("phone").unwrap());
    assert_eq!(Account::decode(&strange.encode()).err(), Some(Fault::Impossible));
}

/// Whatever is read is written again as the same bytes.
fn read_all(bytes: &[u8]) {
    if let Ok(hello) = Hello::decode(bytes) {
        assert_eq!(hello.encode(), bytes);
    }
    if let Ok(accept) = Accept::decode(bytes) {
        assert_eq!(accept.encode(), bytes);
    }
    if let Ok(welcome) = Welcome::decode(bytes) {
        assert_eq!(welcome.encode(), bytes);
    }
    if let Ok(keys) = Keys::decode(bytes) {
        assert_eq!(keys.encode(), bytes);
    }
    if let Ok(moved) = Moved::decode(bytes) {
        assert_eq!(moved.encode(), bytes);
    }
    if let Ok(account) = Account::decode(bytes) {
        assert_eq!(&account.encode()[..], bytes);
    }
    let _ = (Decline::decode(bytes), KeysWanted::decode(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn arbitrary_and_mutated_letters_never_panic_and_have_one_encoding(
        noise: Vec<u8>, which in 0_usize..5, at: prop::sample::Index, with: u8, cut: prop::sample::Index,
    ) {
        read_all(&noise);
        let mut bytes = match which {
            0 => hello().encode(),
            1 => accept().encode(),
            2 => welcome().encode(),
            3 => Moved { rotation: person(1).rotate_to(&person(2), 7), card: card_of(&person(2), START) }.encode(),
            _ => account(1).encode().to_vec(),
        };
        read_all(&bytes[..cut.index(bytes.len())]);
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        read_all(&bytes);
    }

    #[test]
    fn a_mutated_letter_in_the_machine_never_panics_and_never_befriends(
        at: prop::sample::Index, with: u8, kind in 0_usize..8, sent_minutes: u32, noise: Vec<u8>, noisy: bool,
    ) {
        let mut world = super::world::World::new(1);
        world.add(0);
        let mut body = if noisy { noise } else { accept().encode() };
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] ^= with;
        }
        let (kind, from) = (LetterKind::ALL[kind], world.key(1));
        world.input(0, Input::LetterOpened(crate::crypto::Opened { kind, from, sent_minutes, invitation: None, body }));
        prop_assert_eq!(world.standing(0), Some(ContactStanding::Greeted));
    }
}
