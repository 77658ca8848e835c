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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{NodeKeys, NodeRecord, RecordBody, Verifier};
    use mainframe_base::{Role, Secret};

    const SEED: [u8; 32] = [7; 32];

    fn node(number: u8) -> (NodeKeys, NodeRecord, Binding) {
        let keys = NodeKeys::from_secrets(Secret::new([number; 32]), Secret::new([number; 32])).unwrap();
        let body = RecordBody { network: NetworkId::DEV, role: Role::Relay, seed: SEED, sequence: 1, locators: vec![] };
        let (record, binding) = (keys.sign_record(body), keys.binding(NetworkId::DEV, &SEED));
        (keys, record, binding)
    }

    #[test]
    fn a_nodes_own_binding_is_accepted_again_and_again() {
        let (verifier, (_, record, binding)) = (Verifier::new(8), node(1));
        assert_eq!(verifier.hello(&record, &binding), Ok(()));
        assert_eq!(verifier.hello(&record, &binding), Ok(()));
    }

    #[test]
    fn a_binding_comes_back_from_its_bytes() {
        let (_, _, binding) = node(1);
        let mut bytes = Vec::new();
        binding.encode(&mut bytes);
        assert_eq!(bytes.len(), Binding::LENGTH);
        let mut reader = Reader::new(&bytes);
        assert_eq!(Binding::decode(&mut reader), Ok(binding));
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(Binding::decode(&mut Reader::new(&bytes[..116])), Err(Fault::Malformed));
    }

    #[test]
    fn an_address_that_does_not_follow_from_account_and_seed_is_refused() {
        let (verifier, (_, record, binding)) = (Verifier::new(8), node(1));
        let other_seed = Binding { seed: [8; 32], ..binding.clone() };
        assert_eq!(verifier.hello(&record, &other_seed), Err(Fault::WrongAddress));
        let other_account = Binding { account: node(2).0.account(), ..binding.clone() };
        assert_eq!(verifier.hello(&record, &other_account), Err(Fault::WrongAddress));
        let other_network = NodeRecord { network: NetworkId::MAIN, ..record };
        assert_eq!(verifier.hello(&other_network, &binding), Err(Fault::WrongAddress));
    }

    #[test]
    fn a_neighbour_cannot_pass_on_anothers_binding_as_its_own() {
        let (_, record, binding) = node(1);
        let thief = NodeRecord { link_key: node(2).0.link_key(), ..record };
        assert_eq!(Verifier::new(8).hello(&thief, &binding), Err(Fault::BadSignature));
    }

    #[test]
    fn no_bit_of_a_binding_can_be_changed() {
        let (verifier, (_, record, binding)) = (Verifier::new(8), node(1));
        assert_eq!(verifier.hello(&record, &binding), Ok(()));
        for bit in 0..binding.signature.len() * 8 {
            let mut changed = binding.clone();
            changed.signature[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verifier.hello(&record, &changed), Err(Fault::BadSignature), "bit {bit}");
        }
    }

    #[test]
    fn the_twin_with_the_higher_s_is_refused() {
        let (verifier, (_, record, binding)) = (Verifier::new(8), node(1));
        let signature = Signature::from_slice(&binding.signature[..64]).unwrap();
        let (r, s) = signature.split_scalars();
        let twin = Signature::from_scalars(r, -s).unwrap();
        let mut changed = binding;
        changed.signature[..64].copy_from_slice(&twin.to_bytes());
        changed.signature[64] = 27 + 28 - changed.signature[64];
        assert_eq!(verifier.hello(&record, &changed), Err(Fault::BadSignature));
    }

    #[test]
    fn every_network_and_every_seed_gives_another_address() {
        let account = node(1).0.account();
        let address = overlay_address(NetworkId::DEV, &account, &SEED);
        assert_ne!(address, overlay_address(NetworkId::MAIN, &account, &SEED));
        assert_ne!(address, overlay_address(NetworkId::DEV, &account, &[0; 32]));
    }
}
