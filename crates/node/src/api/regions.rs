//! Regions the node listens to, over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_base::{Luminosity, Prefix, Tag, Time};
use mainframe_core::cost;
use mainframe_core::switchboard::{RelayCommand, RelayReply, RelayStatus};
use mainframe_core::wire::TagBucket;
use mainframe_sdk::{ApiError, AttendRequest, Attended, ErrorCode, Regions, Scope};

use super::node::unexpected;
use super::payload::Payload;
use super::{Api, Failure, views};
use crate::tokens::Caller;

const NOT_ATTENDED: &str = "the region is not listened to";

/// The regions the node listens to.
#[utoipa::path(get, path = "/api/v1/regions", security(("token" = ["admin"])),
    responses((status = 200, body = Regions), (status = "default", body = ApiError)))]
pub(super) async fn regions(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Regions>, Failure> {
    caller.needs(Scope::Admin)?;
    let attending = api.relay_status().await?.hold.attending;
    Ok(Json(Regions { regions: attending.into_iter().map(views::attendance).collect() }))
}

/// Listens to a region: gets what is held of what was sent to it, and what comes from now on.
#[utoipa::path(post, path = "/api/v1/regions", request_body = AttendRequest, security(("token" = ["admin"])),
    responses((status = 201, body = Attended), (status = "default", body = ApiError)))]
pub(super) async fn attend(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<AttendRequest>,
) -> Result<(StatusCode, Json<Attended>), Failure> {
    caller.needs(Scope::Admin)?;
    let region: Prefix = request.region.parse().map_err(|error| Failure::bad_request(NOT_ATTENDED, error))?;
    let status = api.relay_status().await?;
    let cells_per_hour = status.hold.cells_per_hour as u64;
    let bucket = bucket(&request, cells_per_hour)?;
    refuse_another_bucket(&status, &region, bucket)?;
    let since = request.since_ms.map_or_else(|| api.clock.now(), Time);
    let reply = api.ask_relay(RelayCommand::Attend { region, bucket, since }).await?;
    if reply != RelayReply::Done {
        return Err(unexpected(&reply));
    }
    let candidates = cost::bucket_candidates(cells_per_hour, bucket.bits());
    let attended = Attended { region: region.to_string(), bucket_bits: bucket.bits(), cells_per_hour, candidates };
    Ok((StatusCode::CREATED, Json(attended)))
}

/// Listens to a region no more.
#[utoipa::path(delete, path = "/api/v1/regions/{region}",
    params(("region" = String, Path, description = "The region, `/` written as `%2F`")),
    security(("token" = ["admin"])), responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn leave(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(region): Path<String>,
) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Admin)?;
    let what = "nothing was left";
    let region: Prefix = region.parse().map_err(|error| Failure::bad_request(what, error))?;
    let status = api.relay_status().await?;
    if region == Prefix::of(&status.overlay, Luminosity::FULL) {
        let (why, next) = ("it is the node's own address", "Leave another; GET /api/v1/regions lists them.");
        return Err(Failure::new(ErrorCode::Conflict, what, why, next));
    }
    if !status.hold.attending.iter().any(|attendance| attendance.region == region) {
        return Err(Failure::not_found("the node does not listen to that region"));
    }
    let reply = api.ask_relay(RelayCommand::Unattend(region)).await?;
    if reply == RelayReply::Done { Ok(StatusCode::NO_CONTENT) } else { Err(unexpected(&reply)) }
}

/// A relay that is asked about two buckets of one region learns that there are two.
fn refuse_another_bucket(status: &RelayStatus, region: &Prefix, bucket: TagBucket) -> Result<(), Failure> {
    let attended = status.hold.attending.iter().find(|attendance| attendance.region == *region);
    match attended.filter(|attendance| attendance.bucket != bucket) {
        Some(other) => {
            let why = format!("it is listened to already, by a bucket of {} bits", other.bucket.bits());
            Err(Failure::new(ErrorCode::Conflict, "the bucket was not changed", why, "Leave the region first."))
        }
        None => Ok(()),
    }
}

