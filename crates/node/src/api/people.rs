//! People and topics over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_base::Luminosity;
use mainframe_sdk::{AddPerson, AddTopic, ApiError, Person, Persons, Scope, Topic, Topics};
use serde::Deserialize;

use super::payload::{Parameters, Payload, luminosity};
use super::{Api, Failure};
use crate::desk::NoAnswer;
use crate::tokens::Caller;

/// What follows `persons?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonsQuery {
    /// Bits of this node's position the addresses tell; without it, all.
    luminosity: Option<u16>,
}

/// The principal's people.
#[utoipa::path(get, path = "/api/v1/persons", params(PersonsQuery), security(("token" = ["persons"])),
    responses((status = 200, body = Persons), (status = "default", body = ApiError)))]
pub(super) async fn persons(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Parameters(query): Parameters<PersonsQuery>,
) -> Result<Json<Persons>, Failure> {
    caller.needs(Scope::Persons)?;
    let luminosity = query.luminosity.map_or(Ok(Luminosity::FULL), luminosity)?;
    Ok(Json(Persons { persons: api.people.persons(caller.sees(), luminosity) }))
}

/// Makes a person with a new key.
#[utoipa::path(post, path = "/api/v1/persons", request_body = AddPerson, security(("token" = ["persons"])),
    responses((status = 201, body = Person), (status = "default", body = ApiError)))]
pub(super) async fn add_person(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<AddPerson>,
) -> Result<(StatusCode, Json<Person>), Failure> {
    caller.needs(Scope::Persons)?;
    let luminosity = request.luminosity.map_or(Ok(Luminosity::FULL), luminosity)?;
    let principal = caller.principal.to_string();
    let adding = async move { api.people.add_person(request.name, principal, luminosity).await };
    let person = to_the_end(adding).await?;
    Ok((StatusCode::CREATED, Json(person)))
}

/// Forgets a person and its key for ever.
#[utoipa::path(delete, path = "/api/v1/persons/{key}", params(("key" = String, Path, description = "Its scan key")),
    security(("token" = ["persons"])), responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn remove_person(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Persons)?;
    to_the_end(async move { api.people.remove_person(&key, caller.sees()).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The principal's topics, without their keys.
#[utoipa::path(get, path = "/api/v1/topics", security(("token" = ["persons"])),
    responses((status = 200, body = Topics), (status = "default", body = ApiError)))]
pub(super) async fn topics(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Topics>, Failure> {
    caller.needs(Scope::Persons)?;
    Ok(Json(Topics { topics: api.people.topics(caller.sees()) }))
}

/// Reads a topic, making its key if none is given.
#[utoipa::path(post, path = "/api/v1/topics", request_body = AddTopic, security(("token" = ["persons"])),
    responses((status = 201, body = Topic), (status = "default", body = ApiError)))]
pub(super) async fn add_topic(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<AddTopic>,
) -> Result<(StatusCode, Json<Topic>), Failure> {
    caller.needs(Scope::Persons)?;
    let principal = caller.principal.to_string();
    let topic = to_the_end(async move { api.people.add_topic(request.name, principal, request.key).await }).await?;
    Ok((StatusCode::CREATED, Json(topic)))
}

/// Stops reading a topic and forgets its key.
#[utoipa::path(delete, path = "/api/v1/topics/{fingerprint}",
    params(("fingerprint" = String, Path, description = "The fingerprint of its key")),
    security(("token" = ["persons"])), responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn remove_topic(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Persons)?;
    to_the_end(async move { api.people.remove_topic(&fingerprint, caller.sees()).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the key file and memory together even if whoever asked hangs up in the middle.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let changed = tokio::spawn(change).await;
    changed.unwrap_or_else(|_| Err(Failure::no_answer("nothing was changed", NoAnswer::Stopped)))
}
