//! Opened messages over the API, each principal's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainframe_core::switchboard::{EndpointCommand, EndpointReply, Message};
use mainframe_sdk::{ApiError, Inbox, Scope};
use serde::Deserialize;

use super::node::unexpected;
use super::payload::Parameters;
use super::{Api, Failure, views};
use crate::tokens::Caller;

/// Messages of one answer: 1,000 small ones are 2 MiB.
const LIMIT_MAX: usize = 1_000;
/// Messages read from the store at once.
const PAGE: usize = 100;
/// Pages read for one answer, so that a principal without mail cannot make the node read all of the others'.
const PAGES_MAX: usize = 20;

/// What follows `inbox?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct InboxQuery {
    /// Messages with a greater sequence number; without it, all that are kept.
    #[serde(default)]
    after: u64,
    /// At most so many, 1 to 1000; without it, 100.
    limit: Option<usize>,
}

/// Opened messages, oldest first. Go on with `next_after` until `end` is true.
#[utoipa::path(get, path = "/api/v1/inbox", params(InboxQuery), security(("token" = ["read"])),
    responses((status = 200, body = Inbox), (status = "default", body = ApiError)))]
pub(super) async fn inbox(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Parameters(query): Parameters<InboxQuery>,
) -> Result<Json<Inbox>, Failure> {
    caller.needs(Scope::Read)?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Failure::bad_request("cannot use the limit", format!("it must be 1 to {LIMIT_MAX}")));
    }
    Ok(Json(read(&api, &caller, query.after, limit).await?))
}

/// The caller's messages after a sequence number, as many as a few pages give.
pub(super) async fn read(api: &Api, caller: &Caller, after: u64, limit: usize) -> Result<Inbox, Failure> {
    let mut inbox = Inbox { messages: Vec::new(), next_after: after, end: false };
    for _ in 0..PAGES_MAX {
        let page = PAGE.min(limit - inbox.messages.len());
        let messages = page_after(api, inbox.next_after, page).await?;
        inbox.end = messages.len() < page;
        inbox.next_after = messages.last().map_or(inbox.next_after, |message| message.sequence);
        inbox.messages.extend(messages.into_iter().filter_map(|message| visible(api, caller, message)));
        if inbox.end || inbox.messages.len() >= limit {
            break;
        }
    }
    Ok(inbox)
}

/// The message as the caller may see it; nothing if it is not his.
pub(super) fn visible(api: &Api, caller: &Caller, message: Message) -> Option<mainframe_sdk::Message> {
    let name = api.people.name_of(&message.opened_by, caller.sees());
    (name.is_some() || caller.is_admin()).then(|| views::message(message, name))
}

async fn page_after(api: &Api, after: u64, limit: usize) -> Result<Vec<Message>, Failure> {
    let reply = api.ask_endpoint(EndpointCommand::Inbox { after, limit }).await?;
    let EndpointReply::Inbox(messages) = reply else { return Err(unexpected(&reply)) };
    Ok(messages)
}
