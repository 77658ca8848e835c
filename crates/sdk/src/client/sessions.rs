//! A person's sessions. People are named by their identity key in hex, sessions by theirs.

use reqwest::Method;

use super::contacts::of;
use super::{Client, segment};
use crate::{
    AddMember, ChangeSession, CreateGroup, CreatedSession, Error, MarkRead, MessageProgress, Said, Say, Session,
    SessionMessages, Sessions,
};

impl Client {
    /// A person's sessions. Scope `read`.
    pub async fn sessions(&self, person: &str) -> Result<Sessions, Error> {
        self.get(&of(person, "sessions")).await
    }

    /// One session. Scope `read`.
    pub async fn session(&self, person: &str, session: &str) -> Result<Session, Error> {
        self.get(&of(person, &format!("sessions/{}", segment(session)))).await
    }

    /// Founds a group. Scope `persons`.
    pub async fn create_group(&self, person: &str, request: &CreateGroup) -> Result<CreatedSession, Error> {
        self.post(&of(person, "sessions"), request).await
    }

    /// Changes what a group agreed on. It is done when the members have decided on it. Scope `persons`.
    pub async fn change_session(&self, person: &str, session: &str, change: &ChangeSession) -> Result<(), Error> {
        let path = of(person, &format!("sessions/{}", segment(session)));
        self.call_empty(Method::PATCH, &path, Some(change)).await
    }

    /// Adds a contact to a group, as soon as the keys of their devices have come. Scope `persons`.
    pub async fn add_member(&self, person: &str, session: &str, member: &str) -> Result<(), Error> {
        let request = AddMember { member: member.to_owned() };
        self.session_order(Method::POST, person, session, "members", Some(&request)).await
    }

    /// Removes a member from a group: what is said from then on they cannot read. Scope `persons`.
    pub async fn remove_member(&self, person: &str, session: &str, member: &str) -> Result<(), Error> {
        let rest = format!("members/{}", segment(member));
        self.session_order(Method::DELETE, person, session, &rest, None::<&()>).await
    }

    /// Leaves a group. Scope `persons`.
    pub async fn leave_session(&self, person: &str, session: &str) -> Result<(), Error> {
        self.session_order(Method::POST, person, session, "leave", None::<&()>).await
    }

    /// Renews this device's keys in a session now, so that what a thief took opens nothing more. Scope `persons`.
    pub async fn renew_session(&self, person: &str, session: &str) -> Result<(), Error> {
        self.session_order(Method::POST, person, session, "renew", None::<&()>).await
    }

    /// Says something; returns when it is written down. Scope `send`.
    pub async fn say(&self, person: &str, session: &str, request: &Say) -> Result<Said, Error> {
        self.post(&of(person, &format!("sessions/{}/messages", segment(session))), request).await
    }

    /// What was said after a place, at most `limit` messages (1..=1000). Scope `read`.
    pub async fn session_messages(
        &self,
        person: &str,
        session: &str,
        after: u64,
        limit: usize,
    ) -> Result<SessionMessages, Error> {
        let rest = format!("sessions/{}/messages?after={after}&limit={limit}", segment(session));
        self.get(&of(person, &rest)).await
    }

    /// One message, and how far it is. Scope `read`.
    pub async fn session_message(&self, person: &str, session: &str, sequence: u64) -> Result<MessageProgress, Error> {
        self.get(&of(person, &format!("sessions/{}/messages/{sequence}", segment(session)))).await
    }

    /// Takes an own message back that not everybody has yet. Scope `send`.
    pub async fn take_back(&self, person: &str, session: &str, sequence: u64) -> Result<(), Error> {
        let rest = format!("messages/{sequence}");
        self.session_order(Method::DELETE, person, session, &rest, None::<&()>).await
    }

    /// Says that a message was read, and all its author said before. Scope `send`.
    pub async fn mark_read(&self, person: &str, session: &str, sequence: u64) -> Result<(), Error> {
        self.session_order(Method::POST, person, session, "read", Some(&MarkRead { sequence })).await
    }

    async fn session_order(
        &self,
        method: Method,
        person: &str,
        session: &str,
        rest: &str,
        request: Option<&impl serde::Serialize>,
    ) -> Result<(), Error> {
        let path = of(person, &format!("sessions/{}/{rest}", segment(session)));
        self.call_empty(method, &path, request).await
    }
}
