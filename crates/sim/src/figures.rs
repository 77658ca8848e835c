//! Means and percentiles.

/// The mean; zero of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The smallest; zero of nothing.
pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::min).unwrap_or(0.0)
}

/// The value that so many percent are not above, by nearest rank; zero of nothing. Sorts.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(0.0)
}

/// One number divided by another; zero if there is nothing to divide by.
pub fn ratio(of: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { of as f64 / by as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 50), 100.0);
        assert_eq!(percentile(&mut values, 99), 198.0);
        assert_eq!(percentile(&mut values, 100), 200.0);
        assert_eq!(percentile(&mut [3.0], 1), 3.0);
        assert_eq!(percentile(&mut [], 50), 0.0);
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!((mean(&[]), least(&[]), ratio(1, 0)), (0.0, 0.0, 0.0));
        assert_eq!((mean(&[1.0, 2.0]), least(&[2.0, 1.0]), ratio(1, 2)), (1.5, 1.0, 0.5));
    }
}
