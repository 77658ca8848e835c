//! Cards and invitations over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_core::crypto::{Card, Invitation, InvitationId, hours_of};
use mainframe_core::session::contact::{InvitationView, Terms};
use mainframe_core::session::{Answer, Order};
use mainframe_sdk as sdk;
use mainframe_sdk::{ApiError, Invitations, Invite, Scope};

use super::payload::Payload;
use super::persona::{Persona, another};
use super::{Api, Failure};
use crate::tokens::Caller;

/// The longest an invitation holds: as long as the card in it.
const HOURS_MAX: u32 = 365 * 24;
const HOUR_MS: u64 = 3_600_000;

/// A person's card, to be given to whoever should be able to write first.
#[utoipa::path(get, path = "/api/v1/persons/{person}/card", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key")),
    responses((status = 200, body = sdk::Card), (status = "default", body = ApiError)))]
pub(super) async fn card(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
) -> Result<Json<sdk::Card>, Failure> {
    let answer = Persona::of(&api, &caller, &person, Scope::Persons)?.order(Order::Card).await?;
    let Answer::Card(card) = answer else { return Err(another(&answer)) };
    Ok(Json(view(&card)))
}

/// Makes an invitation. Its secret is told only now.
#[utoipa::path(post, path = "/api/v1/persons/{person}/invitations", request_body = Invite,
    params(("person" = String, Path, description = "Their identity key or scan key")),
    security(("token" = ["persons"])),
    responses((status = 201, body = sdk::Invitation), (status = "default", body = ApiError)))]
pub(super) async fn invite(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
    Payload(request): Payload<Invite>,
) -> Result<(StatusCode, Json<sdk::Invitation>), Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    if !(1..=HOURS_MAX).contains(&request.hours) {
        let why = format!("an invitation holds for 1 to {HOURS_MAX} hours");
        return Err(Failure::bad_request("no invitation was made", why));
    }
    let expires_hours = hours_of(api.clock.now()).saturating_add(request.hours);
    let terms = Terms { once: request.once, accept_at_once: request.accept, expires_hours };
    let answer = persona.order(Order::Invite(terms)).await?;
    let Answer::Invitation(invitation) = answer else { return Err(another(&answer)) };
    Ok((StatusCode::CREATED, Json(handed_over(&invitation))))
}

/// The invitations that are out, without their secrets.
#[utoipa::path(get, path = "/api/v1/persons/{person}/invitations", security(("token" = ["persons"])),
    params(("person" = String, Path, description = "Their identity key or scan key")),
    responses((status = 200, body = Invitations), (status = "default", body = ApiError)))]
pub(super) async fn invitations(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(person): Path<String>,
) -> Result<Json<Invitations>, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let invitations = all(&persona).await?.into_iter().map(invitation_view).collect();
    Ok(Json(Invitations { invitations }))
}

/// Takes an invitation back: nobody is let in by it any more.
#[utoipa::path(delete, path = "/api/v1/persons/{person}/invitations/{invitation}",
    params(("person" = String, Path, description = "Their identity key or scan key"),
        ("invitation" = String, Path, description = "The invitation's name")),
    security(("token" = ["persons"])), responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn withdraw(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((person, invitation)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let persona = Persona::of(&api, &caller, &person, Scope::Persons)?;
    let found = all(&persona).await?.into_iter().find(|view| name(view.id) == invitation);
    let found = found.ok_or_else(|| Failure::not_found("there is no such invitation"))?;
    persona.done(Order::WithdrawInvitation(found.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn all(persona: &Persona<'_>) -> Result<Vec<InvitationView>, Failure> {
    let answer = persona.order(Order::Invitations).await?;
    let Answer::Invitations(invitations) = answer else { return Err(another(&answer)) };
    Ok(invitations)
}

fn view(card: &Card) -> sdk::Card {
    let body = card.body();
    sdk::Card {
        text: card.to_string(),
        identity: card.identity().to_string(),
        name: body.name.to_string(),
        regions: body.regions.iter().map(|region| region.prefix.to_string()).collect(),
        luminosity_floor: body.luminosity_floor.bits(),
        issued_ms: moment(body.issued_hours),
        expires_ms: moment(body.expires_hours),
    }
}

fn handed_over(invitation: &Invitation) -> sdk::Invitation {
    sdk::Invitation {
        id: name(invitation.secret.id()),
        link: invitation.reveal().to_string(),
        picture: invitation.shortened().reveal().to_string(),
        expires_ms: moment(invitation.expires_hours),
    }
}

fn invitation_view(view: InvitationView) -> sdk::InvitationView {
    sdk::InvitationView {
        id: name(view.id),
        once: view.terms.once,
        accept: view.terms.accept_at_once,
        expires_ms: moment(view.terms.expires_hours),
        used: view.used,
    }
}

pub(super) fn name(id: InvitationId) -> String {
    hex::encode(id.0)
}

fn moment(hours: u32) -> u64 {
    u64::from(hours) * HOUR_MS
}
