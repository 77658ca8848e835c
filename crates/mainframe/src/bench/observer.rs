//! Who owns the relays before and behind a node, and what he makes of the times at which things came from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mainframe_base::Tag;
use mainframe_core::switchboard::LinkEvent;
use mainframe_core::wire::Frame;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::classifier::{Area, Classifier, Sample};

/// The relay before the node; any other is behind it.
const BEFORE: u8 = 1;
/// So long after a cell others are looked at: what opening it costs falls into the next tick of 20 ms, and is over soon.
const SOON: Duration = Duration::from_millis(60);
/// So many cells after it are looked at one by one.
const NEXT: usize = 3;
/// The longest that is waited for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What came from the node.
#[derive(Default, Debug)]
struct Sightings {
    /// By custody nonce, at the relay before.
    custody: BTreeMap<u32, Instant>,
    /// When cells came to the relay before.
    returned: BTreeSet<Instant>,
    /// Cells at the relay behind.
    came_out: BTreeMap<Tag, Instant>,
}

/// Notes when what came.
#[derive(Clone, Default, Debug)]
pub(super) struct Observer(Arc<Mutex<Sightings>>);

/// One cell's way through the node.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Passage {
    pub(super) left: Instant,
    pub(super) is_receiver: bool,
    pub(super) forward_us: f64,
    pub(super) custody_us: f64,
    /// Until the node said something by itself.
    pub(super) answer_us: f64,
}

impl Observer {
    /// Watches a relay's link.
    pub(super) fn watch(&self, relay: u8) -> impl Fn(&LinkEvent) + Send + 'static {
        let observer = self.clone();
        move |event| {
            let LinkEvent::Frames { frames, .. } = event else { return };
            let (at, mut sightings) = (Instant::now(), observer.locked());
            for frame in frames.iter().filter_map(|bytes| Frame::decode(bytes).ok()) {
                if let Frame::Custody(receipts) = &frame
                    && relay == BEFORE
                {
                    sightings.custody.extend(receipts.iter().map(|receipt| (receipt.nonce, at)));
                }
                let Frame::Cell(frame) = frame else { continue };
                if relay == BEFORE {
                    sightings.returned.insert(at);
                } else {
                    sightings.came_out.entry(frame.cell.header().tag).or_insert(at);
                }
            }
        }
    }

    /// A cell's way, if it was seen to be taken over and to come out.
    pub(super) fn passage(&self, tag: Tag, nonce: u32, left: Instant, is_receiver: bool) -> Option<Passage> {
        let sightings = self.locked();
        let us = |at: &Instant| at.saturating_duration_since(left).as_secs_f64() * 1e6;
        let (forward_us, custody_us) = (us(sightings.came_out.get(&tag)?), us(sightings.custody.get(&nonce)?));
        Some(Passage { left, is_receiver, forward_us, custody_us, answer_us: 0.0 })
    }

    /// Notes when the node spoke by itself: nothing passes through it in the other direction.
    pub(super) fn with_answers(&self, mut passages: Vec<Passage>) -> Vec<Passage> {
        let sightings = self.locked();
        for passage in &mut passages {
            let next = sightings.returned.range(passage.left..).next().map(|at| at.duration_since(passage.left));
            passage.answer_us = next.unwrap_or(ANSWER_MAX).min(ANSWER_MAX).as_secs_f64() * 1e6;
        }
        passages
    }

    fn locked(&self) -> MutexGuard<'_, Sightings> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

/// How well receivers are told from bystanders: by all times, by the delay alone, by custody alone, and by all times and
/// what the node says by itself. Passages are in the order in which their cells left.
pub(super) fn judge(passages: &[Passage], seed: u64) -> [Area; 4] {
    let kinds: [&dyn Fn(usize) -> Vec<f64>; 4] = [
        &|index| times(passages, index),
        &|index| vec![passages[index].forward_us.max(1.0).ln()],
        &|index| vec![passages[index].custody_us.max(1.0).ln()],
        &|index| [times(passages, index), vec![passages[index].answer_us.max(1.0).ln()]].concat(),
    ];
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let learns: Vec<bool> = passages.iter().map(|_| rng.next_u64().is_multiple_of(2)).collect();
    kinds.map(|figures| {
        let sample = |index: usize| Sample { figures: figures(index), is_positive: passages[index].is_receiver };
        let of = |learning: bool| -> Vec<Sample> {
            (0..passages.len()).filter(|index| learns[*index] == learning).map(sample).collect()
        };
        Classifier::learn(&of(true)).judge(&of(false))
    })
}

/// Logarithms of a cell's own times, of the delays of the next cells, and of the longest soon after.
fn times(passages: &[Passage], index: usize) -> Vec<f64> {
    let passage = &passages[index];
    let later = &passages[index + 1..];
    let soon = later.iter().take_while(|other| other.left.duration_since(passage.left) < SOON);
    let slowest = |us: fn(&Passage) -> f64| soon.clone().map(us).fold(1.0, f64::max);
    let mut figures = vec![passage.forward_us, passage.custody_us];
    figures.extend((0..NEXT).map(|next| later.get(next).map_or(1.0, |other| other.forward_us)));
    figures.extend([slowest(|other| other.forward_us), slowest(|other| other.custody_us)]);
    figures.into_iter().map(|us| us.max(1.0).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells a few milliseconds apart, of which those the node opens take so much longer.
    fn passages(extra_us: f64) -> Vec<Passage> {
        let (mut rng, began) = (ChaCha20Rng::seed_from_u64(3), Instant::now());
        (0..4_000u64)
            .map(|number| {
                let is_receiver = rng.next_u64().is_multiple_of(2);
                let noise = (rng.next_u64() % 1_000) as f64;
                let forward_us = 300.0 + noise + if is_receiver { extra_us } else { 0.0 };
                let left = began + Duration::from_millis(5 * number);
                Passage { left, is_receiver, forward_us, custody_us: 200.0 + noise, answer_us: 1.0 }
            })
            .collect()
    }

    #[test]
    fn a_node_that_takes_longer_over_its_own_cells_is_found_out_and_another_is_not() {
        let [well, alone, ..] = judge(&passages(0.0), 1);
        assert!(well.auc < 0.53 && alone.auc < 0.53, "{well:?} {alone:?}");
        let [early, alone, custody, _] = judge(&passages(500.0), 1);
        assert!(early.auc > 0.9 && alone.auc > 0.8 && custody.auc < 0.53, "{early:?} {alone:?} {custody:?}");
    }
}
