//! Where our neighbourhood begins.

use mainframe_base::Proximity;

/// How full one bin is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Fill {
    /// Relays of the bin we are connected to.
    pub(super) connected: usize,
    /// Relays of the bin we know and have no reason to think unreachable, the connected ones included.
    pub(super) known: usize,
}

/// The largest depth such that at least `neighbourhood` connected relays share so many bits with us, and every bin
/// before it holds `floor` relays, or all that are known (docs/protocol/overlay.md §3; after bee's `recalcDepth`).
pub(super) fn depth(bins: &[Fill], neighbourhood: usize, floor: usize) -> Proximity {
    let dense = deepest_with(bins, neighbourhood, |bin| bin.connected);
    let hollow = bins.iter().position(|bin| bin.connected < floor.min(bin.known)).unwrap_or(bins.len());
    dense.min(hollow as Proximity)
}

/// The depth we shall have once every known relay is connected: what dialling aims at.
pub(super) fn goal(bins: &[Fill], neighbourhood: usize) -> Proximity {
    deepest_with(bins, neighbourhood, |bin| bin.known)
}

fn deepest_with(bins: &[Fill], wanted: usize, count: impl Fn(&Fill) -> usize) -> Proximity {
    let mut sum = 0;
    for (proximity, bin) in bins.iter().enumerate().rev() {
        sum += count(bin);
        if sum >= wanted {
            return proximity as Proximity;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(connected: &[usize], known: &[usize]) -> Vec<Fill> {
        connected.iter().zip(known).map(|(&connected, &known)| Fill { connected, known }).collect()
    }

    #[test]
    fn the_worked_examples_of_the_protocol_page_hold() {
        // connected per bin, known per bin, depth, goal; neighbourhood 8, floor 4
        let table: [(&[usize], &[usize], Proximity, Proximity); 8] = [
            (&[], &[], 0, 0),
            (&[4, 2, 1], &[4, 2, 1], 0, 0),
            (&[8, 8], &[8, 8], 1, 1),
            (&[8, 8, 5, 2, 1], &[40, 20, 5, 2, 1], 2, 2),
            (&[8, 3, 5, 2, 1], &[40, 20, 5, 2, 1], 1, 2),
            (&[8, 3, 5, 2, 1], &[40, 3, 5, 2, 1], 2, 2),
            (&[0, 8, 8], &[0, 8, 8], 2, 2),
            (&[8, 8, 1], &[30, 30, 9], 1, 2),
        ];
        for (connected, known, depth_wanted, goal_wanted) in table {
            let bins = bins(connected, known);
            assert_eq!(depth(&bins, 8, 4), depth_wanted, "{connected:?} of {known:?}");
            assert_eq!(goal(&bins, 8), goal_wanted, "{connected:?} of {known:?}");
        }
    }

    #[test]
    fn a_connected_relay_never_makes_the_neighbourhood_shallower() {
        for connected in 0..12 {
            let before = bins(&[8, connected, 7], &[8, 20, 7]);
            let after = bins(&[8, connected + 1, 7], &[8, 20, 7]);
            assert!(depth(&before, 8, 4) <= depth(&after, 8, 4));
        }
    }
}
