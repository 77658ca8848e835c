//! Frames go both ways, whole and in order, and there is one connection for two who dial each other.

use mainframe_base::Refusal;
use mainframe_link::{DownReason, HangupReason};

use crate::neighbour::{cell, connect, control};
use crate::{Neighbour, Over, pair};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_both_kinds_arrive_over_every_transport() {
    for over in Over::ALL {
        let (mut dialler, mut listener) = pair(over).await;
        dialler.link.send(listener.key(), control(100)).unwrap();
        listener.link.send(dialler.key(), cell(5)).unwrap();
        assert_eq!(listener.frames().await, [control(100).to_bytes()], "{over:?}");
        assert_eq!(dialler.frames().await, [cell(5).to_bytes()], "{over:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_be_dialled_without_knowing_its_key() {
    for over in Over::ALL {
        let mut dialler = Neighbour::start(over, 1).await;
        let mut listener = Neighbour::start(over, 2).await;
        dialler.link.dial(None, vec![listener.locator()]);
        assert_eq!(dialler.up().await, listener.key());
        assert_eq!(listener.up().await, dialler.key());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_cells_each_way_at_once_arrive_in_order_and_unchanged() {
    for over in Over::ALL {
        let (one, other) = pair(over).await;
        let (one, other) = (tokio::spawn(exchange(one, 50_000)), tokio::spawn(exchange(other, 50_000)));
        let (_one, _other) = (one.await.unwrap(), other.await.unwrap());
    }
}

/// Sends `count` cells to the only peer while receiving as many from it.
async fn exchange(mut neighbour: Neighbour, count: u32) -> Neighbour {
    let link = neighbour.link.clone();
    let peer = link.peers()[0];
    let sender = tokio::task::spawn_blocking(move || {
        for number in 0..count {
            while link.send(peer, cell(number)) == Err(Refusal::Busy) {
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < count {
        for frame in neighbour.frames().await {
            assert_eq!(frame, cell(expected).to_bytes());
            expected += 1;
        }
    }
    sender.await.unwrap();
    neighbour
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_dial_each_other_at_once_keep_one_connection() {
    for over in Over::ALL {
        for _ in 0..20 {
            let mut one = Neighbour::start(over, 1).await;
            let mut other = Neighbour::start(over, 2).await;
            one.link.dial(Some(other.key()), vec![other.locator()]);
            other.link.dial(Some(one.key()), vec![one.locator()]);
            assert_eq!(one.up().await, other.key());
            assert_eq!(other.up().await, one.key());
            for number in 0..100 {
                one.link.send(other.key(), cell(number)).unwrap();
                other.link.send(one.key(), cell(number)).unwrap();
            }
            one.receive(100).await;
            other.receive(100).await;
            one.link.hangup(other.key(), HangupReason::Leaving);
            assert_eq!(one.down().await, (other.key(), DownReason::HungUp));
            assert_eq!(other.down().await, (one.key(), DownReason::Closed));
        }
    }
}

impl Neighbour {
    /// Fails if anything but frames comes in between.
    async fn receive(&mut self, count: usize) {
        let mut received = 0;
        while received < count {
            received += self.frames().await.len();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_dial_to_a_neighbour_changes_nothing() {
    for over in Over::ALL {
        let (one, mut other) = pair(over).await;
        one.link.dial(Some(other.key()), vec![other.locator()]);
        one.link.dial(None, vec![other.locator()]);
        other.link.dial(None, vec![one.locator()]);
        one.link.send(other.key(), cell(1)).unwrap();
        assert_eq!(other.frames().await, [cell(1).to_bytes()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_stops_is_down_and_can_come_back() {
    for over in Over::ALL {
        let (one, mut other) = pair(over).await;
        let gone = one.key();
        one.link.shutdown().await;
        assert_eq!(other.down().await, (gone, DownReason::Closed), "{over:?}");
        assert_eq!(other.link.send(gone, cell(1)), Err(Refusal::NotConnected));
        let mut again = Neighbour::start(over, 1).await;
        connect(&mut again, &mut other).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_stops_when_nobody_holds_it() {
    let Neighbour { link, mut events } = Neighbour::start(Over::Tcp, 1).await;
    drop(link);
    assert!(events.recv().await.is_none());
}
