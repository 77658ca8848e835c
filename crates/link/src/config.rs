//! What a link is told before it starts: its key, its listeners and its bounds.

use std::time::Duration;

use mainframe_base::{Locator, Secret};

/// Bounds and addresses of a link. [`LinkConfig::new`] fills in defaults that suit a relay of a few hundred neighbours.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct LinkConfig {
    /// The ed25519 secret whose public half is our name on every link.
    pub link_secret: Secret<32>,
    /// Where to listen; port 0 means any. Empty for a node that only dials.
    pub listen: Vec<Locator>,
    /// Established connections that others dialled.
    pub connections_in_max: u32,
    /// Established connections that we dialled.
    pub connections_out_max: u32,
    /// Handshakes under way, each way.
    pub connections_pending_max: u32,
    /// Established connections with one peer: the one in use, one more that stands by while two nodes dial each other at
    /// the same moment, one through a relay that is being left, and one on which somebody dials back.
    pub connections_per_peer_max: u32,
    /// Cell bytes waiting for one peer. Beyond it `send` answers `Busy`.
    pub queue_bytes_max: usize,
    /// Control bytes waiting for one peer. Beyond it the peer is taken not to read and is hung up on.
    pub control_bytes_max: usize,
    /// Cell bytes waiting for all peers together. Beyond it `send` answers `Busy`.
    pub queue_bytes_total_max: usize,
    /// Silence after which a peer is asked for a sign of life.
    pub ping_interval: Duration,
    /// How long that sign may take, and how long a new connection may take to carry frames.
    pub patience: Duration,
    /// Whether to ask peers to dial our addresses (AutoNAT 2), and to dial theirs when they ask.
    pub autonat: bool,
    /// Whether to ask the router to let others in (UPnP; only in builds with the feature `upnp`). What it says is believed
    /// only once somebody came in.
    pub upnp: bool,
    /// Whether to tell the local network who we are and where we listen, and to listen for others (mDNS).
    pub lan_discovery: bool,
    /// Whether to relay a little for nodes nobody can dial, and to be relayed for when nobody can dial us. Needs
    /// `autonat`, which finds out which of the two we are.
    pub circuits: bool,
}

impl LinkConfig {
    /// A link that listens at `listen` under the key of `link_secret`, with the default bounds.
    pub fn new(link_secret: Secret<32>, listen: Vec<Locator>) -> LinkConfig {
        LinkConfig {
            link_secret,
            listen,
            connections_in_max: 512, // guess: 18 peers in each of 16 bins, and as many guests again
            connections_out_max: 512, // guess: as many
            connections_pending_max: 128, // guess: a quarter of them joining at once
            connections_per_peer_max: 4,
            queue_bytes_max: 8 << 20,   // guess: 4,000 small cells, half a second at 16 MB/s
            control_bytes_max: 1 << 20, // guess: 60 of the largest control frames
            queue_bytes_total_max: 64 << 20, // guess: eight peers that have stalled altogether
            ping_interval: Duration::from_secs(30), // guess: 50 idle nodes must cost next to nothing
            patience: Duration::from_secs(20), // libp2p's own limit for a ping's answer
            autonat: true,
            upnp: false,          // changes another machine's settings, so only if asked for
            lan_discovery: false, // tells others on the network about us, so only if asked for
            circuits: true,
        }
    }
}
