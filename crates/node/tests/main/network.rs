//! Messages between nodes.

use std::path::Path;

use futures::StreamExt;
use mainframe_node::{ErrorKind, RunningNode};
use mainframe_sdk::{
    AddPerson, AddTopic, Body, Client, CreateToken, Event, Message, PacketOutcome, Scope, SendBatch, SendRequest,
};
use tempfile::TempDir;

use crate::world::{config, joined, start, try_start, until};

/// So many nodes that have joined one network.
pub(crate) async fn network(count: usize) -> Vec<(TempDir, RunningNode)> {
    let mut nodes = vec![start(&[]).await];
    let first = nodes[0].1.locators()[0].to_string();
    for _ in 1..count {
        nodes.push(start(&[("bootstrap", &first)]).await);
    }
    for (_, node) in &nodes {
        joined(&node.client()).await;
    }
    nodes
}

pub(crate) async fn stop(nodes: Vec<(TempDir, RunningNode)>) {
    for (_, node) in nodes {
        node.shutdown().await.unwrap();
    }
}

async fn texts(client: &Client) -> Vec<Body> {
    let inbox = client.inbox(0, 1_000).await.unwrap();
    assert!(inbox.end);
    inbox.messages.into_iter().map(|message| message.body).collect()
}

async fn next_message(events: &mut mainframe_sdk::EventStream) -> Message {
    loop {
        if let Event::Message(message) = events.next().await.unwrap().unwrap() {
            return message;
        }
    }
}

/// The files a kill at this moment would leave behind.
fn files_after_a_kill(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_files(directory, copy.path());
    copy
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let there = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            std::fs::create_dir(&there).unwrap();
            copy_files(&file.path(), &there);
        } else {
            std::fs::copy(file.path(), there).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_once_and_survives_a_kill_of_its_receiver() {
    let nodes = network(3).await;
    let (alice, bob) = (nodes[1].1.client(), nodes[2].1.client());
    let person = bob.add_person(&AddPerson { luminosity: Some(0), ..AddPerson::named("bob") }).await.unwrap();
    let mut arrivals = bob.events(Some(0)).await.unwrap();
    let mut outcomes = alice.events(None).await.unwrap();
    let sent = alice.send(&SendRequest::to(&person.address, Body::text("你好"))).await.unwrap();
    assert_eq!((sent.region.as_str(), sent.quote.luminosity), ("*", 0));

    let message = next_message(&mut arrivals).await;
    assert_eq!((&message.body, &message.id), (&Body::text("你好"), &sent.id));
    let killed = files_after_a_kill(nodes[2].0.path());
    loop {
        if let Event::Packet { id, outcome } = outcomes.next().await.unwrap().unwrap() {
            assert_eq!((id, outcome), (sent.id.clone(), PacketOutcome::HandedOver));
            break;
        }
    }
    let stranger = CreateToken { principal: "stranger".into(), scopes: vec![Scope::Read, Scope::Send] };
    let stranger = Client::connect(bob.url(), bob.create_token(&stranger).await.unwrap().token);
    assert_eq!(texts(&stranger).await, [], "messages are shown to whom they belong");
    assert_eq!(texts(&alice).await, []);
    assert_eq!(texts(&bob).await, [Body::text("你好")]);

    let again = try_start(config(killed.path(), &[])).await.unwrap();
    assert_eq!(texts(&again.client()).await, [Body::text("你好")]);
    assert_eq!(again.client().persons(Some(0)).await.unwrap().persons, [person]);
    let mut resumed = again.client().events(Some(0)).await.unwrap();
    assert_eq!(next_message(&mut resumed).await, message);
    again.shutdown().await.unwrap();
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_reaches_everyone_who_has_its_key_through_its_region() {
    let nodes = network(3).await;
    let clients: Vec<Client> = nodes.iter().map(|(_, node)| node.client()).collect();
    let topic = clients[0].add_topic(&AddTopic::named("news")).await.unwrap();
    let key = topic.key.unwrap();
    clients[1].add_topic(&AddTopic::with_key("news", &key)).await.unwrap();
    let request = SendRequest { prefix: Some("*".into()), ..SendRequest::to(&key, Body::text("extra")) };
    clients[2].send(&request).await.unwrap();
    for client in &clients[..2] {
        until("the news", async || texts(client).await == [Body::text("extra")]).await;
    }
    assert_eq!(texts(&clients[2]).await, []);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_stops_the_node_and_loses_nothing_it_published() {
    let (_hub, hub) = start(&[]).await;
    let first = hub.locators()[0].to_string();
    let (directory, bob) = start(&[("bootstrap", &first), ("store_max_mib", "1")]).await;
    let (alice, client) = (hub.client(), bob.client());
    joined(&client).await;
    joined(&alice).await;
    let person = client.add_person(&AddPerson::named("bob")).await.unwrap();
    let mut events = client.events(Some(0)).await.unwrap();
    let published = tokio::spawn(async move {
        let mut published = Vec::new();
        while let Some(Ok(event)) = events.next().await {
            if let Event::Message(message) = event {
                published.push(message);
            }
        }
        published
    });
    let batch = SendBatch { messages: vec![SendRequest::to(&person.address, Body::text("x".repeat(1_500))); 64] };
    until("full", async || {
        alice.send_batch(&batch).await.unwrap();
        bob.failed_already().is_some()
    })
    .await;
    let error = bob.run_until(std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreFailed);
    assert!(error.why().contains("full") && error.next().contains("room"), "{error}");
    assert!(!directory.path().join(mainframe_sdk::ENDPOINT_FILE).exists());

    let published = published.await.unwrap();
    assert!(!published.is_empty());
    let again = try_start(config(directory.path(), &[("store_max_mib", "64")])).await.unwrap();
    let kept = again.client().inbox(0, 1_000).await.unwrap().messages;
    assert!(kept.starts_with(&published), "{} kept, {} published", kept.len(), published.len());
    again.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}
