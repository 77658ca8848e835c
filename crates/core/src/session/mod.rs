//! Conversations between people and their devices: who they are with, in what order, and that nothing is lost.
//!
//! Bytes and rules: docs/protocol/session.md.

mod config;
pub mod contact;
mod controls;
mod conversation;
pub(crate) mod credential;
mod devices;
mod entering;
mod epoch;
mod first_contact;
mod flights;
pub mod fragment;
mod groups;
pub mod ledger;
mod linking;
mod opened_letters;
pub mod ordering;
mod orders;
mod ports;
mod posting;
pub mod proof;
mod returning;
mod sessions;
mod stranding;
mod telling;
pub mod terms;
mod window;

pub use config::SessionConfig;
pub use conversation::{DeviceView, MemberView, SessionView};
pub use linking::Waiting;
pub use ports::{
    Answer, DeviceFact, DeviceStanding, NewGroup, Order, OwnDevice, Persona, SessionEffect, SessionEvent, Unable,
};
pub use sessions::Sessions;

use mainframe_base::{DeviceKey, Secret};

use crate::store::{Row, Table, Tx};

/// The key in sessions of the device with this seed.
pub fn device_key(seed: Secret<32>) -> DeviceKey {
    mainframe_mls::DeviceSecret::new(seed).key()
}

/// Rows read at once.
const PAGE: usize = 128;

/// Every row of a table whose key begins with this: a session, or a person.
fn rows_of(tx: &dyn Tx, table: Table, start: &[u8]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map_or(start, |(key, _)| &key[..]);
        let page = tx.scan(table, Some(after), PAGE);
        let whole = page.len() == PAGE;
        let before = rows.len();
        let full = page.len();
        rows.extend(page.into_iter().take_while(|(key, _)| key.starts_with(start)));
        if !whole || rows.len() - before < full {
            return rows;
        }
    }
}
