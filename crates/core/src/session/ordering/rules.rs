//! The rules of the decision, one by one, seen by a single member.

use proptest::prelude::*;

use super::world::{DELAY_MS, Seal};
use super::*;

/// Long enough for every vote at the open ballot, too short for the next.
const VOTED: Time = Time(5 * DELAY_MS);

#[test]
fn nobody_votes_before_it_had_time_to_see_a_better_one() {
    let mut member = Alone::of(5);
    member.sees(commit(2, 2));
    assert_eq!(member.votes(), []);
    member.sees(commit(9, 1));
    member.wake(VOTED);
    assert_eq!(member.votes(), [(0, 9)]);
}

#[test]
fn what_is_said_is_kept_first_and_a_vote_is_applied_at_once() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.out = OrderingOut::default();
    member.wake(VOTED);
    assert_eq!(member.out.wishes[..2], [Wish::Keep, Wish::Apply(id(1))]);
    assert!(matches!(member.out.wishes[2], Wish::Say(_)));
}

#[test]
fn four_of_five_certify_at_the_open_ballot_and_three_do_not() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    member.hears(1, vote(0, 1));
    member.hears(2, vote(0, 1));
    assert_eq!(member.ordering.final_commit(), None);
    member.hears(3, vote(0, 1));
    assert_eq!(member.ordering.final_commit(), Some(id(1)));
    assert_eq!(member.out.facts, [OrderingFact::Final(id(1))]);
}

#[test]
fn after_another_was_certified_it_is_applied_instead() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    (1..5).for_each(|leaf| member.hears(leaf, vote(0, 2)));
    assert!(member.out.wishes.contains(&Wish::Need(id(2))));
    assert_eq!(member.ordering.final_commit(), None, "not before it was seen");
    member.sees(commit(2, 2));
    assert_eq!(member.applied(), [id(1), id(2)]);
    assert_eq!(member.out.facts, [OrderingFact::Final(id(2))]);
}

#[test]
fn one_person_needs_nobody() {
    let mut member = Alone::with(&[7, 7, 7]);
    member.sees(commit(2, 2));
    assert_eq!(member.out.facts, [OrderingFact::Final(id(2))]);
    member.sees(commit(1, 1));
    assert_eq!(member.out.facts[1], OrderingFact::Forked { winner: id(1), losers: vec![id(2)] });
}

#[test]
fn who_promised_votes_at_no_lower_ballot() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.hears(2, Statement::Prepare(2));
    assert_eq!(member.promises(), [(2, None)]);
    member.wake(VOTED);
    assert_eq!(member.votes(), []);
    member.hears(1, Statement::Prepare(1));
    assert_eq!(member.promises(), [(2, None)]);
}

#[test]
fn a_promise_tells_the_latest_vote_and_lives_through_a_restart() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    member.restart();
    member.hears(1, Statement::Prepare(1));
    assert_eq!(member.promises(), [(1, Some((0, 1)))]);
    member.restart();
    member.wake(VOTED);
    assert_eq!(member.votes(), [(0, 1)], "no second vote");
}

#[test]
fn a_promise_is_kept_before_it_is_said_and_said_again_by_who_knows_nothing_else() {
    let mut member = Alone::of(5);
    member.hears(1, Statement::Prepare(1));
    assert_eq!(member.out.wishes[0], Wish::Keep);
    assert_eq!(member.promises(), [(1, None)]);
    let again = member.ordering.next_wake().expect("somebody may know more");
    member.wake(again);
    assert_eq!(member.promises(), [(1, None), (1, None)]);
}

#[test]
fn nobody_opens_a_ballot_that_is_not_its_own() {
    let mut member = Alone::of(5);
    assert_eq!(member.tries(3, Statement::Prepare(1)), Err(Fault::Impossible));
    assert_eq!(member.promises(), []);
}

#[test]
fn a_proposal_stands_on_a_majority_of_promises_that_allow_it() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.sees(commit(2, 2));
    let few = propose(1, 1, &[(1, None), (2, None)]);
    assert_eq!(member.tries(1, few), Err(Fault::BadSignature));
    let against_a_vote = propose(1, 1, &[(1, None), (2, Some((0, 2))), (3, Some((0, 2)))]);
    assert_eq!(member.tries(1, against_a_vote), Err(Fault::Impossible));
    assert_eq!(member.out.facts, [OrderingFact::Equivocated(Leaf(1))]);
    member.hears(2, propose(2, 2, &[(1, None), (2, Some((0, 2))), (3, Some((0, 2)))]));
    assert_eq!(member.votes(), [(2, 2)]);
}

