//! How a sender that hears nothing tries again (docs/protocol/packet.md §9).
//!
//! The relay half never learns whether a packet arrived. Whoever does — by an `Ack`, or by hearing nothing — sends a
//! new packet with fresh keys and says which one it stands for ([`super::Dispatch::instead_of`]).

use mainframe_base::Luminosity;

/// Tries of one message, the first included: with three relays in ten that take over and drop, four reach 99 of a
/// hundred receivers (docs/measurements.md).
pub const TRIES_MAX: u8 = 4;

/// How long to wait for an `Ack` before the second try, in milliseconds: 99 of 100 packets to one node arrive within
/// 2 s even among silent relays, and its `Ack` takes as long (guess).
const FULL_ADDRESS_PATIENCE_MS: u64 = 4_000;
/// The same for a dark packet, which may have to wait for its second entry or for pulls (guess).
const DARK_PATIENCE_MS: u64 = 10_000;

/// How many packets the try of this number, counted from 1, consists of.
///
/// A dark packet spreads and enters at two points, so one is enough. A packet to one node has one path: further tries
/// take two, four and six, because the first showed that they are not safe. Each path also shows its first hop who
/// sends; so no more are taken than help.
pub fn packets_of_try(luminosity: Luminosity, number: u8) -> u8 {
    if luminosity == Luminosity::FULL { (2 * number.saturating_sub(1)).max(1) } else { 1 }
}

/// How long to wait before the next try.
pub fn patience_ms(luminosity: Luminosity) -> u64 {
    if luminosity == Luminosity::FULL { FULL_ADDRESS_PATIENCE_MS } else { DARK_PATIENCE_MS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_to_one_node_takes_more_paths_with_each_try_and_a_dark_one_does_not() {
        let packets = |luminosity| (1..=TRIES_MAX).map(|number| packets_of_try(luminosity, number)).collect::<Vec<_>>();
        assert_eq!(packets(Luminosity::FULL), [1, 2, 4, 6]);
        assert_eq!(packets(Luminosity::at_most(4)), [1, 1, 1, 1]);
    }
}
