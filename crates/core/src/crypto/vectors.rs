//! Known answers in testdata/vectors/crypto.txt, for this implementation and for those in other languages.

use std::collections::BTreeMap;

use mainframe_base::{Locator, NetworkId, Role, ScanKey, Secret, Tag, TopicKey};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::codec::Reader;

const FILE: &str = include_str!("../../../../testdata/vectors/crypto.txt");
const HEADER: &str = "\
# Known answers for docs/protocol/crypto.md: a name and hexadecimal bytes on each line.
# Every cell can be opened, and every signature checked, from what stands here alone.
";

type Vectors = Vec<(String, Vec<u8>)>;

/// Everything the file says, computed anew from one seed.
fn computed() -> Vectors {
    let mut rng = ChaCha20Rng::seed_from_u64(20_261_122);
    [node_vectors(&mut rng), elligator_vectors(&mut rng), person_vectors(&mut rng), topic_vectors(&mut rng)].concat()
}

fn node_vectors(rng: &mut ChaCha20Rng) -> Vectors {
    let keys = NodeKeys::generate(rng);
    let seed = *random_secret::<32>(rng).expose();
    let locators = ["/ip4/127.0.0.1/tcp/4001", "/ip6/2001:db8::1/udp/4001/quic-v1"];
    let record = keys.sign_record(RecordBody {
        network: NetworkId::DEV,
        role: Role::Relay,
        seed,
        sequence: 1_795_305_600_000,
        locators: locators.iter().map(|text| text.parse().unwrap()).collect(),
    });
    let through = keys.sign_record(RecordBody {
        network: NetworkId::DEV,
        role: Role::Relay,
        seed,
        sequence: 1_795_305_600_001,
        locators: vec![locators[1].parse::<Locator>().unwrap().through(keys.link_key())],
    });
    let (mut record_bytes, mut through_bytes, mut binding_bytes) = (vec![], vec![], vec![]);
    record.encode(&mut record_bytes);
    through.encode(&mut through_bytes);
    keys.binding(NetworkId::DEV, &seed).encode(&mut binding_bytes);
    named(
        "node",
        vec![
            ("chain_secret", keys.chain_secret().expose().to_vec()),
            ("link_secret", keys.link_secret().expose().to_vec()),
            ("account", keys.account().0.to_vec()),
            ("link_key", keys.link_key().0.to_vec()),
            ("network", NetworkId::DEV.0.to_be_bytes().to_vec()),
            ("seed", seed.to_vec()),
            ("overlay", record.overlay.0.to_vec()),
            ("record", record_bytes),
            ("record_through", through_bytes),
            ("binding", binding_bytes),
        ],
    )
}

fn elligator_vectors(rng: &mut ChaCha20Rng) -> Vectors {
    let vector = |number: usize| {
        let mut representative = [0; 32];
        rng.fill_bytes(&mut representative);
        let name = format!("elligator_{number}");
        named(&name, vec![("representative", representative.to_vec()), ("point", point_of(&representative).to_vec())])
    };
    (1..=4).flat_map(vector).collect()
}

fn person_vectors(rng: &mut ChaCha20Rng) -> Vectors {
    let keys = PersonKeys::generate(rng);
    let (associated, plaintext) = (b"header of a cell".to_vec(), "the eagle lands at 早上六点".as_bytes().to_vec());
    let sealed = seal_to_person(rng, &keys.scan_key(), &associated, &plaintext).unwrap();
    let point = point_of(&sealed.ephemeral);
    named(
        "person",
        vec![
            ("secret", keys.secret().expose().to_vec()),
            ("scan_key", keys.scan_key().0.to_vec()),
            ("associated", associated),
            ("plaintext", plaintext),
            ("ephemeral", sealed.ephemeral.to_vec()),
            ("point", point.to_vec()),
            ("shared", keys.shared(&point).unwrap().expose().to_vec()),
            ("tag", sealed.tag.0.to_vec()),
            ("body", sealed.body),
        ],
    )
}

fn topic_vectors(rng: &mut ChaCha20Rng) -> Vectors {
    let key = generate_topic_key(rng);
    let (associated, plaintext) = (b"header of a cell".to_vec(), b"one for all".to_vec());
    let sealed = seal_to_topic(rng, &key, &associated, &plaintext);
    named(
        "topic",
        vec![
            ("key", key.0.to_vec()),
            ("associated", associated),
            ("plaintext", plaintext),
            ("ephemeral", sealed.ephemeral.to_vec()),
            ("tag", sealed.tag.0.to_vec()),
            ("body", sealed.body),
        ],
    )
}

fn named(group: &str, vectors: Vec<(&str, Vec<u8>)>) -> Vectors {
    vectors.into_iter().map(|(name, bytes)| (format!("{group}_{name}"), bytes)).collect()
}

fn read_file() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = FILE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(name, digits)| (name, hex::decode(digits).unwrap())).collect()
}

#[test]
fn the_file_is_what_this_implementation_computes() {
    let lines = computed().into_iter().map(|(name, bytes)| format!("{name} {}\n", hex::encode(bytes)));
    let expected: String = std::iter::once(HEADER.to_owned()).chain(lines).collect();
    assert!(FILE == expected, "testdata/vectors/crypto.txt should read:\n{expected}");
}

#[test]
fn the_files_node_verifies() {
    let file = read_file();
    let verifier = Verifier::new(1);
    let record = NodeRecord::decode(&mut Reader::new(&file["node_record"])).unwrap();
    let binding = Binding::decode(&mut Reader::new(&file["node_binding"])).unwrap();
    let record = verifier.record(record).unwrap();
    let through = NodeRecord::decode(&mut Reader::new(&file["node_record_through"])).unwrap();
    assert_eq!(verifier.record(through).unwrap().locators[0].via, Some(record.link_key));
    assert_eq!(verifier.hello(&record, &binding), Ok(()));
    assert_eq!(record.overlay.0.to_vec(), file["node_overlay"]);
}

#[test]
fn the_files_cells_open() {
    let file = read_file();
    let bytes32 = |name: &str| -> [u8; 32] { file[name].clone().try_into().unwrap() };
    let tag = |name: &str| Tag(file[name].clone().try_into().unwrap());

    let keys = PersonKeys::from_secret(Secret::new(bytes32("person_secret")));
    assert_eq!(keys.scan_key(), ScanKey(bytes32("person_scan_key")));
    let key = recognise_person(&keys, &bytes32("person_ephemeral"), &tag("person_tag")).unwrap();
    let opened = key.open(&file["person_associated"], &tag("person_tag"), &file["person_body"]);
    assert_eq!(opened.as_ref(), Some(&file["person_plaintext"]));

    let topic = TopicKey(bytes32("topic_key"));
    let key = recognise_topic(&topic, &bytes32("topic_ephemeral"), &tag("topic_tag")).unwrap();
    let opened = key.open(&file["topic_associated"], &tag("topic_tag"), &file["topic_body"]);
    assert_eq!(opened.as_ref(), Some(&file["topic_plaintext"]));
}
