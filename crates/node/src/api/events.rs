//! The event stream: server-sent events, resumable by the last message's sequence number.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::Stream;
use mainframe_core::switchboard::{Message, RelayEvent, TraceEvent};
use mainframe_sdk::{ApiError, Event, Scope};
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::payload::Parameters;
use super::{Api, Failure, inbox, session_views, views};
use crate::desk::News;
use crate::tokens::Caller;

/// Streams at once (guess: every program of a desktop, several times).
pub(super) const LISTENERS_MAX: usize = 64;
/// A sign of life for proxies and for listeners who want to know whether the node is there (guess).
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Kept messages read at once.
const PAGE: usize = 100;

/// What follows `events?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// First the kept messages with a greater sequence number, then the news, none twice and none left out.
    after: Option<u64>,
}

/// Events as they happen: each `data:` line is an Event in JSON; a message's `id:` is its sequence number.
#[utoipa::path(get, path = "/api/v1/events", params(EventsQuery), security(("token" = ["read"])),
    responses((status = 200, body = Event, content_type = "text/event-stream"), (status = "default", body = ApiError)))]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Parameters(query): Parameters<EventsQuery>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    if !caller.may(Scope::Send) {
        caller.needs(Scope::Read)?;
    }
    let permit = api.listeners.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Failure::refused("no stream was opened", mainframe_base::Refusal::Busy))?;
    let listener = Listener {
        news: api.desk.listen(),
        stopping: api.stopping.subscribe(),
        seen: query.after,
        behind: query.after.is_some() && caller.may(Scope::Read),
        ready: VecDeque::new(),
        api,
        caller,
        _permit: permit,
    };
    let stream = futures::stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok(written(&event)), listener))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One open stream.
struct Listener {
    api: Arc<Api>,
    caller: Caller,
    news: Receiver<Arc<News>>,
    stopping: watch::Receiver<bool>,
    /// The last message's sequence number, if he follows messages from somewhere.
    seen: Option<u64>,
    /// Whether kept messages come before the news.
    behind: bool,
    ready: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event for this caller; nothing when the node stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            let news = tokio::select! {
                news = self.news.recv() => news,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            match news {
                Ok(news) => self.take(&news),
                Err(RecvError::Lagged(events)) => {
                    self.behind = self.seen.is_some() && self.caller.may(Scope::Read);
                    return Some(Event::Missed { events });
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads a page of kept messages.
    async fn catch_up(&mut self) -> Option<()> {
        let page = inbox::read(&self.api, &self.caller, self.seen.unwrap_or(0), PAGE).await.ok()?;
        self.seen = Some(page.next_after);
        self.behind = !page.end;
        self.ready.extend(page.messages.into_iter().map(Event::Message));
        Some(())
    }

    fn take(&mut self, news: &News) {
        let event = match news {
            News::Message(message) => self.message(message),
            News::Person(person, event) => {
                let theirs = self.caller.may(Scope::Read) && self.api.people.has(person, self.caller.sees());
                theirs.then(|| session_views::event(*person, event)).flatten()
            }
            News::Packet(id, outcome, principal) => {
                let mine = principal.as_deref() == Some(&*self.caller.principal) && self.caller.may(Scope::Send);
                let event = || Event::Packet { id: id.to_string(), outcome: views::outcome(*outcome) };
                (mine || self.caller.is_admin()).then(event)
            }
            News::Relay(event) => {
                if self.caller.is_admin() {
                    relay_event(event)
                } else {
                    None
                }
            }
        };
        self.ready.extend(event);
    }

    fn message(&mut self, message: &Message) -> Option<Event> {
        if !self.caller.may(Scope::Read) || self.seen.is_some_and(|seen| message.sequence <= seen) {
            return None;
        }
        self.seen = Some(message.sequence);
        inbox::visible(&self.api, &self.caller, message.clone()).map(Event::Message)
    }
}

fn relay_event(event: &RelayEvent) -> Option<Event> {
    match event {
        RelayEvent::PeerUp(key, overlay) => {
            Some(Event::PeerUp { link_key: key.to_string(), overlay: overlay.to_string() })
        }
        RelayEvent::PeerDown(key, overlay) => {
            Some(Event::PeerDown { link_key: key.to_string(), overlay: overlay.to_string() })
        }
        RelayEvent::Joined(depth) => Some(Event::Joined { depth: *depth }),
        RelayEvent::PeerFault(key, fault) => {
            Some(Event::PeerFault { link_key: key.to_string(), fault: views::fault_name(*fault) })
        }
        RelayEvent::Trace(TraceEvent { id, node, peer, step, at }) => Some(Event::Trace {
            id: id.to_string(),
            node: node.to_string(),
            peer: peer.map(|peer| peer.to_string()),
            step: views::step(*step),
            at_ms: at.0,
        }),
        // The desk passes outcomes on by themselves, with whose they are.
        RelayEvent::Packet(..) => None,
    }
}

fn written(event: &Event) -> sse::Event {
    let text = serde_json::to_string(event).expect("plain text and numbers always have a JSON form");
    let written = sse::Event::default().data(text);
    match event {
        Event::Message(message) => written.id(message.sequence.to_string()),
        Event::Contact(_)
        | Event::Session(_)
        | Event::Device(_)
        | Event::Packet { .. }
        | Event::Joined { .. }
        | Event::PeerUp { .. }
        | Event::PeerDown { .. }
        | Event::PeerFault { .. }
        | Event::Trace { .. }
        | Event::Missed { .. } => written,
    }
}
