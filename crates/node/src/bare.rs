//! The relay half alone: its driver, its link and nothing else, for measurements of what forwarding costs.
//!
//! No keys or messages are kept: keys are drawn anew, the peer cache lives in a directory that goes with it, and
//! nobody's cells are opened. What arrives waits, bounded, for [`BareRelay::take_cells`].

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mainframe_base::{Address, Locator, NetworkId, PacketId, Refusal, Role};
use mainframe_core::crypto::{NodeKeys, Verifier};
use mainframe_core::overlay::{Myself, OverlayConfig};
use mainframe_core::switchboard::{
    Dispatch, LinkEvent, Relay, RelayCommand, RelayConfig, RelayInput, RelayReply, RelayStatus,
};
use mainframe_core::wire::Cell;
use mainframe_link::{Link, LinkConfig};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::desk::{Answer, Desk, NoAnswer, Question};
use crate::error::{ErrorKind, NodeError};
use crate::files;
use crate::held::{HELD_DIRECTORY, HoldThread};
use crate::mailbox::Mailbox;
use crate::random;
use crate::relay_loop::{QUEUE_MAX, RelayLoop, RelayWork, reporter};
use crate::store::SqliteStore;

/// How long the relay half may take to answer a question; it never blocks.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records whose signatures are remembered: measurements have a handful of relays.
const VERIFIED_MAX: usize = 64;
/// Without a chain the overlay address follows from the keys alone.
const ADDRESS_SEED: [u8; 32] = [0; 32];

/// A running relay half.
#[expect(missing_debug_implementations, reason = "what waits in it holds secrets")]
pub struct BareRelay {
    overlay: Address,
    work: mpsc::Sender<RelayWork>,
    link: Link,
    mailbox: Arc<Mailbox>,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
}

impl BareRelay {
    /// Starts a relay of a small development network that listens at `listen`, at an address that suits; keys are
    /// drawn until one does.
    ///
    /// # Errors
    /// If a listener cannot be bound, or there is no room for a temporary directory.
    pub async fn start(listen: Vec<Locator>, suits: impl Fn(&Address) -> bool) -> Result<BareRelay, NodeError> {
        BareRelay::begin(listen, suits, None::<fn(&LinkEvent)>).await
    }

    /// The same, and `watch` sees everything that comes from the link, when it comes.
    ///
    /// # Errors
    /// As [`BareRelay::start`].
    pub async fn start_watched(
        listen: Vec<Locator>,
        suits: impl Fn(&Address) -> bool,
        watch: impl Fn(&LinkEvent) + Send + 'static,
    ) -> Result<BareRelay, NodeError> {
        BareRelay::begin(listen, suits, Some(watch)).await
    }

    async fn begin(
        listen: Vec<Locator>,
        suits: impl Fn(&Address) -> bool,
        watch: Option<impl Fn(&LinkEvent) + Send + 'static>,
    ) -> Result<BareRelay, NodeError> {
        let (network, mut rng) = (NetworkId::DEV, random::generator());
        let mut keys = NodeKeys::generate(&mut rng);
        while !suits(&keys.overlay(network, &ADDRESS_SEED)) {
            keys = NodeKeys::generate(&mut rng);
        }
        let overlay = keys.overlay(network, &ADDRESS_SEED);
        let directory = std::env::temp_dir().join(format!("mainframe-bare-{}", &overlay.to_string()[..16]));
        files::make_private_directory(&directory)?;
        let store = SqliteStore::open_relay(&directory)?;
        let (work, inbox) = mpsc::channel(QUEUE_MAX);
        let mut settings = LinkConfig::new(keys.link_secret(), listen);
        settings.autonat = false; // what is measured is forwarding
        let link = match watch {
            Some(watch) => Link::start(settings, watched(watch, work.clone())).await,
            None => Link::start(settings, work.clone()).await,
        };
        let link =
            link.map_err(|error| NodeError::new(ErrorKind::Listen, "cannot start the link", error, "Try again."))?;
        let clock = Arc::new(Clock::new());
        let myself =
            Myself { network, role: Role::Relay, keys, seed: ADDRESS_SEED, verifier: Verifier::new(VERIFIED_MAX) };
        let config = RelayConfig { overlay: OverlayConfig::small_network(), ..RelayConfig::default() };
        let (held, found) = HoldThread::start(&directory.join(HELD_DIRECTORY), reporter(work.clone()))?;
        let relay = Relay::new(clock.now(), config, myself, Vec::new(), random::bytes(), found, &store);
        let mailbox = Arc::new(Mailbox::default());
        let desk = Arc::new(Desk::new(work.clone(), mailbox.clone()));
        let driver = RelayLoop {
            relay,
            store,
            held,
            clock,
            work: inbox,
            link: link.clone(),
            mailbox: mailbox.clone(),
            desk: desk.clone(),
        };
        let thread = Some(std::thread::spawn(move || driver.run()));
        Ok(BareRelay { overlay, work, link, mailbox, desk, thread, directory })
    }

