//! Networks change under a node that runs on.

use std::time::Duration;

use mainframe_link::{DownReason, LinkConfig, LinkEvent};

use crate::node::places;
use crate::{Node, World};

/// For how long the network is gone: longer than TCP's and QUIC's own time-outs are waited for.
const CUT: Duration = Duration::from_secs(60);

/// Notices soon that nobody answers.
fn attentive(config: &mut LinkConfig) {
    (config.ping_interval, config.patience) = (Duration::from_secs(5), Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_address_changes_says_so_and_connects_again() {
    let Some(mut world) = World::new() else { return };
    let (here, there) = (world.host("5.1.0.1"), world.host("5.2.0.1"));
    let mut mover = Node::start_with(&here, 1, attentive).await;
    let mut other = Node::start_with(&there, 2, attentive).await;
    mover.dial(&other, "5.2.0.1");
    mover.reachable().await;
    here.readdress("5.1.0.1", "5.9.0.1");
    let expired = |event: &LinkEvent| matches!(event, LinkEvent::Expired(at) if places("5.1.0.1").contains(at));
    mover.wait("the old address expires", |event| expired(event).then_some(())).await;
    mover.listening(|at| places("5.9.0.1").contains(at)).await;
    assert_eq!(mover.down(other.key()).await, DownReason::TimedOut);
    other.down(mover.key()).await;
    mover.dial(&other, "5.2.0.1");
    mover.up(other.key()).await;
    assert_eq!(other.up(mover.key()).await.ip.to_string(), "5.9.0.1");
    assert_eq!(mover.reachable().await.ip.to_string(), "5.9.0.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_gone_for_a_minute_is_survived() {
    let Some(mut world) = World::new() else { return };
    let (here, there) = (world.host("5.1.0.1"), world.host("5.2.0.1"));
    let mut one = Node::start_with(&here, 1, attentive).await;
    let mut other = Node::start_with(&there, 2, attentive).await;
    one.dial(&other, "5.2.0.1");
    one.up(other.key()).await;
    other.up(one.key()).await;
    here.cut(true);
    tokio::time::sleep(CUT).await;
    one.down(other.key()).await;
    other.down(one.key()).await;
    one.dial(&other, "5.2.0.1");
    let failed = |event: &LinkEvent| matches!(event, LinkEvent::DialFailed { .. }).then_some(());
    one.wait("a dial that fails", failed).await;
    here.cut(false);
    one.dial(&other, "5.2.0.1");
    one.up(other.key()).await;
    other.up(one.key()).await;
}
