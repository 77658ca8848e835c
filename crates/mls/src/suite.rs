//! What all groups have in common: the suite, what a leaf can do, how long things live.
//!
//! Here is also why no effect depends on the system's clock, which openmls reads in two places:
//!
//! - `Lifetime::validate`, for a leaf that comes in by a key package. Ours are valid from 0 to the end of time, so that
//!   the answer is always yes; any other lifetime is refused by us ([`is_always`]) whatever the clock said before, so
//!   that two members never disagree about a commit. (A clock before 1970 would refuse everything.)
//! - `MessageSecretsStore`, which notes beside an epoch's secrets when they came. The note is read back only by
//!   deletion by age, which we never ask for ([`forget_all_but`] deletes by count). It is in the stored rows.

use openmls::prelude::{
    BasicCredential, Capabilities, CredentialType, CredentialWithKey, Extension, ExtensionType, Extensions,
    GroupContext, Lifetime, MlsGroupCreateConfig, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    PastEpochDeletion, ProtocolVersion, RequiredCapabilitiesExtension, SenderRatchetConfiguration, UnknownExtension,
};
use openmls_traits::types::Ciphersuite;

use crate::device::DeviceSecret;

/// The suite's number, as it stands in cards: MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519, by
/// draft-ietf-mls-pq-ciphersuites (a provisional code point).
pub const SUITE: u16 = CIPHERSUITE as u16;

pub(crate) const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519;

/// Leaves a group may have. A leaf costs 1.4 kB in the tree and 1.2 kB in the first commit after a mass add
/// (figures: `examples/measure.rs`), and all of it travels in cells of 2 or 16 kB.
pub const LEAVES_MAX: usize = 128;

/// Up to this many leaves the tree is inside the Welcome; above, it is one blob for all who join.
pub const TREE_INSIDE_LEAVES_MAX: usize = 8;

/// Past epochs whose messages can still be opened. Messages are held for 72 h; one commit in two and a half hours is a
/// guess of what the busiest group does in that time and 8 h more.
pub const PAST_EPOCHS_MAX: usize = 32;

/// A key package has 2.7 kB and a credential of ours some hundred bytes; nobody needs to carry a longer one in commits.
pub const KEY_PACKAGE_BYTES_MAX: usize = 4096;

/// Generations of a sender that may be skipped and come later: a window of tags is 256, and there are gaps behind it.
const OUT_OF_ORDER_MAX: u32 = 512;
/// Generations of a sender that may be jumped over at once.
const FORWARD_MAX: u32 = 2048;

/// Our context's type among the extensions of a group: of the range for private use (RFC 9420 §17.3), "MF".
const CONTEXT_TYPE: u16 = 0xF04D;

pub(crate) fn capabilities() -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![CIPHERSUITE])
        .extensions(vec![ExtensionType::Unknown(CONTEXT_TYPE)])
        .proposals(vec![])
        .credentials(vec![CredentialType::Basic])
        .build()
}

pub(crate) fn always() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

pub(crate) fn is_always(lifetime: &Lifetime) -> bool {
    *lifetime == always()
}

pub(crate) fn credential_of(device: &DeviceSecret, credential: &[u8]) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(credential.to_vec()).into(),
        signature_key: device.key().0.to_vec().into(),
    }
}

pub(crate) fn context_extensions(context: &[u8]) -> Extensions<GroupContext> {
    let required = [ExtensionType::Unknown(CONTEXT_TYPE)];
    let required = RequiredCapabilitiesExtension::new(&required, &[], &[CredentialType::Basic]);
    let context = Extension::Unknown(CONTEXT_TYPE, UnknownExtension(context.to_vec()));
    Extensions::from_vec(vec![Extension::RequiredCapabilities(required), context])
        .expect("these are allowed in a group's context")
}

/// Our context, if it is there.
pub(crate) fn context_in(extensions: &Extensions<GroupContext>) -> Option<&[u8]> {
    extensions.unknown(CONTEXT_TYPE).map(|extension| extension.0.as_slice())
}

/// Our context, if it is there and all else is as we would have it.
pub(crate) fn context_alone_in(extensions: &Extensions<GroupContext>) -> Option<&[u8]> {
    context_in(extensions).filter(|context| *extensions == context_extensions(context))
}

pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(PAST_EPOCHS_MAX)
        .number_of_resumption_psks(0)
        .sender_ratchet_configuration(sender_ratchets())
        .build()
}

pub(crate) fn create_config(context: &[u8]) -> MlsGroupCreateConfig {
    MlsGroupCreateConfig::builder()
        .ciphersuite(CIPHERSUITE)
        .capabilities(capabilities())
        .lifetime(always())
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(PAST_EPOCHS_MAX)
        .number_of_resumption_psks(0)
        .sender_ratchet_configuration(sender_ratchets())
        .with_group_context_extensions(context_extensions(context))
        .build()
}

fn sender_ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER_MAX, FORWARD_MAX)
}

/// Past epochs to delete, but for the newest `count`. All our epochs have their time noted, so that the condition which
/// openmls wants beside a count matches none; shrinking the policy's count instead would drop the newest (openmls 0.9.2
/// rotates its list by more than it holds).
pub(crate) fn forget_all_but(count: usize) -> PastEpochDeletion {
    PastEpochDeletion::delete_all_without_timestamps().max_past_epochs(count)
}
