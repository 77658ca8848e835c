//! People and topics over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_base::{Luminosity, Proximity, Role};
use mainframe_core::switchboard::{RelayCommand, RelayReply};
use mainframe_sdk::{AddPerson, AddTopic, ApiError, Person, Persons, Scope, Topic, Topics};
use serde::Deserialize;

use super::node::unexpected;
use super::payload::{Parameters, Payload, luminosity};
use super::{Api, Failure};
use crate::desk::NoAnswer;
use crate::tokens::Caller;

/// How much darker than its second closest relay a guest's region is, in bits: of two relays there it makes eight, which is
/// a neighbourhood (guess).
const GUEST_DARKER_BITS: u16 = 2;

/// What follows `persons?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonsQuery {
    /// Bits of this node's position the addresses tell; without it as many as they were made with.
    luminosity: Option<u16>,
}

/// The luminosity asked for; else all of this node's position, and for a guest so much that its access relays, and others if
/// it changes them, get what is sent there.
pub(super) async fn luminosity_of(api: &Api, asked: Option<u16>) -> Result<Luminosity, Failure> {
    if let Some(bits) = asked {
        return luminosity(bits);
    }
    if api.relay_status().await?.role == Role::Relay {
        return Ok(Luminosity::FULL);
    }
    let reply = api.ask_relay(RelayCommand::Topology).await?;
    let RelayReply::Topology(peers) = reply else { return Err(unexpected(&reply)) };
    Ok(luminosity_of_guest(peers.into_iter().filter(|peer| peer.role == Role::Relay).map(|peer| peer.proximity)))
}

/// Both access relays are inside, and about as many more as stand in a neighbourhood.
fn luminosity_of_guest(relays: impl Iterator<Item = Proximity>) -> Luminosity {
    let mut proximities: Vec<Proximity> = relays.collect();
    proximities.sort_unstable();
    let second_closest = proximities.iter().rev().nth(1).copied().unwrap_or(0);
    Luminosity::at_most(second_closest.saturating_sub(GUEST_DARKER_BITS))
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
    let luminosity = query.luminosity.map(luminosity).transpose()?;
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
    let luminosity = luminosity_of(&api, request.luminosity).await?;
    let principal = caller.principal.to_string();
    let adding = async move { api.people.add_person(request.name, principal, luminosity, request.device_name).await };
    let person = to_the_end(adding).await?;
    Ok((StatusCode::CREATED, Json(person)))
}

/// Forgets a person and its key for ever.
#[utoipa::path(delete, path = "/api/v1/persons/{person}",
    params(("person" = String, Path, description = "Its identity key or scan key")),
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
pub(super) async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let changed = tokio::spawn(change).await;
    changed.unwrap_or_else(|_| Err(Failure::no_answer("nothing was changed", NoAnswer::Stopped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_region_has_both_of_its_access_relays_and_some_to_spare() {
        let luminosity = |relays: &[Proximity]| luminosity_of_guest(relays.iter().copied()).bits();
        assert_eq!((luminosity(&[0, 9, 5, 1]), luminosity(&[2, 1]), luminosity(&[7]), luminosity(&[])), (3, 0, 0, 0));
    }
}