    /// Where it stands.
    pub fn overlay(&self) -> Address {
        self.overlay
    }

    /// Where it listens.
    pub fn locators(&self) -> Vec<Locator> {
        self.link.local_locators()
    }

    /// Dials whoever is there.
    ///
    /// # Errors
    /// If the relay has stopped.
    pub async fn connect(&self, locators: Vec<Locator>) -> Result<(), Refusal> {
        self.ask(RelayCommand::Connect(locators)).await.map(drop)
    }

    /// A summary.
    ///
    /// # Errors
    /// If the relay has stopped.
    pub async fn status(&self) -> Result<RelayStatus, Refusal> {
        let RelayReply::Status(status) = self.ask(RelayCommand::Status).await? else {
            unreachable!("a summary is answered with a summary");
        };
        Ok(*status)
    }

    /// Offers a cell, as the endpoint half would: nothing waits. The cell is made only if the driver's queue has room.
    ///
    /// # Errors
    /// `Busy` if it has none, `NotConnected` if the driver has stopped.
    pub fn offer(&self, make: impl FnOnce() -> Cell) -> Result<Offer<'_>, Refusal> {
        let room = self.work.try_reserve().map_err(|full| match full {
            TrySendError::Full(()) => Refusal::Busy,
            TrySendError::Closed(()) => Refusal::NotConnected,
        })?;
        let (question, answer) = self.desk.question(None).map_err(refusal)?;
        room.send(RelayWork::Input(RelayInput::Cell(question.id(), Dispatch::first(make()))));
        Ok(Offer { _question: question, answer })
    }

    /// Takes cells of its region that have arrived; waits so long for the first.
    pub fn take_cells(&self, limit: Duration) -> Vec<Cell> {
        self.mailbox.wait(Some(limit)).cells
    }

    /// The most bytes that ever waited to be written.
    pub fn queued_bytes_max(&self) -> usize {
        self.link.queued_bytes().bytes_max
    }

    async fn ask(&self, command: RelayCommand) -> Result<RelayReply, Refusal> {
        self.desk.ask_relay(command, PATIENCE).await.map_err(refusal)
    }
}

/// A cell that was offered.
#[expect(missing_debug_implementations, reason = "it only holds a place in a queue")]
pub struct Offer<'a> {
    _question: Question<'a>,
    answer: oneshot::Receiver<Answer>,
}

impl Offer<'_> {
    /// Whether the relay took it over or refused it, once it has said so.
    pub fn answer(&mut self) -> Option<Result<PacketId, Refusal>> {
        match self.answer.try_recv() {
            Ok(Answer::Relay(RelayReply::Accepted(id))) => Some(Ok(id)),
            Ok(Answer::Relay(RelayReply::Refused(refusal))) => Some(Err(refusal)),
            Ok(other) => unreachable!("a cell was offered, and the answer is {other:?}"),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(Refusal::NotConnected)),
        }
    }
}

/// The driver ends, and its directory goes.
impl Drop for BareRelay {
    fn drop(&mut self) {
        let stopped = self.work.try_send(RelayWork::Stop).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| stopped) {
            // A driver that panicked has said so.
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Where the link's events go: past the watcher, and on.
fn watched(watch: impl Fn(&LinkEvent) + Send + 'static, work: mpsc::Sender<RelayWork>) -> mpsc::Sender<LinkEvent> {
    let (sender, mut events) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            watch(&event);
            if work.send(event.into()).await.is_err() {
                return;
            }
        }
    });
    sender
}

fn refusal(no_answer: NoAnswer) -> Refusal {
    match no_answer {
        NoAnswer::Busy => Refusal::Busy,
        NoAnswer::Stopped => Refusal::NotConnected,
        NoAnswer::TimedOut => Refusal::TimedOut,
    }
}
