//! What can go wrong, as a program and as a person reads it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The stable names of errors. A name never changes its meaning; new names may come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request does not parse, or a value in it means nothing (400).
    BadRequest,
    /// No token, or one the node does not know (401).
    Unauthenticated,
    /// The token is known but lacks the scope (403).
    Forbidden,
    /// The request did not come as a local program's would: its Host or Origin names another place (403).
    WrongHost,
    /// There is no such person, contact, session, topic, token or route (404).
    NotFound,
    /// The route exists, the method does not (405).
    MethodNotAllowed,
    /// It exists already (409).
    Conflict,
    /// What a session's members agreed on does not allow it (409).
    AgainstTerms,
    /// The card or invitation has expired (410).
    Expired,
    /// The request's body is longer than the route allows (413).
    TooLarge,
    /// Queues are full, or the node is starting: nothing was kept, try again in a moment (503).
    Busy,
    /// The node has no neighbours yet (503).
    NotConnected,
    /// No neighbour is closer to the destination (503).
    NoProgress,
    /// It took too long (504).
    TimedOut,
    /// The packet would reach more nodes than its budget allows (422).
    OverBudget,
    /// The body does not fit one packet (422).
    TooLong,
    /// The node keeps as many people's or topics' keys as it can scan for (422).
    TooManyKeys,
    /// There are as many contacts or invitations as can be kept (422).
    TooManyContacts,
    /// The node listens to as many regions as it can (422).
    TooManyRegions,
    /// The store could not keep what would have to be kept; the node stops (503).
    StoreFailed,
    /// The node is shutting down (503).
    Stopping,
    /// A mistake of the node itself; its log says more (500).
    Internal,
    /// A code this version of the client does not know.
    #[serde(other)]
    Unknown,
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = serde_json::to_value(self).ok();
        f.write_str(text.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown"))
    }
}

/// The body of every answer that is not a success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{what}: {why}. {next}")]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// What did not happen.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to do about it.
    pub next: String,
}

/// What a call of the client can meet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node answered, and refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No node runs on that data directory, or it left no trace of where.
    #[error("{what}: {why}. {next}")]
    NotRunning {
        /// What was tried.
        what: String,
        /// What was found instead.
        why: String,
        /// What to do about it.
        next: String,
    },
    /// The connection could not be made, broke, or took too long.
    #[error("cannot reach the node at {url}: {why}. Check that it is running and that the address is right")]
    Transport {
        /// Where it was looked for.
        url: String,
        /// What the transport said.
        why: String,
    },
    /// Something answered that does not speak this API.
    #[error("the answer of {url} is not one of this API: {why}. Is it a Mainframe node of this version?")]
    Protocol {
        /// Who answered.
        url: String,
        /// What was wrong with the answer.
        why: String,
    },
}

impl Error {
    /// The node's error code, if the node answered.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Api(error) => Some(error.code),
            Error::NotRunning { .. } | Error::Transport { .. } | Error::Protocol { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_later_version_reads_as_unknown() {
        assert_eq!(serde_json::from_str::<ErrorCode>("\"on_holiday\"").unwrap(), ErrorCode::Unknown);
        assert_eq!(ErrorCode::NotConnected.to_string(), "not_connected");
    }
}
