//! The connections with one peer, and which of them should carry frames (docs/protocol/link.md §4).

use std::sync::Arc;

use libp2p::swarm::ConnectionId;
use mainframe_base::Locator;
use mainframe_core::switchboard::DownReason;

use crate::queue::Queue;

/// The connections with one peer, at most `connections_per_peer_max`.
#[derive(Default, Debug)]
pub(crate) struct Peer {
    pub(crate) connections: Vec<Connection>,
    pub(crate) chosen: Option<ConnectionId>,
    /// From which connection frames are moving to the chosen one.
    pub(crate) moving: Option<Moving>,
    /// Once the peer is up: what waits to be sent to it.
    pub(crate) queue: Option<Arc<Queue>>,
    /// The node has heard that it is up.
    pub(crate) started: bool,
    pub(crate) reason: Option<DownReason>,
}

/// A move of frames to a better connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moving {
    pub(crate) from: ConnectionId,
    /// Nothing more is put on the old one.
    pub(crate) retired: bool,
}

/// What a connection is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// To carry frames.
    Usable,
    /// For something else, such as dialling somebody back; carries frames if the other side wishes so.
    Aside,
    /// To be read to its end: frames go another way now.
    Retired,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) outbound: bool,
    pub(crate) remote: Locator,
    pub(crate) standing: Standing,
    /// The other side has opened its stream.
    pub(crate) opened: bool,
}

impl Connection {
    fn may_carry(&self, we_choose: bool) -> bool {
        match self.standing {
            Standing::Usable => we_choose || self.opened,
            Standing::Aside => self.opened,
            Standing::Retired => false,
        }
    }
}

impl Peer {
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    /// Whether frames flow, or soon will.
    pub(crate) fn is_up(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether any connection leads there without a relay.
    pub(crate) fn is_direct(&self) -> bool {
        self.connections.iter().any(|connection| connection.remote.is_direct())
    }

    /// The first connection that may carry frames, if none does; one without a relay before one with.
    pub(crate) fn first(&self, we_choose: bool) -> Option<ConnectionId> {
        let usable = self.connections.iter().filter(|connection| connection.may_carry(we_choose));
        let first = usable.min_by_key(|connection| !connection.remote.is_direct());
        first.filter(|_| self.chosen.is_none()).map(|connection| connection.id)
    }

    /// A connection without a relay to move to, if frames go through one.
    pub(crate) fn better(&self, we_choose: bool) -> Option<ConnectionId> {
        let chosen = self.get(self.chosen?)?;
        if !self.started || self.moving.is_some() || chosen.remote.is_direct() {
            return None;
        }
        let usable = self.connections.iter().filter(|connection| connection.may_carry(we_choose));
        usable.filter(|connection| connection.remote.is_direct()).map(|connection| connection.id).next()
    }

    /// Whether a new connection that we have dialled is of no use: another carries frames as well.
    pub(crate) fn has_no_need_of(&self, new: &Connection) -> bool {
        let chosen = self.chosen.and_then(|id| self.get(id));
        new.outbound
            && new.standing == Standing::Usable
            && chosen.is_some_and(|chosen| chosen.remote.is_direct() || !new.remote.is_direct())
    }

    /// Connections we dialled that carry nothing beside `kept`, and are not for anything else.
    pub(crate) fn redundant(&self, kept: ConnectionId) -> Vec<ConnectionId> {
        let spare = |connection: &&Connection| {
            connection.outbound && connection.id != kept && connection.standing == Standing::Usable
        };
        let moving = self.moving.map(|moving| moving.from);
        let ids = self.connections.iter().filter(spare).map(|connection| connection.id);
        ids.filter(|id| Some(*id) != moving).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::LinkKey;

    fn connection(number: usize, through: bool) -> Connection {
        let place: Locator = "/ip4/1.1.1.1/tcp/1".parse().unwrap();
        let remote = if through { place.through(LinkKey([1; 32])) } else { place };
        let id = ConnectionId::new_unchecked(number);
        Connection { id, outbound: true, remote, standing: Standing::Usable, opened: false }
    }

    fn on_a_circuit() -> Peer {
        let circuit = Connection { opened: true, ..connection(1, true) };
        Peer { chosen: Some(circuit.id), connections: vec![circuit], started: true, ..Peer::default() }
    }

    #[test]
    fn the_way_without_a_relay_is_taken_first_and_moved_to_later() {
        let mut peer = Peer { connections: vec![connection(1, true), connection(2, false)], ..Peer::default() };
        assert_eq!(peer.first(true), Some(ConnectionId::new_unchecked(2)));
        assert_eq!(peer.first(false), None, "the other side chooses");
        peer = on_a_circuit();
        assert!(!peer.has_no_need_of(&connection(2, false)) && peer.has_no_need_of(&connection(2, true)));
        assert_eq!(peer.better(true), None);
        peer.connections.push(connection(2, false));
        assert_eq!(peer.better(true), Some(ConnectionId::new_unchecked(2)));
        assert_eq!(peer.better(false), None, "until the other side has opened its stream");
        peer.connections[1].opened = true;
        assert_eq!(peer.better(false), Some(ConnectionId::new_unchecked(2)));
        peer.started = false;
        assert_eq!(peer.better(true), None, "not before the node knows of the peer");
    }

    #[test]
    fn a_connection_for_something_else_carries_frames_only_if_the_other_side_wishes() {
        let mut peer = Peer::default();
        peer.connections.push(Connection { standing: Standing::Aside, ..connection(1, false) });
        assert_eq!((peer.first(true), peer.redundant(ConnectionId::new_unchecked(9))), (None, vec![]));
        peer.connections[0].opened = true;
        assert_eq!(peer.first(true), Some(ConnectionId::new_unchecked(1)));
    }

    #[test]
    fn nothing_is_chosen_from_what_is_being_left() {
        let mut peer = on_a_circuit();
        peer.connections[0].standing = Standing::Retired;
        peer.chosen = None;
        assert_eq!(peer.first(true), None);
    }
}
