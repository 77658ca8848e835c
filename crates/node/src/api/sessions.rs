//! Sessions and their members over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_base::SessionId;
use mainframe_core::session::{Answer, NewGroup, Order, SessionView};
use mainframe_sdk as sdk;
use mainframe_sdk::{AddMember, ApiError, ChangeSession, CreateGroup, CreatedSession, Scope, Sessions};

use super::payload::{Payload, luminosity};
use super::persona::{Persona, another, identity, session};
use super::sending::hold_class;
use super::{Api, Failure, session_views};
use crate::tokens::Caller;

/// The person's sessions.
#[utoipa::path(get, path = "/api/v1/persons/{person}/sessions", security(("token" = ["read"])),
    params(("person" = String, Path, description = "Their identity key or scan key")),
    responses((status = 200, body = Sessions), (status = "default", body = ApiError)))]
pub(super) async fn sessions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
) -> Result<Json<Sessions>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Read)?;
    let sessions = all(&persona).await?.into_iter().map(session_views::session).collect();
    Ok(Json(Sessions { sessions }))
}

/// One session.
#[utoipa::path(get, path = "/api/v1/persons/{person}/sessions/{session}", security(("token" = ["read"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    responses((status = 200, body = sdk::Session), (status = "default", body = ApiError)))]
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
) -> Result<Json<sdk::Session>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Read)?;
    Ok(Json(session_views::session(find(&persona, session(&name)?).await?)))
}

/// Founds a group. Its members enter it as their keys come.
#[utoipa::path(post, path = "/api/v1/persons/{person}/sessions", request_body = CreateGroup,
    params(("person" = String, Path, description = "Their identity key or scan key")),
    security(("token" = ["persons"])),
    responses((status = 201, body = CreatedSession), (status = "default", body = ApiError)))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
    Payload(request): Payload<CreateGroup>,
) -> Result<(StatusCode, Json<CreatedSession>), Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let CreateGroup { name, members, luminosity: bits, hold, shared_topic } = request;
    let members = members.iter().map(|member| identity(member)).collect::<Result<_, _>>()?;
    let (luminosity, hold) = (luminosity(bits)?, hold_class(hold));
    let answer = persona.order(Order::CreateGroup(NewGroup { name, members, luminosity, hold, shared_topic })).await?;
    let Answer::Session(id) = answer else { return Err(another(&answer)) };
    Ok((StatusCode::CREATED, Json(CreatedSession { id: id.to_string() })))
}

/// Changes what a group agreed on: its name, or who is an admin. It is done when the members have decided on it.
#[utoipa::path(patch, path = "/api/v1/persons/{person}/sessions/{session}", request_body = ChangeSession,
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    security(("token" = ["persons"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Payload(request): Payload<ChangeSession>,
) -> Result<StatusCode, Failure> {
    let order = match request {
        ChangeSession::Name(name) => Change::Name(name),
        ChangeSession::Admin(member) => Change::Admin(identity(&member)?, true),
        ChangeSession::NoAdmin(member) => Change::Admin(identity(&member)?, false),
    };
    of_session(&api, &caller, &path.0, &path.1, |id| match order {
        Change::Name(name) => Order::Rename(id, name),
        Change::Admin(member, is_admin) => Order::SetAdmin(id, member, is_admin),
    })
    .await
}

enum Change {
    Name(String),
    Admin(mainframe_base::IdentityKey, bool),
}

/// Adds a contact to a group, as soon as the keys of their devices have come.
#[utoipa::path(post, path = "/api/v1/persons/{person}/sessions/{session}/members", request_body = AddMember,
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    security(("token" = ["persons"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn add_member(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
    Payload(request): Payload<AddMember>,
) -> Result<StatusCode, Failure> {
    let member = identity(&request.member)?;
    of_session(&api, &caller, &person, &name, |id| Order::AddMember(id, member)).await
}

/// Removes a member from a group: what is said from then on they cannot read.
#[utoipa::path(delete, path = "/api/v1/persons/{person}/sessions/{session}/members/{member}",
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name"),
        ("member" = String, Path, description = "The member's identity key")),
    security(("token" = ["persons"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn remove_member(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name, member)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    let member = identity(&member)?;
    of_session(&api, &caller, &person, &name, |id| Order::RemoveMember(id, member)).await
}

/// Leaves a group. What was said there is deleted here.
#[utoipa::path(post, path = "/api/v1/persons/{person}/sessions/{session}/leave", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn leave(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    of_session(&api, &caller, &person, &name, Order::Leave).await
}

/// Renews this device's keys in a session now: what a thief took from it opens nothing more once everybody has heard.
#[utoipa::path(post, path = "/api/v1/persons/{person}/sessions/{session}/renew", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("session" = String, Path, description = "The session's name")),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn renew(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, name)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    of_session(&api, &caller, &person, &name, Order::Renew).await
}

async fn of_session(
    api: &Api,
    caller: &Caller,
    person: &str,
    name: &str,
    order: impl FnOnce(SessionId) -> Order,
) -> Result<StatusCode, Failure> {
    let persona = Persona::of(api, caller, person, Scope::Persons)?;
    persona.done(order(session(name)?)).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn all(persona: &Persona<'_>) -> Result<Vec<SessionView>, Failure> {
    let answer = persona.order(Order::Sessions).await?;
    let Answer::Sessions(sessions) = answer else { return Err(another(&answer)) };
    Ok(sessions)
}

/// One of the person's sessions.
pub(super) async fn find(persona: &Persona<'_>, id: SessionId) -> Result<SessionView, Failure> {
    let found = all(persona).await?.into_iter().find(|view| view.id == id);
    found.ok_or_else(|| Failure::not_found("there is no such session"))
}
