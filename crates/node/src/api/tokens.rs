//! Tokens over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainframe_sdk::{ApiError, CreateToken, CreatedToken, Scope, Tokens};

use super::payload::Payload;
use super::{Api, Failure};
use crate::tokens::Caller;

/// Every token, without secrets.
#[utoipa::path(get, path = "/api/v1/tokens", security(("token" = ["admin"])),
    responses((status = 200, body = Tokens), (status = "default", body = ApiError)))]
pub(super) async fn tokens(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Tokens>, Failure> {
    caller.needs(Scope::Admin)?;
    Ok(Json(Tokens { tokens: api.tokens.list() }))
}

/// Makes a token; its secret is told only now.
#[utoipa::path(post, path = "/api/v1/tokens", request_body = CreateToken, security(("token" = ["admin"])),
    responses((status = 201, body = CreatedToken), (status = "default", body = ApiError)))]
pub(super) async fn create_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Payload(request): Payload<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Failure> {
    caller.needs(Scope::Admin)?;
    Ok((StatusCode::CREATED, Json(api.tokens.create(request.principal, request.scopes)?)))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", params(("id" = String, Path, description = "The token's name")),
    security(("token" = ["admin"])), responses((status = 204), (status = "default", body = ApiError)))]
pub(super) async fn revoke_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    caller.needs(Scope::Admin)?;
    api.tokens.revoke(&id)?;
    Ok(StatusCode::NO_CONTENT)
}
