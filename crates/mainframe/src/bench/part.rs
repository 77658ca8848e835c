//! What the processes of a benchmark are and what they can be told, in lines of JSON.

use mainframe_base::{Locator, Transport};
use serde::{Deserialize, Serialize};

/// What a process is.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// A Mainframe relay that can also make cells and count them. Without a transport it does not listen, so that
    /// nobody can dial it.
    Relay {
        /// Over what it listens.
        listen: Option<Carrier>,
        /// An overlay address, and whether this relay's own shares its first bit; any address otherwise.
        beside: Option<(String, bool)>,
    },
    /// Counts the bytes of a plain stream.
    PlainSink {
        /// Over what.
        carrier: Carrier,
    },
    /// Copies a plain stream.
    PlainRelay {
        /// Over what.
        carrier: Carrier,
        /// Where to.
        next: String,
        /// Bytes at a time.
        write_bytes: usize,
    },
    /// Writes a plain stream.
    PlainSender {
        /// Where to.
        next: String,
        /// Bytes at a time.
        write_bytes: usize,
        /// For how long.
        milliseconds: u64,
    },
}

/// A transport, as told to a process.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carrier {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC version 1.
    Quic,
}

impl Carrier {
    /// Any port of this machine.
    pub(crate) fn anywhere(self) -> Locator {
        let transport = match self {
            Carrier::Tcp => Transport::Tcp,
            Carrier::Quic => Transport::Quic,
        };
        Locator::direct(transport, std::net::Ipv4Addr::LOCALHOST.into(), 0)
    }

    /// Its name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Carrier::Tcp => "tcp",
            Carrier::Quic => "quic",
        }
    }
}

/// What a relay process can be told. Each order has one answer.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Dial, and answer [`Done`] when the greetings are over.
    Connect {
        /// Where.
        locator: String,
    },
    /// Make cells for that address until told to stop; answers [`Done`] at once.
    Start {
        /// An overlay address.
        to: String,
        /// Cells a second; without it as many as are taken.
        per_second: Option<f64>,
    },
    /// Make no more cells; answers [`Offered`].
    Stop,
    /// Answers [`Counted`].
    Count,
    /// Answers [`Latencies`], of the cells counted since this was last asked.
    Latencies,
    /// Answers [`Queues`].
    Queues,
}

/// It is done.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Done {}

/// What the generator did.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) struct Offered {
    /// Cells the relay half took over.
    pub(crate) accepted: u64,
    /// Cells it refused.
    pub(crate) refused: u64,
    /// For how long cells were made.
    pub(crate) seconds: f64,
}

/// What arrived since the start.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    /// Cells.
    pub(crate) cells: u64,
    /// When they were counted, in microseconds since the Unix epoch.
    pub(crate) at_us: u64,
}

/// How long cells took from their making to their arrival.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Latencies {
    /// Of how many cells.
    pub(crate) cells: u64,
    /// The median.
    pub(crate) p50_us: u32,
    /// 99 of 100 are faster.
    pub(crate) p99_us: u32,
}

/// What waits in a relay.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Queues {
    /// Bytes of cells in its custody, now.
    pub(crate) pending_bytes: u64,
    /// The most there ever were.
    pub(crate) pending_bytes_max: u64,
    /// The most bytes that ever waited in the link's queues.
    pub(crate) queued_bytes_max: u64,
}

/// What a plain role measured.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) struct Plain {
    /// Bytes that passed.
    pub(crate) bytes: u64,
    /// From the first to the last.
    pub(crate) seconds: f64,
}
