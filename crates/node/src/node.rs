//! A running node: what is started in which order, and stopped in the opposite one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainframe_base::{Address, Locator};
use mainframe_core::switchboard::{HeldCell, RelayCommand, RelayReply};
use mainframe_link::{Link, LinkConfig, LinkError};
use mainframe_sdk::{Client, ENDPOINT_FILE, EndpointFile};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::api::{self, Api};
use crate::clock::Clock;
use crate::config::Config;
use crate::desk::Desk;
use crate::endpoint_loop::EndpointLoop;
use crate::error::{ErrorKind, NodeError};
use crate::files::{self, DirectoryLock};
use crate::halves;
use crate::held::{HELD_DIRECTORY, HoldThread};
use crate::key_file::KeyFile;
use crate::keyring::Keyring;
use crate::linking;
use crate::mailbox::Mailbox;
use crate::password::Password;
use crate::people::People;
use crate::relay_loop::{QUEUE_MAX, RelayLoop, RelayWork, reporter};
use crate::store::SqliteStore;
use crate::tokens::TokenBook;

/// How long a stopping node waits for what it has in custody to be taken over (guess: the longest hop's time-out).
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);
const FLUSH_STEP: Duration = Duration::from_millis(50);
/// How long goodbyes and open requests may take (guess).
const GOODBYE_PATIENCE: Duration = Duration::from_secs(2);

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node in the current tokio runtime. It listens, serves its API and has written `endpoint.json` when
    /// this returns; it may not have joined its network yet.
    ///
    /// # Errors
    /// What keeps it from starting; nothing is left running.
    pub async fn start(config: Config, password: Password) -> Result<RunningNode, NodeError> {
        files::make_private_directory(&config.data_dir)?;
        let lock = DirectoryLock::take(&config.data_dir)?;
        config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let (file, keyring) = unlock(&config, &password)?;
        drop(password);
        let relay_store = SqliteStore::open_relay(&config.data_dir)?;
        let endpoint_store = SqliteStore::open_endpoint(&config.data_dir, config.store_max_mib, &keyring.store)?;
        let (tokens, admin_token) = TokenBook::open(&config.data_dir)?;
        let listener = bind_api(config.api_listen).await?;
        let address = listener.local_addr().map_err(|error| cannot_serve(config.api_listen, &error))?;

        let (relay_sender, relay_receiver) = mpsc::channel(QUEUE_MAX);
        let link = start_link(&config, &keyring, relay_sender.clone()).await?;
        let clock = Arc::new(Clock::new());
        let mailbox = Arc::new(Mailbox::default());
        let desk = Arc::new(Desk::new(relay_sender.clone(), mailbox.clone()));
        let node_keys = keyring.node_keys().expect("checked when the file was read");
        let overlay = halves::overlay(&config, &node_keys);

        let (held, found) = held(&config, relay_sender.clone());
        let refusal = held.refusal();
        let relay = RelayLoop {
            relay: halves::relay(clock.now(), &config, node_keys, found, &relay_store),
            store: relay_store,
            held,
            clock: clock.clone(),
            work: relay_receiver,
            link: link.clone(),
            mailbox: mailbox.clone(),
            desk: desk.clone(),
        };
        let endpoint = EndpointLoop {
            endpoint: halves::endpoint(),
            store: endpoint_store,
            clock: clock.clone(),
            mailbox: mailbox.clone(),
            relay: relay_sender.clone(),
            desk: desk.clone(),
        };
        let endpoint = with_people(endpoint, &keyring, &overlay)?;
        let threads = Threads {
            relay: spawn("relay", desk.clone(), move || relay.run())?,
            endpoint: spawn("endpoint", desk.clone(), move || endpoint.run())?,
        };

        let people = People::new(overlay, clock.clone(), desk.clone(), file, keyring);
        let api = Arc::new(Api {
            address,
            clock,
            people,
            tokens,
            mailbox,
            link,
            desk,
            refusal,
            started: Instant::now(),
            stopping: watch::Sender::new(false),
            stop_asked: watch::Sender::new(false),
            requests: Api::request_permits(),
            listeners: Api::listener_permits(),
            config,
        });
        let server = tokio::spawn(serve(listener, api.clone()));
        tokio::spawn(linking::follow(api.clone()));
        let node = RunningNode { api, overlay, admin_token, relay: relay_sender, threads, server, _lock: lock };
        node.announce()?;
        Ok(node)
    }
}

/// The threads of the two halves.
#[derive(Debug)]
struct Threads {
    relay: JoinHandle<()>,
    endpoint: JoinHandle<()>,
}

