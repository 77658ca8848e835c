//! How commands fail: what happened, why, what to do next, and the exit code that goes with it.

use std::fmt;

/// The documented exit codes (`mainframe --help`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Something went wrong.
    Failed = 1,
    /// The command or the configuration makes no sense.
    Usage = 2,
    /// No node answers there.
    NotRunning = 3,
    /// The network or the node declined; nothing was kept.
    Refused = 4,
    /// Not within the time allowed.
    TimedOut = 5,
    /// Wrong password or token.
    Denied = 6,
    /// There is no such thing.
    NotFound = 7,
}

/// A failure the user is told about.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Ends the process.
    pub(crate) exit: Exit,
    /// What happened, and why.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) next: Option<String>,
}

impl Failure {
    /// A failure with its exit code and its reason.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure { exit, what: what.into(), next: None }
    }

    /// Adds what to do next.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Failure {
        self.next = Some(next.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// The exit code of an error: its own, or 1.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(Exit::Failed as u8, |failure| failure.exit as u8)
}

/// Tells the user, on standard error.
pub(crate) fn report(error: &anyhow::Error, json: bool) {
    let next = error.downcast_ref::<Failure>().and_then(|failure| failure.next.as_deref());
    if json {
        let told = serde_json::json!({ "error": format!("{error:#}"), "next": next, "exit": exit_code(error) });
        eprintln!("{told}");
        return;
    }
    eprintln!("error: {error:#}");
    if let Some(next) = next {
        eprintln!("  try: {next}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_exit_code_survives_added_context() {
        let failure = anyhow::Error::new(Failure::new(Exit::NotRunning, "no node"));
        let error = Err::<(), _>(failure).context("while asking").unwrap_err();
        assert_eq!(exit_code(&error), 3);
        assert_eq!(exit_code(&anyhow::anyhow!("anything")), 1);
    }
}
