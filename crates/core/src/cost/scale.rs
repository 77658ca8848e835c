//! Reading measured tables, and logarithms, in integers.

/// The value at `x` of a table of points with rising x, straight between them, level beyond its ends.
pub(super) fn read_off(table: &[(u64, u64)], x: u64) -> u64 {
    let after = table.partition_point(|(at, _)| *at <= x);
    match (after.checked_sub(1).map(|before| table[before]), table.get(after)) {
        (Some((x0, y0)), Some(&(x1, y1))) if y1 >= y0 => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some((x0, y0)), Some(&(x1, y1))) => y0 - (y0 - y1) * (x - x0) / (x1 - x0),
        (Some((_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => 0,
    }
}

/// log₂ in thousandths, straight between powers of two: at most 86 too low. Zero of zero.
pub(super) fn milli_log2(x: u64) -> u64 {
    let Some(power) = x.checked_ilog2() else { return 0 };
    let beyond = (u128::from(x - (1 << power)) * 1_000) >> power;
    u64::from(power) * 1_000 + beyond as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_is_read_between_its_points_and_no_further_than_its_ends() {
        let table = [(10, 100), (20, 200), (40, 100)];
        assert_eq!([0, 10, 15, 20, 30, 40, 99].map(|x| read_off(&table, x)), [100, 100, 150, 200, 150, 100, 100]);
    }

    proptest! {
        #[test]
        fn the_logarithm_is_right_to_a_tenth(x in 1u64..) {
            let exact = (x as f64).log2() * 1_000.0;
            prop_assert!((exact - 88.0..=exact + 1.0).contains(&(milli_log2(x) as f64)), "{} {}", exact, milli_log2(x));
        }
    }
}
