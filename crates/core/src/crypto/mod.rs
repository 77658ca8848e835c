//! Keys, records, sealing.
