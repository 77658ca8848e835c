//! Keys and signatures as data. What is done with them is `mainframe_core::crypto`'s.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::address::compare_random;

macro_rules! public_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $length]);

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                compare_random(&self.0, &other.0)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}…", hex::encode(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $length];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok($name(bytes))
            }
        }
    };
}

public_bytes!(
    /// A node's ed25519 public key: the name of a neighbour on a link, proved by the transport's handshake.
    LinkKey,
    32
);
public_bytes!(
    /// A person's X25519 public key, to which first contact is sealed. Never a node's.
    ScanKey,
    32
);
public_bytes!(
    /// A person's ed25519 public key: who they are, to everyone they ever talk to. It signs cards and devices, and is
    /// no node's.
    IdentityKey,
    32
);
public_bytes!(
    /// A device's ed25519 public key: one leaf of every session its person is in. Certified by the identity.
    DeviceKey,
    32
);
public_bytes!(
    /// A session's name among those who are in it: random, and never seen on the wire outside of a seal.
    SessionId,
    16
);
public_bytes!(
    /// A device's short name inside a session: the first 8 bytes of BLAKE3 over its key.
    DeviceId,
    8
);
public_bytes!(
    /// An account on a blockchain: the last 20 bytes of keccak256 of a secp256k1 public key. Told in the direct
    /// `Hello` only, never gossiped.
    ChainAccount,
    20
);
public_bytes!(
    /// An ed25519 signature.
    Signature,
    64
);

/// Bytes that must not be seen: no Debug, no Display, wiped when dropped.
#[expect(missing_debug_implementations, reason = "a secret must not reach a log")]
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes into keeping.
    pub fn new(bytes: [u8; N]) -> Self {
        Secret(bytes)
    }

    /// The bytes, for the one computation that needs them.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}
