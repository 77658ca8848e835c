//! Members who know all keys and keep no rules: what they make is well-formed, and refused.

use mainframe_base::{Fault, SessionId};
use openmls::prelude::{
    BasicCredential, Capabilities, Credential, CredentialType, CredentialWithKey, Extension, ExtensionType, Extensions,
    ExternalSender, GroupContext, KeyPackage as MlsKeyPackage, LeafNodeIndex, LeafNodeParameters, Lifetime,
    MlsMessageOut, NewSignerBundle, RequiredCapabilitiesExtension, UnknownExtension,
};
use openmls_traits::OpenMlsProvider as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tls_codec::VLBytes;

use crate::crypto::is_sealable;
use crate::provider::Provider;
use crate::suite::{CIPHERSUITE, always, capabilities, credential_of};
use crate::vault::Vault;
use crate::{Change, DeviceSecret, Group, KEY_PACKAGE_BYTES_MAX, KeyPackage, LEAVES_MAX, Rows, Uncommitted, Unopened};

const IMPOSSIBLE: Unopened = Unopened::Fault(Fault::Impossible);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// Three who are in one group.
fn three(rng: &mut ChaCha20Rng) -> Vec<Group> {
    group_of(rng, 3)
}

fn group_of(rng: &mut ChaCha20Rng, count: usize) -> Vec<Group> {
    let device = DeviceSecret::generate(rng);
    let mut first = Group::create(rng, SessionId([7; 16]), &device, b"first", b"context");
    let others: Vec<_> = (1..count)
        .map(|_| {
            let device = DeviceSecret::generate(rng);
            let package = KeyPackage::generate(rng, &device, b"other");
            (device, package)
        })
        .collect();
    let add = others.iter().map(|(_, package)| package.bytes.clone()).collect();
    let draft = first.commit(rng, &Change { add, ..Change::default() }).expect("a good change");
    first.merge_pending();
    let mut groups = vec![first];
    for (device, package) in others {
        let invitation = draft.invitations.iter().find(|it| it.to == package.id).expect("invited");
        let joined = Group::join(&device, &package.secrets, &invitation.welcome, draft.tree.as_deref());
        groups.push(joined.expect("a Welcome").group);
    }
    groups
}

/// A key package as nobody keeps to our rules makes it.
fn odd_package(lifetime: Lifetime, capabilities: Capabilities, credential: Credential) -> MlsKeyPackage {
    let device = DeviceSecret::generate(&mut ChaCha20Rng::seed_from_u64(2));
    let credential = CredentialWithKey { credential, signature_key: device.key().0.to_vec().into() };
    let mut vault = Vault::new();
    let provider = Provider::drawing(&mut vault, &mut rng());
    let bundle = MlsKeyPackage::builder()
        .key_package_lifetime(lifetime)
        .leaf_node_capabilities(capabilities)
        .build(CIPHERSUITE, &provider, &device, credential)
        .expect("well-formed");
    bundle.key_package().clone()
}

fn basic() -> Credential {
    BasicCredential::new(b"odd".to_vec()).into()
}

/// A commit that adds this package, made without our checks.
fn unchecked_addition(author: &mut Group, package: MlsKeyPackage) -> Vec<u8> {
    let provider = Provider::drawing(&mut author.vault, &mut rng());
    let built = author
        .mls
        .commit_builder()
        .propose_adds([package])
        .load_psks(provider.storage())
        .expect("there are none")
        .build(provider.rand(), provider.crypto(), &author.device, |_| true)
        .expect("openmls sees nothing wrong");
    built.stage_commit(&provider).expect("staged").into_commit().to_bytes().expect("written")
}

/// A commit to these extensions of the group's context, made without our checks.
fn unchecked_context(author: &mut Group, extensions: Vec<Extension>) -> Vec<u8> {
    let extensions = Extensions::<GroupContext>::from_vec(extensions).expect("allowed in a context");
    let provider = Provider::drawing(&mut author.vault, &mut rng());
    let builder = author.mls.commit_builder().propose_group_context_extensions(extensions).expect("a proposal");
    let built = builder
        .load_psks(provider.storage())
        .expect("there are none")
        .build(provider.rand(), provider.crypto(), &author.device, |_| true)
        .expect("openmls sees nothing wrong");
    built.stage_commit(&provider).expect("staged").into_commit().to_bytes().expect("written")
}

#[test]
fn a_leaf_whose_lifetime_ends_comes_in_nowhere_whatever_the_clock_says() {
    let mut groups = three(&mut rng());
    for lifetime in [Lifetime::init(0, u64::MAX - 1), Lifetime::init(1, u64::MAX), Lifetime::init(0, 4_000_000_000)] {
        let package = odd_package(lifetime, capabilities(), basic());
        let add = vec![MlsMessageOut::from(package.clone()).to_bytes().expect("written")];
        let refused = Uncommitted::KeyPackage { position: 0, fault: Fault::Impossible };
        let change = Change { add, ..Change::default() };
        assert_eq!(groups[0].commit(&mut rng(), &change), Err(refused));
        let commit = unchecked_addition(&mut groups[0], package);
        assert_eq!(groups[1].inspect(&commit), Err(IMPOSSIBLE));
        groups[0].clear_pending();
    }
    let good = unchecked_addition(&mut groups[0], odd_package(always(), capabilities(), basic()));
    assert!(groups[1].inspect(&good).is_ok(), "it is the lifetime that was refused");
}

