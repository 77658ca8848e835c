//! A relay among the others that keeps the tags and ephemeral bytes of every cell it carries, and sees whether any comes twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use mainframe_base::{Locator, PacketId, Tag};
use mainframe_core::wire::Cell;
use mainframe_node::BareRelay;

use super::part::Carrier;
use crate::devnet::Node;

/// How long one wait for cells lasts.
const WAIT: Duration = Duration::from_millis(200);

/// The cells with one tag: each one's ephemeral bytes.
type Bearers = BTreeMap<PacketId, [u8; 32]>;

/// Keeps what passes.
#[derive(Debug)]
pub(super) struct Witness {
    seen: Arc<Mutex<BTreeMap<Tag, Bearers>>>,
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What passed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Seen {
    /// Cells, each counted once.
    pub(super) cells: u64,
    /// Tags that were on two cells.
    pub(super) tags_used_twice: u64,
    /// Tags that were on two cells with the same ephemeral bytes.
    pub(super) keys_used_twice: u64,
}

impl Witness {
    /// Joins relays as one of them. What is sent to everybody passes it.
    ///
    /// # Errors
    /// If it cannot start.
    pub(super) async fn join(relays: &[Node]) -> anyhow::Result<Witness> {
        let relay =
            BareRelay::start(vec![Carrier::Tcp.anywhere()], |_| true).await.map_err(crate::settings::failure)?;
        let locators = relays.iter().flat_map(|node| node.endpoint.locators.iter());
        let locators: Vec<Locator> = locators.filter_map(|text| text.parse().ok()).collect();
        relay.connect(locators).await?;
        while (relay.status().await?.peers) < relays.len() {
            tokio::time::sleep(WAIT).await;
        }
        let (seen, is_done) = (Arc::new(Mutex::new(BTreeMap::new())), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::Builder::new().name("witness".to_owned()).spawn({
            let (seen, is_done) = (seen.clone(), is_done.clone());
            move || {
                while !is_done.load(Ordering::Relaxed) {
                    let cells = relay.take_cells(WAIT);
                    let mut seen = locked(&seen);
                    cells.iter().for_each(|cell| note(&mut seen, cell));
                }
            }
        });
        Ok(Witness { seen, is_done, thread: Some(thread.context("no thread for a witness")?) })
    }

    /// What has passed so far.
    pub(super) fn seen(&self) -> Seen {
        count(&locked(&self.seen))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        // Its relay goes with the thread.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn note(seen: &mut BTreeMap<Tag, Bearers>, cell: &Cell) {
    let header = cell.header();
    seen.entry(header.tag).or_default().insert(cell.id(), header.ephemeral);
}

fn count(seen: &BTreeMap<Tag, Bearers>) -> Seen {
    let mut counted = Seen::default();
    for bearers in seen.values() {
        counted.cells += bearers.len() as u64;
        counted.tags_used_twice += u64::from(bearers.len() > 1);
        let mut keys: Vec<&[u8; 32]> = bearers.values().collect();
        keys.sort_unstable();
        counted.keys_used_twice += u64::from(keys.windows(2).any(|pair| pair[0] == pair[1]));
    }
    counted
}

fn locked(seen: &Mutex<BTreeMap<Tag, Bearers>>) -> MutexGuard<'_, BTreeMap<Tag, Bearers>> {
    seen.lock().expect("no holder of this lock can panic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Prefix;
    use mainframe_core::wire::{CellHeader, ExpiryBucket, HoldClass, SizeClass};

    fn cell(tag: u8, ephemeral: u8, filling: u8) -> Cell {
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination: Prefix::EVERYONE,
            expiry: ExpiryBucket(0),
            tag: Tag([tag; 16]),
            ephemeral: [ephemeral; 32],
        };
        Cell::build(header, [filling; 80], &vec![0; SizeClass::T.body_length()])
    }

    #[test]
    fn a_tag_on_two_cells_and_a_key_of_two_cells_are_noticed_and_a_cell_that_comes_twice_is_not() {
        let mut seen = BTreeMap::new();
        for cell in [cell(1, 1, 1), cell(1, 1, 1), cell(2, 2, 2)] {
            note(&mut seen, &cell);
        }
        assert_eq!(count(&seen), Seen { cells: 2, tags_used_twice: 0, keys_used_twice: 0 });
        note(&mut seen, &cell(2, 3, 2));
        assert_eq!(count(&seen), Seen { cells: 3, tags_used_twice: 1, keys_used_twice: 0 });
        note(&mut seen, &cell(1, 1, 9));
        assert_eq!(count(&seen), Seen { cells: 4, tags_used_twice: 2, keys_used_twice: 1 });
    }
}
