//! A person's devices over the API, and how a person comes to this node.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_core::crypto::{LinkCode, Name};
use mainframe_core::session::{Answer, DeviceFact, DeviceStanding, Order, OwnDevice};
use mainframe_sdk as sdk;
use mainframe_sdk::{
    AccountFile, AddDevice, ApiError, Devices, ErrorCode, ExportAccount, Link, Links, Person, RestoreAccount, Scope,
    StartLink,
};

use super::payload::Payload;
use super::people::{luminosity_of, to_the_end};
use super::persona::{Persona, another};
use super::{Api, Failure};
use crate::account_file::{self, NotOpened};
use crate::desk::NoAnswer;
use crate::password::Password;
use crate::tokens::Caller;

const HOUR_MS: u64 = 3_600_000;
const NOT_RESTORED: &str = "nobody was restored";

/// Makes a code by which this node becomes a device of somebody who lives elsewhere. The code is told only now.
#[utoipa::path(post, path = "/api/v1/links", request_body = StartLink, security(("token" = ["persons"])),
    responses((status = 201, body = Link), (status = "default", body = ApiError)))]
pub(super) async fn start_link(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<StartLink>,
) -> Result<(StatusCode, Json<Link>), Failure> {
    caller.needs(Scope::Persons)?;
    let luminosity = luminosity_of(&api, request.luminosity).await?;
    let principal = caller.principal.to_string();
    let starting = async move { api.people.start_link(request.device_name, principal, luminosity).await };
    Ok((StatusCode::CREATED, Json(to_the_end(starting).await?)))
}

/// The links that wait for their persons, without their codes.
#[utoipa::path(get, path = "/api/v1/links", security(("token" = ["persons"])),
    responses((status = 200, body = Links), (status = "default", body = ApiError)))]
pub(super) async fn links(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Links>, Failure> {
    caller.needs(Scope::Persons)?;
    Ok(Json(Links { links: api.people.links(caller.sees()) }))
}

/// Takes a code back.
#[utoipa::path(delete, path = "/api/v1/links/{link}",
    params(("link" = String, Path, description = "The link's name")),
    security(("token" = ["persons"])), responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn stop_link(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(link): Path<String>,
) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Persons)?;
    to_the_end(async move { api.people.stop_link(&link, caller.sees()).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A person's devices, this one first.
#[utoipa::path(get, path = "/api/v1/persons/{person}/devices", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key")),
    responses((status = 200, body = Devices), (status = "default", body = ApiError)))]
pub(super) async fn devices(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
) -> Result<Json<Devices>, Failure> {
    let answer = Persona::of(&api, &caller, &person, Scope::Persons)?.order(Order::Devices).await?;
    let Answer::Devices(devices) = answer else { return Err(another(&answer)) };
    Ok(Json(Devices { devices: devices.into_iter().map(view).collect() }))
}

/// Adds the device that shows a code. It is sent all that makes the person, until it is heard or its code ends.
#[utoipa::path(post, path = "/api/v1/persons/{person}/devices", request_body = AddDevice,
    params(("person" = String, Path, description = "Their identity key or scan key")),
    security(("token" = ["persons"])),
    responses((status = 202, body = sdk::OwnDevice), (status = "default", body = ApiError)))]
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
    Payload(request): Payload<AddDevice>,
) -> Result<(StatusCode, Json<sdk::OwnDevice>), Failure> {
    const NOT_ADDED: &str = "no device was added";
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let code = LinkCode::parse(request.code.trim()).map_err(|error| {
        Failure::new(ErrorCode::BadRequest, NOT_ADDED, error, "Copy the code again, from `mfl:` to the end.")
    })?;
    let name = request.name.as_deref().map(|name| {
        Name::new(name).filter(|name| !name.as_str().is_empty()).ok_or_else(|| {
            Failure::bad_request(NOT_ADDED, "a device's name has 1 to 64 bytes, and no control characters")
        })
    });
    let answer = persona.order(Order::AddDevice(code, name.transpose()?)).await?;
    let Answer::Device(device) = answer else { return Err(another(&answer)) };
    Ok((StatusCode::ACCEPTED, Json(view(device))))
}

