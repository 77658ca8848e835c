//! A vault as openmls wants its storage: values by table and key.
//!
//! A vault belongs to one group, so that a group's name is no part of a key. What this crate never lets openmls do
//! (standing proposals, pre-shared keys, signature keys in its keeping) has no table: writing to it is an error.

use std::cell::RefCell;

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::vault::Vault;

/// What is kept. The numbers stand in stored rows and are never used again for something else.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Table {
    JoinConfig = 1,
    Tree = 2,
    TranscriptHash = 3,
    Context = 4,
    ConfirmationTag = 5,
    State = 6,
    MessageSecrets = 7,
    ResumptionSecrets = 8,
    OwnLeaf = 9,
    EpochSecrets = 10,
    KeyPair = 11,
    EpochKeyPairs = 12,
    KeyPackage = 13,
}

/// The row in which the epoch is noted that a group was set back to.
pub(crate) const SET_BACK_ROW: &[u8] = &[64];

/// openmls tried to keep what it must not, or found something that it did not write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("a value cannot be written (or the system's clock is before 1970)")]
    Unwritable,
    #[error("a stored value cannot be read")]
    Unreadable,
    #[error("this is never kept")]
    NeverKept,
}

/// A vault for the time of one call.
pub(crate) struct Storage<'a> {
    vault: RefCell<&'a mut Vault>,
    /// Whether the messages' secrets are written when openmls says so. Else it is noted that they should be.
    writes_secrets: bool,
}

impl<'a> Storage<'a> {
    pub(crate) fn new(vault: &'a mut Vault, writes_secrets: bool) -> Self {
        Storage { vault: RefCell::new(vault), writes_secrets }
    }

    fn put(&self, name: &[u8], value: &impl Serialize) -> Result<(), StorageError> {
        let bytes = bytes_of(value).map_err(|_| StorageError::Unwritable)?;
        self.vault.borrow_mut().put(name, &bytes);
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, name: &[u8]) -> Result<Option<T>, StorageError> {
        let Some(bytes) = self.vault.borrow().get(name) else { return Ok(None) };
        postcard::from_bytes(&bytes).map(Some).map_err(|_| StorageError::Unreadable)
    }

    fn remove(&self, name: &[u8]) -> Result<(), StorageError> {
        self.vault.borrow_mut().remove(name);
        Ok(())
    }
}

/// A value as it is kept. In a buffer of the right size from the start: one that grows leaves copies that nobody wipes, and to
/// write all epochs' secrets into one took half as long again (measured).
fn bytes_of(value: &(impl Serialize + ?Sized)) -> postcard::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; postcard::experimental::serialized_size(value)?]);
    postcard::to_slice(value, &mut bytes)?;
    Ok(bytes)
}

/// A table of which a group has one row.
fn only(table: Table) -> [u8; 1] {
    [table as u8]
}

/// A row named by a key that may be long: 16 bytes of the key's hash stand for it.
fn keyed(table: Table, key: &impl Serialize) -> Result<[u8; 17], StorageError> {
    let bytes = postcard::to_allocvec(key).map_err(|_| StorageError::Unwritable)?;
    let mut name = [table as u8; 17];
    name[1..].copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
    Ok(name)
}

fn epoch_keyed(epoch: &impl Serialize, leaf: u32) -> Result<[u8; 17], StorageError> {
    keyed(Table::EpochKeyPairs, &(epoch, leaf))
}

const V: u16 = CURRENT_VERSION;
type Done = Result<(), StorageError>;
type Found<T> = Result<Option<T>, StorageError>;

