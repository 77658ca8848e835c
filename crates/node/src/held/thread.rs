//! The thread that waits for the disk, so that nobody else does.
//!
//! What waits is written together: under load a batch grows and its one sync costs each cell less.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mainframe_base::PacketId;
use mainframe_core::wire::Cell;

use super::shelf::Shelf;
use super::store::{Found, HeldStore};
use crate::error::{ErrorKind, NodeError};

/// Orders carried out together. At 256 a sync costs each cell little (docs/decisions/0009), and one batch is at most
/// 4 MiB.
pub const BATCH_MAX: usize = 256;
/// Orders that may wait: one batch while another is written, 4 MiB at most.
pub const QUEUE_MAX: usize = BATCH_MAX;

/// What the store is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Keep a cell on a shelf; answered by [`Report::Kept`] or [`Report::NotKept`].
    Keep(Shelf, Cell),
    /// Read a cell; answered by [`Report::Read`]. Finds whatever was to be kept before it.
    Read(Shelf, PacketId),
    /// Let go of a shelf; not answered.
    Drop(Shelf),
}

/// What became of orders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// These are on disk and survive a power cut.
    Kept(Vec<PacketId>),
    /// These are not, and why not: what, why, what next, for the operator.
    NotKept(Vec<PacketId>, NodeError),
    /// The cell; none if it is not held, or damaged.
    Read(PacketId, Option<Cell>),
}

/// So many orders wait that this one was not taken: as if it had been answered "not kept". Nothing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the disk is busy: {QUEUE_MAX} orders of held cells wait already, and this one was not taken; try again later")]
pub struct Busy;

/// The running thread. Dropped without [`HoldThread::stop`], it still finishes what it has, but nobody waits for it.
#[derive(Debug)]
pub struct HoldThread {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
}

impl HoldThread {
    /// Opens the store in `directory` (`held` in the data directory), tells what is in it and starts the thread.
    /// Reports come from that thread; `report` should not wait.
    ///
    /// # Errors
    /// If the directory cannot be made or read, or the thread cannot be started.
    pub fn start(
        directory: &Path,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<(HoldThread, Vec<Found>), NodeError> {
        let (store, found) = HeldStore::open(directory)?;
        if store.damaged() > 0 {
            tracing::warn!(cells = store.damaged(), "held cells are damaged and were left out");
        }
        let (orders, waiting) = sync_channel(QUEUE_MAX);
        let run = move || Hold { store, report, is_refusing: false }.run(&waiting);
        let thread = thread::Builder::new().name("hold".into()).spawn(run).map_err(|error| {
            let what = "cannot start the thread of held cells";
            NodeError::new(ErrorKind::System, what, error, "Allow the process more threads, or free some memory.")
        })?;
        Ok((HoldThread { orders, thread }, found))
    }

    /// Gives an order, without waiting.
    ///
    /// # Errors
    /// [`Busy`] if too many wait.
    pub fn order(&self, order: Order) -> Result<(), Busy> {
        self.orders.try_send(order).map_err(|_| Busy)
    }

    /// Waits until every order that was taken is carried out and reported, and ends the thread.
    ///
    /// # Panics
    /// If the thread did: a bug of ours.
    pub fn stop(self) {
        drop(self.orders);
        self.thread.join().expect("the thread of held cells does not panic");
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
    fn from(first: Order, waiting: &Receiver<Order>) -> Gathered {
        let mut gathered = Gathered::default();
        let orders = std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok()));
        for order in orders.take(BATCH_MAX) {
            match order {
                Order::Keep(shelf, cell) => gathered.keep.push((shelf, cell)),
                Order::Read(shelf, id) => gathered.read.push((shelf, id)),
                Order::Drop(shelf) => {
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
    is_refusing: bool,
}

impl<R: Fn(Report)> Hold<R> {
    fn run(mut self, waiting: &Receiver<Order>) {
        while let Ok(first) = waiting.recv() {
            let gathered = Gathered::from(first, waiting);
            self.keep(&gathered.keep);
            for (shelf, id) in gathered.read {
                (self.report)(Report::Read(id, self.store.read(shelf, id)));
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
        self.log(kept.as_ref().err());
        let (held, others): (Vec<_>, Vec<_>) =
            cells.iter().partition(|(shelf, cell)| self.store.holds(*shelf, cell.id()));
        let ids = |cells: Vec<&(Shelf, Cell)>| cells.into_iter().map(|(_, cell)| cell.id()).collect::<Vec<_>>();
        if !held.is_empty() {
            (self.report)(Report::Kept(ids(held)));
        }
        if let Err(error) = kept {
            (self.report)(Report::NotKept(ids(others), error));
        }
    }

    /// Says when it begins to refuse and when it no longer does, not every time.
    fn log(&mut self, error: Option<&NodeError>) {
        match error {
            Some(error) if !self.is_refusing => tracing::warn!(%error, "cells are no longer held"),
            None if self.is_refusing => tracing::info!("cells are held again"),
            _ => {}
        }
        self.is_refusing = error.is_some();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::held::samples::{shelf, small};

    fn start(directory: &Path) -> (HoldThread, mpsc::Receiver<Report>) {
        let (sender, reports) = mpsc::channel();
        let (hold, _) = HoldThread::start(directory, move |report| sender.send(report).unwrap()).unwrap();
        (hold, reports)
    }

    #[test]
    fn every_order_that_was_taken_is_carried_out_before_it_stops() {
        let directory = tempfile::tempdir().unwrap();
        let (hold, reports) = start(directory.path());
        for number in 0..100 {
            hold.order(Order::Keep(shelf(1), small(number))).unwrap();
        }
        hold.order(Order::Read(shelf(1), small(99).id())).unwrap();
        hold.order(Order::Read(shelf(2), small(99).id())).unwrap();
        hold.stop();
        let (mut kept, mut read) = (Vec::new(), Vec::new());
        for report in reports {
            match report {
                Report::Kept(ids) => kept.extend(ids),
                Report::Read(_, cell) => read.push(cell),
                Report::NotKept(_, error) => panic!("{error}"),
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
        hold.order(Order::Keep(shelf(1), small(1))).unwrap();
        hold.order(Order::Drop(shelf(1))).unwrap();
        hold.order(Order::Keep(shelf(1), small(2))).unwrap();
        hold.order(Order::Read(shelf(1), small(1).id())).unwrap();
        hold.order(Order::Read(shelf(1), small(2).id())).unwrap();
        hold.stop();
        let reports: Vec<Report> = reports.into_iter().collect();
        assert!(reports.contains(&Report::Read(small(1).id(), None)));
        assert!(reports.contains(&Report::Read(small(2).id(), Some(small(2)))));
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
        hold.order(Order::Read(shelf(1), small(0).id())).unwrap();
        is_stuck.recv().unwrap();
        let taken = (0..).take_while(|number| hold.order(Order::Keep(shelf(1), small(*number))).is_ok()).count();
        assert_eq!(taken, QUEUE_MAX);
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
        Hold { store, report, is_refusing: false }.keep(&[(shelf(1), small(1)), (shelf(2), small(2))]);
        let reports: Vec<Report> = reports.into_iter().collect();
        let [Report::Kept(kept), Report::NotKept(refused, error)] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((&kept[..], &refused[..]), (&[small(1).id()][..], &[small(2).id()][..]));
        assert!(error.what().contains("cannot keep cells") && !error.next().is_empty(), "{error}");
    }
}
