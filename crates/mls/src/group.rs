//! A session as one device sees it: who is in, what the epoch's secrets are, what must be kept.

use mainframe_base::{DeviceKey, Fault, Secret, SessionId, Signature};
use openmls::prelude::{BasicCredential, GroupId, Member as MlsMember, MlsGroup, RatchetTreeIn, StagedWelcome};
use openmls_traits::OpenMlsProvider as _;
use rand_core::CryptoRng;
use tls_codec::Deserialize as _;
use zeroize::Zeroizing;

use crate::commit::CheckedCommit;
use crate::crypto::Crypto;
use crate::device::{DeviceSecret, verify};
use crate::key_package::read_welcome;
use crate::provider::Provider;
use crate::storage::SET_BACK_ROW;
use crate::suite::{
    LEAVES_MAX, context_alone_in, context_in, create_config, credential_of, forget_all_but, join_config,
};
use crate::vault::{RowChange, Rows, Vault};
use crate::{EpochId, Leaf, must};

const EPOCH_NAME_CONTEXT: &str = "mainframe mls 2026 name of an epoch";

/// One session as one device sees it.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Group {
    pub(crate) mls: MlsGroup,
    pub(crate) vault: Vault,
    pub(crate) device: DeviceSecret,
    /// The number of the epoch to which the group was set back, in which it must not seal.
    pub(crate) set_back_to: Option<u64>,
    pub(crate) checked: Vec<CheckedCommit>,
}

/// A device that is in a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its place.
    pub leaf: Leaf,
    /// What it says of itself, for the core to judge.
    pub credential: Vec<u8>,
    /// The key it signs with.
    pub key: DeviceKey,
}

/// A group one has just joined.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Joined {
    /// The group, in the epoch that the inviter's commit led to.
    pub group: Group,
    /// Who made that commit.
    pub inviter: Leaf,
}

/// Rows that are not a group's, or not all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the stored rows are not a group")]
pub struct Corrupt;

/// We are no longer in the group: a commit that removes us was merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("we are no longer in the group")]
pub struct Left;

impl Group {
    /// Founds a group in which we are alone.
    pub fn create(
        rng: &mut impl CryptoRng,
        id: SessionId,
        device: &DeviceSecret,
        credential: &[u8],
        context: &[u8],
    ) -> Self {
        let mut vault = Vault::new();
        let provider = Provider::drawing(&mut vault, rng);
        let credential = credential_of(device, credential);
        let config = create_config(context);
        let mls = MlsGroup::new_with_group_id(&provider, device, &config, GroupId::from_slice(&id.0), credential)
            .expect("a group of our own suite can be founded");
        Group { mls, vault, device: device.clone(), set_back_to: None, checked: Vec::new() }
    }

    /// Joins by a Welcome. `secrets` are of the key package that the Welcome [is for](crate::invited), `device` is the
    /// one it was made for; `tree` is the blob that comes beside the Welcome to larger groups.
    ///
    /// After a success the key package's secrets must be deleted, after a failure not: anyone could have sent it.
    ///
    /// # Errors
    ///
    /// A fault of whoever sent the Welcome, which leaves nothing behind.
    pub fn join(device: &DeviceSecret, secrets: &Rows, welcome: &[u8], tree: Option<&[u8]>) -> Result<Joined, Fault> {
        let welcome = read_welcome(welcome)?;
        let tree = tree.map(RatchetTreeIn::tls_deserialize_exact).transpose().map_err(|_| Fault::Malformed)?;
        let mut vault = Vault::stored(secrets.clone());
        let provider = Provider::still(&mut vault);
        let mut builder = StagedWelcome::build_from_welcome(&provider, &join_config(), welcome)
            .map_err(|_| Fault::BadSignature)?
            .skip_lifetime_validation();
        if let Some(tree) = tree {
            builder = builder.with_ratchet_tree(tree);
        }
        let staged = builder.build().map_err(|_| Fault::Impossible)?;
        let inviter = Leaf(staged.welcome_sender_index().u32());
        let mls = staged.into_group(&provider).map_err(|_| Fault::Impossible)?;
        vault.forget_history();
        let group = Group { mls, vault, device: device.clone(), set_back_to: None, checked: Vec::new() };
        group.require_joinable()?;
        Ok(Joined { group, inviter })
    }

    /// Takes up a group whose rows were stored.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if rows are missing or damaged, or the group is another device's.
    pub fn load(rows: Rows, device: &DeviceSecret) -> Result<Self, Corrupt> {
        let mut vault = Vault::stored(rows);
        let mls = load_mls(&mut vault)?;
        let set_back_to = read_set_back(&vault)?;
        let group = Group { mls, vault, device: device.clone(), set_back_to, checked: Vec::new() };
        if group.is_member() && !group.is_ours() {
            return Err(Corrupt);
        }
        Ok(group)
    }

    /// The session's name.
    pub fn id(&self) -> SessionId {
        SessionId(self.mls.group_id().as_slice().try_into().expect("checked when joined"))
    }

    /// The number of the present epoch. Others may have merged another commit and be in another epoch of this number.
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// The name of the present epoch.
    pub fn epoch_id(&self) -> EpochId {
        epoch_name(self.mls.epoch_authenticator().as_slice())
    }

    /// Our own place.
    pub fn own_leaf(&self) -> Leaf {
        Leaf(self.mls.own_leaf_index().u32())
    }

