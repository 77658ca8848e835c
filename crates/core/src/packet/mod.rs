//! Where a packet goes next.
