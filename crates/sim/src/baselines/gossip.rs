//! Gossip in the manner of GossipSub (libp2p/specs, pubsub/gossipsub v1.0 and v1.1, default parameters).
//!
//! A node that meets a message gives it to its mesh peers, except the one it came from. At each heartbeat it tells six
//! random others what it met in the last three heartbeats; who lacks a message asks for it at once.
//!
//! In the baseline's favour: the mesh lies inside the region, where there would be one mesh for each topic; it is
//! made from above, of links that stand, with a degree of six for nearly everyone; grafting, pruning and
//! scores cost nothing; nobody asks twice for one message within three seconds.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{LinkKey, Luminosity, PacketId, Time};
use mainframe_core::neighbours::Neighbours;
use mainframe_core::wire::{Cell, DIGESTS_MAX, DigestEntry, Frame, PULLS_MAX, PullEntry};

use super::MESH_DEGREE;
use super::guise::{Rule, Share, copy};
use crate::dice::Dice;
use crate::node::NodeId;
use crate::population::Population;

/// A node with fewer links looks for more (GossipSub: D_low) …
const MESH_DEGREE_MIN: usize = 4;
/// … even from those who have enough, up to so many (GossipSub: D_high).
const MESH_DEGREE_MAX: usize = 12;
/// Peers told at each heartbeat (GossipSub: D_lazy).
const LAZY_PEERS: usize = 6;
/// Time between two heartbeats, in milliseconds (GossipSub).
const HEARTBEAT_MS: u64 = 1_000;
/// Heartbeats for which a message is told of (GossipSub: mcache_gossip).
const BEATS_TOLD: u8 = 3;
/// Heartbeats for which a message is kept to be asked for (GossipSub: mcache_len).
const BEATS_KEPT: u8 = 5;
/// A message is not asked for again within this time, in milliseconds (GossipSub v1.1: iwant_followup_time).
const ASK_AGAIN_MS: u64 = 3_000;

/// The links of each node in its region's mesh.
pub(super) type Meshes = BTreeMap<NodeId, Vec<LinkKey>>;

/// Makes the meshes of all regions of this luminosity out of links that stand.
pub(super) fn meshes(population: &Population, luminosity: Luminosity, dice: &mut Dice) -> Meshes {
    let mut pairs = pairs(population, luminosity);
    dice.shuffle(&mut pairs);
    let mut mesh: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
    // first among those who lack links; then whoever has too few joins those who have enough
    for (lacking, degree_max) in [(MESH_DEGREE, MESH_DEGREE), (MESH_DEGREE_MIN, MESH_DEGREE_MAX)] {
        for (one, other) in &pairs {
            let degree = |id| mesh.get(id).map_or(0, BTreeSet::len);
            let (fewer, more) = (degree(one).min(degree(other)), degree(one).max(degree(other)));
            if fewer < lacking && more < degree_max {
                mesh.entry(*one).or_default().insert(*other);
                mesh.entry(*other).or_default().insert(*one);
            }
        }
    }
    let key = |id: NodeId| population.world().key(id);
    mesh.into_iter().map(|(id, peers)| (id, peers.into_iter().map(key).collect())).collect()
}

/// Every connection inside a region, once.
fn pairs(population: &Population, luminosity: Luminosity) -> Vec<(NodeId, NodeId)> {
    let mut pairs = BTreeSet::new();
    for id in population.online() {
        let Some(actor) = population.world().machine(id) else { continue };
        for peer in actor.relay().neighbours().within(luminosity.bits()) {
            if let Some(peer) = population.world().find(&peer.key) {
                pairs.insert((id.min(peer), id.max(peer)));
            }
        }
    }
    pairs.into_iter().collect()
}

struct Kept {
    cell: Cell,
    beats: u8,
}

/// The rule, its mesh, and what it met lately.
pub(super) struct Gossip {
    mesh: Vec<LinkKey>,
    luminosity: Luminosity,
    dice: Dice,
    /// As many entries as a run has packets.
    met: BTreeSet<PacketId>,
    kept: BTreeMap<PacketId, Kept>,
    asked: BTreeMap<PacketId, Time>,
    next_beat: Option<Time>,
}

impl Gossip {
    pub(super) fn new(mesh: Vec<LinkKey>, luminosity: Luminosity, dice: Dice) -> Gossip {
        let (met, kept, asked) = Default::default();
        Gossip { mesh, luminosity, dice, met, kept, asked, next_beat: None }
    }

    /// Asks for what is announced and was neither met nor asked for lately.
    fn ask(&mut self, now: Time, from: LinkKey, digests: &[DigestEntry]) -> Vec<(LinkKey, Frame)> {
        let wanted: Vec<PullEntry> = digests
            .iter()
            .filter(|digest| !self.met.contains(&digest.id))
            .filter(|digest| self.asked.get(&digest.id).is_none_or(|at| now.since_ms(*at) >= ASK_AGAIN_MS))
            .map(|digest| PullEntry { id: digest.id, responsibility: digest.responsibility })
            .take(PULLS_MAX)
            .collect();
        self.asked.extend(wanted.iter().map(|pull| (pull.id, now)));
        if wanted.is_empty() { Vec::new() } else { vec![(from, Frame::Pull(wanted))] }
    }

