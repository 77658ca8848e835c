//! A person's card, invitations and contacts. People are named by their identity key in hex.

use reqwest::Method;

use super::{Client, segment};
use crate::{
    AddContact, AddedContact, Card, Contact, Contacts, DeclineContact, Error, Invitation, Invitations, Invite, Safety,
};

/// Contacts of one answer.
const PAGE: usize = 200;

impl Client {
    /// A person's card. Scope `persons`.
    pub async fn card(&self, person: &str) -> Result<Card, Error> {
        self.get(&of(person, "card")).await
    }

    /// Makes an invitation; its secret is told only now. Scope `persons`.
    pub async fn invite(&self, person: &str, terms: &Invite) -> Result<Invitation, Error> {
        self.post(&of(person, "invitations"), terms).await
    }

    /// The invitations that are out, without their secrets. Scope `persons`.
    pub async fn invitations(&self, person: &str) -> Result<Invitations, Error> {
        self.get(&of(person, "invitations")).await
    }

    /// Takes an invitation back. Scope `persons`.
    pub async fn withdraw_invitation(&self, person: &str, invitation: &str) -> Result<(), Error> {
        let path = of(person, &format!("invitations/{}", segment(invitation)));
        self.call_empty(Method::DELETE, &path, None::<&()>).await
    }

    /// A page of contacts and requests, those after a key. Scope `persons`.
    pub async fn contacts_after(&self, person: &str, after: Option<&str>, limit: usize) -> Result<Contacts, Error> {
        let after = after.map_or(String::new(), |key| format!("&after={}", segment(key)));
        self.get(&of(person, &format!("contacts?limit={limit}{after}"))).await
    }

    /// All contacts and requests. Scope `persons`.
    pub async fn contacts(&self, person: &str) -> Result<Vec<Contact>, Error> {
        let mut contacts = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.contacts_after(person, after.as_deref(), PAGE).await?;
            contacts.extend(page.contacts);
            match page.next_after {
                Some(next) => after = Some(next),
                None => return Ok(contacts),
            }
        }
    }

    /// Greets somebody by their card or invitation; returns their key. Scope `persons`.
    pub async fn add_contact(&self, person: &str, request: &AddContact) -> Result<AddedContact, Error> {
        self.post(&of(person, "contacts"), request).await
    }

    /// Accepts a request. Scope `persons`.
    pub async fn accept_contact(&self, person: &str, contact: &str) -> Result<(), Error> {
        self.contact_order(person, contact, "accept").await
    }

    /// Declines a request. Scope `persons`.
    pub async fn decline_contact(&self, person: &str, contact: &str, told: bool) -> Result<(), Error> {
        let path = of(person, &format!("contacts/{}/decline", segment(contact)));
        self.call_empty(Method::POST, &path, Some(&DeclineContact { told })).await
    }

    /// Listens to nothing of somebody any more. Scope `persons`.
    pub async fn block_contact(&self, person: &str, contact: &str) -> Result<(), Error> {
        self.contact_order(person, contact, "block").await
    }

    /// Listens to somebody again. Scope `persons`.
    pub async fn unblock_contact(&self, person: &str, contact: &str) -> Result<(), Error> {
        self.contact_order(person, contact, "unblock").await
    }

    /// Forgets a contact, or takes a greeting back. Scope `persons`.
    pub async fn remove_contact(&self, person: &str, contact: &str) -> Result<(), Error> {
        let path = of(person, &format!("contacts/{}", segment(contact)));
        self.call_empty(Method::DELETE, &path, None::<&()>).await
    }

    /// What both compare to be sure that nobody stands between them. Scope `persons`.
    pub async fn safety(&self, person: &str, contact: &str) -> Result<Safety, Error> {
        self.get(&of(person, &format!("contacts/{}/safety", segment(contact)))).await
    }

    async fn contact_order(&self, person: &str, contact: &str, order: &str) -> Result<(), Error> {
        let path = of(person, &format!("contacts/{}/{order}", segment(contact)));
        self.call_empty(Method::POST, &path, None::<&()>).await
    }
}

/// A path below a person's.
pub(super) fn of(person: &str, rest: &str) -> String {
    format!("/api/v1/persons/{}/{rest}", segment(person))
}
