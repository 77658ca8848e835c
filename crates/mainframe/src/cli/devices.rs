//! What can be typed about a person's devices, and about a person in a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Me;

/// Commands about devices, and for whom.
#[derive(Args, Debug)]
pub(crate) struct Device {
    #[command(flatten)]
    pub(crate) me: Me,
    #[command(subcommand)]
    pub(crate) command: DeviceCommand,
}

/// Commands about a person's devices. DEVICE is its name, its key, or the beginning of that.
#[derive(Subcommand, Debug)]
pub(crate) enum DeviceCommand {
    /// Make this node a device of a person who lives elsewhere: print a code (mfl:…), and wait until it is answered there.
    Link {
        /// What this device is to be called; the host's name if left out.
        #[arg(long = "new", value_name = "NAME")]
        name: Option<String>,
        /// How many bits of this node's position the code tells.
        #[arg(long, value_name = "BITS")]
        luminosity: Option<u16>,
        /// Print the code and go; the node waits.
        #[arg(long)]
        no_wait: bool,
    },
    /// Add the device that shows a code: from then on it is you, too.
    Add {
        /// The code (mfl:…); `-` reads it from standard input.
        code: String,
        /// What to call it, instead of what it would like to be called.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Wait until it is heard, and in every session.
        #[arg(long)]
        wait: bool,
    },
    /// The person's devices.
    List,
    /// Put a device out of every session.
    Revoke {
        /// Which.
        device: String,
        /// Wait until it is out of every session.
        #[arg(long)]
        wait: bool,
    },
}

/// Commands about a person in a file, and for whom.
#[derive(Args, Debug)]
pub(crate) struct Account {
    #[command(flatten)]
    pub(crate) me: Me,
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

/// Commands about a person in a file.
#[derive(Subcommand, Debug)]
pub(crate) enum AccountCommand {
    /// Write a person down in an encrypted file: keys, card, contacts and sessions, but nothing that was said.
    Export {
        /// A file that is not there yet.
        file: PathBuf,
        /// File with the passphrase; without one the terminal is asked.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Make this node a new device of the person in such a file.
    Restore {
        /// The file.
        file: PathBuf,
        /// File with the passphrase; without one the terminal is asked.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// What this device is to be called; the host's name if left out.
        #[arg(long, value_name = "TEXT")]
        device_name: Option<String>,
    },
}
