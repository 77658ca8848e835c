//! How packets travel towards their region, as relays can tell from their own tables.
//!
//! A packet from a neighbour that shares *g* bits with the destination was sent by it or passed on by it. The first is
//! as likely as that a random node shares *g* bits; the second, as that a packet's way leads over such a node without
//! being seen before. Both follow from how many bits a hop gains, and that a relay reads off its own table: tables are
//! all made by the same rules (docs/protocol/overlay.md §2).

use mainframe_base::{Address, Luminosity, Prefix};
use mainframe_core::neighbours::Neighbours;

use crate::dice::Dice;

/// Bits told apart; networks have fewer levels than this, and whoever shares more stands in the region.
const LEVELS: usize = 64;
/// Where the region is among the levels.
const REGION: usize = LEVELS;
/// Destinations tried on the coalition's tables: an error of under 1 % in what a hop gains.
const TRIALS: usize = 20_000;

/// One row for each level: where the next hop stands, as shares.
type Hops = Vec<[f64; LEVELS + 1]>;

/// What a coalition expects of packets of one luminosity.
#[derive(Clone, Debug)]
pub struct Model {
    /// How probably a random node shares so many bits with a destination.
    origins: [f64; LEVELS + 1],
    /// How probably the first copy's unseen way leads over a relay at this level.
    first: [f64; LEVELS + 1],
    /// The same of the waiting copy.
    standby: [f64; LEVELS + 1],
}

/// The level of an address: its bits in common with the destination, or the region.
fn level(prefix: &Prefix, address: &Address) -> usize {
    let shared = prefix.proximity(address);
    if shared >= prefix.luminosity().bits() { REGION } else { usize::from(shared).min(LEVELS - 1) }
}

impl Model {
    /// What those expect who hold these tables, know these addresses, and are this share of all relays.
    pub fn new(
        tables: &[&Neighbours],
        known: &[Address],
        luminosity: Luminosity,
        share: f64,
        dice: &mut Dice,
    ) -> Model {
        let mut origins = [0.0; LEVELS + 1];
        let (mut best, mut second): (Hops, Hops) = (vec![[0.0; LEVELS + 1]; LEVELS], vec![[0.0; LEVELS + 1]; LEVELS]);
        for _ in 0..TRIALS {
            let (Some(target), Some(origin)) = (dice.pick(known), dice.pick(known)) else { break };
            if target == origin {
                continue;
            }
            let prefix = Prefix::of(target, luminosity);
            origins[level(&prefix, origin)] += 1.0;
            let Some(table) = dice.pick(tables).filter(|table| table.me() != target) else { continue };
            let here = level(&prefix, table.me());
            let mut hops: Vec<usize> = table.closer_to(&prefix).map(|relay| level(&prefix, &relay.address)).collect();
            hops.sort_unstable_by(|one, other| other.cmp(one));
            if let Some(hop) = hops.first().filter(|_| here < REGION) {
                best[here][*hop] += 1.0;
                second[here][*hops.get(1).unwrap_or(hop)] += 1.0;
            }
        }
        normalise(&mut origins);
        best.iter_mut().chain(&mut second).for_each(normalise);
        let honest = 1.0 - share;
        Model { first: ways(&origins, &best, &best, honest), standby: ways(&origins, &second, &best, honest), origins }
    }

    /// How probably a neighbour is the sender of a copy that came from it and was not seen before.
    pub fn is_sender(&self, prefix: &Prefix, neighbour: &Address, standby: bool) -> f64 {
        let level = level(prefix, neighbour);
        let passed_on = if standby { self.standby[level] } else { self.first[level] };
        let sent = self.origins[level];
        if sent + passed_on > 0.0 { sent / (sent + passed_on) } else { 0.0 }
    }

    /// How probably a packet that nobody saw on its way was sent from inside its region.
    pub fn is_inside(&self) -> f64 {
        let inside = self.origins[REGION];
        let outside = 1.0 - inside;
        if outside <= 0.0 {
            return 1.0;
        }
        let unseen = (self.first[REGION] / outside) * (self.standby[REGION] / outside);
        inside / (inside + outside * unseen)
    }
}

/// Follows packets from their origins hop by hop; each hop but `honest` of all sees and so ends the unseen way.
fn ways(origins: &[f64; LEVELS + 1], first: &Hops, next: &Hops, honest: f64) -> [f64; LEVELS + 1] {
    let mut passed = [0.0; LEVELS + 1];
    for here in 0..LEVELS {
        for there in here + 1..=LEVELS {
            passed[there] += honest * (origins[here] * first[here][there] + passed[here] * next[here][there]);
        }
    }
    passed
}

fn normalise(row: &mut [f64; LEVELS + 1]) {
    let sum: f64 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|part| *part /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::LinkKey;

    /// A table with eight balanced relays in each of the first eight bins.
    fn table(dice: &mut Dice) -> Neighbours {
        let me = Address(dice.bytes());
        let mut others = Vec::new();
        for bin in 0..8u16 {
            for suffix in 0..8u16 {
                let mut other = Address(dice.bytes());
                for bit in 0..bin + 4 {
                    let wanted = match bit {
                        bit if bit < bin => me.bit(bit),
                        bit if bit == bin => !me.bit(bit),
                        bit => suffix >> (bit - bin - 1) & 1 == 1,
                    };
                    if other.bit(bit) != wanted {
                        other = other.with_bit_flipped(bit);
                    }
                }
                others.push((LinkKey(dice.bytes()), other));
            }
        }
        Neighbours::new(me, 8, others)
    }

    fn model(luminosity: u16, share: f64) -> Model {
        let mut dice = Dice::new(1, "test");
        let tables: Vec<Neighbours> = (0..50).map(|_| table(&mut dice)).collect();
        let known: Vec<Address> = (0..1_000).map(|_| Address(dice.bytes())).collect();
        let tables: Vec<&Neighbours> = tables.iter().collect();
        Model::new(&tables, &known, Luminosity::at_most(luminosity), share, &mut dice)
    }

    fn sharing(bits: u16, prefix: &Prefix) -> Address {
        let address = prefix.first_address();
        if bits < prefix.luminosity().bits() { address.with_bit_flipped(bits) } else { address }
    }

    #[test]
    fn whoever_hands_over_a_packet_that_has_gained_nothing_sent_it() {
        let model = model(20, 0.1);
        let prefix = Prefix::of(&Address([0x5A; 32]), Luminosity::at_most(20));
        assert!(model.is_sender(&prefix, &sharing(0, &prefix), false) > 0.999);
        assert!(model.is_sender(&prefix, &sharing(3, &prefix), false) > 0.999);
        assert!(model.is_sender(&prefix, &sharing(5, &prefix), false) < 0.2, "most packets reach 5 bits in one hop");
    }

    #[test]
    fn a_packet_to_everyone_comes_from_inside() {
        assert_eq!(model(0, 0.1).is_inside(), 1.0);
    }

    #[test]
    fn the_more_relays_listen_the_less_a_packet_unseen_can_come_from_outside() {
        let [few, many] = [0.1, 0.9].map(|share| model(3, share).is_inside());
        assert!((0.1..0.2).contains(&few), "an eighth, and a little more: {few}");
        assert!(many > 0.9, "{many}");
    }
}
