//! Sending over the API. Nothing leaves unsealed: a request names a person's or a topic's key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mainframe_base::Prefix;
use mainframe_core::cost;
use mainframe_core::crypto::{BODY_OVERHEAD, PersonAddress, parse_topic_key};
use mainframe_core::switchboard::{EndpointCommand, EndpointReply, Letter, Recipient, RelayReply};
use mainframe_core::wire::{BudgetClass, CELL_BODY_T, HoldClass, SizeClass};
use mainframe_sdk::{
    ApiError, BATCH_MAX, BatchResult, Hold, Quote, Scope, SendBatch, SendBatchResults, SendRequest, Sent,
};

use super::node::{believed_nodes, quote_of, unexpected};
use super::payload::{Payload, luminosity};
use super::{Api, Failure, PATIENCE};
use crate::desk::Answer;
use crate::tokens::Caller;

const NOT_SENT: &str = "nothing was sent";
/// What a fragment says of itself inside a body (DESIGN: 12 bytes).
const FRAGMENT_HEADER_LENGTH: usize = 12;

/// Seals a message and takes the packet into custody.
#[utoipa::path(post, path = "/api/v1/send", request_body = SendRequest, security(("token" = ["send"])),
    responses((status = 202, body = Sent), (status = "default", body = ApiError)))]
pub(super) async fn send(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<SendRequest>,
) -> Result<(StatusCode, Json<Sent>), Failure> {
    caller.needs(Scope::Send)?;
    let network = Network::of(&api).await?;
    Ok((StatusCode::ACCEPTED, Json(send_one(&api, &caller, network, request).await?)))
}

/// Seals several messages; each is accepted or refused by itself.
#[utoipa::path(post, path = "/api/v1/send/batch", request_body = SendBatch, security(("token" = ["send"])),
    responses((status = 202, body = SendBatchResults), (status = "default", body = ApiError)))]
pub(super) async fn send_batch(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<SendBatch>,
) -> Result<(StatusCode, Json<SendBatchResults>), Failure> {
    caller.needs(Scope::Send)?;
    if request.messages.is_empty() || request.messages.len() > BATCH_MAX {
        return Err(Failure::bad_request(NOT_SENT, format!("a batch has 1 to {BATCH_MAX} messages")));
    }
    let network = Network::of(&api).await?;
    let sends = request.messages.into_iter().map(|message| send_one(&api, &caller, network, message));
    let results = futures::future::join_all(sends).await.into_iter().map(|result| match result {
        Ok(sent) => BatchResult::Sent(sent),
        Err(Failure(error)) => BatchResult::Refused(error),
    });
    Ok((StatusCode::ACCEPTED, Json(SendBatchResults { results: results.collect() })))
}

/// What a quote rests on.
#[derive(Clone, Copy)]
struct Network {
    nodes: u64,
    /// Whether the size was estimated; else it is only a lower bound.
    estimated: bool,
}

impl Network {
    async fn of(api: &Api) -> Result<Network, Failure> {
        let status = api.relay_status().await?;
        Ok(Network { nodes: believed_nodes(&status), estimated: status.estimate.is_some() })
    }
}

async fn send_one(api: &Api, caller: &Caller, network: Network, request: SendRequest) -> Result<Sent, Failure> {
    let (to, destination) = destination(&request)?;
    let body = request.body.into_bytes();
    let body = body.ok_or_else(|| Failure::bad_request(NOT_SENT, "the body's base64 is none"))?;
    let (quote, priced) = quote_of(network.nodes, destination.luminosity(), size_class(body.len()));
    let budget = budget(request.budget, network, &priced)?;
    let instead_of = request.instead_of.as_deref().map(str::parse).transpose();
    let instead_of =
        instead_of.map_err(|error| Failure::bad_request(NOT_SENT, format!("instead_of names no packet: {error}")))?;
    let letter = Letter { to, destination, hold: hold_class(request.hold), budget, instead_of, body };
    let asked = api.desk.ask_endpoint(EndpointCommand::Send(letter), Some(caller.principal.clone()), PATIENCE).await;
    match asked.map_err(|none| Failure::no_answer(NOT_SENT, none))? {
        Answer::Relay(RelayReply::Accepted(id)) => Ok(sent(id.to_string(), destination, quote)),
        Answer::Relay(RelayReply::Refused(refusal)) | Answer::Endpoint(EndpointReply::Refused(refusal)) => {
            Err(Failure::refused(NOT_SENT, refusal))
        }
        Answer::Relay(other) => Err(unexpected(&other)),
        Answer::Endpoint(other) => Err(unexpected(&other)),
    }
}

