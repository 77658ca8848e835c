//! Whoever sees all links, but no content: where does a burst begin, and where does it spread?
//!
//! Frames are told apart by their length alone. A relay that passes a cell on does so when one has come, answers a pull
//! when something of a pull's length has come, or repeats itself towards a peer that sent no receipt. Cells that leave a
//! node for none of these reasons begin a burst; what leaves its receivers as soon as it came to them belongs to it too.

use std::collections::{BTreeSet, HashMap};

use mainframe_base::{Address, Luminosity, Prefix};
use mainframe_core::wire::{FRAME_HEADER_LENGTH, SizeClass};

use super::attribution::Atlas;
use super::tap::{Passage, Sighting};
use crate::moment::Moment;
use crate::node::NodeId;

/// How long a relay may take to act on what came, in microseconds (guess: more than a node needs for a cell). Here it
/// takes no time at all, so that no observer outside sees as sharply.
const CAUSE_US: u64 = 10_000;
/// How long a relay waits before it repeats itself, at most, in microseconds (docs/protocol/packet.md §4).
const REPEAT_US: u64 = 3_500_000;
/// Bytes of one line of a pull, of one of a receipt, and of a list's own length (docs/protocol/packet.md §2).
const PULL_LINE: usize = 20;
const RECEIPT_LINE: usize = 5;
const LIST_HEAD: usize = 2;
/// Part of a region's relays that a burst must reach for the region to be its aim: some copies get lost, and some cannot
/// be told from those of other bursts.
const REACHED: f64 = 0.9;

/// What the observer takes for one packet.
#[derive(Clone, Debug)]
pub struct Burst {
    /// When it began.
    pub at: Moment,
    /// Where.
    pub sender: NodeId,
    /// Whom it reached, in order; some more than once.
    pub touched: Vec<NodeId>,
}

/// Sees all links from outside.
#[derive(Clone, Debug, Default)]
pub struct GlobalObserver {
    bursts: Vec<Burst>,
    /// When a cell came to a node last, and of which burst.
    came: HashMap<NodeId, (Moment, usize)>,
    /// What went over a link.
    went: HashMap<(NodeId, NodeId), Went>,
    /// When something like a pull came over a link last.
    asked: HashMap<(NodeId, NodeId), Moment>,
}

/// The last cell on a link.
#[derive(Clone, Copy, Debug)]
struct Went {
    at: Moment,
    burst: usize,
    /// Cells for which nothing like a receipt has come back.
    owed: usize,
}

impl GlobalObserver {
    /// The bursts seen so far, in order of time.
    pub fn bursts(&self) -> &[Burst] {
        &self.bursts
    }

    /// Watches a frame go by.
    pub fn see(&mut self, seen: Sighting) {
        let is_cell = seen.length >= FRAME_HEADER_LENGTH + SizeClass::T.cell_length();
        match seen.passage {
            Passage::Leaves if is_cell => self.see_leave(seen),
            Passage::Arrives if is_cell => self.see_arrive(seen),
            Passage::Arrives => self.see_control(seen),
            Passage::Leaves => {}
        }
    }

    /// Digests are as long as pulls, and so are four receipts, which are rarer: the observer cannot know.
    fn see_control(&mut self, seen: Sighting) {
        if resembles(seen.length, PULL_LINE) {
            self.asked.insert((seen.from, seen.to), seen.at);
        } else if resembles(seen.length, RECEIPT_LINE)
            && let Some(went) = self.went.get_mut(&(seen.to, seen.from))
        {
            went.owed = went.owed.saturating_sub((seen.length - FRAME_HEADER_LENGTH - LIST_HEAD) / RECEIPT_LINE);
        }
    }

    fn see_arrive(&mut self, seen: Sighting) {
        if let Some(Went { burst, .. }) = self.went.get(&(seen.from, seen.to)) {
            self.bursts[*burst].touched.push(seen.to);
            self.came.insert(seen.to, (seen.at, *burst));
        }
    }

    fn see_leave(&mut self, seen: Sighting) {
        let burst = self.cause(&seen).unwrap_or_else(|| self.begin(&seen));
        let before = self.went.get(&(seen.from, seen.to)).filter(|went| seen.at.since(went.at) <= REPEAT_US);
        let owed = before.map_or(0, |went| went.owed) + 1;
        self.went.insert((seen.from, seen.to), Went { at: seen.at, burst, owed });
    }

    /// Why a cell may leave a node that did not send it of its own accord, and with which burst.
    fn cause(&self, seen: &Sighting) -> Option<usize> {
        let came = self.came.get(&seen.from);
        let since = |at: &Moment| seen.at.since(*at);
        if let Some((at, burst)) = came
            && since(at) <= CAUSE_US
        {
            return Some(*burst);
        }
        if let Some(Went { at, burst, owed: 1.. }) = self.went.get(&(seen.from, seen.to))
            && since(at) <= REPEAT_US
        {
            return Some(*burst);
        }
        let was_asked = self.asked.get(&(seen.to, seen.from)).is_some_and(|at| since(at) <= CAUSE_US);
        came.filter(|_| was_asked).map(|(_, burst)| *burst)
    }

    /// Cells that leave a node together are one burst.
    fn begin(&mut self, seen: &Sighting) -> usize {
        let together = self.bursts.iter().rposition(|burst| burst.at < seen.at).map_or(0, |last| last + 1);
        let same = self.bursts[together..].iter().position(|burst| burst.sender == seen.from);
        same.map_or_else(
            || {
                self.bursts.push(Burst { at: seen.at, sender: seen.from, touched: Vec::new() });
                self.bursts.len() - 1
            },
            |index| together + index,
        )
    }
}

