//! What goes into the two halves and what comes out of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use mainframe_base::{
    Address, Fault, IdentityKey, LinkKey, Locator, NetworkId, PacketId, Prefix, Proximity, Refusal, Role, ScanKey,
    Time, TopicKey,
};

use super::RoleReason;
use crate::crypto::PersonKeys;
use crate::hold::{HoldStatus, StoreOrder, StoreReport};
use crate::overlay::Estimate;
use crate::packet::{Dispatch, Step};
use crate::session::{Answer, Order, Persona, SessionEvent, Unable, Waiting};
use crate::wire::{BudgetClass, Cell, HoldClass, OutFrame, TagBucket};

/// Ties an answer to its question; chosen by whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u64);

impl CommandId {
    const OF_ENDPOINT: u64 = 1 << 63;

    /// The endpoint half's own question of that number: its answer goes back there.
    pub fn of_endpoint(number: u64) -> CommandId {
        CommandId(number | CommandId::OF_ENDPOINT)
    }

    /// Whether the endpoint half asked by itself.
    pub fn is_of_endpoint(self) -> bool {
        self.0 & CommandId::OF_ENDPOINT != 0
    }
}

/// What the link reports.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// A connection stands, and `peer` is proved to hold its key. One per peer.
    Up {
        /// Who it is.
        peer: LinkKey,
        /// Whether we dialled.
        outbound: bool,
        /// The other end's network address.
        remote: Locator,
    },
    /// The connection of `peer` is gone.
    Down {
        /// Who it was.
        peer: LinkKey,
        /// Why.
        reason: DownReason,
    },
    /// Whole frames, in the order they were sent.
    Frames {
        /// Who sent them.
        peer: LinkKey,
        /// Each with its header.
        frames: Vec<Bytes>,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Whom we meant to reach, if we knew.
        peer: Option<LinkKey>,
        /// Where.
        locator: Locator,
        /// What the transport said.
        why: String,
    },
    /// The peer broke the framing; the link hangs up by itself.
    Fault {
        /// Whose.
        peer: LinkKey,
        /// Which.
        fault: Fault,
    },
    /// A listener is bound, or a relay of ours lets others reach us through it.
    Listening(Locator),
    /// That locator, or one that was `Reachable`, leads to us no longer.
    Expired(Locator),
    /// Somebody we asked has dialled this address of ours, and it was us.
    Reachable(Locator),
    /// Several were asked, and none could dial any address of ours.
    Unreachable,
    /// Somebody on the local network says that a node listens there.
    Found(Locator),
}

/// Whether others can dial this node.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Reach {
    /// Nobody was asked, or nobody has answered yet.
    #[default]
    Unknown,
    /// Somebody did.
    Reachable,
    /// Several tried, and nobody could.
    Unreachable,
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DownReason {
    /// The other side closed it, or it broke.
    Closed,
    /// No sign of life.
    TimedOut,
    /// We hung up.
    HungUp,
}

/// Why we hang up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HangupReason {
    /// The peer broke the protocol.
    Fault(Fault),
    /// Its bin is full and it is not needed.
    Pruned,
    /// We are leaving.
    Leaving,
}

/// What the relay half takes in.
#[derive(Clone, Debug)]
pub enum RelayInput {
    /// Something happened on the link.
    Link(LinkEvent),
    /// A question or an order from the node's own interfaces.
    Command(CommandId, RelayCommand),
    /// A cell from the endpoint half, to be sent into the network; answered with `Reply`.
    Cell(CommandId, Dispatch),
    /// The store of held cells has done what it was told.
    Store(StoreReport),
    /// The time asked for by `next_wake` has come.
    Wake,
}

impl From<LinkEvent> for RelayInput {
    fn from(event: LinkEvent) -> Self {
        RelayInput::Link(event)
    }
}

/// What the relay half can be asked.
#[derive(Clone, Debug)]
pub enum RelayCommand {
    /// A summary.
    Status,
    /// Every connected peer.
    Topology,
    /// How many relays the network has, and one region of it.
    Estimate {
        /// Random look-ups to average over, at most 64; with none the latest estimate is used, if there is one.
        lookups: u8,
        /// The region whose relays are to be counted.
        region: Option<Prefix>,
    },
    /// Dial these locators now, as hints from an invitation or an operator.
    Connect(Vec<Locator>),
    /// Listen to a region: get what is held of what was sent to it since that moment, and what comes from now on.
    Attend {
        /// The region.
        region: Prefix,
        /// Which of its tags.
        bucket: TagBucket,
        /// What was sent before is of no interest.
        since: Time,
    },
    /// Listen to a region no more.
    Unattend(Prefix),
    /// Take part as a relay or as a guest from now on, whatever was configured.
    TakeRole(Role),
    /// Hang up on everyone; the node is about to stop.
    Leave,
}