#[test]
fn a_long_key_package_comes_in_nowhere() {
    let mut groups = three(&mut rng());
    let long = BasicCredential::new(vec![7; KEY_PACKAGE_BYTES_MAX - 2600]).into();
    let commit = unchecked_addition(&mut groups[0], odd_package(always(), capabilities(), long));
    assert_eq!(groups[1].inspect(&commit), Err(Unopened::Fault(Fault::Oversized)));
}

#[test]
fn nobody_comes_into_a_full_group() {
    let mut groups = group_of(&mut rng(), LEAVES_MAX);
    let commit = unchecked_addition(&mut groups[0], odd_package(always(), capabilities(), basic()));
    assert_eq!(groups[1].inspect(&commit), Err(Unopened::Fault(Fault::Oversized)));
}

/// As if a path had left us without keys that are ours: openmls notices when it has half merged.
#[test]
fn a_commit_that_turns_out_bad_while_it_is_merged_leaves_the_group_as_it_was() {
    let mut groups = three(&mut rng());
    let before = groups[1].epoch_id();
    let sealed = groups[0].seal(&mut rng(), b"hello").expect("a member");
    groups[1].take_changes();
    groups[1].open(&sealed).expect("a good message");
    let without_keys = groups[1].vault.rows().iter().filter(|(key, _)| !is_key_pairs(key));
    let without_keys = without_keys.map(|(key, value)| (key.to_vec(), value.to_vec().into())).collect::<Vec<_>>();
    let mut rows = Rows::new();
    without_keys.into_iter().for_each(|(key, value)| rows.insert(key, value));
    groups[1].vault.replace(rows);
    groups[1].vault.secrets_unwritten = true;

    let commit = unchecked_addition(&mut groups[0], odd_package(always(), capabilities(), basic()));
    groups[1].inspect(&commit).expect("nothing is wrong with it yet");
    assert_eq!(groups[1].merge(&commit), Err(IMPOSSIBLE));
    assert_eq!(groups[1].epoch_id(), before);
    assert_eq!(groups[1].open(&sealed), Err(Unopened::Again));
    let sealed = groups[0].seal(&mut ChaCha20Rng::seed_from_u64(4), b"and on").expect("a member");
    groups[1].open(&sealed).expect("a good message");
}

fn is_key_pairs(key: &[u8]) -> bool {
    key[0] == 12
}

#[test]
fn a_context_takes_nothing_beside_ours() {
    let mut groups = three(&mut rng());
    let context = Extension::Unknown(0xF04D, UnknownExtension(b"context".to_vec()));
    let required = |types: &[ExtensionType], credentials: &[CredentialType]| {
        Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(types, &[], credentials))
    };
    let ours = || required(&[ExtensionType::Unknown(0xF04D)], &[CredentialType::Basic]);
    let outsider = DeviceSecret::generate(&mut rng());
    let outsider = ExternalSender::new(outsider.key().0.to_vec().into(), basic());
    for extensions in [
        vec![ours()],
        vec![],
        vec![ours(), context.clone(), Extension::ExternalSenders(vec![outsider])],
        vec![required(&[ExtensionType::Unknown(0xF04D)], &[]), context.clone()],
    ] {
        let commit = unchecked_context(&mut groups[0], extensions);
        assert_eq!(groups[1].inspect(&commit), Err(IMPOSSIBLE));
        groups[0].clear_pending();
    }
    let good = unchecked_context(&mut groups[0], vec![ours(), context]);
    assert!(groups[1].inspect(&good).is_ok());
}

#[test]
fn a_device_does_not_change_its_key() {
    let mut groups = three(&mut rng());
    let other = DeviceSecret::generate(&mut ChaCha20Rng::seed_from_u64(3));
    let author = &mut groups[0];
    let provider = Provider::drawing(&mut author.vault, &mut rng());
    let bundle = NewSignerBundle { signer: &other, credential_with_key: credential_of(&other, b"first") };
    let built = author
        .mls
        .commit_builder()
        .load_psks(provider.storage())
        .expect("there are none")
        .build_with_new_signer(provider.rand(), provider.crypto(), &author.device, bundle, |_| true)
        .expect("openmls sees nothing wrong");
    let commit = built.stage_commit(&provider).expect("staged").into_commit().to_bytes().expect("written");
    assert_eq!(groups[1].inspect(&commit), Err(IMPOSSIBLE));
}

#[test]
fn no_proposal_stands_by_itself() {
    let mut groups = three(&mut rng());
    let author = &mut groups[0];
    let provider = Provider::drawing(&mut author.vault, &mut rng());
    let proposals = [
        author.mls.propose_self_update(&provider, &author.device, LeafNodeParameters::default()).map(|it| it.0).ok(),
        author.mls.propose_remove_member(&provider, &author.device, LeafNodeIndex::new(2)).map(|it| it.0).ok(),
    ];
    assert!(proposals.iter().all(Option::is_none), "nothing of it can be kept, so that none is made");
    let leave = author.mls.leave_group(&provider, &author.device);
    assert!(leave.is_err());
}

#[test]
fn nothing_can_be_sealed_to_what_is_no_key() {
    assert!(!is_sealable(&VLBytes::new(vec![0xFF; 1216])), "coefficients that are not reduced");
    assert!(!is_sealable(&VLBytes::new(vec![0; 32])));
    let package = odd_package(always(), capabilities(), basic());
    assert!(is_sealable(package.hpke_init_key()));
}
