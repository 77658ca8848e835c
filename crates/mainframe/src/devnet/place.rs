//! Where a local network keeps its files: a directory, a lock that says whether a supervisor lives, and its state.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mainframe_sdk::Role;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};

/// What a supervisor tells about its network; written when it starts and again when all nodes are ready.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct State {
    /// The supervisor.
    pub(crate) pid: u32,
    /// Seconds from the first start to the last node's readiness; none before.
    pub(crate) ready_s: Option<f64>,
    /// Its nodes, once they are ready.
    pub(crate) nodes: Vec<NodeState>,
}

/// One node, as `devnet up --json` prints it.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct NodeState {
    /// Its name in this network.
    pub(crate) name: String,
    /// As what it takes part.
    pub(crate) role: Role,
    /// Its process.
    pub(crate) pid: u32,
    /// Its API.
    pub(crate) api: String,
    /// The token that opens the API.
    pub(crate) token: String,
    /// Its position.
    pub(crate) overlay: String,
    /// Its directory.
    pub(crate) data_dir: PathBuf,
}

/// The directory of a network whose supervisor is this process.
#[derive(Debug)]
pub(crate) struct Held {
    dir: PathBuf,
    keep: bool,
    _lock: File,
}

impl Held {
    /// Makes the directory ours. What an earlier network left there is removed.
    ///
    /// # Errors
    /// If another supervisor lives there, or the directory is not one of ours.
    pub(crate) fn take(dir: &Path, keep: bool) -> anyhow::Result<Held> {
        refuse_foreign(dir)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| format!("cannot create {dir:?}"))?;
        let Some(lock) = try_lock(dir)? else {
            let who = read(dir).map_or_else(String::new, |state| format!(" (process {})", state.pid));
            bail!(
                Failure::new(Exit::Failed, format!("a local network already runs in {}{who}", dir.display()))
                    .next(format!("mainframe devnet down --dir {0}, or another --dir", dir.display()))
            );
        };
        let held = Held { dir: dir.to_owned(), keep, _lock: lock };
        held.remove_contents()?;
        Ok(held)
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tells everyone who may read the directory how the network is.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn write(&self, state: &State) -> anyhow::Result<()> {
        let fresh = self.dir.join("devnet.json.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        fs::rename(&fresh, self.dir.join(STATE)).context("cannot write the network's state")
    }

    fn remove_contents(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            let path = entry.path();
            if entry.file_type()?.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}

/// The files go when the supervisor goes, unless they are to be kept.
impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.dir.join(STATE));
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

const LOCK: &str = "devnet.lock";
const STATE: &str = "devnet.json";

/// The state of the network that runs in `dir`.
///
/// # Errors
/// If none runs there.
pub(crate) fn running(dir: &Path) -> anyhow::Result<State> {
    let runs = dir.join(LOCK).exists() && try_lock(dir)?.is_none();
    match read(dir).filter(|_| runs) {
        Some(state) => Ok(state),
        None => bail!(
            Failure::new(Exit::NotRunning, format!("no local network runs in {}", dir.display()))
                .next("mainframe devnet up -n 5 --detach")
        ),
    }
}

/// Where a network lives that was given no directory: `$XDG_DATA_HOME/mainframe/devnet`.
///
/// # Errors
/// If there is no home.
pub(crate) fn usual_dir() -> anyhow::Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
    let Some(data) = data else {
        bail!(Failure::new(Exit::Usage, "neither HOME nor XDG_DATA_HOME is set").next("--dir DIR"))
    };
    Ok(data.join("mainframe/devnet"))
}

fn read(dir: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(dir.join(STATE)).ok()?).ok()
}

fn try_lock(dir: &Path) -> anyhow::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the network's directory"),
    }
}

/// The contents are removed before and after: they had better be ours.
fn refuse_foreign(dir: &Path) -> anyhow::Result<()> {
    let Ok(mut entries) = fs::read_dir(dir) else { return Ok(()) };
    if dir.join(LOCK).exists() || entries.next().is_none() {
        return Ok(());
    }
    bail!(
        Failure::new(Exit::Usage, format!("{} holds files that are not a local network's", dir.display()))
            .next("an empty or new directory")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State { pid: 1, ready_s: None, nodes: Vec::new() }
    }

    #[test]
    fn a_second_supervisor_is_refused_and_the_first_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("net");
        let held = Held::take(&dir, false).unwrap();
        held.write(&state()).unwrap();
        assert!(Held::take(&dir, false).unwrap_err().to_string().contains("already runs"));
        assert_eq!(running(&dir).unwrap().pid, 1);
        drop(held);
        assert!(!dir.exists());
        assert!(running(&dir).is_err());
    }

    #[test]
    fn a_directory_with_other_files_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
        assert!(Held::take(dir.path(), false).is_err());
        assert!(dir.path().join("thesis.tex").exists());
    }

    #[test]
    fn what_a_killed_supervisor_left_is_not_a_running_network() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("net");
        let held = Held::take(&dir, true).unwrap();
        drop(held);
        fs::write(dir.join(STATE), serde_json::to_vec(&state()).unwrap()).unwrap();
        assert!(running(&dir).is_err());
        Held::take(&dir, false).unwrap();
    }
}
