//! The endpoint half's thread.
//!
//! Its effects leave only after their cause is committed with a full sync: a message is published, and an order
//! answered, when no crash can undo it. If a commit fails the node stops, because memory must never run ahead of disk.

use std::sync::Arc;
use std::time::Duration;

use mainframe_base::{Refusal, Time};
use mainframe_core::switchboard::{
    CommandId, Endpoint, EndpointCommand, EndpointEffect, EndpointInput, EndpointReply, RelayInput, RelayReply,
};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::desk::{Answer, Desk};
use crate::error::NodeError;
use crate::mailbox::{Batch, Mailbox};
use crate::relay_loop::RelayWork;
use crate::store::SqliteStore;

/// How long a stopping node goes on looking at cells it took over (guess; 32 MiB are looked at in 1 s).
const DRAIN_MS: u64 = 5_000;
/// The number of our own questions; the desk counts from 1.
const OWN_QUESTION: CommandId = CommandId(0);

/// The endpoint half and everything it touches.
pub(crate) struct EndpointLoop {
    pub(crate) endpoint: Endpoint,
    pub(crate) store: SqliteStore,
    pub(crate) clock: Arc<Clock>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) relay: mpsc::Sender<RelayWork>,
    pub(crate) desk: Arc<Desk>,
}

impl EndpointLoop {
    /// Carries these out before anything else happens; how many were refused. Nobody waits for an answer.
    pub(crate) fn introduce(&mut self, commands: Vec<EndpointCommand>) -> Result<usize, NodeError> {
        let (now, mut effects) = (self.clock.now(), Vec::new());
        for command in commands {
            self.handle(now, EndpointInput::Command(OWN_QUESTION, command), &mut effects);
        }
        self.store.commit()?;
        let refused = |effect: &&EndpointEffect| matches!(effect, EndpointEffect::Reply(_, EndpointReply::Refused(_)));
        let count = effects.iter().filter(refused).count();
        effects.into_iter().for_each(|effect| self.release(effect));
        Ok(count)
    }

    /// Runs until the mailbox ends and everything in it is done, or until a commit fails.
    pub(crate) fn run(mut self) {
        if let Err(error) = self.work_through() {
            self.desk.fail(error);
        }
    }

    fn work_through(&mut self) -> Result<(), NodeError> {
        #[cfg(feature = "early-open")]
        self.mailbox.early.attend();
        loop {
            let batch = self.mailbox.wait(self.time_left());
            if batch.ending && batch.is_empty() {
                return self.drain();
            }
            self.step(batch)?;
        }
    }

    /// One transaction: the batch, then the commit, then what it caused.
    fn step(&mut self, batch: Batch) -> Result<(), NodeError> {
        let now = self.clock.now();
        let mut effects = Vec::new();
        if self.endpoint.next_wake().is_some_and(|due| due <= now) {
            self.handle(now, EndpointInput::Wake, &mut effects);
        }
        for input in batch.inputs {
            self.handle(now, input, &mut effects);
        }
        #[cfg(feature = "early-open")]
        let cells = batch.cells.len();
        for cell in batch.cells {
            self.handle(now, EndpointInput::Cell(cell), &mut effects);
        }
        #[cfg(feature = "early-open")]
        if cells > 0 {
            self.handle(now, EndpointInput::Wake, &mut effects);
        }
        self.store.commit()?;
        #[cfg(feature = "early-open")]
        self.mailbox.early.looked_at(cells);
        effects.into_iter().for_each(|effect| self.release(effect));
        Ok(())
    }

    /// Opens what still waits inside the endpoint half, tick by tick.
    fn drain(&mut self) -> Result<(), NodeError> {
        let until = self.clock.now() + DRAIN_MS;
        while self.waiting() > 0 && self.clock.now() < until {
            let Some(left) = self.time_left() else { return Ok(()) };
            std::thread::sleep(left);
            self.step(Batch::default())?;
        }
        Ok(())
    }

    fn waiting(&mut self) -> usize {
        let mut effects = Vec::new();
        let question = EndpointInput::Command(OWN_QUESTION, EndpointCommand::Status);
        self.handle(self.clock.now(), question, &mut effects);
        let waiting = effects.iter().find_map(|effect| match effect {
            EndpointEffect::Reply(OWN_QUESTION, EndpointReply::Status(status)) => Some(status.waiting),
            EndpointEffect::Reply(..)
            | EndpointEffect::Cell(..)
            | EndpointEffect::Ask(..)
            | EndpointEffect::Publish(_) => None,
        });
        waiting.unwrap_or(0)
    }

    fn handle(&mut self, now: Time, input: EndpointInput, effects: &mut Vec<EndpointEffect>) {
        self.endpoint.handle(now, input, &mut self.store, effects);
    }

    fn release(&self, effect: EndpointEffect) {
        match effect {
            EndpointEffect::Cell(id, dispatch) => self.ask_relay(id, RelayInput::Cell(id, dispatch)),
            EndpointEffect::Ask(id, command) => self.ask_relay(id, RelayInput::Command(id, command)),
            EndpointEffect::Reply(id, reply) => self.desk.answer(id, Answer::Endpoint(reply)),
            EndpointEffect::Publish(event) => self.desk.publish_endpoint(event),
        }
    }

    /// The relay half never waits for us, nor we for it: with its queue full the answer is that it is busy.
    fn ask_relay(&self, id: CommandId, input: RelayInput) {
        if self.relay.try_send(RelayWork::Input(input)).is_ok() {
            return;
        }
        let busy = RelayReply::Refused(Refusal::Busy);
        if id.is_of_endpoint() {
            self.mailbox.push_answers([EndpointInput::Answer(id, busy)]);
        } else {
            self.desk.answer(id, Answer::Relay(busy));
        }
    }

    fn time_left(&self) -> Option<Duration> {
        self.endpoint.next_wake().map(|due| Duration::from_millis(due.since_ms(self.clock.now())))
    }
}
