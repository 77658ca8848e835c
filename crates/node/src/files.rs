//! Files that only their owner may read, written so that a crash leaves the old one or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, NodeError};

const LOCK_FILE: &str = "lock";

/// Makes a directory, readable by its owner only, if there is none.
pub(crate) fn make_private_directory(path: &Path) -> Result<(), NodeError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        let what = format!("cannot make the data directory {}", path.display());
        NodeError::new(ErrorKind::System, what, error, "Choose another with --data-dir, or change who may write there.")
    })
}

/// A value of ours as it is written into a file.
pub(crate) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("texts, numbers and lists always have a JSON form")
}

/// Replaces a file by these bytes at once and for good: written beside it, synced, renamed, directory synced.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Reads a file that holds secrets, and refuses one that others may read; nothing if there is none.
pub(crate) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, NodeError> {
    let what = || format!("cannot use {}", path.display());
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NodeError::new(ErrorKind::Keys, what(), error, "Check who may read it.")),
    };
    let mode = fs::metadata(path).map_or(0, |about| about.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        let why = format!("its permissions are {mode:03o}: others on this machine may read it");
        let next = format!("Run: chmod 600 {}", path.display());
        return Err(NodeError::new(ErrorKind::Keys, what(), why, next));
    }
    Ok(Some(bytes))
}

/// Keeps a second process off a data directory for as long as it lives.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory, or says who has it.
    pub(crate) fn take(directory: &Path) -> Result<DirectoryLock, NodeError> {
        let path: PathBuf = directory.join(LOCK_FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| {
            let what = format!("cannot lock {}", directory.display());
            NodeError::new(ErrorKind::System, what, error, "Check who may write to the data directory.")
        })?;
        file.try_lock().map_err(|error| {
            let what = format!("cannot use {}", directory.display());
            let why = match error {
                fs::TryLockError::WouldBlock => "another node is running on it".to_owned(),
                fs::TryLockError::Error(error) => format!("it cannot be locked ({error})"),
            };
            NodeError::new(ErrorKind::InUse, what, why, "Stop that node, or choose another with --data-dir.")
        })?;
        Ok(DirectoryLock { _file: file })
    }
}
