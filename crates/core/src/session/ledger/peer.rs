//! How far another device has come with our messages, and how long it usually takes to say so.

use mainframe_base::Time;

use super::config::LedgerConfig;
use super::frame::Ack;

/// How many numbers behind the next one an acknowledgement tells of.
const BEYOND: u64 = u64::BITS as u64;

/// Which of our messages have come somewhere: as an [`Ack`] says it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Reach {
    pub(super) contiguous: u64,
    pub(super) beyond: u64,
}

impl Reach {
    pub(super) fn of(ack: &Ack) -> Reach {
        Reach { contiguous: ack.contiguous, beyond: ack.beyond }
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let Some(ahead) = number.checked_sub(self.contiguous + 1) else { return true };
        (1..=BEYOND).contains(&ahead) && self.beyond & (1 << (ahead - 1)) != 0
    }

    /// The greatest number that has come; `None` if it were past the end of numbers.
    pub(super) fn highest(&self) -> Option<u64> {
        let ahead = BEYOND - u64::from(self.beyond.leading_zeros());
        self.contiguous.checked_add(if ahead == 0 { 0 } else { ahead + 1 })
    }

    /// Hears of more. What is older tells nothing new: nobody forgets what has come.
    fn join(&mut self, other: Reach) {
        if other.contiguous > self.contiguous {
            *self = other;
        } else if other.contiguous == self.contiguous {
            self.beyond |= other.beyond;
        }
    }
}

/// How long acknowledgements take: mean and deviation (RFC 6298).
#[derive(Clone, Copy, Default, Debug)]
struct Pace {
    measured: Option<(u64, u64)>,
}

impl Pace {
    fn measure(&mut self, span_ms: u64) {
        self.measured = Some(match self.measured {
            None => (span_ms, span_ms / 2),
            Some((mean, deviation)) => ((7 * mean + span_ms) / 8, (3 * deviation + mean.abs_diff(span_ms)) / 4),
        });
    }
}

/// Another device of the session.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Our last message before it came to the session: it is owed those after it.
    pub(super) since: u64,
    /// What it has.
    pub(super) reach: Reach,
    /// Up to where it says it was read.
    pub(super) read: u64,
    /// When it last gave a sign.
    pub(super) heard: Time,
    /// When to look whether it still lacks something.
    pub(super) due: Option<Time>,
    /// When it was last told that what it asked for was said before it came.
    pub(super) floor_told: Option<Time>,
    pace: Pace,
}

impl Peer {
    /// One that is owed what comes after our message `since`.
    pub(super) fn new(since: u64, heard: Time) -> Peer {
        let reach = Reach { contiguous: since, beyond: 0 };
        Peer { since, reach, read: 0, heard, due: None, floor_told: None, pace: Pace::default() }
    }

    /// Whether it was there when our message was said.
    pub(super) fn expects(&self, number: u64) -> bool {
        number > self.since
    }

    /// Whether it was there and has it.
    pub(super) fn has(&self, number: u64) -> bool {
        self.expects(number) && self.reach.has(number)
    }

    /// Whether it was there and does not say that it has it.
    pub(super) fn lacks(&self, number: u64) -> bool {
        self.expects(number) && !self.reach.has(number)
    }

    /// Those of our messages up to `last` that it lacks, as far as its acknowledgements can tell.
    pub(super) fn lacking(&self, last: u64) -> impl Iterator<Item = u64> + use<> {
        let reach = self.reach;
        let told = last.min(reach.contiguous.saturating_add(1 + BEYOND));
        (reach.contiguous + 1..=told).filter(move |number| !reach.has(*number))
    }

    /// Hears what it has. Says which numbers may be new, if any.
    pub(super) fn acknowledge(&mut self, reach: Reach) -> Option<std::ops::RangeInclusive<u64>> {
        let before = self.reach;
        self.reach.join(reach);
        let highest = self.reach.highest().unwrap_or(u64::MAX);
        (self.reach != before).then_some(before.contiguous + 1..=highest)
    }

    /// An acknowledgement took so long.
    pub(super) fn measure(&mut self, span_ms: u64) {
        self.pace.measure(span_ms);
    }

    /// How long a message may stay unacknowledged that was sent so many times, if acknowledgements are held back up to
    /// `held_back_ms`.
    pub(super) fn timeout_ms(&self, config: &LedgerConfig, held_back_ms: u64, times: u8) -> u64 {
        let least = held_back_ms + config.timeout_min_ms;
        let once = match self.pace.measured {
            None => config.timeout_initial_ms.max(2 * held_back_ms),
            Some((mean, deviation)) => mean + 4 * deviation,
        };
        let doubled = once.max(least).saturating_mul(1 << times.saturating_sub(1).min(20));
        doubled.min(config.timeout_max_ms.max(least))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_out_follows_what_was_measured_and_doubles_up_to_an_hour() {
        let config = LedgerConfig::default();
        let mut peer = Peer::new(0, Time(0));
        assert_eq!(peer.timeout_ms(&config, 1_000, 1), 10_000);
        (0..50).for_each(|_| peer.measure(5_000));
        assert_eq!(peer.timeout_ms(&config, 1_000, 1), 5_000);
        assert_eq!(peer.timeout_ms(&config, 1_000, 3), 20_000);
        assert_eq!(peer.timeout_ms(&config, 1_000, u8::MAX), 3_600_000);
        (0..50).for_each(|_| peer.measure(10));
        assert_eq!(peer.timeout_ms(&config, 1_000, 1), 3_000);
    }

    proptest! {
        #[test]
        fn a_reach_has_what_was_put_in_it(contiguous in 0u64..500, beyond: u64, number in 1u64..700) {
            let reach = Reach { contiguous, beyond };
            let bits = (0..64).filter(|bit| beyond & (1 << bit) != 0).map(|bit| contiguous + 2 + bit);
            let numbers: BTreeSet<u64> = (0..=contiguous).chain(bits).collect();
            prop_assert_eq!(reach.has(number), numbers.contains(&number));
            prop_assert_eq!(reach.highest(), numbers.last().copied());
        }

        #[test]
        fn acknowledgements_in_any_order_never_take_anything_back(
            told in prop::collection::vec((0u64..40, any::<u64>()), 1..20), last in 40u64..200,
        ) {
            let mut peer = Peer::new(3, Time(0));
            for (contiguous, beyond) in told {
                let before: Vec<u64> = (1..=last).filter(|number| peer.reach.contiguous >= *number).collect();
                peer.acknowledge(Reach { contiguous, beyond });
                prop_assert!(before.iter().all(|number| peer.reach.has(*number)));
                prop_assert!(peer.lacking(last).all(|number| number <= last && peer.lacks(number)));
            }
        }
    }
}
