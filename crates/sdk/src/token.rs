//! Who may do what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reads the principal's messages, the node's status, quotes and estimates.
    Read,
    /// Sends, and learns what became of it.
    Send,
    /// Adds, lists and removes the principal's people and topics.
    Persons,
    /// Reads the node's measurements, which show how busy everyone on it is.
    Metrics,
    /// Everything, of every principal: peers, tokens, configuration, shutdown.
    Admin,
}

/// Makes a token (`POST tokens`, scope `admin`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// To whom it is given: 1 to 64 characters. People and topics made with it belong to the principal.
    pub principal: String,
    /// What it allows; at least one.
    pub scopes: Vec<Scope>,
}

/// A new token; the only time the node tells it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// Names the token without revealing it, 16 hex digits.
    pub id: String,
    /// The secret, for `Authorization: Bearer …`.
    pub token: String,
    /// To whom it is given.
    pub principal: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// Without the secret.
impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatedToken({} of {})", self.id, self.principal)
    }
}

/// A token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its name, 16 hex digits.
    pub id: String,
    /// To whom it is given.
    pub principal: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// Every token (`GET tokens`, scope `admin`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// In the order they were made.
    pub tokens: Vec<TokenView>,
}
