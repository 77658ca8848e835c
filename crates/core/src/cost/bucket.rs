//! Among how many cells does the one hide that somebody fetches? (docs/protocol/holding.md §5)
//!
//! Tags are random, so each of a region's other cells of an hour lies in a bucket of *w* bits with 2^−w.

use super::set::Sight;
use crate::wire::TagBucket;

/// Cells that are candidates for the one fetched, in at least 99 of 100 cases, if the region has so many an hour and
/// the bucket so many bits.
pub fn bucket_candidates(cells: u64, bits: u8) -> u64 {
    let bits = u32::from(bits.min(TagBucket::BITS_MAX));
    let others = cells.saturating_sub(1).saturating_mul(1_000) >> bits;
    Sight { counted: 1, milli_expected: others, records: u32::MAX }.honest(0).p01
}

/// The narrowest bucket that leaves at least so many candidates: each bit halves what is fetched. None if the hour has too
/// few cells even when all are fetched.
pub fn bucket_bits(cells: u64, candidates_min: u64) -> Option<u8> {
    if cells < candidates_min {
        return None;
    }
    Some(
        (1..=TagBucket::BITS_MAX)
            .take_while(|bits| bucket_candidates(cells, *bits) >= candidates_min)
            .last()
            .unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Tag;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng, SeedableRng};

    #[test]
    fn more_cells_allow_narrower_buckets_and_too_few_allow_none() {
        let rows =
            [(10, 16, None), (16, 16, Some(0)), (60, 16, Some(1)), (1_000, 16, Some(5)), (1 << 40, 16, Some(16))];
        for (cells, candidates, expected) in rows {
            assert_eq!(bucket_bits(cells, candidates), expected, "{candidates} of {cells}");
        }
    }

    #[test]
    fn the_promise_is_kept_in_ninety_nine_of_a_hundred_random_hours() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut tag = || Tag(std::array::from_fn(|_| rng.next_u32() as u8));
        for (cells, candidates) in [(200_u64, 8), (1_000, 16), (3_000, 64)] {
            let bits = bucket_bits(cells, candidates).unwrap();
            let kept = (0..500).filter(|_| {
                let bucket = TagBucket::of(&tag(), bits);
                let others = (1..cells).filter(|_| bucket.has([tag().0[0], tag().0[1]])).count() as u64;
                others + 1 >= candidates
            });
            assert!(kept.count() >= 495, "{candidates} of {cells}");
        }
    }
}
