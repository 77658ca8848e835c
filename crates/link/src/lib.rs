//! Bytes between neighbours: libp2p transports, handshake, framing.
