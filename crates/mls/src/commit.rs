//! Commits: made, looked at, and merged.

use mainframe_base::Fault;
use openmls::prelude::{
    BasicCredential, CommitMessageBundle, ContentType, EncryptedGroupSecrets, KeyPackage, LeafNode, LeafNodeIndex,
    LeafNodeParameters, MlsMessageBodyIn, ProcessedMessageContent, Proposal, ProposalOrRefType, ProtocolMessage,
    Sender, StagedCommit, Welcome, WireFormat,
};
use openmls_traits::OpenMlsProvider as _;
use rand_core::CryptoRng;
use tls_codec::{Deserialize as _, Serialize as _, VLBytes};

use crate::crypto::{Crypto, is_sealable};
use crate::group::{epoch_name, load_mls};
use crate::key_package::{id_from, newcomer_of, read_key_package, read_message};
use crate::provider::Provider;
use crate::storage::SET_BACK_ROW;
use crate::suite::{LEAVES_MAX, SUITE, TREE_INSIDE_LEAVES_MAX, context_alone_in, context_extensions, credential_of};
use crate::{Change, CommitFacts, Draft, EpochId, Group, Invitation, Leaf, Newcomer, Uncommitted, Unopened, must};

/// Commits on one epoch whose check is remembered until one of them is merged (guess: more than ever compete among
/// people who keep to their turns).
const CHECKED_MAX: usize = 4;

/// A commit that was checked: somebody's, or the one of ours that is pending.
enum Checked {
    Theirs(Box<StagedCommit>, CommitFacts),
    Pending(CommitFacts),
}

/// Somebody's commit on the present epoch, checked, and what it leads to: the check is most of the work.
pub(crate) struct CheckedCommit {
    bytes: Vec<u8>,
    staged: Box<StagedCommit>,
    facts: CommitFacts,
}

impl Group {
    /// Makes a commit, and keeps it beside the present epoch until its fate is known. What it leads to must be
    /// [stored](Group::take_changes) before it is sent.
    ///
    /// # Errors
    ///
    /// [`Uncommitted`], which leaves the group as it was.
    pub fn commit(&mut self, rng: &mut impl CryptoRng, change: &Change) -> Result<Draft, Uncommitted> {
        let packages = self.check_change(change)?;
        let leaves = self.mls.members().count() + packages.len() - change.remove.len();
        let bundle = self.stage(rng, change, packages, leaves <= TREE_INSIDE_LEAVES_MAX)?;
        let tree = (leaves > TREE_INSIDE_LEAVES_MAX && !change.add.is_empty()).then(|| self.pending_tree());
        let invitations = bundle.welcome().map(split_welcome).unwrap_or_default();
        let commit = must(bundle.into_commit().to_bytes(), "a commit can be written");
        Ok(Draft { commit, child: self.pending_child(), invitations, tree })
    }

    /// What a commit does, without doing it. As often as one likes, as long as its parent is the present epoch.
    ///
    /// # Errors
    ///
    /// [`Unopened`]: then it cannot be merged either.
    pub fn inspect(&mut self, commit: &[u8]) -> Result<CommitFacts, Unopened> {
        if let Some(known) = self.checked.iter().find(|known| known.bytes == commit) {
            return Ok(known.facts.clone());
        }
        match self.check_commit(commit)? {
            Checked::Pending(facts) => Ok(facts),
            Checked::Theirs(staged, facts) => {
                self.checked.truncate(CHECKED_MAX - 1);
                self.checked.insert(0, CheckedCommit { bytes: commit.to_vec(), staged, facts: facts.clone() });
                Ok(facts)
            }
        }
    }

    /// Merges somebody's commit, or the pending one of ours. A pending commit of ours that did not win is dropped.
    ///
    /// # Errors
    ///
    /// [`Unopened`], which leaves the group as it was.
    pub fn merge(&mut self, commit: &[u8]) -> Result<CommitFacts, Unopened> {
        let known = self.checked.iter().position(|known| known.bytes == commit);
        let checked = match known.map(|position| self.checked.swap_remove(position)) {
            Some(known) => Checked::Theirs(known.staged, known.facts),
            None => self.check_commit(commit)?,
        };
        match checked {
            Checked::Pending(facts) => {
                self.merge_pending();
                Ok(facts)
            }
            Checked::Theirs(staged, facts) => {
                self.merge_staged(*staged)?;
                self.end_set_back();
                Ok(facts)
            }
        }
    }

