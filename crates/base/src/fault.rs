//! Whose fault it was. A `Fault` is the peer's, a `Refusal` nobody's; what is ours is an assertion.

/// A peer broke the protocol. Counted against it and shown to the operator; never an error of ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Fault {
    /// A frame's type byte names no frame of this version.
    #[error("unknown frame type")]
    UnknownFrame,
    /// A frame or a cell of a version we do not speak.
    #[error("unknown version")]
    UnknownVersion,
    /// A frame longer than its type allows, or a list longer than its bound.
    #[error("longer than its bound")]
    Oversized,
    /// A frame shorter than its contents say, or with bytes left over.
    #[error("length and contents disagree")]
    Malformed,
    /// A bit that must be zero is set, or a field has a value that means nothing.
    #[error("reserved bits or impossible value")]
    Impossible,
    /// The reserve of an unramped cell is not PRF(id).
    #[error("reserve does not follow from the cell")]
    WrongReserve,
    /// The cell's expiry lies behind the clock's tolerance, or further ahead than any live cell's can.
    #[error("expired, or expiring impossibly late")]
    Expired,
    /// A signature does not verify.
    #[error("bad signature")]
    BadSignature,
    /// The overlay address does not follow from the account and the seed.
    #[error("address does not follow from account and seed")]
    WrongAddress,
    /// The record's link key is not the one the transport proved.
    #[error("record of another node")]
    WrongPeer,
    /// A node of another network.
    #[error("another network")]
    WrongNetwork,
    /// Something other than `Hello` before `Hello`, or `Hello` twice.
    #[error("out of order")]
    OutOfOrder,
    /// An answer to a question we did not ask.
    #[error("unasked answer")]
    Unasked,
    /// More than its share of frames, cells or questions in the time.
    #[error("over its rate")]
    Flood,
    /// No `Hello`, or no answer, in the time allowed.
    #[error("silent too long")]
    Silent,
    /// It does not read what we send: its queue reached its bound.
    #[error("does not read")]
    NotReading,
}

/// Two parties did not come to an agreement; nobody did wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Refusal {
    /// Our queues are full: try again later. Nothing of what was refused was kept.
    #[error("busy: queues are full, try again in a moment")]
    Busy,
    /// No neighbour is closer to the destination.
    #[error("no neighbour is closer to the destination")]
    NoProgress,
    /// The destination did not take the packet over before its time was up.
    #[error("no one took the packet over in time")]
    TimedOut,
    /// The node has no neighbours yet.
    #[error("not connected to any relay yet")]
    NotConnected,
    /// The packet would reach more nodes than the sender's budget class allows.
    #[error("the packet would cost more than its budget class allows")]
    OverBudget,
    /// The body does not fit the cells allowed for one packet.
    #[error("the body is too long for one packet")]
    TooLong,
    /// The list of a packet's regions does not fit its cell: send several, or to darker regions.
    #[error("too many regions for one packet")]
    TooManyTargets,
    /// The node keeps as many people's keys as it can scan for.
    #[error("this node already scans for as many people or topics as it can")]
    TooManyKeys,
    /// The node listens to as many regions as it can.
    #[error("this node already listens to as many regions as it can")]
    TooManyRegions,
    /// Sealing to the receiver's key would hide nothing.
    #[error("the receiver's key is of low order: nothing sealed to it would be secret")]
    WeakKey,
    /// The store could not keep what would have to be kept.
    #[error("the store cannot keep it")]
    StoreFailed,
}