/// A node that runs. Stop it with [`RunningNode::shutdown`] or run it with [`RunningNode::run_until`]; dropping it
/// leaves it running to the end of the process.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct RunningNode {
    api: Arc<Api>,
    overlay: Address,
    admin_token: String,
    relay: mpsc::Sender<RelayWork>,
    threads: Threads,
    server: tokio::task::JoinHandle<()>,
    _lock: DirectoryLock,
}

impl RunningNode {
    /// Where it stands.
    pub fn overlay(&self) -> Address {
        self.overlay
    }

    /// Where it listens for other nodes.
    pub fn locators(&self) -> Vec<Locator> {
        self.api.link.local_locators()
    }

    /// Where its API is served.
    pub fn api_address(&self) -> SocketAddr {
        self.api.address
    }

    /// A client with the administrator's token.
    pub fn client(&self) -> Client {
        Client::connect(self.api_url(), self.admin_token.clone())
    }

    /// Why the node cannot go on, if so.
    pub fn failed_already(&self) -> Option<NodeError> {
        self.api.desk.failure()
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failed(&self) -> NodeError {
        self.api.desk.failed().await
    }

    /// Runs until `stop` is ready, someone asks for it over the API, or the node cannot go on; then stops.
    ///
    /// # Errors
    /// Why the node could not go on.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let mut asked = self.api.stop_asked.subscribe();
        tokio::select! {
            () = stop => {}
            _ = asked.wait_for(|asked| *asked) => {}
            _ = self.failed() => {}
        }
        self.shutdown().await
    }

    /// Stops: no new requests, what is in custody is handed over, peers are told, what arrived is opened and kept.
    ///
    /// # Errors
    /// Why the node could not go on, if it could not.
    pub async fn shutdown(self) -> Result<(), NodeError> {
        self.api.stopping.send_replace(true);
        let mut server = self.server;
        if tokio::time::timeout(GOODBYE_PATIENCE, &mut server).await.is_err() {
            server.abort();
        }
        let desk = self.api.desk.clone();
        if desk.failure().is_none() {
            flush(&desk).await;
            let _ = desk.ask_relay(RelayCommand::Leave, GOODBYE_PATIENCE).await;
        }
        self.api.link.shutdown().await;
        let _ = self.relay.send(RelayWork::Stop).await;
        let (threads, mailbox) = (self.threads, self.api.mailbox.clone());
        let joined = tokio::task::spawn_blocking(move || {
            // A thread that panicked has already failed the node, with its reason.
            let _ = threads.relay.join();
            mailbox.end();
            let _ = threads.endpoint.join();
        });
        let _ = joined.await;
        remove_endpoint_file(&self.api.config);
        desk.failure().map_or(Ok(()), Err)
    }

    fn api_url(&self) -> String {
        format!("http://{}", self.api.address)
    }

    /// Tells programs on this machine where the node is.
    fn announce(&self) -> Result<(), NodeError> {
        let file = EndpointFile {
            api: self.api_url(),
            token: self.admin_token.clone(),
            pid: std::process::id(),
            network: self.api.config.network.0,
            overlay: self.overlay.to_string(),
            link_key: self.api.link.local_key().to_string(),
            locators: self.locators().iter().map(Locator::to_string).collect(),
        };
        let path = self.api.config.data_dir.join(ENDPOINT_FILE);
        if path.exists() {
            tracing::warn!("the last run did not stop cleanly; nothing it acknowledged is lost");
        }
        files::write_private(&path, &files::json(&file)).map_err(|error| {
            let what = format!("cannot write {}", path.display());
            NodeError::new(ErrorKind::System, what, error, "Make room, or check who may write there.")
        })
    }
}

/// Opens the key file, or makes one.
fn unlock(config: &Config, password: &Password) -> Result<(KeyFile, Keyring), NodeError> {
    if let Some((file, contents)) = KeyFile::open(&config.data_dir, config.profile, password)? {
        let (keyring, is_earlier) = Keyring::decode(&contents).ok_or_else(|| {
            let why = "what it holds is not what this version writes";
            NodeError::new(ErrorKind::Keys, "cannot use the key file", why, "Use the newer program that wrote it.")
        })?;
        if is_earlier {
            // Before anything is sealed with the keys that were drawn.
            file.write(&keyring.encode())?;
            tracing::info!("the key file was of an earlier version; it holds identities and the key of the store now");
        }
        return Ok((file, keyring));
    }
    let (file, keyring) = (KeyFile::create(&config.data_dir, config.key_derivation, password)?, Keyring::generate());
    file.write(&keyring.encode())?;
    Ok((file, keyring))
}

