//! What a commit does, as its author orders it and as the others see it.

use mainframe_base::{DeviceKey, Fault};

use crate::{EpochId, KeyPackageId, Leaf};

/// What a commit is to do.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Change {
    /// Key packages of devices that are to come in.
    pub add: Vec<Vec<u8>>,
    /// Leaves that are to go; never our own.
    pub remove: Vec<Leaf>,
    /// The session's context from now on.
    pub context: Option<Vec<u8>>,
    /// Our own credential from now on.
    pub credential: Option<Vec<u8>>,
    /// Whether our own keys are to be renewed. All but a mere addition renews them anyway.
    pub refresh: bool,
}

/// A commit that was made and awaits its fate in the group: [`merge_pending`](crate::Group::merge_pending) or
/// [`clear_pending`](crate::Group::clear_pending).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// For the members of the parent epoch.
    pub commit: Vec<u8>,
    /// The epoch to which it leads.
    pub child: EpochId,
    /// For those who come in, to be sent when the commit has won: one Welcome each, in no order.
    pub invitations: Vec<Invitation>,
    /// For those who come in, if the tree is not in their Welcome: the same for all.
    pub tree: Option<Vec<u8>>,
}

/// A Welcome for one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Whose key package was used.
    pub to: KeyPackageId,
    /// What [`Group::join`](crate::Group::join) takes.
    pub welcome: Vec<u8>,
}

/// A device that comes in. Its leaf is known when the commit is merged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Newcomer {
    /// For the core to judge.
    pub credential: Vec<u8>,
    /// The key its leaf signs with: it has proved to own it.
    pub key: DeviceKey,
}

/// What somebody's commit does: all that its signature covers and a member may object to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitFacts {
    /// Who made it.
    pub author: Leaf,
    /// The number of the epoch that it ends.
    pub parent: u64,
    /// The epoch to which it leads; none if it removes us.
    pub child: Option<EpochId>,
    /// Who comes in.
    pub added: Vec<Newcomer>,
    /// Who goes.
    pub removed: Vec<Leaf>,
    /// The session's new context.
    pub context: Option<Vec<u8>>,
    /// The author's credential from now on, if it is another than before.
    pub credential: Option<Vec<u8>>,
}

/// Why a commit was not made. The group is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Uncommitted {
    /// There would be more than [`LEAVES_MAX`](crate::LEAVES_MAX) leaves.
    #[error("the group would have too many leaves")]
    Full,
    /// A key package is no good, or its device is in the group already.
    #[error("key package {position}: {fault}")]
    KeyPackage {
        /// Which of [`Change::add`].
        position: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// What others brought into the group or into their key packages does not fit together: a key that is there
    /// already, or one to which nothing can be sealed.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// There is no such leaf, or it is our own.
    #[error("{0} cannot be removed")]
    NoSuchLeaf(Leaf),
    /// Another commit of ours awaits its fate.
    #[error("another commit is pending")]
    Pending,
    /// We are no longer in the group.
    #[error("we are no longer in the group")]
    Left,
}
