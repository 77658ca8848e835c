//! The key file: argon2id makes a key of the password, XChaCha20-Poly1305 seals what the file holds.
//!
//! The header is bound to the contents, so that nobody can make a later opening cheaper. The derived key stays in
//! memory while the node runs, so that adding a person costs no second derivation.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use mainframe_base::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::{KeyDerivation, Profile};
use crate::error::{ErrorKind, NodeError};
use crate::files;
use crate::password::Password;
use crate::random;
use crate::sealed::{Sealed, array};

/// The file's name inside the data directory.
pub(crate) const KEY_FILE: &str = "keys.json";

const VERSION: u32 = 1;
/// RFC 9106's second recommendation: 64 MiB and three passes where memory is scarce (with one lane: one thread).
pub(crate) const STRONG: Derivation = Derivation { memory_kib: 65_536, passes: 3 };
/// The least argon2 allows: fifty nodes of a local network start on one machine.
const CHEAP: Derivation = Derivation { memory_kib: 8, passes: 1 };

/// The work of one derivation, as the file tells it. Only the two above are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Derivation {
    memory_kib: u32,
    passes: u32,
}

/// What the file says before its contents; bound to them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    argon2id: Derivation,
    salt: String,
    xchacha20poly1305_nonce: String,
}

/// An open file, and what it holds.
pub(crate) type Opened = (KeyFile, Zeroizing<Vec<u8>>);

/// An open key file: can be written again without the password.
pub(crate) struct KeyFile {
    path: PathBuf,
    derivation: Derivation,
    salt: [u8; 16],
    key: Secret<32>,
}

impl KeyFile {
    /// A file that does not exist yet. [`KeyFile::write`] makes it.
    pub(crate) fn create(directory: &Path, work: KeyDerivation, password: &Password) -> Result<KeyFile, NodeError> {
        let derivation = match work {
            KeyDerivation::Strong => STRONG,
            KeyDerivation::Cheap => CHEAP,
        };
        let salt = random::bytes();
        let key = derive(derivation, &salt, password);
        Ok(KeyFile { path: directory.join(KEY_FILE), derivation, salt, key })
    }

    /// Opens the file in `directory`; nothing if there is none.
    pub(crate) fn open(directory: &Path, profile: Profile, password: &Password) -> Result<Option<Opened>, NodeError> {
        let path = directory.join(KEY_FILE);
        let Some(bytes) = files::read_private(&path)? else { return Ok(None) };
        let sealed = parse(&bytes).ok_or_else(|| damaged(&path, "it is not a key file of this version"))?;
        let derivation = sealed.header.argon2id;
        if derivation != STRONG && (derivation != CHEAP || profile != Profile::Devnet) {
            let why = "it was made with a cheap derivation, for a local network";
            let next = "Use it with --profile devnet, or move it away to get a new one.";
            return Err(NodeError::new(ErrorKind::Keys, cannot_open(&path), why, next));
        }
        let salt = array(&sealed.header.salt).ok_or_else(|| damaged(&path, "its salt is none"))?;
        let file = KeyFile { key: derive(derivation, &salt, password), path, derivation, salt };
        let contents = file.unseal(&sealed)?;
        Ok(Some((file, contents)))
    }

    /// Seals these contents into the file, replacing what it held.
    pub(crate) fn write(&self, contents: &[u8]) -> Result<(), NodeError> {
        files::write_private(&self.path, &files::json(&self.seal(contents))).map_err(|error| {
            let what = format!("cannot write {}", self.path.display());
            NodeError::new(ErrorKind::StoreFailed, what, error, "Nothing was changed. Make room, or check the disk.")
        })
    }

    fn seal(&self, contents: &[u8]) -> Sealed<Header> {
        let nonce: [u8; 24] = random::bytes();
        let header = Header {
            version: VERSION,
            argon2id: self.derivation,
            salt: hex::encode(self.salt),
            xchacha20poly1305_nonce: hex::encode(nonce),
        };
        Sealed::seal(header, &self.key, &nonce, contents)
    }

    fn unseal(&self, sealed: &Sealed<Header>) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        let nonce = array::<24>(&sealed.header.xchacha20poly1305_nonce);
        let nonce = nonce.ok_or_else(|| damaged(&self.path, "its nonce is none"))?;
        let ciphertext = sealed.ciphertext().ok_or_else(|| damaged(&self.path, "its contents are no hex"))?;
        sealed.open(&self.key, &nonce, &ciphertext).ok_or_else(|| {
            let why = "the password is wrong, or the file was changed";
            let next = "Try the password again; if you are sure of it, restore the file from a backup.";
            NodeError::new(ErrorKind::Password, cannot_open(&self.path), why, next)
        })
    }
}

fn parse(bytes: &[u8]) -> Option<Sealed<Header>> {
    serde_json::from_slice(bytes).ok().filter(|sealed: &Sealed<Header>| sealed.header.version == VERSION)
}

/// The key that a password makes.
pub(crate) fn derive(derivation: Derivation, salt: &[u8; 16], password: &Password) -> Secret<32> {
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(derivation.memory_kib, derivation.passes, 1, Some(32)).expect("within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.bytes(), salt, &mut *key)
        .expect("lengths are within argon2's limits");
    Secret::new(*key)
}

fn cannot_open(path: &Path) -> String {
    format!("cannot open the key file {}", path.display())
}

fn damaged(path: &Path, why: &str) -> NodeError {
    let next = "Restore it from a backup. Without it, this node's position and its people's keys are lost.";
    NodeError::new(ErrorKind::Keys, cannot_open(path), why, next)
}