async fn bind_api(address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).await.map_err(|error| cannot_serve(address, &error))
}

fn cannot_serve(address: SocketAddr, error: &std::io::Error) -> NodeError {
    let what = format!("cannot serve the API at {address}");
    let next = "Stop the program that uses the port, or choose another with --api-listen.";
    NodeError::new(ErrorKind::Listen, what, error, next)
}

async fn start_link(config: &Config, keyring: &Keyring, events: mpsc::Sender<RelayWork>) -> Result<Link, NodeError> {
    let mut settings = LinkConfig::new(keyring.link.clone(), config.listen.clone());
    settings.connections_in_max = config.connections_max;
    settings.connections_out_max = config.connections_max;
    settings.queue_bytes_total_max = (config.queue_max_mib as usize) << 20;
    settings.lan_discovery = config.lan_discovery;
    settings.upnp = config.upnp;
    settings.queue_bytes_max = settings.queue_bytes_max.min(settings.queue_bytes_total_max);
    Link::start(settings, events).await.map_err(|error| {
        let (what, next) = ("cannot reach other nodes", "Change --listen, or stop the program that uses the port.");
        match error {
            LinkError::PortTaken { locator } => {
                NodeError::new(ErrorKind::Listen, what, format!("the port of {locator} is taken"), next)
            }
            LinkError::CannotListen { locator, why } => {
                NodeError::new(ErrorKind::Listen, what, format!("{locator}: {why}"), next)
            }
            LinkError::NoUpnp => {
                let why = "this build cannot ask routers for anything";
                let next = "Set upnp = false, or use a build with the feature upnp.";
                NodeError::new(ErrorKind::Configuration, "the value of upnp cannot be used", why, next)
            }
            LinkError::Transport(why) => NodeError::new(ErrorKind::System, what, why, "See the node's log."),
        }
    })
}

/// The store of held cells, and what is in it. A node that cannot open it forwards as well as ever, and holds nothing.
fn held(config: &Config, relay: mpsc::Sender<RelayWork>) -> (HoldThread, Vec<HeldCell>) {
    HoldThread::start(&config.data_dir.join(HELD_DIRECTORY), reporter(relay)).unwrap_or_else(|error| {
        tracing::error!(%error, "no cells are held for others");
        (HoldThread::none(error), Vec::new())
    })
}

/// Tells the endpoint half whose messages to open and whose sessions to go on with, before it sees the first cell.
fn with_people(mut endpoint: EndpointLoop, keyring: &Keyring, overlay: &Address) -> Result<EndpointLoop, NodeError> {
    let commands = People::commands(keyring, overlay, endpoint.clock.now());
    let refused = endpoint.introduce(commands)?;
    if refused > 0 {
        tracing::error!(refused, "the key file holds more people and topics than the node can scan for");
    }
    Ok(endpoint)
}

/// Starts a thread whose panic fails the node instead of leaving half of it running.
fn spawn(
    name: &'static str,
    desk: Arc<Desk>,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, NodeError> {
    let watched = move || {
        let _guard = PanicGuard { name, desk };
        run();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(watched).map_err(|error| {
        let what = format!("cannot start the thread {name}");
        NodeError::new(ErrorKind::System, what, error, "Raise the limit on threads.")
    })
}

struct PanicGuard {
    name: &'static str,
    desk: Arc<Desk>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (what, why) = (format!("the {} half stopped", self.name), "it met a mistake in the program");
            self.desk.fail(NodeError::new(ErrorKind::System, what, why, "Report it with the node's log."));
        }
    }
}

async fn serve(listener: TcpListener, api: Arc<Api>) {
    let mut stopping = api.stopping.subscribe();
    let stop = async move {
        // The sender lives as long as the API.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let served = axum::serve(listener, api::router(api)).with_graceful_shutdown(stop).await;
    if let Err(error) = served {
        tracing::error!(%error, "the API stopped");
    }
}

/// Waits until the next hops have taken over what this node answers for.
async fn flush(desk: &Desk) {
    let until = Instant::now() + FLUSH_PATIENCE;
    while Instant::now() < until {
        match desk.ask_relay(RelayCommand::Status, GOODBYE_PATIENCE).await {
            Ok(RelayReply::Status(status)) if status.pending_bytes > 0 => tokio::time::sleep(FLUSH_STEP).await,
            _ => return,
        }
    }
}

fn remove_endpoint_file(config: &Config) {
    if let Err(error) = std::fs::remove_file(config.data_dir.join(ENDPOINT_FILE)) {
        tracing::warn!(%error, "endpoint.json was not removed");
    }
}
