//! What keeps a node from starting, and how it stops.

use std::os::unix::fs::PermissionsExt;

use mainframe_node::{Config, ErrorKind, Node, Password};
use mainframe_sdk::{AddPerson, ENDPOINT_FILE, EndpointFile};

use crate::world::{config, refusal, sources, start, try_start};

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_right_one_finds_everyone_again() {
    let (directory, node) = start(&[]).await;
    let bob = node.client().add_person(&AddPerson::named("bob")).await.unwrap();
    let overlay = node.overlay();
    node.shutdown().await.unwrap();

    let wrong = Node::start(config(directory.path(), &[]), Password::new("wrong")).await.err().unwrap();
    assert_eq!(wrong.kind(), ErrorKind::Password);
    assert!(wrong.why().contains("password is wrong"), "{wrong}");

    let node = try_start(config(directory.path(), &[])).await.unwrap();
    assert_eq!(node.overlay(), overlay);
    assert_eq!(node.client().persons(None).await.unwrap().persons, [bob]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_key_file_that_was_changed_or_that_others_may_read_is_refused() {
    let (directory, node) = start(&[]).await;
    node.shutdown().await.unwrap();
    let path = directory.path().join("keys.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let contents = changed["contents"].as_str().unwrap().to_owned();
    let flipped = if contents.starts_with('0') { "1" } else { "0" };
    changed["contents"] = format!("{flipped}{}", &contents[1..]).into();
    std::fs::write(&path, changed.to_string()).unwrap();
    assert_eq!(refusal(config(directory.path(), &[])).await.kind(), ErrorKind::Password);

    changed["header"]["argon2id"]["memory_kib"] = 4_000_000_000u32.into();
    std::fs::write(&path, changed.to_string()).unwrap();
    assert_eq!(refusal(config(directory.path(), &[])).await.kind(), ErrorKind::Keys);

    std::fs::write(&path, "{").unwrap();
    assert_eq!(refusal(config(directory.path(), &[])).await.kind(), ErrorKind::Keys);

    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refusal(config(directory.path(), &[])).await;
    assert!(error.next().contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_cheap_key_file_is_of_no_use_on_the_public_network() {
    let (directory, node) = start(&[]).await;
    node.shutdown().await.unwrap();
    let directory = directory.path().to_str().unwrap();
    let main = Config::load(&sources(&[("data_dir", directory), ("listen", "/ip4/127.0.0.1/tcp/0")])).unwrap();
    let error = refusal(main).await;
    assert_eq!(error.kind(), ErrorKind::Keys);
    assert!(error.why().contains("cheap"), "{error}");
}

#[tokio::test]
async fn a_damaged_message_store_is_named_and_left_alone() {
    let (directory, node) = start(&[]).await;
    node.shutdown().await.unwrap();
    let path = directory.path().join("endpoint.db");
    std::fs::write(&path, [0x5A; 8_192]).unwrap();
    let error = refusal(config(directory.path(), &[])).await;
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.what().contains("endpoint.db") && error.next().contains("backup"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), [0x5A; 8_192]);
}

#[tokio::test]
async fn a_taken_port_and_a_taken_directory_are_said_to_be() {
    let (directory, node) = start(&[]).await;
    let again = refusal(config(directory.path(), &[])).await;
    assert_eq!(again.kind(), ErrorKind::InUse);
    assert!(again.why().contains("another node"), "{again}");

    let other = tempfile::tempdir().unwrap();
    let taken = [("listen", &*node.locators()[0].to_string()), ("api_listen", &*node.api_address().to_string())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in taken {
        let error = refusal(config(other.path(), &[(&name, &value)])).await;
        assert_eq!(error.kind(), ErrorKind::Listen, "{error}");
    }
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_running_node_is_found_by_its_file_and_a_stopped_one_is_not() {
    let (directory, node) = start(&[]).await;
    let path = directory.path().join(ENDPOINT_FILE);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let client = mainframe_sdk::Client::from_data_dir(directory.path()).unwrap();
    assert_eq!(client.status().await.unwrap().relay.overlay, node.overlay().to_string());

    let mut stale = EndpointFile::read(directory.path()).unwrap();
    client.shutdown().await.unwrap();
    node.run_until(std::future::pending()).await.unwrap();
    assert!(!path.exists());
    assert!(!client.is_live().await);

    // No system gives out this number: it is above the greatest there can be.
    stale.pid = u32::MAX;
    std::fs::write(&path, serde_json::to_vec(&stale).unwrap()).unwrap();
    let error = EndpointFile::read(directory.path()).unwrap_err();
    assert!(error.to_string().contains("did not stop cleanly"), "{error}");
    try_start(config(directory.path(), &[])).await.unwrap().shutdown().await.unwrap();
}
