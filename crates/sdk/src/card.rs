//! Cards and invitations: how people find each other without a directory.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person's card (`GET persons/{person}/card`, scope `persons`): all that somebody needs to write to them first. It is
/// no secret, and says who they are and where they listen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// The card itself, `mfc:…`, about 1,900 letters: to be given away.
    pub text: String,
    /// Whose it is: their identity key, 64 hex digits.
    pub identity: String,
    /// What they want to be called. Nobody checks it.
    pub name: String,
    /// Where they listen, the best first.
    pub regions: Vec<String>,
    /// No sender needs to reveal more bits of their place than these.
    pub luminosity_floor: u16,
    /// When it was signed, to the hour.
    pub issued_ms: u64,
    /// From when on nobody should use it.
    pub expires_ms: u64,
}

/// Makes an invitation (`POST persons/{person}/invitations`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Invite {
    /// Whether it is for one person, or for everybody who has it.
    pub once: bool,
    /// Whether whoever has it becomes a contact without a question.
    pub accept: bool,
    /// For how many hours it holds, 1 to 8760.
    #[schema(minimum = 1, maximum = 8760)]
    pub hours: u32,
}

impl Default for Invite {
    /// For one person, who is asked about, within three days: as long as letters are held.
    fn default() -> Self {
        Invite { once: true, accept: false, hours: 72 }
    }
}

/// An invitation as it is handed over; the only time the node tells it. Whoever sees it is invited.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its name, 16 hex digits; nobody gets the secret from it.
    pub id: String,
    /// With the whole card, `mfi:…`: for a link or a file.
    pub link: String,
    /// The same short enough for a picture (QR), about 200 letters, `mfi:…`.
    pub picture: String,
    /// From when on it is worth nothing.
    pub expires_ms: u64,
}

/// Without the secret.
impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invitation({})", self.id)
    }
}

/// An invitation that is out, without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct InvitationView {
    /// Its name, 16 hex digits.
    pub id: String,
    /// Whether it is for one person.
    pub once: bool,
    /// Whether whoever has it becomes a contact without a question.
    pub accept: bool,
    /// From when on it is worth nothing.
    pub expires_ms: u64,
    /// How many people used it.
    pub used: u32,
}

/// The invitations that are out (`GET persons/{person}/invitations`, scope `persons`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Invitations {
    /// In the order of their names.
    pub invitations: Vec<InvitationView>,
}
