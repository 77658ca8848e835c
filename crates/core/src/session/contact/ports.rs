//! What goes into the machine and what comes out.

use mainframe_base::{Fault, IdentityKey, SessionId, Time};
use rand_core::CryptoRng;

use super::letters::{About, Back, HelloId, Moved};
use crate::crypto::{Card, InvitationId, LetterKind, Opened, Recipient};
use crate::store::Tx;

/// The surroundings of one call: the moment, randomness, the open transaction, and where to put what follows.
#[expect(missing_debug_implementations, reason = "borrows what has none")]
pub struct Turn<'a> {
    /// The moment.
    pub now: Time,
    /// Randomness for names and for when to try again.
    pub rng: &'a mut dyn CryptoRng,
    /// The open transaction. Nothing of `out` may leave before it is committed.
    pub tx: &'a mut dyn Tx,
    /// What happened and what should happen.
    pub out: &'a mut Vec<Output>,
}

/// What comes out.
#[expect(missing_debug_implementations, reason = "a recipient may hold a secret")]
#[derive(Clone)]
pub enum Output {
    /// What should happen.
    Wish(Wish),
    /// What happened.
    Fact(Fact),
}

/// What happened around the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// A letter came that was sealed for this person.
    LetterOpened(Opened),
    /// As wished: one key package for each device of ours.
    KeyPackagesMade {
        /// For whom.
        peer: IdentityKey,
        /// For what.
        about: About,
        /// One to eight packages.
        packages: Vec<Vec<u8>>,
    },
    /// As wished a session was started; or someone was added to one that exists.
    WelcomeMade {
        /// Who is welcome.
        peer: IdentityKey,
        /// For what.
        about: About,
        /// The session.
        session: SessionId,
        /// The MLS Welcome.
        welcome: Vec<u8>,
        /// The MLS tree, if it is not in the Welcome and fits a letter.
        tree: Option<Vec<u8>>,
        /// Where the newcomer's ledger begins.
        start: Vec<u8>,
    },
    /// As wished a session was joined.
    SessionJoined {
        /// Who welcomed us.
        peer: IdentityKey,
        /// The session.
        session: SessionId,
    },
    /// The session wished for could not be started or joined: what the peer sent does not fit.
    SessionFailed {
        /// With whom.
        peer: IdentityKey,
        /// The greeting it followed from.
        hello: HelloId,
    },
    /// The peer said something in the session, so he is in it.
    SessionHeard {
        /// Who.
        peer: IdentityKey,
        /// Where.
        session: SessionId,
    },
    /// Somebody told his new card inside a session.
    CardTold(Card),
    /// Somebody told his new identity inside a session.
    MoveTold(Moved),
    /// Keys of a peer are needed to add him to a session that exists.
    KeysNeeded {
        /// Whose.
        peer: IdentityKey,
        /// For which session.
        session: SessionId,
    },
    /// The moment of [`Contacts::next_wake`](super::Contacts::next_wake) has come.
    Wake,
}

/// What should happen.
#[expect(missing_debug_implementations, reason = "a recipient may hold a secret")]
#[derive(Clone)]
pub enum Wish {
    /// Seal a letter, and send it in cells that are held for 72 hours. If it is lost, another is wished for later.
    SealAndSend {
        /// To whom and where.
        to: Recipient,
        /// What it is.
        kind: LetterKind,
        /// What it says.
        body: Vec<u8>,
    },
    /// Make a key package for each device of ours; answer with [`Input::KeyPackagesMade`].
    MakeKeyPackages {
        /// For whom.
        peer: IdentityKey,
        /// For what.
        about: About,
    },
    /// Start a session with these keys, if that was not done before; answer with [`Input::WelcomeMade`] or
    /// [`Input::SessionFailed`].
    StartSession {
        /// With whom.
        peer: Card,
        /// The greeting it follows from.
        hello: HelloId,
        /// His devices' key packages, of which nothing is known but their length.
        packages: Vec<Vec<u8>>,
    },
    /// Join a session, if that was not done before, with a key package that was never used; answer with
    /// [`Input::SessionJoined`] or, for a greeting, [`Input::SessionFailed`].
    JoinSession {
        /// Who says welcome.
        peer: IdentityKey,
        /// For what.
        about: About,
        /// The session.
        session: SessionId,
        /// The MLS Welcome, of which nothing is known but its length.
        welcome: Vec<u8>,
        /// The MLS tree, likewise.
        tree: Option<Vec<u8>>,
        /// Where our ledger begins, likewise.
        start: Vec<u8>,
    },
    /// Say something in the session, for the peer does not know yet that we are in it.
    Confirm {
        /// Who.
        peer: IdentityKey,
        /// Where.
        session: SessionId,
    },
    /// Let a peer's devices into a session in which he is already: here are their keys.
    UseKeys {
        /// Whose.
        peer: IdentityKey,
        /// For which session.
        session: SessionId,
        /// Key packages, of which nothing is known but their length.
        packages: Vec<Vec<u8>>,
    },
    /// Let a peer's device into a session again in which it may have been left behind.
    LetBack {
        /// Whose.
        peer: IdentityKey,
        /// Where, and its key package.
        back: Back,
        /// When it asked, in minutes since 1970.
        sent_minutes: u32,
    },
}