fn sent(id: String, region: Prefix, quote: Quote) -> Sent {
    Sent { id, region: region.to_string(), quote }
}

/// To whom, and through which region: the request's prefix, or the address's, darkened to the luminosity asked for.
fn destination(request: &SendRequest) -> Result<(Recipient, Prefix), Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::bad_request(NOT_SENT, why);
    let prefix = request.prefix.as_deref().map(str::parse).transpose().map_err(|error| wrong(&error))?;
    let (to, region) = if request.to.starts_with("mft:") {
        let key = parse_topic_key(&request.to).map_err(|error| wrong(&error))?;
        let region = prefix.ok_or_else(|| wrong(&"a topic stands nowhere: give the prefix its readers listen at"))?;
        (Recipient::Topic(key), region)
    } else {
        let address: PersonAddress = request.to.parse().map_err(|error| wrong(&error))?;
        (Recipient::Person(address.scan_key), prefix.unwrap_or(address.region))
    };
    let luminosity = request.luminosity.map_or(Ok(region.luminosity()), luminosity)?;
    if luminosity > region.luminosity() {
        let why = format!("the region tells {} bits, fewer than the {luminosity} asked for", region.luminosity());
        return Err(wrong(&why));
    }
    Ok((to, Prefix::of(&region.first_address(), luminosity)))
}

/// What the sender allows; else twice the quote where it rests on an estimate, and anything where it does not.
fn budget(asked: Option<u8>, network: Network, quote: &cost::Quote) -> Result<BudgetClass, Failure> {
    let Some(class) = asked else {
        return Ok(if network.estimated { cost::budget_for(quote) } else { BudgetClass::MAX });
    };
    BudgetClass::new(class).ok_or_else(|| Failure::bad_request(NOT_SENT, "a budget class is 0 to 15"))
}

fn size_class(body_length: usize) -> SizeClass {
    let fits_small = body_length + FRAGMENT_HEADER_LENGTH + BODY_OVERHEAD <= CELL_BODY_T;
    if fits_small { SizeClass::T } else { SizeClass::B }
}

pub(super) fn hold_class(hold: Hold) -> HoldClass {
    match hold {
        Hold::Live => HoldClass::Live,
        Hold::Hour => HoldClass::Hour,
        Hold::Day => HoldClass::Day,
        Hold::ThreeDays => HoldClass::ThreeDays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_sdk::Body;

    fn request(prefix: Option<&str>, luminosity: Option<u16>) -> SendRequest {
        let to = format!("mfp:{}@0110", "85".repeat(32));
        SendRequest { prefix: prefix.map(str::to_owned), luminosity, ..SendRequest::to(to, Body::text("x")) }
    }

    #[test]
    fn a_region_can_be_darkened_and_never_brightened() {
        let region = |request| destination(&request).map(|(_, region)| region.to_string());
        assert_eq!(region(request(None, None)).unwrap(), "0110");
        assert_eq!(region(request(None, Some(2))).unwrap(), "01");
        assert_eq!(region(request(Some("*"), None)).unwrap(), "*");
        assert!(region(request(None, Some(5))).is_err());
        assert!(region(request(Some("012"), None)).is_err());
    }

    #[test]
    fn a_topic_must_say_where_and_nothing_goes_to_a_bare_prefix() {
        let topic = SendRequest::to(format!("mft:{}", "5a".repeat(32)), Body::text("x"));
        assert!(destination(&topic).is_err());
        assert!(destination(&SendRequest { prefix: Some("01".into()), ..topic }).is_ok());
        assert!(destination(&SendRequest { to: "01".into(), ..request(None, None) }).is_err());
    }
}
