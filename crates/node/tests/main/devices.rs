//! Several devices of one person, over real nodes.

use std::os::unix::fs::PermissionsExt;

use mainframe_node::RunningNode;
use mainframe_sdk::{
    AddContact, AddDevice, AddPerson, ApiError, Body, Client, DeviceStanding, Error, ErrorCode, Person, RestoreAccount,
    Say, Standing, StartLink,
};
use tempfile::TempDir;

use crate::network::{network, stop};
use crate::world::{config, try_start, until};

const PASSPHRASE: &str = "correct horse battery staple";

async fn person(client: &Client, name: &str) -> String {
    let request = AddPerson { luminosity: Some(0), device_name: Some("phone".into()), ..AddPerson::named(name) };
    client.add_person(&request).await.unwrap().identity
}

/// Alice on the second of four nodes, Bob on the third, and their session.
async fn two() -> (Vec<(TempDir, RunningNode)>, String, String, String) {
    let nodes = network(4).await;
    let [at_alice, at_bob] = [1, 2].map(|number: usize| nodes[number].1.client());
    let (alice, bob) = (person(&at_alice, "alice").await, person(&at_bob, "bob").await);
    let card = at_bob.card(&bob).await.unwrap().text;
    at_alice.add_contact(&alice, &AddContact::by(card, "hello")).await.unwrap();
    let standing = async |client: &Client, of: &str| {
        let contacts = client.contacts(of).await.unwrap();
        contacts.first().map(|contact| (contact.standing, contact.session.clone()))
    };
    until("asked", async || matches!(standing(&at_bob, &bob).await, Some((Standing::Asked, _)))).await;
    at_bob.accept_contact(&bob, &alice).await.unwrap();
    for (client, of) in [(&at_alice, &alice), (&at_bob, &bob)] {
        until("together", async || matches!(standing(client, of).await, Some((Standing::Together, _)))).await;
    }
    let (_, session) = standing(&at_bob, &bob).await.unwrap();
    (nodes, alice, bob, session.unwrap())
}

async fn texts(client: &Client, of: &str, session: &str) -> Vec<Body> {
    match client.session_messages(of, session, 0, 1_000).await {
        Ok(page) => page.messages.into_iter().map(|message| message.body).collect(),
        Err(_) => Vec::new(),
    }
}