/// What the user should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// Somebody would like to talk.
    Requested {
        /// Who.
        peer: IdentityKey,
        /// What he wrote.
        text: String,
        /// The invitation of ours he had, and whether it still held when he wrote.
        invitation: Option<(InvitationId, Standing)>,
        /// Whether it was accepted without asking the user.
        accepted: bool,
    },
    /// Somebody accepted our greeting; a session is being made.
    Accepted(IdentityKey),
    /// Somebody declined our greeting, or took his own back.
    Declined(IdentityKey),
    /// We share a session.
    Together(IdentityKey, SessionId),
    /// Nothing was heard for so long that nothing more is sent. Should he answer yet, it goes on.
    GaveUp(IdentityKey),
    /// No session could be made of what he sent.
    Failed(IdentityKey),
    /// A contact has a new card.
    CardChanged(IdentityKey),
    /// A contact has a new identity: safety words have to be compared again.
    Moved {
        /// Who he was.
        old: IdentityKey,
        /// Who he is.
        new: IdentityKey,
    },
    /// The oldest request was dropped, because there were too many.
    RequestDropped(IdentityKey),
    /// A letter was ignored. Not told of those who are blocked.
    Ignored {
        /// Who wrote it.
        from: IdentityKey,
        /// Why.
        why: Ignored,
    },
}

/// How an invitation stood when it was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It held.
    Valid,
    /// It was too late.
    Expired,
    /// Somebody had used it before, and it was for one.
    UsedUp,
}

/// Why a letter was ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Ignored {
    /// It breaks the protocol.
    #[error("the letter breaks the protocol: {0}")]
    Broken(#[from] Fault),
    /// We wrote it.
    #[error("the letter is our own")]
    Ourselves,
    /// Its sender's clock is ahead of ours.
    #[error(
        "the letter was written {minutes} minutes in the future: the sender's clock or ours is wrong; \
        set the clock, then ask for the letter to be sent again"
    )]
    Ahead {
        /// By how much.
        minutes: u32,
    },
    /// It is older than letters get on their way.
    #[error(
        "the letter was written {minutes} minutes ago, longer than any is kept on its way: it was sent a second time by \
        somebody who recorded it, or the sender's clock or ours is wrong"
    )]
    TooOld {
        /// By how much.
        minutes: u32,
    },
    /// The card in it is dated ahead.
    #[error("the card in the letter is dated more than a day ahead: the sender's clock or ours is wrong")]
    CardAhead,
    /// The card in it is expired.
    #[error("the card in the letter has expired; its owner has to issue a new one")]
    CardExpired,
    /// It came before.
    #[error("the letter came before")]
    Replay,
    /// Its sender said something newer since.
    #[error("its sender has said something newer since")]
    Superseded,
    /// We greeted each other at once, and ours counts.
    #[error("both greeted each other at once, and ours counts")]
    Crossed,
    /// It answers nothing we said.
    #[error("the letter answers nothing that was asked")]
    Unasked,
    /// Only a contact may send such a letter.
    #[error("only a contact may send such a letter")]
    Stranger,
}

/// Why an order was not carried out. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotDone {
    /// Nobody is known by this key.
    #[error("no contact and no request has this key")]
    Unknown,
    /// The card or invitation is our own.
    #[error("this is your own card or invitation; it is for others to use")]
    Ourselves,
    /// The contact is blocked.
    #[error("this contact is blocked; unblock it first")]
    Blocked,
    /// There is a session already, or one is being made.
    #[error("there is a conversation with this contact already, or one is being made")]
    Underway,
    /// There is no request to answer.
    #[error("there is no request of this contact to answer; it may have been taken back")]
    NoRequest,
    /// The card is expired.
    #[error("this card has expired; ask its owner for a new one")]
    CardExpired,
    /// The invitation is expired.
    #[error("this invitation has expired; ask for a new one")]
    InvitationExpired,
    /// The text is too long, or has control characters.
    #[error("a greeting has at most 600 bytes of text, and no control characters")]
    Text,
    /// There is no room.
    #[error("there are as many contacts or invitations as can be kept; remove some first")]
    Full,
}
