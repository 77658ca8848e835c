//! Keys, records, sealing: everything that signs, verifies, encrypts or opens.
//!
//! A *node* has keys of its own ([`NodeKeys`]), by which neighbours know it; what it says of itself is a signed
//! [`NodeRecord`], checked once by a [`Verifier`], and in the direct `Hello` a [`Binding`] of its overlay address to
//! its account. A *person* has other keys ([`PersonKeys`]), which no node key can be linked with, and is written
//! to at a [`PersonAddress`]; a *topic* is a key that several people hold. A packet is sealed to one of the two
//! ([`seal_to_person`], [`seal_to_topic`]), looks like random bytes to all others, and is recognised and opened by
//! its owner ([`recognise_person`], [`recognise_topic`]).
//!
//! Who a person *is* says an [`Identity`]: it signs [`Card`]s, by which he is found, and [`DeviceCertificate`]s. Before two
//! people share a session they write each other letters ([`seal_letter`], [`open_letter`]), perhaps under the secret of
//! an [`Invitation`].
//!
//! This room knows no clock and draws no randomness of its own. Bytes and reasons: docs/protocol/crypto.md; of people
//! and letters: docs/protocol/session.md.

mod binding;
mod card;
mod chain;
mod code;
mod device;
mod elligator;
mod field;
mod identity;
mod invitation;
mod letter;
mod name;
mod node;
mod person;
mod record;
mod safety;
mod seal;
mod shared_topic;
mod topic;
mod verifier;
mod xwing;

#[cfg(test)]
mod people_vectors;
#[cfg(test)]
mod vectors;

pub use binding::{Binding, overlay_address};
pub use card::{Card, CardBody, Presence, Region, SUITE, UnsuitableCard, beginning_of, hours_of};
pub use chain::{Milestones, STAGE_LINKS, TagChain, TagLink};
pub use code::{CodeKind, ParseCodeError};
pub use device::{DeviceCertificate, Revocation, device_id};
pub use elligator::{Ephemeral, point_of};
pub use identity::{Identity, Rotation};
pub use invitation::{Invitation, InvitationId, InvitationSecret, Inviter, LinkCode, Stub};
pub use letter::{
    LETTER_LENGTH_MAX, LETTER_OVERHEAD_MAX, LetterKind, NotOpened, Opened, Recipient, minutes_of, open_letter,
    seal_letter,
};
pub use name::Name;
pub(crate) use name::is_treacherous;
pub use node::{NodeKeys, RecordBody};
pub use person::{ParsePersonAddressError, PersonAddress, PersonKeys};
pub use record::{LOCATORS_MAX, NodeRecord};
pub use safety::SafetyNumber;
pub use seal::{BODY_OVERHEAD, BodyKey, Sealed, recognise_person, recognise_topic, seal_to_person, seal_to_topic};
pub use shared_topic::{SHARED_TOPICS, SharedTopic};
pub use topic::{ParseTopicKeyError, generate_topic_key, parse_topic_key, reveal_topic_key};
pub use verifier::Verifier;
pub use xwing::{PUBLIC_PREKEY_LENGTH, Prekey, PublicPrekey};

use mainframe_base::Secret;
use rand_core::CryptoRng;
use sha3::{Digest, Keccak256};
use zeroize::Zeroizing;

/// Draws a secret.
fn random_secret<const N: usize>(rng: &mut impl CryptoRng) -> Secret<N> {
    let mut bytes = Zeroizing::new([0; N]);
    rng.fill_bytes(&mut *bytes);
    Secret::new(*bytes)
}

/// Keccak-256 (Ethereum's, not SHA-3's padding) over the parts one after another.
fn keccak256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Keccak256::new(), |hasher, part| hasher.chain_update(part)).finalize().into()
}
