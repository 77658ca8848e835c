//! Whom we are connected to.