#[test]
fn an_owner_proposes_what_may_count_already() {
    let mut member = Alone::with_last_committer(5, 4);
    member.sees(commit(1, 1));
    member.sees(commit(2, 2));
    member.hears(1, vote(0, 2));
    member.wake(VOTED);
    member.wake(Time(60 * DELAY_MS));
    member.hears(1, promise(1, Some((0, 2))));
    member.hears(2, promise(1, Some((0, 2))));
    assert_eq!(member.votes(), [(0, 1), (1, 2)]);
}

#[test]
fn nobody_votes_for_who_is_to_go_unless_somebody_who_stays_did() {
    let gone = Removal { by: Leaf(3), of: Leaf(1) };
    let mut member = Alone::of(5);
    member.removal(gone);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    assert_eq!(member.votes(), []);
    member.hears(2, propose(2, 1, &[(1, Some((0, 1))), (2, None), (3, None), (4, None)]));
    assert_eq!(member.votes(), [], "only he says so himself");
    member.hears(3, propose(3, 1, &[(2, Some((0, 1))), (3, Some((0, 1))), (4, None)]));
    assert_eq!(member.votes(), [(3, 1)]);
}

#[test]
fn who_votes_or_commits_twice_is_a_proven_liar_and_counts_no_more() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    member.hears(3, vote(0, 1));
    member.hears(3, vote(0, 2));
    assert_eq!(member.out.facts, [OrderingFact::Equivocated(Leaf(3))]);
    member.hears(1, vote(0, 1));
    member.hears(2, vote(0, 1));
    assert_eq!(member.ordering.final_commit(), None);
    member.sees(commit(4, 1));
    assert_eq!(member.out.facts[1..], [OrderingFact::Equivocated(Leaf(1))]);
}

#[test]
fn a_certificate_convinces_whoever_was_away_and_a_forged_one_nobody() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    assert_eq!(member.tries(4, certificate(0, 1, &[1, 2, 3])), Err(Fault::BadSignature));
    let Statement::Certificate { certificate: mut forged, .. } = certificate(0, 1, &[1, 2, 3, 4]) else {
        unreachable!()
    };
    forged.votes[2].1 = Signature([0; 64]);
    assert_eq!(
        member.tries(4, Statement::Certificate { certificate: forged, unheard: Vec::new() }),
        Err(Fault::BadSignature)
    );
    member.hears(4, certificate(0, 1, &[1, 2, 3, 4]));
    assert_eq!(member.out.facts, [OrderingFact::Final(id(1))]);
}

#[test]
fn who_was_not_heard_from_says_that_he_knows_and_nobody_else_does() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.hears(4, certificate(0, 1, &[1, 2, 3, 4]));
    assert!(!member.said().any(|said| matches!(said, Statement::Known(_))), "it was not asked");
    let Statement::Certificate { certificate, .. } = certificate(0, 1, &[1, 2, 3, 4]) else { unreachable!() };
    let shown = Statement::Certificate { certificate, unheard: vec![Leaf(0)] };
    let answers = |member: &Alone| member.said().filter(|said| **said == Statement::Known(id(1))).count();
    (2..5).for_each(|leaf| member.hears(leaf, shown.clone()));
    assert_eq!(answers(&member), 1, "once to all who ask at once");
    member.wake(Time(60 * DELAY_MS));
    member.hears(4, shown);
    assert_eq!(answers(&member), 2, "for the answer may have been lost");
}

#[test]
fn who_shows_what_counts_names_those_it_has_not_heard_from() {
    let mut member = Alone::of(7);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    member.hears(5, Statement::Ask);
    (1..5).for_each(|leaf| member.hears(leaf, vote(0, 1)));
    assert!(member.ordering.final_commit().is_none(), "six of seven are needed");
    member.hears(4, certificate(0, 1, &[0, 1, 2, 3, 4, 5]));
    member.wake(Time(60 * DELAY_MS));
    let unheard = member.said().filter_map(|said| {
        if let Statement::Certificate { unheard, .. } = said { Some(unheard.clone()) } else { None }
    });
    assert_eq!(unheard.last(), Some(vec![Leaf(6)]));
}

#[test]
fn when_all_were_heard_from_a_restart_makes_nobody_say_it_again() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.wake(VOTED);
    (1..5).for_each(|leaf| member.hears(leaf, vote(0, 1)));
    member.wake(Time(60 * DELAY_MS));
    let said = member.said().count();
    member.restart();
    member.wake(Time(90 * DELAY_MS));
    assert_eq!(member.said().count(), said);
    assert_eq!(member.ordering.next_wake(), None);
}

