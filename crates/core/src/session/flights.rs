//! Which cells belong to which message, until it is known that all of them left.

use std::collections::BTreeMap;

use mainframe_base::{Refusal, SessionId};

/// Frames on their way (guess: a second at a thousand messages).
const FLIGHTS_MAX: usize = 16_384;

/// Frames of which not every cell has left.
#[derive(Default, Debug)]
pub(super) struct Flights {
    next: u64,
    flights: BTreeMap<u64, Flight>,
}

#[derive(Debug)]
struct Flight {
    session: SessionId,
    number: u64,
    cells: usize,
    hindrance: Option<Refusal>,
}

/// All cells of an own message are accounted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Landed {
    pub(super) session: SessionId,
    pub(super) number: u64,
    /// Why one of them could not leave.
    pub(super) hindrance: Option<Refusal>,
}

impl Flights {
    /// Gives the cells of a frame a common number. Nobody asks what becomes of a frame that is no message of ours.
    pub(super) fn start(&mut self, session: SessionId, message: Option<u64>, cells: usize) -> u64 {
        self.next += 1;
        if let Some(number) = message {
            self.flights.insert(self.next, Flight { session, number, cells, hindrance: None });
            if self.flights.len() > FLIGHTS_MAX {
                self.flights.pop_first();
            }
        }
        self.next
    }

    /// One cell of a frame left, or could not.
    pub(super) fn left(&mut self, flight: u64, outcome: Result<(), Refusal>) -> Option<Landed> {
        let entry = self.flights.get_mut(&flight)?;
        entry.cells = entry.cells.saturating_sub(1);
        entry.hindrance = entry.hindrance.or(outcome.err());
        if entry.cells > 0 {
            return None;
        }
        let Flight { session, number, hindrance, .. } = self.flights.remove(&flight)?;
        Some(Landed { session, number, hindrance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_left_when_all_its_cells_have() {
        let mut flights = Flights::default();
        let session = SessionId([1; 16]);
        let flight = flights.start(session, Some(5), 2);
        assert_eq!(flights.left(flight, Ok(())), None);
        let landed = Landed { session, number: 5, hindrance: None };
        assert_eq!(flights.left(flight, Ok(())), Some(landed));
        assert_eq!(flights.left(flight, Ok(())), None);
        let flight = flights.start(session, Some(6), 2);
        flights.left(flight, Err(Refusal::Busy));
        assert_eq!(flights.left(flight, Ok(())).unwrap().hindrance, Some(Refusal::Busy));
        let untold = flights.start(session, None, 1);
        assert_eq!(flights.left(untold, Ok(())), None);
    }
}
