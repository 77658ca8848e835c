//! Peers and nodes that do not read: bounded, told apart, and nothing lost.

use bytes::Bytes;
use mainframe_base::{Fault, Refusal};
use mainframe_link::{DownReason, LinkEvent, OutFrame};

use crate::neighbour::{cell, connect, control};
use crate::{Neighbour, Over};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_listen_loses_nothing() {
    for over in Over::ALL {
        let mut sender = Neighbour::start_with(over, 1, 64, |config| config.queue_bytes_max = 1 << 20).await;
        let mut sleeper = Neighbour::start_with(over, 2, 4, |_| {}).await;
        connect(&mut sender, &mut sleeper).await;
        let accepted = fill_with_cells(&sender, &sleeper);
        sender.link.send(sleeper.key(), control(1)).unwrap();
        let mut frames = Vec::new();
        while frames.len() <= accepted as usize {
            frames.extend(sleeper.frames().await);
        }
        frames.retain(|frame| *frame != control(1).to_bytes());
        assert!(frames.into_iter().eq((0..accepted).map(|number| cell(number).to_bytes())), "{over:?}");
    }
}

/// Sends numbered cells until one is refused; how many were accepted.
fn fill_with_cells(sender: &Neighbour, sleeper: &Neighbour) -> u32 {
    let mut accepted = 0;
    loop {
        match sender.link.send(sleeper.key(), cell(accepted)) {
            Ok(()) => accepted += 1,
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Busy);
                return accepted;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_of_cells_is_busy_and_a_full_queue_of_control_frames_ends_the_connection() {
    for over in Over::ALL {
        let mut sender = Neighbour::start_with(over, 1, 64, |config| config.queue_bytes_max = 1 << 20).await;
        let mut sleeper = Neighbour::start_with(over, 2, 2, |_| {}).await;
        connect(&mut sender, &mut sleeper).await;
        fill(&sender, &sleeper, &cell(0));
        fill(&sender, &sleeper, &control(16_384));
        let LinkEvent::Fault { peer, fault } = sender.next().await else { panic!("no fault") };
        assert_eq!((peer, fault), (sleeper.key(), Fault::NotReading));
        assert_eq!(sender.down().await, (sleeper.key(), DownReason::HungUp));
        assert_eq!(sender.link.queued_bytes().bytes, 0);
    }
}

/// Queues the frame until it is refused a thousand times running, while nobody listens at the other end.
fn fill(sender: &Neighbour, sleeper: &Neighbour, frame: &OutFrame) {
    let mut refused = 0;
    while refused < 1_000 {
        match sender.link.send(sleeper.key(), frame.clone()) {
            Ok(()) => refused = 0,
            Err(Refusal::NotConnected) => return,
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Busy);
                refused += 1;
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_frame_ends_that_connection_only_after_the_frames_before_it() {
    let oversized =
        OutFrame { head: Bytes::from_static(&[2, 1, 0, 0, 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0, 0, 0]), cell: None };
    let unknown = OutFrame { head: Bytes::from_static(&[0xEE; 16]), cell: None };
    for over in Over::ALL {
        for (frame, expected) in [(oversized.clone(), Fault::Oversized), (unknown.clone(), Fault::UnknownFrame)] {
            let mut broken = Neighbour::start(over, 1).await;
            let mut sound = Neighbour::start(over, 3).await;
            let mut node = Neighbour::start(over, 2).await;
            connect(&mut broken, &mut node).await;
            connect(&mut sound, &mut node).await;
            broken.link.send(node.key(), control(1)).unwrap();
            broken.link.send(node.key(), frame).unwrap();
            assert_eq!(node.frames().await, [control(1).to_bytes()]);
            let LinkEvent::Fault { peer, fault } = node.next().await else { panic!("no fault") };
            assert_eq!((peer, fault), (broken.key(), expected));
            assert_eq!(node.down().await, (broken.key(), DownReason::HungUp));
            sound.link.send(node.key(), cell(1)).unwrap();
            assert_eq!(node.frames().await, [cell(1).to_bytes()]);
        }
    }
}