#[test]
fn of_two_certified_commits_everybody_finds_the_same_winner() {
    for order in [[1, 2], [2, 1]] {
        let mut member = Alone::of(5);
        member.sees(commit(1, 1));
        member.sees(commit(2, 2));
        order.into_iter().for_each(|commit| member.hears(4, certificate(0, commit, &[1, 2, 3, 4])));
        assert_eq!(member.out.facts.last(), Some(&OrderingFact::Forked { winner: id(1), losers: vec![id(2)] }));
        assert_eq!(member.applied().last(), Some(&id(1)));
    }
}

#[test]
fn everybody_waits_for_its_turn_and_lets_nobody_push_in() {
    let turn_ms = 8 * DELAY_MS;
    let mut member = Alone::with_last_committer(5, 2);
    assert_eq!(member.ordering.may_commit_at(Time(7)), Some(Time(7 + 2 * turn_ms)), "two turns are before ours");
    member.sees(commit(1, 1));
    assert_eq!(member.ordering.may_commit_at(Time(0)), Some(Time(0)), "its turn comes after ours");
    assert_eq!(member.ordering.may_commit_at(Time(9)), Some(Time(9)), "also if we want something only now");
    member.wake(VOTED);
    assert_eq!(member.ordering.may_commit_at(Time(9)), None, "but not when we have voted");
    let mut member = Alone::with_last_committer(5, 2);
    member.sees(commit(3, 3));
    assert_eq!(member.ordering.may_commit_at(Time(0)), None, "it had its turn");
}

#[test]
fn after_a_day_everybody_burns_the_way_back_and_goes_on_when_somebody_is_heard() {
    let mut member = Alone::of(5);
    member.sees(commit(1, 1));
    member.wake(Time(GIVE_UP_AFTER_MS - 1));
    assert_eq!(member.out.facts, []);
    member.wake(Time(GIVE_UP_AFTER_MS));
    assert_eq!(member.out.facts, [OrderingFact::GaveUp]);
    assert_eq!(member.ordering.may_commit_at(Time(0)), None);
    // It goes on to say what it voted for, once an hour.
    let later = Time(GIVE_UP_AFTER_MS + 3_600_000);
    member.out = OrderingOut::default();
    member.wake(later);
    assert_eq!(member.out.wishes.len(), 1);
    assert!(member.ordering.next_wake().is_some_and(|at| at.since_ms(later) <= 3_600_000));
    member.hears(4, certificate(0, 1, &[1, 2, 3, 4]));
    assert_eq!(member.out.facts, [OrderingFact::Final(id(1))]);
}

proptest! {
    #[test]
    fn what_is_kept_reads_back_and_bent_bytes_are_something_else_or_nothing(
        words in proptest::collection::vec((1..5_u32, 0..4_u8, 1..6_u32, 1..4_u8), 0..12),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut member = Alone::of(5);
        member.removal(Removal { by: Leaf(3), of: Leaf(4) });
        for (from, kind, ballot, id) in words {
            match kind {
                0 => member.sees(commit(id, from)),
                1 => drop(member.tries(from, vote(ballot, id))),
                2 => drop(member.tries(from, Statement::Prepare(ballot))),
                _ => drop(member.tries(from, certificate(0, id, &[1, 2, 3, 4]))),
            }
        }
        let mut bytes = member.ordering.encode();
        let pace = Pace::from_delay(DELAY_MS);
        prop_assert_eq!(Ordering::decode(&bytes, pace).unwrap().durable, member.ordering.durable.clone());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Ordering::decode(&bytes, pace) {
            prop_assert_eq!(other.encode(), bytes);
            let mut bent = Alone { ordering: other, out: OrderingOut::default(), now: VOTED };
            bent.wake(Time(60 * DELAY_MS));
        }
    }
}

/// Leaf 0, and what it said so far.
struct Alone {
    ordering: Ordering,
    out: OrderingOut,
    now: Time,
}

impl Alone {
    fn of(persons: u32) -> Alone {
        Alone::with_last_committer(persons, 0)
    }

    fn with(persons: &[u32]) -> Alone {
        Alone::seated(persons, 0)
    }

    fn with_last_committer(persons: u32, last_committer: u32) -> Alone {
        Alone::seated(&(0..persons).collect::<Vec<_>>(), last_committer)
    }

