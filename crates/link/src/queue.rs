//! Frames waiting for one peer: bounded in bytes, control before cells, filled from any thread without blocking.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use mainframe_base::Refusal;
use mainframe_core::wire::OutFrame;

/// Bounds of the queues of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Cell bytes for one peer.
    pub(crate) cells: usize,
    /// Control bytes for one peer.
    pub(crate) control: usize,
    /// Cell bytes for all peers.
    pub(crate) total: usize,
}

/// Bytes waiting on a whole link.
#[derive(Default, Debug)]
pub(crate) struct Tally {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Tally {
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn subtract(&self, bytes: usize) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The outgoing queue of one peer, shared by whoever sends and the connection that writes.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    tally: Arc<Tally>,
    inner: Mutex<Inner>,
    /// What leaves it goes through a relay.
    relayed: AtomicBool,
}

#[derive(Default, Debug)]
struct Inner {
    control: VecDeque<OutFrame>,
    cells: VecDeque<OutFrame>,
    control_bytes: usize,
    cell_bytes: usize,
    /// The most cells that waited since the queue was last found empty.
    cells_most: usize,
    state: State,
    /// Wakes the connection.
    waker: Option<Waker>,
    /// The writer found nothing and waits to be woken; otherwise it will look again by itself.
    idle: bool,
}

/// What becomes of frames put into the queue.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Open,
    /// The peer did not read even control frames: nothing more is taken, and the connection is to end.
    Overflowed,
    /// The connection has ended.
    Closed,
}

