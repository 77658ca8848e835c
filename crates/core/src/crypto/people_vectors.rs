//! Known answers in testdata/vectors/people.txt, for this implementation and for those in other languages.

use std::collections::BTreeMap;

use mainframe_base::{DeviceKey, Luminosity, Secret, Time};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::codec::Reader;

const FILE: &str = include_str!("../../../../testdata/vectors/people.txt");
const HEADER: &str = "\
# Known answers for docs/protocol/session.md: a name and hexadecimal bytes on each line; texts are their UTF-8.
# Every letter can be opened, and every signature checked, from what stands here alone.
";

const NOW: Time = Time(1_800_000_000_000);

type Vectors = Vec<(&'static str, Vec<u8>)>;

/// Everything the file says, computed anew from one seed.
fn computed() -> Vectors {
    let mut rng = ChaCha20Rng::seed_from_u64(20_261_126);
    let (ada, bob) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let card = card_of(&bob, "Bob");
    let invitation = Invitation {
        inviter: Inviter::Card(card.clone()),
        secret: InvitationSecret::generate(&mut rng),
        expires_hours: 500_024,
    };
    [
        vec![
            ("ada_secrets", ada.secrets().expose().to_vec()),
            ("ada_identity", ada.key().0.to_vec()),
            ("bob_secrets", bob.secrets().expose().to_vec()),
            ("bob_identity", bob.key().0.to_vec()),
            ("bob_card", card.to_bytes()),
            ("bob_card_text", card.to_string().into_bytes()),
            ("invitation_id", invitation.secret.id().0.to_vec()),
            ("invitation", invitation.to_bytes().to_vec()),
            ("invitation_shortened", invitation.shortened().to_bytes().to_vec()),
            ("safety_digits", SafetyNumber::of(&ada.key(), &bob.key()).to_string().into_bytes()),
            ("safety_words", SafetyNumber::of(&ada.key(), &bob.key()).words().into_bytes()),
        ],
        statement_vectors(&ada, &bob),
        letter_vectors(&mut rng, &ada, &card, &invitation),
    ]
    .concat()
}

fn card_of(identity: &Identity, name: &str) -> Card {
    let region = |text: &str, presence| Region { prefix: text.parse().unwrap(), presence, until_hours: 500_100 };
    let body = CardBody {
        luminosity_floor: Luminosity::at_most(10),
        regions: vec![region("a3c0/10", Presence::Resident), region("0110", Presence::Drop)],
        issued_hours: 500_000,
        expires_hours: 510_000,
        name: Name::new(name).unwrap(),
    };
    Card::sign(identity, body).unwrap()
}

fn statement_vectors(ada: &Identity, bob: &Identity) -> Vectors {
    let device = DeviceKey([9; 32]);
    let (mut certificate, mut revocation, mut rotation) = (vec![], vec![], vec![]);
    DeviceCertificate::sign(ada, device, 500_000, Name::new("telephone").unwrap()).encode(&mut certificate);
    Revocation::sign(ada, device, 500_001).encode(&mut revocation);
    ada.rotate_to(bob, 500_002).encode(&mut rotation);
    vec![
        ("device_id", device_id(&device).0.to_vec()),
        ("device_certificate", certificate),
        ("revocation", revocation),
        ("rotation", rotation),
    ]
}

fn letter_vectors(rng: &mut ChaCha20Rng, ada: &Identity, card: &Card, invitation: &Invitation) -> Vectors {
    let mut seal = |to: Recipient| seal_letter(rng, ada, &to, LetterKind::Hello, NOW, BODY).unwrap();
    vec![
        ("letter_body", BODY.to_vec()),
        ("letter_to_card", seal(Recipient::of_card(card, None))),
        ("letter_to_invitation", seal(Recipient::of_invitation(invitation))),
        ("letter_to_shortened", seal(Recipient::of_invitation(&invitation.shortened()))),
    ]
}

const BODY: &[u8] = "早上好".as_bytes();

fn read_file() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = FILE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(name, digits)| (name, hex::decode(digits).unwrap())).collect()
}

#[test]
fn the_file_is_what_this_implementation_computes() {
    let lines = computed().into_iter().map(|(name, bytes)| format!("{name} {}\n", hex::encode(bytes)));
    let expected: String = std::iter::once(HEADER.to_owned()).chain(lines).collect();
    assert!(FILE == expected, "testdata/vectors/people.txt should read:\n{expected}");
}

#[test]
fn the_files_letters_open() {
    let file = read_file();
    let secrets: [u8; 96] = file["bob_secrets"].clone().try_into().unwrap();
    let bob = Identity::from_secrets(&Secret::new(secrets));
    let invitation = Invitation::decode(&mut Reader::new(&file["invitation"])).unwrap();
    for name in ["letter_to_card", "letter_to_invitation", "letter_to_shortened"] {
        let opened = open_letter(&bob, |_| Some(invitation.secret.clone()), &file[name]).unwrap();
        assert_eq!((opened.from.0.to_vec(), &opened.body), (file["ada_identity"].clone(), &file["letter_body"]));
    }
}

#[test]
fn the_files_statements_verify() {
    let file = read_file();
    let reader = |name: &str| Reader::new(&file[name]);
    assert_eq!(Card::decode(&mut reader("bob_card")).unwrap().identity().0.to_vec(), file["bob_identity"]);
    assert!(DeviceCertificate::decode(&mut reader("device_certificate")).is_ok());
    assert!(Revocation::decode(&mut reader("revocation")).is_ok());
    assert!(Rotation::decode(&mut reader("rotation")).is_ok());
}
