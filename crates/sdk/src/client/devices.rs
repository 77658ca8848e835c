//! A person's devices. People are named by their identity key in hex.

use reqwest::Method;

use super::contacts::of;
use super::{Client, segment};
use crate::{
    AccountFile, AddDevice, Devices, Error, ExportAccount, Link, Links, OwnDevice, Person, RestoreAccount, StartLink,
};

impl Client {
    /// Makes a code by which this node becomes a device of somebody who lives elsewhere. Scope `persons`.
    pub async fn start_link(&self, request: &StartLink) -> Result<Link, Error> {
        self.post("/api/v1/links", request).await
    }

    /// The links that wait. Scope `persons`.
    pub async fn links(&self) -> Result<Links, Error> {
        self.get("/api/v1/links").await
    }

    /// Takes a code back. Scope `persons`.
    pub async fn stop_link(&self, link: &str) -> Result<(), Error> {
        self.call_empty(Method::DELETE, &format!("/api/v1/links/{}", segment(link)), None::<&()>).await
    }

    /// A person's devices, this one first. Scope `persons`.
    pub async fn devices(&self, person: &str) -> Result<Devices, Error> {
        self.get(&of(person, "devices")).await
    }

    /// Adds the device that shows a code. Scope `persons`.
    pub async fn add_device(&self, person: &str, request: &AddDevice) -> Result<OwnDevice, Error> {
        self.post(&of(person, "devices"), request).await
    }

    /// Puts a device out of every session. Scope `persons`.
    pub async fn revoke_device(&self, person: &str, device: &str) -> Result<(), Error> {
        self.call_empty(Method::DELETE, &of(person, &format!("devices/{}", segment(device))), None::<&()>).await
    }

    /// Writes a person down, encrypted; takes a second. Scope `persons`.
    pub async fn export_account(&self, person: &str, passphrase: &str) -> Result<AccountFile, Error> {
        self.post(&of(person, "export"), &ExportAccount { passphrase: passphrase.to_owned() }).await
    }

    /// Makes this node a new device of a person who was written down; takes a second. Scope `persons`.
    pub async fn restore_account(&self, request: &RestoreAccount) -> Result<Person, Error> {
        self.post("/api/v1/restore", request).await
    }
}
