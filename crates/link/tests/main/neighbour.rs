//! A link under test, and what it heard.

use std::time::Duration;

use bytes::Bytes;
use mainframe_base::{LinkKey, Locator, Secret};
use mainframe_link::{DownReason, Link, LinkConfig, LinkEvent, OutFrame, memory};
use tokio::sync::mpsc::{Receiver, channel};

/// Long enough never to pass on a slow machine; nothing is timed by it.
const HANG: Duration = Duration::from_secs(60);

/// By what the links of a test reach each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    Tcp,
    Quic,
    Memory,
}

impl Over {
    pub(crate) const ALL: [Over; 3] = [Over::Tcp, Over::Quic, Over::Memory];

    pub(crate) fn any_port(self) -> Locator {
        let text = if matches!(self, Over::Quic) { "/ip4/127.0.0.1/udp/0/quic-v1" } else { "/ip4/127.0.0.1/tcp/0" };
        text.parse().unwrap()
    }
}

pub(crate) struct Neighbour {
    pub(crate) link: Link,
    pub(crate) events: Receiver<LinkEvent>,
}

impl Neighbour {
    pub(crate) async fn start(over: Over, seed: u8) -> Neighbour {
        Neighbour::start_with(over, seed, 1_024, |_| {}).await
    }

    pub(crate) async fn start_with(
        over: Over,
        seed: u8,
        events: usize,
        adjust: impl FnOnce(&mut LinkConfig),
    ) -> Neighbour {
        let mut config = LinkConfig::new(Secret::new([seed; 32]), vec![over.any_port()]);
        config.autonat = false; // its news would come in between
        adjust(&mut config);
        let (sender, receiver) = channel(events);
        let link = match over {
            Over::Memory => memory::start(config, sender).await,
            Over::Tcp | Over::Quic => Link::start(config, sender).await,
        };
        let mut neighbour = Neighbour { link: link.unwrap(), events: receiver };
        assert!(matches!(neighbour.next().await, LinkEvent::Listening(_)));
        neighbour
    }

    pub(crate) fn key(&self) -> LinkKey {
        self.link.local_key()
    }

    pub(crate) fn locator(&self) -> Locator {
        self.link.local_locators()[0]
    }

    pub(crate) async fn next(&mut self) -> LinkEvent {
        tokio::time::timeout(HANG, self.events.recv()).await.expect("the link hangs").expect("the link has stopped")
    }

    pub(crate) async fn up(&mut self) -> LinkKey {
        let event = self.next().await;
        let LinkEvent::Up { peer, .. } = event else { panic!("expected Up, got {event:?}") };
        peer
    }

    pub(crate) async fn down(&mut self) -> (LinkKey, DownReason) {
        let event = self.next().await;
        let LinkEvent::Down { peer, reason } = event else { panic!("expected Down, got {event:?}") };
        (peer, reason)
    }

    pub(crate) async fn frames(&mut self) -> Vec<Bytes> {
        let event = self.next().await;
        let LinkEvent::Frames { frames, .. } = event else { panic!("expected Frames, got {event:?}") };
        frames
    }

    pub(crate) async fn dial_failure(&mut self) -> (Option<LinkKey>, String) {
        let event = self.next().await;
        let LinkEvent::DialFailed { peer, why, .. } = event else { panic!("expected DialFailed, got {event:?}") };
        (peer, why)
    }
}

/// Two links, up with each other.
pub(crate) async fn pair(over: Over) -> (Neighbour, Neighbour) {
    let mut dialler = Neighbour::start(over, 1).await;
    let mut listener = Neighbour::start(over, 2).await;
    connect(&mut dialler, &mut listener).await;
    (dialler, listener)
}

pub(crate) async fn connect(dialler: &mut Neighbour, listener: &mut Neighbour) {
    dialler.link.dial(Some(listener.key()), vec![listener.locator()]);
    assert_eq!(dialler.up().await, listener.key());
    assert_eq!(listener.up().await, dialler.key());
}

/// A frame with a small cell, told apart by its number.
pub(crate) fn cell(number: u32) -> OutFrame {
    let mut head = [0; 16];
    head[0] = 1;
    head[12..].copy_from_slice(&number.to_be_bytes());
    let body: Vec<u8> = number.to_be_bytes().repeat(512);
    OutFrame { head: Bytes::copy_from_slice(&head), cell: Some(body.into()) }
}

/// A control frame of `length` payload bytes.
pub(crate) fn control(length: u32) -> OutFrame {
    let mut head = vec![2, 1, 0, 0];
    head.extend_from_slice(&length.to_be_bytes());
    head.resize(16 + length as usize, 7);
    OutFrame { head: head.into(), cell: None }
}
