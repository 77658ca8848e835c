//! The votes heard, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::CommitId;
use super::roster::{Leaf, Roster};
use super::statement::{Certificate, Signature, Vote};

/// What a vote adds to what was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It was not known.
    New,
    /// It was known, or a later one of the leaf is.
    Known,
    /// The leaf voted for another commit at the same ballot.
    Contradiction,
}

/// Of every leaf its vote at the open ballot and its latest after that: what a leaf can make others keep is bounded.
#[derive(Clone, Default, Debug)]
pub(super) struct Tally {
    open: BTreeMap<Leaf, (Vote, Signature)>,
    latest: BTreeMap<Leaf, (Vote, Signature)>,
}

impl Tally {
    pub(super) fn record(&mut self, leaf: Leaf, vote: Vote, signature: Signature) -> Heard {
        let votes = if vote.ballot == 0 { &mut self.open } else { &mut self.latest };
        match votes.get(&leaf) {
            Some((known, _)) if known.ballot == vote.ballot && known.commit != vote.commit => Heard::Contradiction,
            Some((known, _)) if known.ballot >= vote.ballot => Heard::Known,
            _ => {
                votes.insert(leaf, (vote, signature));
                Heard::New
            }
        }
    }

    pub(super) fn contains(&self, leaf: Leaf, vote: Vote) -> bool {
        self.votes(vote.ballot).get(&leaf).is_some_and(|(known, _)| *known == vote)
    }

    /// Whether this very signature was checked when the vote was recorded.
    pub(super) fn has_checked(&self, leaf: Leaf, vote: Vote, signature: &Signature) -> bool {
        self.votes(vote.ballot).get(&leaf).is_some_and(|(known, of)| *known == vote && of == signature)
    }

    /// The proof that a vote's commit counts, if enough leaves voted so. Liars' votes do not help.
    pub(super) fn certificate(&self, vote: Vote, roster: &Roster, liars: &BTreeSet<Leaf>) -> Option<Certificate> {
        let votes: Vec<_> = self
            .votes(vote.ballot)
            .iter()
            .filter(|(leaf, (known, _))| *known == vote && !liars.contains(leaf))
            .map(|(leaf, (_, signature))| (*leaf, *signature))
            .collect();
        let certificate = Certificate { vote, votes };
        (roster.weigh(certificate.leaves()) >= roster.quorum(vote.ballot)).then_some(certificate)
    }

    /// Whether no commit can reach its quorum at the open ballot any more, however those vote who have not been heard.
    pub(super) fn is_split(&self, roster: &Roster) -> bool {
        let unheard = roster.total() - roster.weigh(self.open.keys().copied());
        let most = self.open.values().map(|(vote, _)| self.open_weight(vote.commit, roster)).max();
        most.unwrap_or(0) + unheard < roster.quorum(0)
    }

    /// Every commit somebody voted for.
    pub(super) fn commits(&self) -> impl Iterator<Item = CommitId> {
        self.open.values().chain(self.latest.values()).map(|(vote, _)| vote.commit)
    }

    fn votes(&self, ballot: u32) -> &BTreeMap<Leaf, (Vote, Signature)> {
        if ballot == 0 { &self.open } else { &self.latest }
    }

    fn open_weight(&self, commit: CommitId, roster: &Roster) -> u64 {
        roster.weigh(self.open.iter().filter(|(_, (vote, _))| vote.commit == commit).map(|(leaf, _)| *leaf))
    }
}
