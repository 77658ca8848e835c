//! Comparing neighbourhoods.

use super::bench::{Bench, Stranger};
use crate::wire::{Frame, GetPeers, Neighbourhood, Peers};

/// A node with one greeted peer, whose first question is answered with nothing.
fn pair() -> (Bench, Stranger) {
    let (mut bench, peer) = (Bench::new(), Stranger::new(1));
    bench.greet(&peer);
    bench.pass(200);
    let survey = bench.question(&peer).expect("a newcomer is asked who is near us");
    bench.say(&peer, Frame::Peers(Peers { request: survey.request, records: Vec::new() }));
    bench.pass(3_000);
    (bench, peer)
}

#[test]
fn equal_beliefs_cost_no_question() {
    let (mut bench, peer) = pair();
    // At depth zero both sides believe in the same two nodes, so our own belief is what the peer's should be.
    let belief = bench.belief(&peer).expect("a neighbour is told");
    let before = bench.question(&peer);
    bench.say(&peer, Frame::Neighbourhood(belief));
    assert_eq!(bench.question(&peer), before);
}

#[test]
fn a_belief_that_differs_from_ours_makes_us_ask_about_its_owner_but_not_at_once_again() {
    let (mut bench, peer) = pair();
    let other = Neighbourhood { depth: 0, count: 2, digest: [1; 16] };
    bench.say(&peer, Frame::Neighbourhood(other));
    let question = bench.question(&peer).unwrap();
    assert_eq!(question.target, peer.record_address());
    bench.say(&peer, Frame::Peers(Peers { request: question.request, records: Vec::new() }));
    bench.say(&peer, Frame::Neighbourhood(other));
    assert_eq!(bench.question(&peer).unwrap().request, question.request);
    bench.pass(5_000);
    bench.say(&peer, Frame::Neighbourhood(other));
    assert_ne!(bench.question(&peer).unwrap().request, question.request);
}

#[test]
fn whoever_asks_about_our_own_address_is_asked_back() {
    let (mut bench, peer) = pair();
    let before = bench.question(&peer).unwrap();
    let ours = *bench.node.neighbours().me();
    bench.say(&peer, Frame::GetPeers(GetPeers { request: 1, target: ours, limit: 20 }));
    let question = bench.question(&peer).unwrap();
    assert_ne!(question.request, before.request);
    assert_eq!(question.target, ours);
}

#[test]
fn a_belief_of_a_region_we_do_not_lie_in_is_not_compared() {
    let (mut bench, peer) = pair();
    let before = bench.question(&peer);
    let depth = bench.node.neighbours().me().proximity(&peer.record_address()) as u8 + 1;
    bench.say(&peer, Frame::Neighbourhood(Neighbourhood { depth, count: 9, digest: [1; 16] }));
    assert_eq!(bench.question(&peer), before);
}
