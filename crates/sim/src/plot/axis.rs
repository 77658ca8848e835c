//! From values to places: linear and logarithmic axes, and where their ticks stand.

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

/// Ticks wanted on a linear axis, give or take.
const TICKS: f64 = 5.0;

impl Axis {
    /// From a round number below the values to one above; from zero if `from_zero`.
    pub(super) fn linear(values: &[f64], from_zero: bool) -> Axis {
        let (least, most) = bounds(values);
        let least = if from_zero { least.min(0.0) } else { least };
        let step = round_step((most - least).max(1e-9) / TICKS);
        let (first, last) = ((least / step).floor(), (most / step).ceil().max((least / step).floor() + 1.0));
        let ticks = (0..=(last - first) as u64).map(|index| (first + index as f64) * step).collect();
        Axis { low: first * step, high: last * step, logarithmic: false, ticks }
    }

    /// From the power of ten below the positive values to the one above.
    pub(super) fn logarithmic(values: &[f64]) -> Axis {
        let positive: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
        let (least, most) = bounds(&positive);
        let (first, last) = (least.max(1e-9).log10().floor(), most.max(1e-9).log10().ceil());
        let last = last.max(first + 1.0);
        let ticks = (0..=(last - first) as i32).map(|index| 10f64.powi(first as i32 + index)).collect();
        Axis { low: first, high: last, logarithmic: true, ticks }
    }

    /// Where a value stands, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(1e-9).log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Where lines are drawn, and what is written at them.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        self.ticks.iter().map(|tick| (*tick, label(*tick)))
    }
}

fn bounds(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
    let most = values.iter().copied().reduce(f64::max).unwrap_or(1.0);
    (least, most)
}

/// 1, 2 or 5 times a power of ten, and not less than `wanted`.
fn round_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= wanted * 0.999).unwrap_or(10.0);
    factor * power
}

/// A number as people write it: no more digits than it has, thousands apart.
pub(super) fn label(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        let digits = format!("{:.0}", value.abs());
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return if value < 0.0 { format!("−{grouped}") } else { grouped };
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_values_between_them() {
        let axis = Axis::linear(&[0.3, 11.2], true);
        assert_eq!(labels(&axis), ["0", "5", "10", "15"]);
        assert!(axis.place(0.3) > 0.0 && axis.place(11.2) < 1.0);
        assert_eq!(labels(&Axis::linear(&[0.97, 1.0], false)), ["0.97", "0.98", "0.99", "1"]);
        assert_eq!(labels(&Axis::logarithmic(&[5.2, 1_065.0])), ["1", "10", "100", "1,000", "10,000"]);
    }

    #[test]
    fn an_axis_of_nothing_or_of_one_value_has_a_length() {
        for axis in [Axis::linear(&[], true), Axis::linear(&[3.0], false), Axis::logarithmic(&[10.0])] {
            assert!(axis.ticks().count() >= 2, "{axis:?}");
            assert!(axis.place(10.0).is_finite());
        }
    }
}
