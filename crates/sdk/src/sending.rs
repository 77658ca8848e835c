//! Asking the node to send.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ApiError, Body};

/// Messages in one batch: 256 cells are half a megabyte, an eighth of a second at the rate one core forwards.
pub const BATCH_MAX: usize = 256;

/// How long relays of the region keep a packet for receivers who are away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Not at all: it lives for minutes.
    #[default]
    Live,
    /// One hour.
    Hour,
    /// 24 hours.
    Day,
    /// 72 hours.
    ThreeDays,
}

/// A message to send (`POST send`, scope `send`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// For whom it is sealed: a person's address `mfp:…`, or a topic's key `mft:` and 64 hex digits.
    pub to: String,
    /// The region it travels through: `*`, binary digits such as `0110`, or `hex/bits`. Must be given for a topic;
    /// for a person the default is the address's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Tell only so many leading bits of the region: 0..=254 or 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub luminosity: Option<u16>,
    /// How long relays of the region keep it.
    #[serde(default)]
    pub hold: Hold,
    /// What it may cost at most, as a class of 0..=15: 4 × 2^budget transmissions, 15 without limit. Without one, twice
    /// the quote, or without limit while the network's size has not been estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 15)]
    pub budget: Option<u8>,
    /// The id of a packet that came to nothing: this one is another try, and leaves over other first hops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// What to say; fits one cell (about 1,600 bytes, or 16,000 in a large one).
    pub body: Body,
}

impl SendRequest {
    /// A message through the region the address tells, not held, at any cost.
    pub fn to(to: impl Into<String>, body: Body) -> SendRequest {
        SendRequest {
            to: to.into(),
            prefix: None,
            luminosity: None,
            hold: Hold::Live,
            budget: None,
            instead_of: None,
            body,
        }
    }
}

/// What a packet is expected to cost, by the integer price table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    /// Relays the network is believed to have.
    pub nodes: u64,
    /// Bits revealed.
    pub luminosity: u16,
    /// Relays expected in the region: any of them could be the receiver.
    pub region_nodes: u64,
    /// Cells expected on all links together, rounded up: hops to the region, and copies inside it.
    pub transmissions: u64,
    /// Bytes expected on all links together.
    pub bytes: u64,
}

/// The node has taken a packet into custody (202).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// The packet's name, 32 hex digits; later events speak of it.
    pub id: String,
    /// The region it travels through.
    pub region: String,
    /// What it is expected to cost.
    pub quote: Quote,
}

/// Several messages at once (`POST send/batch`, scope `send`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendBatch {
    /// 1 to 256.
    pub messages: Vec<SendRequest>,
}

/// What became of one message of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchResult {
    /// It is in the node's custody.
    Sent(Sent),
    /// It was refused; nothing of it was kept.
    Refused(ApiError),
}

/// What became of a batch, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SendBatchResults {
    /// One for each message.
    pub results: Vec<BatchResult>,
}
