//! What devices say to each other inside sessions, for no person to read.

use mainframe_base::{DeviceKey, Fault, SessionId};

use super::conversation::CONTROL_KIND;
use super::fragment::FRAME_LENGTH_MAX;
use super::ledger::Start;
use crate::codec::{Reader, put_list};
use crate::crypto::{Card, Revocation};

/// Devices of a person (as the decisions bound them).
pub(super) const PACKAGES_MAX: usize = 16;
/// Bytes of a key package (crate mls bounds it too).
const PACKAGE_LENGTH_MAX: usize = 8_192;

const HERE: u8 = CONTROL_KIND;
const KEYS_WANTED: u8 = CONTROL_KIND + 1;
const KEYS: u8 = CONTROL_KIND + 2;
const WELCOME: u8 = CONTROL_KIND + 3;
const LEAVING: u8 = CONTROL_KIND + 4;
const REMOVING: u8 = CONTROL_KIND + 5;
const CARD: u8 = CONTROL_KIND + 6;
const REVOKED: u8 = CONTROL_KIND + 7;
const STRANDED: u8 = CONTROL_KIND + 8;

/// A message of this kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Control {
    /// I am in this session now.
    Here,
    /// In a session of two: give me keys, so that I can add you to that one.
    KeysWanted(SessionId),
    /// Here they are.
    Keys { session: SessionId, packages: Vec<Vec<u8>> },
    /// You are in that session now.
    Welcome { session: SessionId, welcome: Vec<u8>, tree: Option<Vec<u8>>, start: Start },
    /// Somebody please remove me.
    Leaving,
    /// An admin is about to remove this device: nobody vote for what it commits.
    Removing(DeviceKey),
    /// My new card.
    Card(Card),
    /// I do not vouch for this device of mine any more: let it in nowhere.
    Revoked(Revocation),
    /// In a session of two: that other one came to a dead end on this device.
    Stranded(SessionId),
}

impl Control {
    /// The kind of a Welcome.
    pub(super) const WELCOME: u8 = WELCOME;

    /// Its kind as a message, and its body.
    pub(super) fn encode(&self) -> (u8, Vec<u8>) {
        let mut out = Vec::new();
        let kind = match self {
            Control::Here => HERE,
            Control::Leaving => LEAVING,
            Control::KeysWanted(session) => {
                out.extend_from_slice(&session.0);
                KEYS_WANTED
            }
            Control::Keys { session, packages } => {
                out.extend_from_slice(&session.0);
                put_list(&mut out, packages, |out, package| put_bytes(out, package));
                KEYS
            }
            Control::Welcome { session, welcome, tree, start } => {
                out.extend_from_slice(&session.0);
                put_bytes(&mut out, welcome);
                put_bytes(&mut out, tree.as_deref().unwrap_or_default());
                put_bytes(&mut out, &start.encode());
                WELCOME
            }
            Control::Removing(device) => {
                out.extend_from_slice(&device.0);
                REMOVING
            }
            Control::Card(card) => {
                out.extend_from_slice(&card.to_bytes());
                CARD
            }
            Control::Revoked(revocation) => {
                revocation.encode(&mut out);
                REVOKED
            }
            Control::Stranded(session) => {
                out.extend_from_slice(&session.0);
                STRANDED
            }
        };
        (kind, out)
    }

    /// Reads what was encoded.
    ///
    /// # Errors
    /// A fault of the device that said it.
    pub(super) fn decode(kind: u8, body: &[u8]) -> Result<Control, Fault> {
        let mut reader = Reader::new(body);
        let control = match kind {
            HERE => Control::Here,
            LEAVING => Control::Leaving,
            KEYS_WANTED => Control::KeysWanted(SessionId(reader.array()?)),
            KEYS => Control::Keys {
                session: SessionId(reader.array()?),
                packages: reader.list(PACKAGES_MAX, |reader| read_bytes(reader, PACKAGE_LENGTH_MAX))?,
            },
            WELCOME => Control::Welcome {
                session: SessionId(reader.array()?),
                welcome: read_bytes(&mut reader, FRAME_LENGTH_MAX)?,
                tree: Some(read_bytes(&mut reader, FRAME_LENGTH_MAX)?).filter(|tree| !tree.is_empty()),
                start: Start::decode(&read_bytes(&mut reader, FRAME_LENGTH_MAX)?)?,
            },
            REMOVING => Control::Removing(DeviceKey(reader.array()?)),
            CARD => Control::Card(Card::decode(&mut reader)?),
            REVOKED => Control::Revoked(Revocation::decode(&mut reader)?),
            STRANDED => Control::Stranded(SessionId(reader.array()?)),
            _ => return Err(Fault::UnknownFrame),
        };
        reader.finish()?;
        Ok(control)
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn read_bytes(reader: &mut Reader<'_>, length_max: usize) -> Result<Vec<u8>, Fault> {
    let length = reader.u32()? as usize;
    if length > length_max { Err(Fault::Oversized) } else { Ok(reader.bytes(length)?.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Identity;
    use mainframe_base::DeviceId;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn every_control_comes_back_from_its_bytes() {
        let (session, mut rng) = (SessionId([7; 16]), ChaCha20Rng::seed_from_u64(1));
        let start = Start { lamport: 9, reached: vec![(DeviceId([1; 8]), 3)] };
        let controls = [
            Control::Here,
            Control::KeysWanted(session),
            Control::Keys { session, packages: vec![vec![1; 2_714], vec![]] },
            Control::Welcome { session, welcome: vec![2; 5_000], tree: None, start: start.clone() },
            Control::Welcome { session, welcome: vec![2; 5_000], tree: Some(vec![3; 90_000]), start },
            Control::Leaving,
            Control::Removing(DeviceKey([4; 32])),
            Control::Revoked(Revocation::sign(&Identity::generate(&mut rng), DeviceKey([4; 32]), 9)),
            Control::Stranded(SessionId([6; 16])),
        ];
        for control in controls {
            let (kind, body) = control.encode();
            assert_eq!(Control::decode(kind, &body), Ok(control));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(kind in CONTROL_KIND.., body: Vec<u8>) {
            let _ = Control::decode(kind, &body);
        }
    }
}
