//! How far an own message is.

use mainframe_base::Fault;

/// Why a message failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    /// Not everybody acknowledged it in the time allowed. Whoever asks for it still gets it.
    GaveUp,
    /// Everybody it was meant for left the session first.
    Left,
    /// It was taken back.
    Cancelled,
}

/// How far an own message is. It only ever goes forward, and a failure is for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MessageState {
    /// It is written down here and has not left yet.
    Queued,
    /// It left.
    Sent,
    /// The network holds it for those who are away.
    Held,
    /// Every other person has it on one of her devices.
    Delivered,
    /// Every other person has read it, and says so.
    Read,
    /// It will not be sent again by itself.
    Failed(Failure),
}

impl MessageState {
    pub(super) fn to_byte(self) -> u8 {
        match self {
            MessageState::Queued => 0,
            MessageState::Sent => 1,
            MessageState::Held => 2,
            MessageState::Delivered => 3,
            MessageState::Read => 4,
            MessageState::Failed(Failure::GaveUp) => 5,
            MessageState::Failed(Failure::Left) => 6,
            MessageState::Failed(Failure::Cancelled) => 7,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Result<MessageState, Fault> {
        Ok(match byte {
            0 => MessageState::Queued,
            1 => MessageState::Sent,
            2 => MessageState::Held,
            3 => MessageState::Delivered,
            4 => MessageState::Read,
            5 => MessageState::Failed(Failure::GaveUp),
            6 => MessageState::Failed(Failure::Left),
            7 => MessageState::Failed(Failure::Cancelled),
            _ => return Err(Fault::Impossible),
        })
    }

    /// Whether a message in this state can come into that one.
    pub(super) fn leads_to(self, next: MessageState) -> bool {
        let (is_over, fails) = (self >= MessageState::Delivered, matches!(next, MessageState::Failed(_)));
        self < next && !matches!(self, MessageState::Failed(_)) && !(is_over && fails)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_never_goes_back_and_what_arrived_does_not_fail() {
        let all: Vec<MessageState> = (0..8).map(|byte| MessageState::from_byte(byte).unwrap()).collect();
        assert!(MessageState::from_byte(8).is_err());
        for (at, state) in all.iter().enumerate() {
            assert_eq!(usize::from(state.to_byte()), at);
            assert!(all[..=at].iter().all(|earlier| !state.leads_to(*earlier)));
        }
        let cancelled = MessageState::Failed(Failure::Cancelled);
        assert!(MessageState::Held.leads_to(cancelled) && MessageState::Queued.leads_to(MessageState::Delivered));
        assert!(!MessageState::Delivered.leads_to(cancelled) && !MessageState::Read.leads_to(cancelled));
    }
}
