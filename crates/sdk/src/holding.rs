//! What a node holds for those who are away, and the regions it listens to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Cells held for others, and regions listened to. But for the quota and a refusal only with scope `admin`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
pub struct HoldStatus {
    /// Cells held for others.
    pub cells: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The quota (`hold_max_mib`).
    pub bytes_max: u64,
    /// Why new cells are not held, while they are not. What was accepted before stays.
    pub refusing: Option<HoldRefusal>,
    /// Peers that hear of new cells from this node.
    pub subscribers: u64,
    /// Cells told of that have not come yet.
    pub missing: u64,
    /// The regions listened to.
    pub attending: Vec<Attendance>,
}

/// Why cells are not held, as the operator reads it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HoldRefusal {
    /// What is not done.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to do about it.
    pub next: String,
}

/// A region the node listens to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Attendance {
    /// The region: `*`, binary digits such as `0110`, or `hex/bits`. The node's own address is always among them.
    pub region: String,
    /// Which of its cells: those in a bucket of so many leading bits of the tag; 0 for all.
    pub bucket_bits: u8,
    /// Everything sent before that moment has come, as far as the relays asked say what they hold.
    pub complete_until_ms: u64,
    /// The relays asked about it.
    pub sources: Vec<AttendanceSource>,
}

/// A relay that is asked about a region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AttendanceSource {
    /// Its name on the link, 64 hex digits.
    pub link_key: String,
    /// How the node hears of new cells from it.
    pub hearing: Hearing,
}

/// How a node hears of a region's new cells from a relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hearing {
    /// Not from this one: it asks from time to time.
    Not,
    /// Their names; those it has not it fetches.
    Digests,
    /// The cells themselves.
    Cells,
}

/// Listens to a region (`POST regions`, scope `admin`): gets what is held of what was sent to it, and what comes from now
/// on. Of a tag only a bucket is told to the relays asked, so that the cell sought hides among others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttendRequest {
    /// The region: `*`, binary digits such as `0110`, or `hex/bits`.
    pub region: String,
    /// What was sent before this moment is of no interest; without it only what comes from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// A tag that is sought, 4 to 32 hex digits: only cells of its bucket are fetched. Without one all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The width of the bucket, 0 to 16 bits; above 0 only with a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 16)]
    pub bucket_bits: Option<u8>,
    /// Instead of a width: the narrowest bucket that leaves so many candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates_min: Option<u64>,
}

impl AttendRequest {
    /// All cells of a region, from now on.
    pub fn to(region: impl Into<String>) -> AttendRequest {
        AttendRequest { region: region.into(), since_ms: None, tag: None, bucket_bits: None, candidates_min: None }
    }
}

/// What listening to a region will fetch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Attended {
    /// The region.
    pub region: String,
    /// The width of the bucket.
    pub bucket_bits: u8,
    /// Cells an hour a region is believed to get, from what this node holds; 0 while it holds nothing.
    pub cells_per_hour: u64,
    /// Among so many cells of an hour the one sought hides, in at least 99 of 100 cases.
    pub candidates: u64,
}

/// The regions listened to (`GET regions`, scope `admin`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Regions {
    /// In no order.
    pub regions: Vec<Attendance>,
}
