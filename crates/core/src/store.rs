//! Where state is kept.
