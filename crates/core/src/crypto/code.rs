//! Cards, invitations and links as text: a scheme, then the same bytes as in a file, in base64url (RFC 4648 §5).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainframe_base::Fault;

use crate::codec::Reader;

/// Which kind of text something should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeKind {
    /// A person's card, `mfc:`.
    Card,
    /// An invitation, `mfi:`.
    Invitation,
    /// What a new device shows to an old one, `mfl:`.
    Link,
}

impl CodeKind {
    fn scheme(self) -> &'static str {
        match self {
            CodeKind::Card => "mfc:",
            CodeKind::Invitation => "mfi:",
            CodeKind::Link => "mfl:",
        }
    }
}

impl fmt::Display for CodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodeKind::Card => "a card",
            CodeKind::Invitation => "an invitation",
            CodeKind::Link => "the code of a new device",
        })
    }
}

/// Why a text is no card, invitation or link. The text itself is never repeated: some hold secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseCodeError {
    /// It begins otherwise.
    #[error("{0} begins with `{scheme}`; copy the whole of it, from `{scheme}` to the end", scheme = .0.scheme())]
    Scheme(CodeKind),
    /// A letter that base64url does not have, or letters that end in the middle of a byte.
    #[error("{0} has only letters, digits, `-` and `_` after `{scheme}`; part of it may be missing, copy it again", scheme = .0.scheme())]
    Letters(CodeKind),
    /// It is of a later version.
    #[error(
        "{0} of a later version, or for a cipher suite this version does not know; update Mainframe, or ask for another"
    )]
    Later(CodeKind),
    /// The signature does not fit.
    #[error(
        "{0} whose signature does not fit: it was changed or damaged on the way; ask for it again, over another channel"
    )]
    Forged(CodeKind),
    /// It stops early, goes on too long, or says what cannot be.
    #[error("{0} that cannot be read ({1}); part of it may be missing, copy it again")]
    Unreadable(CodeKind, Fault),
}

/// Writes bytes as the text of this kind.
pub(super) fn to_text(kind: CodeKind, bytes: &[u8]) -> String {
    format!("{}{}", kind.scheme(), URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads the text of this kind. White space is passed over: mail breaks long lines.
pub(super) fn from_text<T>(
    kind: CodeKind,
    text: &str,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Fault>,
) -> Result<T, ParseCodeError> {
    let text = text.trim_start().strip_prefix(kind.scheme()).ok_or(ParseCodeError::Scheme(kind))?;
    let letters: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let bytes = URL_SAFE_NO_PAD.decode(letters).map_err(|_| ParseCodeError::Letters(kind))?;
    let mut reader = Reader::new(&bytes);
    let value = decode(&mut reader).and_then(|value| reader.finish().map(|()| value));
    value.map_err(|fault| {
        if fault == Fault::UnknownVersion {
            ParseCodeError::Later(kind)
        } else if fault == Fault::BadSignature {
            ParseCodeError::Forged(kind)
        } else {
            ParseCodeError::Unreadable(kind, fault)
        }
    })
}
