//! A person's devices, and how a person comes to another one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Makes this node ready to become a device of somebody who lives elsewhere (`POST links`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartLink {
    /// What this device is to be called, 1 to 64 characters; the host's name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// How many bits of this node's position the code tells; as for a new person if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub luminosity: Option<u16>,
}

/// A device that waits for its person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// Its name, 64 hex digits.
    pub id: String,
    /// The key this device will have in sessions, 64 hex digits: the person that has it is who was linked.
    pub device: String,
    /// What the device would like to be called.
    pub device_name: String,
    /// What to type at a device the person uses already, `mfl:…`. Told only in the answer that makes it; whoever sees it can
    /// pretend to be that device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When the code ends.
    pub expires_ms: u64,
    /// Why the last letter that came did not answer the code, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The principal's links that wait; for scope `admin` everyone's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Links {
    /// In the order in which they were made. One that was answered is a person.
    pub links: Vec<Link>,
}

/// Adds the device that shows a code (`POST persons/{person}/devices`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDevice {
    /// The code, `mfl:…`.
    pub code: String,
    /// What to call the device, at most 64 bytes; what it would like to be called if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How it stands with a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStanding {
    /// It was sent the account, and was not heard yet.
    Adding,
    /// It is one of the person's devices.
    Added,
    /// The person does not vouch for it any more.
    Revoked,
}

/// A device of a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OwnDevice {
    /// Its key, 64 hex digits.
    pub key: String,
    /// What the person calls it.
    pub name: String,
    /// Since when, to the hour.
    pub since_ms: u64,
    /// Whether it is this node.
    pub is_this: bool,
    /// How it stands with it.
    pub standing: DeviceStanding,
}

/// A person's devices (`GET persons/{person}/devices`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Devices {
    /// This one first.
    pub devices: Vec<OwnDevice>,
}

/// Writes a person down, encrypted (`POST persons/{person}/export`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportAccount {
    /// What opens the file; not empty.
    pub passphrase: String,
}

/// An encrypted person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccountFile {
    /// What to put in a file.
    pub file: String,
}

/// Makes this node a new device of a person who was written down (`POST restore`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreAccount {
    /// What the file holds.
    pub file: String,
    /// What opens it.
    pub passphrase: String,
    /// What this device is to be called; the host's name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

impl std::fmt::Debug for ExportAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExportAccount(…)")
    }
}

impl std::fmt::Debug for RestoreAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestoreAccount(…)")
    }
}

/// What happened to a device of a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChange {
    /// It was heard for the first time.
    Added {
        /// What the person calls it.
        name: String,
    },
    /// It was to be added, and was not heard before its code ended.
    NotAdded,
    /// The person does not vouch for it any more.
    Revoked,
}

/// News of a person's devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceEvent {
    /// Whose.
    pub person: String,
    /// The device's key.
    pub device: String,
    /// What happened.
    pub change: DeviceChange,
}