/// What the relay half causes.
#[derive(Clone, Debug)]
pub enum RelayEffect {
    /// Queue a frame to a connected peer.
    Send(LinkKey, OutFrame),
    /// Open a connection; the result comes as `Up` or `DialFailed`.
    Dial {
        /// Whom we expect there, if we know.
        peer: Option<LinkKey>,
        /// Where to try, in order.
        locators: Vec<Locator>,
    },
    /// Close a connection.
    Hangup(LinkKey, HangupReason),
    /// A cell of our regions, for the endpoint half.
    Cell(Cell),
    /// Something for the store of held cells to do; nothing waits for it.
    Store(StoreOrder),
    /// The answer to a command or to a cell.
    Reply(CommandId, RelayReply),
    /// Something the node's interfaces may want to know.
    Publish(RelayEvent),
}

/// Answers of the relay half.
#[derive(Clone, PartialEq, Debug)]
pub enum RelayReply {
    /// To `Status`.
    Status(Box<RelayStatus>),
    /// To `Topology`.
    Topology(Vec<PeerView>),
    /// To `Estimate`, when the look-ups have ended.
    Estimate(Estimate),
    /// To `Connect`, `Attend`, `Unattend`, `TakeRole` and `Leave`.
    Done,
    /// To `Cell`: the packet is in our custody and will be handed over.
    Accepted(PacketId),
    /// To anything that could not be done; nothing was kept.
    Refused(Refusal),
}

/// A summary of the relay half.
#[derive(Clone, PartialEq, Debug)]
pub struct RelayStatus {
    /// The network it belongs to.
    pub network: NetworkId,
    /// As what it takes part.
    pub role: Role,
    /// Why as that.
    pub role_reason: RoleReason,
    /// Its position.
    pub overlay: Address,
    /// Its name on links.
    pub link_key: LinkKey,
    /// Whether others can dial it.
    pub reach: Reach,
    /// Whether it has neighbours and its table has settled.
    pub joined: bool,
    /// Where its neighbourhood begins, in bits.
    pub depth: Proximity,
    /// Connected peers of every role.
    pub peers: usize,
    /// Relays of the neighbourhood it is connected to.
    pub neighbourhood: usize,
    /// Relays it knows of, connected or not.
    pub known: usize,
    /// The latest size estimate, if one was made.
    pub estimate: Option<Estimate>,
    /// Cells waiting for custody by the next hop, in bytes, now.
    pub pending_bytes: usize,
    /// The most `pending_bytes` ever was.
    pub pending_bytes_max: usize,
    /// What it holds for others, and the regions it listens to.
    pub hold: HoldStatus,
    /// Counts since the start, by name: cells received, forwarded, spread, pulled, duplicates, refused, …
    pub counters: BTreeMap<&'static str, u64>,
    /// Faults of peers since the start.
    pub faults: BTreeMap<Fault, u64>,
}

/// One connected peer.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerView {
    /// Its name on the link.
    pub key: LinkKey,
    /// Its position.
    pub overlay: Address,
    /// As what it takes part.
    pub role: Role,
    /// Its bin.
    pub proximity: Proximity,
    /// Whether we dialled.
    pub outbound: bool,
    /// When the connection came up.
    pub since: Time,
    /// Typical time until it takes custody, in milliseconds, if measured.
    pub custody_ms: Option<u32>,
    /// Faults it committed.
    pub faults: u32,
}

/// News of the relay half.
#[derive(Clone, PartialEq, Debug)]
pub enum RelayEvent {
    /// A peer said a valid `Hello`.
    PeerUp(LinkKey, Address),
    /// A peer is gone.
    PeerDown(LinkKey, Address),
    /// The table has settled for the first time, with this depth.
    Joined(Proximity),
    /// A peer broke the protocol.
    PeerFault(LinkKey, Fault),
    /// What became of a packet we sent.
    Packet(PacketId, Outcome),
    /// Where a packet went. Only under the development network's id.
    Trace(TraceEvent),
}

/// What became of a packet after we accepted it from our own endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every next hop we owed it to has custody.
    HandedOver,
    /// Nobody took it over.
    Failed(Refusal),
}

/// One step of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// Which packet.
    pub id: PacketId,
    /// Who says so.
    pub node: Address,
    /// The peer of the step, for steps that have one.
    pub peer: Option<Address>,
    /// What happened.
    pub step: Step,
    /// When.
    pub at: Time,
}

/// What the endpoint half takes in.
#[expect(missing_debug_implementations, reason = "holds secrets and what people say")]
pub enum EndpointInput {
    /// A cell of our regions, from the relay half.
    Cell(Cell),
    /// A question or an order from the node's own interfaces.
    Command(CommandId, EndpointCommand),
    /// What the relay half answers to a question of ours.
    Answer(CommandId, RelayReply),
    /// What became of a packet the relay half had accepted.
    Outcome(PacketId, Outcome),
    /// The time asked for by `next_wake` has come.
    Wake,
}

