//! `account`: a person in an encrypted file.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use mainframe_node::Password;
use mainframe_sdk::RestoreAccount;

use super::acquaintance::Acquaintance;
use crate::cli::{self, AccountCommand, Global};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reach;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, the file is there already or is none, or the passphrase does not fit.
pub(crate) async fn run(global: &Global, wanted: &cli::Account, output: &Output) -> anyhow::Result<()> {
    match &wanted.command {
        AccountCommand::Export { file, passphrase_file } => {
            let me = Acquaintance::of(global, &wanted.me).await?;
            if file.exists() {
                bail!(there_already(file));
            }
            let passphrase = passphrase(passphrase_file.as_deref(), true)?;
            let exported = me.client.export_account(me.identity(), passphrase.reveal());
            let exported = reach::answer(global, exported).await?;
            write_new(file, &exported.file)?;
            let written = serde_json::json!({ "person": me.person, "file": file });
            output.result(&written, || format!("{} is written down in {}", me.person.name, file.display()))?;
            output.note("  keep the file and its passphrase apart; whoever has both is this person");
            Ok(())
        }
        AccountCommand::Restore { file, passphrase_file, device_name } => {
            let client = reach::client(global)?;
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let passphrase = passphrase(passphrase_file.as_deref(), false)?;
            let request = RestoreAccount {
                file: text,
                passphrase: passphrase.reveal().to_owned(),
                device_name: device_name.clone(),
            };
            let person = reach::answer(global, client.restore_account(&request)).await?;
            output.result(&person, || format!("this node is {} of {} now", person.device_name, person.name))?;
            output.note("  it enters their sessions as somebody there lets it in: mainframe session list");
            Ok(())
        }
    }
}

fn passphrase(file: Option<&Path>, new: bool) -> anyhow::Result<Password> {
    Password::of_account(file, new).map_err(|error| {
        Failure::new(Exit::Denied, format!("{}: {}", error.what(), error.why())).next(error.next()).into()
    })
}

/// Writes a file nobody else can read, and never over another.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => bail!(there_already(path)),
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    if let Err(error) = writeln!(file, "{text}").and_then(|()| file.sync_all()) {
        // Half a file helps nobody.
        let _ = std::fs::remove_file(path);
        return Err(anyhow::Error::new(error).context(format!("cannot write {}", path.display())));
    }
    Ok(())
}

fn there_already(path: &Path) -> Failure {
    Failure::new(Exit::Usage, format!("{} is there already, and is not written over", path.display()))
        .next("name another file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_its_owners_alone_and_is_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alice.account");
        write_new(&path, "first").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = write_new(&path, "second").unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), Exit::Usage as u8);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n");
    }
}
