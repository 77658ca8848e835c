//! What the overlay says to the switchboard: what should happen, and what has happened.

use std::sync::Arc;

use mainframe_base::{Address, Fault, LinkKey, Locator, Prefix, Proximity, Role, Time};

use crate::crypto::NodeRecord;
use crate::wire::Frame;

/// What should happen.
#[derive(Clone, PartialEq, Debug)]
pub enum OverlayWish {
    /// Open a connection.
    Dial {
        /// Whom we expect there; unknown for a bare locator.
        peer: Option<LinkKey>,
        /// Where to try, in order; never empty.
        locators: Vec<Locator>,
    },
    /// Close a connection. The overlay has forgotten the peer already: frames of it that still come are ignored.
    Hangup(LinkKey, Goodbye),
    /// Send a control frame.
    Send(LinkKey, Frame),
    /// Keep the record in the peer cache, under its overlay address.
    Remember(Arc<NodeRecord>),
    /// Remove the record of this address from the peer cache.
    Forget(Address),
}

/// Why we hang up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goodbye {
    /// The peer broke the protocol.
    Fault(Fault),
    /// Its bin is full, there is no room for another guest, or it was only a visit.
    Pruned,
}

/// What has happened.
#[derive(Clone, PartialEq, Debug)]
pub enum OverlayFact {
    /// A peer said a valid `Hello`.
    PeerUp(LinkKey, Address),
    /// A peer that had said `Hello` is gone.
    PeerDown(LinkKey, Address),
    /// [`Overlay::neighbours`](super::Overlay::neighbours) is another than before.
    NeighboursChanged,
    /// The table has settled for the first time, with this depth.
    Joined(Proximity),
    /// A peer broke the protocol. It is hung up and left alone for a while.
    Fault(LinkKey, Fault),
    /// The estimate asked for with this ticket is made.
    Estimated(u64, Estimate),
}

/// How many relays the network has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Estimate {
    /// The estimate, ourselves included if we are a relay.
    pub nodes: u64,
    /// Look-ups it averages over.
    pub lookups: u8,
    /// Relays whose distances it averages over: its relative deviation is 1/√records. `u32::MAX` if all were counted.
    pub records: u32,
    /// When it was made.
    pub at: Time,
    /// How many of them stand in the region asked about.
    pub region: Option<RegionCount>,
}

/// How many relays a region has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionCount {
    /// The region.
    pub region: Prefix,
    /// Relays found in it, ourselves included.
    pub counted: u64,
    /// Relays expected in the parts of it where nobody counted, in thousandths.
    pub milli_expected: u64,
}

/// Everything one call causes, in order within each list. Facts are to be read before wishes are granted.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct OverlayOut {
    /// What has happened.
    pub facts: Vec<OverlayFact>,
    /// What should happen.
    pub wishes: Vec<OverlayWish>,
}

impl OverlayOut {
    pub(super) fn fact(&mut self, fact: OverlayFact) {
        self.facts.push(fact);
    }

    pub(super) fn wish(&mut self, wish: OverlayWish) {
        self.wishes.push(wish);
    }
}

/// One connected peer that said a valid `Hello`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerSummary {
    /// Its name on the link.
    pub key: LinkKey,
    /// Its position.
    pub address: Address,
    /// As what it takes part.
    pub role: Role,
    /// How many bits it shares with us.
    pub proximity: Proximity,
    /// Whether we dialled.
    pub outbound: bool,
    /// When the connection came up.
    pub since: Time,
}
