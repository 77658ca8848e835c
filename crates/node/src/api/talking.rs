//! What is said in sessions, over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_base::SessionId;
use mainframe_core::session::ledger::{BODY_MAX, Entry};
use mainframe_core::session::{Answer, Order, SessionView};
use mainframe_sdk::{ApiError, ErrorCode, MarkRead, MessageProgress, Said, Say, Scope, SessionMessages};
use serde::Deserialize;

use super::payload::{Parameters, Payload};
use super::persona::{Persona, another, session};
use super::{Api, Failure, session_views, sessions};
use crate::tokens::Caller;

/// Messages of one answer.
const LIMIT_MAX: usize = 1_000;
const LIMIT: usize = 100;
/// Pages read for one answer: what devices say to each other stands between what people say, and is left out.
const PAGES_MAX: usize = 20;

/// What follows `messages?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct MessagesQuery {
    /// Messages with a greater sequence number; without it, all that are kept.
    #[serde(default)]
    after: u64,
    /// At most so many, 1 to 1000; without it, 100.
    limit: Option<usize>,
}

/// What was said in a session, causes before effects. Go on with `next_after` until `end` is true.
#[utoipa::path(get, path = "/api/v1/persons/{person}/sessions/{session}/messages", security(("token" = ["read"])),
    params(MessagesQuery, ("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    responses((status = 200, body = SessionMessages), (status = "default", body = ApiError)))]
pub(super) async fn messages(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
    Parameters(query): Parameters<MessagesQuery>,
) -> Result<Json<SessionMessages>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Read)?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Failure::bad_request("cannot use the limit", format!("it must be 1 to {LIMIT_MAX}")));
    }
    let view = sessions::find(&persona, session(&name)?).await?;
    let mut page = SessionMessages { messages: Vec::new(), next_after: query.after, end: false };
    for _ in 0..PAGES_MAX {
        let wanted = limit - page.messages.len();
        let entries = entries(&persona, view.id, page.next_after, wanted).await?;
        page.next_after = next_after(page.next_after, wanted, &entries, view.last_sequence);
        page.end = page.next_after >= view.last_sequence;
        page.messages.extend(entries.into_iter().map(|entry| session_views::entry(&view, entry)));
        if page.end || page.messages.len() >= limit {
            break;
        }
    }
    Ok(Json(page))
}

/// How far the order was read: places follow each other, but what devices say to each other is left out of the answer.
fn next_after(after: u64, wanted: usize, entries: &[Entry], last_sequence: u64) -> u64 {
    let looked_at = after.saturating_add(wanted as u64).min(last_sequence.max(after));
    entries.last().map_or(looked_at, |entry| entry.sequence.max(looked_at))
}

/// Says something. It is written down, and will be sent until everybody has it.
#[utoipa::path(post, path = "/api/v1/persons/{person}/sessions/{session}/messages", request_body = Say,
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    security(("token" = ["send"])), responses((status = 202, body = Said), (status = "default", body = ApiError)))]
pub(super) async fn say(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
    Payload(request): Payload<Say>,
) -> Result<(StatusCode, Json<Said>), Failure> {
    const NOT_SAID: &str = "nothing was said";
    let persona = Persona::of(&api, &caller, &person, Scope::Send)?;
    let Say { body, stream, kind } = request;
    let body = body.into_bytes().ok_or_else(|| Failure::bad_request(NOT_SAID, "the body's base64 is none"))?;
    if body.len() > BODY_MAX {
        let why = format!("it has {} bytes, and a message has {BODY_MAX} at most", body.len());
        return Err(Failure::new(ErrorCode::TooLong, NOT_SAID, why, "Say it in several messages."));
    }
    let answer = persona.order(Order::Say { session: session(&name)?, stream, kind, body }).await?;
    let Answer::Said(id, sequence) = answer else { return Err(another(&answer)) };
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, number: id.number })))
}

/// One message, and how far it is with everybody it was meant for.
#[utoipa::path(get, path = "/api/v1/persons/{person}/sessions/{session}/messages/{sequence}",
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name"),
        ("sequence" = u64, Path, description = "The message's place")),
    security(("token" = ["read"])),
    responses((status = 200, body = MessageProgress), (status = "default", body = ApiError)))]
pub(super) async fn message(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name, place)): Path<(String, String, String)>,
) -> Result<Json<MessageProgress>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Read)?;
    let view = sessions::find(&persona, session(&name)?).await?;
    let entry = at(&persona, view.id, sequence(&place)?).await?;
    let persons = progress(&persona, &view, &entry).await?;
    Ok(Json(MessageProgress { message: session_views::entry(&view, entry), persons }))
}

async fn progress(
    persona: &Persona<'_>,
    view: &SessionView,
    entry: &Entry,
) -> Result<Vec<mainframe_sdk::PersonProgress>, Failure> {
    if entry.state.is_none() {
        return Ok(Vec::new());
    }
    let answer = persona.order(Order::Progress(view.id, entry.message.id.number)).await?;
    let Answer::Progress(persons) = answer else { return Err(another(&answer)) };
    Ok(persons.into_iter().map(session_views::progress).collect())
}

/// Takes an own message back that not everybody has yet. Who has it keeps it.
#[utoipa::path(delete, path = "/api/v1/persons/{person}/sessions/{session}/messages/{sequence}",
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name"),
        ("sequence" = u64, Path, description = "The message's place")),
    security(("token" = ["send"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn take_back(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name, place)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Send)?;
    let session = session(&name)?;
    let entry = at(&persona, session, sequence(&place)?).await?;
    if entry.state.is_none() {
        let why = "another device said it";
        let next = "Take back your own messages only, on the device that said them.";
        return Err(Failure::new(ErrorCode::AgainstTerms, "nothing was taken back", why, next));
    }
    persona.done(Order::Cancel(session, entry.message.id.number)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Says that a message was read, and all its author said before. Its author is told.
#[utoipa::path(post, path = "/api/v1/persons/{person}/sessions/{session}/read", request_body = MarkRead,
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    security(("token" = ["send"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn mark_read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
    Payload(request): Payload<MarkRead>,
) -> Result<StatusCode, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Send)?;
    let session = session(&name)?;
    let entry = at(&persona, session, request.sequence).await?;
    persona.done(Order::Read(session, entry.message.id)).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn entries(persona: &Persona<'_>, session: SessionId, after: u64, limit: usize) -> Result<Vec<Entry>, Failure> {
    let answer = persona.order(Order::Messages { session, after, limit }).await?;
    let Answer::Messages(entries) = answer else { return Err(another(&answer)) };
    Ok(entries)
}

/// The message at a place.
async fn at(persona: &Persona<'_>, session: SessionId, sequence: u64) -> Result<Entry, Failure> {
    let entries = entries(persona, session, sequence.saturating_sub(1), 1).await?;
    let found = entries.into_iter().find(|entry| entry.sequence == sequence);
    found.ok_or_else(|| Failure::not_found("there is no message at that place"))
}

fn sequence(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::bad_request("the request cannot be read", "a message's place is a number"))
}
