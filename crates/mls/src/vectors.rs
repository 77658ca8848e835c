//! Known answers in testdata/vectors/mls.txt, which another implementation has computed.

use std::collections::BTreeMap;

use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{CryptoError, HpkeCiphertext};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::crypto::Crypto;
use crate::dice::Dice;
use crate::suite::CIPHERSUITE;

const FILE: &str = include_str!("../../../testdata/vectors/mls.txt");

/// The file's answers, by their names without the case's number.
fn cases() -> Vec<BTreeMap<&'static str, Vec<u8>>> {
    let mut cases = vec![BTreeMap::new(), BTreeMap::new()];
    for line in FILE.lines().filter(|line| !line.starts_with('#')) {
        let (name, bytes) = line.split_once(' ').unwrap_or((line, ""));
        let (case, name) = name.split_once('_').expect("a number and a name");
        let case: usize = case.parse().expect("a number");
        cases[case - 1].insert(name, hex::decode(bytes).expect("hexadecimal"));
    }
    cases
}

#[test]
fn keys_follow_from_their_seed_as_elsewhere() {
    for case in cases() {
        let pair = Crypto::new(None).derive_hpke_keypair(CIPHERSUITE.hpke_config(), &case["ikm"]).expect("a key");
        assert_eq!(pair.private[..], case["private"]);
        assert_eq!(pair.public, case["public"]);
    }
}

#[test]
fn what_others_sealed_is_opened_and_exported() {
    for case in cases() {
        let crypto = Crypto::new(None);
        let config = || CIPHERSUITE.hpke_config();
        let input = HpkeCiphertext {
            kem_output: case["encapsulated"].clone().into(),
            ciphertext: case["ciphertext"].clone().into(),
        };
        let opened = crypto.hpke_open(config(), &input, &case["private"], &case["info"], &case["aad"]);
        assert_eq!(opened.as_ref(), Ok(&case["plaintext"]));
        let exported = crypto
            .hpke_setup_receiver_and_export(
                config(),
                &case["export_encapsulated"],
                &case["private"],
                &case["info"],
                b"exporter",
                32,
            )
            .expect("a secret");
        assert_eq!(exported[..], case["exported"]);
    }
}

#[test]
fn what_we_seal_we_open_and_nothing_is_sealed_without_randomness() {
    let (_, seals) = Dice::draw(&mut ChaCha20Rng::seed_from_u64(1));
    let crypto = Crypto::new(Some(seals));
    let config = || CIPHERSUITE.hpke_config();
    for case in cases() {
        let (public, private) = (&case["public"], &case["private"]);
        let sealed = crypto.hpke_seal(config(), public, b"info", b"aad", b"hello").expect("sealed");
        assert_eq!(crypto.hpke_open(config(), &sealed, private, b"info", b"aad"), Ok(b"hello".to_vec()));
        let refused = crypto.hpke_open(config(), &sealed, private, b"info", b"other");
        assert_eq!(refused, Err(CryptoError::HpkeDecryptionError));
        let dry = Crypto::new(None).hpke_seal(config(), public, b"info", b"aad", b"hello");
        assert_eq!(dry, Err(CryptoError::InsufficientRandomness));
    }
}

#[test]
fn two_seals_of_one_call_share_no_randomness() {
    let (_, seals) = Dice::draw(&mut ChaCha20Rng::seed_from_u64(1));
    let crypto = Crypto::new(Some(seals));
    let public = &cases()[0]["public"];
    let seal = |info: &[u8], aad: &[u8], plaintext: &[u8]| {
        crypto.hpke_seal(CIPHERSUITE.hpke_config(), public, info, aad, plaintext).expect("sealed").kem_output
    };
    let outputs = [seal(b"a", b"", b""), seal(b"", b"a", b""), seal(b"", b"", b"a"), seal(b"b", b"", b"")];
    for (place, output) in outputs.iter().enumerate() {
        assert!(!outputs[..place].contains(output));
    }
    assert_eq!(seal(b"a", b"", b""), outputs[0]);
}
