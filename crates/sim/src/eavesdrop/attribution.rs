//! Who sent a packet, and how sure the coalition may be.
//!
//! On its way to the region a packet betrays by the bits it has gained whether it comes from its origin (`model`). A
//! packet that was only seen inside its region was either sent from inside or came in unseen; in both cases one relay
//! began to spread it, the *root*. After so many levels of the tree twice as many relays each time divide the region, one
//! for each of its halves, quarters and so on (docs/protocol/packet.md §5). The root is one of them, and which of them
//! members happen to hear of does not depend on which is the root. So each of those heard of on the first level on which
//! anyone was is the root with the same chance: one in as many as divide there and are not known to be others.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Address, Prefix};

use super::coalition::{File, Glimpse, What};
use super::model::Model;
use crate::node::NodeId;

/// What everyone can know of relays: where each of them stands.
pub type Atlas = BTreeMap<NodeId, Address>;

/// Whom the coalition names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Opinion {
    /// The most probable sender; none if nobody is more probable than all others.
    pub sender: Option<NodeId>,
    /// How probably it is that one, as the coalition reckons.
    pub confidence: f64,
    /// From whom the packet first came into the coalition's hands.
    pub entry: NodeId,
    /// Whether it was seen before it reached its region.
    pub on_the_way: bool,
}

/// What a coalition thinks with.
#[derive(Debug)]
pub struct Analyst<'a> {
    /// Who listens.
    pub members: &'a BTreeSet<NodeId>,
    /// Who stands where.
    pub atlas: &'a Atlas,
    /// How packets of this luminosity travel.
    pub model: &'a Model,
}

