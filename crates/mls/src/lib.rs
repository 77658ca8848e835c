//! Groups that agree on keys: MLS (RFC 9420) with our randomness, our clock and our store.
//!
//! A [`Group`] is one session as one device sees it: every device is a leaf, a message is [sealed](Group::seal) to all
//! leaves of the present epoch, and a [commit](Group::commit) brings all who merge it to the next. The suite is 0x004F:
//! X-Wing (ML-KEM-768 with X25519), AES-128-GCM, SHA-256, Ed25519.
//!
//! This crate wraps openmls, so that the core can have it without a clock, a disk or ambient randomness. What it
//! decides:
//!
//! - *Randomness* comes in with each call and is spread by a PRF: the same seed gives the same bytes, although openmls
//!   seals on several threads (`dice.rs`).
//! - *Time* does not exist: no lifetime in a leaf may differ from "always", and past epochs are counted (`suite.rs`).
//! - *What must be kept* is rows of bytes: [`Group::take_changes`] hands over what changed since it was last asked,
//!   [`Group::load`] takes all of it back.
//! - *Commits are not sealed by MLS.* They travel sealed all the same, by the session's outer layer, to the same
//!   members; so that whoever has to choose among several may [look](Group::inspect) at each as often as it likes.
//! - *Proposals travel inside of commits* and are of three kinds: add, remove, new context. All else is refused.
//!
//! It does not know who people are: a credential is opaque bytes, which the core has to check before it merges.

mod change;
mod commit;
mod crypto;
mod device;
mod dice;
mod group;
#[cfg(test)]
mod insiders;
mod key_package;
mod message;
mod provider;
mod storage;
mod suite;
mod unopened;
mod vault;
#[cfg(test)]
mod vectors;

use std::fmt;

pub use change::{Change, CommitFacts, Draft, Invitation, Newcomer, Uncommitted};
pub use device::{DeviceSecret, verify};
pub use group::{Corrupt, Group, Joined, Left, Member};
pub use key_package::{KeyPackage, KeyPackageId, invited, offered};
pub use message::{Opened, Unsealed};
pub use suite::{KEY_PACKAGE_BYTES_MAX, LEAVES_MAX, PAST_EPOCHS_MAX, SUITE, TREE_INSIDE_LEAVES_MAX};
pub use unopened::Unopened;
pub use vault::{RowChange, Rows};

/// A device's place in a group: it keeps it as long as it is in, and another may have it afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Leaf(pub u32);

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leaf {}", self.0)
    }
}

/// The name of an epoch: what everyone has who is in it, and nobody else can know. Two commits to one parent lead to
/// epochs of the same number and of different names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochId(pub [u8; 16]);

/// What only a bug of ours could bring about is an assertion, also in a call that may fail for others' reasons.
fn must<T, E: fmt::Debug>(result: Result<T, E>, because: &str) -> T {
    result.expect(because)
}

impl fmt::Debug for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}
