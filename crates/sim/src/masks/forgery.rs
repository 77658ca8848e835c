//! Records of nodes that do not exist, as well signed as those of nodes that do.

use std::net::Ipv4Addr;

use ed25519_dalek::{Signer, SigningKey};
use mainframe_base::{Address, LinkKey, Locator, NetworkId, Role, Signature, Transport};
use mainframe_core::crypto::NodeRecord;

use crate::dice::Dice;

/// What a link key signs in a record (docs/protocol/crypto.md §3).
const SIGNATURE_DOMAIN: &[u8] = b"mainframe/record/1";
const SIGNATURE_LENGTH: usize = 64;
/// No node of the world has an address below this: 15.0.0.0/8 is nobody's here.
const NOWHERE: u32 = 0x0F00_0000;

/// A record of a node at any position whatever, where nobody lives. Its signature is good: the position is proved in a
/// `Hello` only.
pub(super) fn forge(dice: &mut Dice, overlay: Address) -> NodeRecord {
    let key = SigningKey::from_bytes(&dice.bytes());
    let ip = Ipv4Addr::from(NOWHERE | (dice.bits() as u32 & 0x00FF_FFFF));
    let mut record = NodeRecord {
        network: NetworkId::MAIN,
        role: Role::Relay,
        overlay,
        link_key: LinkKey(key.verifying_key().to_bytes()),
        sequence: 1,
        locators: vec![Locator::direct(Transport::Tcp, ip.into(), 4_001)],
        signature: Signature([0; SIGNATURE_LENGTH]),
    };
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes.truncate(bytes.len() - SIGNATURE_LENGTH);
    record.signature = Signature(key.sign(&[SIGNATURE_DOMAIN, &bytes].concat()).to_bytes());
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::crypto::Verifier;

    #[test]
    fn a_forged_record_passes_every_check_a_record_can_pass() {
        let record = forge(&mut Dice::new(1, "test"), Address([7; 32]));
        assert!(Verifier::new(4).record(record).is_ok());
    }
}