    fn serve(&self, from: LinkKey, pulls: &[PullEntry]) -> Vec<(LinkKey, Frame)> {
        let kept = pulls.iter().filter_map(|pull| self.kept.get(&pull.id));
        kept.map(|kept| (from, copy(&kept.cell, self.luminosity))).collect()
    }

    /// Heartbeats of different nodes fall on different moments.
    fn first_beat(&mut self, now: Time) -> Time {
        now + self.dice.below(HEARTBEAT_MS as usize) as u64 + 1
    }
}

impl Rule for Gossip {
    fn copies(&mut self, share: &Share<'_>) -> Vec<(LinkKey, Luminosity)> {
        let id = share.cell.id();
        self.met.insert(id);
        self.asked.remove(&id);
        self.kept.insert(id, Kept { cell: share.cell.clone(), beats: 0 });
        if self.next_beat.is_none() {
            self.next_beat = Some(self.first_beat(share.now));
        }
        let others = self.mesh.iter().filter(|peer| Some(**peer) != share.from);
        others.map(|peer| (*peer, self.luminosity)).collect()
    }

    fn hear(&mut self, now: Time, from: LinkKey, frame: &Frame) -> Vec<(LinkKey, Frame)> {
        if let Frame::Digest(digests) = frame {
            self.ask(now, from, digests)
        } else if let Frame::Pull(pulls) = frame {
            self.serve(from, pulls)
        } else {
            Vec::new()
        }
    }

    fn beat(&mut self, now: Time, neighbours: &Neighbours) -> Vec<(LinkKey, Frame)> {
        let told: Vec<DigestEntry> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.beats < BEATS_TOLD)
            .map(|(id, kept)| DigestEntry {
                id: *id,
                responsibility: self.luminosity,
                size_class: kept.cell.header().size_class,
            })
            .take(DIGESTS_MAX)
            .collect();
        self.kept.values_mut().for_each(|kept| kept.beats += 1);
        self.kept.retain(|_, kept| kept.beats < BEATS_KEPT);
        self.next_beat = if self.kept.is_empty() { None } else { Some(now + HEARTBEAT_MS) };
        if told.is_empty() {
            return Vec::new();
        }
        let others = neighbours.within(self.luminosity.bits()).iter().map(|peer| peer.key);
        let mut others: Vec<LinkKey> = others.filter(|peer| !self.mesh.contains(peer)).collect();
        self.dice.shuffle(&mut others);
        others.into_iter().take(LAZY_PEERS).map(|peer| (peer, Frame::Digest(told.clone()))).collect()
    }

    fn next_beat(&self) -> Option<Time> {
        self.next_beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::traffic::random_cell;
    use mainframe_base::{Address, Prefix};

    const SENDER: LinkKey = LinkKey([1; 32]);

    fn gossip() -> (Gossip, Neighbours, Cell) {
        let mesh = (1..=6).map(|peer| LinkKey([peer; 32])).collect();
        let others = (1..=20).map(|peer| (LinkKey([peer; 32]), Address([peer; 32])));
        let neighbours = Neighbours::new(Address([0; 32]), 0, others);
        let cell = random_cell(Prefix::EVERYONE, Moment(0), &mut Dice::new(1, "test"));
        (Gossip::new(mesh, Luminosity::DARKEST, Dice::new(1, "test")), neighbours, cell)
    }

    fn meet(gossip: &mut Gossip, neighbours: &Neighbours, cell: &Cell) -> Vec<LinkKey> {
        let (from, responsibility) = (Some(SENDER), Luminosity::DARKEST);
        let copies = gossip.copies(&Share { now: Time(0), cell, from, responsibility, neighbours });
        copies.into_iter().map(|(peer, _)| peer).collect()
    }

    fn digest(cell: &Cell) -> Frame {
        let size_class = cell.header().size_class;
        Frame::Digest(vec![DigestEntry { id: cell.id(), responsibility: Luminosity::DARKEST, size_class }])
    }

    #[test]
    fn a_message_goes_to_the_mesh_at_once_and_three_times_to_six_others_as_a_digest() {
        let (mut gossip, neighbours, cell) = gossip();
        assert_eq!(meet(&mut gossip, &neighbours, &cell), (2..=6).map(|peer| LinkKey([peer; 32])).collect::<Vec<_>>());
        let mut told = Vec::new();
        while let Some(due) = gossip.next_beat() {
            told.push(gossip.beat(due, &neighbours));
        }
        assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6, 6, 0, 0]);
        assert!(told.concat().iter().all(|(peer, frame)| peer.0[0] > 6 && *frame == digest(&cell)));
    }

    #[test]
    fn who_lacks_a_message_asks_once_and_is_served() {
        let (mut holder, neighbours, cell) = gossip();
        meet(&mut holder, &neighbours, &cell);
        let (mut asker, ..) = gossip();
        let asked = asker.hear(Time(1_000), SENDER, &digest(&cell));
        assert_eq!(asked.len(), 1);
        assert!(asker.hear(Time(1_001), LinkKey([2; 32]), &digest(&cell)).is_empty());
        assert_eq!(asker.hear(Time(4_000), LinkKey([2; 32]), &digest(&cell)).len(), 1);
        let served = holder.hear(Time(1_100), SENDER, &asked[0].1);
        assert_eq!(served, [(SENDER, copy(&cell, Luminosity::DARKEST))]);
    }
}
