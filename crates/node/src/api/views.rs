//! The core's values in the API's words.

use mainframe_base::{Fault, LinkKey, Role};
use mainframe_core::cost::{self, Network, Sight};
use mainframe_core::switchboard::{
    AttendanceView, EndpointStatus, Estimate, HoldStatus, Message, OpenedBy, Outcome, PeerView, Reach, RegionCount,
    RelayStatus, RoleReason, Step,
};
use mainframe_core::wire::{Hearing, SizeClass};
use mainframe_sdk as sdk;

use super::failure::code_of;
use crate::error::NodeError;
use crate::held;

pub(super) fn role(role: Role) -> sdk::Role {
    match role {
        Role::Relay => sdk::Role::Relay,
        Role::Guest => sdk::Role::Guest,
    }
}

fn reach(reach: Reach) -> sdk::Reach {
    match reach {
        Reach::Unknown => sdk::Reach::Unknown,
        Reach::Reachable => sdk::Reach::Reachable,
        Reach::Unreachable => sdk::Reach::Unreachable,
    }
}

pub(super) fn relay_status(status: RelayStatus, refusal: Option<&NodeError>) -> sdk::RelayStatus {
    sdk::RelayStatus {
        network: status.network.0,
        role: role(status.role),
        role_reason: role_reason(status.role_reason),
        overlay: status.overlay.to_string(),
        link_key: status.link_key.to_string(),
        reach: reach(status.reach),
        joined: status.joined,
        depth: status.depth,
        peers: status.peers as u64,
        neighbourhood: status.neighbourhood as u64,
        known: status.known as u64,
        estimate: status.estimate.map(estimate),
        pending_bytes: status.pending_bytes as u64,
        pending_bytes_max: status.pending_bytes_max as u64,
        hold: hold_status(status.hold, refusal),
        counters: status.counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        faults: status.faults.into_iter().map(|(fault, count)| (fault_name(fault), count)).collect(),
    }
}

fn role_reason(reason: RoleReason) -> sdk::RoleReason {
    match reason {
        RoleReason::Configured => sdk::RoleReason::Configured,
        RoleReason::NotTested => sdk::RoleReason::NotTested,
        RoleReason::NobodyCouldDial => sdk::RoleReason::NobodyCouldDial,
        RoleReason::DialledBack => sdk::RoleReason::DialledBack,
    }
}

/// `refusal` is what the disk said last, if it refused. Without it cells are not held when too many wait for it.
fn hold_status(status: HoldStatus, refusal: Option<&NodeError>) -> sdk::HoldStatus {
    let refusing = refusal.map(|error| sdk::HoldRefusal {
        what: error.what().to_owned(),
        why: error.why().to_owned(),
        next: error.next().to_owned(),
    });
    sdk::HoldStatus {
        cells: status.cells as u64,
        bytes: status.bytes,
        bytes_max: status.bytes_max,
        refusing: refusing.or_else(|| status.refusing.then(busy)),
        subscribers: status.subscribers as u64,
        missing: status.missing as u64,
        attending: status.attending.into_iter().map(attendance).collect(),
    }
}

fn busy() -> sdk::HoldRefusal {
    sdk::HoldRefusal {
        what: "the last cells were not kept".to_owned(),
        why: held::Busy.to_string(),
        next: "It passes by itself; if it stays so, use a faster disk.".to_owned(),
    }
}

pub(super) fn attendance(view: AttendanceView) -> sdk::Attendance {
    let source = |(key, hearing): (LinkKey, Hearing)| sdk::AttendanceSource {
        link_key: key.to_string(),
        hearing: match hearing {
            Hearing::Not => sdk::Hearing::Not,
            Hearing::Digests => sdk::Hearing::Digests,
            Hearing::Cells => sdk::Hearing::Cells,
        },
    };
    sdk::Attendance {
        region: view.region.to_string(),
        bucket_bits: view.bucket.bits(),
        complete_until_ms: view.complete_until.0,
        sources: view.sources.into_iter().map(source).collect(),
    }
}

pub(super) fn endpoint_status(status: EndpointStatus, overflowed: u64) -> sdk::EndpointStatus {
    sdk::EndpointStatus {
        persons: status.persons as u64,
        topics: status.topics as u64,
        scanned: status.scanned,
        opened: status.opened,
        sessions: status.sessions as u64,
        unsent: status.unsent as u64,
        waiting: status.waiting as u64,
        recent_bytes: status.recent_bytes as u64,
        overflowed,
    }
}