/// What the writer found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// Frames, in the vector.
    Frames,
    /// None; the connection is woken when there are some.
    Nothing,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds, tally: Arc<Tally>) -> Queue {
        Queue { bounds, tally, inner: Mutex::default(), relayed: AtomicBool::new(false) }
    }

    /// Whether what leaves it goes through a relay.
    pub(crate) fn is_relayed(&self) -> bool {
        self.relayed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_relayed(&self, relayed: bool) {
        self.relayed.store(relayed, Ordering::Relaxed);
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// `Busy` if its class is full, `NotConnected` once the connection has ended or overflowed. Nothing was kept.
    pub(crate) fn push(&self, frame: OutFrame) -> Result<(), Refusal> {
        let (verdict, waker) = self.push_quietly(frame);
        if let Some(waker) = waker {
            waker.wake();
        }
        verdict
    }

    /// Appends a frame as [`Queue::push`] does, and leaves it to the caller to wake the connection: after a batch.
    pub(crate) fn push_quietly(&self, frame: OutFrame) -> (Result<(), Refusal>, Option<Waker>) {
        let mut inner = self.lock();
        if inner.state != State::Open {
            return (Err(Refusal::NotConnected), None);
        }
        let bytes = frame.length();
        let verdict = if frame.cell.is_some() {
            self.push_cell(&mut inner, frame, bytes)
        } else {
            self.push_control(&mut inner, frame, bytes)
        };
        let wake = inner.idle || inner.state == State::Overflowed;
        inner.idle = false;
        let waker = if wake { inner.waker.take() } else { None };
        (verdict, waker)
    }

    fn push_cell(&self, inner: &mut Inner, frame: OutFrame, bytes: usize) -> Result<(), Refusal> {
        if inner.cell_bytes + bytes > self.bounds.cells || self.tally.now() + bytes > self.bounds.total {
            return Err(Refusal::Busy);
        }
        inner.cell_bytes += bytes;
        inner.cells.push_back(frame);
        inner.cells_most = inner.cells_most.max(inner.cells.len());
        self.tally.add(bytes);
        Ok(())
    }

    fn push_control(&self, inner: &mut Inner, frame: OutFrame, bytes: usize) -> Result<(), Refusal> {
        if inner.control_bytes + bytes > self.bounds.control {
            inner.state = State::Overflowed;
            return Err(Refusal::Busy);
        }
        inner.control_bytes += bytes;
        inner.control.push_back(frame);
        self.tally.add(bytes);
        Ok(())
    }

    /// Remembers whom to wake, and tells whether the peer has stopped reading altogether.
    pub(crate) fn watch(&self, waker: &Waker) -> bool {
        let mut inner = self.lock();
        if !inner.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
        inner.state == State::Overflowed
    }

    /// Moves frames of about `bytes` bytes into `frames`, control first.
    pub(crate) fn take(&self, frames: &mut Vec<OutFrame>, bytes: usize) -> Taken {
        let mut inner = self.lock();
        let mut taken = 0;
        while taken < bytes {
            let Some(frame) = inner.pop() else { break };
            taken += frame.length();
            frames.push(frame);
        }
        self.tally.subtract(taken);
        if taken > 0 {
            return Taken::Frames;
        }
        inner.release();
        inner.idle = true;
        Taken::Nothing
    }

    /// Drops what is left and takes no more: the connection has ended.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        self.tally.subtract(inner.control_bytes + inner.cell_bytes);
        *inner = Inner { state: State::Closed, ..Inner::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock can panic")
    }
}

impl Inner {
    fn pop(&mut self) -> Option<OutFrame> {
        if let Some(frame) = self.control.pop_front() {
            self.control_bytes -= frame.length();
            return Some(frame);
        }
        let frame = self.cells.pop_front()?;
        self.cell_bytes -= frame.length();
        Some(frame)
    }

    /// Gives back what a burst has grown and nobody needed since: an idle peer must cost next to nothing, but a busy one
    /// finds its queue empty many times a second.
    fn release(&mut self) {
        const KEPT: usize = 64; // guess: frames of one relay tick
        self.control.shrink_to(KEPT);
        if self.cells_most < self.cells.capacity() / 4 {
            self.cells.shrink_to(KEPT.max(2 * self.cells_most));
        }
        self.cells_most = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const BOUNDS: Bounds = Bounds { cells: 5_000, control: 100, total: 6_000 };

    fn control(name: u8) -> OutFrame {
        OutFrame { head: Bytes::from(vec![name; 20]), cell: None }
    }

    fn cell(name: u8) -> OutFrame {
        OutFrame { head: Bytes::from(vec![name; 16]), cell: Some(Bytes::from(vec![0; 2_048])) }
    }

    fn queue() -> Queue {
        Queue::new(BOUNDS, Arc::default())
    }

    fn drain(queue: &Queue) -> (Taken, Vec<u8>) {
        let mut frames = Vec::new();
        let taken = queue.take(&mut frames, usize::MAX);
        (taken, frames.iter().map(|frame| frame.head[0]).collect())
    }

    #[test]
    fn control_frames_go_before_cells_and_each_class_keeps_its_order() {
        let queue = queue();
        for frame in [cell(1), control(2), cell(3), control(4)] {
            queue.push(frame).unwrap();
        }
        assert_eq!(drain(&queue), (Taken::Frames, vec![2, 4, 1, 3]));
        assert_eq!(queue.tally.now(), 0);
        assert_eq!(queue.tally.most(), 2 * 2_064 + 40);
    }

    #[test]
    fn a_full_queue_refuses_cells_but_not_control_frames() {
        let queue = queue();
        queue.push(cell(1)).unwrap();
        queue.push(cell(2)).unwrap();
        assert_eq!(queue.push(cell(3)), Err(Refusal::Busy));
        queue.push(control(4)).unwrap();
        assert_eq!(drain(&queue), (Taken::Frames, vec![4, 1, 2]));
    }

    #[test]
    fn all_peers_together_are_bounded() {
        let tally = Arc::new(Tally::default());
        let (one, other) = (Queue::new(BOUNDS, tally.clone()), Queue::new(BOUNDS, tally));
        one.push(cell(1)).unwrap();
        one.push(cell(2)).unwrap();
        assert_eq!(other.push(cell(3)), Err(Refusal::Busy));
        one.close();
        other.push(cell(3)).unwrap();
    }

    #[test]
    fn a_peer_that_reads_no_control_frames_overflows() {
        let queue = queue();
        for name in 0..5 {
            queue.push(control(name)).unwrap();
        }
        assert_eq!(queue.push(control(5)), Err(Refusal::Busy));
        assert!(queue.watch(Waker::noop()));
        assert_eq!(queue.push(cell(6)), Err(Refusal::NotConnected));
    }

    #[test]
    fn a_burst_leaves_room_for_the_next_and_none_after_that() {
        let queue = Queue::new(Bounds { cells: 1 << 20, control: 0, total: 1 << 20 }, Arc::default());
        for _ in 0..500 {
            queue.push(cell(1)).unwrap();
        }
        drain(&queue);
        assert_eq!(drain(&queue).0, Taken::Nothing);
        assert!(queue.lock().cells.capacity() >= 500);
        assert_eq!(drain(&queue).0, Taken::Nothing);
        assert!(queue.lock().cells.capacity() < 100);
    }

    #[test]
    fn a_closed_queue_holds_nothing_and_takes_nothing() {
        let queue = queue();
        queue.push(cell(1)).unwrap();
        queue.close();
        assert_eq!(queue.tally.now(), 0);
        assert_eq!(queue.push(control(1)), Err(Refusal::NotConnected));
    }
}