/// To whom something is sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipient {
    /// A person's key.
    Person(ScanKey),
    /// Everyone who has the topic's key.
    Topic(TopicKey),
}

/// Something to be sealed and sent.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds what people say")]
pub struct Letter {
    /// For whom.
    pub to: Recipient,
    /// Through which region.
    pub destination: Prefix,
    /// How long relays keep it.
    pub hold: HoldClass,
    /// What it may cost.
    pub budget: BudgetClass,
    /// The packet that came to nothing and of which this is another try: sealed anew, it leaves over other first hops.
    pub instead_of: Option<PacketId>,
    /// What to say; fits one cell or is refused.
    pub body: Vec<u8>,
}

/// What the endpoint half can be asked.
#[expect(missing_debug_implementations, reason = "holds secrets and what people say")]
pub enum EndpointCommand {
    /// Open what is sealed to this person from now on, and what passed in the last minutes.
    AddPerson(PersonKeys),
    /// Stop doing so.
    RemovePerson(ScanKey),
    /// A person with contacts and sessions is here from now on.
    AddPersona(Box<Persona>),
    /// And is not any more. What is kept of them stays.
    RemovePersona(IdentityKey),
    /// A person asks for something; answered with `Person`.
    Order(IdentityKey, Order),
    /// A new device waits here for the account of its person.
    AwaitAccount(Box<Waiting>),
    /// The account that came for a link; answered with `Person`.
    AccountFor(IdentityKey),
    /// A link is done with, and its account is forgotten.
    StopAwaiting(IdentityKey),
    /// Open what is sealed under this topic's key from now on, and what passed in the last minutes.
    AddTopic(TopicKey),
    /// Stop doing so.
    RemoveTopic(TopicKey),
    /// Seal a body and send it to a region. The relay half answers.
    Send(Letter),
    /// Opened messages with a sequence number above `after`, oldest first.
    Inbox {
        /// Zero for all that are kept.
        after: u64,
        /// At most this many.
        limit: usize,
    },
    /// A summary.
    Status,
}

/// What the endpoint half causes.
#[derive(Clone, Debug)]
pub enum EndpointEffect {
    /// A cell for the relay half to send; the relay answers the command.
    Cell(CommandId, Dispatch),
    /// A question or an order for the relay half.
    Ask(CommandId, RelayCommand),
    /// The answer to a command.
    Reply(CommandId, EndpointReply),
    /// Something the node's interfaces may want to know.
    Publish(EndpointEvent),
}

/// Answers of the endpoint half.
#[derive(Clone, Debug)]
pub enum EndpointReply {
    /// To additions and removals.
    Done,
    /// To `Inbox`.
    Inbox(Vec<Message>),
    /// To `Status`.
    Status(EndpointStatus),
    /// To `Order` and `AccountFor`: what a person is answered, or why it was not done.
    Person(Result<Box<Answer>, Unable>),
    /// To anything that could not be done; nothing was kept.
    Refused(Refusal),
}

/// A summary of the endpoint half.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct EndpointStatus {
    /// People it scans for.
    pub persons: usize,
    /// Topics it reads.
    pub topics: usize,
    /// Cells looked at since the start.
    pub scanned: u64,
    /// Cells opened since the start.
    pub opened: u64,
    /// Sessions of all its people.
    pub sessions: usize,
    /// Cells waiting to be looked at.
    pub waiting: usize,
    /// Cells and questions for the relay half that wait until it has room.
    pub unsent: usize,
    /// Cells that left the queue unseen because it was full, since the start.
    pub overflowed: u64,
    /// Bytes of recent foreign cells kept for keys that may come.
    pub recent_bytes: usize,
}

/// Which of our keys opened a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenedBy {
    /// A person's.
    Person(ScanKey),
    /// A topic's: the BLAKE3 fingerprint of its key, first 8 bytes.
    Topic([u8; 8]),
}

/// An opened message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Counts opened messages of this node from 1.
    pub sequence: u64,
    /// The packet it came in.
    pub id: PacketId,
    /// Whose key opened it.
    pub opened_by: OpenedBy,
    /// When it was opened.
    pub at: Time,
    /// What it says.
    pub body: Vec<u8>,
}

/// News of the endpoint half.
#[derive(Clone, PartialEq, Debug)]
pub enum EndpointEvent {
    /// A message was opened, and is kept.
    Opened(Message),
    /// Something happened in a person's sessions, with their contacts or devices; or with a link.
    Person(IdentityKey, Box<SessionEvent>),
}