/// The bucket that is told to the relays asked: of the width given, or the narrowest that leaves enough candidates.
fn bucket(request: &AttendRequest, cells_per_hour: u64) -> Result<TagBucket, Failure> {
    let wrong = |why: String| Failure::bad_request(NOT_ATTENDED, why);
    let bits = match (request.bucket_bits, request.candidates_min) {
        (Some(_), Some(_)) => return Err(wrong("give bucket_bits or candidates_min, not both".to_owned())),
        (Some(bits), None) if bits > TagBucket::BITS_MAX => {
            return Err(wrong(format!("a bucket has at most {} bits", TagBucket::BITS_MAX)));
        }
        (Some(bits), None) => bits,
        (None, Some(candidates)) if request.tag.is_some() => narrowest(cells_per_hour, candidates)?,
        (None, Some(_) | None) => 0,
    };
    match &request.tag {
        Some(tag) => Ok(TagBucket::of(&parse_tag(tag)?, bits)),
        None if bits == 0 && request.candidates_min.is_none() => Ok(TagBucket::ALL),
        None => Err(wrong("a bucket needs a tag: without one all cells are fetched, which are 0 bits".to_owned())),
    }
}

fn narrowest(cells_per_hour: u64, candidates: u64) -> Result<u8, Failure> {
    cost::bucket_bits(cells_per_hour, candidates).ok_or_else(|| {
        let why = format!("an hour is believed to have {cells_per_hour} cells, fewer than the {candidates} wished for");
        let next = "Ask for fewer candidates, or for all cells (bucket_bits 0), among which there is no better place.";
        Failure::new(ErrorCode::BadRequest, NOT_ATTENDED, why, next)
    })
}

/// A tag, or its beginning: a bucket needs no more than the first two bytes.
fn parse_tag(text: &str) -> Result<Tag, Failure> {
    let wrong = |why: String| Failure::bad_request(NOT_ATTENDED, why);
    let bytes = hex::decode(text).map_err(|error| wrong(format!("the tag is no hex: {error}")))?;
    let mut tag = Tag([0; 16]);
    if !(2..=tag.0.len()).contains(&bytes.len()) {
        return Err(wrong("a tag is written with 4 to 32 hex digits".to_owned()));
    }
    tag.0[..bytes.len()].copy_from_slice(&bytes);
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tag: Option<&str>, bits: Option<u8>, candidates: Option<u64>) -> Result<u8, String> {
        let request = AttendRequest {
            tag: tag.map(str::to_owned),
            bucket_bits: bits,
            candidates_min: candidates,
            ..AttendRequest::to("01")
        };
        bucket(&request, 1_000).map(|bucket| bucket.bits()).map_err(|failure| failure.0.to_string())
    }

    #[test]
    fn a_bucket_is_as_wide_as_asked_for_or_as_candidates_demand() {
        assert_eq!(asked(None, None, None), Ok(0));
        assert_eq!(asked(Some("abcd"), None, None), Ok(0));
        assert_eq!(asked(Some("abcd"), Some(3), None), Ok(3));
        assert_eq!(asked(Some("abcd"), None, Some(16)), Ok(5));
        assert!(asked(Some("abcd"), None, Some(1_001)).unwrap_err().contains("fewer than the 1001"));
    }

    #[test]
    fn a_bucket_without_a_tag_is_refused_and_says_what_is_possible() {
        for (bits, candidates) in [(Some(1), None), (None, Some(16))] {
            assert!(asked(None, bits, candidates).unwrap_err().contains("needs a tag"));
        }
        for (tag, bits, candidates) in [("abc", 1, None), ("ab", 1, None), ("abcd", 17, None), ("abcd", 1, Some(3))] {
            assert!(asked(Some(tag), Some(bits), candidates).is_err(), "{tag} {bits}");
        }
    }
}
