//! Sessions and messages in the API's words.

use mainframe_base::{DeviceId, IdentityKey, SessionId};
use mainframe_core::crypto::device_id;
use mainframe_core::session::ledger::{self, Entry, Failure, Message};
use mainframe_core::session::terms::{Kind, Terms};
use mainframe_core::session::{DeviceView, MemberView, SessionEvent, SessionView};
use mainframe_core::wire::HoldClass;
use mainframe_sdk as sdk;
use mainframe_sdk::{Event, SessionChange};

use super::failure::code_of;
use super::{contacts, devices};

pub(super) fn session(view: SessionView) -> sdk::Session {
    let mut regions: Vec<String> = view.terms.places.iter().map(|place| place.region.to_string()).collect();
    regions.dedup();
    sdk::Session {
        id: view.id.to_string(),
        kind: kind(view.terms.kind),
        name: view.terms.name,
        members: view.members.into_iter().map(member).collect(),
        regions,
        hold: hold(view.terms.hold),
        epoch: view.epoch,
        unconfirmed_since_ms: view.unconfirmed_since.map(|since| since.0),
        shared_topic: view.terms.shared_topic,
        is_outdated: view.is_outdated,
        last_sequence: view.last_sequence,
        undelivered: view.counts.open as u64,
    }
}

fn kind(kind: Kind) -> sdk::SessionKind {
    match kind {
        Kind::Pair => sdk::SessionKind::Pair,
        Kind::Group => sdk::SessionKind::Group,
    }
}

fn hold(hold: HoldClass) -> sdk::Hold {
    match hold {
        HoldClass::Live => sdk::Hold::Live,
        HoldClass::Hour => sdk::Hold::Hour,
        HoldClass::Day => sdk::Hold::Day,
        HoldClass::ThreeDays => sdk::Hold::ThreeDays,
    }
}

fn member(view: MemberView) -> sdk::Member {
    let device = |device: DeviceView| sdk::Device {
        id: device_id(&device.key).to_string(),
        key: device.key.to_string(),
        name: device.name.to_string(),
    };
    sdk::Member {
        key: view.person.to_string(),
        is_admin: view.is_admin,
        devices: view.devices.into_iter().map(device).collect(),
    }
}

/// A message as it is kept.
pub(super) fn entry(view: &SessionView, entry: Entry) -> sdk::SessionMessage {
    let author = author_of(view, &entry.message.id.author);
    sdk::SessionMessage {
        came_ms: Some(entry.came.0),
        state: entry.state.map(state),
        hindrance: entry.hindrance.map(code_of),
        ..message(entry.sequence, author, entry.message)
    }
}

fn author_of(view: &SessionView, device: &DeviceId) -> Option<IdentityKey> {
    let has = |member: &&MemberView| member.devices.iter().any(|it| device_id(&it.key) == *device);
    view.members.iter().find(has).map(|member| member.person)
}

fn message(sequence: u64, author: Option<IdentityKey>, message: Message) -> sdk::SessionMessage {
    sdk::SessionMessage {
        sequence,
        author: author.map(|author| author.to_string()),
        device: message.id.author.to_string(),
        number: message.id.number,
        said_ms: message.said.0,
        came_ms: None,
        stream: message.stream,
        kind: message.kind,
        withdrawn: message.withdrawn,
        body: sdk::Body::from_bytes(message.body),
        state: None,
        hindrance: None,
    }
}

fn state(state: ledger::MessageState) -> sdk::MessageState {
    match state {
        ledger::MessageState::Queued => sdk::MessageState::Queued,
        ledger::MessageState::Sent => sdk::MessageState::Sent,
        ledger::MessageState::Held => sdk::MessageState::Held,
        ledger::MessageState::Delivered => sdk::MessageState::Delivered,
        ledger::MessageState::Read => sdk::MessageState::Read,
        ledger::MessageState::Failed(Failure::GaveUp) => sdk::MessageState::GaveUp,
        ledger::MessageState::Failed(Failure::Left) => sdk::MessageState::Left,
        ledger::MessageState::Failed(Failure::Cancelled) => sdk::MessageState::Cancelled,
    }
}

pub(super) fn progress(progress: ledger::PersonProgress) -> sdk::PersonProgress {
    sdk::PersonProgress { key: progress.person.to_string(), delivered: progress.delivered, read: progress.read }
}

/// What a person is told, as an event of the stream.
pub(super) fn event(person: IdentityKey, event: &SessionEvent) -> Option<Event> {
    let of = |session: &SessionId, change| {
        Event::Session(sdk::SessionEvent { person: person.to_string(), session: session.to_string(), change })
    };
    Some(match event {
        SessionEvent::Contact(fact) => Event::Contact(contacts::event(person, fact)),
        SessionEvent::Device(fact) => return devices::event(person, fact).map(Event::Device),
        SessionEvent::Began(session, terms) => {
            of(session, SessionChange::Began { kind: kind(terms.kind), name: terms.name.clone() })
        }
        SessionEvent::Said { session, sequence, author, message: said, late } => {
            let message = message(*sequence, Some(*author), said.clone());
            of(session, SessionChange::Said { message, late: *late })
        }
        SessionEvent::GaveUp(session, ledger::Gap { author, first, last }) => {
            of(session, SessionChange::Lost { device: author.to_string(), first: *first, last: *last })
        }
        SessionEvent::State(session, number, reached) => {
            of(session, SessionChange::State { number: *number, state: state(*reached) })
        }
        SessionEvent::ReadThrough(session, number) => of(session, SessionChange::ReadThrough { number: *number }),
        SessionEvent::ReadElsewhere(session, id) => {
            of(session, SessionChange::ReadElsewhere { device: id.author.to_string(), number: id.number })
        }
        SessionEvent::Changed { session, by, added, removed, terms } => {
            of(session, members(by, added, removed, terms.as_ref()))
        }
        SessionEvent::Left { session, by } => of(session, SessionChange::Left { by: by.to_string() }),
        SessionEvent::Stranded(session) => of(session, SessionChange::Stranded),
        SessionEvent::Outdated(session) => of(session, SessionChange::Outdated),
        SessionEvent::Equivocated(session, device) => {
            of(session, SessionChange::Equivocated { device: device.to_string() })
        }
        SessionEvent::Unwanted(session, why) => of(session, SessionChange::Refused { why: why.clone() }),
    })
}

fn members(by: &IdentityKey, added: &[IdentityKey], removed: &[IdentityKey], terms: Option<&Terms>) -> SessionChange {
    let keys = |keys: &[IdentityKey]| keys.iter().map(IdentityKey::to_string).collect();
    SessionChange::Members {
        by: by.to_string(),
        added: keys(added),
        removed: keys(removed),
        name: terms.map(|terms| terms.name.clone()),
        admins: terms.map(|terms| terms.admins.iter().map(IdentityKey::to_string).collect()),
    }
}
