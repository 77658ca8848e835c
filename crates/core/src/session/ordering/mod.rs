//! Which of several commits on one epoch counts, decided without a server.
