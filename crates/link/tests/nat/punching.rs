//! Nodes that nobody can dial reach each other: through a relay, and where routers allow it, soon without.

use std::time::Duration;

use mainframe_base::{LinkKey, Locator};

use crate::node::numbered;
use crate::world::Place;
use crate::{Node, Router, World};

/// Longer than three attempts at a hole take, each of which is given up after 7 s.
const THREE_ATTEMPTS: Duration = Duration::from_secs(30);

/// The way through the relay is slower: what was sent on it arrives after what is sent on the new way later.
const RELAY_MBIT: u32 = 3;

/// Two nodes behind routers, in touch through a relay.
struct Stage {
    one: Node,
    other: Node,
    relay: Node,
    _helper: Node,
    _world: World,
}

impl Stage {
    async fn new(kind: Router) -> Option<Stage> {
        let mut world = World::new()?;
        let (here, there) = (world.host("5.1.0.1"), world.host("5.2.0.1"));
        here.narrow(RELAY_MBIT);
        let routers = [world.router("5.3.0.1", kind), world.router("5.4.0.1", kind)];
        let homes = routers.map(|router| world.behind(&router));
        let (mut relay, helper) = (Node::start(&here, 1).await, Node::start(&there, 2).await);
        relay.dial(&helper, "5.2.0.1");
        relay.reachable().await;
        let (mut one, at) = Stage::sheltered(&homes[0], 3, &relay).await;
        let (mut other, _) = Stage::sheltered(&homes[1], 4, &relay).await;
        other.link.dial(Some(one.key()), vec![at]);
        assert_eq!(other.up(one.key()).await.via, Some(relay.key()));
        assert_eq!(one.up(other.key()).await.via, Some(relay.key()));
        Some(Stage { one, other, relay, _helper: helper, _world: world })
    }

    /// A node that has found out that nobody can dial it, and where the relay lets it be reached.
    async fn sheltered(place: &Place, seed: u8, relay: &Node) -> (Node, Locator) {
        let mut node = Node::start(place, seed).await;
        node.dial(relay, "5.1.0.1");
        node.unreachable().await;
        let at = node.listening(|at| !at.is_direct()).await;
        assert_eq!((at.via, at.ip.to_string()), (Some(relay.key()), "5.1.0.1".to_owned()));
        (node, at)
    }
}

/// Frames sent in bursts, so that some are always under way: a sixth of what a circuit carries.
const IN_BURSTS: u32 = 4_000;

/// Sends numbered frames until `done`; the number of the last.
async fn send_until(from: &Node, to: LinkKey, mut next: u32, done: impl Fn(&Node) -> bool) -> u32 {
    while !done(from) {
        let burst = if next < IN_BURSTS { 100 } else { 1 };
        for number in next..next + burst {
            from.link.send(to, numbered(number)).unwrap();
        }
        next += burst;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    from.link.send(to, numbered(next)).unwrap();
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_behind_cone_routers_need_the_relay_no_longer_and_lose_no_frame_on_the_way() {
    let Some(Stage { mut one, mut other, relay, _helper, _world }) = Stage::new(Router::Cone).await else { return };
    let (one_key, other_key) = (one.key(), other.key());
    let punched = |peer: LinkKey| move |node: &Node| node.link.is_relayed(peer) == Some(false);
    let (last, last_back) = tokio::join!(
        send_until(&one, other_key, 0, punched(other_key)),
        send_until(&other, one_key, 0, punched(one_key))
    );
    other.receive(one_key, 0, last).await;
    one.receive(other_key, 0, last_back).await;
    drop(relay);
    one.link.send(other_key, numbered(last + 1)).unwrap();
    other.link.send(one_key, numbered(last_back + 1)).unwrap();
    other.receive(one_key, last + 1, last + 1).await;
    one.receive(other_key, last_back + 1, last_back + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_behind_symmetric_routers_stay_with_the_relay() {
    let Some(Stage { mut one, mut other, relay, _helper, _world }) = Stage::new(Router::Symmetric).await else {
        return;
    };
    let (one_key, other_key) = (one.key(), other.key());
    tokio::time::sleep(THREE_ATTEMPTS).await;
    assert_eq!(one.link.is_relayed(other_key), Some(true));
    assert_eq!(other.link.is_relayed(one_key), Some(true));
    one.link.send(other_key, numbered(0)).unwrap();
    other.link.send(one_key, numbered(0)).unwrap();
    other.receive(one_key, 0, 0).await;
    one.receive(other_key, 0, 0).await;
    drop(relay);
    one.down(other_key).await;
}
