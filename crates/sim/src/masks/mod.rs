//! Liars, wrapped around a node from outside: the core has no switches for misbehaving.
//!
//! A [`Mask`] says what kind of liar a node is; it is the word of the command line and of reports. What such a liar
//! does is a [`Guise`] of its own file, most of them a [`Lie`](liar::Lie): what it keeps from the relay behind it, what
//! it keeps from the world, and what it makes up. docs/protocol/simulator.md §9 lists them.

pub mod clock;
pub mod delayer;
pub mod dropper;
pub mod flooder;
mod forgery;
mod liar;
pub mod preseeder;
#[cfg(test)]
mod rig;
pub mod selective;
mod shares;
pub mod spammer;
pub mod sybil;
pub mod widener;
pub mod withholder;

pub use liar::{Hand, Liar, Lie};
pub use shares::{LiarArguments, Shares};
pub use sybil::Plot;

use crate::actor::Guise;
use crate::dice::Dice;
use crate::frames::{Kind, kind};

/// How a node behaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Mask {
    /// As the core makes it.
    #[default]
    Honest,
    /// It takes part in the overlay, but of packets it hears nothing: cells, digests, pulls and sketches do not reach it,
    /// and so are never acknowledged, forwarded, announced or served. The world keeps them from it, so that it can drop
    /// what another protocol's guise would handle too.
    SilentDropper,
    /// See [`dropper::AckDropper`].
    AckDropper,
    /// See [`delayer::Delayer`].
    Delayer,
    /// See [`selective::SelectiveDropper`].
    SelectiveDropper,
    /// See [`preseeder::Preseeder`].
    Preseeder,
    /// See [`widener::Widener`].
    Widener,
    /// See [`withholder::Withholder`].
    Withholder,
    /// See [`withholder::LateServer`].
    LateServer,
    /// See [`flooder::Flooder`].
    Flooder,
    /// See [`spammer::Spammer`].
    Spammer,
    /// See [`clock::ClockLiar`].
    ClockLiar,
    /// See [`sybil::Sybil`]: never drawn, only placed.
    Sybil,
}

/// What a liar is made from.
#[derive(Clone, Copy, Debug)]
pub struct Making<'a> {
    /// The run's seed.
    pub seed: u64,
    /// Which node it is.
    pub node: u32,
    /// What sybils have agreed on, where there are any.
    pub plot: Option<&'a Plot>,
}

impl Making<'_> {
    /// Chance of this liar's own.
    fn dice(&self) -> Dice {
        Dice::new(self.seed, &format!("liar {}", self.node))
    }

    fn plot(&self) -> Plot {
        self.plot.expect("sybils have a plot").clone()
    }
}

impl Mask {
    /// Every kind of liar that is drawn from among all nodes, in the order in which they are drawn.
    pub const LIARS: [Mask; 11] = [
        Mask::SilentDropper,
        Mask::AckDropper,
        Mask::Delayer,
        Mask::SelectiveDropper,
        Mask::Preseeder,
        Mask::Widener,
        Mask::Withholder,
        Mask::LateServer,
        Mask::Flooder,
        Mask::Spammer,
        Mask::ClockLiar,
    ];

    /// Its name in reports, as in `--NAME` on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mask::Honest => "honest",
            Mask::SilentDropper => "droppers",
            Mask::AckDropper => "ack-droppers",
            Mask::Delayer => "delayers",
            Mask::SelectiveDropper => "selective",
            Mask::Preseeder => "preseed",
            Mask::Widener => "widen",
            Mask::Withholder => "withholders",
            Mask::LateServer => "late-servers",
            Mask::Flooder => "flooders",
            Mask::Spammer => "spammers",
            Mask::ClockLiar => "clock-liars",
            Mask::Sybil => "sybils",
        }
    }

    /// Whether a frame reaches a node behind the mask, whatever stands there.
    pub fn lets_in(self, frame: &[u8]) -> bool {
        self != Mask::SilentDropper || kind(frame) == Kind::Other
    }

    /// What stands between the world and a relay that behaves so; nothing if the relay is honest or hears nothing of
    /// packets anyway.
    ///
    /// # Panics
    /// For a sybil without a plot: the scenario's mistake.
    pub fn guise(self, making: &Making<'_>) -> Option<Box<dyn Guise>> {
        match self {
            Mask::Honest | Mask::SilentDropper => None,
            Mask::AckDropper => wrapped(dropper::AckDropper),
            Mask::Delayer => wrapped(delayer::Delayer::default()),
            Mask::SelectiveDropper => wrapped(selective::SelectiveDropper::new(making.seed)),
            Mask::Preseeder => wrapped(preseeder::Preseeder::default()),
            Mask::Widener => wrapped(widener::Widener::default()),
            Mask::Withholder => wrapped(withholder::Withholder),
            Mask::LateServer => wrapped(withholder::LateServer::default()),
            Mask::Flooder => wrapped(flooder::Flooder::new(making.dice())),
            Mask::Spammer => wrapped(spammer::Spammer::new(making.dice())),
            Mask::ClockLiar => Some(Box::new(clock::ClockLiar::new(making.node))),
            Mask::Sybil => wrapped(sybil::Sybil::new(making.plot())),
        }
    }
}

fn wrapped(lie: impl Lie + 'static) -> Option<Box<dyn Guise>> {
    Some(Box::new(Liar::new(lie)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_core::wire::{Frame, GetPeers};

    #[test]
    fn a_silent_dropper_hears_of_peers_but_not_of_packets() {
        let question = GetPeers { request: 1, target: mainframe_base::Address([0; 32]), limit: 1 };
        let heard = |frame: Frame| Mask::SilentDropper.lets_in(&frame.encode().to_bytes());
        assert!(heard(Frame::GetPeers(question)));
        assert!(heard(Frame::Custody(Vec::new())));
        assert!(!heard(Frame::Digest(Vec::new())));
        assert!(!heard(Frame::Pull(Vec::new())));
    }
}