    /// Whether a commit of ours awaits its fate.
    pub fn has_pending(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Merges the pending commit; nothing if there is none.
    pub fn merge_pending(&mut self) {
        if self.has_pending() {
            let provider = Provider::still(&mut self.vault);
            self.mls.merge_pending_commit(&provider).expect("our own commit can be merged");
            self.end_set_back();
            self.checked.clear();
        }
    }

    /// Drops the pending commit, if there is one.
    pub fn clear_pending(&mut self) {
        let provider = Provider::still(&mut self.vault);
        self.mls.clear_pending_commit(provider.storage()).expect("a vault cannot fail");
    }

    /// openmls checks that a path gave us all keys that are ours only after it has begun to merge. Its rows are written
    /// last: from them the group is taken up again if that check fails.
    fn merge_staged(&mut self, staged: StagedCommit) -> Result<(), Fault> {
        self.write_secrets();
        self.checked.clear();
        let provider = Provider::still(&mut self.vault);
        if self.mls.merge_staged_commit(&provider, staged).is_err() {
            self.mls = must(load_mls(&mut self.vault), "its rows were just written");
            return Err(Fault::Impossible);
        }
        Ok(())
    }

    fn end_set_back(&mut self) {
        self.set_back_to = None;
        self.vault.remove(SET_BACK_ROW);
    }

    /// Everything about a change that depends on others, before openmls sees it.
    fn check_change(&self, change: &Change) -> Result<Vec<KeyPackage>, Uncommitted> {
        if !self.is_member() {
            return Err(Uncommitted::Left);
        }
        if self.has_pending() {
            return Err(Uncommitted::Pending);
        }
        self.check_removals(&change.remove)?;
        let packages = self.check_additions(change)?;
        if self.mls.members().count() + packages.len() - change.remove.len() > LEAVES_MAX {
            return Err(Uncommitted::Full);
        }
        Ok(packages)
    }

    fn check_removals(&self, leaves: &[Leaf]) -> Result<(), Uncommitted> {
        for (position, leaf) in leaves.iter().enumerate() {
            let there = self.mls.member_at(LeafNodeIndex::new(leaf.0)).is_some();
            if !there || *leaf == self.own_leaf() || leaves[..position].contains(leaf) {
                return Err(Uncommitted::NoSuchLeaf(*leaf));
            }
        }
        Ok(())
    }

    fn check_additions(&self, change: &Change) -> Result<Vec<KeyPackage>, Uncommitted> {
        let mut keys: Vec<_> =
            self.members().into_iter().filter(|it| !change.remove.contains(&it.leaf)).map(|it| it.key).collect();
        let mut packages = Vec::new();
        for (position, bytes) in change.add.iter().enumerate() {
            let refused = |fault| Uncommitted::KeyPackage { position, fault };
            let package = read_key_package(bytes).map_err(refused)?;
            let key = newcomer_of(&package).map_err(refused)?.key;
            if keys.contains(&key) {
                return Err(refused(Fault::Impossible));
            }
            keys.push(key);
            packages.push(package);
        }
        Ok(packages)
    }

    fn stage(
        &mut self,
        rng: &mut impl CryptoRng,
        change: &Change,
        packages: Vec<KeyPackage>,
        tree_inside: bool,
    ) -> Result<CommitMessageBundle, Uncommitted> {
        let provider = Provider::drawing(&mut self.vault, rng);
        let mut builder = self
            .mls
            .commit_builder()
            .consume_proposal_store(false)
            .force_self_update(change.refresh)
            .propose_removals(change.remove.iter().map(|leaf| LeafNodeIndex::new(leaf.0)))
            .propose_adds(packages);
        if let Some(context) = &change.context {
            let proposed = builder.propose_group_context_extensions(context_extensions(context));
            builder = must(proposed, "our context is allowed");
        }
        if let Some(credential) = &change.credential {
            let credential = credential_of(&self.device, credential);
            builder = builder
                .leaf_node_parameters(LeafNodeParameters::builder().with_credential_with_key(credential).build());
        }
        let built = must(builder.load_psks(provider.storage()), "there are none")
            .use_ratchet_tree_extension(tree_inside)
            .create_group_info(false)
            .build(provider.rand(), provider.crypto(), &self.device, |_| true)
            .map_err(|_| Fault::Impossible)?;
        Ok(must(built.stage_commit(&provider), "a vault cannot fail"))
    }

    fn pending_child(&self) -> EpochId {
        let pending = self.mls.pending_commit().expect("just staged");
        epoch_name(pending.epoch_authenticator().expect("we are in it").as_slice())
    }

    /// The tree of the epoch to which the pending commit leads.
    fn pending_tree(&self) -> Vec<u8> {
        let pending = self.mls.pending_commit().expect("just staged");
        let tree = pending
            .export_ratchet_tree(&Crypto::new(None), self.mls.export_ratchet_tree())
            .expect("our own tree is sound")
            .expect("we are in it");
        tree.tls_serialize_detached().expect("a tree can be written")
    }

    fn check_commit(&mut self, bytes: &[u8]) -> Result<Checked, Unopened> {
        let message = self.read_commit(bytes)?;
        let provider = Provider::still(&mut self.vault);
        let processed = self.mls.process_message(&provider, message)?;
        let Sender::Member(author) = *processed.sender() else { return Err(Fault::Impossible.into()) };
        match processed.into_content() {
            ProcessedMessageContent::OwnPendingCommit => {
                let pending = self.mls.pending_commit().ok_or(Fault::Impossible)?;
                Ok(Checked::Pending(self.facts_of(author, pending)?))
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let facts = self.facts_of(author, &staged)?;
                Ok(Checked::Theirs(staged, facts))
            }
            ProcessedMessageContent::ApplicationMessage(_)
            | ProcessedMessageContent::ProposalMessage(_)
            | ProcessedMessageContent::ExternalJoinProposalMessage(_)
            | ProcessedMessageContent::OwnPrivateMessage => Err(Fault::Impossible.into()),
        }
    }

    fn read_commit(&self, bytes: &[u8]) -> Result<ProtocolMessage, Unopened> {
        let MlsMessageBodyIn::PublicMessage(message) = read_message(bytes)? else {
            return Err(Fault::Impossible.into());
        };
        let by_member = matches!(message.sender(), Sender::Member(_));
        let here = message.group_id() == self.mls.group_id();
        if message.content_type() != ContentType::Commit || !by_member || !here {
            return Err(Fault::Impossible.into());
        }
        match message.epoch().cmp(&self.mls.epoch()) {
            std::cmp::Ordering::Less => Err(Unopened::Late),
            std::cmp::Ordering::Equal => Ok(message.into()),
            std::cmp::Ordering::Greater => Err(Unopened::Early),
        }
    }

    /// What a commit does; a fault if it does what no commit may do here.
    fn facts_of(&self, author: LeafNodeIndex, staged: &StagedCommit) -> Result<CommitFacts, Fault> {
        let mut facts = CommitFacts {
            author: Leaf(author.u32()),
            parent: self.epoch(),
            child: staged.epoch_authenticator().map(|it| epoch_name(it.as_slice())),
            added: Vec::new(),
            removed: Vec::new(),
            context: None,
            credential: staged.update_path_leaf_node().map_or(Ok(None), |leaf| self.new_credential(author, leaf))?,
        };
        for proposal in staged.queued_proposals() {
            if proposal.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                return Err(Fault::Impossible);
            }
            note(&mut facts, proposal.proposal())?;
        }
        if self.mls.members().count() + facts.added.len() > LEAVES_MAX + facts.removed.len() {
            return Err(Fault::Oversized);
        }
        Ok(facts)
    }

