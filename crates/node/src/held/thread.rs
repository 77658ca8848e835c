//! The thread that waits for the disk, so that nobody else does.
//!
//! What waits is written together: under load a batch grows and its one sync costs each cell less.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mainframe_base::PacketId;
use mainframe_core::switchboard::{HeldCell, Shelf, StoreOrder, StoreReport};
use mainframe_core::wire::Cell;
use tokio::sync::watch;

use super::store::HeldStore;
use crate::error::{ErrorKind, NodeError};

/// Orders carried out together. At 256 a sync costs each cell little (docs/decisions/0009), and one batch is at most
/// 4 MiB.
pub const BATCH_MAX: usize = 256;
/// Cells that may wait to be written: one batch while another is written, 4 MiB at most.
pub const KEEPS_MAX: usize = BATCH_MAX;
/// Cells that may wait to be read: as many as the core has read at a time (crates/core: `hold/serving.rs`).
pub const READS_MAX: usize = 4_096;
/// Shelves that may wait to be dropped: all there are, 75 hours of three classes.
const DROPS_MAX: usize = 256;

/// So many orders wait that this one was not taken: as if it had been answered "not kept". Nothing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the disk is busy: {KEEPS_MAX} cells wait to be written already, and this one was not taken")]
pub struct Busy;

/// The running thread. Dropped without [`HoldThread::stop`], it still finishes what it has, but nobody waits for it.
#[derive(Debug)]
pub struct HoldThread {
    running: Option<Running>,
    refusal: watch::Receiver<Option<NodeError>>,
}

#[derive(Debug)]
struct Running {
    orders: SyncSender<StoreOrder>,
    /// Cells that wait to be written.
    keeps: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl HoldThread {
    /// Opens the store in `directory` (`held` in the data directory), tells what is in it and starts the thread.
    /// Reports come from that thread; while `report` waits, orders do.
    ///
    /// # Errors
    /// If the directory cannot be made or read, or the thread cannot be started.
    pub fn start(
        directory: &Path,
        report: impl Fn(StoreReport) + Send + 'static,
    ) -> Result<(HoldThread, Vec<HeldCell>), NodeError> {
        let (store, found) = HeldStore::open(directory)?;
        if store.damaged() > 0 {
            tracing::warn!(cells = store.damaged(), "held cells are damaged and were left out");
        }
        let (orders, waiting) = sync_channel(KEEPS_MAX + READS_MAX + DROPS_MAX);
        let keeps = Arc::new(AtomicUsize::new(0));
        let (refusing, refusal) = watch::channel(None);
        let hold = Hold { store, report, refusing, keeps: keeps.clone() };
        let thread = thread::Builder::new().name("hold".into()).spawn(move || hold.run(&waiting)).map_err(|error| {
            let what = "cannot start the thread of held cells";
            NodeError::new(ErrorKind::System, what, error, "Allow the process more threads, or free some memory.")
        })?;
        Ok((HoldThread { running: Some(Running { orders, keeps, thread }), refusal }, found))
    }

    /// None that runs: it takes no orders, because of that.
    pub fn none(why: NodeError) -> HoldThread {
        HoldThread { running: None, refusal: watch::channel(Some(why)).1 }
    }

    /// Why the last cells that were to be kept are not; nothing while all is well.
    pub fn refusal(&self) -> watch::Receiver<Option<NodeError>> {
        self.refusal.clone()
    }

    /// Gives an order, without waiting.
    ///
    /// # Errors
    /// [`Busy`] if too many wait.
    pub fn order(&self, order: StoreOrder) -> Result<(), Busy> {
        let Running { orders, keeps, .. } = self.running.as_ref().ok_or(Busy)?;
        let is_keep = matches!(order, StoreOrder::Keep(..));
        if is_keep && keeps.load(Ordering::Relaxed) >= KEEPS_MAX {
            return Err(Busy);
        }
        // Counted before it is there, so that it cannot be taken out uncounted.
        keeps.fetch_add(usize::from(is_keep), Ordering::Relaxed);
        orders.try_send(order).map_err(|_| {
            keeps.fetch_sub(usize::from(is_keep), Ordering::Relaxed);
            Busy
        })
    }

    /// Waits until every order that was taken is carried out and reported, and ends the thread.
    ///
    /// # Panics
    /// If the thread did: a bug of ours.
    pub fn stop(self) {
        let Some(Running { orders, thread, .. }) = self.running else { return };
        drop(orders);
        thread.join().expect("the thread of held cells does not panic");
    }
}

/// Orders carried out together: first all cells are kept, then those asked for are read, then a shelf is dropped.
#[derive(Default)]
struct Gathered {
    keep: Vec<(Shelf, Cell)>,
    read: Vec<(Shelf, PacketId)>,
    drop: Option<Shelf>,
}

impl Gathered {
    /// This order and what waits behind it. Ends at a drop, so that what comes after it is not dropped with it.
    fn from(first: StoreOrder, waiting: &Receiver<StoreOrder>) -> Gathered {
        let mut gathered = Gathered::default();
        let orders = std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok()));
        for order in orders.take(BATCH_MAX) {
            match order {
                StoreOrder::Keep(shelf, cell) => gathered.keep.push((shelf, cell)),
                StoreOrder::Read(shelf, id) => gathered.read.push((shelf, id)),
                StoreOrder::Drop(shelf) => {
                    gathered.drop = Some(shelf);
                    break;
                }
            }
        }
        gathered
    }
}

