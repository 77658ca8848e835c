//! Reading requests, with our own words for what is wrong with them.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use mainframe_base::Luminosity;
use mainframe_sdk::ErrorCode;
use serde::de::DeserializeOwned;

use super::Failure;

/// A JSON body.
pub(super) struct Payload<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Payload<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read: Result<Json<T>, JsonRejection> = Json::from_request(request, state).await;
        read.map(|Json(value)| Payload(value)).map_err(|rejection| {
            if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                let next = "Send less at once.";
                return Failure::new(ErrorCode::TooLarge, "the request was refused", "its body is too long", next);
            }
            Failure::bad_request("the request cannot be read", rejection.body_text())
        })
    }
}

/// What follows the `?`.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        read.map(|Query(value)| Parameters(value))
            .map_err(|rejection| Failure::bad_request("the request cannot be read", rejection.body_text()))
    }
}

/// A number of bits that is a luminosity.
pub(super) fn luminosity(bits: u16) -> Result<Luminosity, Failure> {
    let why = "a luminosity is 0 to 254 bits, or 256";
    Luminosity::new(bits).ok_or_else(|| Failure::bad_request("cannot use the luminosity", why))
}
