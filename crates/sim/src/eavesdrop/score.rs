//! How often an observer was right, beside how often it said it would be.

use serde_json::{Value, json};

use crate::figures::ratio;

/// Where the classes of confidence begin.
const CLASSES: [f64; 6] = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9];
/// From here on an observer is taken to have named somebody.
const NAMED: f64 = 0.5;

#[derive(Clone, Copy, Debug, Default)]
struct Class {
    packets: u64,
    stated: f64,
    right: u64,
}

impl Class {
    fn add(&mut self, stated: f64, is_right: bool) {
        self.packets += 1;
        self.stated += stated;
        self.right += u64::from(is_right);
    }

    fn stated(&self) -> f64 {
        if self.packets == 0 { 0.0 } else { self.stated / self.packets as f64 }
    }
}

/// Opinions on packets, by how sure they were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    classes: [Class; CLASSES.len()],
    all: Class,
    named: Class,
}

impl Score {
    /// Counts one opinion.
    pub fn add(&mut self, confidence: f64, is_right: bool) {
        let class = CLASSES.iter().rposition(|from| confidence >= *from).unwrap_or(0);
        self.classes[class].add(confidence, is_right);
        self.all.add(confidence, is_right);
        if confidence >= NAMED {
            self.named.add(confidence, is_right);
        }
    }

    /// How many opinions.
    pub fn packets(&self) -> u64 {
        self.all.packets
    }

    /// The part that is right, by the observer's own word.
    pub fn stated(&self) -> f64 {
        self.all.stated()
    }

    /// The part that is right.
    pub fn right(&self) -> f64 {
        ratio(self.all.right, self.all.packets)
    }

    /// How many packets it is rather sure of.
    pub fn named(&self) -> u64 {
        self.named.packets
    }

    /// The part of those that is right.
    pub fn precision(&self) -> f64 {
        ratio(self.named.right, self.named.packets)
    }

    /// Stated and true by confidence; classes without packets are left out.
    pub fn calibration(&self) -> Vec<Value> {
        let classes = CLASSES.iter().zip(&self.classes).filter(|(_, class)| class.packets > 0);
        classes
            .map(|(from, class)| {
                let right = ratio(class.right, class.packets);
                json!({ "from": from, "packets": class.packets, "stated": class.stated(), "true": right })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_kept_apart_from_what_is_true() {
        let mut score = Score::default();
        [(0.9, true), (0.7, false), (0.2, false)].into_iter().for_each(|(sure, right)| score.add(sure, right));
        assert!((score.stated() - 0.6).abs() < 1e-9);
        assert!((score.right() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!((score.packets(), score.named(), score.precision()), (3, 2, 0.5));
        let packets: Vec<u64> = score.calibration().iter().map(|class| class["packets"].as_u64().unwrap()).collect();
        assert_eq!(packets, [1, 1, 1]);
    }
}
