//! What is going to be done, and when: drawn before anyone begins to talk.

use std::collections::BTreeMap;

use super::super::Options;
use crate::dice::Dice;
use crate::moment::Moment;

/// Seconds between two renewals of keys, of anyone anywhere.
const RENEWAL_EVERY_S: u64 = 40;
/// Seconds between two changes of members or terms.
const CHANGE_EVERY_S: u64 = 90;
/// Crashes for each person, and how many there are at least: the run is to have a hundred.
const CRASHES_PER_PERSON: f64 = 1.2;
/// A crash is a power loss in the middle of a transaction so many times in a million.
const POWER_LOSSES_PER_MILLION: u32 = 500_000;
/// How often the network breaks in two, and for how long, in seconds.
const PARTITIONS: u64 = 6;
const PARTITION_S: (u64, u64) = (600, 900);
/// The longest that a node stays down, in seconds.
const DOWN_S_MAX: usize = 300;
const SECOND_US: u64 = 1_000_000;

/// Something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    /// Somebody says something somewhere.
    Say,
    /// Somebody renews his keys somewhere.
    Renew,
    /// Somebody changes who is in a group, or what was agreed on.
    Change,
    /// Somebody's node stops between two transactions.
    Crash,
    /// Somebody's node loses power in the middle of a transaction.
    PowerLoss,
    /// A person's node starts again.
    Restart(usize),
    /// The network breaks in two.
    Partition,
    /// It heals.
    Heal,
}

/// What is to be done, in order.
#[derive(Default)]
pub(super) struct Agenda {
    deeds: BTreeMap<(Moment, u64), Deed>,
    planned: u64,
}

impl Agenda {
    /// What a run is made of.
    pub(super) fn of(options: &Options, start: Moment, dice: &mut Dice) -> Agenda {
        let mut agenda = Agenda::default();
        let length_us = options.minutes * 60 * SECOND_US;
        let scatter = |agenda: &mut Agenda, dice: &mut Dice, count: usize, deed: Deed| {
            (0..count).for_each(|_| agenda.plan(start + dice.below(length_us as usize) as u64, deed));
        };
        scatter(&mut agenda, dice, options.packets, Deed::Say);
        let every = |seconds: u64| (options.minutes * 60).div_ceil(seconds) as usize;
        scatter(&mut agenda, dice, every(RENEWAL_EVERY_S), Deed::Renew);
        scatter(&mut agenda, dice, every(CHANGE_EVERY_S), Deed::Change);
        if options.crashes {
            for _ in 0..(options.persons as f64 * CRASHES_PER_PERSON).ceil() as usize {
                let deed = if dice.happens(POWER_LOSSES_PER_MILLION) { Deed::PowerLoss } else { Deed::Crash };
                scatter(&mut agenda, dice, 1, deed);
            }
        }
        if options.partitions {
            agenda.plan_partitions(start, length_us, dice);
        }
        agenda
    }

    /// One in each part of the time, so that they do not meet; shorter ones if the run is short.
    fn plan_partitions(&mut self, start: Moment, length_us: u64, dice: &mut Dice) {
        let part_us = length_us / PARTITIONS;
        let (least_s, most_s) = PARTITION_S;
        for number in 0..PARTITIONS {
            let span_us = (least_s + dice.below((most_s - least_s) as usize) as u64) * SECOND_US;
            let span_us = span_us.min(part_us / 2);
            let begin = start + part_us * number + dice.below((part_us - span_us) as usize) as u64;
            self.plan(begin, Deed::Partition);
            self.plan(begin + span_us, Deed::Heal);
        }
    }

    /// One more.
    pub(super) fn plan(&mut self, at: Moment, deed: Deed) {
        self.planned += 1;
        self.deeds.insert((at, self.planned), deed);
    }

    /// A person's node starts again some time after now.
    pub(super) fn plan_restart(&mut self, person: usize, now: Moment, dice: &mut Dice) {
        let after_us = (1 + dice.below(DOWN_S_MAX)) as u64 * SECOND_US;
        self.plan(now + after_us, Deed::Restart(person));
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.deeds.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next, if it is due by then.
    pub(super) fn take(&mut self, until: Moment) -> Option<Deed> {
        self.next().filter(|at| *at <= until)?;
        self.deeds.pop_first().map(|(_, deed)| deed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Scenario;
    use super::*;

    #[test]
    fn partitions_do_not_meet_and_the_large_run_has_a_hundred_crashes() {
        let usual = Options::new(Scenario::Sessions, 200, 1);
        let options = Options { persons: 100, crashes: true, partitions: true, ..usual };
        let mut agenda = Agenda::of(&options, Moment(0), &mut Dice::new(1, "test"));
        let mut deeds = Vec::new();
        while let Some(deed) = agenda.take(Moment(u64::MAX)) {
            deeds.push(deed);
        }
        let cuts: Vec<Deed> =
            deeds.iter().copied().filter(|deed| matches!(deed, Deed::Partition | Deed::Heal)).collect();
        assert!(cuts.chunks(2).all(|pair| pair == [Deed::Partition, Deed::Heal]) && cuts.len() == 12);
        let count = |wanted: Deed| deeds.iter().filter(|deed| **deed == wanted).count();
        assert_eq!(count(Deed::Say), 20_000);
        assert!(count(Deed::Crash) + count(Deed::PowerLoss) >= 100);
        assert!(count(Deed::Crash) > 30 && count(Deed::PowerLoss) > 30);
    }
}
