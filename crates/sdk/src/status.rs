//! What a node says about itself and its neighbours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::HoldStatus;

/// As what a node takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Routes, spreads and stands in other nodes' tables.
    Relay,
    /// Is served by relays of its choice.
    Guest,
}

/// Why a node takes part as what it does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleReason {
    /// It was told to.
    #[default]
    Configured,
    /// It may choose, and nobody has been asked to dial it yet.
    NotTested,
    /// Those who were asked to dial it could not.
    NobodyCouldDial,
    /// Others have dialled it.
    DialledBack,
}

/// Whether others can dial a node.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nobody was asked, or nobody has answered yet.
    #[default]
    Unknown,
    /// Somebody did.
    Reachable,
    /// Several tried, and nobody could.
    Unreachable,
}

/// A summary of the node (`GET status`, scope `read`).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// How long it has run.
    pub uptime_ms: u64,
    /// Where it listens for other nodes, as multiaddrs with real ports.
    pub locators: Vec<String>,
    /// Whether the network is configured as a small one: small bins, no limit per subnet. Never so on the public
    /// network.
    pub small_network: bool,
    /// Whether steps of packets are published; only on development networks.
    pub trace: bool,
    /// The half that routes. Its counters show only with scope `admin`: they tell how busy others on this node are.
    pub relay: RelayStatus,
    /// The half that holds people's keys; only with scope `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointStatus>,
}

/// A summary of the relay half.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RelayStatus {
    /// The network's number.
    pub network: u32,
    /// As what the node takes part.
    pub role: Role,
    /// Why as that.
    #[serde(default)]
    pub role_reason: RoleReason,
    /// Its position, 64 hex digits.
    pub overlay: String,
    /// Its name on links, 64 hex digits.
    pub link_key: String,
    /// Whether others can dial it.
    #[serde(default)]
    pub reach: Reach,
    /// Whether it has neighbours and its table has settled.
    pub joined: bool,
    /// Where its neighbourhood begins, in bits.
    pub depth: u16,
    /// Connected peers of every role.
    pub peers: u64,
    /// Connected relays of the neighbourhood.
    pub neighbourhood: u64,
    /// Relays it knows of, connected or not.
    pub known: u64,
    /// The latest size estimate, if one was made.
    pub estimate: Option<SizeEstimate>,
    /// Bytes of cells waiting for the next hop's custody.
    pub pending_bytes: u64,
    /// The most `pending_bytes` ever was.
    pub pending_bytes_max: u64,
    /// What the node holds for those who are away, and the regions it listens to.
    #[serde(default)]
    pub hold: HoldStatus,
    /// Counts since the start, by name.
    pub counters: BTreeMap<String, u64>,
    /// Faults of peers since the start, by name.
    pub faults: BTreeMap<String, u64>,
}

/// A summary of the endpoint half.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EndpointStatus {
    /// People it scans for.
    pub persons: u64,
    /// Topics it reads.
    pub topics: u64,
    /// Cells looked at since the start.
    pub scanned: u64,
    /// Cells opened since the start.
    pub opened: u64,
    /// Sessions of all its people.
    #[serde(default)]
    pub sessions: u64,
    /// Cells of sessions that wait until the relay half has room.
    #[serde(default)]
    pub unsent: u64,
    /// Cells waiting to be looked at.
    pub waiting: u64,
    /// Bytes of recent foreign cells kept for keys that may come.
    pub recent_bytes: u64,
    /// Cells the relay half handed over that found the queue full; the oldest make room.
    pub overflowed: u64,
}

/// A connected peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its name on the link, 64 hex digits.
    pub link_key: String,
    /// Its position, 64 hex digits.
    pub overlay: String,
    /// As what it takes part.
    pub role: Role,
    /// Its bin: leading bits it shares with this node.
    pub proximity: u16,
    /// Whether this node dialled.
    pub outbound: bool,
    /// When the connection came up.
    pub since_ms: u64,
    /// Typical time until it takes custody, if measured.
    pub custody_ms: Option<u32>,
    /// Faults it committed.
    pub faults: u32,
}

/// Every connected peer (`GET peers`, scope `admin`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peers {
    /// This node's position.
    pub overlay: String,
    /// Where its neighbourhood begins, in bits.
    pub depth: u16,
    /// By bin.
    pub peers: Vec<Peer>,
}

/// Nodes to dial now (`POST peers`, scope `admin`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectRequest {
    /// Multiaddrs such as `/ip4/192.0.2.7/tcp/4001`; 1 to 64.
    pub locators: Vec<String>,
}

/// Asks how many relays the network has, and what one region of it gives (`POST estimate`, scope `read`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EstimateRequest {
    /// Random look-ups to average over, at most 64; with 0 the latest estimate is used, if there is one.
    #[schema(maximum = 64)]
    pub lookups: u8,
    /// Also look at a region: so many leading bits of this node's own position, or of `prefix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub luminosity: Option<u16>,
    /// Also look at this region: `*`, binary digits such as `0110`, or `hex/bits`. The relays there learn that someone
    /// is interested in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How many in a thousand relays are expected to misbehave, and so to hide nobody.
    #[schema(maximum = 900)]
    pub droppers_per_mille: u16,
}

impl Default for EstimateRequest {
    /// 16 look-ups of 20 records each average over 320 records: ±6 % (1/√320).
    fn default() -> Self {
        EstimateRequest { lookups: 16, luminosity: None, prefix: None, droppers_per_mille: 0 }
    }
}

/// How many relays the network has, by random look-ups.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SizeEstimate {
    /// The estimate.
    pub nodes: u64,
    /// Look-ups it averages over.
    pub lookups: u8,
    /// When it was made.
    pub at_ms: u64,
    /// What the region asked about gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionEstimate>,
}

/// Among how many a message to a region hides its receiver, what it costs, how long it takes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RegionEstimate {
    /// The region.
    pub region: String,
    /// Its leading bits.
    pub luminosity: u16,
    /// Relays counted in it one by one.
    pub counted: u64,
    /// Relays in all: those counted, and those expected where nobody counted.
    pub relays: u64,
    /// Honest relays, the receiver's included: at least so many in 99 of 100 cases.
    pub set_p01: u64,
    /// At least so many in half of them.
    pub set_median: u64,
    /// Cells expected on all links together, rounded up, for one small message.
    pub transmissions: u64,
    /// Bytes expected on all links together.
    pub bytes: u64,
    /// When half of the region's relays have it.
    pub latency_ms_p50: u64,
    /// When 99 of a hundred have it.
    pub latency_ms_p99: u64,
}
