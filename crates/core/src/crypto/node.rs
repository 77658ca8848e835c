//! A node's own keys, and what it signs with them.

use ed25519_dalek::Signer;
use k256::ecdsa::SigningKey;
use mainframe_base::{Address, ChainAccount, LinkKey, Locator, NetworkId, Role, Secret, Signature};
use rand_core::CryptoRng;

use super::binding::{Binding, account_of, overlay_address};
use super::random_secret;
use super::record::{LOCATORS_MAX, NodeRecord, is_diallable};

/// A node's two keys: secp256k1 on the chain, ed25519 on links. Neither is a person's.
///
/// A clone's secrets are wiped when it is dropped, as these are.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone)]
pub struct NodeKeys {
    chain: SigningKey,
    link: ed25519_dalek::SigningKey,
}

/// What a node says of itself in its record; the rest follows from its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordBody {
    /// The network it takes part in.
    pub network: NetworkId,
    /// As what it takes part.
    pub role: Role,
    /// The randomness its overlay address follows from; zero without a chain.
    pub seed: [u8; 32],
    /// When it signs, in milliseconds since the Unix epoch; of two records the later holds.
    pub sequence: u64,
    /// Where it can be dialled. The first [`LOCATORS_MAX`] that others would accept are told; the rest are left out.
    pub locators: Vec<Locator>,
}

impl NodeKeys {
    /// Draws new keys.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            // All but one in 2^128 strings of 32 bytes are secp256k1 keys.
            if let Some(keys) = NodeKeys::from_secrets(random_secret(rng), random_secret(rng)) {
                return keys;
            }
        }
    }

    /// The keys with these secrets; `None` if `chain` is no secp256k1 key (zero, or not below the group's order).
    pub fn from_secrets(chain: Secret<32>, link: Secret<32>) -> Option<Self> {
        let chain = SigningKey::from_slice(chain.expose()).ok()?;
        Some(NodeKeys { chain, link: ed25519_dalek::SigningKey::from_bytes(link.expose()) })
    }

    /// The secp256k1 secret, to be stored sealed.
    pub fn chain_secret(&self) -> Secret<32> {
        Secret::new(self.chain.to_bytes().into())
    }

    /// The ed25519 secret, to be stored sealed and to be handed to the transports.
    pub fn link_secret(&self) -> Secret<32> {
        Secret::new(self.link.to_bytes())
    }

    /// The name by which neighbours know this node.
    pub fn link_key(&self) -> LinkKey {
        LinkKey(self.link.verifying_key().to_bytes())
    }

    /// The account its stake and its cheques belong to.
    pub fn account(&self) -> ChainAccount {
        account_of(self.chain.verifying_key())
    }

    /// Where it stands on `network`; see [`overlay_address`].
    pub fn overlay(&self, network: NetworkId, seed: &[u8; 32]) -> Address {
        overlay_address(network, &self.account(), seed)
    }

    /// The proof of its overlay address, for the direct `Hello` only.
    pub fn binding(&self, network: NetworkId, seed: &[u8; 32]) -> Binding {
        Binding::sign(&self.chain, network, seed, &self.link_key())
    }

    /// Signs what it says of itself.
    pub fn sign_record(&self, body: RecordBody) -> NodeRecord {
        let mut record = NodeRecord {
            network: body.network,
            role: body.role,
            overlay: self.overlay(body.network, &body.seed),
            link_key: self.link_key(),
            sequence: body.sequence,
            locators: body.locators.into_iter().filter(is_diallable).take(LOCATORS_MAX).collect(),
            signature: Signature([0; 64]),
        };
        record.signature = Signature(self.link.sign(&record.signed_bytes()).to_bytes());
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and address of the first development account of Hardhat and Anvil.
    #[test]
    fn the_account_is_ethereums() {
        let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let chain = Secret::new(hex::decode(secret).unwrap().try_into().unwrap());
        let keys = NodeKeys::from_secrets(chain, Secret::new([1; 32])).unwrap();
        assert_eq!(keys.account().to_string(), "f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    }

    #[test]
    fn keys_come_back_from_their_secrets() {
        use rand_core::SeedableRng;
        let keys = NodeKeys::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(1));
        let again = NodeKeys::from_secrets(keys.chain_secret(), keys.link_secret()).unwrap();
        assert_eq!((again.account(), again.link_key()), (keys.account(), keys.link_key()));
        assert!(NodeKeys::from_secrets(Secret::new([0; 32]), keys.link_secret()).is_none());
        assert!(NodeKeys::from_secrets(Secret::new([0xFF; 32]), keys.link_secret()).is_none());
    }
}