    /// Whether we are in the group: not if a commit that removes us was merged.
    pub fn is_member(&self) -> bool {
        self.mls.is_active()
    }

    /// All who are in, by their places.
    pub fn members(&self) -> Vec<Member> {
        self.mls.members().map(member_of).collect()
    }

    /// What the session has agreed on: the core's own bytes.
    pub fn context(&self) -> &[u8] {
        context_in(self.mls.extensions()).expect("checked when joined and at each commit")
    }

    /// A secret of the present epoch that all who are in it have.
    ///
    /// # Errors
    ///
    /// [`Left`] if we are not in it any more.
    pub fn export(&self, label: &str, context: &[u8]) -> Result<Secret<32>, Left> {
        let bytes = self.mls.export_secret(&Crypto::new(None), label, context, 32).map_err(|_| Left)?;
        let bytes = Zeroizing::new(bytes);
        Ok(Secret::new(must(bytes.as_slice().try_into(), "asked for 32")))
    }

    /// Signs with our device's key what is no message of MLS.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        self.device.sign(bytes)
    }

    /// Whether the device that has this leaf in the present epoch has signed the bytes.
    pub fn verify(&self, leaf: Leaf, bytes: &[u8], signature: &Signature) -> bool {
        self.members().iter().find(|member| member.leaf == leaf).is_some_and(|it| verify(&it.key, bytes, signature))
    }

    /// Deletes the secrets of all epochs before this one: their messages can no longer be opened by anyone who steals
    /// what is left.
    pub fn forget_epochs_before(&mut self, epoch: u64) {
        let kept = self.epoch().saturating_sub(epoch);
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        let provider = Provider::still(&mut self.vault);
        self.mls.delete_past_epoch_secrets(&provider, forget_all_but(kept)).expect("a vault cannot fail");
    }

    /// All rows as they are now: what [`load`](Group::load) takes, a pending commit included.
    pub fn snapshot(&mut self) -> Rows {
        self.write_secrets();
        self.vault.rows().clone()
    }

    /// Sets the group back to a snapshot of it, because another commit to the same parent has won. In that epoch
    /// nothing can be [sealed](Group::seal) any more: the keys may have been used already. Until the snapshot is
    /// deleted, whoever steals it can open what it could open.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if these rows are no snapshot; the group is as it was.
    pub fn restore(&mut self, snapshot: Rows) -> Result<(), Corrupt> {
        let mut vault = Vault::stored(snapshot);
        let mls = load_mls(&mut vault)?;
        self.mls = mls;
        self.checked.clear();
        self.vault.replace(vault.rows().clone());
        self.set_back_to = Some(self.epoch());
        self.vault.put(SET_BACK_ROW, &self.epoch().to_be_bytes());
        Ok(())
    }

    /// What must be written and deleted, so that the rows are those of now. To be stored before anything is sent that
    /// was sealed or committed since.
    pub fn take_changes(&mut self) -> Vec<RowChange> {
        self.write_secrets();
        self.vault.take_changes()
    }

    /// Writes the secrets of all epochs into the rows, if they are ahead of them. openmls does that only beside
    /// something else, which here is the deletion of nothing.
    pub(crate) fn write_secrets(&mut self) {
        if self.vault.secrets_unwritten {
            let provider = Provider::writing_secrets(&mut self.vault);
            self.mls.delete_past_epoch_secrets(&provider, forget_all_but(usize::MAX)).expect("a vault cannot fail");
        }
    }

    fn require_joinable(&self) -> Result<(), Fault> {
        let readable = self.mls.group_id().as_slice().len() == 16 && context_alone_in(self.mls.extensions()).is_some();
        let basic = self.mls.members().all(|it| BasicCredential::try_from(it.credential).is_ok());
        if self.mls.members().count() > LEAVES_MAX {
            return Err(Fault::Oversized);
        }
        if readable && basic && self.is_ours() { Ok(()) } else { Err(Fault::Impossible) }
    }

    fn is_ours(&self) -> bool {
        self.mls.own_leaf_node().is_some_and(|leaf| leaf.signature_key().as_slice() == self.device.key().0)
    }
}

pub(crate) fn epoch_name(authenticator: &[u8]) -> EpochId {
    let hash = blake3::derive_key(EPOCH_NAME_CONTEXT, authenticator);
    EpochId(hash[..16].try_into().expect("16 of 32"))
}

pub(crate) fn load_mls(vault: &mut Vault) -> Result<MlsGroup, Corrupt> {
    let provider = Provider::still(vault);
    // A vault has one group and does not ask for its name.
    let any = GroupId::from_slice(&[]);
    MlsGroup::load(provider.storage(), &any).map_err(|_| Corrupt)?.ok_or(Corrupt)
}

fn read_set_back(vault: &Vault) -> Result<Option<u64>, Corrupt> {
    let Some(bytes) = vault.get(SET_BACK_ROW) else { return Ok(None) };
    Ok(Some(u64::from_be_bytes(bytes.as_slice().try_into().map_err(|_| Corrupt)?)))
}

fn member_of(member: MlsMember) -> Member {
    let credential = BasicCredential::try_from(member.credential).expect("checked when joined and at each commit");
    let key = member.signature_key.as_slice().try_into().expect("its signature was checked");
    Member { leaf: Leaf(member.index.u32()), credential: credential.identity().to_vec(), key: DeviceKey(key) }
}
