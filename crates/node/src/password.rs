//! Where the key file's password comes from: a file, the terminal, or, on a local network, nowhere in particular.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::config::{Config, Profile};
use crate::error::{ErrorKind, NodeError};
use crate::files;

/// Where the devnet profile keeps the password it makes for itself, inside the data directory.
const DEVNET_PASSWORD_FILE: &str = "password";

/// What is asked for, and what to do where nobody can be asked.
struct Prompts {
    needed: &'static str,
    new: &'static str,
    again: &'static str,
    next: &'static str,
}

const PROMPTS_OF_KEY_FILE: Prompts = Prompts {
    needed: "the key file needs a password",
    new: "New password for the key file: ",
    again: "Password: ",
    next: "Set MAINFRAME_PASSWORD_FILE.",
};

const PROMPTS_OF_ACCOUNT: Prompts = Prompts {
    needed: "the account file needs a passphrase",
    new: "New passphrase for the account file: ",
    again: "Passphrase of the account file: ",
    next: "Name a file with --passphrase-file.",
};

/// The password of the key file, or the passphrase of an account file. Never logged, wiped when dropped.
#[expect(missing_debug_implementations, reason = "a secret must not reach a log")]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password from elsewhere.
    pub fn new(text: impl Into<String>) -> Password {
        Password(Zeroizing::new(text.into()))
    }

    /// The password the configuration leads to: its file (`MAINFRAME_PASSWORD_FILE`); in the devnet profile a file
    /// made for the purpose; else the terminal is asked, twice if `new`.
    ///
    /// # Errors
    /// [`ErrorKind::Password`] if there is none.
    pub fn find(config: &Config, new: bool) -> Result<Password, NodeError> {
        if let Some(path) = &config.password_file {
            return Password::read(path);
        }
        match config.profile {
            Profile::Devnet => Password::of_devnet(config),
            Profile::Main => Password::ask(&PROMPTS_OF_KEY_FILE, new),
        }
    }

    /// Whether the node of this configuration has yet to make its key file.
    pub fn is_new(config: &Config) -> bool {
        !config.data_dir.join(crate::key_file::KEY_FILE).exists()
    }

    /// A passphrase for something else than the key file: the first line of a file, or what is typed, twice if `new`.
    ///
    /// # Errors
    /// [`ErrorKind::Password`] if there is none.
    pub fn of_account(file: Option<&Path>, new: bool) -> Result<Password, NodeError> {
        match file {
            Some(path) => Password::read(path),
            None => Password::ask(&PROMPTS_OF_ACCOUNT, new),
        }
    }

    /// The text of it, to be handed to a node.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn read(path: &Path) -> Result<Password, NodeError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            let what = format!("cannot read the password file {}", path.display());
            missing(what, error, "Check the file that was named, by flag or by MAINFRAME_PASSWORD_FILE.")
        })?;
        let line = text.lines().next().unwrap_or_default();
        Password::checked(line, &format!("the first line of {} is empty", path.display()))
    }

    fn of_devnet(config: &Config) -> Result<Password, NodeError> {
        let path = config.data_dir.join(DEVNET_PASSWORD_FILE);
        if !path.exists() {
            files::make_private_directory(&config.data_dir)?;
            files::write_private(&path, b"devnet\n").map_err(|error| {
                missing(format!("cannot write {}", path.display()), error, "Check who may write there.")
            })?;
        }
        Password::read(&path)
    }

    fn ask(prompts: &Prompts, new: bool) -> Result<Password, NodeError> {
        if !std::io::stdin().is_terminal() {
            let why = "there is no terminal to ask at, and no password file is named";
            return Err(missing(prompts.needed.into(), why, prompts.next));
        }
        let first = ask_hidden(if new { prompts.new } else { prompts.again })?;
        if new && ask_hidden("Again: ")? != first {
            let next = "Start again and type the same password twice.";
            return Err(missing("no password was set".into(), "the two do not agree", next));
        }
        Password::checked(&first, "nothing was typed")
    }

    fn checked(text: &str, why_empty: &str) -> Result<Password, NodeError> {
        if text.is_empty() {
            return Err(missing(
                "the key file needs a password".into(),
                why_empty,
                "Give a password that is not empty.",
            ));
        }
        Ok(Password::new(text))
    }
}

fn missing(what: String, why: impl std::fmt::Display, next: &str) -> NodeError {
    NodeError::new(ErrorKind::Password, what, why, next)
}

/// Reads a line from the terminal without showing it.
fn ask_hidden(prompt: &str) -> Result<Zeroizing<String>, NodeError> {
    let failed = |error: std::io::Error| missing("cannot ask for the password".into(), error, "Use a password file.");
    let input = std::io::stdin();
    let before = tcgetattr(&input).map_err(|error| failed(error.into()))?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let mut errors = std::io::stderr();
    write!(errors, "{prompt}").and_then(|()| errors.flush()).map_err(failed)?;
    tcsetattr(&input, OptionalActions::Flush, &hidden).map_err(|error| failed(error.into()))?;
    let mut line = Zeroizing::new(String::new());
    let read = input.lock().read_line(&mut line);
    tcsetattr(&input, OptionalActions::Flush, &before).map_err(|error| failed(error.into()))?;
    read.and_then(|_| writeln!(errors)).map_err(failed)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
