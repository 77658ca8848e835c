//! What first contact costs: letters of the three ways of sealing, cards, and, to compare, one X25519, which is what every
//! cell that may be somebody's costs him.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mainframe_base::{Luminosity, Tag, Time};
use mainframe_core::codec::Reader;
use mainframe_core::crypto::{
    Card, CardBody, Identity, Invitation, InvitationSecret, Inviter, LetterKind, Name, Presence, Recipient, Region,
    open_letter, recognise_person, seal_letter,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOW: Time = Time(1_800_000_000_000);
const BODY: &[u8] = &[7; 2_000];

fn card_of(identity: &Identity) -> Card {
    let prefix = "0110".parse().expect("a prefix");
    let body = CardBody {
        luminosity_floor: Luminosity::at_most(4),
        regions: vec![Region { prefix, presence: Presence::Resident, until_hours: 600_000 }],
        issued_hours: 500_000,
        expires_hours: 600_000,
        name: Name::new("Ada").expect("a name"),
    };
    Card::sign(identity, body).expect("a card")
}

fn letters(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (ada, bob) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let card = card_of(&bob);
    let invitation = Invitation {
        inviter: Inviter::Card(card.clone()),
        secret: InvitationSecret::generate(&mut rng),
        expires_hours: 600_000,
    };
    let ways = [
        ("card", Recipient::of_card(&card, None)),
        ("invitation", Recipient::of_invitation(&invitation)),
        ("stub", Recipient::of_invitation(&invitation.shortened())),
    ];
    for (name, to) in ways {
        criterion.bench_function(&format!("seal a letter to a {name}"), |bencher| {
            bencher.iter(|| seal_letter(&mut rng, &ada, &to, LetterKind::Hello, NOW, black_box(BODY)));
        });
        let letter = seal_letter(&mut rng, &ada, &to, LetterKind::Hello, NOW, BODY).expect("short enough");
        criterion.bench_function(&format!("open a letter to a {name}"), |bencher| {
            bencher.iter(|| open_letter(&bob, |_| Some(invitation.secret.clone()), black_box(&letter)));
        });
    }
    let bytes = card.to_bytes();
    criterion.bench_function("read and verify a card", |bencher| {
        bencher.iter(|| Card::decode(&mut Reader::new(black_box(&bytes))));
    });
}

fn cells(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let bob = Identity::generate(&mut rng);
    let point = bob.scan_key().0;
    criterion.bench_function("one X25519", |bencher| bencher.iter(|| bob.scan().shared(black_box(&point))));
    criterion.bench_function("not to recognise a cell", |bencher| {
        bencher.iter(|| recognise_person(bob.scan(), black_box(&[9; 32]), &Tag([1; 16])).is_none());
    });
}

criterion_group!(benches, letters, cells);
criterion_main!(benches);