    /// The credential in an author's new leaf, if it is another one. A device's key never changes: with another key it is
    /// another device.
    fn new_credential(&self, author: LeafNodeIndex, leaf: &LeafNode) -> Result<Option<Vec<u8>>, Fault> {
        let before = self.mls.member_at(author).ok_or(Fault::Impossible)?;
        let same = before.signature_key == leaf.signature_key().as_slice();
        if !same || !is_sealable(leaf.encryption_key()) {
            return Err(Fault::Impossible);
        }
        if *leaf.credential() == before.credential {
            return Ok(None);
        }
        let credential = BasicCredential::try_from(leaf.credential().clone()).map_err(|_| Fault::Impossible)?;
        Ok(Some(credential.identity().to_vec()))
    }
}

fn note(facts: &mut CommitFacts, proposal: &Proposal) -> Result<(), Fault> {
    if let Proposal::Add(add) = proposal {
        let newcomer: Newcomer = newcomer_of(add.key_package())?;
        facts.added.push(newcomer);
        return Ok(());
    }
    if let Proposal::Remove(remove) = proposal {
        facts.removed.push(Leaf(remove.removed().u32()));
        return Ok(());
    }
    if let Proposal::GroupContextExtensions(change) = proposal {
        facts.context = Some(context_alone_in(change.extensions()).ok_or(Fault::Impossible)?.to_vec());
        return Ok(());
    }
    Err(Fault::Impossible)
}

/// A Welcome names everyone who comes in, 1.2 kB each: each gets the part that is for them.
fn split_welcome(welcome: &Welcome) -> Vec<Invitation> {
    let bytes = welcome.tls_serialize_detached().expect("a Welcome can be written");
    let (_, group_info) = read_parts(&bytes).expect("just written");
    let single = |secret: &EncryptedGroupSecrets| Invitation {
        to: id_from(secret.new_member().as_slice()),
        welcome: write_single(secret, &group_info).expect("a part of a Welcome can be written"),
    };
    welcome.secrets().iter().map(single).collect()
}

type Codec<T> = Result<T, tls_codec::Error>;

/// A Welcome's secrets and its sealed group info, after the suite (RFC 9420 §12.4.3.1).
fn read_parts(mut bytes: &[u8]) -> Codec<(Vec<EncryptedGroupSecrets>, VLBytes)> {
    u16::tls_deserialize(&mut bytes)?;
    Ok((Vec::tls_deserialize(&mut bytes)?, VLBytes::tls_deserialize(&mut bytes)?))
}

fn write_single(secret: &EncryptedGroupSecrets, group_info: &VLBytes) -> Codec<Vec<u8>> {
    const MLS_1_0: u16 = 1;
    let mut bytes = Vec::new();
    MLS_1_0.tls_serialize(&mut bytes)?;
    (WireFormat::Welcome as u16).tls_serialize(&mut bytes)?;
    SUITE.tls_serialize(&mut bytes)?;
    [secret].as_slice().tls_serialize(&mut bytes)?;
    group_info.tls_serialize(&mut bytes)?;
    Ok(bytes)
}
