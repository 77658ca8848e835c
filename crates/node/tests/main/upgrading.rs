//! A directory of the first version: what was in it is there, and an address that was given away goes on working.

use std::path::Path;

use mainframe_sdk::{Body, SendRequest};

use crate::world::{config, try_start, until};

/// Written by the first version: Bob, a topic, and one message.
const FIRST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/node-1");
const ADDRESS: &str = "mfp:9cdf62791c294b09651f5e668d3150346258405c3f5b06a34d3e8fb7e342e647@*";
const SAID: &str = "said before the upgrade";

fn first() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["keys.json", "endpoint.db"] {
        std::fs::copy(format!("{FIRST}/{file}"), directory.path().join(file)).unwrap();
    }
    use std::os::unix::fs::PermissionsExt;
    let only_mine = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(directory.path().join("keys.json"), only_mine).unwrap();
    directory
}

fn holds(file: &Path, text: &str) -> bool {
    std::fs::read(file).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn people_topics_and_messages_of_the_first_version_are_there_and_sealed() {
    let directory = first();
    let store = directory.path().join("endpoint.db");
    assert!(holds(&store, SAID), "the first version kept it open");
    let node = try_start(config(directory.path(), &[])).await.unwrap();
    let client = node.client();
    let bob = client.persons(Some(0)).await.unwrap().persons.remove(0);
    assert_eq!((bob.name.as_str(), bob.address.as_str()), ("bob", ADDRESS));
    assert_eq!(client.card(&bob.identity).await.unwrap().name, "bob");
    assert_eq!(client.topics().await.unwrap().topics.len(), 1);
    let texts = async || client.inbox(0, 9).await.unwrap().messages.into_iter().map(|message| message.body);
    assert!(texts().await.eq([Body::text(SAID)]));
    client.send(&SendRequest::to(ADDRESS, Body::text("and after"))).await.unwrap();
    until("the address works", async || texts().await.eq([Body::text(SAID), Body::text("and after")])).await;
    node.shutdown().await.unwrap();
    assert!(!holds(&store, SAID) && !holds(&store, "and after"));

    let again = try_start(config(directory.path(), &[])).await.unwrap();
    let found = again.client().persons(Some(0)).await.unwrap().persons.remove(0);
    assert_eq!(found, bob, "the identity that was drawn is kept");
    again.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_of_another_node_is_said_to_be_one_and_left_alone() {
    let (one, other) = (tempfile::tempdir().unwrap(), first());
    for directory in [&one, &other] {
        try_start(config(directory.path(), &[])).await.unwrap().shutdown().await.unwrap();
    }
    let store = one.path().join("endpoint.db");
    std::fs::copy(other.path().join("endpoint.db"), &store).unwrap();
    let before = std::fs::read(&store).unwrap();
    let error = crate::world::refusal(config(one.path(), &[])).await;
    assert!(error.why().contains("another key than keys.json holds"), "{error}");
    assert!(error.next().contains("same backup") && error.next().contains("mv "), "{error}");
    assert_eq!(std::fs::read(&store).unwrap(), before);
}
