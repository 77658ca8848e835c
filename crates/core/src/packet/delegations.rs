//! Subtrees handed to delegates, until their quiet shows that the delegate did its work.
//!
//! A few others of the subtree were told of the packet. As long as the delegate works they get their copies from it or
//! from those behind it; when several of them pull from us instead, it has kept the packet to itself.

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::{LinkKey, Luminosity, PacketId, Time};

use super::trust::Judgement;

/// Those told pull within this time if at all: ten levels of a tree and two time-outs (docs/protocol/packet.md §5).
const WATCHED_MS: u64 = 30_000;
/// Delegations watched: 270 a second for half a minute. The oldest are forgotten early, and count for nothing.
pub(super) const WATCHED_MAX: usize = 8_192;
/// Different pullers that convict a delegate: one alone could frame it, or have lost its copy by chance.
const PULLERS_MIN: usize = 2;

#[derive(Clone, Debug)]
struct Delegation {
    delegate: LinkKey,
    pullers: Vec<LinkKey>,
}

/// The delegations of the last half minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Delegations {
    watched: BTreeMap<(PacketId, Luminosity), Delegation>,
    order: VecDeque<(Time, (PacketId, Luminosity))>,
}

impl Delegations {
    /// Delegations watched now.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// A subtree is handed to a delegate.
    pub(super) fn watch(&mut self, now: Time, id: PacketId, responsibility: Luminosity, delegate: LinkKey) {
        let name = (id, responsibility);
        if self.watched.insert(name, Delegation { delegate, pullers: Vec::new() }).is_none() {
            self.order.push_back((now, name));
        }
    }

    /// Somebody of a subtree pulls its packet from us. Says whom that convicts, once.
    pub(super) fn pulled(&mut self, id: PacketId, responsibility: Luminosity, by: LinkKey) -> Option<Judgement> {
        let delegation = self.watched.get_mut(&(id, responsibility))?;
        if delegation.delegate == by || delegation.pullers.contains(&by) || delegation.pullers.len() >= PULLERS_MIN {
            return None;
        }
        delegation.pullers.push(by);
        let convicted = delegation.pullers.len() == PULLERS_MIN;
        convicted.then_some(Judgement { peer: delegation.delegate, kept: false })
    }

    /// Ends the watch over what is old; says who did its work.
    pub(super) fn settle(&mut self, now: Time) -> Vec<Judgement> {
        let mut judgements = Vec::new();
        while let Some((at, name)) = self.order.front().copied() {
            let old = now.since_ms(at) >= WATCHED_MS;
            if !old && self.order.len() <= WATCHED_MAX {
                break;
            }
            self.order.pop_front();
            let quiet = self.watched.remove(&name).filter(|delegation| old && delegation.pullers.is_empty());
            judgements.extend(quiet.map(|quiet| Judgement { peer: quiet.delegate, kept: true }));
        }
        judgements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PacketId = PacketId([1; 16]);
    const DELEGATE: LinkKey = LinkKey([9; 32]);

    fn watched() -> (Delegations, Luminosity) {
        let (mut delegations, bits) = (Delegations::default(), Luminosity::at_most(4));
        delegations.watch(Time(0), ID, bits, DELEGATE);
        (delegations, bits)
    }

    #[test]
    fn two_who_pull_convict_a_delegate_once_and_one_never_does() {
        let (mut delegations, bits) = watched();
        let peer = |number| LinkKey([number; 32]);
        assert_eq!(delegations.pulled(ID, bits, peer(1)), None);
        assert_eq!(delegations.pulled(ID, bits, peer(1)), None);
        assert_eq!(delegations.pulled(ID, bits, DELEGATE), None);
        assert_eq!(
            delegations.pulled(ID, Luminosity::at_most(5), peer(2)),
            None,
            "another subtree is another delegate's"
        );
        let guilty = Judgement { peer: DELEGATE, kept: false };
        assert_eq!(delegations.pulled(ID, bits, peer(2)), Some(guilty));
        assert_eq!(delegations.pulled(ID, bits, peer(3)), None);
        assert!(delegations.settle(Time(WATCHED_MS)).is_empty());
    }

    #[test]
    fn a_subtree_that_stays_quiet_speaks_for_its_delegate() {
        let (mut delegations, _) = watched();
        assert!(delegations.settle(Time(WATCHED_MS - 1)).is_empty());
        assert_eq!(delegations.settle(Time(WATCHED_MS)), [Judgement { peer: DELEGATE, kept: true }]);
        assert!(delegations.watched.is_empty());
    }

    #[test]
    fn no_more_are_watched_than_the_bound_allows() {
        let mut delegations = Delegations::default();
        for number in 0..2 * WATCHED_MAX {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            delegations.watch(Time(0), PacketId(id), Luminosity::DARKEST, DELEGATE);
            assert!(delegations.settle(Time(0)).is_empty(), "what is forgotten early proves nothing");
        }
        assert_eq!(delegations.watched.len(), WATCHED_MAX);
    }
}
