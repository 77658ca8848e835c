//! Nodes of other protocols are turned away, and the measuring tools measure.

use std::time::Duration;

use futures::StreamExt;
use libp2p::swarm::{SwarmEvent, dummy};
use mainframe_base::{Locator, Transport};
use mainframe_link::LinkEvent;
use mainframe_link::baseline::{self, Until};
use mainframe_link::soak::{Load, soak};

use crate::{Neighbour, Over};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_speaks_another_protocol_never_comes_up() {
    let stranger = stranger().await;
    for seed in 1..5 {
        let patience = Duration::from_millis(200);
        let mut node = Neighbour::start_with(Over::Quic, seed, 64, |config| config.patience = patience).await;
        node.link.dial(None, vec![stranger]);
        let (_, why) = node.dial_failure().await;
        assert!(why.contains("another protocol"), "{why}");
    }
}

/// A libp2p node that speaks nothing at all.
async fn stranger() -> Locator {
    let mut swarm = libp2p::SwarmBuilder::with_existing_identity(libp2p::identity::Keypair::generate_ed25519())
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| dummy::Behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    swarm.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()).unwrap();
    let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await else { panic!("not bound") };
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    address.to_string().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_links_at_full_load_neither_stall_nor_lose_nor_reorder() {
    for transport in [Transport::Tcp, Transport::Quic] {
        for carried in soak(transport, Load::BothWays, Duration::from_millis(500)).await.unwrap() {
            assert!(carried.cells > 0);
            assert!(carried.queued_bytes_max <= 16 << 20, "bounded");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_yardstick_brings_every_byte_to_the_sink() {
    for over in [Over::Tcp, Over::Quic] {
        for write_bytes in [2_048, 65_536] {
            let (sink_bound, sink_at) = tokio::sync::oneshot::channel();
            let (relay_bound, relay_at) = tokio::sync::oneshot::channel();
            let sink = tokio::spawn(baseline::sink(over.any_port(), move |at| sink_bound.send(at).unwrap()));
            let next = sink_at.await.unwrap();
            let relay = baseline::relay(over.any_port(), next, write_bytes, move |at| relay_bound.send(at).unwrap());
            let relay = tokio::spawn(relay);
            let until = Until::Messages(3_200);
            let sent = baseline::sender(relay_at.await.unwrap(), 2_048, write_bytes, until).await.unwrap();
            assert_eq!(sent.bytes, 3_200 * 2_048);
            assert_eq!(relay.await.unwrap().unwrap().bytes, sent.bytes);
            assert_eq!(sink.await.unwrap().unwrap().bytes, sent.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_this_process_can_be_given_a_name() {
    let named: Locator = "/ip4/127.0.0.1/tcp/77".parse().unwrap();
    let node = Neighbour::start_with(Over::Memory, 1, 8, |config| config.listen = vec![named]).await;
    assert_eq!(node.link.local_locators(), [named]);
    let mut other = Neighbour::start(Over::Memory, 2).await;
    other.link.dial(None, vec![named]);
    assert!(matches!(other.next().await, LinkEvent::Up { remote, outbound: true, .. } if remote == named));
}