struct Hold<R> {
    store: HeldStore,
    report: R,
    refusing: watch::Sender<Option<NodeError>>,
    keeps: Arc<AtomicUsize>,
}

impl<R: Fn(StoreReport)> Hold<R> {
    fn run(mut self, waiting: &Receiver<StoreOrder>) {
        while let Ok(first) = waiting.recv() {
            let gathered = Gathered::from(first, waiting);
            self.keeps.fetch_sub(gathered.keep.len(), Ordering::Relaxed);
            self.keep(&gathered.keep);
            for (shelf, id) in gathered.read {
                (self.report)(StoreReport::Read(id, self.store.read(shelf, id)));
            }
            if let Some(shelf) = gathered.drop {
                self.store.drop_shelf(shelf);
            }
        }
    }

    fn keep(&mut self, cells: &[(Shelf, Cell)]) {
        if cells.is_empty() {
            return;
        }
        let kept = self.store.keep(Instant::now(), cells);
        self.say(kept.err());
        let (held, others): (Vec<_>, Vec<_>) =
            cells.iter().partition(|(shelf, cell)| self.store.holds(*shelf, cell.id()));
        let ids = |cells: Vec<&(Shelf, Cell)>| cells.into_iter().map(|(_, cell)| cell.id()).collect::<Vec<_>>();
        if !held.is_empty() {
            (self.report)(StoreReport::Kept(ids(held)));
        }
        if !others.is_empty() {
            (self.report)(StoreReport::NotKept(ids(others)));
        }
    }

    /// Logs when it begins to refuse and when it no longer does, not every time.
    fn say(&self, error: Option<NodeError>) {
        match (&error, self.refusing.borrow().is_some()) {
            (Some(error), false) => tracing::warn!(%error, "cells are no longer held"),
            (None, true) => tracing::info!("cells are held again"),
            (Some(_), true) | (None, false) => {}
        }
        self.refusing.send_replace(error);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::held::samples::{shelf, small};

    fn start(directory: &Path) -> (HoldThread, mpsc::Receiver<StoreReport>) {
        let (sender, reports) = mpsc::channel();
        let (hold, _) = HoldThread::start(directory, move |report| sender.send(report).unwrap()).unwrap();
        (hold, reports)
    }

    #[test]
    fn every_order_that_was_taken_is_carried_out_before_it_stops() {
        let directory = tempfile::tempdir().unwrap();
        let (hold, reports) = start(directory.path());
        for number in 0..100 {
            hold.order(StoreOrder::Keep(shelf(1), small(number))).unwrap();
        }
        hold.order(StoreOrder::Read(shelf(1), small(99).id())).unwrap();
        hold.order(StoreOrder::Read(shelf(2), small(99).id())).unwrap();
        hold.stop();
        let (mut kept, mut read) = (Vec::new(), Vec::new());
        for report in reports {
            match report {
                StoreReport::Kept(ids) => kept.extend(ids),
                StoreReport::Read(_, cell) => read.push(cell),
                StoreReport::NotKept(ids) => panic!("{ids:?}"),
            }
        }
        assert!(kept.into_iter().eq((0..100).map(|number| small(number).id())));
        assert_eq!(read, [Some(small(99)), None]);
        assert_eq!(HoldThread::start(directory.path(), drop).unwrap().1.len(), 100);
    }

    #[test]
    fn what_comes_after_a_drop_is_not_dropped_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let (hold, reports) = start(directory.path());
        hold.order(StoreOrder::Keep(shelf(1), small(1))).unwrap();
        hold.order(StoreOrder::Drop(shelf(1))).unwrap();
        hold.order(StoreOrder::Keep(shelf(1), small(2))).unwrap();
        hold.order(StoreOrder::Read(shelf(1), small(1).id())).unwrap();
        hold.order(StoreOrder::Read(shelf(1), small(2).id())).unwrap();
        hold.stop();
        let reports: Vec<StoreReport> = reports.into_iter().collect();
        assert!(reports.contains(&StoreReport::Read(small(1).id(), None)));
        assert!(reports.contains(&StoreReport::Read(small(2).id(), Some(small(2)))));
    }

