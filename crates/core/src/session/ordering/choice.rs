//! What a ballot's owner must propose, from what others told it they voted for.

use std::collections::BTreeSet;

use super::commit::CommitId;
use super::roster::{Leaf, Roster};
use super::statement::{QuotedPromise, Vote};

/// The commit that may already be certified below the ballot these promises are for; none if nothing can be.
///
/// A vote at an owned ballot overrules all before it. At the open ballot a commit may be certified unseen if it would be,
/// had everyone who is not quoted voted for it; by the open quorum's weight that holds of at most one.
pub(super) fn forced(promises: &[QuotedPromise], roster: &Roster) -> Option<CommitId> {
    let votes = || promises.iter().filter_map(|quote| quote.accepted.map(|vote| (quote.leaf, vote)));
    let (_, latest) = votes().max_by_key(|(_, vote)| *vote)?;
    if latest.ballot > 0 {
        return Some(latest.commit);
    }
    let unheard = roster.total() - roster.weigh(promises.iter().map(|quote| quote.leaf));
    let candidates: BTreeSet<CommitId> = votes().map(|(_, vote)| vote.commit).collect();
    candidates.into_iter().find(|commit| unheard + weight_for(votes(), *commit, roster) >= roster.quorum(0))
}

/// Whether these promises are enough to propose on.
pub(super) fn suffices(promises: &[QuotedPromise], roster: &Roster) -> bool {
    roster.weigh(promises.iter().map(|quote| quote.leaf)) >= roster.majority()
}

fn weight_for(votes: impl Iterator<Item = (Leaf, Vote)>, commit: CommitId, roster: &Roster) -> u64 {
    roster.weigh(votes.filter(|(_, vote)| vote.commit == commit).map(|(leaf, _)| leaf))
}

#[cfg(test)]
mod tests {
    use super::super::roster::Seat;
    use super::super::statement::Signature;
    use super::*;

    #[test]
    fn nothing_is_forced_where_nobody_voted() {
        assert_eq!(forced(&[none(0), none(1), none(2)], &roster()), None);
    }

    #[test]
    fn what_may_be_certified_unseen_at_the_open_ballot_is_forced() {
        // Of five, four certify at ballot 0: two seen and two unseen may, one seen and two unseen may not.
        assert_eq!(forced(&[voted(0, 0, 7), voted(1, 0, 7), voted(2, 0, 8)], &roster()), Some(CommitId([7; 32])));
        assert_eq!(forced(&[voted(0, 0, 7), none(1), voted(2, 0, 8)], &roster()), None);
        assert_eq!(forced(&[voted(0, 0, 7), voted(1, 0, 7), none(2), none(3)], &roster()), None);
    }

    #[test]
    fn the_latest_owned_ballot_overrules_all_before_it() {
        let promises = [voted(0, 0, 7), voted(1, 0, 7), voted(2, 3, 8), voted(3, 2, 9)];
        assert_eq!(forced(&promises, &roster()), Some(CommitId([8; 32])));
    }

    #[test]
    fn whatever_was_certified_at_the_open_ballot_is_forced_by_any_majority() {
        for silent in 0..5 {
            for dissenter in 0..5 {
                let promises: Vec<_> = (0..5)
                    .filter(|leaf| *leaf != silent && *leaf != (silent + 1) % 5)
                    .map(|leaf| voted(leaf, 0, if leaf == dissenter { 8 } else { 7 }))
                    .collect();
                assert!(suffices(&promises, &roster()));
                assert_eq!(
                    forced(&promises, &roster()),
                    Some(CommitId([7; 32])),
                    "{silent} silent, {dissenter} against"
                );
            }
        }
    }

    fn none(leaf: u32) -> QuotedPromise {
        QuotedPromise { leaf: Leaf(leaf), accepted: None, signature: Signature([0; 64]) }
    }

    fn voted(leaf: u32, ballot: u32, commit: u8) -> QuotedPromise {
        QuotedPromise { accepted: Some(Vote { ballot, commit: CommitId([commit; 32]) }), ..none(leaf) }
    }

    fn roster() -> Roster {
        Roster::new((0..5).map(|leaf| Seat { leaf: Leaf(leaf), person: leaf }).collect(), Leaf(0)).unwrap()
    }
}