impl Burst {
    /// Where it was going: the region of which it reached nearly everyone, or else the node at its end.
    pub fn aim(&self, plan: &Plan) -> Option<Prefix> {
        let last = plan.address(*self.touched.last()?)?;
        let touched: BTreeSet<Address> = self.touched.iter().filter_map(|id| plan.address(*id)).collect();
        let touched = Plan::of(touched.into_iter());
        let mut best = (1, Prefix::of(&last, Luminosity::FULL));
        let mut rest = &touched.sorted[..];
        while let Some(next) = rest.first() {
            let (reached, region) = touched.reached_of(plan, next);
            rest = &rest[rest.partition_point(|address| region.matches(address))..];
            if reached > best.0 {
                best = (reached, region);
            }
        }
        Some(best.1)
    }
}

/// Where all relays stand, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    sorted: Vec<Address>,
    by_id: Atlas,
}

impl Plan {
    /// Of these relays.
    pub fn new(atlas: &Atlas) -> Plan {
        Plan { by_id: atlas.clone(), ..Plan::of(atlas.values().copied()) }
    }

    fn of(addresses: impl Iterator<Item = Address>) -> Plan {
        let mut sorted: Vec<Address> = addresses.collect();
        sorted.sort_unstable();
        Plan { sorted, by_id: Atlas::new() }
    }

    fn address(&self, id: NodeId) -> Option<Address> {
        self.by_id.get(&id).copied()
    }

    /// The relays of a region.
    pub fn region(&self, prefix: &Prefix) -> &[Address] {
        let first = prefix.first_address();
        let start = self.sorted.partition_point(|address| *address < first);
        let length = self.sorted[start..].partition_point(|address| prefix.matches(address));
        &self.sorted[start..start + length]
    }

    /// The largest region around one of ours in which we are nearly all there are, and how many we are.
    fn reached_of(&self, all: &Plan, one: &Address) -> (usize, Prefix) {
        for bits in 0..=254 {
            let region = Prefix::of(one, Luminosity::at_most(bits));
            let ours = self.region(&region).len();
            if ours as f64 >= all.region(&region).len() as f64 * REACHED {
                return (ours, region);
            }
        }
        (1, Prefix::of(one, Luminosity::FULL))
    }
}

fn resembles(length: usize, line: usize) -> bool {
    length > FRAME_HEADER_LENGTH + LIST_HEAD && (length - FRAME_HEADER_LENGTH - LIST_HEAD).is_multiple_of(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: usize = 2_064;

    fn pass(observer: &mut GlobalObserver, from: u32, to: u32, at_us: u64, length: usize) {
        let seen = Sighting { at: Moment(at_us), from: NodeId(from), to: NodeId(to), length, passage: Passage::Leaves };
        observer.see(seen);
        observer.see(Sighting { at: Moment(at_us + 10_000), passage: Passage::Arrives, ..seen });
    }

    fn senders(observer: &GlobalObserver) -> Vec<u32> {
        observer.bursts().iter().map(|burst| burst.sender.0).collect()
    }

    #[test]
    fn a_burst_begins_where_a_cell_leaves_without_one_that_came() {
        let mut observer = GlobalObserver::default();
        pass(&mut observer, 0, 1, 0, CELL);
        pass(&mut observer, 1, 2, 10_000, CELL);
        pass(&mut observer, 2, 3, 20_000, CELL);
        pass(&mut observer, 0, 1, 600_000, CELL);
        assert_eq!(senders(&observer), [0], "a repetition is no second packet");
        assert_eq!(observer.bursts()[0].touched, [1, 2, 3, 1].map(NodeId));
    }

    #[test]
    fn an_answer_to_a_pull_is_no_packet_of_its_own() {
        let mut observer = GlobalObserver::default();
        pass(&mut observer, 0, 1, 0, CELL);
        pass(&mut observer, 2, 1, 1_000_000, 38);
        pass(&mut observer, 1, 2, 1_010_000, CELL);
        assert_eq!(senders(&observer), [0]);
        pass(&mut observer, 1, 3, 5_000_000, CELL);
        assert_eq!(senders(&observer), [0, 1]);
    }

    #[test]
    fn whoever_got_a_receipt_does_not_repeat_himself() {
        let mut observer = GlobalObserver::default();
        pass(&mut observer, 0, 1, 0, CELL);
        pass(&mut observer, 1, 0, 20_000, 23);
        pass(&mut observer, 0, 1, 600_000, CELL);
        assert_eq!(senders(&observer), [0, 0]);
    }

    #[test]
    fn a_burst_aims_at_the_region_of_which_it_reached_nearly_everyone() {
        let atlas: Atlas = (0..=255).map(|index| (NodeId(u32::from(index)), Address([index; 32]))).collect();
        let plan = Plan::new(&atlas);
        let burst = |touched: Vec<NodeId>| Burst { at: Moment(0), sender: NodeId(0), touched };
        let region: Vec<NodeId> = (0x20..0x3F).map(NodeId).chain([NodeId(0xF0)]).collect();
        assert_eq!(burst(region).aim(&plan).unwrap().to_string(), "001");
        let way = burst(vec![NodeId(3), NodeId(9)]).aim(&plan).unwrap();
        assert_eq!(way, Prefix::of(&Address([9; 32]), Luminosity::FULL));
    }
}
