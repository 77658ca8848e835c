//! What ties an overlay address to an account and to a link key.
//!
//! An address cannot be chosen: it follows from an account and, where there is a chain, from randomness that came
//! after the account's stake (docs/protocol/crypto.md §2). Proving that takes the account, which would link a node
//! with its money; so it is told in the direct `Hello` only and never gossiped.

use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use mainframe_base::{Address, ChainAccount, Fault, LinkKey, NetworkId};

use super::keccak256;
use crate::codec::Reader;

const OVERLAY_DOMAIN: &[u8] = b"mainframe/overlay/1";
const BINDING_DOMAIN: &[u8] = b"mainframe/binding/1";

/// What Ethereum adds to a recovery id (yellow paper, appendix F), so that contracts can check a binding.
const RECOVERY_OFFSET: u8 = 27;

/// The overlay address of `account` on `network`. The seed is the chain's randomness after the stake was locked;
/// without a chain it is zero.
pub fn overlay_address(network: NetworkId, account: &ChainAccount, seed: &[u8; 32]) -> Address {
    Address(keccak256(&[OVERLAY_DOMAIN, &network.0.to_be_bytes(), &account.0, seed]))
}

/// The account of a secp256k1 public key: the last 20 bytes of Keccak-256 of its two coordinates.
pub(super) fn account_of(key: &VerifyingKey) -> ChainAccount {
    let point = key.to_sec1_point(false);
    let hash = keccak256(&[&point.as_bytes()[1..]]);
    ChainAccount(*hash.last_chunk().expect("32 bytes end in 20"))
}

/// The proof, told to a neighbour in its `Hello`, that an overlay address and a link key belong to an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The account the address follows from.
    pub account: ChainAccount,
    /// The randomness the address follows from; zero without a chain.
    pub seed: [u8; 32],
    /// The account's signature: r, s (the lower one), 27 or 28.
    pub signature: [u8; 65],
}

impl Binding {
    /// Length on the wire, in bytes.
    pub const LENGTH: usize = 20 + 32 + 65;

    /// Appends account, seed, signature.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.account.0);
        out.extend_from_slice(&self.seed);
        out.extend_from_slice(&self.signature);
    }

    /// Reads what [`Binding::encode`] wrote; verifies nothing.
    ///
    /// # Errors
    /// `Malformed` if the bytes end early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Binding, Fault> {
        Ok(Binding { account: ChainAccount(reader.array()?), seed: reader.array()?, signature: reader.array()? })
    }

    pub(super) fn sign(chain: &SigningKey, network: NetworkId, seed: &[u8; 32], link_key: &LinkKey) -> Binding {
        let account = account_of(chain.verifying_key());
        let overlay = overlay_address(network, &account, seed);
        let (signed, recovery) = chain.sign_prehash_recoverable(&digest(network, &overlay, link_key));
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&signed.to_bytes());
        signature[64] = RECOVERY_OFFSET + u8::from(recovery.is_y_odd());
        Binding { account, seed: *seed, signature }
    }

    /// Whether `overlay` follows from the account and the seed, and the account signed that it goes with `link_key`.
    pub(super) fn verify(&self, network: NetworkId, overlay: &Address, link_key: &LinkKey) -> Result<(), Fault> {
        if overlay_address(network, &self.account, &self.seed) != *overlay {
            return Err(Fault::WrongAddress);
        }
        match self.signer(&digest(network, overlay, link_key)) {
            Some(signer) if signer == self.account => Ok(()),
            _ => Err(Fault::BadSignature),
        }
    }

    /// Who signed `digest`. Of the two signatures that every signature can be turned into, only the one with the
    /// lower s counts, so that nobody but the account can make a second one.
    fn signer(&self, digest: &[u8; 32]) -> Option<ChainAccount> {
        let (signature, recovery) = self.signature.split_at(64);
        let signature = Signature::from_slice(signature).ok()?;
        let recovery = match recovery[0].checked_sub(RECOVERY_OFFSET)? {
            y_odd @ (0 | 1) => RecoveryId::new(y_odd == 1, false),
            _ => return None,
        };
        if signature.normalize_s() != signature {
            return None;
        }
        VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok().as_ref().map(account_of)
    }
}

fn digest(network: NetworkId, overlay: &Address, link_key: &LinkKey) -> [u8; 32] {
    keccak256(&[BINDING_DOMAIN, &network.0.to_be_bytes(), &overlay.0, &link_key.0])
}
