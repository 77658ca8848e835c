//! Peers that do not keep to the rules: each is found out, hung up and left alone, and nothing of ours grows.

use mainframe_base::{Address, Fault, NetworkId, Role};

use super::bench::{Bench, NETWORK, START, Stranger};
use crate::crypto::{NodeKeys, NodeRecord};
use crate::overlay::{Goodbye, OverlayConfig, OverlayOut, OverlayWish};
use crate::wire::{Frame, GetPeers, Hello, Neighbourhood, Peers};

fn expect_fault(hello: impl FnOnce(&Stranger) -> Hello, fault: Fault) {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.up(&liar);
    let hello = hello(&liar);
    bench.say(&liar, Frame::Hello(Box::new(hello)));
    assert_eq!(bench.faults(&liar), [fault]);
    assert!(bench.hung_up(&liar));
    assert!(bench.node.neighbours().all().is_empty());
    bench.out = OverlayOut::default();
    bench.up(&liar);
    assert_eq!(bench.out.wishes, [OverlayWish::Hangup(liar.key(), Goodbye::Pruned)]);
}

#[test]
fn a_hello_of_another_network_is_a_fault() {
    expect_fault(|liar| liar.hello_as(NetworkId(8), Role::Relay), Fault::WrongNetwork);
    expect_fault(|liar| Hello { network: NETWORK, ..liar.hello_as(NetworkId(8), Role::Relay) }, Fault::WrongNetwork);
}

#[test]
fn a_hello_of_someone_else_is_a_fault() {
    expect_fault(|_| Stranger::new(2).hello(), Fault::WrongPeer);
}

#[test]
fn a_hello_with_an_altered_record_is_a_fault() {
    let altered = |liar: &Stranger| {
        let mut hello = liar.hello();
        hello.record.sequence += 1;
        hello
    };
    expect_fault(altered, Fault::BadSignature);
}

#[test]
fn an_address_that_does_not_follow_from_the_account_is_a_fault() {
    let other_seed = |liar: &Stranger| Hello { binding: liar.keys.binding(NETWORK, &[1; 32]), ..liar.hello() };
    expect_fault(other_seed, Fault::WrongAddress);
    let other_account =
        |liar: &Stranger| Hello { binding: Stranger::new(2).keys.binding(NETWORK, &[0; 32]), ..liar.hello() };
    expect_fault(other_account, Fault::WrongAddress);
}

#[test]
fn nothing_but_hello_counts_before_hello_and_little_is_forgiven() {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.up(&liar);
    let belief = Frame::Neighbourhood(Neighbourhood { depth: 0, count: 0, digest: [0; 16] });
    for _ in 0..64 {
        bench.say(&liar, belief.clone());
    }
    assert_eq!(bench.faults(&liar), []);
    bench.say(&liar, belief);
    assert_eq!(bench.faults(&liar), [Fault::OutOfOrder]);
}

#[test]
fn a_peer_that_never_says_hello_is_hung_up_after_ten_seconds() {
    let (mut bench, silent) = (Bench::new(), Stranger::new(1));
    bench.up(&silent);
    bench.pass(9_900);
    assert_eq!(bench.faults(&silent), []);
    assert_eq!(bench.hellos_sent(), 5);
    bench.pass(200);
    assert_eq!(bench.faults(&silent), [Fault::Silent]);
}

#[test]
fn hello_twice_is_harmless_and_another_hello_is_a_fault() {
    let (mut bench, peer) = (Bench::new(), Stranger::new(1));
    bench.greet(&peer);
    bench.say(&peer, Frame::Hello(Box::new(peer.hello())));
    assert_eq!(bench.hellos_sent(), 1);
    bench.now = bench.now + 2_000;
    bench.say(&peer, Frame::Hello(Box::new(peer.hello())));
    assert_eq!(bench.hellos_sent(), 2, "whoever repeats its Hello has not heard ours");
    assert_eq!(bench.faults(&peer), []);
    bench.say(&peer, Frame::Hello(Box::new(peer.hello_as(NETWORK, Role::Guest))));
    assert_eq!(bench.faults(&peer), [Fault::OutOfOrder]);
}

#[test]
fn a_newer_record_of_a_greeted_peer_replaces_the_old_one() {
    let (mut bench, peer) = (Bench::new(), Stranger::new(1));
    bench.greet(&peer);
    let newer = Hello { record: peer.record(NETWORK, Role::Relay, 9), ..peer.hello() };
    bench.say(&peer, Frame::Hello(Box::new(newer)));
    bench.say(&peer, Frame::Hello(Box::new(peer.hello())));
    assert_eq!(bench.node.record_of(&peer.key()).unwrap().sequence, 9);
    assert_eq!(bench.faults(&peer), []);
}

#[test]
fn an_unasked_answer_is_a_fault() {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.greet(&liar);
    bench.say(&liar, Frame::Peers(Peers { request: 0, records: Vec::new() }));
    assert_eq!(bench.faults(&liar), [Fault::Unasked]);
    assert_eq!(bench.node.known(), 1);
}

