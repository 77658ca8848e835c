//! A person in a file: argon2id makes a key of the passphrase, XChaCha20-Poly1305 seals the account.
//!
//! The file is one line of JSON, so that it survives any way it may be carried. What it says before its contents is bound to
//! them: nobody can make a later opening cheaper, or pass a file of one kind off as another.

use mainframe_core::session::contact::Account;
use serde::{Deserialize, Serialize};

use crate::key_file::{Derivation, STRONG, derive};
use crate::password::Password;
use crate::random;
use crate::sealed::{Sealed, array};

const VERSION: u32 = 1;

/// Letters of the longest file: as many contacts as there may be, each with the longest card, in hexadecimal digits.
pub(crate) const FILE_LENGTH_MAX: usize = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    mainframe_account: u32,
    argon2id: Derivation,
    salt: String,
    xchacha20poly1305_nonce: String,
}

/// Why a file was not opened. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    /// It is cut, or something else.
    #[error("this is no account file, or a part of it is missing")]
    NoFile,
    /// A later version wrote it.
    #[error("a newer version wrote this account file")]
    Later,
    /// The passphrase does not fit, or the file was changed.
    #[error("the passphrase is wrong, or the file was changed")]
    Passphrase,
    /// It opens, and holds no account.
    #[error("the file opens, but holds no account that this version understands")]
    NoAccount,
}

/// Seals an account. Takes as long as a key file does to open.
pub(crate) fn seal(account: &Account, passphrase: &Password) -> String {
    let (salt, nonce): ([u8; 16], [u8; 24]) = (random::bytes(), random::bytes());
    let header = Header {
        mainframe_account: VERSION,
        argon2id: STRONG,
        salt: hex::encode(salt),
        xchacha20poly1305_nonce: hex::encode(nonce),
    };
    let sealed = Sealed::seal(header, &derive(STRONG, &salt, passphrase), &nonce, &account.encode());
    serde_json::to_string(&sealed).expect("plain text always has a JSON form")
}

/// Opens a file that [`seal`] made.
///
/// # Errors
/// See [`NotOpened`].
pub(crate) fn open(file: &str, passphrase: &Password) -> Result<Account, NotOpened> {
    let version = serde_json::from_str::<serde_json::Value>(file).map_err(|_| NotOpened::NoFile)?;
    match version["header"]["mainframe_account"].as_u64() {
        Some(1) => {}
        Some(_) => return Err(NotOpened::Later),
        None => return Err(NotOpened::NoFile),
    }
    let sealed: Sealed<Header> = serde_json::from_str(file).map_err(|_| NotOpened::NoFile)?;
    let header = &sealed.header;
    // The one there is: whoever changed it would only choose how long an opening takes.
    if header.argon2id != STRONG {
        return Err(NotOpened::Passphrase);
    }
    let salt = array::<16>(&header.salt).ok_or(NotOpened::NoFile)?;
    let nonce = array::<24>(&header.xchacha20poly1305_nonce).ok_or(NotOpened::NoFile)?;
    let ciphertext = sealed.ciphertext().ok_or(NotOpened::NoFile)?;
    let opened = sealed.open(&derive(STRONG, &salt, passphrase), &nonce, &ciphertext).ok_or(NotOpened::Passphrase)?;
    Account::decode(&opened).map_err(|_| NotOpened::NoAccount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{Address, Luminosity, Prefix, Time};
    use mainframe_core::crypto::{Card, CardBody, Identity, Name, Presence, Region};
    use mainframe_core::session::contact::Belongings;

    fn account() -> Account {
        let identity = Identity::generate(&mut random::generator());
        let prefix = Prefix::of(&Address([7; 32]), Luminosity::at_most(3));
        let body = CardBody {
            luminosity_floor: Luminosity::at_most(3),
            regions: vec![Region { prefix, presence: Presence::Resident, until_hours: 600_000 }],
            issued_hours: mainframe_core::crypto::hours_of(Time(1_795_334_400_000)),
            expires_hours: 600_000,
            name: Name::new("alice").unwrap(),
        };
        let card = Card::sign(&identity, body).unwrap();
        Account { secrets: identity.secrets(), belongings: Belongings::of(card) }
    }

    #[test]
    fn an_account_comes_back_from_its_file_with_its_passphrase_only() {
        let (account, right) = (account(), Password::new("correct horse"));
        let file = seal(&account, &right);
        assert!(!file.contains(&hex::encode(&account.secrets.expose()[..8])));
        let again = open(&file, &right).ok().unwrap();
        assert_eq!(again.secrets.expose(), account.secrets.expose());
        assert_eq!(again.belongings, account.belongings);
        assert_eq!(open(&file, &Password::new("battery staple")).err(), Some(NotOpened::Passphrase));
    }

    #[test]
    fn a_file_that_was_cut_or_changed_says_so() {
        let right = Password::new("correct horse");
        let file = seal(&account(), &right);
        assert_eq!(open(&file[..file.len() / 2], &right).err(), Some(NotOpened::NoFile));
        assert_eq!(open("", &right).err(), Some(NotOpened::NoFile));
        let later = file.replacen("\"mainframe_account\":1", "\"mainframe_account\":2", 1);
        assert_eq!(open(&later, &right).err(), Some(NotOpened::Later));
        let cheaper = file.replacen("\"passes\":3", "\"passes\":1", 1);
        assert_eq!(open(&cheaper, &right).err(), Some(NotOpened::Passphrase));
        for at in [file.len() / 2, file.len() - 10] {
            let mut changed = file.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&changed, &right).err(), Some(NotOpened::Passphrase));
        }
    }
}
