//! Where the interfaces and the two halves meet: questions out, answers and news in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mainframe_base::{IdentityKey, PacketId};
use mainframe_core::session::SessionEvent;
use mainframe_core::switchboard::{
    CommandId, EndpointCommand, EndpointEvent, EndpointReply, Message, RelayCommand, RelayEvent, RelayInput, RelayReply,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::error::NodeError;
use crate::mailbox::Mailbox;
use crate::relay_loop::RelayWork;

/// Questions waiting for an answer: the largest batches of 32 programs at once.
const PENDING_MAX: usize = 8_192;
/// Packets whose sender is remembered until their outcome is known: 80 s at 200 a second.
const SENT_MAX: usize = 16_384;
/// News kept for a slow listener (guess: 5 s of a busy node); what he misses is counted.
const NEWS_MAX: usize = 1_024;

/// The half that answered, and what.
#[derive(Debug)]
pub(crate) enum Answer {
    Relay(RelayReply),
    Endpoint(EndpointReply),
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoAnswer {
    /// A queue is full.
    Busy,
    /// The half has stopped.
    Stopped,
    /// It took too long.
    TimedOut,
}

/// Something the listeners may want to know.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Of the relay half.
    Relay(RelayEvent),
    /// What became of a packet, and whose it was.
    Packet(PacketId, mainframe_core::switchboard::Outcome, Option<Arc<str>>),
    /// An opened message.
    Message(Message),
    /// Of a person's contacts or sessions.
    Person(IdentityKey, Box<SessionEvent>),
}

#[derive(Debug)]
struct Pending {
    answer: oneshot::Sender<Answer>,
    /// On whose behalf, if it is a packet.
    principal: Option<Arc<str>>,
}

/// Who sent which packet, the newest ones.
#[derive(Debug, Default)]
struct SentLog {
    principals: BTreeMap<PacketId, Arc<str>>,
    order: VecDeque<PacketId>,
}

impl SentLog {
    fn remember(&mut self, id: PacketId, principal: Arc<str>) {
        if self.principals.insert(id, principal).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > SENT_MAX {
            let oldest = self.order.pop_front().expect("just counted");
            self.principals.remove(&oldest);
        }
    }
}

/// Shared by every interface and both halves' threads.
#[derive(Debug)]
pub(crate) struct Desk {
    relay: mpsc::Sender<RelayWork>,
    mailbox: Arc<Mailbox>,
    next: AtomicU64,
    pending: Mutex<BTreeMap<CommandId, Pending>>,
    sent: Mutex<SentLog>,
    news: broadcast::Sender<Arc<News>>,
    failure: watch::Sender<Option<NodeError>>,
}

impl Desk {
    pub(crate) fn new(relay: mpsc::Sender<RelayWork>, mailbox: Arc<Mailbox>) -> Desk {
        Desk {
            relay,
            mailbox,
            next: AtomicU64::new(1),
            pending: Mutex::default(),
            sent: Mutex::default(),
            news: broadcast::Sender::new(NEWS_MAX),
            failure: watch::Sender::new(None),
        }
    }

    /// Asks the relay half.
    pub(crate) async fn ask_relay(&self, command: RelayCommand, patience: Duration) -> Result<RelayReply, NoAnswer> {
        let (question, answer) = self.question(None)?;
        let work = RelayWork::Input(RelayInput::Command(question.id, command));
        match tokio::time::timeout(patience, self.relay.send(work)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(NoAnswer::Stopped),
            Err(_) => return Err(NoAnswer::Busy),
        }
        match wait(answer, patience).await? {
            Answer::Relay(reply) => Ok(reply),
            Answer::Endpoint(_) => unreachable!("the relay half was asked"),
        }
    }

    /// Asks the endpoint half; a packet to send is answered by the relay half, or refused by either.
    pub(crate) async fn ask_endpoint(
        &self,
        command: EndpointCommand,
        principal: Option<Arc<str>>,
        patience: Duration,
    ) -> Result<Answer, NoAnswer> {
        let (question, answer) = self.question(principal)?;
        self.mailbox.push_command(question.id, command).map_err(|_| NoAnswer::Busy)?;
        wait(answer, patience).await
    }

    /// Gives an answer to whoever asked, if he still waits.
    pub(crate) fn answer(&self, id: CommandId, answer: Answer) {
        let Some(pending) = lock(&self.pending).remove(&id) else { return };
        if let (Answer::Relay(RelayReply::Accepted(packet)), Some(principal)) = (&answer, pending.principal) {
            lock(&self.sent).remember(*packet, principal);
        }
        // Whoever asked may have given up.
        let _ = pending.answer.send(answer);
    }

    /// Passes on news of the relay half.
    pub(crate) fn publish_relay(&self, event: RelayEvent) {
        let RelayEvent::Packet(id, outcome) = event else { return self.publish(News::Relay(event)) };
        let principal = lock(&self.sent).principals.get(&id).cloned();
        self.publish(News::Packet(id, outcome, principal));
    }

    /// Passes on news of the endpoint half, after its commit.
    pub(crate) fn publish_endpoint(&self, event: EndpointEvent) {
        self.publish(match event {
            EndpointEvent::Opened(message) => News::Message(message),
            EndpointEvent::Person(person, event) => News::Person(person, event),
        });
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<News>> {
        self.news.subscribe()
    }

    /// The node cannot go on; the first reason holds. Whoever waits for an answer learns that there is none.
    pub(crate) fn fail(&self, error: NodeError) {
        self.mailbox.end();
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert(error);
            first
        });
        lock(&self.pending).clear();
    }

    /// Why the node cannot go on, if so.
    pub(crate) fn failure(&self) -> Option<NodeError> {
        self.failure.borrow().clone()
    }

    /// Waits until the node cannot go on.
    pub(crate) async fn failed(&self) -> NodeError {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(error) = failure.borrow_and_update().clone() {
                return error;
            }
            failure.changed().await.expect("the desk holds the sender");
        }
    }

    fn publish(&self, news: News) {
        // Nobody may be listening.
        let _ = self.news.send(Arc::new(news));
    }

    /// Puts down a question of that number; its asker has yet to pass it on.
    pub(crate) fn question(
        &self,
        principal: Option<Arc<str>>,
    ) -> Result<(Question<'_>, oneshot::Receiver<Answer>), NoAnswer> {
        let id = CommandId(self.next.fetch_add(1, Ordering::Relaxed));
        let (answer, receiver) = oneshot::channel();
        if self.failure.borrow().is_some() {
            return Err(NoAnswer::Stopped);
        }
        let mut pending = lock(&self.pending);
        if pending.len() >= PENDING_MAX {
            return Err(NoAnswer::Busy);
        }
        pending.insert(id, Pending { answer, principal });
        Ok((Question { desk: self, id }, receiver))
    }
}

/// Takes the question back when its asker gives up.
pub(crate) struct Question<'a> {
    desk: &'a Desk,
    id: CommandId,
}

impl Question<'_> {
    /// Its number.
    pub(crate) fn id(&self) -> CommandId {
        self.id
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        lock(&self.desk.pending).remove(&self.id);
    }
}

async fn wait(answer: oneshot::Receiver<Answer>, patience: Duration) -> Result<Answer, NoAnswer> {
    let answered = tokio::time::timeout(patience, answer).await.map_err(|_| NoAnswer::TimedOut)?;
    answered.map_err(|_| NoAnswer::Stopped)
}

/// Nothing under these locks can panic half way, so a poisoned one still holds whole values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
