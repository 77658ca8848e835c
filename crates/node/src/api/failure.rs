//! Answers that are not a success: a status, a stable code, and a sentence for each of what, why and next.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mainframe_base::Refusal;
use mainframe_sdk::{ApiError, ErrorCode};

use crate::desk::NoAnswer;
use crate::error::NodeError;

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) ApiError);

impl Failure {
    pub(crate) fn new(code: ErrorCode, what: &str, why: impl std::fmt::Display, next: &str) -> Failure {
        Failure(ApiError { code, what: what.to_owned(), why: why.to_string(), next: next.to_owned() })
    }

    pub(crate) fn bad_request(what: &str, why: impl std::fmt::Display) -> Failure {
        Failure::new(ErrorCode::BadRequest, what, why, "Correct the request; /api/v1/openapi.json describes it.")
    }

    pub(crate) fn not_found(why: &str) -> Failure {
        Failure::new(ErrorCode::NotFound, "nothing was found", why, "List what there is and try again.")
    }

    pub(crate) fn conflict(why: String) -> Failure {
        Failure::new(ErrorCode::Conflict, "nothing was added", why, "Use what is there, or choose another name.")
    }

    pub(crate) fn of_store(error: &NodeError) -> Failure {
        Failure::new(ErrorCode::StoreFailed, error.what(), error.why(), error.next())
    }

    /// A half of the core declined.
    pub(crate) fn refused(what: &str, refusal: Refusal) -> Failure {
        let next = match refusal {
            Refusal::Busy => "Try again in a moment.",
            Refusal::NoProgress | Refusal::TimedOut => "Try again; the network may have healed.",
            Refusal::NotConnected => "Wait until the node has joined, or give it --bootstrap.",
            Refusal::OverBudget => "Raise the budget, or reveal more bits.",
            Refusal::TooLong => "Send less at once.",
            Refusal::TooManyTargets => "Send to fewer regions at once, or to darker ones.",
            Refusal::TooManyKeys => "Remove one, or use another node.",
            Refusal::TooManyRegions => "Leave one first: mainframe net leave REGION.",
            Refusal::StoreFailed => "See the node's log.",
            Refusal::WeakKey => "Ask the receiver for a new address.",
        };
        Failure::new(code_of(refusal), what, refusal, next)
    }

    /// A half of the core did not answer.
    pub(crate) fn no_answer(what: &str, none: NoAnswer) -> Failure {
        match none {
            NoAnswer::Busy => Failure::refused(what, Refusal::Busy),
            NoAnswer::Stopped => Failure::new(ErrorCode::Stopping, what, "the node is stopping", "Start it again."),
            NoAnswer::TimedOut => Failure::refused(what, Refusal::TimedOut),
        }
    }
}

/// The API's name of a refusal.
pub(crate) fn code_of(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::Busy => ErrorCode::Busy,
        Refusal::NoProgress => ErrorCode::NoProgress,
        Refusal::TimedOut => ErrorCode::TimedOut,
        Refusal::NotConnected => ErrorCode::NotConnected,
        Refusal::OverBudget => ErrorCode::OverBudget,
        Refusal::TooLong | Refusal::TooManyTargets => ErrorCode::TooLong,
        Refusal::TooManyKeys => ErrorCode::TooManyKeys,
        Refusal::TooManyRegions => ErrorCode::TooManyRegions,
        Refusal::StoreFailed => ErrorCode::StoreFailed,
        Refusal::WeakKey => ErrorCode::BadRequest,
    }
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::WrongHost => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Conflict | ErrorCode::AgainstTerms => StatusCode::CONFLICT,
        ErrorCode::Expired => StatusCode::GONE,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::OverBudget
        | ErrorCode::TooLong
        | ErrorCode::TooManyKeys
        | ErrorCode::TooManyContacts
        | ErrorCode::TooManyRegions => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::Busy
        | ErrorCode::NotConnected
        | ErrorCode::NoProgress
        | ErrorCode::StoreFailed
        | ErrorCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Internal | ErrorCode::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (status_of(self.0.code), Json(self.0)).into_response()
    }
}
