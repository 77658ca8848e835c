//! The handle the node holds.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLockReadGuard};
use std::task::Waker;

use libp2p::identity::Keypair;
use mainframe_base::{LinkKey, Locator, Refusal};
use mainframe_core::switchboard::{HangupReason, LinkEvent};
use mainframe_core::wire::OutFrame;
use tokio::sync::mpsc::{Sender, UnboundedSender, unbounded_channel};
use tokio_util::sync::PollSender;

use crate::behaviour::{Behaviour, Queues};
use crate::config::LinkConfig;
use crate::driver::{Command, Driver, LocalLocators};
use crate::error::LinkError;
use crate::locators::{Medium, link_key};
use crate::queue::{Bounds, Queue, Tally};
use crate::swarm;

/// A running link. Cheap to clone; it stops when told to, or when the last clone is dropped.
///
/// Nothing here blocks or waits, except [`Link::start`] and [`Link::shutdown`], so any thread may call it.
#[derive(Clone, Debug)]
pub struct Link {
    local: LinkKey,
    queues: Queues,
    tally: Arc<Tally>,
    locators: LocalLocators,
    commands: UnboundedSender<Command>,
}

/// Bytes waiting to be written, for all peers together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queued {
    /// Now.
    pub bytes: usize,
    /// The most there ever were.
    pub bytes_max: usize,
}

impl Link {
    /// Starts a link in the current tokio runtime and waits until every listener is bound.
    ///
    /// What happens is told through `events`, in order for each peer: `Up`, any number of `Frames`, perhaps `Fault`,
    /// `Down`. While `events` is full the link stops reading from its peers, and loses nothing.
    ///
    /// # Errors
    /// A listener that cannot be bound, by name.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start<E>(config: LinkConfig, events: Sender<E>) -> Result<Link, LinkError>
    where
        E: From<LinkEvent> + Send + 'static,
    {
        Link::start_over(config, events, Medium::Network).await
    }

    pub(crate) async fn start_over<E>(config: LinkConfig, events: Sender<E>, medium: Medium) -> Result<Link, LinkError>
    where
        E: From<LinkEvent> + Send + 'static,
    {
        let keys = keys(&config);
        let local = link_key(&keys.public().to_peer_id()).expect("our key is ed25519");
        let bounds = Bounds {
            cells: config.queue_bytes_max,
            control: config.control_bytes_max,
            total: config.queue_bytes_total_max,
        };
        let (queues, tally, locators) = (Queues::default(), Arc::<Tally>::default(), LocalLocators::default());
        let events = PollSender::new(events);
        let frames = Behaviour::new(local, config.patience, bounds, tally.clone(), queues.clone(), events);
        let mut driver = Driver::new(swarm::build(&config, &keys, medium, frames)?, medium, locators.clone());
        driver.listen(&config.listen).await?;
        let (commands, orders) = unbounded_channel();
        tokio::spawn(driver.run(orders));
        Ok(Link { local, queues, tally, locators, commands })
    }

    /// Our own name on links.
    pub fn local_key(&self) -> LinkKey {
        self.local
    }

    /// The peers that are up.
    pub fn peers(&self) -> Vec<LinkKey> {
        self.queues().keys().copied().collect()
    }

    /// Whether frames to this peer go through a relay now; none if it is not up.
    pub fn is_relayed(&self, peer: LinkKey) -> Option<bool> {
        self.queues().get(&peer).map(|queue| queue.is_relayed())
    }

    /// Where the link listens: one locator for each address of this machine if told to listen at all of them.
    pub fn local_locators(&self) -> Vec<Locator> {
        self.locators.read().expect("no holder of this lock can panic").clone()
    }

    /// Queues a frame to a peer that is up. Frames without a cell go before frames with one; each kind keeps its order.
    ///
    /// # Errors
    /// `NotConnected` if the peer is not up; `Busy` if its queue is full. Nothing was kept. A full queue of control
    /// frames also ends the connection, with the fault `NotReading`.
    pub fn send(&self, peer: LinkKey, frame: OutFrame) -> Result<(), Refusal> {
        let queues = self.queues();
        queues.get(&peer).ok_or(Refusal::NotConnected)?.push(frame)
    }

    /// Queues many frames, each to its peer, and tells which peers refused one, and why.
    pub fn send_many(&self, frames: impl IntoIterator<Item = (LinkKey, OutFrame)>) -> Vec<(LinkKey, Refusal)> {
        let queues = self.queues();
        let (mut refused, mut wakers) = (Vec::new(), Vec::new());
        for (peer, frame) in frames {
            let pushed = queues.get(&peer).map(|queue| queue.push_quietly(frame));
            let (verdict, waker) = pushed.unwrap_or((Err(Refusal::NotConnected), None));
            refused.extend(verdict.err().map(|refusal| (peer, refusal)));
            wakers.extend(waker);
        }
        wakers.into_iter().for_each(Waker::wake);
        refused
    }

    /// Dials a peer at any of its locators or, without a key, whoever answers at each of them.
    ///
    /// The result is `Up` or one `DialFailed` for each locator tried. Dialling a peer that is up, or is being dialled,
    /// does nothing.
    pub fn dial(&self, peer: Option<LinkKey>, locators: Vec<Locator>) {
        self.order(Command::Dial { peer, locators });
    }

    /// Closes the connection of a peer at once; `Down` follows. What was still queued is dropped.
    pub fn hangup(&self, peer: LinkKey, reason: HangupReason) {
        tracing::debug!(%peer, ?reason, "hanging up");
        self.order(Command::HangUp { peer });
    }

    /// Bytes waiting to be written.
    pub fn queued_bytes(&self) -> Queued {
        Queued { bytes: self.tally.now(), bytes_max: self.tally.most() }
    }

    /// Closes every connection and listener, and waits until that is done (half a second at most).
    pub async fn shutdown(&self) {
        self.order(Command::ShutDown);
        self.commands.closed().await;
    }

    fn queues(&self) -> RwLockReadGuard<'_, BTreeMap<LinkKey, Arc<Queue>>> {
        self.queues.read().expect("no holder of this lock can panic")
    }

    /// A link that has stopped takes no orders; its events have ended, which says so.
    fn order(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

pub(crate) fn keys(config: &LinkConfig) -> Keypair {
    Keypair::ed25519_from_bytes(*config.link_secret.expose()).expect("any 32 bytes are an ed25519 secret")
}
