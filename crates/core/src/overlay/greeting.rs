//! Nobody counts before a valid `Hello` (docs/protocol/overlay.md §4).
//!
//! Both sides say `Hello` at once and repeat it until they hear the other's, so a lost one delays and does no more.

use std::sync::Arc;

use mainframe_base::{Fault, LinkKey, Locator, Role, Time};

use super::peer::{Greeted, HELLO_AGAIN_MS, Peer};
use super::ports::{Goodbye, OverlayFact, OverlayOut, OverlayWish};
use super::{Overlay, dialling::Called};
use crate::crypto::{Binding, NodeRecord};
use crate::wire::Hello;

/// How often we repeat our `Hello` for a peer that repeats its own; then it is not listening.
const HELLO_REPEATED_MAX: u8 = 5;
/// Frames forgiven before `Hello`: what a peer sends in the two seconds until it repeats a lost one (guess).
const EARLY_MAX: u8 = 64;

/// For how long there is room for a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Room {
    Stay,
    Visit,
}

impl Overlay {
    /// A connection stands and the transport proved `key`.
    pub fn peer_up(&mut self, now: Time, key: LinkKey, outbound: bool, remote: Locator, out: &mut OverlayOut) {
        if self.peers.contains_key(&key) {
            self.peer_down(now, key, out);
        }
        let called = if outbound {
            self.dials.answered(&key, &remote)
        } else {
            self.dials.crossed(&key);
            Called::default()
        };
        if key == self.record().link_key {
            self.places.strike_out(&remote);
            return out.wish(OverlayWish::Hangup(key, Goodbye::Pruned));
        }
        let full = !outbound && self.peers.len() >= self.config.peers_max;
        if full || self.is_shunned(now, &key) {
            return out.wish(OverlayWish::Hangup(key, Goodbye::Pruned));
        }
        let mut peer = Peer::new(now, key, outbound, remote);
        peer.expected = called.address;
        peer.visit = called.visit;
        self.peers.insert(key, peer);
        self.try_until(key, now + HELLO_AGAIN_MS);
        self.send_hello(now, key, out);
    }

    /// A connection is gone, for whatever reason. Nothing happens if it was hung up by us.
    pub fn peer_down(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get(&key) else { return };
        // A relay that hangs up soon after we dialled it has no room for us.
        let declined = peer.outbound && !peer.has_settled(now);
        if let Some(address) = peer.address().or(peer.expected) {
            if declined {
                self.book.decline(now, &address);
            } else {
                let random = self.random();
                self.book.lose(now, &address, random);
            }
        }
        self.forget_peer(now, key, out);
    }

    /// A frame that is not the overlay's came from a peer that has not said `Hello`. The switchboard drops the frame
    /// and tells us; so do we with our own. A few are forgiven, because a `Hello` can be lost and what follows it not.
    pub fn on_early_frame(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.early += 1;
        if peer.early > EARLY_MAX {
            self.fault(now, key, Fault::OutOfOrder, out);
        }
    }

    pub(super) fn send_hello(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.hello_sent_at = now;
        out.wish(OverlayWish::Send(key, self.me.hello()));
    }

    pub(super) fn on_hello(&mut self, now: Time, key: LinkKey, hello: Hello, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get(&key) else { return };
        if peer.greeted.is_some() {
            return self.on_hello_again(now, key, hello, out);
        }
        match self.me.check_hello(&key, hello) {
            Err(fault) => self.fault(now, key, fault, out),
            Ok((record, binding)) => self.greet(now, key, record, binding, out),
        }
    }

    /// The same `Hello` again means that ours was lost; a newer one of the same node, that its listeners changed.
    fn on_hello_again(&mut self, now: Time, key: LinkKey, hello: Hello, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(greeted) = &peer.greeted else { return };
        if hello.record == *greeted.record && hello.binding == greeted.binding {
            let patient = now.since_ms(peer.hello_sent_at) >= HELLO_AGAIN_MS / 2;
            if patient && peer.hellos_repeated < HELLO_REPEATED_MAX {
                peer.hellos_repeated += 1;
                self.send_hello(now, key, out);
            }
            return;
        }
        let (address, role, sequence) = (greeted.record.overlay, greeted.record.role, greeted.record.sequence);
        if hello.record.overlay != address || hello.record.role != role {
            return self.fault(now, key, Fault::OutOfOrder, out);
        }
        match self.me.check_hello(&key, hello) {
            Err(fault) => self.fault(now, key, fault, out),
            Ok((record, _)) if record.sequence <= sequence => {}
            Ok((record, binding)) => self.renew(now, key, record, binding, out),
        }
    }

