//! What the routes of people's contacts and sessions share: whose they are, how something is asked for, and why it was
//! not done.

use std::str::FromStr;

use mainframe_base::{IdentityKey, SessionId};
use mainframe_core::session::contact::NotDone;
use mainframe_core::session::{Answer, Order, Unable};
use mainframe_core::switchboard::{EndpointCommand, EndpointReply};
use mainframe_sdk::{ErrorCode, Scope};

use super::node::unexpected;
use super::{Api, Failure};
use crate::tokens::Caller;

const NOT_DONE: &str = "nothing was changed";

/// One of the caller's people, for whom something is asked.
pub(super) struct Persona<'a> {
    api: &'a Api,
    pub(super) identity: IdentityKey,
}

impl<'a> Persona<'a> {
    /// The caller's person of that identity key or scan key, if the caller may do this.
    pub(super) fn of(api: &'a Api, caller: &Caller, person: &str, scope: Scope) -> Result<Persona<'a>, Failure> {
        caller.needs(scope)?;
        let identity = api.people.identity_of(person, caller.sees())?;
        Ok(Persona { api, identity })
    }

    /// Asks for something in the person's name.
    pub(super) async fn order(&self, order: Order) -> Result<Answer, Failure> {
        let reply = self.api.ask_endpoint(EndpointCommand::Order(self.identity, order)).await?;
        let EndpointReply::Person(answer) = reply else { return Err(unexpected(&reply)) };
        answer.map(|answer| *answer).map_err(Failure::unable)
    }

    /// Asks for something to be done.
    pub(super) async fn done(&self, order: Order) -> Result<(), Failure> {
        let answer = self.order(order).await?;
        if matches!(answer, Answer::Done) { Ok(()) } else { Err(another(&answer)) }
    }
}

/// An answer to another question: a mistake of the program.
pub(super) fn another(answer: &Answer) -> Failure {
    tracing::error!(?answer, "the answer is one to another question");
    let why = "a half of the node gave the answer to another question";
    Failure::new(ErrorCode::Internal, "the request was not carried out", why, "Report it with the node's log.")
}

/// Somebody's identity key, as the request names it.
pub(super) fn identity(text: &str) -> Result<IdentityKey, Failure> {
    hexadecimal(text, "an identity key has 64 hexadecimal digits")
}

/// A session, as the request names it.
pub(super) fn session(text: &str) -> Result<SessionId, Failure> {
    hexadecimal(text, "a session's name has 32 hexadecimal digits")
}

fn hexadecimal<T: FromStr>(text: &str, why: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::bad_request("the request cannot be read", why))
}

impl Failure {
    /// A person's order was not carried out.
    pub(crate) fn unable(unable: Unable) -> Failure {
        let failure = |code, next| Failure::new(code, NOT_DONE, unable, next);
        match unable {
            Unable::NoPerson | Unable::NoSession => {
                failure(ErrorCode::NotFound, "List what there is; it may have been left or removed.")
            }
            Unable::NotTogether => failure(ErrorCode::Conflict, "mainframe contact add CARD, and wait for the answer."),
            Unable::Forbidden(_) => failure(ErrorCode::AgainstTerms, "Ask an admin of the group."),
            Unable::LastAdmin => {
                failure(ErrorCode::AgainstTerms, "mainframe group admin GROUP MEMBER, then try again.")
            }
            Unable::Outdated => failure(ErrorCode::Conflict, "Read on here, and link this device anew."),
            Unable::Nothing => failure(ErrorCode::Conflict, "Look how it stands; it may be as you want it already."),
            Unable::Name | Unable::Kind => failure(ErrorCode::BadRequest, "Correct the request."),
            Unable::Contact(why) => failure(code_of(why), next_of(why)),
            Unable::CodeExpired => failure(ErrorCode::Expired, "mainframe device link, on the new device."),
            Unable::Revoked => failure(ErrorCode::Conflict, "mainframe device link, on the new device."),
            Unable::ThisDevice => failure(ErrorCode::Conflict, "mainframe device list, on another device of yours."),
            Unable::NoDevice => failure(ErrorCode::NotFound, "mainframe device list shows your devices."),
            Unable::TooManyDevices => failure(ErrorCode::TooManyKeys, "mainframe device revoke NAME."),
            Unable::Refused(refusal) => Failure::refused(NOT_DONE, refusal),
        }
    }
}

fn code_of(why: NotDone) -> ErrorCode {
    match why {
        NotDone::Unknown => ErrorCode::NotFound,
        NotDone::Ourselves | NotDone::Text => ErrorCode::BadRequest,
        NotDone::Blocked | NotDone::Underway | NotDone::NoRequest => ErrorCode::Conflict,
        NotDone::CardExpired | NotDone::InvitationExpired => ErrorCode::Expired,
        NotDone::Full => ErrorCode::TooManyContacts,
    }
}

fn next_of(why: NotDone) -> &'static str {
    match why {
        NotDone::Unknown => "mainframe contact list shows whom you know.",
        NotDone::Ourselves => "Give it to the one you want to talk with, and use theirs here.",
        NotDone::Blocked => "mainframe contact unblock NAME.",
        NotDone::Underway => "mainframe contact list shows how far it is.",
        NotDone::NoRequest => "mainframe contact requests shows who asks.",
        NotDone::CardExpired | NotDone::InvitationExpired => "Ask its owner for a new one.",
        NotDone::Text => "Say less.",
        NotDone::Full => "mainframe contact remove NAME, or take invitations back.",
    }
}
