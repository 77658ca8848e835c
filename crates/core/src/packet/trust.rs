//! How well a peer kept what it took over, as far as we could see ourselves.
//!
//! A receipt is a promise. Whether it is kept shows only by its effects: a delegate's subtree that asks us for what the
//! delegate should have handed on, a packet of our own that had to be tried again, a digest behind which there was no
//! packet. Nothing of this is told to anyone, and nobody is told of others: hearsay could be used to frame.

use std::collections::BTreeMap;

use mainframe_base::{LinkKey, Time};

/// Broken promises from which on a peer may be doubted (guess: one may be the network's fault, two may be chance).
const BROKEN_MIN: u16 = 3;
/// Old evidence counts half after each such span, in milliseconds (guess): a relay that was repaired is used again.
const HALVED_AFTER_MS: u64 = 10 * 60 * 1_000;
/// Peers that left with broken promises and are remembered: more than a relay has peers (`OverlayConfig::peers_max`).
pub(super) const DEPARTED_MAX: usize = 1_024;

/// Promises of one peer, kept and broken.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Trust {
    kept: u16,
    broken: u16,
    halved: Time,
}

impl Trust {
    pub(super) fn keep(&mut self, now: Time) {
        self.fade(now);
        self.kept = self.kept.saturating_add(1);
    }

    pub(super) fn break_promise(&mut self, now: Time) {
        self.fade(now);
        self.broken = self.broken.saturating_add(1);
    }

    /// Whether it broke more than it kept. Most paths through an honest relay succeed even among many liars, so it is
    /// not doubted for what others did behind it.
    pub(super) fn is_doubtful(&self) -> bool {
        self.broken >= BROKEN_MIN && self.broken > self.kept
    }

    fn fade(&mut self, now: Time) {
        let halvings = now.since_ms(self.halved) / HALVED_AFTER_MS;
        if halvings > 0 {
            let shift = halvings.min(15) as u32;
            (self.kept, self.broken) = (self.kept >> shift, self.broken >> shift);
            self.halved = now;
        }
    }
}

/// What became known of a peer that took something over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Judgement {
    pub(super) peer: LinkKey,
    pub(super) kept: bool,
}

/// What is remembered of peers that are gone, so that coming back under the same name changes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Departed {
    by_peer: BTreeMap<LinkKey, Trust>,
}

impl Departed {
    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }

    pub(super) fn remember(&mut self, peer: LinkKey, trust: Trust) {
        if trust.broken == 0 {
            return;
        }
        self.by_peer.insert(peer, trust);
        if self.by_peer.len() > DEPARTED_MAX {
            let least = self.by_peer.iter().min_by_key(|(_, trust)| trust.broken).map(|(peer, _)| *peer);
            least.map(|peer| self.by_peer.remove(&peer));
        }
    }

    pub(super) fn return_of(&mut self, peer: &LinkKey) -> Trust {
        self.by_peer.remove(peer).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(kept: usize, broken: usize) -> Trust {
        let mut trust = Trust::default();
        (0..kept).for_each(|_| trust.keep(Time(1)));
        (0..broken).for_each(|_| trust.break_promise(Time(1)));
        trust
    }

    #[test]
    fn who_broke_more_promises_than_it_kept_is_doubted() {
        let table = [(0, 2, false), (0, 3, true), (3, 3, false), (3, 4, true), (100, 30, false)];
        for (kept, broken, doubtful) in table {
            assert_eq!(trust(kept, broken).is_doubtful(), doubtful, "{kept} kept, {broken} broken");
        }
    }

    #[test]
    fn evidence_fades() {
        let mut trust = trust(0, 4);
        trust.keep(Time(HALVED_AFTER_MS + 1));
        assert_eq!((trust.broken, trust.is_doubtful()), (2, false));
    }

    #[test]
    fn going_and_coming_back_does_not_clear_a_name() {
        let mut departed = Departed::default();
        let peer = LinkKey([1; 32]);
        departed.remember(peer, trust(0, 5));
        for index in 0..2 * DEPARTED_MAX {
            let mut other = [2; 32];
            other[..8].copy_from_slice(&index.to_be_bytes());
            departed.remember(LinkKey(other), trust(0, 1));
        }
        assert_eq!(departed.by_peer.len(), DEPARTED_MAX);
        assert!(departed.return_of(&peer).is_doubtful());
        assert!(!departed.return_of(&peer).is_doubtful(), "it is handed back, not copied");
    }
}
