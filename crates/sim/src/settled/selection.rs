//! Who would be connected to whom: the overlay's rules (docs/protocol/overlay.md §2, §3, §5, §8), applied to all nodes
//! one after another in the order in which they would have joined, without time, messages or losses.

use mainframe_base::{Address, LinkKey, Proximity};
use mainframe_core::overlay::OverlayConfig;

use super::present::{Head, Present};
use crate::dice::Dice;

/// Relays of one suffix that are tried before it stays empty: those whose bins are full decline.
const TRIED_MAX: usize = 4;
/// Suffixes of a bin: the overlay tells at most four bits apart.
const SUFFIXES_MAX: usize = 16;
/// Times everyone looks for what is missing after the last one joined; a third time changes hardly anything.
const ROUNDS: usize = 3;
/// Depths are reckoned anew whenever the network has grown by this many per cent.
const STALE_PERCENT: usize = 5;

/// The sizes that tables are made by.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// See [`OverlayConfig::bin_size`].
    pub bin_size: usize,
    /// See [`OverlayConfig::bin_size_max`].
    pub bin_size_max: usize,
    /// See [`OverlayConfig::bin_floor`].
    pub bin_floor: usize,
    /// See [`OverlayConfig::neighbourhood`].
    pub neighbourhood: usize,
    /// Connections within neighbourhoods that are missing, among a million.
    pub defects_per_million: u32,
}

impl Selection {
    /// Those of the overlay, with so many defects.
    pub fn of(config: &OverlayConfig, defects_per_million: u32) -> Selection {
        Selection {
            bin_size: config.bin_size,
            bin_size_max: config.bin_size_max,
            bin_floor: config.bin_floor,
            neighbourhood: config.neighbourhood,
            defects_per_million,
        }
    }
}

/// Everyone's connections. Nodes are numbered as in the world.
#[derive(Debug)]
pub struct Connections {
    pub(super) keys: Vec<LinkKey>,
    pub(super) addresses: Vec<Address>,
    pub(super) depths: Vec<Proximity>,
    pub(super) neighbourhood: usize,
    /// Ascending.
    pub(super) links: Vec<Vec<u32>>,
}

impl Connections {
    /// Whom a node is connected to.
    pub fn links(&self, node: u32) -> &[u32] {
        &self.links[node as usize]
    }
}

/// Connects `members`, who joined in this order, out of all nodes.
pub fn settle(selection: Selection, nodes: &[(LinkKey, Address)], members: &[u32], dice: &mut Dice) -> Connections {
    let addresses: Vec<Address> = nodes.iter().map(|(_, address)| *address).collect();
    let mut selecting = Selecting::new(selection, &addresses, members, dice);
    selecting.join_all(members);
    for _ in 0..ROUNDS {
        selecting.fill_all(members);
    }
    selecting.break_some(members);
    members.iter().for_each(|member| selecting.flatten(*member));
    let links = selecting.edges.iter().map(|edges| {
        let mut peers: Vec<u32> = edges.iter().map(|edge| edge.peer).collect();
        peers.sort_unstable();
        peers
    });
    Connections {
        links: links.collect(),
        keys: nodes.iter().map(|(key, _)| *key).collect(),
        depths: selecting.depths.iter().map(|depth| *depth as Proximity).collect(),
        neighbourhood: selection.neighbourhood,
        addresses,
    }
}

#[derive(Clone, Copy)]
struct Edge {
    peer: u32,
    bin: u8,
    suffix: u8,
    outbound: bool,
    /// Counts connections: of two the later is the younger.
    since: u32,
}

struct Selecting<'a> {
    selection: Selection,
    suffix_bits: u32,
    heads: Vec<Head>,
    present: Present,
    depths: Vec<u32>,
    edges: Vec<Vec<Edge>>,
    made: u32,
    dice: &'a mut Dice,
}

fn head(address: &Address) -> Head {
    Head::from_be_bytes(*address.0.first_chunk().expect("an address has 32 bytes"))
}

