//! Frames move from a connection through a relay to one without, and the node does not notice (docs/protocol/link.md §11).

use libp2p::swarm::ConnectionId;
use mainframe_base::LinkKey;
use mainframe_core::switchboard::LinkEvent;

use super::Behaviour;
use crate::handler::Order;
use crate::peer::{Moving, Standing};

impl<E: From<LinkEvent> + Send + 'static> Behaviour<E> {
    /// Moves from a connection through a relay to one without, if there is one now (docs/protocol/link.md §11).
    pub(super) fn improve(&mut self, key: LinkKey) {
        let we_choose = self.we_choose(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(id) = peer.better(we_choose) else { return };
        let Some(from) = peer.chosen.replace(id) else { return };
        peer.moving = Some(Moving { from, retired: false });
        self.order(key, id, Order::Open);
        self.close_redundant(key, id);
        if self.connection(key, id).is_some_and(|connection| connection.opened) {
            self.retire(key);
        }
    }

    /// Both sides use the new connection: nothing more is put on the old one.
    pub(super) fn retire(&mut self, key: LinkKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let (Some(moving), Some(to), Some(queue)) = (peer.moving, peer.chosen, peer.queue.clone()) else { return };
        if moving.retired {
            return;
        }
        peer.moving = Some(Moving { retired: true, ..moving });
        if let Some(old) = peer.get_mut(moving.from) {
            old.standing = Standing::Retired;
        }
        queue.set_relayed(false); // one moves only to where there is no relay
        self.order(key, moving.from, Order::Retire);
        self.order(key, to, Order::Write(queue));
    }

    /// The old connection has been read to its end: what came on the new one is next.
    pub(super) fn on_drained(&mut self, key: LinkKey, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.moving.is_some_and(|moving| moving.from == id && moving.retired)
            && let Some(to) = peer.chosen
        {
            peer.moving = None;
            self.order(key, to, Order::Read);
        }
    }

    pub(super) fn on_old_closed(&mut self, key: LinkKey, moving: Moving) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.moving = None;
        if moving.retired
            && let Some(to) = peer.chosen
        {
            self.order(key, to, Order::Read);
        }
    }
}
