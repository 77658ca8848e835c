//! The node itself: status, peers, estimates, quotes, configuration, shutdown.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mainframe_base::{Locator, Luminosity, Prefix};
use mainframe_core::cost;
use mainframe_core::switchboard::{EndpointCommand, EndpointReply, RelayCommand, RelayReply, RelayStatus};
use mainframe_core::wire::SizeClass;
use mainframe_sdk::{
    ApiError, Configuration, ConnectRequest, EstimateRequest, HoldStatus, Peers, Quote, Scope, SizeEstimate, Status,
};
use serde::Deserialize;

use super::payload::{Parameters, Payload, luminosity};
use super::{Api, Failure, PATIENCE, views};
use crate::desk::Answer;
use crate::tokens::Caller;

/// Locators in one request to connect.
const LOCATORS_MAX: usize = 64;
/// Random look-ups of one estimate: more make it no better worth their questions.
const LOOKUPS_MAX: u8 = 64;
/// With more droppers than that nobody is hidden, and nothing was measured.
const DROPPERS_PER_MILLE_MAX: u16 = 900;
const NOT_ESTIMATED: &str = "no estimate was made";
/// An estimate walks the network several times; a little less than the guard allows.
const ESTIMATE_PATIENCE: Duration = Duration::from_secs(55);

/// A summary of the node. What others' traffic would show in is left out but for the administrator.
#[utoipa::path(get, path = "/api/v1/status", security(("token" = ["read"])),
    responses((status = 200, body = Status), (status = "default", body = ApiError)))]
pub(super) async fn status(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Status>, Failure> {
    caller.needs(Scope::Read)?;
    let status = api.relay_status().await?;
    let mut relay = views::relay_status(status, api.refusal.borrow().as_ref());
    let endpoint = if caller.is_admin() { Some(api.endpoint_status().await?) } else { None };
    if endpoint.is_none() {
        (relay.pending_bytes, relay.pending_bytes_max) = (0, 0);
        relay.counters.clear();
        let HoldStatus { bytes_max, refusing, .. } = std::mem::take(&mut relay.hold);
        relay.hold = HoldStatus { bytes_max, refusing, ..HoldStatus::default() };
    }
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_ms: u64::try_from(api.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        locators: api.link.local_locators().iter().map(Locator::to_string).collect(),
        small_network: api.config.small_network,
        trace: api.config.trace,
        relay,
        endpoint,
    }))
}

/// Every connected peer.
#[utoipa::path(get, path = "/api/v1/peers", security(("token" = ["admin"])),
    responses((status = 200, body = Peers), (status = "default", body = ApiError)))]
pub(super) async fn peers(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Peers>, Failure> {
    caller.needs(Scope::Admin)?;
    let status = api.relay_status().await?;
    let reply = api.ask_relay(RelayCommand::Topology).await?;
    let RelayReply::Topology(peers) = reply else { return Err(unexpected(&reply)) };
    let peers = peers.into_iter().map(views::peer).collect();
    Ok(Json(Peers { overlay: status.overlay.to_string(), depth: status.depth, peers }))
}

/// Dials these nodes now.
#[utoipa::path(post, path = "/api/v1/peers", request_body = ConnectRequest, security(("token" = ["admin"])),
    responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn connect(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<ConnectRequest>,
) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Admin)?;
    if request.locators.is_empty() || request.locators.len() > LOCATORS_MAX {
        return Err(Failure::bad_request("nobody was dialled", format!("give 1 to {LOCATORS_MAX} locators")));
    }
    let locators: Result<Vec<Locator>, _> = request.locators.iter().map(|text| text.parse()).collect();
    let locators = locators.map_err(|error| Failure::bad_request("nobody was dialled", error))?;
    let reply = api.ask_relay(RelayCommand::Connect(locators)).await?;
    if reply == RelayReply::Done { Ok(StatusCode::NO_CONTENT) } else { Err(unexpected(&reply)) }
}

/// Estimates the network's size by random look-ups, and counts the relays of a region; takes seconds.
#[utoipa::path(post, path = "/api/v1/estimate", request_body = EstimateRequest, security(("token" = ["read"])),
    responses((status = 200, body = SizeEstimate), (status = "default", body = ApiError)))]
pub(super) async fn estimate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<EstimateRequest>,
) -> Result<Json<SizeEstimate>, Failure> {
    caller.needs(Scope::Read)?;
    if request.lookups > LOOKUPS_MAX || request.droppers_per_mille > DROPPERS_PER_MILLE_MAX {
        let why =
            format!("look-ups are at most {LOOKUPS_MAX}, droppers at most {DROPPERS_PER_MILLE_MAX} in a thousand");
        return Err(Failure::bad_request(NOT_ESTIMATED, why));
    }
    let command = RelayCommand::Estimate { lookups: request.lookups, region: region(&api, &request).await? };
    let asked = api.desk.ask_relay(command, ESTIMATE_PATIENCE).await;
    let reply = asked.map_err(|none| Failure::no_answer(NOT_ESTIMATED, none))?;
    let RelayReply::Estimate(estimate) = reply else { return Err(unexpected(&reply)) };
    Ok(Json(views::estimate_of_region(estimate, request.droppers_per_mille.into())))
}

