//! Dials under way: which locators were meant, what came of each, and what is still to be tried.

use std::collections::HashMap;

use libp2p::swarm::ConnectionId;
use mainframe_base::{LinkKey, Locator};

/// One dial of the node's.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Whom we mean to reach, if we know.
    pub(crate) peer: Option<LinkKey>,
    /// What is being tried now.
    pub(crate) locators: Vec<Locator>,
    /// Relays to be tried when nobody answers there: circuits cost others, so they come last.
    pub(crate) through: Vec<Locator>,
    /// What failed already; told when the whole dial has.
    pub(crate) failed: Vec<(Locator, String)>,
}

impl Attempt {
    /// A dial of a known peer: where it listens itself, then through its relays.
    pub(crate) fn known(peer: LinkKey, locators: Vec<Locator>) -> Attempt {
        let (direct, through): (Vec<_>, Vec<_>) = locators.into_iter().partition(Locator::is_direct);
        let attempt = Attempt { peer: Some(peer), locators: direct, through, failed: Vec::new() };
        if attempt.locators.is_empty() { attempt.further() } else { attempt }
    }

    /// A dial of whoever is there.
    pub(crate) fn unknown(locator: Locator) -> Attempt {
        Attempt { peer: None, locators: vec![locator], through: Vec::new(), failed: Vec::new() }
    }

    /// What remains of it.
    pub(crate) fn further(self) -> Attempt {
        Attempt { locators: self.through, through: Vec::new(), ..self }
    }

    /// Notes why some of the locators, or all, came to nothing.
    pub(crate) fn fail(&mut self, locators: &[Locator], why: &str) {
        self.failed.extend(locators.iter().map(|locator| (*locator, why.to_owned())));
    }
}

/// All of them, by their connection. There is one for each decision of our own relay half.
#[derive(Default, Debug)]
pub(crate) struct Dials(HashMap<ConnectionId, Attempt>);

impl Dials {
    pub(crate) fn begin(&mut self, id: ConnectionId, attempt: Attempt) {
        self.0.insert(id, attempt);
    }

    pub(crate) fn end(&mut self, id: ConnectionId) -> Option<Attempt> {
        self.0.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_tried_after_the_node_itself() {
        let key = LinkKey([7; 32]);
        let direct: Locator = "/ip4/1.1.1.1/tcp/1".parse().unwrap();
        let through = "/ip4/2.2.2.2/tcp/2".parse::<Locator>().unwrap().through(key);
        let first = Attempt::known(key, vec![through, direct]);
        assert_eq!(first.locators, [direct]);
        let then = first.further();
        assert_eq!((then.locators, then.through), (vec![through], vec![]));
        assert_eq!(Attempt::known(key, vec![through]).locators, [through]);
    }
}