    fn renew(&mut self, now: Time, key: LinkKey, record: Arc<NodeRecord>, binding: Binding, out: &mut OverlayOut) {
        self.learn(now, &record, out);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.greeted = Some(Greeted { record, binding });
        }
    }

    /// Lets a peer in that proved who it is.
    fn greet(&mut self, now: Time, key: LinkKey, record: Arc<NodeRecord>, binding: Binding, out: &mut OverlayOut) {
        self.unmask(&key, &record, out);
        let Some(room) = self.room_for(&key, &record) else {
            return self.hang_up(now, key, Goodbye::Pruned, out);
        };
        self.learn(now, &record, out);
        let address = record.overlay;
        let is_relay = record.role == Role::Relay;
        let stays = self.is_wanted(&address);
        let survey = self.survey;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.greeted = Some(Greeted { record, binding });
        peer.used_at = now;
        // Whom we dialled may know more than we do; who dialled us will learn by comparing beliefs.
        peer.surveyed = if peer.outbound { 0 } else { survey };
        peer.visit = peer.visit && !stays || room == Room::Visit;
        let visit = peer.visit;
        out.fact(OverlayFact::PeerUp(key, address));
        if is_relay && !visit {
            self.enter_table(now, key, out);
        }
        self.try_until(key, now + HELLO_AGAIN_MS);
        self.continue_lookups(now, out);
        // Whoever is visited and was not asked anything else may stand in another half of the network.
        if is_relay && visit && self.me.role_is(Role::Relay) && self.peers.get(&key).is_some_and(|peer| peer.outbound) {
            self.ask_who_is_near(now, key, out);
        }
        self.timers.tend_soon(now);
    }

    /// Gives a relay its place in the bins.
    pub(super) fn enter_table(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.visit = false;
        let Some(address) = peer.address() else { return };
        let remote = peer.remote.ip;
        self.relays.insert(address, key);
        self.neighbours.add(key, address);
        self.count_subnet(&address, remote);
        self.newcomers.insert(key);
        if self.neighbours.me().proximity(&address) >= self.neighbours.depth() {
            self.told = None;
        }
        self.table_changed = true;
        self.book.set_connected(&address);
        self.places.calm();
        self.reckon(now, out);
    }

    /// Room for one node per address and some guests; no guests among themselves. A guest too many may stay just long
    /// enough to ask for other relays, or a newcomer whose only hint is a busy relay would never learn of another.
    fn room_for(&self, key: &LinkKey, record: &NodeRecord) -> Option<Room> {
        if record.role == Role::Relay {
            return (!self.relays.contains_key(&record.overlay)).then_some(Room::Stay);
        }
        let is_other_guest = |peer: &&Peer| peer.key != *key && peer.is_guest();
        let (visiting, served): (Vec<&Peer>, Vec<&Peer>) =
            self.peers.values().filter(is_other_guest).partition(|peer| peer.visit);
        if !self.me.role_is(Role::Relay) {
            None
        } else if served.len() < self.config.guests_max {
            Some(Room::Stay)
        } else {
            (visiting.len() < self.config.guests_max).then_some(Room::Visit)
        }
    }

    /// Whether the record we dialled it by told its own position, or another's.
    fn unmask(&mut self, key: &LinkKey, record: &NodeRecord, out: &mut OverlayOut) {
        let Some(claimed) = self.peers.get(key).and_then(|peer| peer.expected) else { return };
        if claimed == record.overlay {
            let informant = self.book.get(&claimed).and_then(|known| known.informant);
            return self.trust_informant(informant);
        }
        if let Some(known) = self.book.remove(&claimed) {
            self.blame_informant(known.informant);
            if known.remembered {
                out.wish(OverlayWish::Forget(claimed));
            }
        }
    }

    fn learn(&mut self, now: Time, record: &Arc<NodeRecord>, out: &mut OverlayOut) {
        if record.role == Role::Relay && self.book.prove(now, record) {
            out.wish(OverlayWish::Remember(record.clone()));
        }
        self.forget_evicted(out);
    }

    /// The peer cache holds no more than the address book, however many come and go.
    pub(super) fn forget_evicted(&mut self, out: &mut OverlayOut) {
        for address in self.book.take_evicted() {
            out.wish(OverlayWish::Forget(address));
        }
    }

    pub(super) fn hang_up(&mut self, now: Time, key: LinkKey, why: Goodbye, out: &mut OverlayOut) {
        self.forget_peer(now, key, out);
        out.wish(OverlayWish::Hangup(key, why));
    }

    fn forget_peer(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.remove(&key) else { return };
        self.timers.tend_soon(now);
        let Some(address) = peer.address() else { return };
        out.fact(OverlayFact::PeerDown(key, address));
        let stood = self.relays.get(&address) == Some(&key);
        if (stood || peer.visit) && self.book.part(now, &address).is_some_and(|known| known.remembered) {
            out.wish(OverlayWish::Forget(address));
        }
        if stood {
            self.relays.remove(&address);
            self.neighbours.remove(&address);
            self.discount_subnet(&address, peer.remote.ip);
            self.table_changed = true;
            self.survey_wanted |= self.neighbours.me().proximity(&address) >= self.goal;
            if peer.has_settled(now) {
                self.seek_again(now, &address);
            }
            self.reckon(now, out);
        }
        self.continue_lookups(now, out);
    }
}
