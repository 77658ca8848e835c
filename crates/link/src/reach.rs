//! Whether others can dial us: which addresses were seen of us, and what came of asking others to dial them.
//!
//! Pure: the driver brings what happened, and gets back what the node is to hear (docs/protocol/link.md §8).

use std::collections::{BTreeMap, BTreeSet};

use libp2p::swarm::ConnectionId;
use mainframe_base::{Locator, Scope};
use mainframe_core::switchboard::LinkEvent;

/// Addresses asked about at once: two transports and two families at home and at the provider, and as many wrong ones
/// that peers claim to see. Each costs us 30 to 100 kB a round (AutoNAT 2).
const CANDIDATES_MAX: usize = 8;

/// What is known of our own addresses.
#[derive(Default, Debug)]
pub(crate) struct Reachability {
    candidates: BTreeMap<Locator, Candidate>,
    verdict: Option<bool>,
}

/// An address that may lead to us.
#[derive(Default, Debug)]
struct Candidate {
    /// The connections at whose other end we are seen by it.
    seen_on: BTreeSet<ConnectionId>,
    /// Our router says it has made it lead to us.
    mapped: bool,
    answer: Answer,
}

/// What came of it last.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Answer {
    #[default]
    None,
    Good,
    /// Somebody reached us there, and the next could not: he may have been wrong.
    Doubtful,
    Bad,
}

impl Candidate {
    fn is_good(&self) -> bool {
        matches!(self.answer, Answer::Good | Answer::Doubtful)
    }

    fn is_grounded(&self) -> bool {
        self.mapped || !self.seen_on.is_empty()
    }
}

impl Reachability {
    /// At the other end of that connection we are seen by this address. True if others are to be asked about it.
    pub(crate) fn seen(&mut self, locator: Locator, on: ConnectionId) -> bool {
        self.ground(locator, |candidate| _ = candidate.seen_on.insert(on))
    }

    /// Our router says that this address leads to us. True if others are to be asked about it.
    #[cfg(any(test, feature = "upnp"))]
    pub(crate) fn mapped(&mut self, locator: Locator) -> bool {
        self.ground(locator, |candidate| candidate.mapped = true)
    }

    /// There is reason to believe in an address. True if it is new.
    fn ground(&mut self, locator: Locator, note: impl FnOnce(&mut Candidate)) -> bool {
        let new = !self.candidates.contains_key(&locator);
        if new && !self.make_room() {
            return false;
        }
        note(self.candidates.entry(locator).or_default());
        new
    }

    /// It does no longer.
    #[cfg(any(test, feature = "upnp"))]
    pub(crate) fn unmapped(&mut self, locator: Locator) -> Vec<LinkEvent> {
        let gone = self.candidates.remove(&locator);
        let expired = gone.filter(Candidate::is_good).map(|_| LinkEvent::Expired(locator));
        expired.into_iter().chain(self.judge()).collect()
    }

    /// A connection has closed.
    pub(crate) fn closed(&mut self, id: ConnectionId) {
        for candidate in self.candidates.values_mut() {
            candidate.seen_on.remove(&id);
        }
    }

    /// Somebody dialled us there.
    pub(crate) fn good(&mut self, locator: Locator) -> Vec<LinkEvent> {
        let counts = self.counts(&locator);
        let Some(candidate) = self.candidates.get_mut(&locator) else { return Vec::new() };
        let news = !candidate.is_good() && counts;
        candidate.answer = Answer::Good;
        let reachable = news.then_some(LinkEvent::Reachable(locator));
        reachable.into_iter().chain(self.judge()).collect()
    }

    /// Somebody tried, and could not.
    pub(crate) fn bad(&mut self, locator: Locator) -> Vec<LinkEvent> {
        let Some(candidate) = self.candidates.get_mut(&locator) else { return Vec::new() };
        let was = candidate.answer;
        candidate.answer = if was == Answer::Good { Answer::Doubtful } else { Answer::Bad };
        let expired = (was == Answer::Doubtful).then_some(LinkEvent::Expired(locator));
        expired.into_iter().chain(self.judge()).collect()
    }

    /// Another round: what is to be asked about. What nobody sees any more and was never good is forgotten.
    pub(crate) fn another_round(&mut self) -> Vec<Locator> {
        self.candidates.retain(|_, candidate| candidate.is_good() || candidate.is_grounded());
        self.candidates.keys().copied().collect()
    }

    /// This machine has moved to another network: what was known of its addresses is worth nothing.
    pub(crate) fn moved(&mut self) -> Vec<LinkEvent> {
        self.verdict = None;
        let gone = std::mem::take(&mut self.candidates).into_iter();
        gone.filter(|(_, candidate)| candidate.is_good()).map(|(locator, _)| LinkEvent::Expired(locator)).collect()
    }

    /// Whether others can dial us, once that is known.
    pub(crate) fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// Addresses of our own network say nothing of the world's, if we were seen from there.
    fn counts(&self, locator: &Locator) -> bool {
        let far = |locator: &Locator| locator.scope() == Scope::Global;
        far(locator) || !self.candidates.keys().any(far)
    }

