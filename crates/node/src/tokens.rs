//! Who may use the API: hashes of tokens in a file, and the administrator's token of this run in memory only.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use mainframe_sdk::{CreatedToken, Scope, TokenView};
use serde::{Deserialize, Serialize};

use crate::api::Failure;
use crate::error::{ErrorKind, NodeError};
use crate::files;
use crate::people::check_name;
use crate::random;

const TOKENS_FILE: &str = "tokens.json";
/// Tokens of one node (guess: an organisation's members and bots).
const TOKENS_MAX: usize = 1_024;
/// To whom what is made with the administrator's token belongs.
pub(crate) const OWNER: &str = "owner";

/// A stored token. The secret has 256 bits, so a plain hash gives nothing away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    principal: String,
    scopes: Vec<Scope>,
    hash: String,
}

/// Who is asking, and what he may.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Arc<str>,
    scopes: Vec<Scope>,
}

impl Caller {
    /// Whether everyone's things are his to see and to change.
    pub(crate) fn is_admin(&self) -> bool {
        self.scopes.contains(&Scope::Admin)
    }

    /// Whether he may; an administrator may everything.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.is_admin() || self.scopes.contains(&scope)
    }

    /// Whose things he sees: his own, or everyone's.
    pub(crate) fn sees(&self) -> Option<&str> {
        if self.is_admin() { None } else { Some(&self.principal) }
    }
}

/// Every token there is.
#[derive(Debug)]
pub(crate) struct TokenBook {
    path: PathBuf,
    admin_hash: blake3::Hash,
    entries: RwLock<Vec<Entry>>,
}

impl TokenBook {
    /// Reads the file, and draws this run's token for the administrator.
    pub(crate) fn open(directory: &Path) -> Result<(TokenBook, String), NodeError> {
        let path = directory.join(TOKENS_FILE);
        let entries = match files::read_private(&path)? {
            None => Vec::new(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let what = format!("cannot read {}", path.display());
                NodeError::new(ErrorKind::Store, what, error, "Restore it, or remove it and make the tokens anew.")
            })?,
        };
        let admin = draw();
        let admin_hash = blake3::hash(admin.as_bytes());
        Ok((TokenBook { path, admin_hash, entries: RwLock::new(entries) }, admin))
    }

    /// Whose token it is. Hashed before it is compared, so that no comparison tells how much of a guess was right.
    pub(crate) fn caller(&self, token: &str) -> Option<Caller> {
        let hash = blake3::hash(token.as_bytes());
        if hash == self.admin_hash {
            return Some(Caller { principal: OWNER.into(), scopes: vec![Scope::Admin] });
        }
        let hash = hash.to_hex();
        let entries = self.read();
        let entry = entries.iter().find(|entry| entry.hash == hash.as_str())?;
        Some(Caller { principal: entry.principal.as_str().into(), scopes: entry.scopes.clone() })
    }

    /// Makes a token and keeps its hash.
    pub(crate) fn create(&self, principal: String, mut scopes: Vec<Scope>) -> Result<CreatedToken, Failure> {
        check_name(&principal)?;
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(Failure::bad_request("no token was made", "it would allow nothing: name at least one scope"));
        }
        let (token, id) = (draw(), hex::encode(random::bytes::<8>()));
        let hash = blake3::hash(token.as_bytes()).to_hex().to_string();
        self.change(|entries| {
            if entries.len() >= TOKENS_MAX {
                return Err(Failure::conflict(format!("this node has {TOKENS_MAX} tokens, as many as it keeps")));
            }
            entries.push(Entry { id: id.clone(), principal: principal.clone(), scopes: scopes.clone(), hash });
            Ok(())
        })?;
        Ok(CreatedToken { id, token, principal, scopes })
    }

    /// Revokes a token; the next request with it is refused.
    pub(crate) fn revoke(&self, id: &str) -> Result<(), Failure> {
        self.change(|entries| {
            let found = entries.iter().position(|entry| entry.id == id);
            entries.remove(found.ok_or_else(|| Failure::not_found("there is no such token"))?);
            Ok(())
        })
    }

    /// Every token, without secrets.
    pub(crate) fn list(&self) -> Vec<TokenView> {
        let view = |entry: &Entry| TokenView {
            id: entry.id.clone(),
            principal: entry.principal.clone(),
            scopes: entry.scopes.clone(),
        };
        self.read().iter().map(view).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut entries = self.entries.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut changed = entries.clone();
        change(&mut changed)?;
        files::write_private(&self.path, &files::json(&changed)).map_err(|error| {
            let what = format!("cannot write {}", self.path.display());
            Failure::of_store(&NodeError::new(ErrorKind::StoreFailed, what, error, "Make room, or check the disk."))
        })?;
        *entries = changed;
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Entry>> {
        self.entries.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn draw() -> String {
    format!("mfk_{}", hex::encode(random::bytes::<32>()))
}
