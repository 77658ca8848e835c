//! The relay half's thread.
//!
//! Its effects leave at once: what it forwards has no durable cause, so nothing it sends waits for a disk. The only
//! thing it keeps is the peer cache, committed a few seconds after it changed and when the node stops; a cache that
//! cannot be written costs the next start some time and is no reason to stop.

use std::sync::Arc;
use std::time::Duration;

use mainframe_base::{LinkKey, Time};
use mainframe_core::switchboard::{
    EndpointInput, LinkEvent, Relay, RelayEffect, RelayEvent, RelayInput, StoreOrder, StoreReport,
};
use mainframe_core::wire::{Cell, OutFrame};
use mainframe_link::Link;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::desk::{Answer, Desk};
use crate::held::{Busy, HoldThread};
use crate::mailbox::Mailbox;
use crate::store::SqliteStore;

/// Inputs handled before their effects are released: bounds the wait of the first of them to about a millisecond.
const BATCH_MAX: usize = 64;
/// Inputs waiting; while they are so many, the link stops reading from its peers (guess: 8 full batches).
pub(crate) const QUEUE_MAX: usize = 512;
/// How long a change of the peer cache may wait for its commit (guess).
const COMMIT_DELAY_MS: u64 = 5_000;

/// What reaches the relay half's thread.
#[derive(Debug)]
pub(crate) enum RelayWork {
    Input(RelayInput),
    /// Commit and end.
    Stop,
}

impl From<LinkEvent> for RelayWork {
    fn from(event: LinkEvent) -> Self {
        RelayWork::Input(event.into())
    }
}

/// Brings the store's reports to the relay half's thread.
pub(crate) fn reporter(relay: mpsc::Sender<RelayWork>) -> impl Fn(StoreReport) + Send + 'static {
    move |report| {
        // A relay half that has stopped needs no reports.
        let _ = relay.blocking_send(RelayWork::Input(RelayInput::Store(report)));
    }
}

/// The relay half and everything it touches.
pub(crate) struct RelayLoop {
    pub(crate) relay: Relay,
    pub(crate) store: SqliteStore,
    pub(crate) held: HoldThread,
    pub(crate) clock: Arc<Clock>,
    pub(crate) work: mpsc::Receiver<RelayWork>,
    pub(crate) link: Link,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) desk: Arc<Desk>,
}

/// What leaves together after a batch. Empty between batches; kept for its memory.
#[derive(Default)]
struct Leaving {
    frames: Vec<(LinkKey, OutFrame)>,
    cells: Vec<Cell>,
    answers: Vec<EndpointInput>,
    /// Reports on orders that were not taken.
    refused: Vec<StoreReport>,
}

impl RelayLoop {
    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let timer = timer.expect("a runtime without sockets needs nothing from the system");
        timer.block_on(self.work_through());
        self.commit();
        // Its last reports wait for nobody: this queue takes no more.
        drop(self.work);
        self.held.stop();
    }

    async fn work_through(&mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let (mut effects, mut leaving) = (Vec::new(), Leaving::default());
        let mut commit_at: Option<Time> = None;
        loop {
            if !self.take(&mut batch, commit_at).await {
                return;
            }
            let now = self.clock.now();
            let stop = self.handle(now, batch.drain(..), &mut effects);
            self.release(effects.drain(..), &mut leaving);
            while let Some(report) = leaving.refused.pop() {
                self.relay.handle(now, RelayInput::Store(report), &mut self.store, &mut effects);
                self.release(effects.drain(..), &mut leaving);
            }
            commit_at = commit_at.or_else(|| self.store.is_dirty().then(|| now + COMMIT_DELAY_MS));
            if commit_at.is_some_and(|at| at <= now) {
                self.commit();
                commit_at = None;
            }
            if stop {
                return;
            }
        }
    }

    /// Waits for inputs, or for the moment the relay or its store wants something. False if no more can come.
    async fn take(&mut self, batch: &mut Vec<RelayWork>, commit_at: Option<Time>) -> bool {
        let due = self.relay.next_wake().into_iter().chain(commit_at).min();
        let inputs = self.work.recv_many(batch, BATCH_MAX);
        let Some(due) = due else { return inputs.await > 0 };
        let wait = Duration::from_millis(due.since_ms(self.clock.now()));
        tokio::time::timeout(wait, inputs).await.map_or(true, |taken| taken > 0)
    }

    /// Hands a batch to the relay half; true if it is to stop after it.
    fn handle(&mut self, now: Time, batch: impl Iterator<Item = RelayWork>, effects: &mut Vec<RelayEffect>) -> bool {
        let mut stop = false;
        if self.relay.next_wake().is_some_and(|due| due <= now) {
            self.relay.handle(now, RelayInput::Wake, &mut self.store, effects);
        }
        for work in batch {
            match work {
                RelayWork::Input(input) => self.relay.handle(now, input, &mut self.store, effects),
                RelayWork::Stop => stop = true,
            }
        }
        stop
    }

    fn release(&self, effects: impl Iterator<Item = RelayEffect>, leaving: &mut Leaving) {
        for effect in effects {
            match effect {
                RelayEffect::Send(peer, frame) => leaving.frames.push((peer, frame)),
                RelayEffect::Dial { peer, locators } => self.link.dial(peer, locators),
                RelayEffect::Hangup(peer, reason) => {
                    self.send(&mut leaving.frames);
                    self.link.hangup(peer, reason);
                }
                RelayEffect::Cell(cell) => leaving.cells.push(cell),
                RelayEffect::Store(order) => leaving.refused.extend(self.order(order)),
                RelayEffect::Reply(id, reply) if id.is_of_endpoint() => {
                    leaving.answers.push(EndpointInput::Answer(id, reply));
                }
                RelayEffect::Reply(id, reply) => self.desk.answer(id, Answer::Relay(reply)),
                RelayEffect::Publish(event) => {
                    if let RelayEvent::Packet(id, outcome) = event {
                        leaving.answers.push(EndpointInput::Outcome(id, outcome));
                    }
                    self.desk.publish_relay(event);
                }
            }
        }
        #[cfg(feature = "early-open")]
        if !leaving.cells.is_empty() {
            self.mailbox.early.give(leaving.cells.len());
            self.mailbox.push_cells(leaving.cells.drain(..));
            self.mailbox.early.wait();
        }
        self.send(&mut leaving.frames);
        if !leaving.cells.is_empty() {
            self.mailbox.push_cells(leaving.cells.drain(..));
        }
        if !leaving.answers.is_empty() {
            self.mailbox.push_answers(leaving.answers.drain(..));
        }
    }

    /// Gives the disk something to do. When too much waits there already, that is the report.
    fn order(&self, order: StoreOrder) -> Option<StoreReport> {
        let refused = match &order {
            StoreOrder::Keep(_, cell) => Some(StoreReport::NotKept(vec![cell.id()])),
            StoreOrder::Read(_, id) => Some(StoreReport::Read(*id, None)),
            StoreOrder::Drop(_) => None,
        };
        match self.held.order(order) {
            Ok(()) => None,
            Err(Busy) => refused,
        }
    }

    /// A refused frame is lost like one lost on the way: custody and time-outs make up for it.
    fn send(&self, frames: &mut Vec<(LinkKey, OutFrame)>) {
        if frames.is_empty() {
            return;
        }
        for (peer, refusal) in self.link.send_many(frames.drain(..)) {
            tracing::trace!(?peer, %refusal, "a frame was not queued");
        }
    }

    fn commit(&mut self) {
        if let Err(error) = self.store.commit() {
            tracing::warn!(%error, "the peer cache was not written");
        }
    }
}
