//! Who hears of new cells as they come.

use std::collections::BTreeMap;

use mainframe_base::{Fault, LinkKey, Luminosity, Prefix};

use super::{HoldOut, HoldScene, HoldWish};
use crate::wire::{Cell, DIGESTS_MAX, DigestEntry, Frame, Hearing, Subscribe, TagBucket};

/// Regions one peer listens to at one relay (guess: a person's own, a few groups', a few to be left).
pub(super) const SUBSCRIPTIONS_MAX: usize = 16;
/// Peers that listen: twice the guests a relay serves, for visitors and relays that attend regions of others.
pub(super) const SUBSCRIBERS_MAX: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Subscription {
    region: Prefix,
    bucket: TagBucket,
    hearing: Hearing,
}

impl Subscription {
    fn wants(&self, cell: &Cell) -> bool {
        let [first, second, ..] = cell.header().tag.0;
        self.region.overlaps(&cell.destination()) && self.bucket.has([first, second])
    }
}

/// Everyone who listens here.
#[derive(Clone, Default, Debug)]
pub(super) struct Subscribers {
    by_peer: BTreeMap<LinkKey, Vec<Subscription>>,
    /// Digests that leave with the next flush.
    told: BTreeMap<LinkKey, Vec<DigestEntry>>,
}

impl Subscribers {
    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }

    /// Begins, changes or ends a subscription.
    ///
    /// # Errors
    /// `Flood` for more regions than one peer may have. When too many peers listen, one more is not heard; it sees that in
    /// the answers to its questions.
    pub(super) fn subscribe(&mut self, peer: LinkKey, wish: Subscribe) -> Result<(), Fault> {
        let Subscribe { region, bucket, hearing } = wish;
        if !self.by_peer.contains_key(&peer) && (hearing == Hearing::Not || self.by_peer.len() >= SUBSCRIBERS_MAX) {
            return Ok(());
        }
        let subscriptions = self.by_peer.entry(peer).or_default();
        subscriptions.retain(|subscription| subscription.region != region);
        if hearing != Hearing::Not {
            if subscriptions.len() >= SUBSCRIPTIONS_MAX {
                return Err(Fault::Flood);
            }
            subscriptions.push(Subscription { region, bucket, hearing });
        } else if subscriptions.is_empty() {
            self.by_peer.remove(&peer);
        }
        Ok(())
    }

    /// How a peer hears of a region.
    pub(super) fn hearing(&self, peer: &LinkKey, region: &Prefix) -> Hearing {
        let subscriptions = self.by_peer.get(peer).into_iter().flatten();
        let of_region = |subscription: &&Subscription| subscription.region == *region;
        subscriptions.filter(of_region).map(|subscription| subscription.hearing).next().unwrap_or(Hearing::Not)
    }

    /// Whether a peer was told of such a cell, and may pull it.
    pub(super) fn hears(&self, peer: &LinkKey, cell: &Cell) -> bool {
        self.by_peer.get(peer).into_iter().flatten().any(|subscription| subscription.wants(cell))
    }

    /// Tells everyone who listens to the cell's region: some get it, others its name.
    pub(super) fn tell(&mut self, scene: &mut HoldScene<'_>, cell: &Cell) {
        for (peer, subscriptions) in &self.by_peer {
            let wanted = subscriptions.iter().filter(|subscription| subscription.wants(cell));
            if wanted.clone().any(|subscription| subscription.hearing == Hearing::Cells) {
                scene.out.wishes.push(HoldWish::Serve(*peer, cell.clone()));
            } else if wanted.count() > 0 {
                let size_class = cell.header().size_class;
                let digest = DigestEntry { id: cell.id(), responsibility: Luminosity::FULL, size_class };
                self.told.entry(*peer).or_default().push(digest);
            }
        }
    }

    pub(super) fn flush(&mut self, out: &mut HoldOut) {
        for (peer, digests) in std::mem::take(&mut self.told) {
            let frames = digests.chunks(DIGESTS_MAX).map(|digests| Frame::Digest(digests.to_vec()));
            out.wishes.extend(frames.map(|frame| HoldWish::Send(peer, frame)));
        }
    }

    pub(super) fn remove(&mut self, peer: &LinkKey) {
        self.by_peer.remove(peer);
        self.told.remove(peer);
    }
}
