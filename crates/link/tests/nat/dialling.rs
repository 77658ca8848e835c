//! Who can be dialled finds out, and so does who cannot.

use mainframe_link::LinkEvent;

use crate::{Node, Router, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_node_learns_that_it_can_be_dialled_and_one_behind_a_router_that_it_cannot() {
    for kind in [Router::Cone, Router::Symmetric] {
        let Some(mut world) = World::new() else { return };
        let (here, there, router) = (world.host("5.1.0.1"), world.host("5.2.0.1"), world.router("5.3.0.1", kind));
        let home = world.behind(&router);
        let (mut public, helper) = (Node::start(&here, 1).await, Node::start(&there, 2).await);
        let mut hidden = Node::start(&home, 3).await;
        public.dial(&helper, "5.2.0.1");
        hidden.dial(&helper, "5.2.0.1");
        assert_eq!(public.reachable().await.ip.to_string(), "5.1.0.1", "{kind:?}");
        hidden.unreachable().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_network_find_each_other_without_an_internet() {
    let Some(mut world) = World::new() else { return };
    let router = world.router("5.3.0.1", Router::Cone);
    let (one, other) = (world.behind(&router), world.behind(&router));
    let mut one = Node::start_with(&one, 1, |config| config.lan_discovery = true).await;
    let other = Node::start_with(&other, 2, |config| config.lan_discovery = true).await;
    let found = |event: &LinkEvent| match event {
        LinkEvent::Found(locator) => Some(*locator),
        _ => None,
    };
    let found = one.wait("found", found).await;
    one.link.dial(None, vec![found]);
    one.up(other.key()).await;
    assert!(other.link.local_locators().contains(&found), "{found}");
}
