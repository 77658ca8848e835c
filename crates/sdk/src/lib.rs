//! The local API's types, and a Rust client for it.
//!
//! A node serves `REST /api/v1` on loopback; its OpenAPI description is made from the types of this crate. Every
//! request carries a bearer token that belongs to a *principal* and has *scopes*: one node may serve several people
//! or programs, and none of them sees another's messages.
//!
//! ```no_run
//! # async fn example() -> Result<(), mainframe_sdk::Error> {
//! use mainframe_sdk::{Body, Client, SendRequest};
//!
//! let client = Client::from_data_dir("/var/lib/mainframe")?;
//! let bob = client.add_person(&mainframe_sdk::AddPerson::named("bob")).await?;
//! let sent = client.send(&SendRequest::to(&bob.address, Body::text("hello"))).await?;
//! println!("{} travels through {}", sent.id, sent.region);
//! # Ok(())
//! # }
//! ```
//!
//! People talk in sessions: they exchange cards ([`Client::card`], [`Client::add_contact`]), and say and hear what they
//! have to say ([`Client::say`], [`Client::session_messages`], [`Client::events`]) until everybody has it, in the same
//! order everywhere, whoever is away meanwhile. [`Client::send`] is the layer below: one packet, sent once.
//!
//! Binary values are lower-case hexadecimal text; moments are milliseconds since the Unix epoch; regions are written
//! `*`, binary digits up to 16 bits, or `hex/bits` (see [`mainframe_base::Prefix`]).

mod card;
mod client;
mod configuration;
mod contact;
mod device;
mod endpoint_file;
mod error;
mod event;
mod holding;
mod message;
mod people;
mod sending;
mod server_sent;
mod session;
mod status;
mod token;

pub use card::{Card, Invitation, InvitationView, Invitations, Invite};
pub use client::Client;
pub use configuration::{ConfigValue, Configuration};
pub use contact::{
    AddContact, AddedContact, Contact, ContactChange, ContactEvent, Contacts, DeclineContact, Safety, Standing,
};
pub use device::{
    AccountFile, AddDevice, DeviceChange, DeviceEvent, DeviceStanding, Devices, ExportAccount, Link, Links, OwnDevice,
    RestoreAccount, StartLink,
};
pub use endpoint_file::{ENDPOINT_FILE, EndpointFile};
pub use error::{ApiError, Error, ErrorCode};
pub use event::{Event, PacketOutcome, TraceStep};
pub use holding::{AttendRequest, Attendance, AttendanceSource, Attended, Hearing, HoldRefusal, HoldStatus, Regions};
pub use message::{Body, Inbox, Message, Reader};
pub use people::{AddPerson, AddTopic, Person, Persons, Topic, Topics};
pub use sending::{BATCH_MAX, BatchResult, Hold, Quote, SendBatch, SendBatchResults, SendRequest, Sent};
pub use server_sent::EventStream;
pub use session::{
    AddMember, ChangeSession, CreateGroup, CreatedSession, Device, MarkRead, Member, MessageProgress, MessageState,
    PersonProgress, Said, Say, Session, SessionChange, SessionEvent, SessionKind, SessionMessage, SessionMessages,
    Sessions,
};
pub use status::{
    ConnectRequest, EndpointStatus, EstimateRequest, Peer, Peers, Reach, RegionEstimate, RelayStatus, Role, RoleReason,
    SizeEstimate, Status,
};
pub use token::{CreateToken, CreatedToken, Scope, TokenView, Tokens};
