//! Why a link could not start.

use mainframe_base::Locator;

/// A link that could not start; each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Another program holds the port.
    #[error("cannot listen at {locator}: the port is taken; stop the other program or choose another port")]
    PortTaken {
        /// Where we meant to listen.
        locator: Locator,
    },
    /// The listener could not be bound for another reason.
    #[error("cannot listen at {locator}: {why}; check that this machine has the address and allows the port")]
    CannotListen {
        /// Where we meant to listen.
        locator: Locator,
        /// What the system said.
        why: String,
    },
    /// The link was told to ask the router, and cannot.
    #[error("this build cannot ask routers for anything; build it with the feature upnp, or set upnp = false")]
    NoUpnp,
    /// The transports could not be set up.
    #[error("cannot set up the transports: {0}")]
    Transport(String),
}
