//! Which of our own locators our record names: those by which most others reach us (docs/protocol/overlay.md §4).

use std::collections::BTreeMap;

use mainframe_base::{Locator, Scope};

use crate::crypto::LOCATORS_MAX;

/// Locators of our own that are remembered: four addresses on each of eight interfaces (guess). The system's listeners
/// and our own relays make them, so nobody else can make them more.
const PLACES_MAX: usize = 32;

/// How good a locator is to somebody who does not know us; the lower the better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    /// Somebody far away came in by it.
    Proved,
    /// An address of this machine that looks as if anybody could.
    Plausible,
    /// It leads to us, but over somebody else and slowly.
    ThroughRelay,
    /// Leads to us within our own network.
    Near,
    /// Leads to us on this machine only.
    Local,
}

/// Every place where we can be dialled, as far as we know.
#[derive(Clone, Default, Debug)]
pub(super) struct Whereabouts(BTreeMap<Locator, Standing>);

impl Whereabouts {
    /// We listen there; `proved` if somebody was seen to come in by it.
    pub(super) fn add(&mut self, locator: Locator, proved: bool) {
        let known = self.0.contains_key(&locator);
        if known && !proved || !known && self.0.len() >= PLACES_MAX {
            return;
        }
        self.0.insert(locator, standing(&locator, proved));
    }

    /// We do not any more.
    pub(super) fn remove(&mut self, locator: &Locator) {
        self.0.remove(locator);
    }

    /// The places to tell everybody, the best first. Places on this machine only if there are no others: on every other
    /// machine they lead to somebody else.
    pub(super) fn best(&self) -> Vec<Locator> {
        let mut ranked: Vec<(Standing, Locator)> = self.0.iter().map(|(place, standing)| (*standing, *place)).collect();
        ranked.sort_unstable();
        if ranked.first().is_some_and(|(standing, _)| *standing < Standing::Local) {
            ranked.retain(|(standing, _)| *standing < Standing::Local);
        }
        ranked.into_iter().map(|(_, locator)| locator).take(LOCATORS_MAX).collect()
    }
}

fn standing(locator: &Locator, proved: bool) -> Standing {
    match locator.scope() {
        Scope::Global if !locator.is_direct() => Standing::ThroughRelay,
        Scope::Global if proved => Standing::Proved,
        Scope::Global => Standing::Plausible,
        Scope::Private => Standing::Near,
        Scope::Local => Standing::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::LinkKey;

    fn best(places: &[(&str, bool)]) -> Vec<String> {
        let mut whereabouts = Whereabouts::default();
        for (text, proved) in places {
            whereabouts.add(text.parse().unwrap(), *proved);
        }
        whereabouts.best().iter().map(Locator::to_string).collect()
    }

    #[test]
    fn the_best_four_places_are_told_and_the_proved_ones_first() {
        let through = format!("/ip4/1.1.1.1/tcp/1/via/{}", LinkKey([7; 32]));
        let places = [
            ("/ip4/192.168.1.5/tcp/1", false),
            ("/ip4/10.0.0.5/tcp/1", true),
            (through.as_str(), false),
            ("/ip6/2001:db8::5/tcp/1", false),
            ("/ip4/1.2.3.4/tcp/1", false),
            ("/ip4/1.2.3.4/tcp/1", true),
        ];
        let expected = ["/ip4/1.2.3.4/tcp/1", "/ip6/2001:db8::5/tcp/1", &through, "/ip4/10.0.0.5/tcp/1"];
        assert_eq!(best(&places), expected);
    }

    #[test]
    fn loopback_is_told_only_by_those_who_have_nothing_else() {
        let alone = [("/ip4/127.0.0.1/tcp/1", false)];
        assert_eq!(best(&alone), ["/ip4/127.0.0.1/tcp/1"]);
        let connected = [("/ip4/127.0.0.1/tcp/1", true), ("/ip6/fe80::1/tcp/1", false), ("/ip4/10.0.0.1/tcp/1", false)];
        assert_eq!(best(&connected), ["/ip4/10.0.0.1/tcp/1"]);
    }

    #[test]
    fn an_address_that_is_gone_makes_room_for_the_next() {
        let mut whereabouts = Whereabouts::default();
        for last in 1..=4 {
            whereabouts.add(format!("/ip4/1.1.1.{last}/tcp/1").parse().unwrap(), true);
        }
        let newer = "/ip4/2.2.2.2/tcp/1".parse().unwrap();
        whereabouts.add(newer, true);
        assert!(!whereabouts.best().contains(&newer));
        whereabouts.remove(&"/ip4/1.1.1.2/tcp/1".parse().unwrap());
        assert!(whereabouts.best().contains(&newer));
    }
}