/// Puts a device out of every session, and vouches for it no more.
#[utoipa::path(delete, path = "/api/v1/persons/{person}/devices/{device}",
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("device" = String, Path, description = "The device's key")),
    security(("token" = ["persons"])), responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, device)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let why = "a device's key has 64 hexadecimal digits";
    let device = device.parse().map_err(|_| Failure::bad_request("the request cannot be read", why))?;
    persona.done(Order::RevokeDevice(device)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Writes a person down, encrypted: keys, card, contacts and sessions, but nothing that was said.
#[utoipa::path(post, path = "/api/v1/persons/{person}/export", request_body = ExportAccount,
    params(("person" = String, Path, description = "Their identity key or scan key")),
    security(("token" = ["persons"])),
    responses((status = 200, body = AccountFile), (status = "default", body = ApiError)))]
pub(super) async fn export(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
    Payload(request): Payload<ExportAccount>,
) -> Result<Json<AccountFile>, Failure> {
    const NOT_WRITTEN: &str = "nothing was written down";
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    if request.passphrase.is_empty() {
        return Err(Failure::bad_request(NOT_WRITTEN, "the passphrase is empty"));
    }
    let answer = persona.order(Order::Account).await?;
    let Answer::Account(account) = answer else { return Err(another(&answer)) };
    let passphrase = Password::new(request.passphrase);
    let sealed = tokio::task::spawn_blocking(move || account_file::seal(&account, &passphrase)).await;
    let file = sealed.map_err(|_| Failure::no_answer(NOT_WRITTEN, NoAnswer::Stopped))?;
    Ok(Json(AccountFile { file }))
}

/// Makes this node a new device of a person who was written down.
#[utoipa::path(post, path = "/api/v1/restore", request_body = RestoreAccount, security(("token" = ["persons"])),
    responses((status = 201, body = Person), (status = "default", body = ApiError)))]
pub(super) async fn restore(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<RestoreAccount>,
) -> Result<(StatusCode, Json<Person>), Failure> {
    caller.needs(Scope::Persons)?;
    let RestoreAccount { file, passphrase, device_name } = request;
    let passphrase = Password::new(passphrase);
    let opened = tokio::task::spawn_blocking(move || account_file::open(file.trim(), &passphrase)).await;
    let account = opened.map_err(|_| Failure::no_answer(NOT_RESTORED, NoAnswer::Stopped))?.map_err(not_opened)?;
    let principal = caller.principal.to_string();
    let restoring = async move { api.people.restore(&account, principal, device_name).await };
    Ok((StatusCode::CREATED, Json(to_the_end(restoring).await?)))
}

fn not_opened(why: NotOpened) -> Failure {
    let (code, next) = match why {
        NotOpened::NoFile | NotOpened::NoAccount => (ErrorCode::BadRequest, "Use another copy of the file."),
        NotOpened::Later => (ErrorCode::BadRequest, "Use the newer program."),
        NotOpened::Passphrase => {
            (ErrorCode::Forbidden, "Try the passphrase again; if you are sure of it, use another copy of the file.")
        }
    };
    Failure::new(code, NOT_RESTORED, why, next)
}

fn view(device: OwnDevice) -> sdk::OwnDevice {
    sdk::OwnDevice {
        key: device.key.to_string(),
        name: device.name.to_string(),
        since_ms: u64::from(device.since_hours) * HOUR_MS,
        is_this: device.is_this,
        standing: match device.standing {
            DeviceStanding::Adding => sdk::DeviceStanding::Adding,
            DeviceStanding::Added => sdk::DeviceStanding::Added,
            DeviceStanding::Revoked => sdk::DeviceStanding::Revoked,
        },
    }
}

/// News of devices in the API's words; none of links, which are followed by the node itself.
pub(super) fn event(person: mainframe_base::IdentityKey, fact: &DeviceFact) -> Option<sdk::DeviceEvent> {
    let (device, change) = match fact {
        DeviceFact::Added(device, name) => (device, sdk::DeviceChange::Added { name: name.to_string() }),
        DeviceFact::NotAdded(device) => (device, sdk::DeviceChange::NotAdded),
        DeviceFact::Revoked(device) => (device, sdk::DeviceChange::Revoked),
        DeviceFact::Linked | DeviceFact::NotLinked(_) | DeviceFact::LinkExpired => return None,
    };
    Some(sdk::DeviceEvent { person: person.to_string(), device: device.to_string(), change })
}
