//! Who our neighbours are.
