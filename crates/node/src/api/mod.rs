//! The local API: REST under `/api/v1` with its OpenAPI description, an event stream, and pages for operators.
//!
//! Each route is declared once, with its documentation; router and description are made from the same list.

mod cards;
mod contacts;
mod devices;
mod events;
mod failure;
mod guard;
mod inbox;
mod metrics;
mod node;
mod payload;
mod people;
mod persona;
mod regions;
mod sending;
mod session_views;
mod sessions;
mod talking;
mod tokens;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use mainframe_sdk::ErrorCode;
use tokio::sync::{Semaphore, watch};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::Clock;
use crate::config::Config;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::mailbox::Mailbox;
use crate::people::People;
use crate::tokens::TokenBook;

pub(crate) use failure::Failure;

/// Bytes of a request, but for batches: the largest cell in base64, with room.
const REQUEST_LENGTH_MAX: usize = 64 << 10;
/// Bytes of a batch: 256 of the largest cells in base64.
const BATCH_LENGTH_MAX: usize = 6 << 20;
/// Bytes of what is said in a session: the longest message in JSON escapes, six for one, with room.
const SAY_LENGTH_MAX: usize = 640 << 10;
/// Bytes of a request that restores an account: the longest file in JSON escapes, and a passphrase.
const RESTORE_LENGTH_MAX: usize = crate::account_file::FILE_LENGTH_MAX;
/// How long a half of the core may take to answer (guess: a hundred ticks).
const PATIENCE: Duration = Duration::from_secs(10);

/// What every route can reach.
pub(crate) struct Api {
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<Clock>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) people: People,
    pub(crate) tokens: TokenBook,
    pub(crate) link: mainframe_link::Link,
    /// Why cells are not held, if they are not.
    pub(crate) refusal: watch::Receiver<Option<NodeError>>,
    pub(crate) started: Instant,
    /// Turns true when the node stops: long answers end.
    pub(crate) stopping: watch::Sender<bool>,
    /// Turns true when someone asks the node to stop.
    pub(crate) stop_asked: watch::Sender<bool>,
    pub(crate) requests: Semaphore,
    pub(crate) listeners: Arc<Semaphore>,
}

impl Api {
    /// As many requests at once as the guard allows.
    pub(crate) fn request_permits() -> Semaphore {
        Semaphore::new(guard::REQUESTS_MAX)
    }

    /// As many event streams at once as there may be.
    pub(crate) fn listener_permits() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(events::LISTENERS_MAX))
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Mainframe node",
        description = "The local API of a node. Errors carry a stable code and say what, why and what next.",
    ),
    components(schemas(mainframe_sdk::ApiError, mainframe_sdk::Event))
)]
struct Description;

fn documented() -> OpenApiRouter<Arc<Api>> {
    let batch =
        OpenApiRouter::new().routes(routes!(sending::send_batch)).layer(DefaultBodyLimit::max(BATCH_LENGTH_MAX));
    let talking = OpenApiRouter::new()
        .routes(routes!(talking::messages, talking::say))
        .layer(DefaultBodyLimit::max(SAY_LENGTH_MAX));
    let restoring =
        OpenApiRouter::new().routes(routes!(devices::restore)).layer(DefaultBodyLimit::max(RESTORE_LENGTH_MAX));
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(node::status))
        .routes(routes!(node::peers, node::connect))
        .routes(routes!(regions::regions, regions::attend))
        .routes(routes!(regions::leave))
        .routes(routes!(node::estimate))
        .routes(routes!(node::quote))
        .routes(routes!(node::config))
        .routes(routes!(node::shutdown))
        .routes(routes!(people::persons, people::add_person))
        .routes(routes!(people::remove_person))
        .routes(routes!(cards::card))
        .routes(routes!(cards::invitations, cards::invite))
        .routes(routes!(cards::withdraw))
        .routes(routes!(contacts::contacts, contacts::add))
        .routes(routes!(contacts::remove))
        .routes(routes!(contacts::accept))
        .routes(routes!(contacts::decline))
        .routes(routes!(contacts::block))
        .routes(routes!(contacts::unblock))
        .routes(routes!(contacts::safety))
        .routes(routes!(sessions::sessions, sessions::create))
        .routes(routes!(sessions::one, sessions::change))
        .routes(routes!(sessions::add_member))
        .routes(routes!(sessions::remove_member))
        .routes(routes!(sessions::leave))
        .routes(routes!(sessions::renew))
        .routes(routes!(talking::message, talking::take_back))
        .routes(routes!(talking::mark_read))
        .routes(routes!(devices::links, devices::start_link))
        .routes(routes!(devices::stop_link))
        .routes(routes!(devices::devices, devices::add))
        .routes(routes!(devices::revoke))
        .routes(routes!(devices::export))
        .routes(routes!(people::topics, people::add_topic))
        .routes(routes!(people::remove_topic))
        .routes(routes!(sending::send))
        .routes(routes!(inbox::inbox))
        .routes(routes!(events::events))
        .routes(routes!(tokens::tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(metrics::livez))
        .routes(routes!(metrics::readyz))
        .routes(routes!(metrics::metrics))
        .layer(DefaultBodyLimit::max(REQUEST_LENGTH_MAX))
        .merge(batch)
        .merge(talking)
        .merge(restoring)
}

/// The description of every route, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = documented().into_openapi();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("See endpoint.json")).build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    description
}

/// Every route, behind the guard.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        // Made when asked for: it is rarely read, and takes a few hundred kilobytes.
        .route("/api/v1/openapi.json", get(async || Json(openapi())))
        .fallback(async || Failure::not_found("there is no such route"))
        .method_not_allowed_fallback(async || {
            let next = "Look the route up in /api/v1/openapi.json.";
            Failure::new(ErrorCode::MethodNotAllowed, "the request was refused", "the route has no such method", next)
        })
        .layer(from_fn_with_state(api.clone(), guard::within_bounds))
        .layer(from_fn_with_state(api.clone(), guard::only_local))
        .with_state(api)
}
