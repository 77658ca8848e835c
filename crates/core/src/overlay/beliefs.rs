//! Comparing neighbourhoods, so that everyone near knows everyone near (docs/protocol/overlay.md §7).
//!
//! A `Neighbourhood` is a digest of the relays that share the sender's depth with the sender. A receiver whose own
//! neighbourhood contains that region should know the very same relays, computes the digest from its own table and,
//! if it differs, asks. The question names the sender's own address, which tells the sender to ask back.

use mainframe_base::{Address, LinkKey, Proximity, Role, Time};

use super::Overlay;
use super::book::span;
use super::peer::Purpose;
use super::ports::{OverlayOut, OverlayWish};
use super::timers::never;
use crate::jitter::jittered;
use crate::wire::{Frame, Neighbourhood, PEERS_MAX};

/// A peer is not asked again sooner because of a difference, in milliseconds (guess: a dial's time).
const ASK_BACK_MS: u64 = 5_000;
/// Relays of one region that a belief counts; more than any honest neighbourhood (`wire` counts in two bytes).
const COUNT_MAX: usize = u16::MAX as usize;

impl Overlay {
    /// Tells our neighbourhood what we believe it to be: after a change, and all over again from time to time.
    pub(super) fn tell_beliefs(&mut self, now: Time, out: &mut OverlayOut) {
        let is_round = now >= self.timers.round;
        if is_round {
            self.timers.round = now + jittered(self.config.belief_interval_ms, self.random());
            self.timers.prune = now;
            self.timers.tend_soon(now);
            self.peers.values_mut().for_each(|peer| peer.false_hints = peer.false_hints.saturating_sub(1));
        }
        if !is_round && now < self.timers.change {
            return;
        }
        self.timers.change = never();
        if !self.me.role_is(Role::Relay) {
            return;
        }
        let depth = self.neighbours.depth();
        let belief = self.belief_about(&self.me.address(), depth);
        // Most changes are of far bins, which no belief is about.
        if !is_round && self.told == Some(belief) {
            return;
        }
        self.told = Some(belief);
        for relay in self.neighbours.all() {
            let Some(peer) = self.peers.get_mut(&relay.key) else { continue };
            let concerned = peer.told.map_or(depth, |told| depth.min(Proximity::from(told.depth)));
            let is_news = peer.told != Some(belief) || is_round && relay.proximity >= depth;
            if relay.proximity >= concerned && is_news {
                peer.told = Some(belief);
                out.wish(OverlayWish::Send(relay.key, Frame::Neighbourhood(belief)));
            }
        }
    }

    pub(super) fn on_belief(&mut self, now: Time, from: LinkKey, belief: Neighbourhood, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.is_relay()) else { return };
        peer.belief = Some(belief);
        let Some(address) = peer.address().filter(|_| !peer.visit) else { return };
        let depth = Proximity::from(belief.depth);
        let ours_contains_theirs =
            self.neighbours.depth() <= depth && self.neighbours.me().proximity(&address) >= depth;
        if ours_contains_theirs && self.me.role_is(Role::Relay) && self.belief_about(&address, depth) != belief {
            self.ask_about(now, from, address, out);
        }
    }

    /// A question about our own address: the asker believes something else about our neighbourhood than we told it.
    pub(super) fn ask_back(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        self.ask_about(now, key, self.me.address(), out);
    }

    fn ask_about(&mut self, now: Time, key: LinkKey, target: Address, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get(&key) else { return };
        if peer.asked_back_at.is_some_and(|at| now.since_ms(at) < ASK_BACK_MS) {
            return;
        }
        if self.ask(now, key, target, PEERS_MAX as u8, Purpose::Survey, out)
            && let Some(peer) = self.peers.get_mut(&key)
        {
            peer.asked_back_at = Some(now);
        }
    }

    /// What someone at `centre` with this depth should believe, as far as we know: the connected relays of that
    /// region, and ourselves if we lie in it.
    fn belief_about(&self, centre: &Address, depth: Proximity) -> Neighbourhood {
        let me = self.me.address();
        let depth = depth.min(255);
        let mut addresses: Vec<Address> = self.relays.range(span(centre, depth)).map(|(address, _)| *address).collect();
        if me.proximity(centre) >= depth {
            addresses.push(me);
            addresses.sort_unstable();
        }
        let mut hasher = blake3::Hasher::new();
        for address in &addresses {
            hasher.update(&address.0);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        // The centre itself is hashed and not counted.
        let count = addresses.len().saturating_sub(1).min(COUNT_MAX) as u16;
        Neighbourhood { depth: depth as u8, count, digest }
    }
}
