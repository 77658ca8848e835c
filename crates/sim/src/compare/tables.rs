//! Who knows whom, as a plain list: what the models walk over. No frames, no time, none of the guises' code.

use std::collections::HashMap;

use mainframe_base::{Address, Prefix, Proximity};

use crate::dice::Dice;
use crate::masks::Mask;
use crate::net::Region;
use crate::node::NodeId;
use crate::population::Population;

/// A relay and those it knows.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Where it stands.
    pub address: Address,
    /// In which part of the world it is.
    pub place: Region,
    /// Where its neighbourhood begins, in bits.
    pub depth: Proximity,
    /// Whom it knows, as indexes.
    pub peers: Vec<usize>,
    /// Whether it passes packets on.
    pub honest: bool,
}

/// Some relays, and whom of each other they know.
#[derive(Clone, Debug)]
pub struct Tables(pub Vec<Seat>);

impl Tables {
    /// The tables a population has.
    pub fn of(population: &Population) -> Tables {
        let online = population.online();
        let at: HashMap<NodeId, usize> = online.iter().copied().zip(0..).collect();
        let world = population.world();
        let seat = |id: &NodeId| {
            let neighbours = world.machine(*id)?.relay().neighbours();
            let peers = neighbours.all().iter().filter_map(|peer| at.get(&world.find(&peer.key)?).copied());
            Some(Seat {
                address: *population.address(*id),
                place: world.net().region(id.index()),
                depth: neighbours.depth(),
                peers: peers.collect(),
                honest: world.mask_of(*id) == Mask::Honest,
            })
        };
        Tables(online.iter().filter_map(seat).collect())
    }

    /// The tables that the region of a random prefix has in an ideal network of so many nodes: each relay knows
    /// `bin_size` relays of each bin, one for each value of the bits that follow where there is one, and everyone in
    /// its neighbourhood, which holds at least `neighbourhood` others. Whom it knows outside the region is left out. All
    /// are in one place, so that fewer hops are a faster way.
    pub fn ideal(
        nodes: usize,
        region_bits: Proximity,
        bin_size: usize,
        neighbourhood: usize,
        dice: &mut Dice,
    ) -> Tables {
        let region = Prefix::of(&Address(dice.bytes()), mainframe_base::Luminosity::at_most(region_bits));
        let mut addresses: Vec<Address> = (0..nodes).map(|_| Address(dice.bytes())).collect();
        addresses.retain(|address| region.matches(address));
        let seat = |address: &Address| ideal_seat(&addresses, address, (region_bits, bin_size, neighbourhood), dice);
        Tables(addresses.iter().map(seat).collect())
    }

    /// The seats in a region.
    pub fn within(&self, region: &Prefix) -> Vec<usize> {
        (0..self.0.len()).filter(|at| region.matches(&self.0[*at].address)).collect()
    }
}

fn ideal_seat(
    addresses: &[Address],
    me: &Address,
    (region_bits, bin_size, neighbourhood): (Proximity, usize, usize),
    dice: &mut Dice,
) -> Seat {
    let shared = |at: &usize| me.proximity(&addresses[*at]);
    let mut others: Vec<usize> = (0..addresses.len()).filter(|at| addresses[*at] != *me).collect();
    others.sort_by_cached_key(shared);
    let depth = others.len().checked_sub(neighbourhood).map_or(region_bits, |at| shared(&others[at]));
    let mut peers = Vec::new();
    for bin in others.chunk_by(|one, other| shared(one) == shared(other)) {
        let proximity = shared(&bin[0]);
        if proximity >= depth {
            peers.extend_from_slice(bin);
        } else {
            peers.extend(balanced(addresses, bin, proximity, bin_size, dice));
        }
    }
    Seat { address: *me, place: Region::Europe, depth, peers, honest: true }
}

/// One of each suffix, then anyone, until there are `size`.
fn balanced(addresses: &[Address], bin: &[usize], proximity: Proximity, size: usize, dice: &mut Dice) -> Vec<usize> {
    let suffix =
        |at: &usize| (1..=size.ilog2() as u16).map(|bit| addresses[*at].bit(proximity + bit)).collect::<Vec<_>>();
    let mut bin = bin.to_vec();
    dice.shuffle(&mut bin);
    let mut taken = std::collections::BTreeSet::new();
    let (first, rest): (Vec<usize>, Vec<usize>) = bin.into_iter().partition(|at| taken.insert(suffix(at)));
    first.into_iter().chain(rest).take(size).collect()
}
