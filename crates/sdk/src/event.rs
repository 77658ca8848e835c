//! News of the node as it happens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ContactEvent, DeviceEvent, ErrorCode, Message, SessionEvent};

/// What became of a packet this node sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PacketOutcome {
    /// Every next hop has custody.
    HandedOver,
    /// Nobody took it over, for this reason.
    Failed(ErrorCode),
}

/// The kinds of steps of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceStep {
    /// The node's own endpoint sent it.
    Originated,
    /// Sent towards the region.
    Routed,
    /// Sent towards the region as the second, waiting copy.
    RoutedStandby,
    /// Handed to the delegate of a sub-prefix of this many bits.
    Delegated(u16),
    /// Handed to a relay of the neighbourhood.
    Neighbourhood,
    /// Sent because the peer pulled it.
    Pulled,
    /// The node has it and lies in its region.
    Arrived,
}

/// One event of the stream (`GET events`), as JSON with a `type`.
///
/// Messages and news of contacts, sessions and devices need scope `read` and are the principal's own; outcomes need `send` and are of the principal's own
/// packets; everything about peers and traces needs `admin`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A message was opened, and is kept.
    Message(Message),
    /// Something happened with a contact of one of the principal's people.
    Contact(ContactEvent),
    /// Something happened in a session of one of the principal's people.
    Session(SessionEvent),
    /// Something happened to a device of one of the principal's people.
    Device(DeviceEvent),
    /// What became of a packet.
    Packet {
        /// Which.
        id: String,
        /// What.
        outcome: PacketOutcome,
    },
    /// The table has settled for the first time.
    Joined {
        /// Where the neighbourhood begins, in bits.
        depth: u16,
    },
    /// A peer said a valid greeting.
    PeerUp {
        /// Its name on the link.
        link_key: String,
        /// Its position.
        overlay: String,
    },
    /// A peer is gone.
    PeerDown {
        /// Its name on the link.
        link_key: String,
        /// Its position.
        overlay: String,
    },
    /// A peer broke the protocol.
    PeerFault {
        /// Its name on the link.
        link_key: String,
        /// How.
        fault: String,
    },
    /// A step of a packet; only on development networks.
    Trace {
        /// Which packet.
        id: String,
        /// The position of the node that says so.
        node: String,
        /// The peer of the step, for steps that have one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// What happened.
        step: TraceStep,
        /// When.
        at_ms: u64,
    },
    /// The listener was too slow and missed so many events. Missed messages are in the inbox and in
    /// their sessions.
    Missed {
        /// How many.
        events: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionChange;

    #[test]
    fn an_event_says_its_type_first() {
        let event = Event::Packet { id: "ab".into(), outcome: PacketOutcome::Failed(ErrorCode::TimedOut) };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(text, r#"{"type":"packet","id":"ab","outcome":{"failed":"timed_out"}}"#);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        let (person, session) = ("aa".to_owned(), "bb".to_owned());
        let event = Event::Session(SessionEvent { person, session, change: SessionChange::Stranded });
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(text, r#"{"type":"session","person":"aa","session":"bb","change":"stranded"}"#);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
