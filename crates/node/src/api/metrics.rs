//! Pages for operators: alive, ready, and numbers in Prometheus' text form. Nothing here tells of any one message.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use mainframe_base::Role;
use mainframe_core::switchboard::HoldStatus;
use mainframe_sdk::{ApiError, ErrorCode, Scope};

use super::{Api, Failure, views};
use crate::tokens::Caller;

/// 200 while the process answers. Asks for no token.
#[utoipa::path(get, path = "/livez", responses((status = 200, body = String)))]
pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// 200 once the node has joined its network, or is the first of it: it knows nobody and was told of nobody. Asks for
/// no token.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = String), (status = 503, body = ApiError)))]
pub(super) async fn readyz(State(api): State<Arc<Api>>) -> Result<&'static str, Failure> {
    let status = api.relay_status().await?;
    if status.joined || (api.config.bootstrap.is_empty() && status.known == 0) {
        return Ok("ready\n");
    }
    let next = "Wait a little; if it stays so, check --bootstrap and the firewall.";
    Err(Failure::new(ErrorCode::NotConnected, "the node is not ready", "it has not joined the network yet", next))
}

/// Numbers in Prometheus' text form.
#[utoipa::path(get, path = "/metrics", security(("token" = ["metrics"])),
    responses((status = 200, body = String), (status = "default", body = ApiError)))]
pub(super) async fn metrics(State(api): State<Arc<Api>>, caller: Caller) -> Result<impl IntoResponse, Failure> {
    caller.needs(Scope::Metrics)?;
    let relay = api.relay_status().await?;
    let endpoint = api.endpoint_status().await?;
    let queued = api.link.queued_bytes();
    let mut page = Page::default();
    page.gauge("mainframe_uptime_seconds", "Time since the start.", api.started.elapsed().as_secs());
    page.gauge("mainframe_joined", "Whether the node has joined its network.", u64::from(relay.joined));
    page.gauge("mainframe_guest", "Whether the node takes part as a guest.", u64::from(relay.role == Role::Guest));
    page.gauge("mainframe_peers", "Connected peers.", relay.peers as u64);
    page.gauge("mainframe_neighbourhood_peers", "Connected relays of the neighbourhood.", relay.neighbourhood as u64);
    page.gauge("mainframe_known_relays", "Relays known, connected or not.", relay.known as u64);
    page.gauge("mainframe_depth_bits", "Where the neighbourhood begins.", u64::from(relay.depth));
    page.gauge("mainframe_pending_bytes", "Cells waiting for custody.", relay.pending_bytes as u64);
    page.gauge("mainframe_link_queued_bytes", "Bytes waiting to be written.", queued.bytes as u64);
    holding(&mut page, &relay.hold, api.refusal.borrow().is_some() || relay.hold.refusing);
    page.gauge("mainframe_endpoint_persons", "People scanned for.", endpoint.persons);
    page.gauge("mainframe_endpoint_topics", "Topics read.", endpoint.topics);
    page.gauge("mainframe_endpoint_sessions", "Sessions of all people.", endpoint.sessions);
    page.gauge("mainframe_endpoint_unsent_cells", "Cells of sessions that wait to be sent.", endpoint.unsent);
    page.gauge("mainframe_endpoint_waiting_cells", "Cells waiting to be looked at.", endpoint.waiting);
    page.counter("mainframe_endpoint_scanned_total", "Cells looked at.", endpoint.scanned);
    page.counter("mainframe_endpoint_overflowed_total", "Cells that made room for newer ones.", endpoint.overflowed);
    let counters = relay.counters.iter().map(|(name, count)| ((*name).to_owned(), *count));
    page.labelled("mainframe_relay_total", "What the relay half did.", "event", counters);
    let faults = relay.faults.iter().map(|(fault, count)| (views::fault_name(*fault), *count));
    page.labelled("mainframe_faults_total", "Faults of peers.", "fault", faults);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0))
}

/// What is held for those who are away.
fn holding(page: &mut Page, hold: &HoldStatus, refusing: bool) {
    page.gauge("mainframe_held_cells", "Cells held for others.", hold.cells as u64);
    page.gauge("mainframe_held_bytes", "Their bytes.", hold.bytes);
    page.gauge("mainframe_held_bytes_max", "The quota of held cells.", hold.bytes_max);
    page.gauge("mainframe_hold_refusing", "Whether new cells are not held; status says why.", u64::from(refusing));
    page.gauge("mainframe_hold_subscribers", "Peers that hear of new cells.", hold.subscribers as u64);
    page.gauge("mainframe_attended_regions", "Regions listened to.", hold.attending.len() as u64);
    page.gauge("mainframe_attended_missing_cells", "Cells told of that have not come yet.", hold.missing as u64);
}

/// The text as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(format_args!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(format_args!("{name} {value}"));
    }

    fn labelled(&mut self, name: &str, help: &str, label: &str, values: impl Iterator<Item = (String, u64)>) {
        self.head(name, help, "counter");
        for (value, count) in values {
            self.line(format_args!("{name}{{{label}=\"{value}\"}} {count}"));
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{text}").expect("a text takes what is written to it");
    }
}
