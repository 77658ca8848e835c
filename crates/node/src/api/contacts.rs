//! Contacts and requests over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_base::IdentityKey;
use mainframe_core::crypto::{Invitation, ParseCodeError, SafetyNumber};
use mainframe_core::session::contact::{ContactStanding, ContactView, Ending, Fact, Standing, Whom};
use mainframe_core::session::{Answer, Order};
use mainframe_sdk as sdk;
use mainframe_sdk::{
    AddContact, AddedContact, ApiError, ContactChange, Contacts, DeclineContact, ErrorCode, Safety, Scope,
};
use serde::Deserialize;

use super::payload::{Parameters, Payload};
use super::persona::{Persona, another, identity};
use super::{Api, Failure, cards};
use crate::tokens::Caller;

/// Contacts of one answer.
const LIMIT_MAX: usize = 1_000;
const LIMIT: usize = 100;

/// What follows `contacts?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactsQuery {
    /// Those whose keys come after this one.
    after: Option<String>,
    /// At most so many, 1 to 1000; without it, 100.
    limit: Option<usize>,
}

/// Contacts and requests, in the order of their keys.
#[utoipa::path(get, path = "/api/v1/persons/{person}/contacts", security(("token" = ["persons"])),
    params(ContactsQuery, ("person" = String, Path, description = "Their identity key or scan key")),
    responses((status = 200, body = Contacts), (status = "default", body = ApiError)))]
pub(super) async fn contacts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
    Parameters(query): Parameters<ContactsQuery>,
) -> Result<Json<Contacts>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Failure::bad_request("cannot use the limit", format!("it must be 1 to {LIMIT_MAX}")));
    }
    let after = query.after.as_deref().map(identity).transpose()?;
    let answer = persona.order(Order::Contacts { after, limit }).await?;
    let Answer::Contacts(contacts) = answer else { return Err(another(&answer)) };
    let last = contacts.last().filter(|_| contacts.len() == limit).map(|contact| contact.peer.to_string());
    Ok(Json(Contacts { contacts: contacts.into_iter().map(view).collect(), next_after: last }))
}

/// Greets somebody by a card or an invitation. If they have asked already, they are accepted.
#[utoipa::path(post, path = "/api/v1/persons/{person}/contacts", request_body = AddContact,
    params(("person" = String, Path, description = "Their identity key or scan key")),
    security(("token" = ["persons"])),
    responses((status = 202, body = AddedContact), (status = "default", body = ApiError)))]
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
    Payload(request): Payload<AddContact>,
) -> Result<(StatusCode, Json<AddedContact>), Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let whom = whom(&request.to).map_err(|error| {
        Failure::new(ErrorCode::BadRequest, "nobody was greeted", error, "Copy it again, or ask for another one.")
    })?;
    let answer = persona.order(Order::AddContact(whom, request.greeting)).await?;
    let Answer::Contact(key) = answer else { return Err(another(&answer)) };
    Ok((StatusCode::ACCEPTED, Json(AddedContact { key: key.to_string() })))
}

/// Accepts a request.
#[utoipa::path(post, path = "/api/v1/persons/{person}/contacts/{contact}/accept", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("contact" = String, Path, description = "The other one's identity key")),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn accept(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    of_contact(&api, &caller, &path, Order::AcceptContact).await
}

/// Declines a request.
#[utoipa::path(post, path = "/api/v1/persons/{person}/contacts/{contact}/decline", request_body = DeclineContact,
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("contact" = String, Path, description = "The other one's identity key")),
    security(("token" = ["persons"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn decline(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Payload(request): Payload<DeclineContact>,
) -> Result<StatusCode, Failure> {
    of_contact(&api, &caller, &path, |peer| Order::DeclineContact { peer, told: request.told }).await
}

/// Listens to nothing of somebody any more. They are not told.
#[utoipa::path(post, path = "/api/v1/persons/{person}/contacts/{contact}/block", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("contact" = String, Path, description = "The other one's identity key")),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn block(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    of_contact(&api, &caller, &path, Order::BlockContact).await
}

/// Listens to somebody again.
#[utoipa::path(post, path = "/api/v1/persons/{person}/contacts/{contact}/unblock", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("contact" = String, Path, description = "The other one's identity key")),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn unblock(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    of_contact(&api, &caller, &path, Order::UnblockContact).await
}

/// Forgets a contact, or takes a greeting back and says so.
#[utoipa::path(delete, path = "/api/v1/persons/{person}/contacts/{contact}", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("contact" = String, Path, description = "The other one's identity key")),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    of_contact(&api, &caller, &path, Order::RemoveContact).await
}