    fn seated(persons: &[u32], last_committer: u32) -> Alone {
        let seats = (0..).zip(persons).map(|(leaf, person)| Seat { leaf: Leaf(leaf), person: *person }).collect();
        let roster = Roster::new(seats, Leaf(last_committer)).unwrap();
        let ordering = Ordering::new(Leaf(0), roster, Pace::from_delay(DELAY_MS));
        Alone { ordering, out: OrderingOut::default(), now: Time(0) }
    }

    fn wake(&mut self, now: Time) {
        self.now = now;
        self.ordering.wake(&mut OrderingScene { now, notary: &Seal(Leaf(0)), out: &mut self.out });
    }

    fn sees(&mut self, commit: Commit) {
        let mut scene = OrderingScene { now: self.now, notary: &Seal(Leaf(0)), out: &mut self.out };
        self.ordering.commit_seen(commit, &mut scene);
    }

    fn removal(&mut self, removal: Removal) {
        let mut scene = OrderingScene { now: self.now, notary: &Seal(Leaf(0)), out: &mut self.out };
        self.ordering.removal_proposed(removal, &mut scene);
    }

    fn tries(&mut self, from: u32, statement: Statement) -> Result<(), Fault> {
        let signed = Signed::by(Leaf(from), statement, &Seal(Leaf(from)));
        let mut scene = OrderingScene { now: self.now, notary: &Seal(Leaf(0)), out: &mut self.out };
        self.ordering.heard(&signed, &mut scene)
    }

    fn hears(&mut self, from: u32, statement: Statement) {
        self.tries(from, statement).unwrap();
    }

    fn restart(&mut self) {
        self.ordering = Ordering::decode(&self.ordering.encode(), Pace::from_delay(DELAY_MS)).unwrap();
    }

    fn said(&self) -> impl Iterator<Item = &Statement> {
        self.out.wishes.iter().filter_map(|wish| match wish {
            Wish::Say(signed) => Some(&signed.statement),
            Wish::Keep | Wish::Apply(_) | Wish::Need(_) => None,
        })
    }

    fn votes(&self) -> Vec<(u32, u8)> {
        let mut votes: Vec<_> = self
            .said()
            .filter_map(|statement| if let Statement::Vote(vote) = statement { Some(plain(*vote)) } else { None })
            .collect();
        votes.dedup();
        votes
    }

    fn promises(&self) -> Vec<(u32, Option<(u32, u8)>)> {
        self.said()
            .filter_map(|statement| {
                if let Statement::Promise(promise) = statement {
                    Some((promise.ballot, promise.accepted.map(plain)))
                } else {
                    None
                }
            })
            .collect()
    }

    fn applied(&self) -> Vec<CommitId> {
        let apply = |wish: &Wish| if let Wish::Apply(id) = wish { Some(*id) } else { None };
        self.out.wishes.iter().filter_map(apply).collect()
    }
}

fn id(number: u8) -> CommitId {
    CommitId([number; 32])
}

fn commit(number: u8, author: u32) -> Commit {
    Commit { id: id(number), author: Leaf(author), removals: Vec::new() }
}

fn plain(vote: Vote) -> (u32, u8) {
    (vote.ballot, vote.commit.0[0])
}

fn full((ballot, commit): (u32, u8)) -> Vote {
    Vote { ballot, commit: id(commit) }
}

fn vote(ballot: u32, commit: u8) -> Statement {
    Statement::Vote(full((ballot, commit)))
}

fn promise(ballot: u32, accepted: Option<(u32, u8)>) -> Statement {
    Statement::Promise(Promise { ballot, accepted: accepted.map(full) })
}

fn propose(ballot: u32, commit: u8, promises: &[(u32, Option<(u32, u8)>)]) -> Statement {
    let quote = |(leaf, accepted): &(u32, Option<(u32, u8)>)| {
        let signature = Seal(Leaf(*leaf)).sign(&promise(ballot, *accepted).encode());
        QuotedPromise { leaf: Leaf(*leaf), accepted: accepted.map(full), signature }
    };
    Statement::Propose(Proposal { vote: full((ballot, commit)), promises: promises.iter().map(quote).collect() })
}

fn certificate(ballot: u32, commit: u8, leaves: &[u32]) -> Statement {
    let sign = |leaf: &u32| (Leaf(*leaf), Seal(Leaf(*leaf)).sign(&vote(ballot, commit).encode()));
    let votes = leaves.iter().map(sign).collect();
    Statement::Certificate { certificate: Certificate { vote: full((ballot, commit)), votes }, unheard: Vec::new() }
}
