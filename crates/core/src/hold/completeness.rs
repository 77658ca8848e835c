//! Until when everything that was sent to a region has come.
//!
//! A relay that shares *p* bits with our address holds what was sent to it with luminosity up to *p*, and can say nothing
//! of what was sent more brightly. So what is complete is so up to a luminosity; who meets a closer relay than ever
//! before asks it further back.

use mainframe_base::{ADDRESS_BITS, Proximity, Time};

/// Steps remembered (guess: the closest relays one has had, and a few before them). Forgetting one means asking further back.
pub(super) const STEPS_MAX: usize = 6;

/// For luminosities up to each step, until when everything has come; earlier for brighter ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completeness {
    /// Ascending by luminosity, descending in time; the last is for all of them.
    steps: Vec<(Proximity, Time)>,
}

impl Completeness {
    /// Nothing sent before that moment is of interest, and nothing sent after it has come.
    pub fn since(time: Time) -> Completeness {
        Completeness { steps: vec![(ADDRESS_BITS, time)] }
    }

    /// From its steps, as [`Completeness::steps`] gives them; none if they are not in order.
    pub fn of_steps(steps: Vec<(Proximity, Time)>) -> Option<Completeness> {
        let ordered = steps.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1);
        let whole = steps.last().is_some_and(|(luminosity, _)| *luminosity == ADDRESS_BITS);
        (ordered && whole && steps.len() <= STEPS_MAX).then_some(Completeness { steps })
    }

    /// For luminosities up to each, until when everything has come: ascending, the last for all.
    pub fn steps(&self) -> &[(Proximity, Time)] {
        &self.steps
    }

    /// Until when everything has come that a relay this close holds.
    pub fn until(&self, proximity: Proximity) -> Time {
        let step = self.steps.iter().find(|(luminosity, _)| *luminosity >= proximity);
        step.or(self.steps.last()).map_or(Time(0), |(_, time)| *time)
    }

    /// A relay this close has told of everything it holds of what was sent before that moment, and it has come.
    pub(super) fn reach(&mut self, proximity: Proximity, time: Time) {
        if self.until(proximity) >= time {
            return;
        }
        self.steps.retain(|(luminosity, until)| *luminosity > proximity || *until > time);
        let at = self.steps.partition_point(|(luminosity, _)| *luminosity < proximity);
        self.steps.insert(at, (proximity, time));
        if self.steps.len() > STEPS_MAX {
            self.steps.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_was_told_by_distant_relays_asks_a_closer_one_further_back() {
        let mut complete = Completeness::since(Time(10));
        complete.reach(3, Time(50));
        assert_eq!((complete.until(2), complete.until(3), complete.until(4)), (Time(50), Time(50), Time(10)));
        complete.reach(7, Time(60));
        assert_eq!((complete.until(3), complete.until(7), complete.until(8)), (Time(60), Time(60), Time(10)));
        complete.reach(256, Time(70));
        assert_eq!(complete, Completeness::since(Time(70)));
    }

    proptest! {
        #[test]
        fn nothing_is_taken_to_be_complete_that_no_relay_close_enough_told_of(
            told in prop::collection::vec((0u16..=256, 1u64..100), 0..40), proximity in 0u16..=256,
        ) {
            let mut complete = Completeness::since(Time(0));
            told.iter().for_each(|(luminosity, time)| complete.reach(*luminosity, Time(*time)));
            let close_enough = told.iter().filter(|(luminosity, _)| *luminosity >= proximity);
            let most = close_enough.map(|(_, time)| Time(*time)).max().unwrap_or(Time(0));
            prop_assert!(complete.until(proximity) <= most);
            prop_assert_eq!(Completeness::of_steps(complete.steps().to_vec()), Some(complete));
        }
    }
}
