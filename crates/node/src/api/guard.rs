//! Who is let in: local programs only, with a token, and never too many at once.
//!
//! A web page can make a browser send requests to loopback, and by DNS rebinding even read the answers; such requests
//! carry a foreign Host or Origin, and are refused before anything else is looked at.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mainframe_sdk::{ErrorCode, Scope};

use super::{Api, Failure};
use crate::tokens::Caller;

/// Requests under way; more are told to come back (guess: sixteen programs with sixteen each).
pub(super) const REQUESTS_MAX: usize = 256;
/// Longer than the slowest route, an estimate over 64 look-ups (guess).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Refuses what does not come from a program on this machine.
pub(super) async fn only_local(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if let Err(failure) = check_place(request.headers(), request.uri(), api.address) {
        return failure.into_response();
    }
    next.run(request).await
}

/// Bounds how many requests are under way and how long each takes.
pub(super) async fn within_bounds(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = api.requests.try_acquire() else {
        return Failure::refused("the request was not handled", mainframe_base::Refusal::Busy).into_response();
    };
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        Failure::refused("the request was given up", mainframe_base::Refusal::TimedOut).into_response()
    })
}

fn check_place(headers: &HeaderMap, uri: &Uri, address: SocketAddr) -> Result<(), Failure> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|a| a.as_str()));
    if !host.is_some_and(|host| is_ours(host, address)) {
        return Err(foreign("Host"));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let place = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    if place.is_some_and(|place| is_ours(place, address)) { Ok(()) } else { Err(foreign("Origin")) }
}

/// Whether `host:port` names this listener: by a loopback address, or as `localhost`.
fn is_ours(place: &str, address: SocketAddr) -> bool {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (place, Some(80)),
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_loopback = literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    port == Some(address.port()) && (is_loopback || host.eq_ignore_ascii_case("localhost"))
}

fn foreign(header: &str) -> Failure {
    let why = format!("its {header} header names another place than this node");
    Failure::new(ErrorCode::WrongHost, "the request was refused", why, "Use the address in endpoint.json.")
}

impl Caller {
    /// Refuses a caller without the scope.
    pub(super) fn needs(&self, scope: Scope) -> Result<(), Failure> {
        if self.may(scope) {
            return Ok(());
        }
        let why = format!("the token lacks the scope {}", format!("{scope:?}").to_lowercase());
        Err(Failure::new(
            ErrorCode::Forbidden,
            "the request was refused",
            why,
            "Ask the administrator for a token that has it.",
        ))
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Caller, Failure> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        token.and_then(|token| api.tokens.caller(token)).ok_or_else(|| {
            let why = if token.is_none() { "it carries no bearer token" } else { "this node does not know the token" };
            let next = "Send `Authorization: Bearer TOKEN`; endpoint.json holds the administrator's.";
            Failure::new(ErrorCode::Unauthenticated, "the request was refused", why, next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_with_our_port_are_ours() {
        let address = "127.0.0.1:7400".parse().unwrap();
        for ours in ["127.0.0.1:7400", "localhost:7400", "LOCALHOST:7400", "[::1]:7400", "127.77.0.3:7400"] {
            assert!(is_ours(ours, address), "{ours}");
        }
        for foreign in [
            "evil.example:7400",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost.evil.example:7400",
            "192.0.2.1:7400",
            "127.0.0.1:7400@evil.example",
            "",
            ":7400",
            "[::1]",
            "0.0.0.0:7400",
        ] {
            assert!(!is_ours(foreign, address), "{foreign}");
        }
    }
}
