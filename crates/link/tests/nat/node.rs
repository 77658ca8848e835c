//! A link in a namespace, and what it heard.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

use mainframe_base::{LinkKey, Locator, Secret};
use mainframe_link::{DownReason, Link, LinkConfig, LinkEvent, OutFrame};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::oneshot;

use crate::world::{FORKS, Place};

/// Longer than anything here takes on a busy machine; nothing is timed by it.
const HANG: Duration = Duration::from_secs(150);

/// A link whose sockets are in another network. Threads stand in one network each, so it has a thread of its own.
pub(crate) struct Node {
    pub(crate) link: Link,
    events: Receiver<LinkEvent>,
    heard: Vec<LinkEvent>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Listens at port 4001 of every address, over TCP and QUIC.
    pub(crate) async fn start(place: &Place, seed: u8) -> Node {
        Node::start_with(place, seed, |_| {}).await
    }

    pub(crate) async fn start_with(place: &Place, seed: u8, adjust: impl FnOnce(&mut LinkConfig)) -> Node {
        let listen = ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"].map(|text| text.parse().unwrap());
        let mut config = LinkConfig::new(Secret::new([seed; 32]), listen.into());
        adjust(&mut config);
        let (sender, events) = channel(4_096);
        let (stop, stopped) = oneshot::channel();
        let (started, link) = oneshot::channel();
        let namespace = File::open(format!("/var/run/netns/{}", place.namespace)).unwrap();
        let thread = std::thread::Builder::new()
            .name(format!("node{seed}"))
            .spawn(move || {
                let filter = tracing_subscriber::EnvFilter::from_default_env(); // RUST_LOG tells why a test hangs
                let _ = tracing_subscriber::fmt().with_thread_names(true).with_env_filter(filter).try_init();
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                // A program that is being started holds our sockets for a moment: a port we let go would still be taken.
                let no_fork = FORKS.read().unwrap();
                let link = runtime.block_on(Link::start(config, sender)).unwrap();
                drop(no_fork);
                runtime.block_on(async {
                    let _ = started.send(link.clone());
                    let _ = stopped.await;
                    link.shutdown().await;
                });
            })
            .unwrap();
        let link = link.await.unwrap();
        Node { link, events, heard: Vec::new(), stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn key(&self) -> LinkKey {
        self.link.local_key()
    }

    /// Dials the node that listens at this address of the internet, over TCP and QUIC.
    pub(crate) fn dial(&self, other: &Node, address: &str) {
        self.link.dial(Some(other.key()), places(address));
    }

    /// Waits for what `pick` picks of what happens; the rest is kept for the message of a test that fails.
    pub(crate) async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&LinkEvent) -> Option<T>) -> T {
        loop {
            let Ok(event) = tokio::time::timeout(HANG, self.events.recv()).await else {
                panic!("not in time: {what}; heard {:#?}", self.heard)
            };
            let event = event.unwrap_or_else(|| panic!("the link has stopped, waiting for {what}"));
            let picked = pick(&event);
            self.heard.push(event);
            if let Some(picked) = picked {
                return picked;
            }
        }
    }

    pub(crate) async fn up(&mut self, peer: LinkKey) -> Locator {
        let up = |event: &LinkEvent| match event {
            LinkEvent::Up { peer: who, remote, .. } if *who == peer => Some(*remote),
            _ => None,
        };
        self.wait("up", up).await
    }

    pub(crate) async fn down(&mut self, peer: LinkKey) -> DownReason {
        let down = |event: &LinkEvent| match event {
            LinkEvent::Down { peer: who, reason } if *who == peer => Some(*reason),
            _ => None,
        };
        self.wait("down", down).await
    }

    pub(crate) async fn reachable(&mut self) -> Locator {
        let reachable = |event: &LinkEvent| match event {
            LinkEvent::Reachable(locator) => Some(*locator),
            LinkEvent::Unreachable => panic!("unreachable"),
            _ => None,
        };
        self.wait("reachable", reachable).await
    }

    pub(crate) async fn unreachable(&mut self) {
        let unreachable = |event: &LinkEvent| match event {
            LinkEvent::Reachable(locator) => panic!("reachable at {locator}"),
            LinkEvent::Unreachable => Some(()),
            _ => None,
        };
        self.wait("unreachable", unreachable).await;
    }

    /// Waits for a place where it listens and of which `suits` is true.
    pub(crate) async fn listening(&mut self, suits: impl Fn(&Locator) -> bool) -> Locator {
        let listening = |event: &LinkEvent| match event {
            LinkEvent::Listening(locator) if suits(locator) => Some(*locator),
            _ => None,
        };
        self.wait("listening", listening).await
    }

    /// Receives numbered frames in order, the first of them `next`, until one is `last`. Fails if the peer goes down.
    pub(crate) async fn receive(&mut self, peer: LinkKey, mut next: u32, last: u32) {
        while next <= last {
            let frames = |event: &LinkEvent| match event {
                LinkEvent::Frames { peer: from, frames } if *from == peer => Some(frames.clone()),
                LinkEvent::Down { peer: who, reason } if *who == peer => panic!("down: {reason:?}"),
                _ => None,
            };
            for frame in self.wait("frames", frames).await {
                assert_eq!(frame, numbered(next).to_bytes(), "in order, and all of them");
                next += 1;
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where a node at this address of the internet listens.
pub(crate) fn places(address: &str) -> Vec<Locator> {
    [format!("/ip4/{address}/udp/4001/quic-v1"), format!("/ip4/{address}/tcp/4001")]
        .map(|text| text.parse().unwrap())
        .into()
}

/// A small control frame that tells its number.
pub(crate) fn numbered(number: u32) -> OutFrame {
    let mut head = vec![2, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    head.extend_from_slice(&number.to_be_bytes());
    OutFrame { head: head.into(), cell: None }
}
