//! Cells held for others by running nodes: within their quota, and without harm to what they forward.

use mainframe_sdk::{AddPerson, Body, Client, Hold, SendBatch, SendRequest};

use crate::world::{config, joined, start, try_start, until};

/// Messages of the flood: five times what the quota has room for in an hour.
const FLOOD: usize = 300;
/// 1 MiB has room for a third of a third of small cells of the one-hour class in each hour.
const HELD_AN_HOUR: u64 = (1 << 20) / 3 / 3 / 2_048;

async fn inbox(client: &Client) -> usize {
    client.inbox(0, 1_000).await.unwrap().messages.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_in_a_flood_of_cells_to_hold_stays_within_its_quota_and_forwards_all_of_them() {
    let (_first_directory, first) = start(&[("hold_max_mib", "1")]).await;
    let bootstrap = first.locators()[0].to_string();
    let (held_directory, small) = start(&[("hold_max_mib", "1"), ("bootstrap", &bootstrap)]).await;
    let (_last_directory, last) = start(&[("bootstrap", &bootstrap)]).await;
    for node in [&first, &small, &last] {
        joined(&node.client()).await;
    }
    let reader = AddPerson { luminosity: Some(0), ..AddPerson::named("reader") };
    let reader = last.client().add_person(&reader).await.unwrap();
    let letter = |number: usize| SendRequest {
        hold: Hold::Hour,
        ..SendRequest::to(&reader.address, Body::text(number.to_string()))
    };
    for from in (0..FLOOD).step_by(100) {
        let messages = (from..from + 100).map(letter).collect();
        small.client().send_batch(&SendBatch { messages }).await.unwrap();
    }
    until("every message is read", async || inbox(&last.client()).await == FLOOD).await;
    until("what was refused is counted", async || {
        let relay = small.client().status().await.unwrap().relay;
        let decided = |name: &str| relay.counters[name];
        decided("cells_held") + decided("holds_refused") + decided("holds_failed") >= FLOOD as u64
    })
    .await;
    let relay = small.client().status().await.unwrap().relay;
    assert!(relay.hold.bytes <= relay.hold.bytes_max && relay.hold.bytes_max == 1 << 20, "{relay:?}");
    assert!((1..=2 * HELD_AN_HOUR).contains(&relay.hold.cells), "{relay:?}");
    assert!(relay.counters["holds_refused"] >= FLOOD as u64 - 2 * HELD_AN_HOUR - relay.counters["holds_failed"]);
    assert_eq!(relay.hold.refusing, None, "a full quota is no trouble of the disk");
    let on_disk: u64 = std::fs::read_dir(held_directory.path().join("held"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(on_disk, relay.hold.bytes);
    for node in [last, small, first] {
        node.shutdown().await.unwrap();
    }
    let again = try_start(config(held_directory.path(), &[("hold_max_mib", "1")])).await.unwrap();
    let found = again.client().status().await.unwrap().relay.hold;
    assert_eq!((found.cells, found.bytes), (relay.hold.cells, relay.hold.bytes), "all are there after a restart");
    again.shutdown().await.unwrap();
}