pub(super) fn estimate(estimate: Estimate) -> sdk::SizeEstimate {
    sdk::SizeEstimate { nodes: estimate.nodes, lookups: estimate.lookups, at_ms: estimate.at.0, region: None }
}

/// The estimate, and what the region that was counted gives if so many relays misbehave.
pub(super) fn estimate_of_region(made: Estimate, droppers_per_mille: u64) -> sdk::SizeEstimate {
    let network = Network { relays: made.nodes, droppers_per_mille };
    let region = made.region.map(|count| region(&network, made.records, &count));
    sdk::SizeEstimate { region, ..estimate(made) }
}

fn region(network: &Network, records: u32, count: &RegionCount) -> sdk::RegionEstimate {
    let RegionCount { region, counted, milli_expected } = *count;
    let sight = Sight { counted, milli_expected, records };
    let outlook = cost::outlook(network, region.luminosity(), &sight, SizeClass::T);
    sdk::RegionEstimate {
        region: region.to_string(),
        luminosity: region.luminosity().bits(),
        counted,
        relays: outlook.quote.region_relays,
        set_p01: outlook.candidates.p01,
        set_median: outlook.candidates.median,
        transmissions: outlook.quote.milli_transmissions.div_ceil(1_000),
        bytes: outlook.quote.bytes,
        latency_ms_p50: outlook.latency.p50_ms,
        latency_ms_p99: outlook.latency.p99_ms,
    }
}

pub(super) fn peer(peer: PeerView) -> sdk::Peer {
    sdk::Peer {
        link_key: peer.key.to_string(),
        overlay: peer.overlay.to_string(),
        role: role(peer.role),
        proximity: peer.proximity,
        outbound: peer.outbound,
        since_ms: peer.since.0,
        custody_ms: peer.custody_ms,
        faults: peer.faults,
    }
}

/// A fault by its name in words joined by `_`: `WrongReserve` is `wrong_reserve`.
pub(super) fn fault_name(fault: Fault) -> String {
    format!("{fault:?}").chars().fold(String::new(), |mut name, letter| {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        name
    })
}

pub(super) fn message(message: Message, name: Option<String>) -> sdk::Message {
    sdk::Message {
        sequence: message.sequence,
        id: message.id.to_string(),
        reader: match message.opened_by {
            OpenedBy::Person(key) => sdk::Reader::Person { key: key.to_string(), name },
            OpenedBy::Topic(fingerprint) => sdk::Reader::Topic { fingerprint: hex::encode(fingerprint), name },
        },
        at_ms: message.at.0,
        body: sdk::Body::from_bytes(message.body),
    }
}

pub(super) fn outcome(outcome: Outcome) -> sdk::PacketOutcome {
    match outcome {
        Outcome::HandedOver => sdk::PacketOutcome::HandedOver,
        Outcome::Failed(refusal) => sdk::PacketOutcome::Failed(code_of(refusal)),
    }
}

pub(super) fn step(step: Step) -> sdk::TraceStep {
    match step {
        Step::Originated => sdk::TraceStep::Originated,
        Step::Routed => sdk::TraceStep::Routed,
        Step::RoutedStandby => sdk::TraceStep::RoutedStandby,
        Step::Delegated(luminosity) => sdk::TraceStep::Delegated(luminosity.bits()),
        Step::Neighbourhood => sdk::TraceStep::Neighbourhood,
        Step::Pulled => sdk::TraceStep::Pulled,
        Step::Arrived => sdk::TraceStep::Arrived,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_the_disk_said_is_told_and_else_that_it_is_busy() {
        let why = |refusing, refusal: Option<&NodeError>| {
            hold_status(HoldStatus { refusing, ..HoldStatus::default() }, refusal).refusing.map(|told| told.why)
        };
        let full = NodeError::new(ErrorKind::StoreFailed, "cannot keep cells", "No space left", "Make room.");
        assert_eq!(why(false, None), None);
        assert_eq!(why(true, Some(&full)).as_deref(), Some("No space left"));
        assert_eq!(why(false, Some(&full)).as_deref(), Some("No space left"), "before any cell came");
        assert!(why(true, None).unwrap().contains("the disk is busy"));
    }
}