    /// Says so once when it turns out that nobody can reach us.
    fn judge(&mut self) -> Option<LinkEvent> {
        let answers: Vec<&Candidate> = self
            .candidates
            .iter()
            .filter(|(locator, _)| self.counts(locator))
            .map(|(_, candidate)| candidate)
            .collect();
        let verdict = if answers.iter().any(|candidate| candidate.is_good()) {
            Some(true)
        } else if !answers.is_empty() && answers.iter().all(|candidate| candidate.answer == Answer::Bad) {
            Some(false)
        } else {
            self.verdict
        };
        let news = verdict != self.verdict;
        self.verdict = verdict;
        (news && verdict == Some(false)).then_some(LinkEvent::Unreachable)
    }

    /// Lets go of the least promising candidate if there are too many: peers may claim to see us anywhere.
    fn make_room(&mut self) -> bool {
        if self.candidates.len() < CANDIDATES_MAX {
            return true;
        }
        let worth = |candidate: &Candidate| (candidate.answer != Answer::Bad, candidate.seen_on.len());
        let spare = self.candidates.iter().filter(|(_, candidate)| !candidate.is_good() && !candidate.mapped);
        let Some(least) = spare.min_by_key(|(_, candidate)| worth(candidate)).map(|(locator, _)| *locator) else {
            return false;
        };
        self.candidates.remove(&least);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: &str = "/ip4/1.2.3.4/tcp/4001";
    const OUTSIDE_TOO: &str = "/ip4/1.2.3.4/udp/4001/quic-v1";
    const INSIDE: &str = "/ip4/192.168.1.5/tcp/4001";

    fn at(text: &str) -> Locator {
        text.parse().unwrap()
    }

    fn on(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn seen(places: &[&str]) -> Reachability {
        let mut reach = Reachability::default();
        for (number, place) in places.iter().enumerate() {
            assert!(reach.seen(at(place), on(number)));
        }
        reach
    }

    fn told(events: Vec<LinkEvent>) -> Vec<String> {
        events.iter().map(|event| format!("{event:?}").split(&['(', ' '][..]).next().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_node_is_unreachable_only_when_none_of_its_addresses_could_be_dialled() {
        let mut reach = seen(&[OUTSIDE, OUTSIDE_TOO]);
        assert_eq!(told(reach.bad(at(OUTSIDE))), [""; 0]);
        assert_eq!(told(reach.bad(at(OUTSIDE_TOO))), ["Unreachable"]);
        assert_eq!(told(reach.bad(at(OUTSIDE_TOO))), [""; 0], "once");
        assert_eq!(told(reach.good(at(OUTSIDE))), ["Reachable"]);
        assert_eq!(reach.verdict(), Some(true));
    }

    #[test]
    fn a_neighbour_on_the_local_network_does_not_make_a_node_reachable_from_outside() {
        let mut reach = seen(&[INSIDE]);
        assert_eq!(told(reach.good(at(INSIDE))), ["Reachable"], "nobody has seen us from outside");
        assert!(reach.seen(at(OUTSIDE), on(9)));
        assert_eq!(told(reach.bad(at(OUTSIDE))), ["Unreachable"]);
        reach.another_round();
        assert_eq!(told(reach.good(at(INSIDE))), [""; 0]);
        assert_eq!(reach.verdict(), Some(false));
    }

    #[test]
    fn one_failure_does_not_take_back_what_somebody_saw() {
        let mut reach = seen(&[OUTSIDE]);
        reach.good(at(OUTSIDE));
        assert_eq!(told(reach.bad(at(OUTSIDE))), [""; 0]);
        assert_eq!(told(reach.bad(at(OUTSIDE))), ["Expired", "Unreachable"]);
    }

    #[test]
    fn peers_cannot_crowd_out_the_address_that_many_see() {
        let mut reach = seen(&[OUTSIDE, OUTSIDE_TOO]);
        reach.seen(at(OUTSIDE), on(100));
        reach.good(at(OUTSIDE_TOO));
        for claimed in 0..100 {
            reach.seen(at(&format!("/ip4/9.9.9.{claimed}/tcp/1")), on(claimed));
        }
        let asked = reach.another_round();
        assert_eq!(asked.len(), CANDIDATES_MAX);
        assert!(asked.contains(&at(OUTSIDE)) && asked.contains(&at(OUTSIDE_TOO)));
    }

    #[test]
    fn an_address_nobody_sees_any_more_is_not_asked_about_again() {
        let mut reach = seen(&[OUTSIDE, OUTSIDE_TOO]);
        reach.bad(at(OUTSIDE));
        reach.good(at(OUTSIDE_TOO));
        reach.closed(on(0));
        reach.closed(on(1));
        assert_eq!(reach.another_round(), [at(OUTSIDE_TOO)]);
        assert_eq!(told(reach.moved()), ["Expired"]);
        assert!(reach.another_round().is_empty() && reach.verdict().is_none());
    }

    #[test]
    fn an_address_the_router_maps_counts_as_long_as_it_does() {
        let mut reach = Reachability::default();
        assert!(reach.mapped(at(OUTSIDE)));
        reach.good(at(OUTSIDE));
        assert_eq!(reach.another_round(), [at(OUTSIDE)]);
        assert_eq!(told(reach.unmapped(at(OUTSIDE))), ["Expired"]);
    }
}
