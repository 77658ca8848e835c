//! Groups that agree on keys: MLS (RFC 9420) with our randomness, our clock and our store.