impl<'a> Selecting<'a> {
    fn new(selection: Selection, addresses: &[Address], members: &[u32], dice: &'a mut Dice) -> Selecting<'a> {
        let heads: Vec<Head> = addresses.iter().map(head).collect();
        Selecting {
            suffix_bits: selection.bin_size.clamp(1, 16).ilog2(),
            present: Present::new(&heads, members),
            depths: vec![0; heads.len()],
            edges: heads.iter().map(|_| Vec::new()).collect(),
            selection,
            heads,
            made: 0,
            dice,
        }
    }

    fn join_all(&mut self, members: &[u32]) {
        let mut stale_at = 0;
        for (joined, node) in members.iter().enumerate() {
            self.present.add(*node);
            if joined >= stale_at {
                members[..joined].iter().for_each(|member| self.reckon(*member));
                stale_at = joined + joined * STALE_PERCENT / 100 + 1;
            }
            self.look_around(*node);
        }
    }

    fn fill_all(&mut self, members: &[u32]) {
        members.iter().for_each(|member| self.reckon(*member));
        let mut order = members.to_vec();
        self.dice.shuffle(&mut order);
        for node in order {
            self.look_around(node);
            (0..self.depths[node as usize]).for_each(|bin| self.prune(node, bin));
        }
    }

    /// Connects a node to its neighbourhood and fills its bins.
    fn look_around(&mut self, node: u32) {
        self.reckon(node);
        let depth = self.depths[node as usize];
        for neighbour in self.present.all(&self.present.sharing(self.heads[node as usize], depth)) {
            self.connect(node, neighbour);
        }
        (0..depth).for_each(|bin| self.fill_bin(node, bin));
    }

    /// The largest depth at which enough others share so many bits.
    fn reckon(&mut self, node: u32) {
        let head = self.heads[node as usize];
        let enough = |bits: u32| {
            let sharing = self.present.count(&self.present.sharing(head, bits));
            sharing > self.selection.neighbourhood
        };
        self.depths[node as usize] = (1..128).take_while(|bits| enough(*bits)).last().unwrap_or(0);
    }

    /// The neighbourhood begins no deeper than a bin that lacks relays though there are some.
    fn flatten(&mut self, node: u32) {
        let head = self.heads[node as usize];
        let is_hollow = |bin: &u32| {
            let there_are = self.present.count(&self.present.sharing(head ^ (1 << (127 - bin)), bin + 1));
            self.standing(node, *bin).iter().sum::<usize>() < there_are.min(self.selection.bin_floor)
        };
        if let Some(bin) = (0..self.depths[node as usize]).find(is_hollow) {
            self.depths[node as usize] = bin;
        }
    }

    /// One relay in each suffix where there is one, then any until the bin has its size.
    fn fill_bin(&mut self, node: u32, bin: u32) {
        let far_side = self.heads[node as usize] ^ (1 << (127 - bin));
        let mut standing = self.standing(node, bin);
        for suffix in 0..1 << self.suffix_bits {
            if standing[suffix] > 0 {
                continue;
            }
            let slot = self.present.sharing(self.in_suffix(far_side, bin, suffix), bin + 1 + self.suffix_bits);
            for _ in 0..TRIED_MAX {
                if standing[suffix] > 0 || !self.dial_one(node, bin, &slot) {
                    break;
                }
                standing = self.standing(node, bin);
            }
        }
        let whole = self.present.sharing(far_side, bin + 1);
        for _ in 0..self.selection.bin_size {
            if self.standing(node, bin).iter().sum::<usize>() >= self.selection.bin_size {
                return;
            }
            self.dial_one(node, bin, &whole);
        }
    }

    /// Connects a node to one of those in these places; whoever has too many lets one go. Says whether there is anyone.
    fn dial_one(&mut self, node: u32, bin: u32, places: &std::ops::Range<usize>) -> bool {
        let count = self.present.count(places);
        if count == 0 {
            return false;
        }
        let chosen = self.present.at(places, self.dice.below(count));
        self.connect(node, chosen);
        self.prune(chosen, bin);
        true
    }

    fn in_suffix(&self, far_side: Head, bin: u32, suffix: usize) -> Head {
        let shift = 127 - bin - self.suffix_bits;
        let mask = ((1 << self.suffix_bits) - 1) << shift;
        far_side & !mask | (suffix as Head) << shift
    }

    /// How many relays a node has in each suffix of a bin.
    fn standing(&self, node: u32, bin: u32) -> [usize; SUFFIXES_MAX] {
        let mut standing = [0; SUFFIXES_MAX];
        for edge in self.edges[node as usize].iter().filter(|edge| u32::from(edge.bin) == bin) {
            standing[usize::from(edge.suffix)] += 1;
        }
        standing
    }

    /// One end of a connection, which is noted with the place where its peer stands in the table.
    fn edge(&self, node: u32, peer: u32, outbound: bool) -> Edge {
        let bin = self.proximity(node, peer);
        let suffix = self.heads[peer as usize] << (bin + 1) >> (128 - self.suffix_bits);
        Edge { peer, bin: bin as u8, suffix: suffix as u8, outbound, since: self.made }
    }

    fn proximity(&self, one: u32, other: u32) -> u32 {
        (self.heads[one as usize] ^ self.heads[other as usize]).leading_zeros()
    }

    fn connect(&mut self, node: u32, peer: u32) {
        if node == peer || self.edges[node as usize].iter().any(|edge| edge.peer == peer) {
            return;
        }
        self.made += 1;
        let (here, there) = (self.edge(node, peer, true), self.edge(peer, node, false));
        self.edges[node as usize].push(here);
        self.edges[peer as usize].push(there);
    }

    fn disconnect(&mut self, node: u32, peer: u32) {
        self.edges[node as usize].retain(|edge| edge.peer != peer);
        self.edges[peer as usize].retain(|edge| edge.peer != node);
    }

    /// Lets go what is too much in a bin before the neighbourhood: of the most crowded suffix, not chosen by itself,
    /// the newest; never whoever counts this node as a neighbour, or would because it had too few others.
    fn prune(&mut self, node: u32, bin: u32) {
        while bin < self.depths[node as usize] {
            let standing = self.standing(node, bin);
            if standing.iter().sum::<usize>() <= self.selection.bin_size_max {
                return;
            }
            let may_go = |edge: &&Edge| u32::from(edge.bin) == bin && self.depths[edge.peer as usize] > bin;
            let is_rich =
                |edge: &&&Edge| self.standing(edge.peer, bin).iter().sum::<usize>() > self.selection.bin_floor;
            let rank = |edge: &&Edge| (standing[usize::from(edge.suffix)], !edge.outbound, edge.since);
            let mut candidates: Vec<&Edge> = self.edges[node as usize].iter().filter(may_go).collect();
            candidates.sort_unstable_by_key(|edge| std::cmp::Reverse(rank(edge)));
            let Some(victim) = candidates.iter().find(is_rich) else { return };
            let victim = victim.peer;
            self.disconnect(node, victim);
        }
    }

    /// Takes away connections within neighbourhoods, as many as are missing in grown tables.
    fn break_some(&mut self, members: &[u32]) {
        for node in members {
            for edge in self.edges[*node as usize].clone() {
                let shallower = self.depths[*node as usize].min(self.depths[edge.peer as usize]);
                let is_neighbour = u32::from(edge.bin) >= shallower;
                if edge.outbound && is_neighbour && self.dice.happens(self.selection.defects_per_million) {
                    self.disconnect(*node, edge.peer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(count: u32, defects_per_million: u32) -> Connections {
        let mut dice = Dice::new(1, "test");
        let nodes: Vec<_> = (0..count).map(|_| (LinkKey(dice.bytes()), Address(dice.bytes()))).collect();
        let members: Vec<u32> = (0..count).filter(|node| node % 10 != 9).collect();
        let selection = Selection::of(&OverlayConfig::default(), defects_per_million);
        settle(selection, &nodes, &members, &mut dice)
    }

    fn proximity(tables: &Connections, one: u32, other: u32) -> Proximity {
        tables.addresses[one as usize].proximity(&tables.addresses[other as usize])
    }

    #[test]
    fn connections_have_two_ends_and_nobody_else_has_any() {
        let tables = network(500, 0);
        for node in 0..500 {
            assert_eq!(tables.links(node).is_empty(), node % 10 == 9);
            assert!(tables.links(node).iter().all(|peer| *peer != node && tables.links(*peer).contains(&node)));
        }
    }

    #[test]
    fn neighbourhoods_are_complete_and_bins_within_their_bounds() {
        let tables = network(500, 0);
        for node in (0..500).filter(|node| node % 10 != 9) {
            let depth = tables.depths[node as usize];
            let near = (0..500).filter(|peer| peer % 10 != 9 && *peer != node);
            let near: Vec<u32> = near.filter(|peer| proximity(&tables, node, *peer) >= depth).collect();
            assert!(near.len() >= 8);
            assert!(near.iter().all(|peer| tables.links(node).contains(peer)));
            for bin in 0..depth {
                let of_bin =
                    |peers: &[u32]| peers.iter().filter(|peer| proximity(&tables, node, **peer) == bin).count();
                let there_are: Vec<u32> = (0..500).filter(|peer| peer % 10 != 9 && *peer != node).collect();
                let least = of_bin(&there_are).min(4);
                let standing = of_bin(tables.links(node));
                assert!((least..=24).contains(&standing), "bin {bin} of {depth} has {standing}");
            }
        }
    }

    #[test]
    fn as_many_neighbours_are_missing_as_was_asked_for() {
        let pairs = |tables: &Connections| tables.links.iter().map(Vec::len).sum::<usize>() / 2;
        let (whole, broken) = (pairs(&network(500, 0)), pairs(&network(500, 100_000)));
        let missing = (whole - broken) as f64 / whole as f64;
        assert!((0.005..0.05).contains(&missing), "a tenth of a sixth: {missing}");
    }
}
