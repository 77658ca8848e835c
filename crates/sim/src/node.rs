//! One node of the simulated world: its machine, its store, its links.

use std::collections::BTreeMap;

use mainframe_base::{LinkKey, Locator, PacketId, Time};
use mainframe_core::store::{MemoryStore, Tx};
use mainframe_core::switchboard::{Endpoint, HeldCell, RelayEffect, RelayInput, Shelf};
use mainframe_core::wire::Cell;

use crate::masks::Mask;
use crate::moment::Moment;

/// What the world drives: a relay of the core, as [`crate::actor::Actor`]; a test scripts its own.
pub trait Machine {
    /// See [`mainframe_core::switchboard::Relay::handle`].
    fn handle(&mut self, now: Time, input: RelayInput, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>);
    /// See [`mainframe_core::switchboard::Relay::next_wake`].
    fn next_wake(&self) -> Option<Time>;
}

/// Names a node of the world; counted from zero, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index of a list of all nodes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a connection; both ends know it by the same number.
pub(crate) type Connection = u64;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) peer: NodeId,
    pub(crate) connection: Connection,
    /// When the first frame we sent on it arrives; none overtakes that one.
    pub(crate) first_arrival: Option<Moment>,
}

/// A node, running or not.
pub(crate) struct Node<M> {
    pub(crate) key: LinkKey,
    pub(crate) locator: Locator,
    pub(crate) mask: Mask,
    /// None while the node is not running.
    pub(crate) machine: Option<M>,
    /// None while the node is not running, and at nodes without people.
    pub(crate) endpoint: Option<Box<Endpoint>>,
    pub(crate) endpoint_wake_at: Option<Moment>,
    pub(crate) store: MemoryStore,
    /// The cells it holds for others, on a disk of their own.
    pub(crate) held: BTreeMap<PacketId, (Shelf, Cell)>,
    /// Counts starts: what was meant for an earlier life does not reach a later one.
    pub(crate) life: u32,
    /// When the earliest wake-up in the queue is due.
    pub(crate) wake_at: Option<Moment>,
    /// The next commit does not happen: power fails before it.
    pub(crate) power_fails: bool,
    /// Sorted by peer.
    links: Vec<Link>,
    /// Peers being dialled by key.
    dialling: Vec<NodeId>,
}

impl<M> Node<M> {
    pub(crate) fn new(key: LinkKey, locator: Locator) -> Node<M> {
        Node {
            key,
            locator,
            mask: Mask::Honest,
            machine: None,
            endpoint: None,
            endpoint_wake_at: None,
            store: MemoryStore::default(),
            held: BTreeMap::new(),
            life: 0,
            wake_at: None,
            power_fails: false,
            links: Vec::new(),
            dialling: Vec::new(),
        }
    }

    /// The same node with another machine.
    ///
    /// # Panics
    /// If people sit here: their keys are not copied.
    pub(crate) fn copied<N>(&self, copy: impl FnMut(&M) -> N) -> Node<N> {
        assert!(self.endpoint.is_none(), "a node with people is not copied");
        Node {
            key: self.key,
            locator: self.locator,
            mask: self.mask,
            machine: self.machine.as_ref().map(copy),
            endpoint: None,
            endpoint_wake_at: None,
            store: self.store.clone(),
            held: self.held.clone(),
            life: self.life,
            wake_at: self.wake_at,
            power_fails: self.power_fails,
            links: self.links.clone(),
            dialling: self.dialling.clone(),
        }
    }

    pub(crate) fn is_online(&self) -> bool {
        self.machine.is_some()
    }

    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    pub(crate) fn link(&self, peer: NodeId) -> Option<&Link> {
        self.find(peer).ok().map(|at| &self.links[at])
    }

    pub(crate) fn link_mut(&mut self, peer: NodeId) -> Option<&mut Link> {
        self.find(peer).ok().map(|at| &mut self.links[at])
    }

    pub(crate) fn add_link(&mut self, peer: NodeId, connection: Connection) {
        let link = Link { peer, connection, first_arrival: None };
        match self.find(peer) {
            Ok(at) => self.links[at] = link,
            Err(at) => self.links.insert(at, link),
        }
    }

    /// Links that stood all along: by peer, and past their first frame.
    pub(crate) fn settle_links(&mut self, mut links: Vec<Link>) {
        links.sort_unstable_by_key(|link| link.peer);
        links.shrink_to_fit();
        self.links = links;
    }

    /// Removes the link to a peer, if it is still that connection.
    pub(crate) fn remove_link(&mut self, peer: NodeId, connection: Connection) -> bool {
        match self.find(peer) {
            Ok(at) if self.links[at].connection == connection => {
                self.links.remove(at);
                true
            }
            _ => false,
        }
    }

    /// What its disk holds, as a start finds it.
    pub(crate) fn found(&self) -> Vec<HeldCell> {
        self.held.values().map(|(shelf, cell)| HeldCell::of(*shelf, cell)).collect()
    }

    /// Everything that ends with a life.
    pub(crate) fn stop(&mut self) -> Vec<Link> {
        self.machine = None;
        self.endpoint = None;
        self.endpoint_wake_at = None;
        self.wake_at = None;
        self.power_fails = false;
        self.dialling.clear();
        self.store.roll_back();
        std::mem::take(&mut self.links)
    }

    /// Notes a dial; false if that peer is being dialled already.
    pub(crate) fn begin_dial(&mut self, peer: NodeId) -> bool {
        let fresh = !self.dialling.contains(&peer);
        if fresh {
            self.dialling.push(peer);
        }
        fresh
    }

    pub(crate) fn end_dial(&mut self, peer: NodeId) {
        self.dialling.retain(|other| *other != peer);
    }

    fn find(&self, peer: NodeId) -> Result<usize, usize> {
        self.links.binary_search_by_key(&peer, |link| link.peer)
    }
}
