//! Prices and advice.
