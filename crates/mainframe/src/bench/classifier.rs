//! Tells two kinds of things apart by some figures of each, and how well: logistic regression, and the area under its curve.

/// Rounds of Newton's method: it converges in fewer than ten.
const ROUNDS: usize = 25;
/// Keeps weights finite when the two kinds are told apart perfectly.
const RIDGE: f64 = 1e-3;
/// Half the width of a normal distribution's middle 95 %.
const Z_95: f64 = 1.96;

/// One thing: its figures, and which of the two kinds it is.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) figures: Vec<f64>,
    pub(super) is_positive: bool,
}

/// How well a score tells the kinds apart: the chance that a positive one scores higher than a negative one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Area {
    /// 0.5 if it cannot tell.
    pub(super) auc: f64,
    /// The upper end of its 95 % interval (DeLong, DeLong and Clarke-Pearson 1988).
    pub(super) upper: f64,
}

/// What was learned: for each figure its mean, its deviation and its weight, and what is added.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Classifier {
    scales: Vec<(f64, f64)>,
    weights: Vec<f64>,
}

impl Classifier {
    /// Learns from samples. All have as many figures.
    pub(super) fn learn(samples: &[Sample]) -> Classifier {
        let count = samples.first().map_or(0, |sample| sample.figures.len());
        let scales: Vec<(f64, f64)> = (0..count).map(|index| scale(samples, index)).collect();
        let mut classifier = Classifier { scales, weights: vec![0.0; count + 1] };
        let rows: Vec<(Vec<f64>, f64)> = samples
            .iter()
            .map(|sample| (classifier.scaled(&sample.figures), f64::from(u8::from(sample.is_positive))))
            .collect();
        for _ in 0..ROUNDS {
            classifier.step(&rows);
        }
        classifier
    }

    /// The higher, the rather it is positive.
    pub(super) fn score(&self, figures: &[f64]) -> f64 {
        dot(&self.weights, &self.scaled(figures))
    }

    /// How well it tells other samples apart.
    pub(super) fn judge(&self, samples: &[Sample]) -> Area {
        area(samples.iter().map(|sample| (self.score(&sample.figures), sample.is_positive)))
    }

    fn scaled(&self, figures: &[f64]) -> Vec<f64> {
        let scaled = figures.iter().zip(&self.scales).map(|(figure, (mean, deviation))| (figure - mean) / deviation);
        scaled.chain([1.0]).collect()
    }

    /// One step of Newton's method.
    fn step(&mut self, rows: &[(Vec<f64>, f64)]) {
        let count = self.weights.len();
        let (mut gradient, mut curvature) = (vec![0.0; count], vec![vec![0.0; count]; count]);
        for (row, truth) in rows {
            let chance = 1.0 / (1.0 + (-dot(&self.weights, row)).exp());
            for one in 0..count {
                gradient[one] += (truth - chance) * row[one];
                for other in 0..count {
                    curvature[one][other] += chance * (1.0 - chance) * row[one] * row[other];
                }
            }
        }
        let ridge = RIDGE * rows.len() as f64;
        for index in 0..count {
            gradient[index] -= ridge * self.weights[index];
            curvature[index][index] += ridge;
        }
        let step = solve(curvature, gradient);
        self.weights.iter_mut().zip(step).for_each(|(weight, step)| *weight += step);
    }
}

/// How well a score tells positive from negative things.
pub(super) fn area(scored: impl Iterator<Item = (f64, bool)>) -> Area {
    let (positives, negatives): (Vec<_>, Vec<_>) = scored.partition(|(_, is_positive)| *is_positive);
    let [positives, negatives] = [positives, negatives].map(|all| sorted(all.into_iter().map(|(score, _)| score)));
    if positives.len() < 2 || negatives.len() < 2 {
        return Area { auc: 0.5, upper: 1.0 };
    }
    // For each one, the share of the other kind that it outdoes.
    let of_positives: Vec<f64> = positives.iter().map(|score| share_below(&negatives, *score)).collect();
    let of_negatives: Vec<f64> = negatives.iter().map(|score| 1.0 - share_below(&positives, *score)).collect();
    let auc = mean(&of_positives);
    let variance = variance(&of_positives) / positives.len() as f64 + variance(&of_negatives) / negatives.len() as f64;
    Area { auc, upper: (auc + Z_95 * variance.sqrt()).min(1.0) }
}

/// The share of sorted scores below one, equal ones counted half.
fn share_below(scores: &[f64], score: f64) -> f64 {
    let below = scores.partition_point(|other| *other < score);
    let up_to = scores.partition_point(|other| *other <= score);
    (below + up_to) as f64 / 2.0 / scores.len() as f64
}

fn scale(samples: &[Sample], index: usize) -> (f64, f64) {
    let figures: Vec<f64> = samples.iter().map(|sample| sample.figures[index]).collect();
    let deviation = variance(&figures).sqrt();
    (mean(&figures), if deviation > 0.0 { deviation } else { 1.0 })
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

fn variance(figures: &[f64]) -> f64 {
    let mean = mean(figures);
    figures.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>() / (figures.len() as f64 - 1.0).max(1.0)
}

fn sorted(scores: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut scores: Vec<f64> = scores.collect();
    scores.sort_unstable_by(f64::total_cmp);
    scores
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Solves a positive definite system by elimination.
fn solve(mut rows: Vec<Vec<f64>>, mut values: Vec<f64>) -> Vec<f64> {
    let count = values.len();
    for pivot in 0..count {
        let (above, below) = rows.split_at_mut(pivot + 1);
        for (offset, row) in below.iter_mut().enumerate() {
            let factor = row[pivot] / above[pivot][pivot];
            row.iter_mut().zip(&above[pivot]).for_each(|(cell, other)| *cell -= factor * other);
            values[pivot + 1 + offset] -= factor * values[pivot];
        }
    }
    for row in (0..count).rev() {
        let known = dot(&rows[row][row + 1..], &values[row + 1..]);
        values[row] = (values[row] - known) / rows[row][row];
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    /// Samples of which the second figure is so much higher in positive ones, by the width of its noise.
    fn samples(seed: u64, count: usize, shift: f64) -> Vec<Sample> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut unit = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        (0..count)
            .map(|index| {
                let is_positive = index % 2 == 0;
                let shift = if is_positive { shift } else { 0.0 };
                Sample { figures: vec![unit(), unit() + shift], is_positive }
            })
            .collect()
    }

    #[test]
    fn what_is_alike_is_not_told_apart_and_what_differs_is() {
        let judge = |shift| Classifier::learn(&samples(1, 4_000, shift)).judge(&samples(2, 4_000, shift));
        let alike = judge(0.0);
        assert!((0.47..0.53).contains(&alike.auc) && alike.upper < 0.54, "{alike:?}");
        // Of two numbers, uniform in an interval, one raised by a half of it is the greater with a chance of 7/8.
        let differing = judge(0.5);
        assert!((differing.auc - 0.875).abs() < 0.02, "{differing:?}");
        assert!(judge(2.0).auc > 0.999);
    }

    #[test]
    fn the_area_counts_pairs_and_equal_ones_half() {
        let scored = [(3.0, true), (1.0, true), (2.0, false), (1.0, false)];
        // Pairs: 3 > 2, 3 > 1, 1 < 2, 1 = 1.
        assert_eq!(area(scored.into_iter()).auc, 2.5 / 4.0);
    }
}