/// What both compare, by voice or side by side, to be sure that nobody stands between them.
#[utoipa::path(get, path = "/api/v1/persons/{person}/contacts/{contact}/safety", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("contact" = String, Path, description = "The other one's identity key")),
    responses((status = 200, body = Safety), (status = "default", body = ApiError)))]
pub(super) async fn safety(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, contact)): Path<(String, String)>,
) -> Result<Json<Safety>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let number = SafetyNumber::of(&persona.identity, &identity(&contact)?);
    Ok(Json(Safety { words: number.words(), digits: number.to_string() }))
}

async fn of_contact(
    api: &Api,
    caller: &Caller,
    (person, contact): &(String, String),
    order: impl FnOnce(IdentityKey) -> Order,
) -> Result<StatusCode, Failure> {
    let persona = Persona::of(api, caller, person, Scope::Persons)?;
    persona.done(order(identity(contact)?)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A card or an invitation, by how it begins.
fn whom(text: &str) -> Result<Whom, ParseCodeError> {
    let text = text.trim();
    if text.starts_with("mfi:") { Invitation::parse(text).map(Whom::Invitation) } else { text.parse().map(Whom::Card) }
}

fn view(contact: ContactView) -> sdk::Contact {
    let (standing, session, greeting) = match contact.standing {
        ContactStanding::Known => (sdk::Standing::Known, None, None),
        ContactStanding::Greeted => (sdk::Standing::Greeted, None, None),
        ContactStanding::Asked(text) => (sdk::Standing::Asked, None, Some(text)),
        ContactStanding::Underway => (sdk::Standing::Underway, None, None),
        ContactStanding::Together(session) => (sdk::Standing::Together, Some(session.to_string()), None),
        ContactStanding::Ended(ending) => (ended(ending), None, None),
    };
    sdk::Contact {
        key: contact.peer.to_string(),
        name: contact.card.map(|card| card.body().name.to_string()),
        standing,
        session,
        greeting,
        since_ms: contact.since.0,
        blocked: contact.blocked,
        gave_up: contact.gave_up,
    }
}

fn ended(ending: Ending) -> sdk::Standing {
    match ending {
        Ending::ByThem => sdk::Standing::Declined,
        Ending::ByUs => sdk::Standing::DeclinedByUs,
        Ending::Silently => sdk::Standing::Ignored,
        Ending::Failed => sdk::Standing::Failed,
    }
}

/// News of a contact in the API's words.
pub(super) fn event(person: IdentityKey, fact: &Fact) -> sdk::ContactEvent {
    let (contact, change) = match fact {
        Fact::Requested { peer, text, invitation, accepted } => {
            let valid = invitation.filter(|(_, standing)| *standing == Standing::Valid);
            let invitation = valid.map(|(id, _)| cards::name(id));
            (peer, ContactChange::Requested { greeting: text.clone(), invitation, accepted: *accepted })
        }
        Fact::Accepted(peer) => (peer, ContactChange::Accepted),
        Fact::Declined(peer) => (peer, ContactChange::Declined),
        Fact::Together(peer, session) => (peer, ContactChange::Together { session: session.to_string() }),
        Fact::GaveUp(peer) => (peer, ContactChange::GaveUp),
        Fact::Failed(peer) => (peer, ContactChange::Failed),
        Fact::CardChanged(peer) => (peer, ContactChange::CardChanged),
        Fact::Moved { old, new } => (old, ContactChange::Moved { to: new.to_string() }),
        Fact::RequestDropped(peer) => (peer, ContactChange::RequestDropped),
        Fact::Ignored { from, why } => (from, ContactChange::LetterIgnored { why: why.to_string() }),
    };
    sdk::ContactEvent { person: person.to_string(), contact: contact.to_string(), change }
}
