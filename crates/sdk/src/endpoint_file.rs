//! How programs on the same machine find a running node.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The file's name inside the data directory. Readable by its owner only; removed when the node stops.
pub const ENDPOINT_FILE: &str = "endpoint.json";

/// Where a running node serves its API, and with which token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointFile {
    /// The API's address, `http://127.0.0.1:PORT`.
    pub api: String,
    /// A token with scope `admin`.
    pub token: String,
    /// The process that serves it.
    pub pid: u32,
    /// The network's number.
    pub network: u32,
    /// The node's position, 64 hex digits.
    pub overlay: String,
    /// The node's name on links, 64 hex digits.
    pub link_key: String,
    /// Where it listens for other nodes.
    pub locators: Vec<String>,
}

/// Without the token.
impl std::fmt::Debug for EndpointFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndpointFile({} of process {})", self.api, self.pid)
    }
}

impl EndpointFile {
    /// Reads the file of the node that runs on `data_dir`.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if there is no file, it does not parse, or its process is gone.
    pub fn read(data_dir: &Path) -> Result<EndpointFile, Error> {
        let path = data_dir.join(ENDPOINT_FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let why = if missing { "does not exist".to_owned() } else { format!("cannot be read ({error})") };
            let why = format!("{} {why}", path.display());
            not_running(data_dir, why)
        })?;
        let file: EndpointFile = serde_json::from_str(&text)
            .map_err(|error| not_running(data_dir, format!("{} makes no sense ({error})", path.display())))?;
        if !file.is_alive() {
            let why = format!("process {} of {} is gone: it did not stop cleanly", file.pid, path.display());
            return Err(not_running(data_dir, why));
        }
        Ok(file)
    }

    /// Whether the process exists. Where the system offers no `/proc`, it is taken to.
    pub fn is_alive(&self) -> bool {
        let processes = Path::new("/proc");
        !processes.join("self").exists() || processes.join(self.pid.to_string()).exists()
    }
}

fn not_running(data_dir: &Path, why: String) -> Error {
    Error::NotRunning {
        what: format!("no node is running on {}", data_dir.display()),
        why,
        next: format!("Start one: mainframe up --data-dir {}", data_dir.display()),
    }
}