    #[test]
    fn a_caller_is_told_at_once_when_too_much_waits() {
        let directory = tempfile::tempdir().unwrap();
        let (entered, is_stuck) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let report = move |_| {
            let _ = entered.send(());
            let _ = released.recv();
        };
        let (hold, _) = HoldThread::start(directory.path(), report).unwrap();
        hold.order(StoreOrder::Read(shelf(1), small(0).id())).unwrap();
        is_stuck.recv().unwrap();
        let taken = (0..).take_while(|number| hold.order(StoreOrder::Keep(shelf(1), small(*number))).is_ok()).count();
        assert_eq!(taken, KEEPS_MAX);
        hold.order(StoreOrder::Read(shelf(1), small(0).id())).unwrap();
        drop(release);
        hold.stop();
    }

    #[test]
    fn cells_held_already_are_kept_even_when_the_disk_refuses_new_ones() {
        let directory = tempfile::tempdir().unwrap();
        let held = directory.path().join("held");
        let (mut store, _) = HeldStore::open(&held).unwrap();
        store.keep(Instant::now(), &[(shelf(1), small(1))]).unwrap();
        std::fs::remove_dir_all(&held).unwrap();
        let (sender, reports) = mpsc::channel();
        let report = move |report| sender.send(report).unwrap();
        let (refusing, refusal) = watch::channel(None);
        let mut hold = Hold { store, report, refusing, keeps: Arc::default() };
        hold.keep(&[(shelf(1), small(1)), (shelf(2), small(2))]);
        let error = refusal.borrow().clone().unwrap();
        drop(hold);
        let reports: Vec<StoreReport> = reports.into_iter().collect();
        let [StoreReport::Kept(kept), StoreReport::NotKept(refused)] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((&kept[..], &refused[..]), (&[small(1).id()][..], &[small(2).id()][..]));
        assert!(error.what().contains("cannot keep cells") && !error.next().is_empty(), "{error}");
    }

    #[test]
    fn a_refusal_is_told_until_cells_are_kept_again() {
        let directory = tempfile::tempdir().unwrap();
        let held = directory.path().join("held");
        let (sender, reports) = mpsc::channel();
        let (hold, _) = HoldThread::start(&held, move |report| sender.send(report).unwrap()).unwrap();
        let refusal = hold.refusal();
        std::fs::remove_dir(&held).unwrap();
        hold.order(StoreOrder::Keep(shelf(1), small(1))).unwrap();
        assert_eq!(reports.recv().unwrap(), StoreReport::NotKept(vec![small(1).id()]));
        assert!(refusal.borrow().as_ref().is_some_and(|error| error.what().contains("cannot keep cells")));
        std::fs::create_dir(&held).unwrap();
        while reports.try_recv() != Ok(StoreReport::Kept(vec![small(2).id()])) {
            let _ = hold.order(StoreOrder::Keep(shelf(1), small(2)));
        }
        assert_eq!(*refusal.borrow(), None);
        hold.stop();
    }

    #[test]
    fn where_none_runs_nothing_is_taken_and_everyone_may_know_why() {
        let why = NodeError::new(ErrorKind::Store, "cannot open", "it is a file", "Move it away.");
        let hold = HoldThread::none(why.clone());
        assert_eq!(hold.order(StoreOrder::Keep(shelf(1), small(1))), Err(Busy));
        assert_eq!(*hold.refusal().borrow(), Some(why));
        hold.stop();
    }
}
