//! Keys, records, sealing.
#![allow(missing_docs, missing_debug_implementations)]
use crate::codec::Reader;
use mainframe_base::*;
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    pub network: NetworkId,
    pub role: Role,
    pub overlay: Address,
    pub link_key: LinkKey,
    pub sequence: u64,
    pub locators: Vec<Locator>,
    pub signature: Signature,
}
impl NodeRecord {
    pub fn encode(&self, _out: &mut Vec<u8>) {}
    pub fn decode(_reader: &mut Reader<'_>) -> Result<NodeRecord, Fault> {
        Err(Fault::Malformed)
    }
}
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    pub account: ChainAccount,
    pub seed: [u8; 32],
    pub signature: [u8; 65],
}
impl Binding {
    pub fn encode(&self, _out: &mut Vec<u8>) {}
    pub fn decode(_reader: &mut Reader<'_>) -> Result<Binding, Fault> {
        Err(Fault::Malformed)
    }
}
#[derive(Clone)]
pub struct PersonKeys;
impl std::fmt::Debug for PersonKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKeys(…)")
    }
}