/// The region asked about: the prefix given or around ourselves, darkened to the luminosity given.
async fn region(api: &Api, request: &EstimateRequest) -> Result<Option<Prefix>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::bad_request(NOT_ESTIMATED, why);
    let bits = request.luminosity.map(luminosity).transpose()?;
    let Some(prefix) = &request.prefix else {
        let Some(bits) = bits else { return Ok(None) };
        return Ok(Some(Prefix::of(&api.relay_status().await?.overlay, bits)));
    };
    let prefix: Prefix = prefix.parse().map_err(|error| wrong(&error))?;
    let bits = bits.unwrap_or(prefix.luminosity());
    if bits > prefix.luminosity() {
        return Err(wrong(&format!("the prefix tells {} bits, fewer than the {bits} asked for", prefix.luminosity())));
    }
    Ok(Some(Prefix::of(&prefix.first_address(), bits)))
}

/// What follows `quote?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteQuery {
    /// Bits to reveal: 0 to 254, or 256.
    luminosity: u16,
}

/// What a small packet would cost now.
#[utoipa::path(get, path = "/api/v1/quote", params(QuoteQuery), security(("token" = ["read"])),
    responses((status = 200, body = Quote), (status = "default", body = ApiError)))]
pub(super) async fn quote(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Parameters(query): Parameters<QuoteQuery>,
) -> Result<Json<Quote>, Failure> {
    caller.needs(Scope::Read)?;
    let luminosity = luminosity(query.luminosity)?;
    let nodes = believed_nodes(&api.relay_status().await?);
    Ok(Json(quote_of(nodes, luminosity, SizeClass::T).0))
}

/// The configuration the node runs with.
#[utoipa::path(get, path = "/api/v1/config", security(("token" = ["admin"])),
    responses((status = 200, body = Configuration), (status = "default", body = ApiError)))]
pub(super) async fn config(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Configuration>, Failure> {
    caller.needs(Scope::Admin)?;
    Ok(Json(Configuration { values: api.config.values().to_vec() }))
}

/// Stops the node.
#[utoipa::path(post, path = "/api/v1/shutdown", security(("token" = ["admin"])),
    responses((status = 202), (status = "default", body = ApiError)))]
pub(super) async fn shutdown(State(api): State<Arc<Api>>, caller: Caller) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Admin)?;
    api.stop_asked.send_replace(true);
    Ok(StatusCode::ACCEPTED)
}

impl Api {
    pub(super) async fn ask_relay(&self, command: RelayCommand) -> Result<RelayReply, Failure> {
        let asked = self.desk.ask_relay(command, PATIENCE).await;
        asked.map_err(|none| Failure::no_answer("the relay half did not answer", none))
    }

    pub(super) async fn ask_endpoint(&self, command: EndpointCommand) -> Result<EndpointReply, Failure> {
        let what = "the endpoint half did not answer";
        match self.desk.ask_endpoint(command, None, PATIENCE).await {
            Ok(Answer::Endpoint(reply)) => Ok(reply),
            Ok(Answer::Relay(other)) => Err(unexpected(&other)),
            Err(none) => Err(Failure::no_answer(what, none)),
        }
    }

    pub(super) async fn relay_status(&self) -> Result<RelayStatus, Failure> {
        let reply = self.ask_relay(RelayCommand::Status).await?;
        let RelayReply::Status(status) = reply else { return Err(unexpected(&reply)) };
        Ok(*status)
    }

    pub(super) async fn endpoint_status(&self) -> Result<mainframe_sdk::EndpointStatus, Failure> {
        let reply = self.ask_endpoint(EndpointCommand::Status).await?;
        let EndpointReply::Status(status) = reply else { return Err(unexpected(&reply)) };
        Ok(views::endpoint_status(status, self.mailbox.overflowed()))
    }
}

/// An answer to another question is a mistake of ours, unless it refuses.
pub(super) fn unexpected(reply: &(impl std::fmt::Debug + AsRefusal)) -> Failure {
    match reply.as_refusal() {
        Some(refusal) => Failure::refused("the request was not carried out", refusal),
        None => {
            let next = "Report it with the node's log.";
            let why = "a half of the node gave the answer to another question";
            Failure::new(mainframe_sdk::ErrorCode::Internal, "the request was not carried out", why, next)
        }
    }
}

/// An answer that may be a refusal.
pub(super) trait AsRefusal {
    /// The refusal, if it is one.
    fn as_refusal(&self) -> Option<mainframe_base::Refusal>;
}

impl AsRefusal for RelayReply {
    fn as_refusal(&self) -> Option<mainframe_base::Refusal> {
        if let RelayReply::Refused(refusal) = self { Some(*refusal) } else { None }
    }
}

impl AsRefusal for EndpointReply {
    fn as_refusal(&self) -> Option<mainframe_base::Refusal> {
        if let EndpointReply::Refused(refusal) = self { Some(*refusal) } else { None }
    }
}

/// How many relays the network has: the latest estimate, or at least those we know and ourselves.
pub(super) fn believed_nodes(status: &RelayStatus) -> u64 {
    status.estimate.map_or(0, |estimate| estimate.nodes).max(status.known as u64 + 1)
}

/// The API's quote and the core's.
pub(super) fn quote_of(nodes: u64, luminosity: Luminosity, size_class: SizeClass) -> (Quote, cost::Quote) {
    let quote = cost::quote(nodes, luminosity, size_class);
    let shown = Quote {
        nodes,
        luminosity: luminosity.bits(),
        region_nodes: quote.region_relays,
        transmissions: quote.milli_transmissions.div_ceil(1_000),
        bytes: quote.bytes,
    };
    (shown, quote)
}