impl Analyst<'_> {
    /// Who sent this packet? None if it was not seen at all.
    pub fn opinion(&self, file: &File) -> Option<Opinion> {
        let prefix = file.destination?;
        let came = || file.glimpses.iter().filter(|glimpse| !matches!(glimpse.what, What::Passed(_)));
        let entry = came().next()?.neighbour;
        let on_the_way = came().any(|glimpse| matches!(glimpse.what, What::Routed { .. }));
        let (sender, confidence) =
            if on_the_way { self.by_way(&file.glimpses, &prefix) } else { self.by_root(&file.glimpses, &prefix) };
        Some(Opinion { sender, confidence, entry, on_the_way })
    }

    /// The first copy and the waiting one each point to someone; at most one of two is right.
    fn by_way(&self, glimpses: &[Glimpse], prefix: &Prefix) -> (Option<NodeId>, f64) {
        let suspect = |standby| {
            let glimpse = glimpses.iter().find(|glimpse| glimpse.what == What::Routed { standby })?;
            let address = self.atlas.get(&glimpse.neighbour)?;
            Some((glimpse.neighbour, self.model.is_sender(prefix, address, standby)))
        };
        match (suspect(false), suspect(true)) {
            (None, None) => (None, 0.0),
            (Some((one, sure)), None) | (None, Some((one, sure))) => (Some(one), sure),
            (Some((one, sure)), Some((other, surely))) if one == other => {
                (Some(one), 1.0 - (1.0 - sure) * (1.0 - surely))
            }
            (Some((one, sure)), Some((other, surely))) => {
                let (for_one, for_other) = (sure * (1.0 - surely), surely * (1.0 - sure));
                let all = for_one + for_other + (1.0 - sure) * (1.0 - surely);
                let (named, weight) = if for_one >= for_other { (one, for_one) } else { (other, for_other) };
                // two certainties that contradict each other are worth half
                (Some(named), if all > 0.0 { weight / all } else { 0.5 })
            }
        }
    }

    /// Somebody of the first level of the tree on which anyone was heard of is the root, and the root perhaps the sender.
    fn by_root(&self, glimpses: &[Glimpse], prefix: &Prefix) -> (Option<NodeId>, f64) {
        let others = self.others(glimpses);
        let mut levels: BTreeMap<u16, BTreeSet<NodeId>> = BTreeMap::new();
        for glimpse in glimpses.iter().filter(|glimpse| !others.contains_key(&glimpse.neighbour)) {
            if let Some(level) = self.level(glimpse) {
                levels.entry(level).or_default().insert(glimpse.neighbour);
            }
        }
        let Some((level, suspects)) = levels.first_key_value() else { return (None, 0.0) };
        let dividing = 2f64.powi(i32::from(level.saturating_sub(prefix.luminosity().bits())));
        let cleared = others.values().filter(|since| *since <= level).count() as f64;
        let chance = 1.0 / (dividing - cleared).max(suspects.len() as f64);
        (suspects.first().copied(), self.model.is_inside() * chance)
    }

    /// Who is known to have been handed a part of the region, and from which level on it divides: members, and those
    /// whom members handed one.
    fn others(&self, glimpses: &[Glimpse]) -> BTreeMap<NodeId, u16> {
        let mut others: BTreeMap<NodeId, u16> = self.members.iter().map(|member| (*member, u16::MAX)).collect();
        for glimpse in glimpses {
            let (receiver, said) = match glimpse.what {
                What::Shared(said) => (glimpse.member, said),
                What::Passed(Some(said)) => (glimpse.neighbour, said),
                What::Told(_) | What::Routed { .. } | What::Passed(None) => continue,
            };
            let divides = self.apart(glimpse).is_some_and(|apart| said.bits() == apart + 1);
            let since = others.entry(receiver).or_insert(u16::MAX);
            *since = (*since).min(if divides { said.bits() } else { u16::MAX });
        }
        others
    }

    /// A level on which a neighbour divides, given what it handed to or told a member: the bits they have in common if it
    /// speaks of the member's half, or as many as it says it answers for itself.
    fn level(&self, glimpse: &Glimpse) -> Option<u16> {
        let (said, is_copy) = match glimpse.what {
            What::Shared(said) => (said.bits(), true),
            What::Told(said) => (said.bits(), false),
            What::Routed { .. } | What::Passed(_) => return None,
        };
        let apart = self.apart(glimpse)?;
        match said {
            said if said == apart + 1 => Some(apart),
            said if is_copy && said <= apart => Some(said),
            _ => None,
        }
    }

    fn apart(&self, glimpse: &Glimpse) -> Option<u16> {
        Some(self.atlas.get(&glimpse.neighbour)?.proximity(self.atlas.get(&glimpse.member)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::moment::Moment;
    use mainframe_base::Luminosity;

    const MEMBER: NodeId = NodeId(0);

    /// What a coalition of one at 0000… makes of what it was told or handed by these, who stand at such first bytes.
    fn root(heard: &[(u8, What)]) -> (Option<NodeId>, f64) {
        let address = |first: u8| Address([first; 32]);
        let atlas: Atlas = (0..=255).map(|first| (NodeId(u32::from(first)), address(first))).collect();
        let known: Vec<Address> = atlas.values().copied().collect();
        let model = Model::new(&[], &known, Luminosity::DARKEST, 0.1, &mut Dice::new(1, "test"));
        let members = BTreeSet::from([MEMBER]);
        let analyst = Analyst { members: &members, atlas: &atlas, model: &model };
        let glimpses = heard
            .iter()
            .map(|(first, what)| Glimpse {
                at: Moment(0),
                member: MEMBER,
                neighbour: NodeId(u32::from(*first)),
                what: *what,
            })
            .collect();
        let opinion = analyst.opinion(&File { destination: Some(Prefix::EVERYONE), glimpses }).unwrap();
        (opinion.sender, opinion.confidence)
    }

    fn bits(bits: u16) -> Luminosity {
        Luminosity::at_most(bits)
    }

    #[test]
    fn whoever_divides_all_of_it_sent_a_packet_to_everyone() {
        assert_eq!(root(&[(0x40, What::Told(bits(2))), (0x80, What::Told(bits(1)))]), (Some(NodeId(0x80)), 1.0));
    }

    #[test]
    fn of_those_who_divide_halves_either_may_be_the_root() {
        assert_eq!(root(&[(0x40, What::Told(bits(2)))]), (Some(NodeId(0x40)), 0.5));
        assert_eq!(root(&[(0x20, What::Shared(bits(3))), (0x40, What::Told(bits(2)))]).1, 0.5);
    }

    #[test]
    fn whoever_was_handed_its_part_by_a_member_is_not_the_root() {
        let opinion =
            root(&[(0x40, What::Told(bits(2))), (0x40, What::Passed(Some(bits(2)))), (0x20, What::Told(bits(3)))]);
        assert_eq!(opinion, (Some(NodeId(0x20)), 1.0 / 3.0), "one of four is cleared");
    }
}
