//! Dials and listeners that come to nothing say why.

use mainframe_base::{LinkKey, Locator, Secret};
use mainframe_link::{DownReason, Link, LinkConfig, LinkError, LinkEvent};
use tokio::sync::mpsc::channel;

use crate::neighbour::connect;
use crate::{Neighbour, Over};

#[tokio::test]
async fn a_taken_port_is_named() {
    for over in [Over::Tcp, Over::Quic] {
        let first = Neighbour::start(over, 1).await;
        let taken = first.locator();
        let config = LinkConfig::new(Secret::new([2; 32]), vec![taken]);
        let error = Link::start(config, channel::<LinkEvent>(8).0).await.unwrap_err();
        assert!(matches!(error, LinkError::PortTaken { locator } if locator == taken), "{error}");
        assert!(error.to_string().contains(&taken.to_string()));
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    for text in ["/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/udp/4001/quic-v1"] {
        let config = LinkConfig::new(Secret::new([2; 32]), vec![text.parse().unwrap()]);
        let error = Link::start(config, channel::<LinkEvent>(8).0).await.unwrap_err();
        assert!(matches!(error, LinkError::CannotListen { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[cfg(not(feature = "upnp"))]
#[tokio::test]
async fn a_build_that_cannot_ask_routers_says_so() {
    let mut config = LinkConfig::new(Secret::new([2; 32]), Vec::new());
    config.upnp = true;
    let error = Link::start(config, channel::<LinkEvent>(8).0).await.unwrap_err();
    assert!(matches!(error, LinkError::NoUpnp) && error.to_string().contains("feature upnp"), "{error}");
}

#[tokio::test]
async fn a_dial_to_a_closed_port_says_so() {
    let mut dialler = Neighbour::start(Over::Tcp, 1).await;
    let closed: Locator = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    dialler.link.dial(None, vec![closed]);
    let (peer, why) = dialler.dial_failure().await;
    assert_eq!(peer, None);
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn every_locator_that_failed_is_reported() {
    let mut dialler = Neighbour::start(Over::Tcp, 1).await;
    let peer = Neighbour::start(Over::Tcp, 2).await.key();
    let closed: Vec<Locator> = (1..4).map(|port| format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()).collect();
    dialler.link.dial(Some(peer), closed.clone());
    let mut failed = Vec::new();
    for _ in 0..3 {
        let LinkEvent::DialFailed { locator, peer: Some(of), .. } = dialler.next().await else { panic!("not failed") };
        assert_eq!(of, peer);
        failed.push(locator);
    }
    failed.sort();
    assert_eq!(failed, closed);
}

#[tokio::test]
async fn a_dial_that_finds_another_node_or_itself_says_so() {
    for over in Over::ALL {
        let mut dialler = Neighbour::start(over, 1).await;
        let listener = Neighbour::start(over, 2).await;
        let expected = Neighbour::start(over, 3).await.key();
        dialler.link.dial(Some(expected), vec![listener.locator()]);
        assert_eq!(dialler.dial_failure().await, (Some(expected), "another node answers there".to_owned()));
        dialler.link.dial(None, vec![dialler.locator()]);
        assert_eq!(dialler.dial_failure().await, (None, "that is this node itself".to_owned()));
    }
}

#[tokio::test]
async fn a_key_that_is_no_key_is_not_dialled() {
    let mut dialler = Neighbour::start(Over::Tcp, 1).await;
    let nobody = (0..=255).map(|byte| LinkKey([byte; 32])).find(|key| !is_a_point(*key)).unwrap();
    dialler.link.dial(Some(nobody), vec![dialler.locator()]);
    assert_eq!(dialler.dial_failure().await.0, Some(nobody));
}

fn is_a_point(key: LinkKey) -> bool {
    libp2p::identity::ed25519::PublicKey::try_from_bytes(&key.0).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_keeps_its_neighbours_and_turns_others_away() {
    for over in Over::ALL {
        let mut full = Neighbour::start_with(over, 2, 64, |config| config.connections_in_max = 1).await;
        let mut first = Neighbour::start(over, 1).await;
        connect(&mut first, &mut full).await;
        let mut second = Neighbour::start(over, 3).await;
        second.link.dial(Some(full.key()), vec![full.locator()]);
        let (peer, why) = second.dial_failure().await;
        assert_eq!(peer, Some(full.key()));
        assert!(why.contains("full"), "{why}");
        first.link.shutdown().await;
        assert_eq!(full.down().await, (first.key(), DownReason::Closed));
    }
}
