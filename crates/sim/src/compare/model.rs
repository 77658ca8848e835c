//! What each baseline should cost, worked out from tables alone: sums and a plain walk, without frames, time or the
//! guises' code. A run is checked against it, and it is checked against figures that were known before.

use mainframe_base::{Prefix, Proximity};

use super::tables::Tables;
use crate::dice::Dice;
use crate::moment::Moment;
use crate::net::mean_one_way_us;
use crate::queue::Queue;

/// Copies that PSS makes in a region once a message has come there: every honest relay of the region gives it to all
/// it knows whose proximity to the address is at least its threshold, and there are no others who do.
pub fn pss_copies(tables: &Tables, region: &Prefix) -> usize {
    let to = region.first_address();
    let copies_of = |at: usize| {
        let seat = &tables.0[at];
        let threshold = region.luminosity().bits().min(seat.depth);
        seat.peers.iter().filter(|peer| to.proximity(&tables.0[**peer].address) >= threshold).count()
    };
    tables.within(region).into_iter().filter(|at| tables.0[*at].honest).map(copies_of).sum()
}

/// Copies that flooding makes: every honest relay tells all it knows, and all but the first spare the one it came from.
pub fn flood_copies(tables: &Tables) -> usize {
    let honest = tables.0.iter().filter(|seat| seat.honest);
    let (count, known) = honest.fold((0, 0), |(count, known), seat| (count + 1, known + seat.peers.len()));
    known + 1 - count
}

/// What one walk of Kadcast came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Walk {
    /// Copies sent for each honest relay of the region.
    pub copies_per_node: f64,
    /// Part of the honest relays that were reached.
    pub coverage: f64,
}

/// How Kadcast walks.
#[derive(Clone, Copy, Debug)]
pub struct Gait {
    /// Delegates for each bucket: β.
    pub delegates: usize,
    /// Copies lost among a million.
    pub loss_per_million: u32,
}

/// Kadcast in a region from a random honest entry, in order of time: the first copy fixes a node's height, and the
/// fastest way is seldom the shortest. None if nobody honest is in the region.
pub fn kadcast(tables: &Tables, region: &Prefix, gait: Gait, dice: &mut Dice) -> Option<Walk> {
    let honest: Vec<usize> = tables.within(region).into_iter().filter(|at| tables.0[*at].honest).collect();
    let entry = *dice.pick(&honest)?;
    let mut reached = vec![false; tables.0.len()];
    let mut on_the_way = Queue::default();
    on_the_way.push(Moment(0), (entry, region.luminosity().bits()));
    let mut copies = 0;
    while let Some((now, (at, height))) = on_the_way.pop(Moment(u64::MAX)) {
        if std::mem::replace(&mut reached[at], true) || !tables.0[at].honest {
            continue;
        }
        for delegate in delegates_of(tables, at, height, gait.delegates, dice) {
            copies += 1;
            let mean_us = mean_one_way_us(tables.0[at].place, tables.0[delegate.0].place);
            let span_us = mean_us * 4 / 5 + dice.exponential(mean_us / 5);
            if !dice.happens(gait.loss_per_million) {
                on_the_way.push(now + span_us, delegate);
            }
        }
    }
    let covered = honest.iter().filter(|at| reached[**at]).count();
    let of_honest = |count: usize| count as f64 / honest.len() as f64;
    Some(Walk { copies_per_node: of_honest(copies), coverage: of_honest(covered) })
}

fn delegates_of(
    tables: &Tables,
    at: usize,
    height: Proximity,
    delegates: usize,
    dice: &mut Dice,
) -> Vec<(usize, Proximity)> {
    let seat = &tables.0[at];
    let mut peers: Vec<(Proximity, usize)> =
        seat.peers.iter().map(|peer| (seat.address.proximity(&tables.0[*peer].address), *peer)).collect();
    peers.retain(|(proximity, _)| *proximity >= height);
    dice.shuffle(&mut peers);
    peers.sort_by_key(|(proximity, _)| *proximity);
    let buckets = peers.chunk_by(|one, other| one.0 == other.0);
    buckets.flat_map(|bucket| bucket.iter().take(delegates)).map(|(proximity, peer)| (*peer, proximity + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::tables::Seat;
    use crate::net::Region;
    use mainframe_base::{Address, Luminosity};

    #[test]
    fn one_delegate_without_losses_means_one_copy_for_everyone_but_the_entry() {
        let dice = &mut Dice::new(1, "test");
        let tables = Tables::ideal(4_000, 4, 8, 8, dice);
        let nodes = tables.0.len() as f64;
        let region = Prefix::of(&tables.0[0].address, Luminosity::at_most(4));
        let walk = kadcast(&tables, &region, Gait { delegates: 1, loss_per_million: 0 }, dice).unwrap();
        assert_eq!(walk, Walk { copies_per_node: (nodes - 1.0) / nodes, coverage: 1.0 });
        let lossy = kadcast(&tables, &region, Gait { delegates: 1, loss_per_million: 100_000 }, dice).unwrap();
        assert!(lossy.coverage < 0.95, "{lossy:?}");
    }

    #[test]
    fn sums_over_a_table_of_four_who_know_each_other() {
        let seat = |at: u8| Seat {
            address: Address([at << 6; 32]),
            place: Region::Europe,
            depth: 1,
            peers: (0..4).filter(|peer| *peer != usize::from(at)).collect(),
            honest: at != 3,
        };
        let tables = Tables((0..4).map(seat).collect());
        let half = Prefix::of(&Address([0; 32]), Luminosity::at_most(1));
        assert_eq!(pss_copies(&tables, &half), 2, "each of the two in the half tells the other");
        assert_eq!(flood_copies(&tables), 7, "three tell three, and two of them spare one");
    }
}
