//! What is known of a commit, and which of several is better.
//!
//! Nothing a committer can choose again and again until it fits decides between two authors: an admin's removals do, and
//! then the turn.

use std::collections::BTreeSet;

use mainframe_base::Fault;

use super::roster::{LEAVES_MAX, Leaf, Roster};
use crate::codec::{Reader, put_list};

/// The name of a commit: a hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommitId(pub [u8; 32]);

impl CommitId {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<CommitId, Fault> {
        reader.array().map(CommitId)
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// Somebody who has the right to do so (an admin, or the person whose device it is) has a leaf removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Removal {
    /// Who proposed it.
    pub by: Leaf,
    /// Who is to go.
    pub of: Leaf,
}

impl Removal {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Removal, Fault> {
        Ok(Removal { by: Leaf::read(reader)?, of: Leaf::read(reader)? })
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        self.by.put(out);
        self.of.put(out);
    }
}

/// A commit on the epoch, found valid before it comes here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Its name.
    pub id: CommitId,
    /// Who made it.
    pub author: Leaf,
    /// The rightful removals in it, at most [`LEAVES_MAX`].
    pub removals: Vec<Removal>,
}

impl Commit {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Commit, Fault> {
        let (id, author) = (CommitId::read(reader)?, Leaf::read(reader)?);
        Ok(Commit { id, author, removals: reader.list(LEAVES_MAX, Removal::read)? })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.author.put(out);
        put_list(out, &self.removals, |out, removal| removal.put(out));
    }

    fn removes(&self, leaf: Leaf) -> bool {
        self.removals.iter().any(|removal| removal.of == leaf)
    }
}

/// The leaves that are to go. Where two would remove each other, whose turn is sooner does, and the other's word counts no
/// more.
pub(super) fn banished(removals: impl IntoIterator<Item = Removal>, roster: &Roster) -> BTreeSet<Leaf> {
    let mut removals: Vec<_> = removals.into_iter().collect();
    removals.sort_by_key(|removal| (roster.rank(removal.by), removal.of));
    let mut banished = BTreeSet::new();
    for removal in removals {
        if !banished.contains(&removal.by) {
            banished.insert(removal.of);
        }
    }
    banished
}

/// The commit to vote for: never one by a leaf that is to go; rather not one by a proven liar; rather one that removes
/// all who are to go; else the one whose author's turn is soonest.
pub(super) fn best<'a>(
    commits: impl IntoIterator<Item = &'a Commit>,
    banished: &BTreeSet<Leaf>,
    liars: &BTreeSet<Leaf>,
    roster: &Roster,
) -> Option<&'a Commit> {
    commits.into_iter().filter(|commit| !banished.contains(&commit.author)).min_by_key(|commit| {
        let forgotten = banished.iter().filter(|leaf| !commit.removes(**leaf)).count();
        (liars.contains(&commit.author), forgotten, roster.rank(commit.author), commit.id)
    })
}

/// Which of several certified commits counts, from nothing but themselves, so that everybody who knows the same ones
/// finds the same.
pub(super) fn winner<'a>(commits: impl IntoIterator<Item = &'a Commit> + Clone, roster: &Roster) -> Option<CommitId> {
    let removals = commits.clone().into_iter().flat_map(|commit| commit.removals.iter().copied());
    let banished = banished(removals, roster);
    let order = |commit: &&Commit| (banished.contains(&commit.author), roster.rank(commit.author), commit.id);
    commits.into_iter().min_by_key(order).map(|commit| commit.id)
}

#[cfg(test)]
mod tests {
    use super::super::roster::Seat;
    use super::*;

    const NOBODY: BTreeSet<Leaf> = BTreeSet::new();

    #[test]
    fn the_soonest_turn_wins_whatever_the_names() {
        let commits = [commit(0, 2, &[]), commit(9, 1, &[])];
        assert_eq!(best(&commits, &NOBODY, &NOBODY, &roster()).unwrap().author, Leaf(1));
    }

    #[test]
    fn a_commit_by_somebody_who_is_to_go_is_never_voted_for() {
        let commits = [commit(0, 1, &[])];
        assert_eq!(best(&commits, &[Leaf(1)].into(), &NOBODY, &roster()), None);
    }

    #[test]
    fn a_commit_that_forgets_a_removal_loses_against_one_that_has_it() {
        let commits = [commit(0, 1, &[]), commit(1, 3, &[(2, 4)])];
        assert_eq!(best(&commits, &[Leaf(4)].into(), &NOBODY, &roster()).unwrap().author, Leaf(3));
        assert_eq!(best(&commits[..1], &[Leaf(4)].into(), &NOBODY, &roster()).unwrap().author, Leaf(1));
    }

    #[test]
    fn a_liar_loses_against_anybody_and_wins_against_nobody() {
        let commits = [commit(0, 1, &[]), commit(1, 4, &[])];
        assert_eq!(best(&commits, &NOBODY, &[Leaf(1)].into(), &roster()).unwrap().author, Leaf(4));
        assert_eq!(best(&commits[..1], &NOBODY, &[Leaf(1)].into(), &roster()).unwrap().author, Leaf(1));
    }

    #[test]
    fn of_two_who_remove_each_other_the_sooner_stays() {
        let removals = [Removal { by: Leaf(3), of: Leaf(2) }, Removal { by: Leaf(2), of: Leaf(3) }];
        assert_eq!(banished(removals, &roster()), [Leaf(3)].into());
    }

    #[test]
    fn among_certified_commits_a_removal_beats_the_removed_and_then_the_turn_decides() {
        let removed = commit(0, 1, &[]);
        let removing = commit(1, 3, &[(3, 1)]);
        let sooner = commit(2, 2, &[]);
        assert_eq!(winner([&removed, &removing], &roster()), Some(removing.id));
        assert_eq!(winner([&removed, &removing, &sooner], &roster()), Some(sooner.id));
        assert_eq!(winner([&removed, &sooner], &roster()), Some(removed.id));
    }

    fn commit(id: u8, author: u32, removals: &[(u32, u32)]) -> Commit {
        let removals = removals.iter().map(|(by, of)| Removal { by: Leaf(*by), of: Leaf(*of) }).collect();
        Commit { id: CommitId([id; 32]), author: Leaf(author), removals }
    }

    fn roster() -> Roster {
        Roster::new((0..5).map(|leaf| Seat { leaf: Leaf(leaf), person: leaf }).collect(), Leaf(0)).unwrap()
    }
}