async fn is_in(client: &Client, of: &str, session: &str) -> bool {
    client.session(of, session).await.is_ok()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> ApiError {
    let error = answer.unwrap_err();
    let Error::Api(refused) = error else { panic!("{error}") };
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_linked_by_its_code_is_its_person_even_over_a_restart_until_it_is_revoked() {
    let (mut nodes, alice, bob, session) = two().await;
    let [at_alice, at_bob] = [1, 2].map(|number: usize| nodes[number].1.client());
    let tablet = nodes[3].1.client();
    let wanted = StartLink { device_name: Some("tablet".into()), luminosity: Some(0) };
    let withdrawn = tablet.start_link(&wanted).await.unwrap();
    tablet.stop_link(&withdrawn.id).await.unwrap();
    assert_eq!(refusal(tablet.stop_link(&withdrawn.id).await).code, ErrorCode::NotFound);
    let link = tablet.start_link(&wanted).await.unwrap();
    let open = tablet.links().await.unwrap().links;
    assert!(open.len() == 1 && open[0].code.is_none() && open[0].id == link.id, "{open:?}");

    // The node that waits starts again, and waits for the same code.
    let (directory, node) = nodes.pop().unwrap();
    node.shutdown().await.unwrap();
    let bootstrap = nodes[0].1.locators()[0].to_string();
    let node = try_start(config(directory.path(), &[("bootstrap", &bootstrap)])).await.unwrap();
    let tablet = node.client();
    nodes.push((directory, node));
    crate::world::joined(&tablet).await;

    let code = link.code.unwrap();
    let error = refusal(at_alice.add_device(&alice, &AddDevice { code: code[..60].to_owned(), name: None }).await);
    assert_eq!(error.code, ErrorCode::BadRequest);
    let device = at_alice.add_device(&alice, &AddDevice { code, name: None }).await.unwrap();
    assert_eq!((device.name.as_str(), &device.key), ("tablet", &link.device));
    let linked = async || tablet.persons(None).await.unwrap().persons;
    until("linked", async || linked().await.len() == 1).await;
    let person: Person = linked().await.remove(0);
    assert_eq!((&person.identity, person.name.as_str()), (&alice, "alice"));
    assert_eq!((&person.device, person.device_name.as_str()), (&link.device, "tablet"));
    until("no link is left", async || tablet.links().await.unwrap().links.is_empty()).await;
    until("entered", async || is_in(&tablet, &alice, &session).await).await;

    at_bob.say(&bob, &session, &Say::text("to both")).await.unwrap();
    for client in [&at_alice, &tablet] {
        until("heard", async || texts(client, &alice, &session).await == [Body::text("to both")]).await;
    }
    tablet.say(&alice, &session, &Say::text("from the tablet")).await.unwrap();
    until("answered", async || texts(&at_bob, &bob, &session).await.len() == 2).await;
    let devices = at_alice.devices(&alice).await.unwrap().devices;
    let described: Vec<(&str, bool, DeviceStanding)> =
        devices.iter().map(|device| (device.name.as_str(), device.is_this, device.standing)).collect();
    assert_eq!(described, [("phone", true, DeviceStanding::Added), ("tablet", false, DeviceStanding::Added)]);

    assert_eq!(refusal(at_alice.revoke_device(&alice, &devices[0].key).await).code, ErrorCode::Conflict);
    assert_eq!(refusal(at_alice.revoke_device(&alice, &"ab".repeat(32)).await).code, ErrorCode::NotFound);
    at_alice.revoke_device(&alice, &link.device).await.unwrap();
    until("the tablet is out", async || !is_in(&tablet, &alice, &session).await).await;
    at_bob.say(&bob, &session, &Say::text("to one")).await.unwrap();
    until("heard", async || texts(&at_alice, &alice, &session).await.last() == Some(&Body::text("to one"))).await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_in_a_file_becomes_another_device_with_the_right_passphrase_only() {
    let (nodes, alice, bob, session) = two().await;
    let [at_alice, at_bob, tablet] = [1, 2, 3].map(|number: usize| nodes[number].1.client());
    assert_eq!(refusal(at_alice.export_account(&alice, "").await).code, ErrorCode::BadRequest);
    let file = at_alice.export_account(&alice, PASSPHRASE).await.unwrap().file;
    let restore = async |file: &str, passphrase: &str| {
        let device_name = Some("laptop".into());
        let request = RestoreAccount { file: file.into(), passphrase: passphrase.into(), device_name };
        tablet.restore_account(&request).await
    };
    let wrong = refusal(restore(&file, "battery staple").await);
    assert_eq!(wrong.code, ErrorCode::Forbidden);
    assert!(wrong.why.contains("passphrase is wrong"), "{wrong}");
    assert_eq!(refusal(restore(&file[..file.len() / 2], PASSPHRASE).await).code, ErrorCode::BadRequest);
    assert!(tablet.persons(None).await.unwrap().persons.is_empty());
    let person = restore(&file, PASSPHRASE).await.unwrap();
    assert_eq!((&person.identity, person.device_name.as_str()), (&alice, "laptop"));
    // Once more changes nothing.
    assert_eq!(restore(&file, PASSPHRASE).await.unwrap(), person);
    assert_eq!(tablet.contacts(&alice).await.unwrap()[0].name.as_deref(), Some("bob"));
    until("entered", async || is_in(&tablet, &alice, &session).await).await;
    at_bob.say(&bob, &session, &Say::text("welcome back")).await.unwrap();
    until("heard", async || texts(&tablet, &alice, &session).await == [Body::text("welcome back")]).await;
    let mode = std::fs::metadata(nodes[3].0.path().join("keys.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    stop(nodes).await;
}
