//! Where rooms meet.