impl StorageProvider<V> for Storage<'_> {
    type Error = StorageError;

    // A group's values.

    /// In JSON: reading it asks the format what comes next, which postcard cannot say.
    fn write_mls_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(&self, _: &G, value: &T) -> Done {
        let json = serde_json::to_vec(value).map_err(|_| StorageError::Unwritable)?;
        self.vault.borrow_mut().put(&only(Table::JoinConfig), &json);
        Ok(())
    }

    fn mls_group_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(&self, _: &G) -> Found<T> {
        let Some(json) = self.vault.borrow().get(&only(Table::JoinConfig)) else { return Ok(None) };
        serde_json::from_slice(&json).map(Some).map_err(|_| StorageError::Unreadable)
    }

    fn delete_group_config<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::JoinConfig))
    }

    fn write_tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(&self, _: &G, value: &T) -> Done {
        self.put(&only(Table::Tree), value)
    }

    fn tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::Tree))
    }

    fn delete_tree<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::Tree))
    }

    fn write_interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Done {
        self.put(&only(Table::TranscriptHash), value)
    }

    fn interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::TranscriptHash))
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::TranscriptHash))
    }

    fn write_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(&self, _: &G, value: &T) -> Done {
        self.put(&only(Table::Context), value)
    }

    fn group_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::Context))
    }

    fn delete_context<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::Context))
    }

    fn write_confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(&self, _: &G, value: &T) -> Done {
        self.put(&only(Table::ConfirmationTag), value)
    }

    fn confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::ConfirmationTag))
    }

    fn delete_confirmation_tag<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::ConfirmationTag))
    }

    fn write_group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(&self, _: &G, value: &T) -> Done {
        self.put(&only(Table::State), value)
    }

    fn group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::State))
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::State))
    }

    /// All epochs' secrets at once, after each message: put off until someone asks for the rows.
    fn write_message_secrets<G: traits::GroupId<V>, T: traits::MessageSecrets<V>>(&self, _: &G, value: &T) -> Done {
        if self.writes_secrets {
            self.put(&only(Table::MessageSecrets), value)?;
        }
        self.vault.borrow_mut().secrets_unwritten = !self.writes_secrets;
        Ok(())
    }

    fn message_secrets<G: traits::GroupId<V>, T: traits::MessageSecrets<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::MessageSecrets))
    }

    fn delete_message_secrets<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::MessageSecrets))
    }

    fn write_resumption_psk_store<G: traits::GroupId<V>, T: traits::ResumptionPskStore<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Done {
        self.put(&only(Table::ResumptionSecrets), value)
    }

    fn resumption_psk_store<G: traits::GroupId<V>, T: traits::ResumptionPskStore<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::ResumptionSecrets))
    }

    fn delete_all_resumption_psk_secrets<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::ResumptionSecrets))
    }

    fn write_own_leaf_index<G: traits::GroupId<V>, T: traits::LeafNodeIndex<V>>(&self, _: &G, value: &T) -> Done {
        self.put(&only(Table::OwnLeaf), value)
    }

    fn own_leaf_index<G: traits::GroupId<V>, T: traits::LeafNodeIndex<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::OwnLeaf))
    }

    fn delete_own_leaf_index<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::OwnLeaf))
    }

    fn write_group_epoch_secrets<G: traits::GroupId<V>, T: traits::GroupEpochSecrets<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Done {
        self.put(&only(Table::EpochSecrets), value)
    }

    fn group_epoch_secrets<G: traits::GroupId<V>, T: traits::GroupEpochSecrets<V>>(&self, _: &G) -> Found<T> {
        self.get(&only(Table::EpochSecrets))
    }

    fn delete_group_epoch_secrets<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        self.remove(&only(Table::EpochSecrets))
    }

    // Keys to which members seal.

    fn write_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>, T: traits::HpkeKeyPair<V>>(
        &self,
        _: &G,
        epoch: &E,
        leaf: u32,
        pairs: &[T],
    ) -> Done {
        self.put(&epoch_keyed(epoch, leaf)?, &pairs)
    }

    fn encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>, T: traits::HpkeKeyPair<V>>(
        &self,
        _: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<T>, StorageError> {
        Ok(self.get(&epoch_keyed(epoch, leaf)?)?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>>(
        &self,
        _: &G,
        epoch: &E,
        leaf: u32,
    ) -> Done {
        self.remove(&epoch_keyed(epoch, leaf)?)
    }

    fn write_encryption_key_pair<K: traits::EncryptionKey<V>, T: traits::HpkeKeyPair<V>>(
        &self,
        key: &K,
        pair: &T,
    ) -> Done {
        self.put(&keyed(Table::KeyPair, key)?, pair)
    }

    fn encryption_key_pair<T: traits::HpkeKeyPair<V>, K: traits::EncryptionKey<V>>(&self, key: &K) -> Found<T> {
        self.get(&keyed(Table::KeyPair, key)?)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<V>>(&self, key: &K) -> Done {
        self.remove(&keyed(Table::KeyPair, key)?)
    }

    fn write_key_package<H: traits::HashReference<V>, T: traits::KeyPackage<V>>(&self, hash: &H, value: &T) -> Done {
        self.put(&keyed(Table::KeyPackage, hash)?, value)
    }

    fn key_package<H: traits::HashReference<V>, T: traits::KeyPackage<V>>(&self, hash: &H) -> Found<T> {
        self.get(&keyed(Table::KeyPackage, hash)?)
    }

    fn delete_key_package<H: traits::HashReference<V>>(&self, hash: &H) -> Done {
        self.remove(&keyed(Table::KeyPackage, hash)?)
    }

    // What is never kept.

    fn append_own_leaf_node<G: traits::GroupId<V>, T: traits::LeafNode<V>>(&self, _: &G, _: &T) -> Done {
        Err(StorageError::NeverKept)
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, T: traits::LeafNode<V>>(&self, _: &G) -> Result<Vec<T>, StorageError> {
        Ok(Vec::new())
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, _: &G) -> Done {
        Ok(())
    }

    fn queue_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>, T: traits::QueuedProposal<V>>(
        &self,
        _: &G,
        _: &R,
        _: &T,
    ) -> Done {
        Err(StorageError::NeverKept)
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<R>, StorageError> {
        Ok(Vec::new())
    }

    fn queued_proposals<G: traits::GroupId<V>, R: traits::ProposalRef<V>, T: traits::QueuedProposal<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<(R, T)>, StorageError> {
        Ok(Vec::new())
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(&self, _: &G, _: &R) -> Done {
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(&self, _: &G) -> Done {
        Ok(())
    }

    fn write_signature_key_pair<K: traits::SignaturePublicKey<V>, T: traits::SignatureKeyPair<V>>(
        &self,
        _: &K,
        _: &T,
    ) -> Done {
        Err(StorageError::NeverKept)
    }

    fn signature_key_pair<K: traits::SignaturePublicKey<V>, T: traits::SignatureKeyPair<V>>(&self, _: &K) -> Found<T> {
        Ok(None)
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<V>>(&self, _: &K) -> Done {
        Ok(())
    }

    fn write_psk<K: traits::PskId<V>, T: traits::PskBundle<V>>(&self, _: &K, _: &T) -> Done {
        Err(StorageError::NeverKept)
    }

    fn psk<T: traits::PskBundle<V>, K: traits::PskId<V>>(&self, _: &K) -> Found<T> {
        Ok(None)
    }

    fn delete_psk<K: traits::PskId<V>>(&self, _: &K) -> Done {
        Ok(())
    }
}
