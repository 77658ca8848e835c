//! Why a message or a commit could not be read: whose fault it was, if anybody's.

use mainframe_base::Fault;
use openmls::framing::errors::{MessageDecryptionError, SecretTreeError};
use openmls::prelude::{MlsGroupStateError, ProcessMessageError, StageCommitError, ValidationError};

use crate::storage::StorageError;

/// Why a message or a commit could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unopened {
    /// It is of an epoch to which a commit leads that was not merged here, or thousands of messages ahead of all that
    /// came from its author: keep it and try again.
    #[error("ahead of what has come")]
    Early,
    /// Its epoch's secrets, or its sender's of that time, are deleted. Nobody can be blamed for a message that was long
    /// under way.
    #[error("of an epoch, or a stretch of one, whose secrets are deleted")]
    Late,
    /// It was opened before.
    #[error("opened before")]
    Again,
    /// We wrote it ourselves, and the secret to open it is not kept.
    #[error("our own")]
    Own,
    /// We are no longer in the group.
    #[error("we are no longer in the group")]
    Left,
    /// Whoever sent it did wrong.
    #[error("{0}")]
    Fault(#[from] Fault),
}

impl From<ProcessMessageError<StorageError>> for Unopened {
    fn from(error: ProcessMessageError<StorageError>) -> Self {
        if let ProcessMessageError::ValidationError(error) = error {
            return of_validation(error);
        }
        if let ProcessMessageError::GroupStateError(MlsGroupStateError::UseAfterEviction) = error {
            return Unopened::Left;
        }
        if let ProcessMessageError::InvalidCommit(StageCommitError::OwnCommitMismatch) = error {
            return Unopened::Own;
        }
        assert!(!matches!(error, ProcessMessageError::StorageError(_)), "a vault cannot fail: {error}");
        Fault::Impossible.into()
    }
}

fn of_validation(error: ValidationError) -> Unopened {
    if let ValidationError::UnableToDecrypt(error) = error {
        return of_decryption(error);
    }
    if let ValidationError::NoPastEpochData = error {
        return Unopened::Late;
    }
    let forged = matches!(
        error,
        ValidationError::InvalidSignature
            | ValidationError::InvalidMembershipTag
            | ValidationError::InvalidLeafNodeSignature
    );
    if forged { Fault::BadSignature.into() } else { Fault::Impossible.into() }
}

fn of_decryption(error: MessageDecryptionError) -> Unopened {
    if let MessageDecryptionError::SecretTreeError(error) = error {
        return of_ratchet(error);
    }
    // What does not decrypt was not made by a member: to the receiver it is a bad signature.
    Fault::BadSignature.into()
}

fn of_ratchet(error: SecretTreeError) -> Unopened {
    if let SecretTreeError::SecretReuseError = error {
        return Unopened::Again;
    }
    if let SecretTreeError::TooDistantInThePast = error {
        return Unopened::Late;
    }
    if let SecretTreeError::TooDistantInTheFuture = error {
        return Unopened::Early;
    }
    Fault::Impossible.into()
}