#[test]
fn more_records_than_asked_for_are_a_fault() {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.greet(&liar);
    bench.pass(200);
    let question = bench.question(&liar).expect("a newcomer is asked who is near us");
    let records = (2..=22).map(|number| Stranger::new(number).record(NETWORK, Role::Relay, 1)).collect();
    bench.say(&liar, Frame::Peers(Peers { request: question.request, records }));
    assert_eq!(bench.faults(&liar), [Fault::Oversized]);
    assert_eq!(bench.node.known(), 1);
}

#[test]
fn records_of_guests_of_other_networks_or_with_bad_signatures_are_faults() {
    let forged = NodeRecord { sequence: 2, ..Stranger::new(5).record(NETWORK, Role::Relay, 1) };
    let cases = [
        (Stranger::new(5).record(NETWORK, Role::Guest, 1), Fault::Impossible),
        (Stranger::new(5).record(NetworkId(8), Role::Relay, 1), Fault::WrongNetwork),
        (forged, Fault::BadSignature),
    ];
    for (record, fault) in cases {
        let (mut bench, liar) = (Bench::new(), Stranger::new(1));
        bench.greet(&liar);
        bench.pass(200);
        let question = bench.question(&liar).expect("a newcomer is asked who is near us");
        bench.say(&liar, Frame::Peers(Peers { request: question.request, records: vec![record] }));
        assert_eq!(bench.faults(&liar), [fault]);
    }
}

/// Every record is honestly signed, by keys that stand nowhere: only dialling shows that they are worthless.
#[test]
fn ten_thousand_false_records_neither_fill_the_book_nor_make_us_dial_them() {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.greet(&liar);
    let mut told = 0;
    let mut last_request = 0;
    let mut number = 100;
    let mut known_max = 0;
    while told < 10_000 && bench.now < START + 3 * 3_600_000 {
        bench.pass(100);
        if let Some(question) = bench.question(&liar).filter(|question| question.request != last_request) {
            last_request = question.request;
            let records: Vec<NodeRecord> = (0..question.limit)
                .map(|_| {
                    number += 1;
                    Stranger::new(number).record(NETWORK, Role::Relay, 1)
                })
                .collect();
            told += records.len();
            bench.say(&liar, Frame::Peers(Peers { request: question.request, records }));
        }
        for wish in std::mem::take(&mut bench.out.wishes) {
            if let OverlayWish::Dial { peer, locators } = wish {
                bench.node.dial_failed(bench.now, peer, locators[0], &mut bench.out);
            }
        }
        known_max = known_max.max(bench.node.known());
    }
    println!("told {told}, known at most {known_max}, known {}", bench.node.known());
    assert!(told < 1_000, "a peer whose hints are false is not asked for more: {told}");
    assert!(known_max <= OverlayConfig::default().known_max);
    let unasked = Peers { request: 0, records: vec![Stranger::new(9).record(NETWORK, Role::Relay, 1); 20] };
    for _ in 0..500 {
        bench.say(&liar, Frame::Peers(unasked.clone()));
    }
    assert_eq!(bench.faults(&liar), [Fault::Unasked]);
}

#[test]
fn a_flood_of_questions_is_a_fault() {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.greet(&liar);
    for request in 0..1_000 {
        bench.say(&liar, Frame::GetPeers(GetPeers { request, target: Address([0; 32]), limit: 20 }));
    }
    assert_eq!(bench.faults(&liar), [Fault::Flood]);
    let answers = bench.out.wishes.iter().filter(|wish| matches!(wish, OverlayWish::Send(_, Frame::Peers(_)))).count();
    assert!(answers < 200, "{answers}");
}

#[test]
fn a_peer_that_answers_nothing_is_silent() {
    let (mut bench, silent) = (Bench::new(), Stranger::new(1));
    bench.greet(&silent);
    bench.pass(30_000);
    assert_eq!(bench.faults(&silent), [Fault::Silent]);
    assert_eq!(bench.dials(), 0);
    bench.out = OverlayOut::default();
    bench.pass(60_000);
    assert!(bench.dials() > 0, "silence is forgiven sooner than lies");
}

#[test]
fn a_second_node_with_the_same_address_is_turned_away() {
    let (mut bench, first) = (Bench::new(), Stranger::new(1));
    bench.greet(&first);
    let link = Stranger::new(2).keys.link_secret();
    let keys = NodeKeys::from_secrets(first.keys.chain_secret(), link).unwrap();
    let second = Stranger { keys, locator: first.locator };
    bench.up(&second);
    bench.say(&second, Frame::Hello(Box::new(second.hello())));
    assert!(bench.hung_up(&second));
    assert_eq!(bench.node.neighbours().all().len(), 1);
}

#[test]
fn a_fault_found_elsewhere_is_treated_like_our_own() {
    let (mut bench, liar) = (Bench::new(), Stranger::new(1));
    bench.greet(&liar);
    bench.node.fault(bench.now, liar.key(), Fault::WrongReserve, &mut bench.out);
    assert!(bench.hung_up(&liar));
    assert!(!bench.node.is_greeted(&liar.key()));
    bench.node.fault(bench.now, liar.key(), Fault::WrongReserve, &mut bench.out);
    assert_eq!(bench.faults(&liar), [Fault::WrongReserve]);
}
