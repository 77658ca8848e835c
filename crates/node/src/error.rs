//! What keeps a node from starting or running, as its operator reads it.

use std::fmt;

/// What kind of trouble it is; decides the exit code of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// A value of the configuration makes no sense.
    Configuration,
    /// The password is missing or wrong.
    Password,
    /// The key file is damaged, or may be read by others.
    Keys,
    /// A store is damaged, or of a later version.
    Store,
    /// The store could not keep what had to be kept: the disk is full or broken.
    StoreFailed,
    /// Another process holds the data directory.
    InUse,
    /// A listener could not be bound.
    Listen,
    /// The operating system refused something else.
    System,
}

/// Why a node did not start, or stopped by itself: what, why, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeError {
    kind: ErrorKind,
    what: String,
    why: String,
    next: String,
}

impl NodeError {
    /// An error that says what did not happen, why, and what to do about it.
    pub fn new(kind: ErrorKind, what: impl Into<String>, why: impl fmt::Display, next: impl Into<String>) -> Self {
        NodeError { kind, what: what.into(), why: why.to_string(), next: next.into() }
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What did not happen.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why not.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to do about it.
    pub fn next(&self) -> &str {
        &self.next
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.what, self.why, self.next)
    }
}

impl std::error::Error for NodeError {}
